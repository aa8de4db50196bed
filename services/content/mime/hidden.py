"""Archives that begin behind something else (PURE): programs that unpack look for them by their marks.

A picture, a document or another archive may stand before one. That counts only where the file's name promises an
archive, for then it is given to such a program; and only where the archive is not the one that the first bytes promise.
Output: where they begin; 0 for a zip, which is read from its end.
"""

from collections.abc import Iterable

from services.content.mime.extensions import PACKED_EXTENSIONS, extension

_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08", b"PK00PK")
_ZIP_END = b"PK\x05\x06"
# A comment of a zip's end is 65,535 bytes at most.
_ZIP_END_BYTES = 66_000
_RAR, _SEVEN_ZIP = b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c"
_MARKS = (_RAR, _SEVEN_ZIP)
_ZIP_EXTENSIONS = frozenset(("zip", "zipx", "jar", "apk", "war", "ear", "xpi"))
_TAR_EXTENSIONS = frozenset(("tar", "gz", "tgz", "z"))
_IMAGE_EXTENSIONS = frozenset(("iso", "img", "udf"))
_RAR_EXTENSIONS = frozenset(("rar", "r00", "r01", "cbr"))


def hidden_archives(names: Iterable[str], content: bytes) -> list[int]:
    """Return what a program that is chosen by one of the names would find in it besides what it begins as."""
    promised = {extension(name) for name in names} & PACKED_EXTENSIONS
    if not promised or _keeps(promised, content):
        return []
    is_zip = not content.startswith(_ZIP_STARTS) and _ZIP_END in content[-_ZIP_END_BYTES:]
    places = [place for place in (content.find(mark, 1) for mark in _MARKS) if place > 0]
    return [0, *places] if is_zip else places


def _keeps(promised: set[str], content: bytes) -> bool:
    """Whether the first bytes are what every name promises."""
    if content.startswith(_ZIP_STARTS):
        return promised <= _ZIP_EXTENSIONS
    if content.startswith(_RAR):
        return promised <= _RAR_EXTENSIONS
    # What holds files as they are may hold other archives, which are opened as its files.
    if content[257:262] == b"ustar" or content.startswith(b"\x1f\x8b"):
        return promised <= _TAR_EXTENSIONS
    if content[32_769:32_774] == b"CD001":
        return promised <= _IMAGE_EXTENSIONS
    return content.startswith(_SEVEN_ZIP) and promised == {"7z"}
