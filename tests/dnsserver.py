"""A real DNS server for tests, the demo and benchmarks: UDP and TCP on loopback, with faults on demand.

Input: a master file's text, with or without $ORIGIN lines (names are absolute until the first), or a dict
{"example.test": {"A": "192.0.2.1", "TXT": ["v=spf1 -all"], "MX": "10 mx.example.test."}}.
It answers like a recursive nameserver to which nothing else exists: what it does not hold is NXDOMAIN.

    async with DnsServer(zone) as server:
        resolver = CachingResolver([server.address])
        server.fail("example.test", "TXT", Fault.SERVFAIL)
        server.count("example.test", "TXT")

As a process: python -m tests.dnsserver --zone FILE --port N
"""

import argparse
import asyncio
import contextlib
import re
import signal
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import TracebackType

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from dns.message import Message, QueryMessage
from dns.rdataset import Rdataset
from dns.rdatatype import RdataType

from shared.dns.records import host, wire_name
from shared.dns.zonefile import Zone, parse_zone

Records = Mapping[str, Mapping[str, str | Sequence[str]]]
Key = tuple[str, str]

_NEGATIVE_SOA = "ns.test. hostmaster.test. 1 3600 600 86400 60"
_MAX_KEPT_ANSWERS = 50_000


class Fault(StrEnum):
    """What the server does to a question instead of answering it."""

    SERVFAIL = "servfail"
    REFUSED = "refused"
    TIMEOUT = "timeout"  # no answer at all
    TRUNCATED = "truncated"  # over UDP empty with TC set, the true answer over TCP
    TRUNCATED_DEAD_TCP = "truncated-dead-tcp"  # as before, but TCP is closed without an answer
    WRONG_ID = "wrong-id"
    WRONG_QUESTION = "wrong-question"
    MALFORMED = "malformed"
    REFERRAL = "referral"  # a server that does not recurse
    LOOP = "loop"  # two names that are aliases of each other


class DnsServer:
    """Serves one set of records until the context is left. secure: sets the AD bit, as a validating resolver does."""

    def __init__(
        self, zone: str | Records = "", *, secure: bool = False, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.secure = secure
        self.queries: Counter[Key] = Counter()
        self.tcp_queries: Counter[Key] = Counter()
        self._text, self._lines = _text_of(zone), list[str]()
        self._zone = self._parsed()
        self._faults: dict[Key, Fault] = {}
        self._kept: dict[bytes, tuple[Key, bytes]] = {}
        self._waiters: list[tuple[Key, int, asyncio.Future[None]]] = []
        self._sessions: set[asyncio.Task[None]] = set()
        self._host, self._port = host, port
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """Where it listens, as in [dns] nameservers."""
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"

    @property
    def port(self) -> int:
        """The port of both UDP and TCP."""
        return self._port

    def add(self, name: str, rdtype: str, *values: str, ttl_s: int = 300) -> None:
        """Add records, TXT values as plain text of any length."""
        self._lines += [f"{name.rstrip('.')}. {ttl_s} IN {rdtype} {_value(rdtype, value)}" for value in values]
        self._zone = self._parsed()
        self._kept.clear()

    def replace(self, zone: str | Records) -> None:
        """Hold other records from now on."""
        self._text, self._lines = _text_of(zone), []
        self._zone = self._parsed()
        self._kept.clear()

    def fail(self, name: str, rdtype: str, fault: Fault) -> None:
        """Answer this question with a fault, until heal(). "*" means every name, "*.a.test" those below a.test."""
        self._faults[name.rstrip(".").lower(), rdtype] = fault
        self._kept.clear()

    def heal(self) -> None:
        """End all faults."""
        self._faults.clear()

    def count(self, name: str, rdtype: str) -> int:
        """Return how often this was asked, over UDP and TCP."""
        key = (name.rstrip(".").lower(), rdtype)
        return self.queries[key] + self.tcp_queries[key]

    async def asked(self, name: str, rdtype: str, times: int = 1) -> None:
        """Wait until this has been asked so many times."""
        key = (name.rstrip(".").lower(), rdtype)
        if self.count(*key) < times:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append((key, times, waiter))
            await waiter

    async def __aenter__(self) -> "DnsServer":
        loop = asyncio.get_running_loop()
        for attempt in range(20):
            self._udp, _ = await loop.create_datagram_endpoint(lambda: _Udp(self), (self._host, self._port))
            port = self._udp.get_extra_info("sockname")[1]
            try:
                self._tcp = await asyncio.start_server(self._serve_tcp, self._host, port)
            except OSError:
                # The free UDP port that the kernel chose is taken for TCP: another try, unless the port was asked for.
                self._udp.close()
                if self._port or attempt == 19:
                    raise
                continue
            self._port = port
            break
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._udp is not None
        assert self._tcp is not None
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()
        for session in self._sessions:
            session.cancel()
        await asyncio.gather(*self._sessions, return_exceptions=True)

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._sessions.add(task)
        task.add_done_callback(self._sessions.discard)
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                reply = self.reply(await reader.readexactly(length), over_tcp=True)
                if reply is None:
                    break
                writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one packet over UDP."""
        reply = self.reply(data, over_tcp=False)
        if reply is not None and self._udp is not None:
            self._udp.sendto(reply, addr)

    def reply(self, packet: bytes, *, over_tcp: bool) -> bytes | None:
        """Return the reply packet, None for silence."""
        kept = self._kept.get(packet[2:])
        if kept is not None and not over_tcp:
            self._note(kept[0], over_tcp=False)
            return packet[:2] + kept[1]
        query = dns.message.from_wire(packet)
        assert isinstance(query, QueryMessage)
        key = (host(query.question[0].name), dns.rdatatype.to_text(query.question[0].rdtype))
        self._note(key, over_tcp=over_tcp)
        fault = self._fault(*key)
        if fault is not None:
            return self._faulty(fault, query, over_tcp=over_tcp)
        size = 65_535 if over_tcp else max(query.payload, 512)
        reply = self._truthful(query).to_wire(max_size=size, prefer_truncation=True)
        if not over_tcp and len(self._kept) < _MAX_KEPT_ANSWERS:
            self._kept[packet[2:]] = key, reply[2:]
        return reply

    def _fault(self, name: str, rdtype: str) -> Fault | None:
        labels = name.split(".")
        wild = (".".join(["*", *labels[start:]]) for start in range(1, len(labels) + 1))
        return next((self._faults[one, rdtype] for one in (name, *wild) if (one, rdtype) in self._faults), None)

    def _note(self, key: Key, *, over_tcp: bool) -> None:
        (self.tcp_queries if over_tcp else self.queries)[key] += 1
        for waiter in [waiter for waiter in self._waiters if self.count(*waiter[0]) >= waiter[1]]:
            self._waiters.remove(waiter)
            if not waiter[2].done():
                waiter[2].set_result(None)

    def _truthful(self, query: QueryMessage) -> Message:
        reply = dns.message.make_response(query, recursion_available=True)
        name, rdtype = host(query.question[0].name), dns.rdatatype.to_text(query.question[0].rdtype)
        match = self._zone.find(name, rdtype)
        for _ in range(20):
            if match.rdataset is None:
                break
            reply.answer.append(dns.rrset.from_rdata_list(wire_name(name), match.rdataset.ttl, list(match.rdataset)))
            if not match.is_alias:
                break
            name = host(match.rdataset[0].target)
            match = self._zone.find(name, rdtype)
        if match.rdataset is None:
            reply.set_rcode(dns.rcode.NOERROR if match.exists else dns.rcode.NXDOMAIN)
            reply.authority.append(self._soa(name))
        if self.secure:
            reply.flags |= dns.flags.AD
        return reply

    def _soa(self, name: str) -> dns.rrset.RRset:
        """Return the SOA at or above the name, or else one of the root that lets negative answers live for 60 s."""
        while name:
            own = self._zone.sets.get(name, {}).get(RdataType.SOA)
            if own is not None:
                return dns.rrset.from_rdata_list(wire_name(name), own.ttl, list(own))
            name = name.partition(".")[2]
        return dns.rrset.from_text(wire_name(""), 60, "IN", "SOA", _NEGATIVE_SOA)

    def _faulty(self, fault: Fault, query: QueryMessage, *, over_tcp: bool) -> bytes | None:
        reply: Message = dns.message.make_response(query, recursion_available=True)
        question = query.question[0]
        match fault:
            case Fault.SERVFAIL | Fault.REFUSED:
                reply.set_rcode(dns.rcode.from_text(fault.name))
            case Fault.TIMEOUT:
                return None
            case Fault.TRUNCATED if over_tcp:
                reply = self._truthful(query)
            case Fault.TRUNCATED_DEAD_TCP if over_tcp:
                return None
            case Fault.TRUNCATED | Fault.TRUNCATED_DEAD_TCP:
                reply.flags |= dns.flags.TC
            case Fault.WRONG_ID:
                reply = self._truthful(query)
                reply.id = (query.id + 1) % 65_536
            case Fault.WRONG_QUESTION:
                other = dns.message.make_query(wire_name("other.test"), question.rdtype)
                other.id = query.id
                reply = dns.message.make_response(other)
            case Fault.MALFORMED:
                return self._truthful(query).to_wire()[:-3] + b"\xff"
            case Fault.REFERRAL:
                reply.flags &= ~dns.flags.RA
                reply.authority.append(dns.rrset.from_text(wire_name("test"), 60, "IN", "NS", "ns.test."))
            case Fault.LOOP:
                there, back = question.name.to_text(), "loop.test."
                reply.answer.append(dns.rrset.from_text(there, 60, "IN", RdataType.CNAME, back))
                reply.answer.append(dns.rrset.from_text(back, 60, "IN", RdataType.CNAME, there))
        return reply.to_wire()

    def _parsed(self) -> Zone:
        return _merged("\n".join([self._text, "$ORIGIN .", *self._lines]) + "\n")


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._server.datagram_received(data, addr)


def _merged(text: str) -> Zone:
    """Return one zone at the root with the records of all zones in the text; each begins with an $ORIGIN line."""
    sets: dict[str, dict[RdataType, Rdataset]] = {}
    ttl = ""
    for part in re.split(r"^(?=\$ORIGIN\s+\S*\.\s*$)", "$ORIGIN .\n" + text, flags=re.MULTILINE)[1:]:
        for owner, by_type in parse_zone(ttl + part, "the test server's records").sets.items():
            for rdtype, rdataset in by_type.items():
                merged = sets.setdefault(owner, {}).setdefault(rdtype, Rdataset(rdataset.rdclass, rdtype))
                for rdata in rdataset:
                    merged.add(rdata, rdataset.ttl)
        ttl = "".join(line + "\n" for line in re.findall(r"^\$TTL.*", ttl + part, re.MULTILINE)[-1:])
    return Zone("", sets)


def _text_of(zone: str | Records) -> str:
    return zone if isinstance(zone, str) else "\n".join(_master_lines(zone))


def _master_lines(records: Records) -> list[str]:
    lines: list[str] = []
    for name, by_type in records.items():
        for rdtype, values in by_type.items():
            several = [values] if isinstance(values, str) else values
            lines += [f"{name.rstrip('.')}. 300 IN {rdtype} {_value(rdtype, value)}" for value in several]
    return lines


def _value(rdtype: str, value: str) -> str:
    if rdtype != "TXT" or value.startswith('"'):
        return value
    # RFC 1035 §3.3: a string holds 255 octets, longer text is several strings.
    pieces = [value[start : start + 255] for start in range(0, len(value), 255)] or [""]
    return " ".join('"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces)


async def _serve(zone: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with DnsServer(zone, port=port) as server:
        print(server.address, flush=True)
        await stop.wait()


def main() -> None:
    """Serve a zone file until SIGINT or SIGTERM; print the address once it answers."""
    arguments = argparse.ArgumentParser(description="A DNS server for tests, the demo and benchmarks.")
    arguments.add_argument("--zone", type=Path, required=True, help="master file with absolute names")
    arguments.add_argument("--port", type=int, default=0, help="UDP and TCP port on 127.0.0.1 (0: any free one)")
    given = arguments.parse_args()
    # As in zone_files: without $ORIGIN the file's name gives the origin.
    text = given.zone.read_text("utf-8")
    origin = "" if "$ORIGIN" in text else f"$ORIGIN {given.zone.name.removesuffix('.zone')}.\n"
    asyncio.run(_serve(origin + text, given.port))


if __name__ == "__main__":
    main()
