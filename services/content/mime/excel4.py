"""Excel 4 macros (XLM): sheets of macros, and names that make them run when a workbook opens (PURE).

Input: the stream of an Excel 97 workbook, or names that a later one defines. Output: what was found, as words for
evidence. Standards: MS-XLS §2.4.28 (BoundSheet8), §2.4.150 (Lbl).
On failure: never raises; a stream that breaks off is read up to there.
"""

import re
import struct
from collections.abc import Iterator

MACRO_SHEETS = "xl/macrosheets/"
_SHEET, _NAME, _END = 0x85, 0x18, 0x0A
_MACRO_SHEET = 1
_BUILT_IN = 0x20
_AUTOMATIC = {1: "Auto_Open", 2: "Auto_Close", 10: "Auto_Activate", 11: "Auto_Deactivate"}
_MAX_RECORDS = 100_000
_AUTOMATIC_TEXT = re.compile(rb"auto_(?:open|close|activate|deactivate)", re.IGNORECASE)


def macros_in_stream(stream: bytes) -> tuple[bool, str]:
    """Return whether a workbook has sheets of macros, and the name that makes them run (empty: none)."""
    has_sheet, automatic = False, ""
    for kind, data in _records(stream):
        if kind == _SHEET and len(data) > 5:
            has_sheet |= data[5] == _MACRO_SHEET
        elif kind == _NAME and len(data) > 15:
            flags = int.from_bytes(data[:2], "little")
            if flags & _BUILT_IN:
                automatic = automatic or _AUTOMATIC.get(data[15], "")
            elif found := _AUTOMATIC_TEXT.search(data[14:].replace(b"\0", b"")):
                automatic = automatic or found[0].decode()
    return has_sheet, automatic


def automatic_name(names: bytes) -> str:
    """Return the first name in a text that makes macros run, empty if there is none."""
    found = _AUTOMATIC_TEXT.search(names)
    return found[0].decode() if found else ""


def _records(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Return the records of a workbook's first part, which has all names and sheets."""
    place = 0
    for _ in range(_MAX_RECORDS):
        if place + 4 > len(stream):
            return
        kind, size = struct.unpack_from("<HH", stream, place)
        yield kind, stream[place + 4 : place + 4 + size]
        if kind == _END:
            return
        place += 4 + size
