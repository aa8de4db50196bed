"""Edge's questions, delivery's answers, over a real RabbitMQ with each service's own user."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.delivery.app import DeliveryService
from services.edge.decide.recipient import Known
from services.edge.recipients.recipients import Recipients
from services.edge.recipients.verification import NoAnswer, Verification
from services.edge.session import Session
from shared.address import Address
from shared.broker.connect import Link
from shared.broker.consume import ReplyQueue
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Key, Queue
from shared.policy import Listener, Purpose, parse_policy
from shared.state.memory import MemoryState
from shared.wire_verify import VERIFY_TYPE, VerifyQuestion, encode_question
from tests.integration.delivery.parts import envelope_for, route_policy
from tests.integration.delivery.test_service import Neighbours, _running
from tests.nexthop import HANG, NextHop
from tests.rabbit import Rabbit

NO_SUCH_USER = "550 5.1.1 no such user"
SESSION = Session("mx", Listener(purpose=Purpose.INBOUND), "192.0.2.1", 1)


class EdgeSide:
    """What edge has of verification, on edge's links."""

    def __init__(self, rabbit: Rabbit, key: str = "0123abcd", deadline_s: float = 9.0) -> None:
        self.publishing = Link(rabbit.settings("edge"), "test-edge-publish")
        self._consuming = Link(rabbit.settings("edge"), "test-edge-consume")
        self.publisher = Publisher(self.publishing)
        self.verification = Verification(self.publisher, key, deadline_s=deadline_s)
        ReplyQueue(self._consuming, "edge", Exchange.VERIFIED, key, self.verification.on_answer)

    async def __aenter__(self) -> "EdgeSide":
        for link in (self.publishing, self._consuming):
            link.start()
            async with asyncio.timeout(10):
                await link.wait_up()
        return self

    async def __aexit__(self, *_: object) -> None:
        for link in (self.publishing, self._consuming):
            await link.close()


def verified_policy(route: str, domain: str = "example.org") -> str:
    return f'[domains."{domain}"]\nroute = "{route}"\nrecipients = "verified"\n'


@contextlib.asynccontextmanager
async def _answering(rabbit: Rabbit, folder: Path, policy: str) -> AsyncIterator[DeliveryService]:
    async with Neighbours(rabbit) as others:
        await others.apply(policy)
        async with _running(rabbit, folder) as service:
            yield service


@pytest.mark.parametrize(
    ("reply", "known"), [("250 ok", Known.YES), (NO_SUCH_USER, Known.NO), ("450 4.2.1 later", Known.UNSURE)]
)
async def test_the_hops_answer_comes_to_edge(reply: str, known: Known, rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"rcpt": [reply]}) as hop:
        policy = verified_policy(f"smtp://127.0.0.1:{hop.port}")
        async with _answering(rabbit, tmp_path, policy), EdgeSide(rabbit) as edge:
            assert await edge.verification.ask("b@example.org") is known
            assert "RCPT TO:<b@example.org>" in hop.said


async def test_each_edge_process_gets_its_own_answers(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"rcpt": ["250 ok", NO_SUCH_USER]}) as hop:
        policy = verified_policy(f"smtp://127.0.0.1:{hop.port}")
        async with (
            _answering(rabbit, tmp_path, policy),
            EdgeSide(rabbit, "first") as first,
            EdgeSide(rabbit, "second") as second,
        ):
            assert await first.verification.ask("a@example.org") is Known.YES
            assert await second.verification.ask("b@example.org") is Known.NO


async def test_a_forged_question_makes_delivery_probe_nobody(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as hop:
        route = f"smtp://127.0.0.1:{hop.port}"
        policy = f'default_route = "{route}"\n' + verified_policy(route) + route_policy(route, "listed.example")
        async with _answering(rabbit, tmp_path, policy), EdgeSide(rabbit) as edge:
            for recipient in (
                "b@elsewhere.example",
                "b@listed.example",
                "b@[127.0.0.1]",
                "b@example.org>\r\nDATA",
                "<b@example.org>",
                "@example.org",
            ):
                assert await edge.verification.ask(recipient) is Known.UNSURE
            assert hop.connections == 0


async def test_what_is_no_question_is_dropped_and_the_next_is_answered(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as hop:
        policy = verified_policy(f"smtp://127.0.0.1:{hop.port}")
        async with _answering(rabbit, tmp_path, policy), EdgeSide(rabbit) as edge:
            good = encode_question(VerifyQuestion("x", "0123abcd", "b@example.org"))
            for kind, body in ((VERIFY_TYPE, b"{"), ("gatepost.verify.v2", good)):
                await edge.publisher.publish(Exchange.VERIFY.value, Key.VERIFY.value, body, message_type=kind)
            assert await edge.verification.ask("b@example.org") is Known.YES


async def test_a_question_waits_for_a_delivery_process_that_starts(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as hop, EdgeSide(rabbit) as edge:
        asking = asyncio.create_task(edge.verification.ask("b@example.org"))
        async with _answering(rabbit, tmp_path, verified_policy(f"smtp://127.0.0.1:{hop.port}")):
            assert await asking is Known.YES


async def test_known_recipients_serve_while_no_delivery_process_lives(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"rcpt": ["250 ok"]}) as hop, EdgeSide(rabbit, deadline_s=2.0) as edge:
        text = verified_policy(f"smtp://127.0.0.1:{hop.port}")
        rules = parse_policy(text).domains["example.org"]
        recipients = Recipients(edge.verification, None, MemoryState())
        async with _answering(rabbit, tmp_path, text):
            assert await recipients.knows(SESSION, rules, Address("a", "example.org")) is Known.YES
        assert await recipients.knows(SESSION, rules, Address("a", "example.org")) is Known.YES
        assert await recipients.knows(SESSION, rules, Address("b", "example.org")) is Known.UNSURE
        with pytest.raises(NoAnswer, match="of late"):
            await edge.verification.ask("c@example.org")
        await recipients.close()


async def test_questions_about_a_slow_hop_hold_up_neither_others_nor_mail(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"rcpt": [HANG]}) as slow, NextHop() as quick, EdgeSide(rabbit) as edge:
        policy = verified_policy(f"smtp://127.0.0.1:{slow.port}", "slow.example") + verified_policy(
            f"smtp://127.0.0.1:{quick.port}"
        )
        async with _answering(rabbit, tmp_path, policy), Neighbours(rabbit) as others:
            asking = [asyncio.create_task(edge.verification.ask(f"{number}@slow.example")) for number in range(30)]
            await slow.until(lambda: any(line.startswith("RCPT") for line in slow.said))
            async with asyncio.timeout(4):
                assert await edge.verification.ask("b@example.org") is Known.YES
                await others.send(envelope_for())
                await quick.until(lambda: len(quick.mails) == 1)
            assert set(await asyncio.gather(*asking)) == {Known.UNSURE}


async def test_a_verify_queue_that_is_gone_stops_no_mail(rabbit: Rabbit, tmp_path: Path) -> None:
    rabbit.delete(Queue.VERIFY.value)
    try:
        async with NextHop() as hop:
            policy = verified_policy(f"smtp://127.0.0.1:{hop.port}")
            async with _answering(rabbit, tmp_path, policy), Neighbours(rabbit) as others:
                await others.send(envelope_for())
                await hop.until(lambda: len(hop.mails) == 1)
    finally:
        rabbit.install()
