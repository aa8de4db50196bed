"""Our zone files, our resolver and our test server against BIND: the same zone must give the same answers."""

import asyncio
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from shared.dns.answer import Answer
from shared.dns.resolver import CachingResolver
from tests.dnsserver import DnsServer

pytestmark = pytest.mark.skipif(shutil.which("named") is None, reason="needs BIND (Debian: bind9)")

ZONE = """$ORIGIN gatepost.test.
$TTL 600
@           SOA   ns hostmaster 1 3600 600 86400 120
@           NS    ns
@           MX    10 mx
@           MX    20 MX2.Other.test.
@           TXT   "v=spf1 " "mx -all"
ns          A     192.0.2.53
mx          A     192.0.2.1
mx          A     192.0.2.2
mx          AAAA  2001:db8::1
_25._tcp.mx TLSA  3 1 1 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
null        MX    0 .
www         CNAME mx
chain       CNAME www
gone        CNAME nothing
*.wild      TXT   "any"
*.wild      MX    5 mx
host.wild   A     192.0.2.7
a.b.c       A     192.0.2.8
*.alias     CNAME mx
a.*.empty   TXT   "below"
1           PTR   Mx.gatepost.test.
quoted      TXT   "a;b \\"c\\" \\255"
"""
LABELS = [
    "", "ns.", "mx.", "www.", "chain.", "gone.", "null.", "1.", "quoted.", "nothing.", "below.mx.", "_tcp.mx.",
    "_25._tcp.mx.", "wild.", "x.wild.", "y.x.wild.", "host.wild.", "x.host.wild.", "*.wild.", "c.", "b.c.", "a.b.c.",
    "x.b.c.", "alias.", "x.alias.", "y.x.alias.", "x.empty.", "empty.", "a.x.empty.", "MX.",
]  # fmt: skip
RDTYPES = ["A", "AAAA", "MX", "TXT", "PTR", "CNAME", "TLSA", "NS", "SOA"]

CONFIG = """
options {{
    directory "{folder}"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    pid-file none; session-keyfile none; recursion yes; dnssec-validation no;
}};
controls {{ }};
zone "gatepost.test" {{ type primary; file "gatepost.test.zone"; }};
"""


def free_port() -> int:
    """A port of loopback that is free for UDP and TCP alike."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@asynccontextmanager
async def bind(folder: Path) -> AsyncIterator[str]:
    port = free_port()
    (folder / "named.conf").write_text(CONFIG.format(folder=folder, port=port))
    process = await asyncio.create_subprocess_exec(
        "named", "-g", "-n", "1", "-c", str(folder / "named.conf"), stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    log = b""
    try:
        async with asyncio.timeout(20):
            while not log.rstrip().endswith(b" running"):
                line = await process.stderr.readline()
                log += line
                assert line, log.decode()
        yield f"127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        # What it still logs is read off, so that it cannot block.
        await process.stderr.read()
        await process.wait()


def questions() -> Iterator[tuple[str, str]]:
    return ((f"{label}gatepost.test", rdtype) for label in LABELS for rdtype in RDTYPES)


async def told_by(resolver: CachingResolver) -> dict[tuple[str, str], tuple[bool, list[str]]]:
    """Return what a resolver says. One question at a time: hundreds at once look like silence on a busy machine."""
    answers = {question: await resolver.lookup(*question) for question in questions()}
    await resolver.close()
    return {question: _gist(answer) for question, answer in answers.items()}


def _gist(answer: Answer) -> tuple[bool, list[str]]:
    return answer.exists, sorted(map(repr, answer.records))


async def test_a_zone_file_a_test_server_and_bind_tell_the_same(tmp_path: Path) -> None:
    zone_file = tmp_path / "gatepost.test.zone"
    zone_file.write_text(ZONE)
    async with bind(tmp_path) as address, DnsServer(ZONE) as server:
        by_bind = await told_by(CachingResolver([address], timeout_s=10))
        by_file = await told_by(CachingResolver([], [zone_file]))
        by_server = await told_by(CachingResolver([server.address], timeout_s=10))
    assert by_file == by_bind
    assert by_server == by_bind
