"""What a message would meet: tables of a policy, what SMTP would say, and the first step that refuses it."""

from dataclasses import replace

import pytest

from services.console.simulate import Asked, Facts, Meets, first_refusal, not_told, read_recipients, simulate
from shared.accounts import Account
from shared.bans import Ban
from shared.policy import parse_policy

POLICY = parse_policy(
    """
[domains."ours.test"]
route = "smtp://mail.ours.test:25"
recipients = ["anna", "ben"]
subaddress = "+"
size_bytes = 70000
[domains."ours.test".aliases]
info = ["anna", "boss@far.test"]
[domains."asks.test"]
route = "lmtp://host.test:24"
recipients = "verified"
[relay]
networks = ["198.51.100.0/24"]
[[access]]
action = "deny"
networks = ["203.0.113.0/24"]
[[access]]
action = "deny"
reverse_names = [".spam.test"]
[[clients]]
name = "no-far"
senders = ["@bad.test"]
refuse = true
[greylist]
enabled = true
[[exemptions]]
name = "partner"
reason = "known"
checks = ["antispam"]
networks = ["192.0.2.9"]
[interfaces.second]
addresses = ["192.0.2.200"]
senders = ["@ours.test"]
"""
)
INBOUND = Asked("192.0.2.1", "mx", "x@far.test", ("anna@ours.test",), name="mail.far.test", size_bytes=1000)
SUBMITTED = Asked(
    "192.0.2.1", "submission", "anna@ours.test", ("x@far.test",), name="", tls=True, login="anna@ours.test"
)
FACTS = Facts(None, Account("anna@ours.test"), 1000.0)

# What differs, and the step that refuses it with a part of what it says; None where nothing does.
TABLE: dict[str, tuple[Asked, tuple[str, str] | None]] = {
    "mail for one of ours": (INBOUND, None),
    "a denied network": (replace(INBOUND, client="203.0.113.7"), ("access rules", "rule 1 fits: deny from 203.0.113")),
    "a denied name": (replace(INBOUND, name="a.spam.test"), ("access rules", "rule 2 fits")),
    "nobody of ours": (replace(INBOUND, recipients=("nobody@ours.test",)), ("recipient nobody@ours.test", "550 5.1.1")),
    "relaying by a stranger": (replace(INBOUND, recipients=("x@far.test",)), ("recipient x@far.test", "not ours")),
    "relaying by a relay host": (replace(INBOUND, client="198.51.100.7", recipients=("x@far.test",)), None),
    "too large for its domain": (replace(INBOUND, size_bytes=80_000), ("recipient anna@ours.test", "domain's limit")),
    "too large for all": (
        replace(INBOUND, size_bytes=80_000_000, recipients=("x@asks.test",)),
        ("size", "552 5.3.4"),
    ),
    "a client rule": (replace(INBOUND, sender="y@bad.test"), ("client control", "a rule refuses")),
    "a user's mail": (SUBMITTED, None),
    "a user without TLS": (replace(SUBMITTED, tls=False), ("TLS", "530 5.7.0")),
    "submission without a login": (replace(SUBMITTED, login=None), ("login", "530 5.7.0")),
    "a sender of somebody else": (replace(SUBMITTED, sender="ben@ours.test"), ("sender", "may not send as ben")),
    "a login where none is offered": (replace(INBOUND, login="anna@ours.test", tls=True), ("login", "no login")),
}


@pytest.mark.parametrize("case", TABLE)
def test_where_a_message_ends(case: str) -> None:
    asked, ends = TABLE[case]
    step = first_refusal(simulate(POLICY, asked, FACTS))
    if ends is None:
        assert step is None
    else:
        assert step is not None
        assert (step.what, ends[1] in step.says) == (ends[0], True), step


def says(asked: Asked, facts: Facts = FACTS) -> str:
    return "\n".join(f"{step.what}: {step.meets}: {step.says}" for step in simulate(POLICY, asked, facts))


def test_a_banned_client_is_refused_and_told_until_when() -> None:
    facts = replace(FACTS, ban=Ban(2000.0, "login-failed", 900.0, 1))
    assert "bans: refused: 192.0.2.1 is banned until 1970-01-01 00:33:20" in says(INBOUND, facts)
    assert "bans: passes" in says(replace(INBOUND, client="198.51.100.7"), facts)


def test_a_disabled_account_may_not_log_in_and_an_unknown_one_may_be_known_elsewhere() -> None:
    assert "login: refused: the account" in says(SUBMITTED, replace(FACTS, account=Account("a", disabled=True)))
    assert "login: depends: there is no account" in says(SUBMITTED, replace(FACTS, account=None))


def test_aliases_subaddresses_and_routes_are_told() -> None:
    told = says(replace(INBOUND, recipients=("info@ours.test", "ben+news@ours.test")))
    assert "goes to anna@ours.test, boss@far.test (by alias)" in told
    assert "route of info@ours.test: passes: anna@ours.test goes by smtp://mail.ours.test:25" in told
    assert "route of info@ours.test: passes: boss@far.test goes by mx" in told
    assert "recipient ben+news@ours.test: passes" in told
    assert "from interface second" in says(SUBMITTED)


def test_what_is_asked_at_the_time_is_said_to_depend() -> None:
    told = says(replace(INBOUND, recipients=("x@asks.test",)))
    assert "recipient x@asks.test: depends: the next server is asked whether it knows x@asks.test" in told
    assert "is asked to come again after 60 s" in told
    assert "access rules: depends: no rule fits, but one asks for a name" in says(replace(INBOUND, name=None))
    assert any("DNS" in one for one in not_told(POLICY, INBOUND))


def test_exemptions_are_named_with_the_check_that_they_spare() -> None:
    told = says(replace(INBOUND, client="192.0.2.9"))
    assert "exempt from antispam (by 'partner')" in told
    assert "exempt" not in says(INBOUND)


def test_what_names_nobody_is_an_error() -> None:
    for asked in (
        replace(INBOUND, listener="nowhere"),
        replace(INBOUND, client="x"),
        replace(INBOUND, recipients=("x",)),
        replace(INBOUND, sender="x"),
    ):
        with pytest.raises(ValueError, match=r"."):
            simulate(POLICY, asked, FACTS)
    for text in ("", "a b@c.test"):
        with pytest.raises(ValueError, match=r"."):
            read_recipients(text)
    assert read_recipients("a@b.test, c@d.test") == ("a@b.test", "c@d.test")


def test_every_step_that_refuses_names_the_key_or_says_it_by_itself() -> None:
    for asked, _ in TABLE.values():
        for step in simulate(POLICY, asked, FACTS):
            assert step.says
            assert step.meets in Meets
