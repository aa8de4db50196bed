"""A session with one host of a next hop: connect, greeting, EHLO or LHLO, STARTTLS (I/O).

Input: a `Target`, this host's name, deadlines. Output: `Session`, ready for transactions.
Standards: RFC 5321 §3.1, §3.2 and §4.5.3.2 (timeouts), RFC 3207, RFC 8314 (implicit TLS), RFC 2033 (LMTP).
On failure: HopUnreachable, always temporary: a host that greets with 5xx refuses us, not this message, and mail must
not bounce because its own server is being rebuilt. The lifetime of the message ends it.
"""

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from services.delivery.client.lines import Extensions, read_extensions
from services.delivery.client.replies import HopReply
from services.delivery.client.wire import Wire, WireLost
from services.delivery.tls.context import opportunistic_context
from shared.reply import Reply

# RFC 5321 §4.5.3.2 gives five minutes for most; deliberately less, since no delivery may be held over four altogether.
STEP_S = 60.0


class Speech(StrEnum):
    """How a host is spoken to."""

    SMTP = "smtp"
    SMTPS = "smtps"
    LMTP = "lmtp"


@dataclass(frozen=True, slots=True)
class Target:
    """One address to connect to. host: its name, for TLS and trace. path: a unix socket instead of address and port."""

    speech: Speech
    host: str
    address: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return self.path
        address = f"[{self.address}]:{self.port}"
        return address if self.host == self.address else f"{self.host} {address}"


class HopUnreachable(Exception):
    """No session came about. reply: what the host said, if it said anything."""

    def __init__(self, target: Target, reason: str, reply: Reply | None = None) -> None:
        super().__init__(f"{target}: {reason}")
        self.target = target
        self.reply = reply


@dataclass(slots=True)
class Session:
    """An open session. transactions: how many it has carried. needs_reset: the last one was left half-way.

    refused: recipients that were refused on it when it was asked for them.
    """

    wire: Wire
    target: Target
    offered: Extensions
    tls: str | None
    transactions: int = 0
    needs_reset: bool = False
    refused: int = 0


async def open_session(
    target: Target, our_name: str, connect_timeout_s: float, deadline: float, source_address: str | None = None
) -> Session:
    """Return a session that has said EHLO (or LHLO), over TLS where offered. Raises HopUnreachable.

    deadline: loop time at which all of it must be done. source_address: whence to connect; for its own IP version only.
    """
    wire = await _connect(target, connect_timeout_s, deadline, source_address)
    try:
        return await _greet(wire, target, our_name, deadline)
    except WireLost as error:
        said = wire.rest()
        raise HopUnreachable(target, str(error), said[0].as_reply() if said else None) from None
    except BaseException:
        wire.abort("given up")
        raise


async def _connect(target: Target, timeout_s: float, deadline: float, source_address: str | None) -> Wire:
    loop = asyncio.get_running_loop()
    wire = Wire(loop)
    context = opportunistic_context() if target.speech is Speech.SMTPS else None
    same_version = source_address is not None and (":" in source_address) == (":" in target.address)
    try:
        async with asyncio.timeout_at(min(deadline, loop.time() + timeout_s)):
            if target.path:
                await loop.create_unix_connection(lambda: wire, target.path)
            else:
                # The address that was checked, not the name: another look-up could say something else.
                await loop.create_connection(
                    lambda: wire,
                    target.address,
                    target.port,
                    ssl=context,
                    server_hostname=(target.host or target.address) if context else None,
                    local_addr=(source_address, 0) if source_address is not None and same_version else None,
                )
    except TimeoutError:
        wire.abort("given up")
        raise HopUnreachable(target, f"no connection within {timeout_s:g} s") from None
    except OSError as error:  # ssl.SSLError is one
        raise HopUnreachable(target, f"cannot connect: {error}") from None
    return wire


async def _greet(wire: Wire, target: Target, our_name: str, deadline: float) -> Session:
    greeting = (await wire.replies(1, _step(deadline)))[0]
    if greeting.code != 220:
        raise _refused(wire, target, "greeting", greeting)
    offered = await _hello(wire, target, our_name, deadline)
    if offered.starttls and target.speech is not Speech.SMTPS:
        await _start_tls(wire, target, deadline)
        # RFC 3207 §4.2: what was said before TLS is forgotten, so EHLO again.
        offered = await _hello(wire, target, our_name, deadline)
    return Session(wire, target, offered, wire.tls_name())


async def _hello(wire: Wire, target: Target, our_name: str, deadline: float) -> Extensions:
    verb = "LHLO" if target.speech is Speech.LMTP else "EHLO"
    reply = await _ask(wire, f"{verb} {our_name}\r\n", deadline)
    if reply.code == 250:
        return read_extensions(reply.lines)
    if reply.code >= 500 and target.speech is not Speech.LMTP and wire.tls_name() is None:
        # RFC 5321 §3.2: a server that does not know EHLO is greeted with HELO.
        older = await _ask(wire, f"HELO {our_name}\r\n", deadline)
        if older.code == 250:
            return Extensions()
    raise _refused(wire, target, verb, reply)


async def _start_tls(wire: Wire, target: Target, deadline: float) -> None:
    reply = await _ask(wire, "STARTTLS\r\n", deadline)
    if reply.code != 220:
        raise _refused(wire, target, "STARTTLS", reply)
    await wire.start_tls(opportunistic_context(), target.host or target.address or "localhost", _step(deadline))


async def _ask(wire: Wire, line: str, deadline: float) -> HopReply:
    wire.write(line.encode())
    return (await wire.replies(1, _step(deadline)))[0]


def _refused(wire: Wire, target: Target, to_what: str, answer: HopReply) -> HopUnreachable:
    reply = answer.as_reply()
    wire.quit()
    return HopUnreachable(target, f"{to_what} answered {reply}", reply)


def _step(deadline: float) -> float:
    return min(deadline, asyncio.get_running_loop().time() + STEP_S)
