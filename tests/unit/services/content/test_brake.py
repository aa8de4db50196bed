"""Rules of the brake: who sends spam beyond the rate is held back, on every worker that shares the state."""

from dataclasses import replace

import pytest

from services.content.brake import Brake, is_spam
from shared.envelope import Client, Direction, Envelope, Recipient, Retry
from shared.policy.content import BrakeRules
from shared.state.memory import MemoryState
from shared.state.port import StateUnavailable
from shared.verdict import Action, CheckName, Reason, Verdict

RULES = BrakeRules.model_validate({"spam": "2/h"})
ENVELOPE = Envelope(
    id="01m85rrw9tejgajt89hfcgzyx2",
    received_at=0,
    listener="submission",
    direction=Direction.OUTBOUND,
    client=Client("192.0.2.1", 4000, "laptop", login="Ann"),
    sender="ann@ours.test",
    recipients=(Recipient("demo@far.test"),),
    size_bytes=100,
)


def verdict(check: CheckName = CheckName.ANTISPAM, action: Action = Action.TAG, rule: str = "outbound.x") -> Verdict:
    return Verdict(action, (Reason(check, "spam", action, "why", rule),))


SPAM = [verdict()]


async def held(brake: Brake, envelope: Envelope = ENVELOPE, rules: BrakeRules = RULES) -> str | None:
    finding = await brake.finding(envelope, rules)
    return finding.rule if finding else None


async def test_an_account_beyond_the_rate_is_held_back_and_others_are_not() -> None:
    state = MemoryState()
    brake, elsewhere = Brake(state), Brake(state)
    for _ in range(2):
        await brake.count(ENVELOPE, SPAM, RULES)
    assert await held(elsewhere) == ""
    await elsewhere.count(ENVELOPE, SPAM, RULES)
    assert await held(brake) == "braked"
    other = replace(ENVELOPE, client=replace(ENVELOPE.client, login="bob"))
    assert await held(brake, other) == ""
    # The case of a login makes no other account.
    assert await held(brake, replace(ENVELOPE, client=replace(ENVELOPE.client, login="aNN"))) == "braked"


async def test_what_is_no_spam_or_comes_again_is_not_counted() -> None:
    brake = Brake(MemoryState())
    for _ in range(5):
        await brake.count(ENVELOPE, [verdict(CheckName.SPF)], RULES)
        await brake.count(replace(ENVELOPE, retry=Retry(attempts=1)), SPAM, RULES)
        await brake.count(ENVELOPE, [Verdict(Action.ACCEPT)], RULES)
    assert await held(brake) == ""


@pytest.mark.parametrize(
    "envelope",
    [
        replace(ENVELOPE, direction=Direction.INBOUND),
        replace(ENVELOPE, client=replace(ENVELOPE.client, login=None)),
    ],
)
async def test_only_outbound_mail_of_an_account_has_a_brake(envelope: Envelope) -> None:
    brake = Brake(MemoryState())
    for _ in range(5):
        await brake.count(envelope, SPAM, RULES)
    assert await held(brake, envelope) is None


@pytest.mark.parametrize("rules", [{"enabled": False}, {"spam": "unlimited"}])
async def test_a_brake_that_is_off_holds_nobody(rules: dict[str, object]) -> None:
    off = BrakeRules.model_validate(rules)
    brake = Brake(MemoryState())
    for _ in range(20):
        await brake.count(ENVELOPE, SPAM, off)
    assert await held(brake, rules=off) is None


@pytest.mark.parametrize(
    ("reason", "spam"),
    [
        (Reason(CheckName.ANTISPAM, "spam", Action.REFUSE, "", "checks.antispam.refuse_at"), True),
        (Reason(CheckName.ANTIVIRUS, "infected", Action.QUARANTINE, "", "checks.antivirus.infected"), True),
        # An engine that gave no answer says nothing about the account.
        (Reason(CheckName.ANTISPAM, "error", Action.DEFER, ""), False),
        (Reason(CheckName.ANTISPAM, "spam", Action.ACCEPT, "", "checks.antispam.tag_at", exemption="list: ok"), False),
        (Reason(CheckName.DMARC, "fail", Action.REFUSE, "", "checks.dmarc.reject"), False),
    ],
)
def test_spam_is_what_an_engine_said_and_the_policy_acts_upon(reason: Reason, spam: bool) -> None:
    assert is_spam(Verdict(reason.action, (reason,))) is spam


class AwayState(MemoryState):
    """A state whose values cannot be reached."""

    async def get(self, keys: object) -> list[str | None]:
        raise StateUnavailable

    async def put(self, key: str, value: str, ttl_s: float) -> None:
        raise StateUnavailable


async def test_a_state_that_is_away_holds_up_no_mail() -> None:
    brake = Brake(AwayState())
    for _ in range(5):
        await brake.count(ENVELOPE, SPAM, RULES)
    assert await held(brake) == ""
