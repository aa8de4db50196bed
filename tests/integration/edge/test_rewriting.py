"""RCPT over real sockets to addresses that lead elsewhere: what is taken is what delivery can place."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import structlog.testing

from shared.address import Address
from shared.reply import Reply
from shared.rewriting import batv, srs
from shared.rewriting.keys import RewritingKeys, keys_of
from shared.wire_verify import VERIFY_TYPE, VerifyAnswer, VerifyResult, decode_question, encode_answer
from tests.integration.edge.gate import Client, Gate, gate, id_in, policy

KEYS = keys_of(["a secret of sixteen"])
BOUNCES = 864_000.0
POLICY = policy("""
[domains."aliased.test"]
route = "maildir:mail"
recipients = ["anna"]
subaddress = "+"
size_bytes = 65536
[domains."aliased.test".aliases]
sales = ["anna", "eve@away.test"]
[domains."caught.test"]
route = "maildir:mail"
recipients = ["anna"]
catch_all = "anna"
[domains."tags.test"]
route = "maildir:mail"
recipients = ["anna"]
batv = "enforce"
[domains."asked.test"]
route = "smtp://127.0.0.1:2500"
recipients = "verified"
aliases = {sales = "x"}
[domains."plus.test"]
route = "smtp://127.0.0.1:2500"
recipients = ["anna"]
subaddress = "+"
[domains."same.test"]
same_as = "asked.test"
""")
UNKNOWN = "550 5.1.1 Recipient address refused: unknown recipient ["
NOT_OURS = "550 5.7.1 Bounce refused: "
Open = Callable[..., AbstractAsyncContextManager[Gate]]


@pytest.fixture
def edge_of(certificate: Path) -> Open:
    return lambda keys=KEYS: gate(POLICY, certificate, keys=keys)


async def asked(client: Client, recipient: object, sender: str = "x@away.test", size: int = 0) -> str:
    """Return what is said of a recipient."""
    await client.say("RSET")
    declared = f" SIZE={size}" if size else ""
    assert (await client.say(f"MAIL FROM:<{sender}>{declared}")).startswith("250")
    return await client.say(f"RCPT TO:<{recipient}>")


def forwarded(now: float) -> Address:
    made = srs.forward(Address("jo", "away.test"), "aliased.test", KEYS, now)
    assert made is not None
    return made


def tagged(now: float) -> Address:
    made = batv.tag(Address("anna", "tags.test"), KEYS, now, BOUNCES)
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("recipient", "reply"),
    [
        ("Sales@aliased.test", "250 "),
        ("sales+x@aliased.test", "250 "),
        ("anna+x@aliased.test", "250 "),
        ("anna+x%y@aliased.test", "250 "),
        ("anna+x%y@plus.test", "550 5.7.1 Relaying denied: routed"),
        ("who@aliased.test", UNKNOWN),
        ("who@caught.test", "250 "),
        ("who%away.test@caught.test", "250 "),
        ("sales@asked.test", "250 "),
        ("sales@same.test", "250 "),
    ],
)
async def test_aliases_subaddresses_and_catch_alls(recipient: str, reply: str, edge_of: Open) -> None:
    async with edge_of() as edge, edge.client() as client:
        await client.hello()
        assert (await asked(client, recipient)).startswith(reply)


async def test_the_envelope_keeps_the_recipient_as_the_client_named_it(edge_of: Open) -> None:
    async with edge_of() as edge, edge.client() as client:
        edge.judge_all(Reply(250, "2.0.0", "ok"))
        assert (await client.mail(b"Subject: x\r\n\r\nx\r\n", "sales@aliased.test")).startswith("250")
        (mail,) = [one for one in edge.publisher.published if one.message_type == "gatepost.mail.v1"]
        assert [one.address for one in mail.envelope.recipients] == ["sales@aliased.test"]


async def test_the_route_is_asked_for_the_address_that_it_will_get(edge_of: Open) -> None:
    async with edge_of() as edge, edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        await client.send("RCPT TO:<bob@same.test>\r\n")
        await edge.publisher.until(lambda: bool(edge.publisher.published))
        (one,) = [one for one in edge.publisher.published if one.message_type == VERIFY_TYPE]
        question = decode_question(one.message_type, one.body)
        assert question.recipient == "bob@asked.test"
        answer = VerifyAnswer(question.id, question.recipient, VerifyResult.TAKEN, "x")
        edge.defences.verification.on_answer(encode_answer(answer))
        assert (await client.reply()).startswith("250")


async def test_a_bounce_of_mail_that_was_sent_on_is_taken_and_nothing_else_at_that_address(edge_of: Open) -> None:
    now = time.time()
    async with edge_of() as edge, edge.client() as client:
        await client.hello()
        ours, forged = forwarded(now), str(forwarded(now)).replace("=jo@", "=eve@")
        assert (await asked(client, ours, sender="")).startswith("250")
        assert (await asked(client, str(ours).lower(), sender="")).startswith("250")
        assert (await asked(client, ours)).startswith("550 5.7.1 Recipient address refused: it takes bounces alone [")
        assert (await asked(client, forged, sender="")).startswith("550 5.1.1 Recipient address refused: not written")
        old = forwarded(now - 20 * 86_400)
        assert (await asked(client, old, sender="")).startswith("550 5.1.1 Recipient address refused: too old")


async def test_where_tags_are_enforced_bounces_without_one_are_refused(edge_of: Open) -> None:
    now = time.time()
    async with edge_of() as edge, edge.client() as client:
        await client.hello()
        assert (await asked(client, tagged(now), sender="")).startswith("250")
        refused = await asked(client, "anna@tags.test", sender="")
        assert refused.startswith(NOT_OURS)
        reasons = [facts["reason"] for told, _, facts in edge.events.told if told == id_in(refused)]
        assert reasons == ["bounce-not-ours"]
        assert (await asked(client, tagged(now - 30 * 86_400), sender="")).startswith(NOT_OURS)
        assert (await asked(client, "postmaster@tags.test", sender="")).startswith("250")
        assert (await asked(client, "anna@tags.test")).startswith("250")
        assert (await asked(client, tagged(now))).startswith("250")


async def test_without_the_secret_the_client_comes_again_and_the_log_says_why(edge_of: Open) -> None:
    async with edge_of(RewritingKeys()) as edge, edge.client() as client:
        await client.hello()
        with structlog.testing.capture_logs() as logs:
            for recipient in (forwarded(time.time()), "anna@tags.test"):
                reply = await asked(client, recipient, sender="")
                assert reply.startswith("451 4.3.5 Local error in processing, try again later [")
        assert [one["event"] for one in logs].count("rewriting-secrets-missing") == 2


async def test_a_domain_may_take_less_than_its_listener(edge_of: Open) -> None:
    async with edge_of() as edge, edge.client() as client:
        edge.judge_all(Reply(250, "2.0.0", "ok"))
        await client.hello()
        too_large = "552 5.3.4 Message size exceeds the limit of this recipient's domain ["
        assert (await asked(client, "anna@aliased.test", size=65_537)).startswith(too_large)
        assert (await client.say("RCPT TO:<bob@ours.test>")).startswith("250")
        assert (await asked(client, "anna@aliased.test", size=65_536)).startswith("250")


@pytest.mark.parametrize(
    ("recipients", "reply"),
    [(["bob@ours.test"], "250 "), (["bob@ours.test", "anna@aliased.test"], "552 5.3.4 Message size exceeds ")],
)
async def test_what_is_too_large_for_one_is_refused_for_all(recipients: list[str], reply: str, edge_of: Open) -> None:
    async with edge_of() as edge, edge.client() as client:
        edge.judge_all(Reply(250, "2.0.0", "ok"))
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        for recipient in recipients:
            assert (await client.say(f"RCPT TO:<{recipient}>")).startswith("250")
        assert (await client.say("DATA")).startswith("354")
        await client.send(b"Subject: x\r\n\r\n" + b"0123456789abcd\r\n" * 5000 + b".\r\n")
        assert (await client.reply()).startswith(reply)
