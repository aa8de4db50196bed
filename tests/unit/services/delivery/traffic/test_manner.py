"""Which replies are about how much we send, and which are about one message."""

import pytest

from services.delivery.outcome import Attempt, Outcome, Status
from services.delivery.traffic.manner import Went, asks_for_less, manner_of, manner_of_connecting
from shared.envelope import Recipient
from shared.reply import Reply

LESS = [
    (421, "", "mx.example.org closing connection"),
    (421, "4.7.0", "[TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user complaints"),
    (421, "4.7.28", "Our system has detected an unusual rate of unsolicited mail originating from your IP address."),
    (450, "4.2.1", "The user you are trying to contact is receiving mail at a rate that prevents"),
    (451, "4.7.650", "The mail server [192.0.2.1] has been temporarily rate limited due to IP reputation."),
    (451, "4.7.1", "Too many connections from your host"),
    (452, "4.3.1", "Insufficient system resources"),
    (451, "4.3.2", "System not accepting network messages"),
    (450, "4.7.1", "Error: too much mail from 192.0.2.1"),
    (451, "", "Rate limit exceeded"),
    (432, "", "Concurrent connections limit exceeded"),
]
NOT_LESS = [
    (450, "4.2.0", "<b@example.org>: Recipient address rejected: Greylisted, see http://postgrey.example/"),
    (451, "4.7.1", "Greylisting in action, please come back later"),
    (450, "4.7.1", "Client host rejected: cannot find your hostname"),
    (452, "4.2.2", "The email account that you tried to reach is over quota"),
    (452, "4.5.3", "Too many recipients"),
    (452, "", "too many recipients"),
    (451, "4.4.3", "temporary lookup failure"),
    (451, "4.3.0", "Temporary lookup failure"),
    (552, "5.2.2", "mailbox full"),
    (550, "5.7.1", "rate limit exceeded"),
]


@pytest.mark.parametrize(("code", "enhanced", "text"), [row for row in LESS if row[1] != "4.2.1"])
def test_a_reply_about_our_traffic_asks_for_less(code: int, enhanced: str, text: str) -> None:
    assert asks_for_less(Reply(code, enhanced, text))


@pytest.mark.parametrize(("code", "enhanced", "text"), [*NOT_LESS, *(row for row in LESS if row[1] == "4.2.1")])
def test_a_reply_about_one_message_or_mailbox_does_not(code: int, enhanced: str, text: str) -> None:
    assert not asks_for_less(Reply(code, enhanced, text))


def _outcome(status: Status, reply: Reply, *, remote: bool = True) -> Outcome:
    return Outcome(Recipient("b@example.org"), status, reply, remote)


BUSY = Reply(421, "4.7.0", "too many messages")
TAKEN = Reply(250, "2.0.0", "ok")
LOST = Reply(451, "4.4.2", "connection lost")


@pytest.mark.parametrize(
    ("outcomes", "hop_failed", "went"),
    [
        ([_outcome(Status.DELIVERED, TAKEN)], None, Went.FINE),
        ([_outcome(Status.DELIVERED, TAKEN), _outcome(Status.DEFERRED, BUSY)], None, Went.FINE),
        ([_outcome(Status.FAILED, Reply(550, "5.1.1", "no such user"))], None, Went.FINE),
        ([_outcome(Status.DEFERRED, BUSY)], None, Went.THROTTLED),
        ([_outcome(Status.DEFERRED, BUSY)], "greeting answered 421", Went.THROTTLED),
        ([_outcome(Status.DEFERRED, BUSY, remote=False)], None, Went.FINE),
        ([_outcome(Status.DEFERRED, LOST, remote=False)], "connection lost", Went.UNREACHABLE),
    ],
)
def test_how_it_went_is_what_the_hop_said_of_us(outcomes: list[Outcome], hop_failed: str | None, went: Went) -> None:
    assert manner_of(Attempt(tuple(outcomes), hop_failed=hop_failed)).went is went


def test_a_probe_that_is_greeted_with_421_lets_us_go_slower() -> None:
    assert manner_of_connecting(BUSY, "x").went is Went.THROTTLED
    assert manner_of_connecting(Reply(554, "5.7.1", "go away"), "x").went is Went.UNREACHABLE
    assert manner_of_connecting(None, "no connection").reason == "no connection"
