"""The PROXY v2 parser."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.proxy import FIXED_BYTES, SIGNATURE, Proxied, ProxyError, announced_length, parse, plain_address


def header(first: int, family: int, body: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + bytes([first, family]) + struct.pack("!H", len(body) if length is None else length) + body


IPV4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4711, 25)
IPV6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack("!HH", 4712, 25)
MAPPED = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.7") * 2 + struct.pack("!HH", 4713, 25)


@pytest.mark.parametrize(
    "octets, expected",
    [
        (header(0x21, 0x11, IPV4), Proxied("192.0.2.7", 4711)),
        (header(0x21, 0x11, IPV4 + b"\x03\x00\x04abcd"), Proxied("192.0.2.7", 4711)),
        (header(0x21, 0x21, IPV6), Proxied("2001:db8::7", 4712)),
        (header(0x21, 0x21, MAPPED), Proxied("192.0.2.7", 4713)),
        (header(0x20, 0x00, b""), None),
        (header(0x20, 0x11, IPV4), None),
        (header(0x21, 0x00, b""), None),
    ],
)
def test_a_header_names_the_client(octets: bytes, expected: Proxied | None) -> None:
    assert parse(octets) == expected


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        SIGNATURE,
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 25\r\n",
        header(0x11, 0x11, IPV4),
        header(0x22, 0x11, IPV4),
        header(0x21, 0x12, IPV4),
        header(0x21, 0x31, b"x" * 216),
        header(0x21, 0x11, IPV4[:-1]),
        header(0x21, 0x11, IPV4, 5000),
        header(0x21, 0x11, IPV4, 13),
        header(0x21, 0x11, b""),
    ],
)
def test_anything_else_is_refused(octets: bytes) -> None:
    with pytest.raises(ProxyError):
        parse(octets)


@given(st.binary(max_size=300), st.booleans())
def test_no_octets_break_the_parser(octets: bytes, signed: bool) -> None:
    octets = (SIGNATURE if signed else b"") + octets
    try:
        length = announced_length(octets[:FIXED_BYTES])
        parse(octets[: FIXED_BYTES + length])
    except ProxyError:
        pass


def test_addresses_are_plain() -> None:
    assert plain_address("::ffff:192.0.2.1") == "192.0.2.1"
    assert plain_address("fe80::1%eth0") == "fe80::1"
    assert plain_address("192.0.2.1") == "192.0.2.1"
