"""A domain's rules as sentences and as fields of a form, there and back."""

import contextlib
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.console.domain_edit import Value, own_keys, with_keys
from services.console.domain_words import (
    FormError,
    People,
    Ways,
    changed_people,
    changed_ways,
    people_of,
    sentences,
    ways_of,
)
from shared.policy import parse_policy

DOCUMENT = """
[groups.small]
size_bytes = 70000
[domains."one.test"]
route = [{to = "smtp://a.test:25", priority = 1, weight = 2}, {to = "smtp://b.test:25", priority = 1}, "mx"]
recipients = ["anna", "info*"]
aliases = {"anna.b" = "anna", all = ["anna", "ben@two.test"]}
catch_all = "anna"
subaddress = "+"
group = "small"
greylisting = false
checks.antispam.refuse_at = 12.0
checks.spf.fail = "refuse"
[domains."two.test"]
route = "mx"
recipients = "verified"
batv = "enforce"
"""


def table(domain: str = "one.test") -> dict[str, Value]:
    return own_keys(DOCUMENT, domain)


def test_rules_are_told_in_sentences_without_names_of_people() -> None:
    policy = parse_policy(DOCUMENT)
    assert list(sentences(policy.domains["one.test"])) == [
        "Mail goes to smtp://a.test:25.",
        "smtp://b.test:25 shares it.",
        "mx is tried when those before it cannot be reached.",
        "It has 1 listed recipient and 1 pattern; postmaster and abuse are always taken.",
        "2 aliases lead elsewhere.",
        "Mail to anybody else is caught by one mailbox.",
        "What stands behind + in a local part is a subaddress of the one before it.",
        "Messages of 70 kB at most are taken.",
        "It is in the group small, whose keys hold where its own table has none.",
        "Mail to it is not greylisted.",
    ]
    two = " ".join(sentences(policy.domains["two.test"]))
    assert "who the next server says" in two
    assert "refused" in two


@pytest.mark.parametrize("domain", ["one.test", "two.test"])
def test_a_form_that_was_not_touched_changes_nothing(domain: str) -> None:
    own = table(domain)
    assert changed_people(people_of(own), own) == {}
    assert changed_ways(ways_of(own), own) == {}


def test_one_alias_is_changed_by_itself_and_its_dots_are_no_steps() -> None:
    own = table()
    people = People("list", "anna info*", "anna.b: ben\nall: anna, ben@two.test", "", "+")
    changes = changed_people(people, own)
    assert changes == {"catch_all": None, ("aliases", "anna.b"): "ben"}
    after = tomllib.loads(with_keys(DOCUMENT, "one.test", changes))["domains"]["one.test"]
    assert after["aliases"] == {"anna.b": "ben", "all": ["anna", "ben@two.test"]}
    assert changed_people(People("list", "anna info*", "", "anna", "+"), own) == {"aliases": None}


def test_thresholds_are_set_changed_and_taken_out_by_their_lines() -> None:
    own = table()
    form = ways_of(own)
    more = 'checks.antispam.refuse_at = 14.0\nbatv = "sign"'
    changes = changed_ways(Ways(form.routes, "", "small", "", more), own)
    assert changes == {
        ("checks", "antispam", "refuse_at"): 14.0,
        ("batv",): "sign",
        ("greylisting",): None,
        ("checks", "spf", "fail"): None,
    }
    rules = parse_policy(with_keys(DOCUMENT, "one.test", changes)).domains["one.test"]
    assert (rules.checks.antispam.refuse_at, rules.greylisting) == (14.0, True)


@pytest.mark.parametrize(
    "form",
    [
        People("list", "", "info anna", "", ""),
        People("list", "", "info:", "", ""),
        People("list", "", "info: a\ninfo: b", "", ""),
        Ways("mx priority=x", "", "", "", ""),
        Ways("mx", "many", "", "", ""),
        Ways("mx", "", "", "", "route = 'mx'"),
        Ways("mx", "", "", "", "checks.spf"),
    ],
)
def test_a_field_that_cannot_be_read_is_told(form: People | Ways) -> None:
    with pytest.raises(FormError):
        changed_people(form, table()) if isinstance(form, People) else changed_ways(form, table())


@settings(max_examples=150)
@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=60))
def test_whatever_is_typed_is_read_or_told(listed: str, aliases: str, more: str) -> None:
    with contextlib.suppress(FormError):
        changed_people(People("list", listed, aliases, "", ""), table())
    with contextlib.suppress(FormError):
        changed_ways(Ways(listed, aliases, "", "", more), table())
