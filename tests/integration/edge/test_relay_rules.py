"""Relay rules over a real socket: by network, sender, recipient, login and certificate; the first that fits decides."""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.edge.settings import ListenerSettings
from shared.envelope import Proof
from shared.policy import parse_policy
from tests.certificates import Signed, der, signed, written
from tests.integration.edge.gate import Client, Gate, gate, limited, policy, trusting
from tests.integration.edge.proxied import CLIENT, NEIGHBOUR, OTHER, client_at, edge_with, rules

AUTHORITY = signed("an authority", authority=True)
LISTED, OTHERS = signed("app.example", by=AUTHORITY), signed("web.example", by=AUTHORITY)
ELSEWHERE = "x@elsewhere.test"


async def relays(client: Client, sender: str = "x@ours.test", recipient: str = ELSEWHERE) -> bool:
    """Whether a recipient elsewhere is taken; else relaying is denied."""
    assert (await client.say(f"MAIL FROM:<{sender}>")).startswith("250")
    reply = await client.say(f"RCPT TO:<{recipient}>")
    assert (await client.say("RSET")).startswith("250")
    assert reply.startswith(("250", "550 5.7.1 Relaying denied"))
    return reply.startswith("250")


async def relays_from(edge: Gate, address: str, sender: str = "x@ours.test", recipient: str = ELSEWHERE) -> bool:
    async with client_at(edge, address) as client:
        await client.hello()
        return await relays(client, sender, recipient)


async def test_by_default_nobody_relays(certificate: Path) -> None:
    async with edge_with(certificate, rules()) as edge:
        for address in (CLIENT, "127.0.0.1", "::1", "10.0.0.1"):
            assert not await relays_from(edge, address)


async def test_a_rule_by_sender_and_network(certificate: Path) -> None:
    text = rules('[[relay.rules]]\naction = "allow"\nnetworks = ["203.0.113.0/24"]\nsenders = ["app-*@ours.test"]\n')
    async with edge_with(certificate, text) as edge:
        assert await relays_from(edge, CLIENT, "app-1@ours.test")
        assert not await relays_from(edge, CLIENT, "x@ours.test")
        assert not await relays_from(edge, CLIENT, "")
        assert not await relays_from(edge, OTHER, "app-1@ours.test")


async def test_a_rule_by_recipient(certificate: Path) -> None:
    text = rules('[[relay.rules]]\naction = "allow"\nnetworks = ["203.0.113.0/24"]\nrecipients = ["@.partner.test"]\n')
    async with edge_with(certificate, text) as edge:
        assert await relays_from(edge, CLIENT, recipient="x@a.partner.test")
        assert not await relays_from(edge, CLIENT)
        assert not await relays_from(edge, OTHER, recipient="x@a.partner.test")


async def test_the_first_rule_that_fits_decides_and_before_the_networks(certificate: Path) -> None:
    text = rules(
        '[relay]\nnetworks = ["203.0.113.0/24"]\n'
        '[[relay.rules]]\naction = "deny"\nnetworks = ["203.0.113.10/32"]\n'
        '[[relay.rules]]\naction = "allow"\nnetworks = ["203.0.113.0/24"]\nrecipients = ["a@elsewhere.test"]\n'
        '[[relay.rules]]\naction = "deny"\nrecipients = ["@elsewhere.test"]\n'
    )
    async with edge_with(certificate, text) as edge:
        assert not await relays_from(edge, NEIGHBOUR, recipient="a@elsewhere.test")
        assert await relays_from(edge, CLIENT, recipient="a@elsewhere.test")
        assert not await relays_from(edge, CLIENT, recipient="b@elsewhere.test")
        assert await relays_from(edge, CLIENT, recipient="b@third.test")


async def test_a_rule_holds_for_logins(edge: Gate) -> None:
    limited(
        edge,
        '[[relay.rules]]\naction = "deny"\nlogins = ["Alice@ours.test"]\nrecipients = ["@rival.test"]\n'
        '[[relay.rules]]\naction = "deny"\nlogins = ["somebody@ours.test"]\n',
    )
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        assert (await client.log_in()).startswith("235")
        assert not await relays(client, "alice@ours.test", "x@rival.test")
        assert await relays(client, "alice@ours.test", ELSEWHERE)


async def test_a_login_alone_may_be_what_a_rule_allows(edge: Gate) -> None:
    limited(
        edge,
        '[[relay.rules]]\naction = "allow"\nlogins = ["alice@ours.test"]\nsenders = ["alice@ours.test"]\n'
        '[[relay.rules]]\naction = "deny"\n',
    )
    for login, sender, taken in (("alice@ours.test", "alice@ours.test", True), ("robot", "x@ours.test", False)):
        async with edge.client("submissions", tls=True) as client:
            await client.hello()
            assert (await client.log_in(login)).startswith("235")
            assert await relays(client, sender) is taken


@contextlib.asynccontextmanager
async def certified(edge: Gate, listener: str, own: Signed | None, folder: Path) -> AsyncIterator[Client]:
    """A client that has said EHLO within TLS, with a certificate of its own."""
    context = trusting()
    if own is not None:
        context.load_cert_chain(written(folder / "client.pem", own))
    async with edge.client(listener) as client:
        await client.hello()
        assert (await client.say("STARTTLS")).startswith("220")
        await client.writer.start_tls(context)
        assert (await client.say("EHLO client.test")).startswith("250")
        yield client


@contextlib.asynccontextmanager
async def asking(certificate: Path, folder: Path, text: str, mode: str = "ask") -> AsyncIterator[Gate]:
    """An edge whose relay listener asks for certificates."""
    trusted = written(folder / "clients.pem", AUTHORITY)
    own = ListenerSettings(port=0, certificate_file=certificate, key_file=certificate, client_ca_file=trusted)
    asked = policy().model_dump(mode="json", exclude_unset=True)["listeners"]["relay"] | {"client_certificates": mode}
    lines = "\n".join(f"{key} = {str(value).lower() if value is True else repr(value)}" for key, value in asked.items())
    rest = rules().split("[listeners.mx]", maxsplit=1)[0]
    async with gate(parse_policy(f"{rest}[listeners.relay]\n{lines}\n{text}"), certificate, {"relay": own}) as edge:
        yield edge


FINGERPRINT = hashlib.sha256(der(LISTED)).hexdigest()


@pytest.mark.parametrize(
    ("listed", "own", "taken"),
    [
        ("verified", LISTED, True),
        ("verified", OTHERS, True),
        ("verified", None, False),
        (f"sha256:{FINGERPRINT}", LISTED, True),
        (f"sha256:{FINGERPRINT}", OTHERS, False),
        (f"sha256:{FINGERPRINT}", None, False),
    ],
    # The certificate is made anew, and processes that share the tests must know them by the same names.
    ids=["any", "any-other", "any-without", "listed", "listed-other", "listed-without"],
)
async def test_a_certificate_may_relay_where_a_rule_names_it(
    certificate: Path, tmp_path: Path, listed: str, own: Signed | None, taken: bool
) -> None:
    text = f'[[relay.rules]]\naction = "allow"\ncertificates = ["{listed}"]\n'
    async with (
        asking(certificate, tmp_path, text) as edge,
        certified(edge, "relay", own, tmp_path) as client,
    ):
        mail = await client.say("MAIL FROM:<x@ours.test>")
        assert mail.startswith("250" if taken else "550 5.7.1 This listener is for listed hosts")
        if taken:
            assert (await client.say(f"RCPT TO:<{ELSEWHERE}>")).startswith("250")
            assert (await client.say("DATA")).startswith("354")
            await client.send("x\r\n.\r\n")
            assert (await client.reply()).startswith("250")
            assert edge.publisher.mails[0].envelope.proved is Proof.CLIENT_CERTIFICATE


async def test_where_a_certificate_is_required_nothing_is_sent_without_one(certificate: Path, tmp_path: Path) -> None:
    text = '[relay]\nnetworks = ["127.0.0.0/8"]\n'
    async with asking(certificate, tmp_path, text, "require") as edge:
        async with certified(edge, "relay", None, tmp_path) as client:
            assert (await client.say("MAIL FROM:<x@ours.test>")).startswith("530 5.7.0 A client certificate")
        async with edge.client("relay") as client:
            await client.hello()
            assert (await client.say("MAIL FROM:<x@ours.test>")).startswith("530 5.7.0 A client certificate")
        async with certified(edge, "relay", OTHERS, tmp_path) as client:
            assert (await client.say("MAIL FROM:<x@ours.test>")).startswith("250")


async def test_a_certificate_of_a_stranger_gets_no_session(certificate: Path, tmp_path: Path) -> None:
    text = '[[relay.rules]]\naction = "allow"\ncertificates = ["verified"]\n'
    async with asking(certificate, tmp_path, text) as edge:
        with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
            async with asyncio.timeout(10), certified(edge, "relay", signed("stranger"), tmp_path):
                pass
