"""Rules of the envelope."""

import pytest

from shared.envelope import Notify, Recipient
from tests.unit.shared.samples import FULL, LEAST


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("demo@gatepost.test", "gatepost.test"),
        ("demo@GatePost.TEST", "gatepost.test"),
        ('"a@b"@c.test', "c.test"),
        ('"a b"@[192.0.2.1]', "[192.0.2.1]"),
        ("demo@[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
    ],
)
def test_the_domain_stands_after_the_last_at_in_the_form_that_policy_knows(address: str, domain: str) -> None:
    assert Recipient(address).domain == domain


@pytest.mark.parametrize(
    ("notify", "wanted"),
    [
        ((), {Notify.FAILURE, Notify.DELAY}),
        ((Notify.NEVER,), {Notify.NEVER}),
        ((Notify.SUCCESS,), {Notify.SUCCESS}),
        ((Notify.FAILURE, Notify.SUCCESS), {Notify.FAILURE, Notify.SUCCESS}),
    ],
)
def test_without_notify_failures_and_delays_are_reported_and_else_what_was_asked(
    notify: tuple[Notify, ...], wanted: set[Notify]
) -> None:
    assert {event for event in Notify if Recipient("a@b.test", notify).wants(event)} == wanted


def test_other_recipients_change_nothing_else() -> None:
    changed = FULL.with_recipients(LEAST.recipients)
    assert changed.recipients == LEAST.recipients
    assert changed.with_recipients(FULL.recipients) == FULL
