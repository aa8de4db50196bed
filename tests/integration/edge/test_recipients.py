"""Recipients that the route or the directory knows, over real sockets: what the client is told, and who waits."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from shared.wire_verify import VERIFY_TYPE, VerifyAnswer, VerifyQuestion, VerifyResult, decode_question, encode_answer
from tests.integration.edge.gate import Gate, gate, policy

POLICY = policy("""
[domains."route.test"]
route = "smtp://127.0.0.1:2500"
recipients = "verified"
[domains."directory.test"]
route = "smtp://127.0.0.1:2500"
recipients = "ldap"
""")
UNKNOWN = "550 5.1.1 Recipient address refused: unknown recipient ["
UNSURE = "450 4.1.1 Recipient address cannot be verified now, try again later ["


class FakeDirectory:
    """A directory that knows `bob`, or cannot be reached."""

    def __init__(self) -> None:
        self.is_up = True
        self.asked = 0

    async def has_recipient(self, address: str) -> bool:
        self.asked += 1
        if not self.is_up:
            raise OSError("gone")
        return address.startswith("bob@")


Open = Callable[[], AbstractAsyncContextManager[Gate]]


@pytest.fixture
def directory() -> FakeDirectory:
    return FakeDirectory()


@pytest.fixture
def edge_of(certificate: Path, directory: FakeDirectory) -> Open:
    return lambda: gate(POLICY, certificate, directory=directory)


def questions(edge: Gate) -> list[VerifyQuestion]:
    sent = [one for one in edge.publisher.published if one.message_type == VERIFY_TYPE]
    return [decode_question(one.message_type, one.body) for one in sent]


async def answer(edge: Gate, result: VerifyResult, count: int = 1) -> None:
    """Answer the question of this number like a delivery process."""
    await edge.publisher.until(lambda: len(questions(edge)) >= count)
    question = questions(edge)[count - 1]
    edge.defences.verification.on_answer(encode_answer(VerifyAnswer(question.id, question.recipient, result, "x")))


@pytest.mark.parametrize(
    ("result", "reply"),
    [(VerifyResult.TAKEN, "250 2.1.5"), (VerifyResult.REFUSED, UNKNOWN), (VerifyResult.UNKNOWN, UNSURE)],
)
async def test_the_routes_answer_is_the_clients_and_is_remembered(
    result: VerifyResult, reply: str, edge_of: Open
) -> None:
    async with edge_of() as edge, edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        await client.send("RCPT TO:<Bob@route.test>\r\n")
        await answer(edge, result)
        assert (await client.reply()).startswith(reply)
        assert (await client.say('RCPT TO:<"bob"@route.test>')).startswith(reply)
        assert [question.recipient for question in questions(edge)] == ["bob@route.test"]


async def test_an_unknown_recipient_is_told_in_the_words_for_one_that_is_not_listed(edge_of: Open) -> None:
    async with edge_of() as edge, edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        await client.send("RCPT TO:<eve@route.test>\r\n")
        await answer(edge, VerifyResult.REFUSED)
        asked, listed = await client.reply(), await client.say("RCPT TO:<eve@ours.test>")
        assert asked.partition("[")[0] == listed.partition("[")[0]


async def test_postmaster_and_abuse_are_taken_without_asking(edge_of: Open, directory: FakeDirectory) -> None:
    async with edge_of() as edge, edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        for domain in ("route.test", "directory.test"):
            for name in ("postmaster", "Abuse"):
                assert (await client.say(f"RCPT TO:<{name}@{domain}>")).startswith("250")
        assert questions(edge) == []
        assert directory.asked == 0


async def test_the_directorys_word_counts_and_its_absence_refuses_nobody(
    edge_of: Open, directory: FakeDirectory
) -> None:
    async with edge_of() as edge, edge.client() as client:
        await client.hello()
        await client.say("MAIL FROM:<x@away.test>")
        assert (await client.say("RCPT TO:<bob@directory.test>")).startswith("250")
        assert (await client.say("RCPT TO:<eve@directory.test>")).startswith(UNKNOWN)
        directory.is_up = False
        assert (await client.say("RCPT TO:<new@directory.test>")).startswith(UNSURE)
        # What is known serves on.
        assert (await client.say("RCPT TO:<bob@directory.test>")).startswith("250")
        assert (await client.say("RCPT TO:<eve@directory.test>")).startswith(UNKNOWN)


async def test_pipelined_recipients_are_answered_in_their_order(edge_of: Open) -> None:
    async with edge_of() as edge, edge.client() as client:
        await client.hello()
        await client.send(
            "MAIL FROM:<x@away.test>\r\nRCPT TO:<a@route.test>\r\nRCPT TO:<b@route.test>\r\nRCPT TO:<bob@ours.test>\r\n"
        )
        await answer(edge, VerifyResult.REFUSED, 1)
        await answer(edge, VerifyResult.TAKEN, 2)
        assert [(await client.reply())[:3] for _ in range(4)] == ["250", "550", "250", "250"]


async def test_one_who_waits_holds_up_nobody_else(edge_of: Open) -> None:
    async with edge_of() as edge, edge.client() as waiting, edge.client() as other:
        await waiting.hello()
        await waiting.say("MAIL FROM:<x@away.test>")
        await waiting.send("RCPT TO:<bob@route.test>\r\n")
        await edge.publisher.until(lambda: len(questions(edge)) == 1)
        await other.begin("bob@ours.test")
        await answer(edge, VerifyResult.TAKEN)
        assert (await waiting.reply()).startswith("250")


async def test_a_client_that_leaves_while_it_waits_leaves_the_answer(edge_of: Open) -> None:
    async with edge_of() as edge:
        async with edge.client() as leaving:
            await leaving.hello()
            await leaving.say("MAIL FROM:<x@away.test>")
            await leaving.send("RCPT TO:<bob@route.test>\r\n")
            await edge.publisher.until(lambda: len(questions(edge)) == 1)
        await answer(edge, VerifyResult.TAKEN)
        async with edge.client() as client:
            await client.begin("bob@route.test")
        assert len(questions(edge)) == 1


async def test_many_who_ask_for_one_recipient_make_one_question(edge_of: Open) -> None:
    async with edge_of() as edge:

        async def ask() -> str:
            async with edge.client() as client:
                await client.hello()
                await client.say("MAIL FROM:<x@away.test>")
                return await client.say("RCPT TO:<bob@route.test>")

        asking = [asyncio.create_task(ask()) for _ in range(20)]
        await answer(edge, VerifyResult.TAKEN)
        assert {reply[:3] for reply in await asyncio.gather(*asking)} == {"250"}
        assert len(questions(edge)) == 1
