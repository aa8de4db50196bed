"""Rules of counting: what is asked of the state, in one call, and what a client is told when it is too much."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from services.edge.counting import Counting
from services.edge.decide.refusal import Refusal, RefusalReason
from services.edge.session import Session, Transaction
from shared.accounts import Account
from shared.envelope import Recipient
from shared.policy import Listener, Policy, Purpose, SessionLimits, parse_policy
from shared.state.memory import MemoryState
from shared.state.port import Ask

PLAIN = Policy()
UNLIMITED = SessionLimits.model_validate(
    dict.fromkeys(("connection_rate", "message_rate", "recipient_rate", "byte_rate"), "unlimited")
)


class Watched(MemoryState):
    """State in memory that tells what it was asked."""

    def __init__(self) -> None:
        super().__init__(clock=lambda: 0.0)
        self.calls: list[list[str]] = []

    async def take(self, asks: Sequence[Ask]) -> Ask | None:
        self.calls.append([ask.key for ask in asks])
        return await super().take(asks)


def session(address: str = "192.0.2.7", **limits: object) -> Session:
    made = Session("mx", Listener(purpose=Purpose.INBOUND), address, 1)
    made.limits = SessionLimits.model_validate(limits)
    return made


def transaction(*recipients: str) -> Transaction:
    return Transaction("a@x.test", [Recipient(recipient) for recipient in recipients])


def reply(refusal: Refusal | None, reason: RefusalReason = RefusalReason.RATE_EXCEEDED) -> str:
    if refusal is None:
        return ""
    assert refusal.reason is reason
    return str(refusal.reply)[:9]


async def test_connections_of_an_address_have_a_rate() -> None:
    counting = Counting(Watched())
    told = [reply(await counting.at_connect(session(connection_rate="2/min"))) for _ in range(3)]
    assert told == ["", "", "421 4.7.0"]
    assert await counting.at_connect(session("192.0.2.8", connection_rate="2/min")) is None


async def test_a_network_may_connect_so_many_times_as_often() -> None:
    counting = Counting(Watched())
    told = [
        reply(await counting.at_connect(session(f"192.0.2.{number}", connection_rate="2/min", network_factor=2)))
        for number in range(5)
    ]
    assert told == ["", "", "", "", "421 4.7.0"]
    assert await counting.at_connect(session("192.0.3.1", connection_rate="2/min", network_factor=2)) is None


async def test_an_ipv6_host_does_not_escape_by_another_address_of_its_64() -> None:
    counting = Counting(Watched())
    for number in range(2):
        assert await counting.at_mail(session(f"2001:db8::{number}", message_rate="2/min"), "", 0, PLAIN) is None
    assert reply(await counting.at_mail(session("2001:db8::9", message_rate="2/min"), "", 0, PLAIN)) == "450 4.7.1"


async def test_messages_recipients_and_octets_have_their_rates() -> None:
    counting, limited = Counting(Watched()), session(message_rate="1/min", recipient_rate="1/min", byte_rate="100/min")
    assert reply(await counting.at_mail(limited, "", 0, PLAIN)) == ""
    assert reply(await counting.at_mail(limited, "", 0, PLAIN)) == "450 4.7.1"
    assert reply(await counting.at_rcpt(limited, "", "b@c.test", PLAIN)) == ""
    assert reply(await counting.at_rcpt(limited, "", "b@c.test", PLAIN)) == "450 4.7.1"
    assert reply(await counting.at_end(limited, transaction("b@c.test"), 60, PLAIN)) == ""
    assert reply(await counting.at_end(limited, transaction("b@c.test"), 41, PLAIN)) == "452 4.7.1"
    assert reply(await counting.at_end(limited, transaction("b@c.test"), 40, PLAIN)) == ""


async def test_who_has_logged_in_is_counted_by_login_from_wherever() -> None:
    counting = Counting(Watched())
    anna, bert = Account("Anna", ""), Account("bert", "")
    for address in ("192.0.2.1", "198.51.100.1"):
        assert (
            await counting.at_mail(replace(session(address, message_rate="2/min"), account=anna), "", 0, PLAIN) is None
        )
    late = replace(session("203.0.113.1", message_rate="2/min"), account=anna)
    assert reply(await counting.at_mail(late, "", 0, PLAIN)) == "450 4.7.1"
    assert await counting.at_mail(replace(late, account=bert), "", 0, PLAIN) is None


@pytest.mark.parametrize("exempt", [True, False])
async def test_where_nothing_applies_the_state_is_not_asked(exempt: bool) -> None:
    state = Watched()
    counting, free = Counting(state), session("127.0.0.1")
    if exempt:
        free.counted = False
    else:
        free.limits = UNLIMITED
    assert await counting.at_connect(free) is None
    assert await counting.at_mail(free, "", 5000, PLAIN) is None
    assert await counting.at_rcpt(free, "", "b@c.test", PLAIN) is None
    assert await counting.at_end(free, transaction("b@c.test"), 5000, PLAIN) is None
    assert state.calls == []


RULES = parse_policy("""
[[clients]]
name = "newsletter"
senders = ["news@x.test"]
messages = "1/h"
text = "One letter an hour"
[[clients]]
name = "all"
count_by = "rule"
messages = "100/h"
recipients_count = "100/h"
octets = "1000/h"
""")


async def test_rates_and_rules_are_counted_in_one_call() -> None:
    state = Watched()
    counting, client = Counting(state), session()
    assert await counting.at_mail(client, "news@x.test", 0, RULES) is None
    assert await counting.at_rcpt(client, "news@x.test", "b@c.test", RULES) is None
    assert await counting.at_end(client, transaction("b@c.test"), 10, RULES) is None
    assert state.calls == [
        ["rate:messages:192.0.2.7", "rule:newsletter:messages:192.0.2.7", "rule:all:messages:"],
        ["rate:recipients:192.0.2.7", "rule:all:recipients:"],
        ["rate:octets:192.0.2.7", "rule:all:octets:"],
    ]


async def test_a_rule_tells_its_own_text_and_what_it_refuses_is_counted_by_none() -> None:
    counting, client = Counting(Watched()), session(message_rate="2/h")
    assert await counting.at_mail(client, "news@x.test", 0, RULES) is None
    for _ in range(3):
        refusal = await counting.at_mail(client, "news@x.test", 0, RULES)
        assert refusal is not None
        assert str(refusal.reply) == "450 4.7.1 One letter an hour"
        assert refusal.reason is RefusalReason.CLIENT_RULE
    assert await counting.at_mail(client, "other@x.test", 0, RULES) is None
    assert reply(await counting.at_mail(client, "other@x.test", 0, RULES)) == "450 4.7.1"


async def test_rules_hold_for_exempt_networks_too() -> None:
    counting, client = Counting(Watched()), session("127.0.0.1")
    client.counted = False
    assert await counting.at_mail(client, "news@x.test", 0, RULES) is None
    assert reply(await counting.at_mail(client, "news@x.test", 0, RULES), RefusalReason.CLIENT_RULE) == "450 4.7.1"


async def test_octets_of_a_rule_are_refused_with_452() -> None:
    refusal = await Counting(Watched()).at_end(session(), transaction("b@c.test"), 1001, RULES)
    assert reply(refusal, RefusalReason.CLIENT_RULE) == "452 4.7.1"
