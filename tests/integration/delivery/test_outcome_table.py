"""What each answer of a next hop, and each point where it goes silent or away, means for each recipient.

`SMTP` and `LMTP` are the tables that docs/delivery.md shows; each cell of them is tried, with and without PIPELINING, for
a message to two recipients, A and B, of which each that waits is then tried at a healthy hop. A cell says what becomes of
both, or of A / of B:

delivered: the hop has taken it (where a session that was kept open turns out to be dead: on a new one, at once).
failed: the sender is told. again: it waits and is tried again. again*: so, too, but the hop may have it already; this
alone is where a recipient may get it twice, and no client can know better (RFC 1047).
"""

import asyncio
from dataclasses import dataclass, replace
from email import message_from_bytes

import pytest

from shared.broker.topology import Exchange
from shared.event import EventKind
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.parts import MESSAGE, Stage, envelope_for, route_policy
from tests.nexthop import DISCONNECT, HANG, Last, NextHop, Step

SMTP = """
| where | 2xx | 3xx | 4xx | 5xx | 421, closes | no reply code | too long | silence | lost |
|---|---|---|---|---|---|---|---|---|---|
| greeting (220 goes on) | again | again | again | again | again | again | again | again | again |
| EHLO (250 goes on) | delivered | again | again | delivered | again | again | again | again | again |
| STARTTLS (220 goes on) | again | again | again | again | again | again | again | again | again |
| MAIL | delivered | again | again | failed | again | again | again | again | again |
| MAIL, on a kept session | delivered | again | again | failed | delivered | delivered | delivered | delivered | delivered |
| RCPT of A | delivered | again / delivered | again / delivered | failed / delivered | again | again | again | again | again |
| RCPT of B | delivered | delivered / again | delivered / again | delivered / failed | again | again | again | again | again |
| DATA (354 goes on) | again | again | again | failed | again | again | again | again | again |
| in the message, then lost | again | again | again | failed | again | again | again | again | again |
| after the dot | delivered | again* | again | failed | again | again* | again* | again* | again* |
"""
LMTP = """
| where | 2xx | 3xx | 4xx | 5xx | 421, closes | no reply code | too long | silence | lost |
|---|---|---|---|---|---|---|---|---|---|
| greeting (220 goes on) | again | again | again | again | again | again | again | again | again |
| LHLO (250 goes on) | delivered | again | again | again | again | again | again | again | again |
| STARTTLS (220 goes on) | again | again | again | again | again | again | again | again | again |
| MAIL | delivered | again | again | failed | again | again | again | again | again |
| MAIL, on a kept session | delivered | again | again | failed | delivered | delivered | delivered | delivered | delivered |
| RCPT of A | delivered | again / delivered | again / delivered | failed / delivered | again | again | again | again | again |
| RCPT of B | delivered | delivered / again | delivered / again | delivered / failed | again | again | again | again | again |
| DATA (354 goes on) | again | again | again | failed | again | again | again | again | again |
| in the message, then lost | again | again | again | failed / again | again | again | again | again | again |
| after the dot, for A | delivered | again* / delivered | again / delivered | failed / delivered | again / again* | again* | again* | again* | again* |
| after the dot, for B | delivered | delivered / again* | delivered / again | delivered / failed | delivered / again | delivered / again* | delivered / again* | delivered / again* | delivered / again* |
"""

A, B = "a@example.org", "b@example.org"
KINDS: dict[str, Step] = {
    "2xx": "250 2.0.0 fine",
    "3xx": "334 go on",
    "4xx": "451 4.3.0 later",
    "5xx": "550 5.7.1 no",
    "421, closes": "421 4.3.2 closing",
    "no reply code": "what do you mean",
    "too long": "250 2.0.0 " + "x" * 5000,
    "silence": HANG,
    "lost": DISCONNECT,
}
# Whatever the hop says before it has read all of a message of this size is no answer to the final dot.
LONG = MESSAGE + (b"x" * 60_000 + b"\r\n") * 140
REFUSALS = ("4", "5")


@dataclass(frozen=True)
class Row:
    """One point. moment: as tests/nexthop.py has it. after: steps of the moment that go well before.

    kept: the session has carried a message before.
    """

    moment: str
    after: tuple[Step, ...] = ()
    kept: bool = False


ROWS = {
    "greeting (220 goes on)": Row("greeting"),
    "EHLO (250 goes on)": Row("ehlo"),
    "LHLO (250 goes on)": Row("lhlo"),
    "STARTTLS (220 goes on)": Row("starttls"),
    "MAIL": Row("mail"),
    "MAIL, on a kept session": Row("mail", ("250 2.1.0 ok",), kept=True),
    "RCPT of A": Row("rcpt"),
    "RCPT of B": Row("rcpt", ("250 2.1.5 ok",)),
    "DATA (354 goes on)": Row("data"),
    "in the message, then lost": Row("in-data"),
    "after the dot": Row("message"),
    "after the dot, for A": Row("message"),
    "after the dot, for B": Row("message", ("250 2.0.0 ok",)),
}


def _cells(table: str) -> dict[str, dict[str, str]]:
    """Return column → row → cell."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
    columns = lines[0][1:]
    return {name: {line[0]: line[place + 1] for line in lines[2:]} for place, name in enumerate(columns)}


TABLES = {"smtp": _cells(SMTP), "lmtp": _cells(LMTP)}


@pytest.fixture
def _short_steps(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Let a silent hop cost a test a moment, not a minute; the others may take the time they need."""
    if kind == "silence":
        for module in ("client.session", "client.transaction"):
            monkeypatch.setattr(f"services.delivery.{module}.STEP_S", 0.5)
        monkeypatch.setattr("services.delivery.courier.ATTEMPT_S", 2.0)


@pytest.mark.usefixtures("_short_steps")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pipelining", [True, False], ids=["pipelined", "step-by-step"])
@pytest.mark.parametrize("speech", TABLES)
async def test_each_answer_at_each_point_has_the_outcome_of_the_table(
    speech: str, pipelining: bool, kind: str, stage: MakeStage
) -> None:
    expected = TABLES[speech][kind]
    found = await asyncio.gather(*(_try(name, kind, speech, stage, pipelining=pipelining) for name in expected))
    assert dict(zip(expected, found, strict=True)) == expected


async def _try(name: str, kind: str, speech: str, stage: MakeStage, *, pipelining: bool) -> str:
    """Return the cell that a scripted hop leads to, having seen that nothing is lost."""
    row, step = ROWS[name], KINDS[kind]
    # A server that speaks in the midst of the message gives up on it.
    if row.moment == "in-data" and isinstance(step, str):
        step = Last(step)
    message = LONG if row.moment == "in-data" and kind == "2xx" else MESSAGE
    script = {row.moment: [*row.after, step, *_then(row, speech)]}
    extensions = ["PIPELINING"] if pipelining else []
    lmtp = speech == "lmtp"
    async with NextHop(script, lmtp=lmtp, extensions=extensions, tls=row.moment == "starttls") as hop:
        one = stage(route_policy(f"{speech}://127.0.0.1:{hop.port}"))
        if row.kept:
            await one.take(envelope_for(A, B))
            hop.mails.clear()
            one.events.told.clear()
        await one.take(envelope_for(A, B), message)
        statuses = _statuses(one)
        has = {address for mail in hop.mails for address in (A, B) if f"RCPT TO:<{address}>" in mail.rcpts}
    later = await _at_a_healthy_hop(one, speech, stage, message)
    cells = [_cell(address, *statuses[address], has, later, _told_failed(one)) for address in (A, B)]
    return cells[0] if cells[0] == cells[1] else " / ".join(cells)


def _then(row: Row, speech: str) -> list[Step]:
    """Return what the hop says at the same moment afterwards: all is well for the other recipient, or session."""
    if row.moment == "rcpt" or row.kept:
        return ["250 2.1.5 ok"]
    return ["250 2.0.0 ok"] if row.moment == "message" and speech == "lmtp" else []


def _statuses(one: Stage) -> dict[str, tuple[str, str]]:
    (attempt,) = one.events.of(EventKind.ATTEMPT)
    outcomes: list[dict[str, str]] = attempt["outcomes"]  # type: ignore[assignment]
    return {outcome["recipient"]: (outcome["status"], outcome["reply"]) for outcome in outcomes}


def _cell(address: str, status: str, reply: str, has: set[str], later: list[str], told_failed: set[str]) -> str:
    """Return a recipient's outcome in the table's words. has: who the faulty hop has read the message for."""
    assert later.count(address) == (1 if status == "deferred" else 0)
    assert (address in told_failed) == (status == "failed")
    if status == "delivered":
        assert address in has
        return status
    if status == "failed":
        return status
    return "again*" if address in has and not _was_refused(reply) else "again"


def _was_refused(reply: str) -> bool:
    # Our own words for what had no answer are 451, too, but name the point.
    return reply.startswith(REFUSALS) and "(in " not in reply


async def _at_a_healthy_hop(one: Stage, speech: str, stage: MakeStage, message: bytes) -> list[str]:
    """Return the recipients that get the message when what waits is tried again."""
    async with NextHop(lmtp=speech == "lmtp") as hop:
        other = stage(route_policy(f"{speech}://127.0.0.1:{hop.port}"))
        for again in one.publisher.to(Exchange.DELIVERY_RETRY):
            assert again.body == message
            envelope = again.envelope
            await other.take(replace(envelope, retry=replace(envelope.retry, not_before=0.0)), again.body)
        assert all(mail.message == message.replace(b"\r\n..", b"\r\n.") for mail in hop.mails)
        return [line[9:-1] for mail in hop.mails for line in mail.rcpts]


def _told_failed(one: Stage) -> set[str]:
    """Return the recipients whom a report to the sender names as failed."""
    addresses = set()
    for notice in one.publisher.to(Exchange.DELIVERY):
        parts = message_from_bytes(notice.body).get_payload()
        assert isinstance(parts, list)
        groups = parts[1].get_payload()  # type: ignore[union-attr]
        assert isinstance(groups, list)
        addresses |= {str(group["Final-Recipient"])[8:] for group in groups[1:]}  # type: ignore[index]
    return addresses
