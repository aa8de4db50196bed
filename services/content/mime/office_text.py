"""Documents that are text: web archives, Word and flat XML of 2003 and later, Excel's symbolic links (PURE).

Office opens them under the name of any document, and they can carry macros as others do.
Standards: MS-OI29500 (flat OPC), MS-ODRAWXML; SYLK as Excel writes it.
On failure: never raises. Time is linear in the content, and constant for text without a document's name or beginning.
"""

import re
from collections.abc import Iterable

from services.content.mime.extensions import OFFICE_EXTENSIONS, extension

_RTF_START = b"{\\rt"
_SYLK_START = b"ID;"
_HEAD_BYTES = 4096
_XML_MARKS = re.compile(
    rb"mso-application|schemas\.microsoft\.com/office/(?:word/2003/wordml|2006/xmlPackage)", re.IGNORECASE
)
_WEB_ARCHIVE = re.compile(rb"mime-version[ \t]*:", re.IGNORECASE)
_DECLARATION = re.compile(r"\A\s*<\?xml\b[^<>]{0,1000}\?>")
_MULTIPART = re.compile(rb"multipart/", re.IGNORECASE)
# `O;E` makes it a sheet of macros.
_SYLK_MACRO = re.compile(rb"[\r\n]O;(?:[^\r\n]*;)?E")
_SYLK_AUTOMATIC = re.compile(rb"auto_(?:open|close|activate|deactivate)", re.IGNORECASE)


def is_office_text(content: bytes, names: Iterable[str]) -> bool:
    """Whether Office takes a text for one of its documents. names: every reading of the file's name."""
    if content.startswith(_SYLK_START):
        return True
    documented = any(extension(name) in OFFICE_EXTENSIONS for name in names)
    if documented and content[:_HEAD_BYTES].lstrip().startswith(_RTF_START):
        return True
    start = content[:_HEAD_BYTES].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
    if start.startswith(b"<") and (documented or start.startswith(b"<?xml")):
        # In two bytes for a letter, too.
        return _XML_MARKS.search(content if content[:1] == b"<" else content.replace(b"\0", b"")) is not None
    return documented and _WEB_ARCHIVE.search(content) is not None and _MULTIPART.search(content) is not None


def utf_8(content: bytes) -> bytes:
    """Return an XML document in two bytes for a letter as UTF-8, without the declaration that it is something else."""
    order = "utf-16-be" if content[:1] in (b"\xfe", b"\0") else "utf-16-le"
    return _DECLARATION.sub("", content.decode(order, "replace").lstrip("\ufeff"), 1).encode("utf-8", "replace")


def sylk_macros(content: bytes) -> tuple[bool, bool]:
    """Return whether a SYLK file has macros, and whether they run by themselves."""
    if not content.startswith(_SYLK_START) or not _SYLK_MACRO.search(content):
        return False, False
    return True, _SYLK_AUTOMATIC.search(content) is not None
