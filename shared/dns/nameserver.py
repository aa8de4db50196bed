"""One nameserver: its address, and one question put to it over UDP, or TCP where the answer is too long.

Input: an address as in settings or /etc/resolv.conf; a query of dnspython. Output: its parsed response.
Standards: RFC 1035 §4.2, RFC 5452 (forgery), RFC 6891 (EDNS), RFC 7766 (TCP after truncation).
On failure: OSError, EOFError, Unusable or a DNSException. Has no deadline of its own.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path

import dns.flags
import dns.message
from dns.message import QueryMessage

from shared.dns.chain import Unusable
from shared.dns.records import wire_name

_PORT = 53
_MAX_PORT = 65_535
_HEADER_BYTES = 12
_QR = 0x80
_TC = 0x02

# The DNS flag day 2020 size: fits every path without fragments, which could be forged.
_UDP_PAYLOAD_BYTES = 1232
_RECEIVE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Nameserver:
    """Where a nameserver listens; is_local says that nobody else can stand between it and us."""

    ip: str
    port: int
    is_local: bool

    def __str__(self) -> str:
        return f"[{self.ip}]:{self.port}" if ":" in self.ip else f"{self.ip}:{self.port}"


def parse_nameserver(text: str) -> Nameserver:
    """Return the nameserver of "ip", "ip:port" or "[ipv6]:port". Raises ValueError."""
    ip, port = text, ""
    if text.startswith("["):
        ip, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        ip, _, port = text.partition(":")
    try:
        address = ipaddress.ip_address(ip)
        number = int(port) if port else _PORT
    except ValueError as error:
        raise ValueError(f'{text!r} is not a nameserver: write "ip", "ip:port" or "[ipv6]:port"') from error
    if not 0 < number <= _MAX_PORT:
        raise ValueError(f"{text!r} is not a nameserver: its port is out of range")
    return Nameserver(str(address), number, address.is_loopback)


def system_nameservers(path: Path = Path("/etc/resolv.conf")) -> list[str]:
    """Return the nameservers of this host's resolv.conf, if any. Its search list is deliberately not used."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    words = [line.split() for line in lines]
    return [word[1] for word in words if len(word) > 1 and word[0] == "nameserver"]


def new_query(name: str, rdtype: str) -> QueryMessage:
    """Return a query with an unpredictable id, which asks for recursion and for the AD bit (RFC 6840 §5.7)."""
    flags = dns.flags.RD | dns.flags.AD
    return dns.message.make_query(wire_name(name), rdtype, use_edns=0, payload=_UDP_PAYLOAD_BYTES, flags=flags)


async def exchange(server: Nameserver, query: QueryMessage) -> QueryMessage:
    """Return the server's response to the query, by UDP, and by TCP if it was truncated."""
    packet = query.to_wire()
    response = await _over_udp(server, query, packet)
    return response if response is not None else await _over_tcp(server, query, packet)


async def _over_udp(server: Nameserver, query: QueryMessage, packet: bytes) -> QueryMessage | None:
    """Return the response, or None if it was truncated."""
    family = socket.AF_INET6 if ":" in server.ip else socket.AF_INET
    # RFC 5452 §9.2: a fresh socket per query, so that the kernel picks a fresh port. It is connected, so that the
    # kernel drops what comes from elsewhere, and tells at once when nobody listens.
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.setblocking(False)
        udp.connect((server.ip, server.port))
        udp.send(packet)
        loop = asyncio.get_running_loop()
        while True:
            data = await loop.sock_recv(udp, _RECEIVE_BYTES)
            # RFC 5452 §9.1: what does not match the question is not an answer; go on waiting for the true one.
            if len(data) < _HEADER_BYTES or data[:2] != packet[:2] or not data[2] & _QR:
                continue
            if data[2] & _TC:
                return None
            response = _parse(data)
            if query.is_response(response):
                return response


async def _over_tcp(server: Nameserver, query: QueryMessage, packet: bytes) -> QueryMessage:
    reader, writer = await asyncio.open_connection(server.ip, server.port)
    try:
        writer.write(len(packet).to_bytes(2, "big") + packet)
        length = int.from_bytes(await reader.readexactly(2), "big")
        response = _parse(await reader.readexactly(length))
    finally:
        writer.close()
    if not query.is_response(response):
        raise Unusable("the answer over TCP is to another question")
    return response


def _parse(data: bytes) -> QueryMessage:
    response = dns.message.from_wire(data)
    if not isinstance(response, QueryMessage):
        raise Unusable("not the answer to a query")
    return response
