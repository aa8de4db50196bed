"""STARTTLS, implicit TLS, AUTH, and what a login may do."""

import asyncio
import base64
from pathlib import Path

import pytest

from services.edge.settings import ListenerSettings
from shared.event import EventKind
from tests.integration.edge.gate import PASSWORD, Client, Gate, gate, policy, trusting


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_what_was_pipelined_behind_starttls_is_discarded(edge: Gate) -> None:
    async with edge.client("mx") as client:
        await client.hello()
        await client.send("STARTTLS\r\nEHLO injected.test\r\nMAIL FROM:<evil@away.test>\r\n")
        assert (await client.reply()).startswith("220 2.0.0")
        await client.writer.start_tls(trusting())
        # The server has forgotten the session (RFC 3207 §4.2) and has not heard what stood behind STARTTLS.
        assert (await client.say("MAIL FROM:<x@away.test>")).startswith("503 5.5.1 Send HELO")


async def test_starttls_goes_once(edge: Gate) -> None:
    async with edge.client("mx") as client:
        await client.hello()
        await client.start_tls()
        await client.say("EHLO client.test")
        assert (await client.say("STARTTLS")).startswith("503 5.5.1")
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        assert (await client.say("STARTTLS")).startswith("503 5.5.1")


async def test_a_failed_handshake_ends_the_session(edge: Gate) -> None:
    async with edge.client("mx") as client:
        await client.hello()
        assert (await client.say("STARTTLS")).startswith("220")
        await client.send(b"this is no ClientHello\r\n" * 10)
        assert b"250" not in await client.reader.read()


async def test_submission_needs_tls_then_login(edge: Gate) -> None:
    async with edge.client("submission") as client:
        await client.hello()
        assert (await client.say("MAIL FROM:<alice@ours.test>")).startswith("530 5.7.0 Must issue a STARTTLS")
        assert (await client.log_in()).startswith("538 5.7.11")
        await client.start_tls()
        await client.say("EHLO client.test")
        assert (await client.say("MAIL FROM:<alice@ours.test>")).startswith("530 5.7.0 Authentication required")
        assert await client.log_in() == "235 2.7.0 Authentication successful"
        assert "AUTH" not in await client.say("EHLO client.test")
        assert (await client.log_in()).startswith("503 5.5.1")


async def test_a_login_may_relay_under_its_own_addresses(edge: Gate) -> None:
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        await client.log_in()
        assert (await client.say("MAIL FROM:<bob@ours.test>")).startswith("553 5.7.1")
        assert (await client.say("MAIL FROM:<alice@ours.test>")).startswith("250")
        assert (await client.say("RCPT TO:<y@away.test>")).startswith("250")
        await client.say("DATA")
        await client.send("From: alice@ours.test\r\n\r\nx\r\n.\r\n")
        assert (await client.reply()).startswith("250")
        assert (await client.say("MAIL FROM:<>")).startswith("250")
    mail = edge.publisher.mails[0]
    assert (mail.envelope.direction, mail.envelope.proved) == ("outbound", "login")
    assert mail.envelope.client.login == "alice@ours.test"
    assert str(mail.envelope.client.tls).startswith("TLSv1.3 ")
    assert b"with ESMTPSA id" in mail.body
    # The trace field names the recipient, not the login.
    assert b"alice" not in mail.body.partition(b"From:")[0]


async def test_a_login_of_a_domain_sends_as_any_address_of_it(edge: Gate) -> None:
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        assert (await client.log_in("robot")).startswith("235")
        assert (await client.say("MAIL FROM:<whoever@ours.test>")).startswith("250")


@pytest.mark.parametrize(
    "lines, expected",
    [
        (["AUTH PLAIN " + b64(f"\0alice@ours.test\0{PASSWORD}")], "235 2.7.0"),
        (["auth plain " + b64(f"\0ALICE@ours.test\0{PASSWORD}")], "235 2.7.0"),
        (["AUTH PLAIN", b64(f"\0alice@ours.test\0{PASSWORD}")], "235 2.7.0"),
        (["AUTH PLAIN " + b64(f"alice@ours.test\0alice@ours.test\0{PASSWORD}")], "235 2.7.0"),
        (["AUTH PLAIN " + b64(f"bob@ours.test\0alice@ours.test\0{PASSWORD}")], "535 5.7.8"),
        (["AUTH PLAIN " + b64("\0alice@ours.test\0wrong")], "535 5.7.8"),
        (["AUTH PLAIN " + b64(f"\0nobody@ours.test\0{PASSWORD}")], "535 5.7.8"),
        (["AUTH PLAIN " + b64(f"\0gone@ours.test\0{PASSWORD}")], "535 5.7.8"),
        (["AUTH PLAIN " + b64("one")], "501 5.5.2"),
        (["AUTH PLAIN ="], "501 5.5.2"),
        (["AUTH PLAIN !!!"], "501 5.5.2"),
        (["AUTH PLAIN", "*"], "501 5.7.0"),
        (["AUTH LOGIN", b64("alice@ours.test"), b64(PASSWORD)], "235 2.7.0"),
        (["AUTH LOGIN " + b64("alice@ours.test"), b64(PASSWORD)], "235 2.7.0"),
        (["AUTH LOGIN", b64("alice@ours.test"), "*"], "501 5.7.0"),
        (["AUTH LOGIN", b64("alice@ours.test"), b64("x")], "535 5.7.8"),
        (["AUTH CRAM-MD5"], "504 5.5.4"),
        (["AUTH"], "504 5.5.4"),
    ],
)
async def test_auth(edge: Gate, lines: list[str], expected: str) -> None:
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        for line in lines[:-1]:
            assert (await client.say(line)).startswith("334 ")
        assert (await client.say(lines[-1])).startswith(expected)
        assert (await client.say("NOOP")).startswith("250")


async def test_auth_is_not_offered_where_the_policy_has_none(edge: Gate) -> None:
    async with edge.client("mx") as client:
        await client.hello()
        await client.start_tls()
        assert "AUTH" not in await client.say("EHLO client.test")
        assert (await client.log_in()).startswith("502 5.5.1")


async def test_too_many_failed_logins_end_the_session(edge: Gate) -> None:
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        for _ in range(3):
            assert (await client.log_in(password="wrong")).startswith("535 5.7.8")
        assert (await client.reply()).startswith("421 4.7.0")
        assert await client.is_closed()
    reasons = [facts["reason"] for _, kind, facts in edge.events.told if kind is EventKind.COMMAND_REFUSED]
    assert reasons == ["login-failed"] * 3
    assert edge.events.told[0][2]["login"] == "alice@ours.test"


async def test_passwords_are_checked_off_the_event_loop(edge: Gate) -> None:
    async with edge.client("submissions", tls=True) as client, edge.client() as other:
        await client.hello()
        await other.hello()
        login, noop = await asyncio.gather(client.log_in(), other.say("NOOP"))
    assert (login[:3], noop[:3]) == ("235", "250")


async def test_mail_without_tls_is_refused_where_tls_is_required(edge: Gate) -> None:
    edge.policy.policy = policy().model_copy(
        update={
            "listeners": {
                **policy().listeners,
                "mx": policy().listeners["mx"].model_copy(update={"tls": "required"}),
            }
        }
    )
    async with edge.client("mx") as client:
        await client.hello()
        assert (await client.say("MAIL FROM:<x@away.test>")).startswith("530 5.7.0")
        await client.start_tls()
        await client.say("EHLO client.test")
        assert (await client.say("MAIL FROM:<x@away.test>")).startswith("250")


FROM_RULES = """
[listeners.loose]
purpose = "submission"
tls = "implicit"
auth = true
from_owned = false
"""


async def sent(client: Client, header: str) -> str:
    assert (await client.say("MAIL FROM:<alice@ours.test>")).startswith("250")
    assert (await client.say("RCPT TO:<y@away.test>")).startswith("250")
    assert (await client.say("DATA")).startswith("354")
    await client.send(f"{header}\r\nx\r\n.\r\n")
    return await client.reply()


@pytest.mark.parametrize(
    "header, code",
    [
        ("From: Alice <alice@ours.test>\r\n", "250"),
        ("From: bob@ours.test\r\n", "553"),
        ("From: alice@ours.test, bob@ours.test\r\n", "553"),
        ("From: alice@ours.test\r\nFrom: bob@ours.test\r\n", "553"),
        ("From: alice@ours.test\r\nSender: bob@ours.test\r\n", "553"),
        ("Subject: no author\r\n", "553"),
        ("From: nobody\r\n", "553"),
    ],
)
async def test_a_login_shows_its_own_addresses_in_from(edge: Gate, header: str, code: str) -> None:
    async with edge.client("submissions", tls=True) as client:
        await client.hello()
        await client.log_in()
        reply = await sent(client, header)
        assert reply.startswith(code)
        assert code == "250" or reply.startswith("553 5.7.1 ")
    refused = [facts["reason"] for _, kind, facts in edge.events.told if kind is EventKind.COMMAND_REFUSED]
    assert refused == ([] if code == "250" else ["from-not-owned"])


async def test_from_is_not_looked_at_where_the_policy_says_so_nor_without_a_login(certificate: Path) -> None:
    own = {"loose": ListenerSettings(port=0, certificate_file=certificate, key_file=certificate)}
    async with gate(policy(FROM_RULES), certificate, own) as edge:
        async with edge.client("loose", tls=True) as client:
            await client.hello()
            await client.log_in()
            assert (await sent(client, "From: bob@ours.test\r\n")).startswith("250")
        async with edge.client("mx") as client:
            assert (await client.mail(b"Subject: no author\r\n\r\nx\r\n")).startswith("250")
