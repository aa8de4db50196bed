"""The parsers of the PROXY header, versions 1 and 2."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.proxied import Proxied, ProxyError
from services.edge.proxy import header_length, parse
from services.edge.proxy_v1 import LINE_LIMIT
from services.edge.proxy_v2 import FIXED_BYTES, LENGTH_LIMIT, SIGNATURE


def header(first: int, family: int, body: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + bytes([first, family]) + struct.pack("!H", len(body) if length is None else length) + body


IPV4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("10.0.0.1") + struct.pack("!HH", 4711, 25)
IPV6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") * 2 + struct.pack("!HH", 4712, 25)
MAPPED = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.7") * 2 + struct.pack("!HH", 4713, 25)
# The checksum of exactly this header, reckoned with another program (§2.2.3, RFC 3720 appendix B.4).
SUMMED = header(0x21, 0x11, IPV4 + b"\x03\x00\x04" + bytes(4))


def v4(source: str = "192.0.2.7", port: int = 4711, target_port: int = 25) -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton("10.0.0.1")
    return header(0x21, 0x11, addresses + struct.pack("!HH", port, target_port))


GOOD = [
    (v4(), Proxied("192.0.2.7", 4711)),
    (header(0x21, 0x11, IPV4 + b"\x04\x00\x04abcd\x04\x00\x00"), Proxied("192.0.2.7", 4711)),
    (header(0x21, 0x21, IPV6), Proxied("2001:db8::7", 4712)),
    (header(0x21, 0x21, MAPPED), Proxied("192.0.2.7", 4713)),
    (header(0x20, 0x00, b""), None),
    (header(0x20, 0x11, IPV4), None),
    (header(0x20, 0xFF, b"whatever"), None),
    (header(0x21, 0x00, b""), None),
    (header(0x20, 0x00, b"x" * LENGTH_LIMIT), None),
    (b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 25\r\n", Proxied("192.0.2.7", 4711)),
    (b"PROXY TCP6 2001:DB8::7 2001:db8::1 4711 25\r\n", Proxied("2001:db8::7", 4711)),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 65535 1\r\n", Proxied("192.0.2.7", 65_535)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f...f:ffff whatever 65535\r\n", None),
    (b"PROXY UNKNOWN " + b"x" * (LINE_LIMIT - 16) + b"\r\n", None),
]


@pytest.mark.parametrize("octets, expected", GOOD)
def test_a_header_names_the_client(octets: bytes, expected: Proxied | None) -> None:
    assert parse(octets) == expected


@pytest.mark.parametrize("octets, _", GOOD)
@pytest.mark.parametrize("behind", [b"", b"\r\n", b"EHLO x\r\n", b"PROXY UNKNOWN\r\n", SIGNATURE, b"\0"])
def test_a_header_ends_where_it_ends_whatever_stands_behind_it(octets: bytes, behind: bytes, _: Proxied | None) -> None:
    assert header_length(octets + behind) == len(octets)
    assert all(header_length(octets[:cut]) is None for cut in range(len(octets)))


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO client.test\r\n",
        b"\r\n\r\n\x00\r\nQUIX",
        b"\n",
        b"\x16\x03\x01",
        header(0x11, 0x11, IPV4),
        header(0x21, 0x11, IPV4, LENGTH_LIMIT + 1),
        b"PROXZ",
        b"PROXYTCP4 192.0.2.7 10.0.0.1 1 25\r\n",
        b"proxy TCP4 192.0.2.7 10.0.0.1 1 25\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 1 25\n",
        b"PROXY TCP4 192.0.2.7\r 10.0.0.1 1 25\r\n",
        b"PROXY UNKNOWN\r\r\n",
        b"PROXY UNKNOWN " + b"x" * (LINE_LIMIT - 15) + b"\r\n",
        b"PROXY " + b"x" * LINE_LIMIT,
    ],
)
def test_what_can_be_no_header_is_refused_without_waiting_for_more(octets: bytes) -> None:
    with pytest.raises(ProxyError):
        header_length(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"PROXY",
        SIGNATURE,
        header(0x22, 0x11, IPV4),
        header(0x21, 0x12, IPV4),
        header(0x21, 0x31, b"x" * 216),
        header(0x21, 0x11, IPV4[:-1]),
        header(0x21, 0x11, IPV4, 13),
        header(0x21, 0x11, b""),
        header(0x21, 0x21, IPV4),
        header(0x21, 0x11, IPV4 + b"\x04"),
        header(0x21, 0x11, IPV4 + b"\x04\x00"),
        header(0x21, 0x11, IPV4 + b"\x04\x00\x05abcd"),
        header(0x21, 0x11, IPV4 + b"\x03\x00\x04abcd"),
        header(0x21, 0x11, IPV4 + b"\x03\x00\x02ab"),
        v4(port=0),
        v4(target_port=0),
        v4("0.0.0.0"),
        v4("224.0.0.1"),
        v4() + b"EHLO x\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 25 \r\n",
        b"PROXY TCP4 192.0.2.7  10.0.0.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7\t10.0.0.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.07 10.0.0.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2 10.0.0.1 4711 25\r\n",
        b"PROXY TCP4 3221225991 10.0.0.1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.256 10.0.0.1 4711 25\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 4711 25\r\n",
        b"PROXY TCP6 192.0.2.7 10.0.0.1 4711 25\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 04711 25\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 +4711 25\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 0 25\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 4711 0\r\n",
        b"PROXY TCP4 192.0.2.7 10.0.0.1 65536 25\r\n",
        b"PROXY TCP4 0.0.0.0 10.0.0.1 4711 25\r\n",
        "PROXY TCP4 192.0.2.7 10.0.0.1 471\u00b9 25\r\n".encode("latin-1"),
        b"PROXY UDP4 192.0.2.7 10.0.0.1 4711 25\r\n",
        b"PROXY UNKNOWNX\r\n",
        b"PROXY UNKNOWN \0\r\n",
        b"PROXY UNKNOWN\r\nEHLO x\r\n",
    ],
)
def test_anything_else_is_refused(octets: bytes) -> None:
    with pytest.raises(ProxyError):
        parse(octets)


def test_a_checksum_that_fits_is_taken() -> None:
    summed = SUMMED[:-4] + bytes.fromhex("e2a0c6a8")
    assert parse(summed) == Proxied("192.0.2.7", 4711)
    with pytest.raises(ProxyError, match="checksum"):
        parse(SUMMED)


_TEXT = st.lists(
    st.sampled_from(
        [*(b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b" ", b"192.0.2.7", b"::1", b"0", b"25", b"65536", b"\r", b"\n")]
    ),
    max_size=14,
).map(b"".join)
_BINARY = st.builds(
    lambda start, rest: SIGNATURE + start + rest,
    st.sampled_from([b"\x21\x11\x00", b"\x21\x21\x00", b"\x20\x00\x00", b"\x21\x11\x0f", b""]),
    st.binary(max_size=200),
)


@given(st.binary(max_size=300) | _TEXT | _BINARY)
def test_no_octets_break_the_parser_and_it_is_sure_of_the_end(octets: bytes) -> None:
    try:
        length = header_length(octets)
    except ProxyError:
        with pytest.raises(ProxyError):
            parse(octets)
        return
    if length is None:
        assert len(octets) < max(LINE_LIMIT, FIXED_BYTES + LENGTH_LIMIT)
        return
    # The same end, however much has come; and nothing shorter or longer is a header.
    assert all(header_length(octets[:cut]) is None for cut in range(length))
    try:
        client = parse(octets[:length])
    except ProxyError:
        return
    assert client is None or 1 <= client.port <= 65_535
    for wrong in (octets[: length - 1], octets[:length] + b"\r\n"):
        with pytest.raises(ProxyError):
            parse(wrong)
