"""What proves that a clamd reports what it could not look into (PURE).

By default clamd says OK to whatever goes beyond its limits, or is locked with a password. Two small harmless files
tell: one with more layers than any clamd unpacks (MaxRecursion is 100 at the most), and an archive that is marked as
locked.
Input: none. Output: the files; what to set in clamd.conf where clamd says OK to one. Standard: RFC 1952 (gzip); the
zip format's general purpose flag, bit 0.
"""

import gzip
import struct
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

_LAYERS = 120
_TEXT = b"Gatepost asks whether clamd reports what it could not look into.\n"
_LOCKED = 0x0001


@cache
def proofs() -> Mapping[str, bytes]:
    """Return the files by the setting of clamd.conf that each proves."""
    return MappingProxyType({"AlertExceedsMax": _nested(), "AlertEncryptedArchive": _locked()})


def _nested() -> bytes:
    data = _TEXT
    for _ in range(_LAYERS):
        data = gzip.compress(data, mtime=0)
    return data


def _locked() -> bytes:
    """Return a zip archive of one stored file that claims to be encrypted; there is no password to it."""
    name, body = b"locked.txt", bytes(range(12)) + _TEXT
    # Version 2.0; flags; stored; no time; CRC; both sizes; lengths of the name and of what is extra.
    entry = struct.pack("<HHHHHLLLHH", 20, _LOCKED, 0, 0, 0x21, 0, len(body), len(_TEXT), len(name), 0)
    local = b"PK\x03\x04" + entry + name + body
    central = b"PK\x01\x02" + struct.pack("<H", 20) + entry + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end
