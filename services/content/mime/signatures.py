"""The first bytes by which files are told apart (PURE). Written by us from the formats' own descriptions."""

from services.content.mime.inspection import FileKind

_EXECUTABLE = (
    b"\x7fELF",
    *(b"\xfe\xed\xfa\xce", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xcf\xfa\xed\xfe"),  # Mach-O
    *(b"\xca\xfe\xba\xbe", b"\xca\xfe\xba\xbf"),  # Mach-O for several processors, Java class
    b"dex\n03",  # Android
    b"ITSF",  # compiled HTML help, which runs scripts
    b"\0asm",
)
_SHORTCUT = (b"\x4c\0\0\0\x01\x14\x02\0",)
_DISK_IMAGE = (b"conectix", b"vhdxfile", b"KDMV", b"QFI\xfb", b"MSWIM\0\0\0", b"WLPWM\0\0\0")
_ARCHIVE = (
    *(b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00PK"),
    *(b"Rar!\x1a\x07", b"RE\x7e\x5e", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b", b"\x1f\x9d", b"\x1f\xa0"),
    *(b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18", b"LZIP", b"MSCF", b"ISc(", b"\x60\xea"),
    *(b"\xc7\x71", b"\xed\xab\xee\xdb", b"!<arch>\n", b"xar!", b"EGGA", b"ALZ\x01"),
    b"\x78\x9f\x3e\x22",  # TNEF, Outlook's winmail.dat
)
_OFFICE = (
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",  # OLE: Word, Excel, PowerPoint up to 2003, Outlook's .msg
    b"{\\rt",
    b"ActiveMime",
    b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3",  # OneNote
    *(b"\0\x01\0\0Standard Jet DB", b"\0\x01\0\0Standard ACE DB"),
)
_IMAGE = (
    *(b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"8BPS", b"\xd7\xcd\xc6\x9a"),
    *(b"\0\0\x01\0", b"\x01\0\0\0\x6c\0\0\0", b"\0\0\0\x0cjP  "),
)
_MEDIA = (
    *(
        b"ID3",
        b"OggS",
        b"fLaC",
        b"\x1a\x45\xdf\xa3",
        b"\0\0\x01\xba",
        b"\0\0\x01\xb3",
        b"MThd",
        b"\xff\xfb",
        b"\xff\xf1",
    ),
    *(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", b"FWS", b"CWS", b"ZWS", b"#!AMR"),
)

# By the first byte, so that a file is compared with few of them.
BY_FIRST_BYTE: dict[int, list[tuple[bytes, FileKind]]] = {}
for _kind, _all in (
    (FileKind.EXECUTABLE, _EXECUTABLE),
    (FileKind.SHORTCUT, _SHORTCUT),
    (FileKind.DISK_IMAGE, _DISK_IMAGE),
    (FileKind.ARCHIVE, _ARCHIVE),
    (FileKind.OFFICE, _OFFICE),
    (FileKind.IMAGE, _IMAGE),
    (FileKind.MEDIA, _MEDIA),
):
    for _magic in _all:
        BY_FIRST_BYTE.setdefault(_magic[0], []).append((_magic, _kind))
