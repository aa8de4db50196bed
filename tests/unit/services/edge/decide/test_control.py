"""Rules of client control: which rules hold when, what they count, and what a client is told."""

import pytest

from services.edge.decide.control import Who, control_end, control_mail, control_recipient, exceeded, refused, too_large
from services.edge.decide.refusal import RefusalReason
from shared.policy.client import ClientFacts, plain_ip
from shared.policy.clients import ClientControl
from shared.policy.table import Rate
from shared.state.port import Ask

HOURLY = Rate(5, 3600)


def rule(name: str = "r", **keys: object) -> ClientControl:
    return ClientControl.model_validate({"name": name, **keys})


def who(sender: str = "a@x.test", address: str = "192.0.2.7", login: str | None = None) -> Who:
    return Who(ClientFacts(plain_ip(address), login=login), sender)


def at_mail(*rules: ClientControl, size: int = 0, **facts: str | None) -> list[Ask]:
    control = control_mail(rules, who(**facts), size)  # type: ignore[arg-type]
    assert control.refusal is None
    return [ask for ask, _ in control.asks]


@pytest.mark.parametrize(
    ("count_by", "subject"),
    [
        ("address", "192.0.2.7"),
        ("network", "192.0.2.0/24"),
        ("login", "anna"),
        ("sender", "a@x.test"),
        ("rule", ""),
    ],
)
def test_messages_are_counted_at_mail_by_what_the_rule_says(count_by: str, subject: str) -> None:
    asks = at_mail(rule(messages="5/h", count_by=count_by), sender="A@x.test", login="Anna")
    assert asks == [Ask(f"rule:r:messages:{subject}", HOURLY)]


def test_who_has_not_logged_in_is_not_counted_by_login() -> None:
    assert at_mail(rule(messages="5/h", count_by="login")) == []


def test_neither_case_nor_quotes_make_another_sender_or_recipient() -> None:
    by_sender = rule(messages="5/h", count_by="sender")
    keys = {at_mail(by_sender, sender=sender)[0].key for sender in ("a@x.test", "A@X.test", '"a"@x.test')}
    assert keys == {"rule:r:messages:a@x.test"}
    by_recipient = rule(messages="5/h", count_by="recipient")
    for recipient in ("b@c.test", "B@c.test", '"b"@c.test'):
        ((ask, _),) = control_recipient((by_recipient,), who(), recipient).asks
        assert ask.key == "rule:r:messages:b@c.test"


def test_the_null_sender_has_a_count_of_its_own() -> None:
    assert at_mail(rule(messages="5/h", count_by="sender"), sender="") == [Ask("rule:r:messages:<>", HOURLY)]


def test_all_rules_that_match_hold_each_with_its_own_count() -> None:
    rules = (rule("a", messages="5/h"), rule("b", messages="5/h", senders=["@y.test"]), rule("c", messages="5/h"))
    assert [ask.key for ask in at_mail(*rules)] == ["rule:a:messages:192.0.2.7", "rule:c:messages:192.0.2.7"]


def test_a_rule_about_recipients_waits_for_them() -> None:
    about = rule(recipients=["@big.test"], messages="5/h", refuse=False)
    by = rule("by", count_by="recipient", messages="5/h")
    assert at_mail(about, by, rule("no", recipients=["@no.test"], refuse=True)) == []
    control = control_recipient((about, by), who(), "B@big.test")
    assert [ask.key for ask, _ in control.asks] == ["rule:r:messages:192.0.2.7", "rule:by:messages:b@big.test"]
    control = control_recipient((about, by), who(), "b@small.test")
    assert [ask.key for ask, _ in control.asks] == ["rule:by:messages:b@small.test"]


def test_recipients_are_counted_at_rcpt() -> None:
    rules = (rule(recipients_count="5/h", senders=["@x.test"]), rule("other", recipients_count="5/h", logins=["bert"]))
    assert [ask for ask, _ in control_recipient(rules, who(), "b@c.test").asks] == [
        Ask("rule:r:recipients:192.0.2.7", HOURLY)
    ]


def test_octets_are_counted_at_the_end_once_for_all_recipients_that_are_meant() -> None:
    rules = (rule(octets="9/h"), rule("some", octets="9/h", recipients=["@big.test"]))
    control = control_end(rules, who(), ["a@big.test", "b@big.test", "c@small.test"], 4)
    assert [ask for ask, _ in control.asks] == [
        Ask("rule:r:octets:192.0.2.7", Rate(9, 3600), 4),
        Ask("rule:some:octets:192.0.2.7", Rate(9, 3600), 4),
    ]
    assert [ask.key for ask, _ in control_end(rules, who(), ["c@small.test"], 4).asks] == ["rule:r:octets:192.0.2.7"]


def test_octets_by_recipient_are_counted_for_each() -> None:
    control = control_end((rule(octets="9/h", count_by="recipient"),), who(), ["a@x.test", "b@x.test", "A@x.test"], 4)
    assert [ask.key for ask, _ in control.asks] == ["rule:r:octets:a@x.test", "rule:r:octets:b@x.test"]


@pytest.mark.parametrize(("size", "refused_"), [(0, False), (2000, False), (2001, True)])
def test_a_size_is_refused_as_declared_and_as_it_is(size: int, refused_: bool) -> None:
    rules = (rule(message_size_bytes=2000),)
    for control in (control_mail(rules, who(), size), control_end(rules, who(), ["b@c.test"], size)):
        assert (control.refusal is not None) is refused_
        if control.refusal is not None:
            assert str(control.refusal.reply).startswith("552 5.3.4 ")


def test_a_size_for_some_recipients_is_refused_at_the_end() -> None:
    rules = (rule(message_size_bytes=2000, recipients=["@small.test"]),)
    assert control_mail(rules, who(), 5000).refusal is None
    assert control_end(rules, who(), ["a@big.test"], 5000).refusal is None
    assert control_end(rules, who(), ["a@big.test", "b@small.test"], 5000).refusal is not None


def test_a_rule_that_refuses_does_so_at_mail_or_at_its_recipients() -> None:
    assert control_mail((rule(refuse=True),), who(), 0).refusal is not None
    assert control_mail((rule(refuse=True, senders=["@y.test"]),), who(), 0).refusal is None
    some = (rule(refuse=True, recipients=["@no.test"]),)
    assert control_mail(some, who(), 0).refusal is None
    assert control_recipient(some, who(), "a@no.test").refusal is not None
    assert control_recipient(some, who(), "a@yes.test").refusal is None


@pytest.mark.parametrize(
    ("keys", "refusal", "reply"),
    [
        ({"refuse": True}, refused, "550 5.7.1 Refused by a rule of this server"),
        ({"refuse": True, "temporary": True, "text": "Later"}, refused, "450 4.7.1 Later"),
        ({"messages": "5/h"}, exceeded, "450 4.7.1 You send too much in too short a time"),
        ({"messages": "5/h", "temporary": False, "text": "Ask us"}, exceeded, "550 5.7.1 Ask us"),
        ({"message_size_bytes": 2000, "text": "Use the share"}, too_large, "552 5.3.4 Use the share"),
    ],
)
def test_the_client_is_told_the_rules_own_text(keys: dict[str, object], refusal: object, reply: str) -> None:
    assert callable(refusal)
    told = refusal(ClientControl.model_validate({"name": "r", **keys}))
    assert str(told.reply) == reply
    assert told.reason is RefusalReason.CLIENT_RULE
