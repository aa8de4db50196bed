"""Postfix's smtp-sink with each of its failure switches: what becomes of mail, and that it comes once the sink is well."""

from dataclasses import dataclass
from email import message_from_string
from pathlib import Path

from shared.event import EventKind
from tests.integration.delivery.real_hops import Line, domain, needs, quick_retries, sinks_of
from tests.rabbit import Rabbit

pytestmark = needs("smtp-sink")

DELIVERED, AGAIN, FAILED = "delivered", "deferred", "failed"
_EVERY = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", ".")


@dataclass(frozen=True)
class Case:
    """switches: of the sink. first: what the first attempt comes to. twice: whether it may have the message already."""

    switches: tuple[str, ...]
    first: str
    twice: bool = False


CASES = [
    # 5xx: the greeting refuses us and not the message; EHLO has HELO to fall back to.
    *(Case(("-f", step), DELIVERED if step == "EHLO" else AGAIN) for step in ("CONNECT", "EHLO", "EHLO,HELO")),
    *(Case(("-f", step), FAILED) for step in ("MAIL", "RCPT", "DATA", ".")),
    *(Case(("-f", step), DELIVERED) for step in ("RSET", "QUIT")),
    Case(("-f", "MAIL,RCPT", "-B", "550 5.1.1 No such user here"), FAILED),
    # 4xx.
    *(Case(("-r", step), AGAIN) for step in _EVERY),
    Case(("-r", "QUIT"), DELIVERED),
    Case(("-r", "RCPT", "-b", "450 4.7.1 Greylisted, come back later"), AGAIN),
    # Gone without a word, and with 421.
    *(Case(("-q", step), AGAIN, twice=step == ".") for step in _EVERY),
    *(Case(("-Q", step), AGAIN) for step in _EVERY),
    *(Case((switch, step), DELIVERED) for switch in ("-q", "-Q") for step in ("QUIT", "RSET")),
    # 550 after DATA, with the message under way.
    Case(("-A", "0"), FAILED),
    Case(("-A", "1"), FAILED),
    # Slow, and less able.
    Case(("-w", "1"), DELIVERED),
    # With PIPELINING it answers what stands behind a delayed command first, out of turn; so it is not to offer it.
    *(Case(("-p", "-W", f"{step}:1"), DELIVERED) for step in _EVERY),
    *(Case((switch,), DELIVERED) for switch in ("-e", "-p", "-P", "-8", "-E", "-N", "-a")),
    # LMTP.
    Case(("-L",), DELIVERED),
    Case(("-L", "-f", "."), FAILED),
    Case(("-L", "-f", "RCPT"), FAILED),
    Case(("-L", "-f", "LHLO"), AGAIN),
    Case(("-L", "-r", "."), AGAIN),
    Case(("-L", "-q", "."), AGAIN, twice=True),
    Case(("-L", "-q", "RCPT"), AGAIN),
]


async def test_each_failure_has_its_outcome_and_what_waits_comes_once_the_sink_is_well(
    rabbit: Rabbit, tmp_path: Path
) -> None:
    with sinks_of(*(case.switches for case in CASES), ()) as (*sinks, senders):
        routes = [domain(f"d{number}.test", sink.route) for number, sink in enumerate(sinks)]
        policy = quick_retries() + "".join(routes) + domain("client.example", senders.route)
        async with Line(rabbit, tmp_path) as line:
            await line.apply(policy)
            ids = [await line.send(f"a@d{number}.test", f"b@d{number}.test") for number in range(len(CASES))]
            await line.until(lambda: all(line.outcomes(one) for one in ids))
            first = {
                case.switches: {status for status, _ in line.outcomes(one).values()}
                for case, one in zip(CASES, ids, strict=True)
            }
            assert first == {case.switches: {case.first} for case in CASES}
            for case, sink in zip(CASES, sinks, strict=True):
                if case.first == AGAIN:
                    sink.heal()
            await line.until(lambda: all(len(line.ends(one)) == 2 for one in ids))
            failed = [one for case, one in zip(CASES, ids, strict=True) if case.first == FAILED]
            await line.until(lambda: len(senders.seen) == len(failed))
        for number, (case, sink, one) in enumerate(zip(CASES, sinks, ids, strict=True)):
            to = [f"a@d{number}.test", f"b@d{number}.test"]
            ended = FAILED if case.first == FAILED else DELIVERED
            assert line.ends(one) == dict.fromkeys(to, ended), case
            if case.first == FAILED:
                (told,) = line.told(one, EventKind.DSN_SENT)
                assert told.facts["action"] == "failed"
                continue
            assert not line.told(one, EventKind.DSN_SENT, EventKind.QUARANTINED)
            # Each recipient has it once, unless the answer to the final dot was lost.
            where = sink.kept if case.first == AGAIN else sink.seen
            assert [_recipients(text) for text in where] == [to], case
            if case.twice:
                assert sink.seen, case
        for dsn in senders.seen:
            assert "X-Mail-Args: <>" in dsn


def _recipients(dumped: str) -> list[str]:
    return [value.split(">")[0].strip("<") for value in message_from_string(dumped).get_all("X-Rcpt-Args", [])]
