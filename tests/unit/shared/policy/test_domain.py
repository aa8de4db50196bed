"""Rules of a domain's recipients: lists, patterns, and who is asked."""

import pytest

from shared.policy import PolicyError, parse_policy

DOMAIN = '[domains."a.test"]\nroute = "mx"\n'
LISTED = DOMAIN + "recipients = ['demo', '\"first last\"', 'jürgen']"


@pytest.mark.parametrize(
    ("local_part", "taken"),
    [
        *[("demo", True), ("DEMO", True), ('"demo"', True), (r'"d\emo"', True), ('"Demo"', True)],
        *[('"first last"', True), (r'"first\ last"', True), ("jürgen", True), ("JÜRGEN", True)],
        *[("postmaster", True), ("PostMaster", True), ('"postmaster"', True)],
        *[("abuse", True), ("demo ", False), ("demo+tag", False), ('"demo "', False), ("", False), ('"', False)],
    ],
)
def test_a_listed_recipient_is_known_in_each_form_and_postmaster_and_abuse_always(local_part: str, taken: bool) -> None:
    assert parse_policy(LISTED).domains["a.test"].takes(local_part) is taken


def test_a_list_with_quotes_takes_the_plain_form() -> None:
    policy = parse_policy(DOMAIN + "recipients = ['\"demo\"']")
    assert policy.domains["a.test"].takes("demo")


def test_any_takes_any_local_part() -> None:
    assert parse_policy(DOMAIN + "recipients = 'any'").domains["a.test"].takes("whoever")


def test_a_domain_without_recipients_takes_its_postmaster_alone() -> None:
    domain = parse_policy(DOMAIN + "recipients = []").domains["a.test"]
    assert domain.takes("postmaster")
    assert not domain.takes("any")


@pytest.mark.parametrize(
    ("local_part", "taken"),
    [
        *[("sales", True), ("SALES", True), ("sales-eu", True), ("sales-", True), ('"sales-eu"', True)],
        *[
            ("sale", False),
            ("presales-eu", False),
            ('"sales-@home"', False),
            ("info.de.team", True),
            ("infoteam", False),
        ],
    ],
)
def test_a_star_stands_for_any_characters_but_at(local_part: str, taken: bool) -> None:
    policy = parse_policy(DOMAIN + "recipients = ['Sales', 'sales-*', 'info.*.team']")
    assert policy.domains["a.test"].takes(local_part) is taken


@pytest.mark.parametrize("kind", ["verified", "ldap"])
def test_where_somebody_else_knows_the_document_takes_postmaster_and_abuse_alone(kind: str) -> None:
    domain = parse_policy(DOMAIN + f"recipients = '{kind}'").domains["a.test"]
    assert domain.asks
    assert [name for name in ("postmaster", "ABUSE", "demo") if domain.takes(name)] == ["postmaster", "ABUSE"]


def test_a_list_or_any_asks_nobody() -> None:
    for recipients in ("'any'", "['demo']", "['*']", "[]"):
        assert not parse_policy(DOMAIN + f"recipients = {recipients}").domains["a.test"].asks


@pytest.mark.parametrize("pattern", ["a b*", "a@*", "*" * 65, '\\"a*'])
def test_what_is_no_pattern_of_local_parts_is_refused(pattern: str) -> None:
    with pytest.raises(PolicyError, match="recipients"):
        parse_policy(DOMAIN + f'recipients = ["{pattern}"]')
