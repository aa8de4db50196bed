"""Keys of a listener and of a domain over a real socket, and policies that change while sessions are open."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.edge.app import Edge
from services.edge.settings import ListenerSettings
from shared.bans import Ban, ban_key, encode_ban
from shared.policy import parse_policy
from tests.integration.edge.gate import POLICY, Client, Gate, gate, limited, policy
from tests.integration.edge.proxied import CLIENT, CLIENT6, OTHER, client_at, edge_with, greeting, rules
from tests.integration.edge.test_broker import administer, client, edge_of, until
from tests.rabbit import Rabbit
from tests.unit.services.edge.lookups.test_country import country, write


@pytest.mark.parametrize(
    ("mode", "offered", "mail"),
    [("off", False, "250"), ("opportunistic", True, "250"), ("required", True, "530 5.7.0")],
)
async def test_tls_of_a_listener_is_off_offered_or_required(
    certificate: Path, mode: str, offered: bool, mail: str
) -> None:
    async with edge_with(certificate, rules("", f'tls = "{mode}"')) as edge, client_at(edge, CLIENT) as one:
        assert ("STARTTLS" in await one.hello()) is offered
        assert (await one.say("STARTTLS" if mode == "off" else "NOOP")).startswith("502" if mode == "off" else "250")
        assert (await one.say("MAIL FROM:<x@away.test>")).startswith(mail)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
async def test_a_listener_offers_and_takes_its_own_mechanisms_alone(certificate: Path, mechanism: str) -> None:
    own = {"logins": ListenerSettings(port=0, certificate_file=certificate, key_file=certificate)}
    head = f'[listeners.logins]\npurpose = "submission"\ntls = "implicit"\nauth = true\nmechanisms = ["{mechanism}"]\n'
    async with (
        gate(parse_policy(rules(head)), certificate, own) as edge,
        edge.client("logins", tls=True) as one,
    ):
        (line,) = [line for line in (await one.hello()).splitlines() if "AUTH" in line]
        names = [name for name in line[4:].split()[1:] if not name.endswith("-PLUS")]
        assert names == [mechanism]
        for other in {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"} - {mechanism}:
            assert (await one.say(f"AUTH {other}")).startswith("504 5.5.4")
        assert (await one.say(f"AUTH {mechanism}")).startswith("334")
        assert (await one.say("*")).startswith("501")


@pytest.mark.parametrize(
    ("purpose", "reply"),
    [("inbound", "250"), ("submission", "530 5.7.0 Authentication required"), ("relay", "550 5.7.1 This listener")],
)
async def test_a_listeners_purpose_says_who_may_send(certificate: Path, purpose: str, reply: str) -> None:
    text = rules().replace('purpose = "inbound"', f'purpose = "{purpose}"', 1)
    async with edge_with(certificate, text) as edge, client_at(edge, CLIENT) as one:
        await one.hello()
        assert (await one.say("MAIL FROM:<x@ours.test>")).startswith(reply)


@pytest.mark.parametrize("address", ["::1", "127.0.0.1"])
async def test_a_listener_stands_on_ipv4_and_ipv6_and_rules_hold_for_both(certificate: Path, address: str) -> None:
    own = {"mx": ListenerSettings(address=address, port=0, certificate_file=certificate, key_file=certificate)}
    text = rules("[limits]\nexempt_networks = []\nconnections_per_address = 1\n")
    text = text.replace('proxy_from = ["127.0.0.0/8"]\n', "", 1)
    async with gate(parse_policy(text), certificate, own) as edge:
        port = edge.listeners.port("mx")
        reader, writer = await asyncio.open_connection(address, port)
        assert (await Client(reader, writer).mail(b"x\r\n")).startswith("250")
        assert edge.publisher.mails[0].envelope.client.address == address
        reader2, writer2 = await asyncio.open_connection(address, port)
        assert (await Client(reader2, writer2).reply()).startswith("421 4.7.0 Too many connections from your address")
        for one in (writer, writer2):
            one.close()
            await one.wait_closed()
        denied = f'[[access]]\naction = "deny"\nnetworks = ["{address}"]\n'
        edge.policy.policy = parse_policy(text + denied)
        reader, writer = await asyncio.open_connection(address, port)
        assert (await Client(reader, writer).reply()).startswith("554 5.7.1 Access denied")
        writer.close()
        await writer.wait_closed()


async def test_countries_allow_and_deny_on_one_listener(certificate: Path, tmp_path: Path) -> None:
    write(tmp_path / "c.mmdb", {"203.0.113.0/24": country("DE"), "2001:db8::/32": country("FR")})
    text = rules(
        '[[access]]\naction = "deny"\nreverse_names = ["unknown"]\ncountries = ["FR"]\n'
        '[[clients]]\nname = "de"\nmatch = { countries = ["DE"] }\nrefuse = true\n',
        '[[listeners.mx.access]]\naction = "allow"\ncountries = ["FR"]\n'
        '[[listeners.mx.access]]\naction = "deny"\nnetworks = ["198.51.100.0/24"]\n',
    )
    async with gate(parse_policy(text), certificate, country_database=tmp_path / "c.mmdb") as edge:
        assert (await greeting(edge, CLIENT6)).startswith("220")
        assert (await greeting(edge, OTHER)).startswith("554")
        assert (await greeting(edge, OTHER, "proxied")).startswith("220")
        async with client_at(edge, CLIENT) as one:
            await one.hello()
            assert (await one.say("MAIL FROM:<x@away.test>")).startswith("550 5.7.1 Refused by a rule")


async def test_rules_of_another_service_do_not_hold_for_smtp(certificate: Path) -> None:
    text = rules('[[access]]\naction = "deny"\nservices = ["metrics", "console"]\n')
    async with edge_with(certificate, text) as edge:
        assert (await greeting(edge, CLIENT)).startswith("220")
    async with edge_with(certificate, text.replace('"metrics"', '"smtp"')) as edge:
        assert (await greeting(edge, CLIENT)).startswith("554")


@pytest.mark.parametrize(
    ("recipients", "local_part", "reply"),
    [
        ('["sales-*"]', "sales-de", "250"),
        ('["sales-*"]', "SALES-", "250"),
        ('["sales-*"]', "xsales-de", "550 5.1.1"),
        # What a pattern takes must not make the next server relay; what is listed by itself is known to be no route.
        ('["sales-*"]', "sales-x%away.test", "550 5.7.1 Relaying denied: routed"),
        ('["*"]', "away.test!x", "550 5.7.1 Relaying denied: routed"),
        ('["*"]', '"x@away.test"', "550 5.1.1"),
        ('["*", "odd%name"]', "odd%name", "250"),
        ('["a*z"]', "abcz", "250"),
        ('["a*z"]', "abc", "550 5.1.1"),
        ('["*"]', "whoever", "250"),
        ('"any"', "whoever", "250"),
        ("[]", "whoever", "550 5.1.1"),
        ("[]", "postmaster", "250"),
        ("[]", "ABUSE", "250"),
    ],
)
async def test_recipients_of_a_domain_are_listed_or_fit_a_pattern(
    certificate: Path, recipients: str, local_part: str, reply: str
) -> None:
    async with edge_with(certificate, rules().replace('["bob"]', recipients)) as edge, client_at(edge, CLIENT) as one:
        await one.hello()
        await one.say("MAIL FROM:<x@away.test>")
        assert (await one.say(f"RCPT TO:<{local_part}@ours.test>")).startswith(reply)


@pytest.mark.parametrize(
    ("route", "tls", "kept"),
    [
        ("maildir:mail", "off", True),
        ("lmtp:/run/x.sock", "off", True),
        ("lmtp://127.0.0.1:24", "opportunistic", True),
        ("lmtp://127.0.0.1:24", "off", False),
        ("smtps://mx.test:465", "opportunistic", True),
        ("mx", "opportunistic", True),
        ("mx", "off", False),
    ],
)
async def test_requiretls_is_taken_where_the_route_keeps_it(
    certificate: Path, route: str, tls: str, kept: bool
) -> None:
    text = rules(f'[delivery]\ntls = "{tls}"\n', "requiretls = true").replace("maildir:mail", route)
    async with edge_with(certificate, text) as edge, client_at(edge, CLIENT) as one:
        await one.hello()
        await one.start_tls()
        await one.say("EHLO client.test")
        assert (await one.say("MAIL FROM:<x@away.test> REQUIRETLS")).startswith("250")
        assert (await one.say("RCPT TO:<bob@ours.test>")).startswith("250" if kept else "550 5.7.30")


@pytest.mark.parametrize(
    ("listener", "dsn"), [("mx", False), ("relay", True), ("submissions", True), ("logins", False)]
)
async def test_dsn_is_offered_where_the_listener_says_so(edge: Gate, listener: str, dsn: bool) -> None:
    async with edge.client(listener, tls=listener not in ("mx", "relay")) as one:
        assert ("DSN" in await one.hello()) is dsn


# ---- a policy that changes


async def test_an_open_session_follows_a_new_policy_from_its_next_mail_on(edge: Gate) -> None:
    async with edge.client() as one:
        await one.begin()
        limited(edge, '[[clients]]\nname = "no"\nsenders = ["@away.test"]\nrefuse = true\n', messages=1)
        # What has begun goes on.
        assert (await one.say("DATA")).startswith("354")
        await one.send("x\r\n.\r\n")
        assert (await one.reply()).startswith("250")
        assert (await one.say("MAIL FROM:<x@away.test>")).startswith(("550 5.7.1 Refused", "421 4.7.0 Too many"))


async def test_an_open_session_loses_the_right_to_relay_at_its_next_mail(edge: Gate) -> None:
    edge.policy.policy = policy('[relay]\nnetworks = ["127.0.0.0/8"]\n')
    async with edge.client() as one:
        await one.begin("y@elsewhere.test")
        await one.say("RSET")
        edge.policy.policy = policy()
        await one.say("MAIL FROM:<x@ours.test>")
        assert (await one.say("RCPT TO:<y@elsewhere.test>")).startswith("550 5.7.1 Relaying denied")


async def test_an_open_session_of_a_listener_that_is_gone_goes_on_and_no_new_one_begins(certificate: Path) -> None:
    async with edge_with(certificate, rules()) as edge, client_at(edge, CLIENT) as one:
        await one.hello()
        without = parse_policy(rules().replace("[listeners.mx]", "[listeners.elsewhere]", 1))
        edge.policy.policy = without
        await edge.listeners.follow(without)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", edge.listeners.port("mx"))
        assert (await one.say("MAIL FROM:<x@away.test>")).startswith("250")
        assert (await one.say("RCPT TO:<bob@ours.test>")).startswith("250")


@pytest.fixture
async def served(rabbit: Rabbit, certificate: Path) -> AsyncIterator[Edge]:
    """An edge over a real broker, which knows no policy yet."""
    edge = edge_of(rabbit, certificate)
    await edge.start()
    serving = asyncio.create_task(edge.serve())
    yield edge
    edge.request_stop()
    assert await serving == 0


async def test_an_open_relay_is_never_in_force_neither_at_the_start_nor_later(served: Edge, rabbit: Rabbit) -> None:
    everybody = '[relay]\nnetworks = ["0.0.0.0/0"]\n'
    with capture_logs() as logs:
        for version, more in ((1, everybody), (2, ""), (3, everybody)):
            await administer(rabbit, POLICY + more, version)
            word = "policy-refused" if more else "policy-in-force"
            await until(lambda seen=(word, version): seen in [(log["event"], log.get("version")) for log in logs])  # type: ignore[misc]
            if version == 1:
                assert not served.listeners.is_listening
    await until(lambda: served.is_ready)
    async with client(served) as one:
        await one.hello()
        await one.say("MAIL FROM:<x@away.test>")
        assert (await one.say("RCPT TO:<y@elsewhere.test>")).startswith("550 5.7.1 Relaying denied")


async def test_access_rules_and_bans_hold_for_metrics_too(served: Edge, rabbit: Rabbit) -> None:
    await administer(rabbit, POLICY + '[[access]]\naction = "deny"\nnetworks = ["127.0.0.2/32"]\n[bans]\nnever = []\n')
    await until(lambda: served.is_ready)
    ban = Ban(time.time() + 60, "too-many-errors", time.time(), 1)
    await served.defences.state.put(ban_key("127.0.0.3"), encode_ban(ban), 60)
    for address, admitted in (("127.0.0.1", True), ("127.0.0.2", False), ("127.0.0.3", False), ("127.0.0.4", True)):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.health.port, local_addr=(address, 0))
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.1 200 ") is admitted
