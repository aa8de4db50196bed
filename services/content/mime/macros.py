"""What Office documents do by themselves: macros, objects, templates from elsewhere (runs in a helper process alone).

Input: a document's bytes. Output: `Documented`. VBA and Excel 4 macros and objects in RTF are read by oletools, whether
a document is encrypted by msoffcrypto. SUSPICIOUS are macros that run by themselves and do what documents need not,
packed programs, and templates that are fetched from elsewhere.
On failure: `unreadable`; libraries may raise what they like, MemoryError goes through.
"""

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass

import msoffcrypto  # type: ignore[import-untyped]
import olefile
from oletools import olevba, rtfobj

from services.content.mime.excel4 import macros_in_stream
from services.content.mime.inspection import Macro
from services.content.mime.office_text import sylk_macros, utf_8
from services.content.mime.package_reader import PackageReader

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = b"PK"
_RTF = b"{\\rt"
_MAX_EVIDENCE = 200
_MAX_WORDS = 6
_WORKBOOKS = ("Workbook", "Book")
_MAX_CODE = 2_000_000
_HEAD_BYTES = 4096
# OpenDocument: modules of Basic, and scripts of other languages.
_OPEN_MODULE = re.compile(r"Basic/.+/(?!script-l[bc]\.xml\Z).+|Scripts/.*[^/]")
_OPEN_LISTENER = b"event-listener"
_MAX_CONTENT_BYTES = 10_000_000
_UTF16_STARTS = (b"\xff\xfe", b"\xfe\xff", b"<\0", b"\0<")
_RTF_TEMPLATE = re.compile(rb"\\template\b([^{}]{0,4000})")
# `\'68` is a character by its octet, `\u104 ?` one by its number with what old programs show instead.
_RTF_ESCAPE = re.compile(r"\\'([0-9A-Fa-f]{2})|\\u(-?[0-9]{1,6})(?: ?\?| )?|\\([\\{}])|\\[a-z]{1,32}-?[0-9]{0,10} ?")
_REMOTE = re.compile(r"\s*(?:(?:https?|ftp|file):|[/\\]{2})", re.IGNORECASE)
_ATTACKED_CLASSES = re.compile(rb"equation|ole2link|package|script|shell|htmlfile|otkloadr", re.IGNORECASE)


@dataclass(slots=True)
class Documented:
    """What was seen in a document. files: names and contents of what is packed in its objects."""

    macro: Macro = Macro.NONE
    evidence: str = ""
    encrypted: bool = False
    unreadable: bool = False
    files: list[tuple[str, bytes]] | None = None

    def see(self, macro: Macro, evidence: str) -> None:
        """Note what was seen, unless worse was."""
        if self.macro is Macro.NONE or macro is Macro.SUSPICIOUS is not self.macro:
            self.macro, self.evidence = macro, evidence[:_MAX_EVIDENCE]


def examine_document(content: bytes) -> Documented:
    """Return what a document does by itself. Raises MemoryError."""
    seen = Documented(files=[])
    if content[:_HEAD_BYTES].lstrip().startswith(_RTF):
        _guarded(_rtf, content, seen)
        return seen
    if content.startswith(_OLE):
        _guarded(_compound, content, seen)
        if seen.encrypted:
            return seen
    elif content.startswith(_ZIP):
        _guarded(_parts, content, seen)
    elif (sylk := sylk_macros(content))[0]:
        _see_excel4((True, "Auto_Open" if sylk[1] else ""), seen)
        return seen
    _guarded(_macros, utf_8(content) if content.startswith(_UTF16_STARTS) else content, seen)
    return seen


def _guarded(look: Callable[[bytes, Documented], None], content: bytes, seen: Documented) -> None:
    try:
        look(content, seen)
    except MemoryError:
        raise
    except Exception:  # oletools and msoffcrypto raise whatever hostile bytes make them
        seen.unreadable = True


def _compound(content: bytes, seen: Documented) -> None:
    with olefile.OleFileIO(io.BytesIO(content)) as ole:
        # MS-OFFCRYPTO §2.3.4.4: the stream in which all of an encrypted document of 2007 and later is.
        seen.encrypted = ole.exists("EncryptedPackage")
        # Programs repair what this reader only takes for empty.
        seen.unreadable |= not ole.listdir()
        for stream in _WORKBOOKS:
            if ole.exists(stream):
                _see_excel4(macros_in_stream(ole.openstream(stream).read()), seen)
    if seen.encrypted:
        return
    try:
        seen.encrypted = bool(msoffcrypto.OfficeFile(io.BytesIO(content)).is_encrypted())
    except msoffcrypto.exceptions.FileFormatError:
        # A compound file that is no document, such as a saved message.
        seen.encrypted = False


def _macros(content: bytes, seen: Documented) -> None:
    try:
        parser = olevba.VBA_Parser("document", data=content)
    except olevba.FileOpenError:
        # A text, a note, a data base: of a kind that cannot have macros. But what others may open and we cannot is not
        # known to have none.
        seen.unreadable |= content.startswith((_OLE, _ZIP))
        return
    try:
        if not parser.detect_vba_macros():
            return
        sources = 0
        found = {"AutoExec": dict[str, None](), "Suspicious": dict[str, None]()}
        for _, _, _, code in parser.extract_all_macros():
            sources += 1
            text = code if isinstance(code, str) else code.decode("utf-8", "replace")
            for kind, word, _ in olevba.VBA_Scanner(text[:_MAX_CODE]).scan():
                if kind in found:
                    found[kind][word] = None
        if not sources:
            # A project without its source is still run by what was compiled.
            seen.see(Macro.SUSPICIOUS, "macros whose source cannot be read")
            return
        seen.see(*_weigh(list(found["AutoExec"]), list(found["Suspicious"])))
    finally:
        parser.close()


def _weigh(automatic: list[str], suspicious: list[str]) -> tuple[Macro, str]:
    words = ", ".join(suspicious[:_MAX_WORDS])
    if automatic and suspicious:
        return Macro.SUSPICIOUS, f"macros that run by themselves ({', '.join(automatic[:3])}) and use {words}"
    if automatic:
        return Macro.PRESENT, f"macros that run by themselves ({', '.join(automatic[:3])})"
    return Macro.PRESENT, f"macros that use {words}" if suspicious else "macros"


def _see_excel4(found: tuple[bool, str], seen: Documented) -> None:
    has_sheet, automatic = found
    if has_sheet and automatic:
        seen.see(Macro.SUSPICIOUS, f"Excel 4 macros that run by themselves ({automatic})")
    elif has_sheet:
        seen.see(Macro.PRESENT, "Excel 4 macros")


def _rtf_text(text: bytes) -> str:
    """Return what a piece of RTF without groups says: characters may be written by their numbers."""
    return _RTF_ESCAPE.sub(_rtf_character, text.decode("latin-1"))


def _rtf_character(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return chr(int(match[2]) & 0xFFFF) if match[2] else match[3] or ""


def _parts(content: bytes, seen: Documented) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if any(map(_OPEN_MODULE.fullmatch, archive.namelist())):
            _open_document_macros(archive, seen)
        package = PackageReader(archive)
        found = package.relations()
        if fetching := next((relation for relation in found if relation.fetches), None):
            kind = re.sub(r"[^A-Za-z0-9]", "?", fetching.kind[:40])
            seen.see(Macro.SUSPICIOUS, f"a part that is fetched from elsewhere ({kind})")
        elif package.has_macro_sheet() or any(relation.is_macro_sheet for relation in found):
            _see_excel4((True, package.automatic_name(found)), seen)
        seen.unreadable |= package.unreadable


def _open_document_macros(archive: zipfile.ZipFile, seen: Documented) -> None:
    seen.see(Macro.PRESENT, "macros of an OpenDocument file")
    with archive.open("content.xml") as file:
        if _OPEN_LISTENER in file.read(_MAX_CONTENT_BYTES):
            seen.see(Macro.SUSPICIOUS, "macros of an OpenDocument file that run by themselves")


def _rtf(content: bytes, seen: Documented) -> None:
    if any(_REMOTE.match(_rtf_text(match[1])) for match in _RTF_TEMPLATE.finditer(content)):
        seen.see(Macro.SUSPICIOUS, "a template that is fetched from elsewhere")
    if b"objdata" not in content.lower():
        return
    parser = rtfobj.RtfObjParser(content)
    parser.parse()
    for found in parser.objects:
        name = bytes(found.class_name or b"").strip(b"\0")
        shown = re.sub(rb"[^A-Za-z0-9. ]", b"?", name[:40]).decode()
        if found.is_package:
            seen.see(Macro.SUSPICIOUS, "an object that is a packed file")
            if seen.files is not None:
                seen.files.append((str(found.filename), bytes(found.olepkgdata)))
        elif not found.is_ole or _ATTACKED_CLASSES.search(name):
            seen.see(Macro.SUSPICIOUS, f"an object of a kind that attacks use ({shown or 'malformed'})")
        else:
            seen.see(Macro.PRESENT, f"an object of the class {shown}")
            if seen.files is not None and found.oledata:
                seen.files.append(("", bytes(found.oledata)))
