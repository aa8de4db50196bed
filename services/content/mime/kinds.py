"""What a file is, by its content (PURE); its name decides only where text becomes a program by it.

Output: FileKind. A file that several programs would each take for theirs counts as what does most harm.
On failure: never raises; what is nothing known is TEXT or UNKNOWN. Time is linear in the content, and mostly constant.
"""

import re
from collections.abc import Iterable

from services.content.mime.extensions import ARCHIVE_EXTENSIONS, MESSAGE_EXTENSIONS, SCRIPT_EXTENSIONS, extension
from services.content.mime.hidden import hidden_archives
from services.content.mime.inspection import FileKind
from services.content.mime.office_text import is_office_text
from services.content.mime.signatures import BY_FIRST_BYTE

_HEAD_BYTES = 1024
# A comment of a zip's end is 65,535 bytes at most.
_ZIP_END_BYTES = 66_000
_MSI_CLASS = b"\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"
_INSTALLER_EXTENSIONS = frozenset(("msi", "msp", "mst"))
_BINARY = re.compile(rb"[\0-\x08\x0e-\x1a\x1c-\x1f]")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_MARKUP = re.compile(
    rb"<(?:!doctype|html|head|body|script|meta|title|table|div|iframe|img|form|style|!--|a\s|p>)", re.IGNORECASE
)
_PROGRAM_MARKUP = re.compile(rb"<(?:hta:application|scriptlet\b)", re.IGNORECASE)
_ACTIVE_SVG = re.compile(
    rb"<(?:[a-z0-9]{1,20}:)?script|javascript:|<(?:iframe|embed|object)\b|\son[a-z]{3,20}\s{0,5}=", re.IGNORECASE
)
_SHORTCUT_TEXT = re.compile(
    rb"\[(?:internetshortcut|desktop entry)|"
    rb"<(?:librarydescription|persistedquery|pcsettings|searchconnectordescription)",
    re.IGNORECASE,
)
_CPIO = re.compile(rb"07070[127][0-9A-Fa-f]{30}")
_ZIP_ENTRY = b"PK\x01\x02"
# OpenDocument 1.3, part 2, §3.3: the first file is `mimetype`, neither packed nor with an extra field.
_OPEN_DOCUMENT = re.compile(rb"\x08\0[\0-\xff]{2}mimetypeapplication/vnd\.oasis\.opendocument\.", re.DOTALL)
_OFFICE_ENTRIES = (b"[Content_Types].xml", b"word/", b"xl/", b"ppt/", b"visio/")
# A line of a number stands before it in a file of Apple Mail's, and one of `From` in a mailbox.
_MESSAGE_START = re.compile(rb"(?:[0-9]{1,10}[ \t]*\r?\n)?(?:>?From [^\r\n]*\r?\n)?[!-9;-~]{1,80}[ \t]{0,5}:")


def kind_of(content: bytes, names: Iterable[str] = ()) -> FileKind:
    """Return what a file is. names: every reading of its name."""
    if not content:
        return FileKind.UNKNOWN
    kind = _by_first_bytes(content, names)
    if kind in (FileKind.EXECUTABLE, FileKind.SHORTCUT):
        return kind
    if len(content) > 32_768 and _is_disk_image(content):
        return FileKind.DISK_IMAGE
    if kind is None:
        kind = _by_places(content)
    if kind in (None, FileKind.IMAGE, FileKind.MEDIA, FileKind.PDF) and (
        # Programs that unpack read a zip from its end, whatever stands before it, and look for other archives.
        _zip_at_end(content, names) or hidden_archives(names, content)
    ):
        return FileKind.ARCHIVE
    if kind is None and is_office_text(content, names):
        return FileKind.OFFICE
    return kind or _by_text(content, names)


def _by_first_bytes(content: bytes, names: Iterable[str]) -> FileKind | None:
    # MZ are letters too: a program has a byte that no text has close behind them.
    if content[:2] in (b"MZ", b"ZM") and _BINARY.search(content, 2, 256):
        return FileKind.EXECUTABLE
    for magic, kind in BY_FIRST_BYTE.get(content[0], ()):
        if content.startswith(magic):
            if kind is FileKind.ARCHIVE and content[:2] == b"PK" and _is_office_zip(content):
                return FileKind.OFFICE
            if kind is FileKind.OFFICE and magic[0] == 0xD0 and _is_installer(content, names):
                return FileKind.EXECUTABLE
            return kind
    return None


def _is_installer(content: bytes, names: Iterable[str]) -> bool:
    return _MSI_CLASS in content or any(extension(name) in _INSTALLER_EXTENSIONS for name in names)


def _is_office_zip(content: bytes) -> bool:
    """Whether the zip's own list has what only documents have; a document that it holds does not count."""
    if _OPEN_DOCUMENT.match(content, 26):
        return True
    end = content.rfind(b"PK\x05\x06", max(0, len(content) - _ZIP_END_BYTES))
    if end < 0 or end + 22 > len(content):
        return content[30:49] == b"[Content_Types].xml"
    size = int.from_bytes(content[end + 12 : end + 16], "little")
    place = end - size
    found = 0
    for _ in range(1000):
        if place < 0 or content[place : place + 4] != _ZIP_ENTRY or place + 46 > len(content):
            break
        name, extra, comment = (int.from_bytes(content[place + at : place + at + 2], "little") for at in (28, 30, 32))
        text = content[place + 46 : place + 46 + name]
        found |= 1 if text == _OFFICE_ENTRIES[0] else 2 if text.startswith(_OFFICE_ENTRIES) else 0
        if found == 3:
            return True
        place += 46 + name + extra + comment
    return False


def _is_disk_image(content: bytes) -> bool:
    # ISO 9660 and UDF have their descriptors from the 17th sector of 2,048 bytes on.
    sectors = [content[at + 1 : at + 6] for at in range(32_768, min(len(content), 65_536), 2048)]
    if b"CD001" in sectors or b"BEA01" in sectors or b"NSR02" in sectors or b"NSR03" in sectors:
        return True
    return content[-512:-504] == b"conectix" or content[-512:-508] == b"koly"


def _by_places(content: bytes) -> FileKind | None:
    """What is known by bytes that are not the first."""
    if content[257:262] == b"ustar" or content[7:14] == b"**ACE**" or content[20:24] == b"\xdc\xa7\xc4\xfd":
        return FileKind.ARCHIVE
    if content[2:5] in (b"-lh", b"-lz") and content[6:7] == b"-":
        return FileKind.ARCHIVE
    if _CPIO.match(content):
        return FileKind.ARCHIVE
    if content[:3] == b"BZh" and content[4:8] in (b"1AY&", b"\x17\x72\x45\x38"):
        return FileKind.ARCHIVE
    if content[:3] == b"]\0\0" and content[4:5] in (b"\0", b"\x80", b"\x04", b"\x02", b"\x01"):
        return FileKind.ARCHIVE
    if content[4:8] == b"ftyp":
        return FileKind.IMAGE if content[8:12] in (b"heic", b"heix", b"mif1", b"avif") else FileKind.MEDIA
    if content[:4] == b"RIFF":
        return FileKind.IMAGE if content[8:12] == b"WEBP" else FileKind.MEDIA
    if content[:2] == b"BM" and content[6:10] == b"\0\0\0\0":
        return FileKind.IMAGE
    if b"%PDF-" in content[:_HEAD_BYTES]:
        # Readers look for it within the first 1,024 bytes.
        return FileKind.PDF
    return None


def _zip_at_end(content: bytes, names: Iterable[str]) -> bool:
    if not any(extension(name) in ARCHIVE_EXTENSIONS for name in names):
        return False
    return b"PK\x05\x06" in content[-_ZIP_END_BYTES:]


def _by_text(content: bytes, names: Iterable[str]) -> FileKind:
    head = content[:_HEAD_BYTES]
    if head[:2] in _UTF16:
        head = content[: 4 * _HEAD_BYTES].replace(b"\0", b"")[2:]
    elif head[:3] == b"\xef\xbb\xbf":
        head = head[3:]
    elif _BINARY.search(head):
        return FileKind.UNKNOWN
    if head[:2] == b"#!":
        return FileKind.SCRIPT
    if names:
        extensions = {extension(name) for name in names}
        if not extensions.isdisjoint(SCRIPT_EXTENSIONS):
            return FileKind.SCRIPT
        if not extensions.isdisjoint(MESSAGE_EXTENSIONS) and _is_message(content):
            return FileKind.MESSAGE
    if (b"[" in head or b"<" in head) and (kind := _by_markup(content, head)):
        return kind
    return FileKind.TEXT


def _by_markup(content: bytes, head: bytes) -> FileKind | None:
    start = head.lstrip()
    if start[:1] not in (b"<", b"["):
        return None
    if _SHORTCUT_TEXT.search(head):
        return FileKind.SHORTCUT
    if _PROGRAM_MARKUP.search(head):
        return FileKind.SCRIPT
    lower = start.lower()
    if b"<svg" in lower:
        # A picture that runs scripts is a program to the browser that shows it.
        return FileKind.SCRIPT if _ACTIVE_SVG.search(content) else FileKind.IMAGE
    return FileKind.HTML if _MARKUP.match(start) or b"<html" in lower or b"<script" in lower else None


def _is_message(content: bytes) -> bool:
    """Whether content begins as messages do, with a header field."""
    return _MESSAGE_START.match(content[:1024].lstrip(b"\r\n")) is not None
