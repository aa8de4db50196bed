"""A client of milters, as an MTA is one: hands a message over, and says what the milter adds to its header.

fields = filter_message(port, message)     # [b"DKIM-Signature: v=1; ...\r\n"]
"""

import socket
import struct

_VERSION = 6
_ACTIONS = 0x1FF
_FINAL = b"acdrty"
_CHUNK_BYTES = 65_535


def filter_message(port: int, message: bytes) -> list[bytes]:
    """Return the fields that the milter on this port of loopback puts before a message from this host."""
    header, _, body = message.partition(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as link:
        _command(link, b"O", struct.pack("!III", _VERSION, _ACTIONS, 0))
        _command(link, b"C", b"localhost\0" + b"4" + struct.pack("!H", 25) + b"127.0.0.1\0")
        _command(link, b"H", b"localhost\0")
        _command(link, b"M", b"<sender@example.org>\0")
        _command(link, b"R", b"<recipient@example.net>\0")
        _command(link, b"T", b"")
        for field in header.replace(b"\r\n\t", b"\n\t").replace(b"\r\n ", b"\n ").split(b"\r\n"):
            name, _, value = field.partition(b":")
            # Without the option for leading blanks, the first one is not handed over.
            _command(link, b"L", name + b"\0" + value.removeprefix(b" ") + b"\0")
        _command(link, b"N", b"")
        for start in range(0, len(body), _CHUNK_BYTES):
            _command(link, b"B", body[start : start + _CHUNK_BYTES])
        added = _command(link, b"E", b"")
        link.sendall(_packet(b"Q", b""))
    return added


def _packet(command: bytes, data: bytes) -> bytes:
    return struct.pack("!I", len(data) + 1) + command + data


def _command(link: socket.socket, command: bytes, data: bytes) -> list[bytes]:
    link.sendall(_packet(command, data))
    added: list[bytes] = []
    while True:
        (size,) = struct.unpack("!I", _read(link, 4))
        answer = _read(link, size)
        kind, rest = answer[:1], answer[1:]
        if kind in (b"h", b"i"):
            name, value, _ = rest[4 if kind == b"i" else 0 :].split(b"\0")
            added.insert(0, name + b": " + value.replace(b"\n", b"\r\n") + b"\r\n")
        elif kind == b"O" or kind in (b"c", b"a"):
            return added
        else:
            assert kind not in _FINAL, f"the milter answered {answer!r} to {command!r}"


def _read(link: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = link.recv(count - len(data))
        assert part, "the milter closed the connection"
        data += part
    return data
