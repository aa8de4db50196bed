"""Rules of points: what a refusal counts, and whose count at all."""

from dataclasses import replace

import pytest

from services.edge.decide.bans import is_punished, points_for
from services.edge.decide.refusal import RefusalReason as Why
from services.edge.session import Session
from shared.accounts import Account
from shared.envelope import Proof
from shared.policy import Listener, Purpose
from shared.policy.bans import BanRules

RULES = BanRules(auth_points=10, refused_points=2, abuse_points=20)
STRANGER = Session("mx", Listener(purpose=Purpose.INBOUND), "192.0.2.1", 1)


@pytest.mark.parametrize(
    ("reason", "points"),
    [
        (Why.LOGIN_FAILED, 10),
        (Why.RECIPIENT_UNKNOWN, 2),
        (Why.RELAY_DENIED, 2),
        (Why.EARLY_TALKER, 20),
        (Why.BAD_LINE, 20),
        (Why.TOO_MANY_ERRORS, 20),
        (Why.TOO_MANY_REFUSED_RECIPIENTS, 20),
        # Each failure was counted by itself.
        (Why.TOO_MANY_AUTH_FAILURES, 0),
        # The address is the proxy's: all behind it would be kept out.
        (Why.PROXY_HEADER, 0),
        # What an honest server meets.
        *[(reason, 0) for reason in (Why.GREYLISTED, Why.NO_ROOM, Why.BROKER_UNAVAILABLE, Why.SHUTTING_DOWN)],
        *[(reason, 0) for reason in (Why.RATE_EXCEEDED, Why.TOO_MANY_CONNECTIONS, Why.MESSAGE_TOO_LARGE, Why.BANNED)],
        *[(reason, 0) for reason in (Why.RECIPIENT_NOT_VERIFIED, Why.TLS_REQUIRED, Why.LOGIN_REQUIRED, Why.DNS_LISTED)],
    ],
)
def test_a_refusal_counts(reason: Why, points: int) -> None:
    assert points_for(reason, RULES) == points


@pytest.mark.parametrize("reason", Why)
def test_points_of_nothing_ban_nobody(reason: Why) -> None:
    assert points_for(reason, BanRules(auth_points=0, refused_points=0, abuse_points=0)) == 0


def test_failures_of_strangers_count_and_those_of_our_own_do_not() -> None:
    assert is_punished(STRANGER)
    for known in (
        replace(STRANGER, counted=False),
        replace(STRANGER, trusted=True),
        replace(STRANGER, account=Account("anna", "")),
        replace(STRANGER, relay_proof=Proof.RELAY_LIST),
    ):
        assert not is_punished(known)
