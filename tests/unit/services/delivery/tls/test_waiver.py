"""Which messages waive TLS, and what that leaves of the rules of a hop."""

import pytest

from services.delivery.client.target import Speech, Target
from services.delivery.tls.waiver import rules_for, waives_tls, without_starttls
from shared.policy.destination import DeliveryRules, OutboundTls
from tests.unit.services.delivery.envelopes import envelope_of

NO = "TLS-Required: No\r\n"
HOST = Target(Speech.SMTP, "mx.example", "192.0.2.1", 25, domain="example")


def _message(fields: str) -> bytes:
    return f"From: a@client.example\r\n{fields}Subject: hello\r\n\r\nTLS-Required: No\r\n".encode()


@pytest.mark.parametrize(
    ("fields", "waives"),
    [
        (NO, True),
        ("tls-required:no\r\n", True),
        ("TLS-Required:\r\n No \r\n", True),
        ("", False),
        ("TLS-Required: Yes\r\n", False),
        ("TLS-Required: No, really\r\n", False),
        ("TLS-Required:\r\n", False),
        (NO + NO, False),
        (NO + "TLS-Required: Yes\r\n", False),
        ("X-TLS-Required: No\r\n", False),
    ],
)
def test_one_field_that_says_no_waives_tls(fields: str, waives: bool) -> None:
    assert waives_tls(envelope_of(), _message(fields)) is waives


def test_requiretls_goes_before_the_field() -> None:
    assert not waives_tls(envelope_of(requiretls=True), _message(NO))


def test_what_the_domain_publishes_is_waived_and_what_the_policy_demands_is_not() -> None:
    rules, waived = rules_for(DeliveryRules(tls=OutboundTls.REQUIRED), envelope_of(), _message(NO))
    assert (waived, rules.dane, rules.mta_sts, rules.tls) == (True, False, False, OutboundTls.REQUIRED)


@pytest.mark.parametrize(("choice", "fields"), [("ignore", NO), ("honour", "")])
def test_the_rules_stay_where_nothing_is_waived(choice: str, fields: str) -> None:
    rules = DeliveryRules.model_validate({"tls_required_no": choice})
    assert rules_for(rules, envelope_of(), _message(fields)) == (rules, False)


def test_plain_text_is_for_opportunistic_tls_alone() -> None:
    plain = without_starttls(DeliveryRules(), HOST)
    assert plain is not None
    assert plain.tls is OutboundTls.OFF
    for tls in set(OutboundTls) - {OutboundTls.OPPORTUNISTIC}:
        rules = DeliveryRules.model_validate({"tls": tls, "tls_fingerprints": ["ab" * 32]})
        assert without_starttls(rules, HOST) is None


def test_no_login_and_no_implicit_tls_falls_back_to_plain_text() -> None:
    auth = {"login": "office", "secret": "word", "mechanisms": ["SCRAM-SHA-256"]}
    assert without_starttls(DeliveryRules.model_validate({"auth": auth}), HOST) is None
    assert without_starttls(DeliveryRules(), Target(Speech.SMTPS, "mx.example", "192.0.2.1", 465)) is None
