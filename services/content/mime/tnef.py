"""TNEF, the `winmail.dat` in which Outlook packs a message's attachments (PURE but for the budget).

Input: its bytes. Output: the attachments' names and contents, in a `Haul`. Standards: MS-OXTNEF §2.1 (attributes),
§2.1.3.4 (properties).
On failure: damage is ARCHIVE_UNREADABLE; what came before it is kept.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.content.mime.haul import Exceeded, Haul

SIGNATURE = b"\x78\x9f\x3e\x22"
_ATTRIBUTE = struct.Struct("<BII")
_ATTACHMENT_LEVEL = 2
_TITLE, _DATA, _BEGIN, _PROPERTIES = 0x00018010, 0x0006800F, 0x00069002, 0x00069005
_NAME_TAGS = frozenset({0x3707, 0x3704, 0x3001})
_DATA_TAG = 0x3701
_SIZES = {2: 4, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 10: 4, 11: 4, 20: 8, 64: 8, 72: 16}
_STRING8, _UNICODE, _OBJECT, _BINARY = 0x1E, 0x1F, 0x0D, 0x102
_MANY = 0x1000
_NAMED_FROM = 0x8000
_MAX_PROPERTIES = 10_000
# An object's content begins with the identity of its class.
_CLASS_BYTES = 16


class _Damaged(Exception):
    """It ends too early, or has what cannot be passed over."""


@dataclass(slots=True)
class _File:
    names: dict[str, None] = field(default_factory=dict)
    contents: list[bytes] = field(default_factory=list)


def open_tnef(content: bytes, haul: Haul) -> None:
    """Bring out the attachments of a winmail.dat."""
    files: list[_File] = []
    try:
        for level, attribute, data in _attributes(content):
            if level == _ATTACHMENT_LEVEL:
                if attribute == _BEGIN or not files:
                    files.append(_File())
                _note(files[-1], attribute, data)
    except _Damaged:
        haul.unreadable("an attachment of Outlook's own form is damaged")
    try:
        for file in files:
            for data in file.contents:
                haul.take(tuple(file.names), data)
    except Exceeded:
        pass


def _attributes(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    place = len(SIGNATURE) + 2
    while place < len(content):
        if place + _ATTRIBUTE.size > len(content):
            raise _Damaged
        level, attribute, size = _ATTRIBUTE.unpack_from(content, place)
        place += _ATTRIBUTE.size
        # Two bytes of checksum follow; programs do not insist on it.
        if place + size > len(content) or level not in (1, _ATTACHMENT_LEVEL):
            raise _Damaged
        yield level, attribute, content[place : place + size]
        place += size + 2


def _note(file: _File, attribute: int, data: bytes) -> None:
    if attribute == _TITLE:
        file.names.setdefault(data.split(b"\0", 1)[0].decode("cp1252", "replace"))
    elif attribute == _DATA:
        file.contents.append(data)
    elif attribute == _PROPERTIES:
        for tag, kind, value in _properties(data):
            if tag in _NAME_TAGS and kind in (_STRING8, _UNICODE):
                text = value.decode("utf-16-le" if kind == _UNICODE else "cp1252", "replace").rstrip("\0")
                # The long name is what programs show: it comes first.
                file.names = dict.fromkeys((text, *file.names)) if tag == 0x3707 else {**file.names, text: None}
            elif tag == _DATA_TAG and kind in (_BINARY, _OBJECT):
                file.contents.append(value[_CLASS_BYTES:] if kind == _OBJECT else value)


def _properties(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    reader = _Reader(data)
    for _ in range(min(reader.number(), _MAX_PROPERTIES)):
        kind, tag = struct.unpack("<HH", reader.take(4))
        if tag >= _NAMED_FROM:
            reader.take(16)
            if reader.number():
                reader.padded(reader.number())
            else:
                reader.take(4)
        plain = kind & ~_MANY
        if plain in _SIZES:
            for _ in range(reader.number() if kind & _MANY else 1):
                reader.take(_SIZES[plain])
        elif plain in (_STRING8, _UNICODE, _OBJECT, _BINARY):
            for _ in range(reader.number()):
                yield tag, plain, reader.padded(reader.number())
        else:
            raise _Damaged


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, size: int) -> bytes:
        end = self._place + size
        if end > len(self._data):
            raise _Damaged
        piece = self._data[self._place : end]
        self._place = end
        return piece

    def number(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def padded(self, size: int) -> bytes:
        piece = self.take(size)
        self._place += -size % 4
        return piece
