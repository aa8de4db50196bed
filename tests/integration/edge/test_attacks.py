"""What an attacker tries, over real sockets: ways in, ways around, and ways to take the edge down."""

import asyncio
import base64
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from shared.accounts import AccountBook, encode_accounts
from shared.dns.resolver import CachingResolver
from shared.event import EventKind
from shared.policy import parse_policy
from shared.reply import Reply
from shared.state.memory import MemoryState
from tests.dnsserver import DnsServer, Fault
from tests.integration.edge.gate import ACCOUNTS, PASSWORD, Client, Gate, gate, limited, policy
from tests.integration.edge.proxied import CLIENT, CLIENT6, NEIGHBOUR6, OTHER, client_at, edge_with, rules

OK = Reply(250, "2.0.0", "OK")
PLACES = '[[access]]\naction = "deny"\nnetworks = ["192.0.2.66/32"]\n[[access]]\naction = "tarpit"\nnetworks = '
PLACES += '["192.0.2.67/32"]\n[[access]]\naction = "deny"\nhelo_names = ["evil.test"]\n[limits]\ntarpit_s = 0.2\n'


def places(edge: Gate) -> dict[str, int]:
    """Return how many places are taken, by key."""
    return cast("MemoryState", edge.defences.state)._places._taken


# ---- places


async def _says(client: Client, *lines: str | bytes) -> None:
    await client.reply()
    for line in lines:
        await client.say(line)


async def _goes_at_data(client: Client) -> None:
    await client.begin()
    await client.say("DATA")
    await client.send(b"half a mess")


async def _stays_silent(client: Client) -> None:
    await client.reply()
    await client.reply()


ENDS: dict[str, Callable[[Client], Awaitable[object]]] = {
    "at once": lambda client: asyncio.sleep(0),
    "after the greeting": lambda client: client.reply(),
    "after EHLO": lambda client: client.hello(),
    "with QUIT": lambda client: _says(client, "EHLO c.test", "QUIT"),
    "in DATA": _goes_at_data,
    "after a message": lambda client: client.mail(b"x\r\n"),
    "by a bad line": lambda client: _says(client, b"EHLO \0"),
    "by errors": lambda client: _says(client, *["WHAT"] * 6),
    "by HELO": lambda client: _says(client, "EHLO evil.test"),
    "by pipelining": lambda client: _says(client, "EHLO a.test\r\nEHLO b.test"),
    "by silence": _stays_silent,
    "in TLS": lambda client: _says(client, "EHLO c.test", "STARTTLS", b"\x16\x03\x01 no handshake"),
}


@pytest.mark.parametrize("how", ENDS)
async def test_no_place_is_left_however_a_session_ends(certificate: Path, how: str) -> None:
    async with edge_with(certificate, rules(PLACES)) as edge:
        edge.judge_all(OK)
        limited(edge, PLACES, error_delay_s=0.0, command_timeout_s=0.5, handshake_timeout_s=0.5)
        edge.policy.policy = edge.policy.policy.model_copy(
            update={"listeners": {"mx": edge.policy.policy.listeners["proxied"].model_copy(update={"greet_wait_s": 0})}}
        )
        async with client_at(edge, CLIENT) as client:
            await ENDS[how](client)
        await edge.until(lambda: not len(edge.sessions))
        assert places(edge) == {}


@pytest.mark.parametrize("address", ["192.0.2.66", "192.0.2.67"])
async def test_no_place_is_left_by_who_is_not_let_in(certificate: Path, address: str) -> None:
    async with edge_with(certificate, rules(PLACES)) as edge:
        async with client_at(edge, address) as client:
            await client.reply()
        await edge.until(lambda: not len(edge.sessions))
        assert places(edge) == {}


async def test_no_place_is_left_by_who_goes_in_the_wait_for_the_greeting(certificate: Path) -> None:
    async with edge_with(certificate, rules().replace("greet_wait_s = 0", "greet_wait_s = 5")) as edge:
        async with client_at(edge, CLIENT):
            await edge.until(lambda: bool(places(edge)))
        await edge.until(lambda: not len(edge.sessions))
        assert places(edge) == {}


async def test_no_place_is_left_by_who_is_introduced_again_and_again(certificate: Path) -> None:
    async with edge_with(certificate, rules(listener='xclient_from = ["203.0.113.9/32"]')) as edge:
        async with client_at(edge, CLIENT) as client:
            await client.hello()
            for number in range(1, 6):
                assert (await client.say(f"XCLIENT ADDR=198.51.100.{number}")).startswith("220")
            assert places(edge) == {"place:198.51.100.5": 1, "place:198.51.100.0/24": 1}
        await edge.until(lambda: not len(edge.sessions))
        assert places(edge) == {}


async def test_no_place_is_left_by_a_session_that_is_broken_or_drained(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with edge_with(certificate, rules()) as edge:

        async def broken(*_: object) -> None:
            raise RuntimeError("a defect")

        with monkeypatch.context() as defect:
            defect.setattr(edge.defences.admission, "before_greeting", broken)
            async with client_at(edge, CLIENT) as client:
                assert (await client.reply()).startswith("421 4.3.0")
        await edge.until(lambda: not len(edge.sessions))
        assert places(edge) == {}
        async with client_at(edge, CLIENT) as client:
            await client.hello()
            assert await edge.sessions.drain(5)
        assert places(edge) == {}


# ---- taking the edge down


async def test_one_address_cannot_hold_all_memory_for_messages(certificate: Path) -> None:
    text = rules("[limits]\nin_flight_bytes = 4194304\nmessage_size_bytes = 1000000\n")
    async with edge_with(certificate, text) as edge, contextlib.AsyncExitStack() as stack:
        edge.judge_all(OK)
        for _ in range(6):
            slow = await stack.enter_async_context(client_at(edge, CLIENT))
            await slow.begin()
            assert (await slow.say("DATA")).startswith("354")
            await slow.send((b"y" * 70 + b"\r\n") * 13_000)
        async with client_at(edge, OTHER) as good:
            # Four of a message that would not fit, were the six held.
            message = b"Subject: x\r\n\r\n" + (b"z" * 70 + b"\r\n") * 13_000
            assert (await good.mail(message)).startswith("250")
        assert edge.budget.used <= 4_194_304 // 2


async def test_a_flood_of_refused_connections_is_one_event_and_many_counts(certificate: Path) -> None:
    text = rules('[[access]]\naction = "deny"\nnetworks = ["203.0.113.0/24"]\n')
    async with edge_with(certificate, text) as edge:
        replies = set()
        for _ in range(30):
            async with client_at(edge, CLIENT) as client:
                replies.add(await client.reply())
        async with client_at(edge, "203.0.113.10") as client:
            replies.add(await client.reply())
        assert len(replies) == 2
        assert [kind for _, kind, _ in edge.events.told] == [EventKind.SESSION_REFUSED] * 2


async def test_a_subject_in_a_charset_that_is_none_is_taken(certificate: Path) -> None:
    async with edge_with(certificate, rules()) as edge:
        edge.judge_all(OK)
        async with client_at(edge, CLIENT) as client:
            assert (await client.mail("Subject: =?é?q?a?=\r\n\r\nx\r\n".encode())).startswith("250")


@pytest.mark.parametrize("said", [b"", b"PROXY TCP4 203", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x10\x00"])
async def test_a_header_of_a_proxy_that_never_ends_is_not_awaited_for_long(certificate: Path, said: bytes) -> None:
    async with edge_with(certificate, rules()) as edge:
        limited(edge, handshake_timeout_s=0.3)
        async with edge.client("proxied") as client:
            await client.send(said)
            assert (await client.reply()).startswith("421 4.4.2")
            assert await client.is_closed()
        await edge.until(lambda: not len(edge.sessions))


async def test_a_login_that_drips_is_not_awaited_for_long(certificate: Path) -> None:
    async with gate(policy(), certificate) as edge:
        limited(edge, command_timeout_s=0.5)
        async with edge.client("submissions", tls=True) as client:
            await client.hello()
            assert (await client.say("AUTH PLAIN")).startswith("334")
            began = asyncio.get_running_loop().time()
            with contextlib.suppress(ConnectionError):
                for _ in range(30):
                    await client.send(b"A")
                    await asyncio.sleep(0.1)
                    if client.reader.at_eof() or not len(edge.sessions):
                        break
            assert asyncio.get_running_loop().time() - began < 2


# ---- getting around the rules


async def test_an_account_that_is_disabled_sends_nothing_more_in_an_open_session(certificate: Path) -> None:
    async with gate(policy(), certificate) as edge, edge.client("submissions", tls=True) as client:
        await client.hello()
        assert (await client.log_in()).startswith("235")
        gone = tuple(replace(account, disabled=True) for account in ACCOUNTS)
        accounts = edge.listeners._handler.authenticator._accounts
        await accounts.take(encode_accounts(AccountBook(2, gone)))
        assert (await client.say("MAIL FROM:<alice@ours.test>")).startswith("530 5.7.0")
        assert (await client.say("RCPT TO:<victim@elsewhere.test>")).startswith("503")


async def test_who_is_introduced_with_a_helo_name_passes_no_rule_that_waits_for_one(certificate: Path) -> None:
    text = rules(
        '[[access]]\naction = "allow"\nreverse_names = [".good.test"]\n'
        '[[access]]\naction = "deny"\nnetworks = ["198.51.100.0/24"]\n',
        listener='xclient_from = ["203.0.113.9/32"]',
    )
    async with DnsServer({}) as dns:
        dns.fail("7.100.51.198.in-addr.arpa", "PTR", Fault.SERVFAIL)
        resolver = CachingResolver([dns.address])
        async with (
            gate(parse_policy(text), certificate, resolver=resolver) as edge,
            client_at(edge, CLIENT) as client,
        ):
            await client.hello()
            reply = await client.say("XCLIENT ADDR=198.51.100.7 PROTO=ESMTP HELO=foo.test")
            assert reply.startswith("554 5.7.1 Access denied")


@pytest.mark.parametrize(
    "path",
    [
        "<victim@[127.0.0.1]>",
        "<victim@[IPv6:::1]>",
        "<bob@ours.test.>",
        "<bob@ours.test@elsewhere.test>",
        "<@ours.test:victim@elsewhere.test>",
        "<victim%elsewhere.test@any.test>",
        "<elsewhere.test!victim@any.test>",
        '<"victim@elsewhere.test"@any.test>',
        '<"victim\\@elsewhere.test"@any.test>',
        "<victim\uff05elsewhere.test@any.test>",
        "<victim\uff20elsewhere.test@any.test>",
        "<bob@\u043eurs.test>",
        "<bob@ours\u3002test\u3002elsewhere.test>",
        "<bob@ours.test\uff20elsewhere.test>",
        "<bob@xn--ours-.test>",
        "<bob@ours.test\u00ad.elsewhere.test>",
        "<bob@ours.test> ORCPT=rfc822;victim@elsewhere.test",
        "<postmaster@gate.test>",
    ],
)
async def test_no_way_of_writing_an_address_leads_elsewhere(certificate: Path, path: str) -> None:
    async with gate(policy(), certificate) as edge, edge.client() as client:
        await client.hello()
        assert (await client.say("MAIL FROM:<x@away.test> SMTPUTF8")).startswith("250")
        assert (await client.say(f"RCPT TO:{path}")).startswith("5")


async def test_postmaster_without_a_domain_stays_here(certificate: Path) -> None:
    async with gate(policy(), certificate) as edge, edge.client() as client:
        edge.judge_all(OK)
        assert (await client.mail(b"x\r\n", "postmaster")).startswith("250")
        assert edge.publisher.mails[0].envelope.recipients[0].address == "postmaster@ours.test"


async def test_relay_networks_count_for_nothing_where_a_login_is_asked(certificate: Path) -> None:
    relaying = policy('[relay]\nnetworks = ["127.0.0.0/8"]\n')
    async with gate(relaying, certificate) as edge, edge.client("submissions", tls=True) as client:
        await client.hello()
        assert (await client.say("MAIL FROM:<alice@ours.test>")).startswith("530")


BODY = b"\r\nx\r\n"


@pytest.mark.parametrize(
    "header",
    [
        b"From: boss@ours.test",
        b"From: alice@ours.test\r\nFrom: boss@ours.test",
        b"From : boss@ours.test",
        b"FROM\t:boss@ours.test\r\nFrom: alice@ours.test",
        b"From: alice@ours.test, boss@ours.test",
        b"From: boss@ours.test: alice@ours.test;",
        b"From: team: alice@ours.test, boss@ours.test;",
        b"From: alice@ours.test <boss@ours.test>",
        b"From: <boss@ours.test> alice@ours.test",
        b"From: <@ours.test:boss@ours.test>",
        b"From: =?utf-8?q?boss=40ours.test?=",
        b"From: =?utf-8?q?boss?=@ours.test",
        b"From:\r\n boss@ours.test",
        b"From: alice@ours.test\r\n ,boss@ours.test",
        b"From: alice(@ours.test)@ours.test, (x) boss (y) @ (z) ours.test",
        b"From: alice@ours.test\0",
        b"From: alice@ours.test\nFrom: boss@ours.test",
        b"From: alice@ours.test\rFrom: boss@ours.test",
        b"From: alice@ours.test\r\n \r\nFrom: boss@ours.test",
        b"From: alice@ours.test\r\nSender: boss@ours.test",
        b"Sender: alice@ours.test",
        b" From: alice@ours.test",
        b"X" * 300_000 + b"\r\nFrom: alice@ours.test",
        b"\r\nFrom: alice@ours.test",
        "From: \uff42oss@ours.test".encode(),
        b"From: alice@\xc3\xb6urs.test",
        b"From: alice",
    ],
)
async def test_no_way_of_writing_from_shows_somebody_else(certificate: Path, header: bytes) -> None:
    async with gate(policy(), certificate) as edge, edge.client("submissions", tls=True) as client:
        edge.judge_all(OK)
        await client.hello()
        assert (await client.log_in()).startswith("235")
        for line in ("MAIL FROM:<alice@ours.test>", "RCPT TO:<v@elsewhere.test>"):
            assert (await client.say(line)).startswith("250")
        assert (await client.say("DATA")).startswith("354")
        await client.send(header + b"\r\n" + BODY + b".\r\n")
        assert (await client.reply()).startswith("55")
        assert edge.publisher.mails == []


@pytest.mark.parametrize(
    "token",
    [
        b"boss@ours.test\0alice@ours.test\0" + PASSWORD.encode(),
        b"\0alice@ours.test\0",
        b"\0\0" + PASSWORD.encode(),
        b"\0alice@ours.test\0" + PASSWORD.encode() + b"\0",
        b"\0gone@ours.test\0" + PASSWORD.encode(),
        b"\0alice@ours.test \0" + PASSWORD.encode(),
        b"\0*)(uid=*\0" + PASSWORD.encode(),
        b"\0alice@ours.test\xff\0" + PASSWORD.encode(),
    ],
)
async def test_no_way_of_writing_a_login_gets_in(certificate: Path, token: bytes) -> None:
    async with gate(policy(), certificate) as edge, edge.client("submissions", tls=True) as client:
        await client.hello()
        reply = await client.say(b"AUTH PLAIN " + base64.b64encode(token))
        assert reply.startswith(("501", "535"))
        assert (await client.say("MAIL FROM:<alice@ours.test>")).startswith("530")


# ---- bans


async def test_nobody_gets_somebody_else_banned_by_claiming_an_address(certificate: Path) -> None:
    async with edge_with(certificate, rules("[bans]\nthreshold = 10\n")) as edge:
        async with client_at(edge, CLIENT) as client:
            # Neither a second header nor XCLIENT of somebody who is not listed makes another client of it.
            await client.hello()
            await client.say(f"PROXY TCP4 {OTHER} 192.0.2.1 40000 25")
            await client.say(f"XCLIENT ADDR={OTHER}")
        await edge.until(lambda: _is_banned(edge, CLIENT))
        assert not _is_banned(edge, OTHER)
        assert not _is_banned(edge, "127.0.0.1")
        async with client_at(edge, OTHER) as client:
            assert (await client.reply()).startswith("220")


async def test_no_address_of_a_banned_network_of_ipv6_gets_in(certificate: Path) -> None:
    async with edge_with(certificate, rules("[bans]\nthreshold = 10\n")) as edge:
        async with client_at(edge, CLIENT6) as client:
            await client.reply()
            await client.say(b"NUL\0")
        await edge.until(lambda: _is_banned(edge, "2001:db8:1::/64"))
        for address in (NEIGHBOUR6, "2001:db8:1:0:ffff::"):
            async with client_at(edge, address) as client:
                assert (await client.reply()).startswith("554 5.7.1 Banned")


async def test_an_ipv4_address_in_ipv6_is_banned_as_itself(certificate: Path) -> None:
    async with edge_with(certificate, rules("[bans]\nthreshold = 10\n")) as edge:
        async with client_at(edge, f"::ffff:{CLIENT}") as client:
            await client.reply()
            await client.say(b"NUL\0")
        await edge.until(lambda: _is_banned(edge, CLIENT))
        async with client_at(edge, CLIENT) as client:
            assert (await client.reply()).startswith("554 5.7.1 Banned")


def _is_banned(edge: Gate, subject: str) -> bool:
    values = cast("MemoryState", edge.defences.state)._values["ban"]
    return f"ban:{subject}" in values._values


# ---- harvesting and smuggling


async def test_no_command_but_rcpt_tells_who_is_a_recipient(certificate: Path) -> None:
    async with gate(policy(), certificate) as edge, edge.client() as client:
        await client.hello()
        for command in ("VRFY", "EXPN", "HELP"):
            replies = {await client.say(f"{command} {name}@ours.test") for name in ("bob", "nobody")}
            assert len(replies) == 1


SMUGGLED = b"MAIL FROM:<boss@ours.test>\r\nRCPT TO:<carol@ours.test>\r\nDATA\r\nsmuggled\r\n.\r\n"


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\n.\r\n",
        b"\r\n.\n",
        b"\r.\r",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\r\n.\r\r\n",
        b"\r\r\n.\r\r\n",
        b"\n\n.\r\n",
        b"\r\n\0.\r\n",
        b"\r\n.\0\r\n",
        b"\r\n. \r\n",
        b"\r\n .\r\n",
        b"\r\n..\r\n",
        b"\r\n.\t\r\n",
        b"\r\n.\x0b\r\n",
        b"\x0b.\x0b",
        b"\x0c.\x0c",
        b"\x85.\x85",
        b"\xc2\x85.\xc2\x85",
        b"\xe2\x80\xa8.\xe2\x80\xa8",
        b"\xe2\x80\xa9.\xe2\x80\xa9",
        b"\x8d\x8a.\x8d\x8a",
        b"\x1e.\x1e",
        b"=0D=0A.=0D=0A",
        b"\xe5\x98\x8d\xe5\x98\x8a.\xe5\x98\x8d\xe5\x98\x8a",
    ],
)
async def test_no_other_end_of_data_ends_a_message(certificate: Path, end: bytes) -> None:
    async with gate(policy(), certificate) as edge, edge.client() as client:
        edge.judge_all(OK)
        await client.begin()
        assert (await client.say("DATA")).startswith("354")
        await client.send(b"Subject: x\r\n\r\none" + end + SMUGGLED)
        assert (await client.reply())[:3] in ("250", "554")
        assert (await client.say("NOOP")).startswith("250")
        assert len(edge.publisher.mails) <= 1
        assert all(
            recipient.address == "bob@ours.test"
            for mail in edge.publisher.mails
            for recipient in mail.envelope.recipients
        )
