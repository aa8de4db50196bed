"""What replies mean for recipients."""

import pytest

from services.delivery.outcome import Outcome, Status, enhanced_of, outcome_of, rcpt_outcome, status_of
from shared.envelope import Recipient
from shared.reply import Reply

TO = Recipient("b@example.org")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (250, Status.DELIVERED),
        (251, Status.DELIVERED),
        (354, Status.DEFERRED),
        (421, Status.DEFERRED),
        (450, Status.DEFERRED),
        (500, Status.FAILED),
        (599, Status.FAILED),
    ],
)
def test_the_class_of_the_reply_decides(code: int, status: Status) -> None:
    assert status_of(Reply(code, "", "")) is status


@pytest.mark.parametrize(
    ("reply", "others_taken", "status"),
    [
        (Reply(552, "", "too many recipients"), True, Status.DEFERRED),
        (Reply(552, "5.5.3", "too many recipients"), True, Status.DEFERRED),
        (Reply(552, "5.2.2", "mailbox full"), True, Status.FAILED),
        (Reply(552, "", "storage exceeded"), False, Status.FAILED),
        (Reply(550, "5.1.1", "no"), True, Status.FAILED),
        (Reply(452, "4.5.3", "too many"), True, Status.DEFERRED),
        (Reply(354, "", "?"), True, Status.DEFERRED),
    ],
)
def test_a_refused_rcpt(reply: Reply, others_taken: bool, status: Status) -> None:
    assert rcpt_outcome(TO, reply, others_taken=others_taken).status is status


def test_an_accepted_rcpt_is_no_outcome() -> None:
    with pytest.raises(ValueError, match="not refused"):
        rcpt_outcome(TO, Reply(250, "", "ok"), others_taken=True)


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (outcome_of(TO, Reply(550, "5.1.1", "")), "5.1.1"),
        (outcome_of(TO, Reply(550, "", "")), "5.0.0"),
        (outcome_of(TO, Reply(250, "", "")), "2.0.0"),
        (outcome_of(TO, Reply(451, "4.7.1", "")), "4.7.1"),
        (Outcome(TO, Status.FAILED, Reply(451, "4.4.1", "")), "5.4.1"),
        (Outcome(TO, Status.DEFERRED, Reply(552, "", "")), "4.0.0"),
        (Outcome(TO, Status.DEFERRED, Reply(354, "", "")), "4.0.0"),
    ],
)
def test_the_status_code_has_the_class_of_the_outcome(outcome: Outcome, code: str) -> None:
    assert enhanced_of(outcome) == code
