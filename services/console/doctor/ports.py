"""Whether the services of this host listen where their settings say (I/O: sockets with a deadline).

Output: a finding per port; two services that want the same one are said, too, and so is a port at which something else
answers.
"""

import asyncio
import ssl
from collections.abc import Iterable
from ipaddress import ip_address

from services.console.doctor.beside import Beside, Socket
from services.console.doctor.finding import Finding, aside, good, wrong

_DEADLINE_S = 8.0
_ANSWER_BYTES = 1024
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 – as settings write it


async def ports(sockets: list[Socket], beside: Beside) -> list[Finding]:
    """Look at each socket."""
    hidden = [aside(f"ports of {service}", "its settings are not ours to read") for service in beside.hidden]
    return [*conflicts(sockets), *await asyncio.gather(*map(_look, sockets)), *hidden]


def conflicts(sockets: Iterable[Socket]) -> list[Finding]:
    """Return a finding for each port that two want (PURE)."""
    found = []
    known: list[Socket] = []
    for socket in sockets:
        for other in known:
            if other.port == socket.port and _overlap(other.address, socket.address):
                text = f"{socket.owner} and {other.owner} both want {socket.address}:{socket.port}"
                found.append(wrong("ports", text, "give one of them another port in its settings"))
        known.append(socket)
    return found


def _overlap(one: str, other: str) -> bool:
    return one == other or one in _EVERYWHERE or other in _EVERYWHERE


async def _look(socket: Socket) -> Finding:
    topic = f"port {socket.port}"
    where = f"{socket.owner} at {socket.address}:{socket.port}"
    address = _EVERYWHERE.get(socket.address, socket.address)
    try:
        ip_address(address)
        answer = await _greeting(socket.kind, address, socket.port)
    except (OSError, TimeoutError, ValueError) as error:
        return wrong(topic, f"{where}: {error or 'no answer'}", "start it; its log says why it does not listen")
    if not _is_ours(socket.kind, answer):
        text = f"{where} answers {answer[:80]!r}: that is not what should listen there"
        return wrong(topic, text, f"see who it is with: ss -ltnp 'sport = :{socket.port}'")
    return good(topic, f"{where} answers")


async def _greeting(kind: str, address: str, port: int) -> bytes:
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await _answer(kind, address, port)
    except TimeoutError:
        if kind != "smtp":
            raise
    # A listener with TLS from the start waits for us to speak; the policy, not the settings, says which they are.
    async with asyncio.timeout(_DEADLINE_S):
        return await _answer("tls", address, port)


async def _answer(kind: str, address: str, port: int) -> bytes:
    # Who it is, the certificates' findings say.
    context = ssl._create_unverified_context() if kind in ("tls", "web") else None  # noqa: S323, SLF001
    reader, writer = await asyncio.open_connection(address, port, ssl=context)
    try:
        if kind in ("health", "web"):
            path = "/healthz" if kind == "health" else "/login"
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read(_ANSWER_BYTES)
        if kind in ("smtp", "tls"):
            writer.write(b"QUIT\r\n")
        return answer
    finally:
        writer.close()


def _is_ours(kind: str, answer: bytes) -> bool:
    if kind in ("smtp", "tls"):
        # Greeting, or too busy, or not for us: all are ours.
        return answer.startswith((b"220 ", b"220-", b"421 ", b"554 ", b"550 ")) or not answer
    return answer.startswith(b"HTTP/1.1 ") or not answer
