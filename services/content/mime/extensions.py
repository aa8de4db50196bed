"""What extensions of file names promise (PURE): which files run, which are taken for harmless, which hold others."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What text becomes a program by its name alone.
SCRIPT_EXTENSIONS = _words(
    "bat cmd btm vbs vbe vb js jse mjs ws wsf wsh wsc sct hta ps1 ps1xml ps2 psm1 psd1 psc1 reg inf applescript"
)
# What runs on a double click.
RUNNABLE_EXTENSIONS = _words(
    "exe com scr pif cpl dll ocx msi msp mst msix appx appxbundle application gadget bat cmd btm vbs vbe js jse ws "
    "wsf wsh wsc sct hta ps1 psm1 reg inf msc chm hlp jar jnlp lnk url scf xll wll ade mde accde library-ms search-ms "
    "settingcontent-ms desktop apk dmg pkg deb rpm sh command workflow"
)
# Pages that a browser runs: suspicious behind the name of a document.
PAGE_EXTENSIONS = _words("htm html shtml xhtml mht mhtml svg")
DOCUMENT_EXTENSIONS = _words(
    "pdf doc docx dot dotx rtf odt xls xlsx xlt xltx csv ods ppt pptx pps ppsx odp txt log text md tif tiff"
)
HARMLESS_EXTENSIONS = DOCUMENT_EXTENSIONS | _words(
    "jpg jpeg jfif png gif bmp webp heic ico mp3 wav m4a ogg flac aac mp4 avi mov mkv wmv mpg mpeg webm eml ics vcf "
    "xml json epub htm html"
)
ARCHIVE_EXTENSIONS = _words(
    "zip zipx jar apk war ear xpi rar r00 r01 7z gz tgz bz2 tbz tbz2 xz txz zst tzst lz lzma z tar cab arj ace lha lzh "
    "cpio rpm deb iso img udf xar pkg docx docm dotx dotm xlsx xlsm xlsb xltx xltm xlam pptx pptm potx potm ppsx ppsm "
    "ppam odt ods odp"
)
# Of these, what is given to a program that unpacks, and not to one that shows documents.
PACKED_EXTENSIONS = _words(
    "zip zipx jar apk war ear xpi rar r00 r01 cbr 7z gz tgz bz2 tbz tbz2 xz txz zst tzst lz lzma z tar cab arj ace lha "
    "lzh cpio rpm deb iso img udf xar pkg"
)
# What Office opens, whatever is in it.
OFFICE_EXTENSIONS = _words(
    "doc dot wbk docx docm dotx dotm rtf xls xlt xlm xla xlsx xlsm xltx xltm xlsb xlam xlw csv slk dif ppt pot pps ppa "
    "pptx pptm potx potm ppsx ppsm ppam wiz wps xml"
)
MESSAGE_EXTENSIONS = _words("eml mht mhtml nws emlx")

# What Windows and others call files of a type whose name has no extension; those that run.
EXTENSION_BY_TYPE = {
    **dict.fromkeys((b"application/x-msdownload", b"application/x-msdos-program", b"application/x-dosexec"), "exe"),
    **dict.fromkeys(
        (b"application/exe", b"application/x-exe", b"application/vnd.microsoft.portable-executable"), "exe"
    ),
    **dict.fromkeys((b"application/javascript", b"application/x-javascript", b"application/ecmascript"), "js"),
    **dict.fromkeys((b"text/javascript", b"text/ecmascript", b"text/jscript"), "js"),
    **dict.fromkeys((b"text/vbscript", b"text/vbs", b"application/x-vbscript"), "vbs"),
    **dict.fromkeys((b"application/bat", b"application/x-bat", b"application/x-msdos-batch"), "bat"),
    **dict.fromkeys((b"application/x-msi", b"application/x-ms-installer"), "msi"),
    **dict.fromkeys((b"application/x-ms-shortcut", b"application/x-mswinlnk"), "lnk"),
    **dict.fromkeys((b"application/internet-shortcut", b"application/x-mswinurl", b"wwwserver/redirection"), "url"),
    b"application/hta": "hta",
    b"text/scriptlet": "wsc",
    b"application/x-ms-application": "application",
    b"application/java-archive": "jar",
    b"application/x-java-archive": "jar",
    b"application/x-java-jnlp-file": "jnlp",
    b"application/x-apple-diskimage": "dmg",
    b"application/vnd.android.package-archive": "apk",
    b"application/vnd.ms-htmlhelp": "chm",
    b"application/x-chm": "chm",
}


def extension(name: str) -> str:
    """Return a name's last extension in lower case, empty if it has none."""
    _, dot, end = name.rpartition(".")
    return end.strip().lower() if dot else ""
