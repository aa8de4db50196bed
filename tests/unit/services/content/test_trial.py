"""What becomes of a trial in content: an answer to whoever asked, and nothing else."""

from typing import cast

import pytest

from services.content.authenticity import Authenticity
from services.content.consumer import Books
from services.content.examine import Examination, Examiner
from services.content.finding import Finding
from services.content.rulebook import RuleBook
from services.content.trial import TrialConsumer
from shared.broker.consume import Delivery
from shared.broker.publish import Publisher, PublishError, PublishFailure
from shared.broker.topology import Exchange
from shared.envelope import Client, Direction, Envelope, Recipient
from shared.policy import parse_policy
from shared.policy.exemption import Mail
from shared.verdict import Action, CheckName
from shared.wire import MAIL_TYPE
from shared.wire_trial import TRIAL_LIMIT_BYTES, TRIAL_TYPE, Trial, TrialAnswer, decode_answer, trial_headers

ENVELOPE = Envelope(
    "0123", 1.0, "mx", Direction.INBOUND, Client("192.0.2.1", 0, "h.test"), "a@b.test", (Recipient("c@d.test"),), 5
)
POLICY = parse_policy('checks.dmarc.enabled = false\n[domains."d.test"]\nroute = "mx"\nrecipients = "any"\n')


class Broker:
    """A publisher and a channel that keep what is said to them."""

    is_closed = False

    def __init__(self, failure: PublishError | None = None) -> None:
        self.published: list[tuple[str, str, TrialAnswer]] = []
        self.acked = 0
        self._failure = failure

    async def publish(self, exchange: str, key: str, body: bytes, **_more: object) -> None:
        if self._failure is not None:
            raise self._failure
        self.published.append((exchange, key, decode_answer(body)))

    async def basic_ack(self, _tag: int, *, wait: bool) -> None:
        self.acked += 1


class Examining:
    """An examiner who finds malware, or fails."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.asked: list[bool] = []
        self._failure = failure

    async def examine(self, envelope: Envelope, data: bytes, book: RuleBook, *, trial: bool = False) -> Examination:
        self.asked.append(trial)
        if self._failure is not None:
            raise self._failure
        infected = Finding(CheckName.ANTIVIRUS, "infected", "X", "infected")
        mail = Mail("inbound", "192.0.2.1", None, "a@b.test", proved=False, login=None)
        return Examination((infected,), "", None, mail, Authenticity())


class InForce:
    """The policy."""

    policy = POLICY
    version = 7


async def taken(
    broker: Broker,
    examining: Examining,
    *,
    body: bytes = b"Subject: x\r\n\r\n",
    redelivered: bool = False,
    kind: str = TRIAL_TYPE,
) -> None:
    headers = trial_headers(Trial(ENVELOPE, "key"))
    delivery = Delivery(body, headers, kind, "0123", redelivered, 0, "console", broker, 1)  # type: ignore[arg-type]
    books = Books(InForce())  # type: ignore[arg-type]
    await TrialConsumer(cast("Publisher", broker), books, cast("Examiner", examining))(delivery)


async def test_the_verdict_goes_to_whoever_asked_and_to_nobody_else() -> None:
    broker, examining = Broker(), Examining()
    await taken(broker, examining)
    [(exchange, key, answer)] = broker.published
    assert (exchange, key) == (Exchange.TRIED.value, "key")
    assert (answer.id, answer.policy_version, answer.action) == ("0123", 7, Action.REFUSE)
    assert answer.reply == "550 5.7.1 Message refused: malware found [ID]"
    assert answer.verdicts["d.test"]["action"] == "refuse"
    assert examining.asked == [True], "the engines are told that it is a trial"
    assert broker.acked == 1


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"redelivered": True}, "has ended meanwhile"),
        ({"body": b"x" * (TRIAL_LIMIT_BYTES + 1)}, "octets"),
    ],
)
async def test_what_may_have_ended_a_process_or_is_too_large_is_not_examined(
    more: dict[str, object], says: str
) -> None:
    broker, examining = Broker(), Examining()
    await taken(broker, examining, **more)  # type: ignore[arg-type]
    [(_, _, answer)] = broker.published
    assert says in answer.problem
    assert examining.asked == []
    assert broker.acked == 1


async def test_an_examination_that_fails_is_told_and_not_tried_again() -> None:
    broker = Broker()
    await taken(broker, Examining(ZeroDivisionError()))
    [(_, _, answer)] = broker.published
    assert answer.problem == "content failed over it: ZeroDivisionError"
    assert broker.acked == 1


async def test_an_answer_that_nobody_waits_for_is_dropped() -> None:
    broker = Broker(PublishError(PublishFailure.UNROUTABLE, "gone"))
    await taken(broker, Examining())
    assert (broker.published, broker.acked) == ([], 1)


async def test_mail_in_the_queue_for_trials_is_not_taken_for_one() -> None:
    broker, examining = Broker(), Examining()
    await taken(broker, examining, kind=MAIL_TYPE)
    assert (broker.published, examining.asked, broker.acked) == ([], [], 1)
