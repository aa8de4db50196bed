"""A next hop that does what a test tells it: an SMTP or LMTP server whose every reply can be scripted.

async with NextHop({"rcpt": ["250 ok", "550 5.1.1 no such user"], "data": [DISCONNECT]}) as hop:
    ...                      # hop.port, hop.said (commands), hop.mails (what it took), hop.connections, hop.until(…)

A script maps a moment (greeting, ehlo, helo, lhlo, starttls, mail, rcpt, data, in-data, message, rset, quit) to its steps,
taken in turn, of which the last repeats: a reply, `Last(reply)`, DISCONNECT, or HANG (silent until the test ends). After
421 it disconnects, too. `in-data` comes after the first line of the message, `message` where the final dot was read (in
LMTP once per recipient). `certificate` is a file with certificates and their key, of tests/certificates.py; `clients` one
with the authorities of the clients' certificates, of which `NextHop.client_names` notes the names.
"""

import asyncio
import contextlib
import datetime as dt
import ssl
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Act(Enum):
    """What it may do instead of replying."""

    DISCONNECT = auto()
    HANG = auto()


class Last(str):
    """A reply after which it disconnects."""

    __slots__ = ()


DISCONNECT = Act.DISCONNECT
HANG = Act.HANG
Step = str | Act
EXTENSIONS = ("PIPELINING", "SIZE 50000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES")
_DEFAULTS = {
    "greeting": "220 hop.example ESMTP",
    "helo": "250 hop.example",
    "starttls": "220 2.0.0 go ahead",
    "mail": "250 2.1.0 ok",
    "rcpt": "250 2.1.5 ok",
    "data": "354 go ahead",
    "in-data": "",
    "message": "250 2.0.0 taken as 4711",
    "rset": "250 2.0.0 ok",
    "quit": "221 2.0.0 bye",
}


@dataclass
class Mail:
    """One transaction that came to its end."""

    mail: str
    rcpts: list[str]
    message: bytes
    tls: bool


class _Gone(Exception):
    """The script ends the connection."""


@dataclass
class NextHop:
    """The server. tls: offers STARTTLS. implicit_tls: TLS from the first octet. pause_s: before each reply.

    after_tls: extensions that it offers over TLS alone. asked_for: the names that clients asked for (SNI).
    """

    script: Mapping[str, Sequence[Step]] = field(default_factory=dict)
    lmtp: bool = False
    extensions: Sequence[str] = EXTENSIONS
    tls: bool = False
    implicit_tls: bool = False
    path: str = ""
    pause_s: float = 0.0
    after_starttls: bytes = b""
    said: list[str] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    certificate: Path | None = None
    clients: Path | None = None
    client_names: list[str] = field(default_factory=list)
    asked_for: list[str | None] = field(default_factory=list)
    after_tls: Sequence[str] = ()
    address: str = "127.0.0.1"

    async def __aenter__(self) -> "NextHop":
        self._steps = {moment: list(steps) for moment, steps in self.script.items()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self.context = server_context()
        if self.certificate is not None:
            self.context = certified_context(self.certificate, self.clients)
            self.context.sni_callback = lambda _, name, __: self.asked_for.append(name)
        context = self.context if self.implicit_tls else None
        if self.path:
            self._server = await asyncio.start_unix_server(self._serve, self.path)
        else:
            self._server = await asyncio.start_server(self._serve, self.address, self.port, ssl=context)
            self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        self.note()
        try:
            with contextlib.suppress(_Gone, ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await _Conversation(self, reader, writer).hold()
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def until(self, holds: Callable[[], bool], deadline_s: float = 20) -> None:
        """Wait until something holds, looking whenever a client connects, says a command or hands over a mail."""
        async with asyncio.timeout(deadline_s):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def note(self) -> None:
        """Wake who waits in `until`."""
        self._changed.set()

    def step(self, moment: str) -> Step:
        """Return what to do at a moment."""
        steps = self._steps.get(moment)
        if not steps:
            return _DEFAULTS[moment]
        return steps.pop(0) if len(steps) > 1 else steps[0]


class _Conversation:
    def __init__(self, hop: NextHop, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._hop = hop
        self._reader = reader
        self._writer = writer
        self._tls = hop.implicit_tls
        self._mail: str | None = None
        self._rcpts: list[str] = []

    async def hold(self) -> None:
        await self._do("greeting")
        while True:
            line = (await self._reader.readuntil(b"\r\n"))[:-2].decode("utf-8", "surrogateescape")
            self._hop.said.append(line)
            self._hop.note()
            verb = line.split(" ", 1)[0].lower()
            if verb in ("ehlo", "lhlo"):
                await self._hello(verb)
            elif verb == "mail":
                self._mail, self._rcpts = (line, []) if (await self._do("mail")).startswith("2") else (None, [])
            elif verb == "rcpt":
                if self._mail is None:
                    await self._say("503 5.5.1 MAIL first")
                elif (await self._do("rcpt")).startswith("2"):
                    self._rcpts.append(line)
            elif verb == "data":
                await self._data()
            elif verb == "rset":
                self._mail, self._rcpts = None, []
                await self._do("rset")
            elif verb == "starttls":
                await self._starttls()
            elif verb == "quit":
                await self._do("quit")
                return
            elif verb == "helo":
                await self._do("helo")
            else:
                await self._say("500 5.5.2 what?")

    async def _hello(self, verb: str) -> None:
        if verb in self._hop.script:
            await self._do(verb)
            return
        names = [*self._hop.extensions, *(self._hop.after_tls if self._tls else ["STARTTLS"] if self._hop.tls else [])]
        lines = ["hop.example", *names]
        await self._say("\r\n".join(f"250{'-' if line is not lines[-1] else ' '}{line}" for line in lines))

    async def _starttls(self) -> None:
        reply = await self._do("starttls", also=self._hop.after_starttls)
        if reply.startswith("220"):
            await self._writer.start_tls(self._hop.context)
            self._tls = True
            shown = self._writer.get_extra_info("peercert")
            self._hop.client_names += [value for field in (shown or {}).get("subject", ()) for _, value in field]

    async def _data(self) -> None:
        if not self._rcpts and "data" not in self._hop.script:
            await self._say("503 5.5.1 RCPT first")
            return
        if not (await self._do("data")).startswith("354"):
            return
        message = b""
        while (line := await self._reader.readuntil(b"\r\n")) != b".\r\n":
            if not message:
                await self._do("in-data")
            message += line[1:] if line.startswith(b".") else line
        mail = Mail(self._mail or "", self._rcpts, message, self._tls)
        self._hop.mails.append(mail)
        self._hop.note()
        for _ in self._rcpts if self._hop.lmtp else [None]:
            await self._do("message")
        self._mail, self._rcpts = None, []

    async def _do(self, moment: str, also: bytes = b"") -> str:
        step = self._hop.step(moment)
        if step is DISCONNECT:
            raise _Gone
        if step is HANG:
            await asyncio.Event().wait()
        assert isinstance(step, str)
        if step:
            await self._say(step, also)
        if isinstance(step, Last) or step.startswith("421"):
            raise _Gone
        return step

    async def _say(self, reply: str, also: bytes = b"") -> None:
        if self._hop.pause_s:
            await asyncio.sleep(self._hop.pause_s)
        self._writer.write(reply.encode() + b"\r\n" + also)
        await self._writer.drain()


@lru_cache(maxsize=1)
def server_context() -> ssl.SSLContext:
    """Return a server's TLS with a self-signed certificate for hop.example."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hop.example")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hop.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hop.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context.load_cert_chain(file)
    return context


def certified_context(certificate: Path, clients: Path | None = None) -> ssl.SSLContext:
    """Return a server's TLS with a certificate of its own. clients: the authorities of clients' certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
