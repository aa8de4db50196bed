"""Traces of real mail: edge, content and delivery as processes of their own, and a collector that they tell.

What each stage tells has no word of the others' in it: that it fits together is the rule that is tested here.
"""

import asyncio
import json
import smtplib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from infra.local.ports import free_ports
from shared.ids import parse_id
from shared.tracing.identity import trace_of
from tests.clamd import Clamd
from tests.collector import Collector, Got
from tests.dnsserver import DnsServer
from tests.gateway import Gateway
from tests.load.mail import SENDER, Kind, Mailbag, zone_of
from tests.load.sink import Sink
from tests.nexthop import NextHop
from tests.rabbit import Rabbit

# One after another: the least that the ladder can do is five seconds.
_SOON = "[retry]\nsteps_s = [1]\nconnection_steps_s = [1]\ngreylisted_steps_s = [1]\npolicy_steps_s = [1]\n"
STAGES = ("edge", "content", "delivery")


class TracedGateway(Gateway):
    """A gateway whose stages tell a collector."""

    endpoint = ""

    def _common(self, service: str) -> str:
        tracing = f'[tracing]\nendpoint = "{self.endpoint}"\n' if service in STAGES else ""
        return super()._common(service) + tracing

    async def send(self, kind: Kind, *recipients: str) -> tuple[int, str]:
        """Send a mail; return the reply's code, and the mail's id."""
        _, text = Mailbag(recipients[0]).write(kind)
        code, said = await asyncio.to_thread(_converse, self.port, recipients, text)
        return code, parse_id(said.rstrip("]").replace("[", " ").split(" ")[-1])


def _converse(port: int, recipients: Sequence[str], text: bytes) -> tuple[int, str]:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.sender.test", timeout=60) as smtp:
        smtp.ehlo()
        smtp.mail(SENDER)
        for recipient in recipients:
            assert smtp.rcpt(recipient)[0] == 250
        code, said = smtp.data(text)
        return code, said.decode()


@pytest.fixture
async def gateway(tmp_path: Path, rabbit: Rabbit, clamd: Clamd) -> AsyncIterator[TracedGateway]:
    async with DnsServer(zone_of()) as nameserver:
        gateway = TracedGateway(tmp_path, rabbit, clamd, nameserver.address)
        try:
            yield gateway
        finally:
            await gateway.close()


def of(message_id: str, spans: Sequence[Got]) -> list[Got]:
    """Return the spans of a mail's trace, as they began."""
    return sorted((span for span in spans if span.trace_id == trace_of(message_id)), key=lambda span: span.began_ns)


def named(name: str, spans: Sequence[Got]) -> list[Got]:
    return [span for span in spans if span.name == name]


def assert_one_tree(spans: Sequence[Got]) -> None:
    """All hang together: one root, and every parent is there."""
    ids = {span.span_id for span in spans}
    assert len(ids) == len(spans)
    assert [span.name for span in spans if span.parent is None] == ["edge"]
    assert {span.parent for span in spans if span.parent is not None} <= ids


def assert_nothing_personal(spans: Sequence[Got]) -> None:
    told = json.dumps([(span.name, span.facts, span.failed) for span in spans])
    for word in ("@", "alice", "user", "client.sender.test", "A plain message", "Seventy characters"):
        assert word not in told, told


async def test_a_mail_is_one_trace_through_all_stages_with_its_retries(gateway: TracedGateway) -> None:
    script = {"message": ["451 4.3.0 not now", "250 2.0.0 taken"]}
    async with Collector() as collector, NextHop(script) as hop, Sink().listening() as sink:
        gateway.endpoint = collector.endpoint
        routes = {"sink.test": f"smtp://127.0.0.1:{hop.port}", "other.test": f"smtp://127.0.0.1:{sink.port}"}
        await gateway.open(routes, _SOON, content_workers=1)

        code, message_id = await gateway.send(Kind.PLAIN, "user@sink.test")
        assert code == 250
        all_spans = await collector.until(lambda spans: len(named("delivery", of(message_id, spans))) == 2, 40)
        spans = of(message_id, all_spans)
        assert_one_tree(spans)
        assert_nothing_personal(spans)
        _look_at_the_stages(spans)
        _look_at_the_retry(spans)

        # A mail for two hops goes on as two, in the one trace.
        code, message_id = await gateway.send(Kind.PLAIN, "user@sink.test", "user@other.test")
        assert code == 250
        all_spans = await collector.until(lambda spans: len(named("delivery", of(message_id, spans))) == 2, 40)
        spans = of(message_id, all_spans)
        assert_one_tree(spans)
        visits = named("delivery", spans)
        assert message_id not in {visit.facts["id"] for visit in visits}
        assert [visit.links for visit in visits] == [[], []]

        # What is refused ends with content, and the client was told so.
        code, message_id = await gateway.send(Kind.MALWARE, "user@sink.test")
        assert code == 550
        all_spans = await collector.until(
            lambda spans: {"edge", "content"} <= {one.name for one in of(message_id, spans)}
        )
        spans = of(message_id, all_spans)
        assert_one_tree(spans)
        (edge,), (content,), (scan,) = (named(name, spans) for name in ("edge", "content", "antivirus"))
        assert (edge.facts["code"], content.facts["verdict"], scan.facts["antivirus"]) == (550, "refuse", "infected")


def _look_at_the_stages(spans: Sequence[Got]) -> None:
    (edge,), (content,), (delivery, _) = (named(stage, spans) for stage in STAGES)
    assert [edge.service, content.service, delivery.service] == [f"gatepost-{stage}" for stage in STAGES]
    assert edge.began_ns <= content.began_ns <= delivery.began_ns
    assert content.parent == delivery.parent == edge.span_id
    below = {
        stage.name: [span.name for span in spans if span.parent == stage.span_id and span.service == stage.service]
        for stage in (edge, content, delivery)
    }
    assert below["edge"] == ["receive", "hand over", "wait for the verdict", "reply"]
    assert below["content"] == ["examine", "tell edge", "carry out"]
    assert below["delivery"] == ["attempt", "settle"]
    assert {"antivirus", "antispam", "parts", "authenticity", "spf", "dkim", "iprev", "arc", "dmarc"} <= {
        span.name for span in spans
    }
    assert (
        edge.facts
        | {
            "code": 250,
            "direction": "inbound",
            "sender_domain": "sender.test",
            "domains": ["sink.test"],
            "recipients": 1,
            "tls": "none",
            "logged_in": False,
        }
        == edge.facts
    )
    (authenticity,) = named("authenticity", spans)
    assert authenticity.facts["spf"] == "pass"


def _look_at_the_retry(spans: Sequence[Got]) -> None:
    first, second = named("delivery", spans)
    put_off, done = named("attempt", spans)
    assert (put_off.parent, done.parent) == (first.span_id, second.span_id)
    assert second.links == [(first.trace_id, first.span_id)]
    assert second.began_ns > first.ended_ns
    assert (put_off.facts["replies"], done.facts["replies"]) == (["4xx"], ["2xx"])
    assert (put_off.facts["deferred"], done.facts["delivered"], done.kind) == (1, 1, "client")
    assert str(done.facts["hop"]).startswith("smtp://127.0.0.1:")


async def test_a_collector_that_is_away_holds_up_neither_mail_nor_the_end(
    gateway: TracedGateway, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    gateway.endpoint = f"http://127.0.0.1:{port}"
    async with Sink().listening() as sink:
        await gateway.open({"sink.test": f"smtp://127.0.0.1:{sink.port}"}, content_workers=1)
        for _ in range(30):
            began = time.monotonic()
            code, _ = await gateway.send(Kind.PLAIN, "user@sink.test")
            assert (code, time.monotonic() - began < 5) == (250, True)
        async with asyncio.timeout(20):
            while sink.messages < 30:
                await asyncio.sleep(0.05)
    for stage in STAGES:
        began = time.monotonic()
        assert await gateway.stop(stage) == 0
        assert time.monotonic() - began < 15
        log = (tmp_path / f"{stage}.log").read_text("utf-8")
        assert 1 <= log.count("traces-lost") <= 2, log
        assert "Traceback" not in log
        assert "urllib3" not in log
