"""Ids of messages, refused sessions and events (PURE but for the two entropy sources of `new_id`).

Output: a UUIDv7 (RFC 9562 §5.7) as 26 lower-case characters of Crockford base32, sortable by time.
On failure: `parse_id` and `id_time` raise ValueError naming what is wrong.
"""

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_VALUES = {char: value for value, char in enumerate(_ALPHABET)}
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_LENGTH = 26
# Ten characters are 50 bits: two zeros, and the 48 bits of the time. Python's own base 32 has other letters.
_TIME_LENGTH = 10
_CHARS = frozenset(_ALPHABET)
# The character behind them: the version and one bit more.
_VERSION_7 = "ef"
_TO_PYTHON = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")


def make_id(unix_ms: int, random_bits: int) -> str:
    """Return the id of a moment (milliseconds since 1970) with 74 random bits."""
    if not 0 <= unix_ms < 1 << 48:
        raise ValueError(f"time out of range: {unix_ms} ms")
    random_a = (random_bits >> 62) & 0xFFF
    random_b = random_bits & ((1 << 62) - 1)
    # RFC 9562 §5.7: 48 bits of time, version 7, 12 random bits, variant 10, 62 random bits.
    value = unix_ms << 80 | 0x7 << 76 | random_a << 64 | 0b10 << 62 | random_b
    return "".join([_PAIRS[(value >> shift) & 0x3FF] for shift in range(120, -1, -10)])


def new_id() -> str:
    """Return a fresh id."""
    return make_id(time.time_ns() // 1_000_000, secrets.randbits(74))


def parse_id(text: str) -> str:
    """Return the id in its canonical form, or raise ValueError.

    text: any case; `i`, `l` read as 1 and `o` as 0, as Crockford's base32 allows.
    """
    canonical = text.strip().lower().translate(str.maketrans("ilo", "110"))
    if len(canonical) != _LENGTH or any(char not in _VALUES for char in canonical) or canonical[0] > "7":
        raise ValueError(f"not an id: {text[:40]!r} (26 characters of Crockford base32 are expected)")
    return canonical


def id_time(identifier: str) -> float:
    """Return the moment of an id in its canonical form, Unix seconds. Raises ValueError for what is none."""
    # The version makes it sure: a name of another form is not taken for a time.
    if len(identifier) != _LENGTH or not _CHARS.issuperset(identifier) or identifier[_TIME_LENGTH] not in _VERSION_7:
        raise ValueError(f"not an id: {identifier[:40]!r}")
    return int(identifier[:_TIME_LENGTH].translate(_TO_PYTHON), 32) / 1000


def id_bits(identifier: str) -> int:
    """Return the 128 bits of an id in its canonical form. Raises ValueError for what is none."""
    id_time(identifier)
    return int(identifier.translate(_TO_PYTHON), 32)
