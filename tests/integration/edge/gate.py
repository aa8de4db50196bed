"""An edge on real sockets with a fake broker behind it, and a raw SMTP client.

async with gate(policy) as edge, edge.client("mx") as client: assert await client.say("NOOP") == "250 2.0.0 OK"
"""

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import argon2

from services.edge.auth.accounts import Accounts
from services.edge.auth.authenticator import Authenticator
from services.edge.auth.kerberos import Kerberos
from services.edge.auth.ports import Binds
from services.edge.defences import Defences
from services.edge.handler import EdgeHandler
from services.edge.handover import Handover
from services.edge.heartbeats import Heartbeats
from services.edge.limits import ByteBudget, Sessions
from services.edge.listeners import Listeners
from services.edge.recipients.ldap import Directory
from services.edge.settings import ListenerSettings
from services.edge.sockets import bind
from services.edge.verdicts import Verdicts
from shared.accounts import Account, AccountBook, encode_accounts
from shared.dns.resolver import CachingResolver
from shared.policy import Policy, SessionLimits, parse_policy
from shared.reply import Reply
from shared.rewriting.keys import RewritingKeys
from shared.scram import derive_keys
from shared.state.memory import MemoryState
from shared.state.open import OwnedState
from shared.verdict import Action
from shared.wire import Judgement, encode_judgement
from tests.fakes import FakeEvents, FakePublisher, FixedPolicy, Published

PASSWORD = "correct horse"
_QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
ACCOUNTS = (
    Account(
        "alice@ours.test",
        _QUICK.hash(PASSWORD),
        scram=str(derive_keys(PASSWORD, b"salt of alice", 4096)),
        cram_md5=PASSWORD,
    ),
    Account("gone@ours.test", _QUICK.hash(PASSWORD), disabled=True),
    Account("Robot", _QUICK.hash(PASSWORD), senders=("@ours.test",)),
)

POLICY = """
[domains."ours.test"]
route = "maildir:mail"
recipients = ["bob", "carol", "odd%name"]
[domains."any.test"]
route = "smtp://127.0.0.1:2500"
recipients = "any"
[destinations."smtp://127.0.0.1:2500"]
tls = "off"
[listeners.mx]
purpose = "inbound"
[listeners.chunked]
purpose = "inbound"
chunking = true
[listeners.submission]
purpose = "submission"
tls = "required"
auth = true
dsn = true
chunking = true
[listeners.submissions]
purpose = "submission"
tls = "implicit"
auth = true
dsn = true
[listeners.logins]
purpose = "submission"
tls = "implicit"
auth = true
mechanisms = ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "GSSAPI"]
[listeners.relay]
purpose = "relay"
dsn = true
[listeners.proxied]
purpose = "inbound"
proxy_from = ["127.0.0.0/8"]
[listeners.proxied-tls]
purpose = "inbound"
tls = "implicit"
proxy_from = ["127.0.0.0/8"]
[listeners.elsewhere-proxied]
purpose = "inbound"
proxy_from = ["192.0.2.0/24"]
"""
_PLAIN = (
    "mx",
    "chunked",
    "submission",
    "submissions",
    "logins",
    "relay",
    "proxied",
    "proxied-tls",
    "elsewhere-proxied",
)


def policy(extra: str = "") -> Policy:
    """Return the tests' policy with more tables."""
    return parse_policy(POLICY + extra)


def limited(edge: "Gate", extra: str = "", /, **limits: object) -> None:
    """Put other limits in force for everything and every listener, tables of a policy may come with them."""
    rules = policy(extra)
    of_listeners = {key: value for key, value in limits.items() if key in SessionLimits.model_fields}
    listeners = {
        name: listener.model_copy(update={"limits": listener.limits.model_copy(update=of_listeners)})
        for name, listener in rules.listeners.items()
    }
    edge.policy.policy = rules.model_copy(
        update={"limits": rules.limits.model_copy(update=limits), "listeners": listeners}
    )
    edge.budget.limit = edge.policy.policy.limits.in_flight_bytes


class Client:
    """A client that sends exactly what it is told."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, octets: bytes | str) -> None:
        self.writer.write(octets.encode() if isinstance(octets, str) else octets)
        with contextlib.suppress(ConnectionError):
            await self.writer.drain()

    async def reply(self) -> str:
        """Return the next reply, several lines joined; empty when the server has closed."""
        lines: list[str] = []
        async with asyncio.timeout(20):
            while True:
                try:
                    line = await self.reader.readline()
                except ConnectionError:
                    return ""
                lines.append(line.decode().rstrip("\r\n"))
                if not line or line[3:4] != b"-":
                    return "\n".join(lines)

    async def say(self, line: str | bytes) -> str:
        """Send a line and return the reply."""
        await self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    async def hello(self) -> str:
        assert (await self.reply()).startswith("220 ")
        return await self.say("EHLO client.test")

    async def begin(self, recipient: str = "bob@ours.test", sender: str = "x@away.test") -> None:
        """Go on to where DATA or BDAT is the next command."""
        await self.hello()
        assert (await self.say(f"MAIL FROM:<{sender}>")).startswith("250")
        assert (await self.say(f"RCPT TO:<{recipient}>")).startswith("250")

    async def asks_for(self, recipient: str) -> str:
        """Say hello and MAIL, and return what is said of a recipient."""
        await self.hello()
        assert (await self.say("MAIL FROM:<x@away.test>")).startswith("250")
        return await self.say(f"RCPT TO:<{recipient}>")

    async def mail(self, message: bytes, recipient: str = "bob@ours.test") -> str:
        """Send one message and return the last reply."""
        await self.begin(recipient)
        assert (await self.say("DATA")).startswith("354")
        await self.send(message + b".\r\n")
        return await self.reply()

    async def start_tls(self) -> None:
        assert (await self.say("STARTTLS")).startswith("220")
        await self.writer.start_tls(trusting())

    async def log_in(self, login: str = "alice@ours.test", password: str = PASSWORD) -> str:
        token = base64.b64encode(f"\0{login}\0{password}".encode()).decode()
        return await self.say(f"AUTH PLAIN {token}")

    async def is_closed(self) -> bool:
        """Whether the server closes without another word."""
        return await self.reply() == ""


def trusting() -> ssl.SSLContext:
    """Return a client's context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@dataclass
class Gate:
    """A running edge."""

    policy: FixedPolicy
    publisher: FakePublisher
    events: FakeEvents
    heartbeats: Heartbeats
    verdicts: Verdicts
    budget: ByteBudget
    sessions: Sessions
    listeners: Listeners
    defences: Defences
    broker_takes: bool = True

    @contextlib.asynccontextmanager
    async def client(self, listener: str = "mx", *, tls: bool = False) -> AsyncIterator[Client]:
        """Connect."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.listeners.port(listener), ssl=trusting() if tls else None
        )
        try:
            yield Client(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        async with asyncio.timeout(10):
            while not holds():
                await asyncio.sleep(0.01)

    def content_lives(self) -> None:
        """Have a content process be heard."""
        self.heartbeats.heard(b'{"key": "content-1", "at": 0}', asyncio.get_running_loop().time())

    def judge(self, mail: Published, reply: Reply | None, action: Action = Action.ACCEPT, said_key: str = "c1") -> None:
        """Give a verdict, or ask what was said."""
        token = mail.reply_to.token
        judgement = Judgement(str(mail.message_id), said_key, token)
        if reply is not None:
            judgement = Judgement(str(mail.message_id), said_key, token, action, reply.code, reply.enhanced, reply.text)
        self.verdicts.on_judgement(encode_judgement(judgement))

    def judge_all(self, reply: Reply, action: Action = Action.ACCEPT) -> None:
        """Answer each message from now on like a content process."""
        self.content_lives()

        def judge(published: Published) -> None:
            if published.message_type == "gatepost.mail.v1":
                asyncio.get_running_loop().call_soon(self.judge, published, reply, action)

        self.publisher.on_publish = judge


@contextlib.asynccontextmanager
async def gate(
    rules: Policy,
    certificate: Path,
    own: Mapping[str, ListenerSettings] | None = None,
    *,
    state: OwnedState | None = None,
    resolver: CachingResolver | None = None,
    directory: Directory | None = None,
    logins: Binds | None = None,
    kerberos: Kerberos | None = None,
    country_database: Path | None = None,
    keys: RewritingKeys | None = None,
) -> AsyncIterator[Gate]:
    """Run an edge. certificate: a PEM file with key and certificate. own: settings of listeners, in place of others.

    state: what it counts in, else memory. resolver: else one that nobody answers.
    """
    accounts = Accounts()
    await accounts.take(encode_accounts(AccountBook(1, ACCOUNTS)))
    in_force, publisher, events, heartbeats = FixedPolicy(rules), FakePublisher(), FakeEvents(), Heartbeats()
    verdicts, budget, sessions = Verdicts(publisher, heartbeats), ByteBudget(rules.limits.in_flight_bytes), Sessions()
    running: list[Gate] = []
    defences = Defences(
        hostname="gate.test",
        policy=in_force,
        events=events,
        publisher=publisher,
        process_key="edge-1",
        resolver=resolver or CachingResolver([]),
        state=state or MemoryState(),
        directory=directory,
        country_database=country_database,
    )
    authenticator = Authenticator(
        accounts,
        hostname="gate.test",
        secret=b"key",
        directory=logins,
        kerberos=kerberos,
        watch=defences.throttle,
    )
    await defences.start()
    defences.follow(rules)
    handler = EdgeHandler(
        hostname="gate.test",
        loop_key=b"key",
        policy=in_force,
        handover=Handover(process_key="edge-1", policy=in_force, publisher=publisher, events=events, verdicts=verdicts),
        defences=defences,
        authenticator=authenticator,
        budget=budget,
        broker_takes=lambda: running[0].broker_takes,
        keys=keys or RewritingKeys(),
    )
    settings = {name: ListenerSettings(port=0, certificate_file=certificate, key_file=certificate) for name in _PLAIN}
    settings |= own or {}
    listeners = Listeners(settings, handler, sessions, bind(settings)[0])
    running.append(Gate(in_force, publisher, events, heartbeats, verdicts, budget, sessions, listeners, defences))
    await listeners.follow(rules)
    try:
        yield running[0]
    finally:
        listeners.close()
        verdicts.stop_waiting()
        assert await sessions.drain(5)
        await verdicts.close(1)
        await defences.close(1)
        authenticator.close()
        assert budget.used == 0


def id_in(reply: str) -> str:
    """Return the id that a reply names."""
    found = re.search(r"\[([0-9a-z]{26})\]|queued as ([0-9a-z]{26})", reply)
    assert found, reply
    return found[1] or found[2]
