"""How what the policy wants and what a domain publishes come together: never below either."""

import pytest

from services.delivery.client.target import Speech, Target
from services.delivery.tls.combine import of_policy, with_dane, with_sts
from services.delivery.tls.demand import Demander, TlsDemand
from shared.dns.answer import TLSA
from shared.policy.destination import DeliveryRules, OutboundTls
from shared.tls_seen import PolicyType, TlsPolicy, TlsResult

TARGET = Target(Speech.SMTP, "mx.hop.test", "192.0.2.1", 25, domain="hop.test")
RECORD = TLSA(3, 1, 1, bytes(32))
PUBLISHED = TlsPolicy(PolicyType.TLSA)
LEVELS = [level for level in OutboundTls if level is not OutboundTls.OFF]


def _policy(level: OutboundTls) -> TlsDemand:
    rules = {"tls": level, "tls_fingerprints": ["00" * 32] if level is OutboundTls.FINGERPRINT else []}
    return of_policy(TARGET, DeliveryRules.model_validate(rules))


@pytest.mark.parametrize(
    ("level", "with_records", "without_use", "sts"),
    [
        (OutboundTls.OPPORTUNISTIC, OutboundTls.DANE, OutboundTls.REQUIRED, OutboundTls.VERIFIED),
        (OutboundTls.REQUIRED, OutboundTls.DANE, OutboundTls.REQUIRED, OutboundTls.VERIFIED),
        (OutboundTls.VERIFIED, OutboundTls.VERIFIED, OutboundTls.VERIFIED, OutboundTls.VERIFIED),
        (OutboundTls.FINGERPRINT, OutboundTls.FINGERPRINT, OutboundTls.FINGERPRINT, OutboundTls.FINGERPRINT),
        (OutboundTls.DANE, OutboundTls.DANE, OutboundTls.DANE, OutboundTls.VERIFIED),
    ],
)
def test_each_level_with_what_is_published(
    level: OutboundTls, with_records: OutboundTls, without_use: OutboundTls, sts: OutboundTls
) -> None:
    demand = _policy(level)
    assert with_dane(demand, TARGET, "mx.hop.test", (RECORD,), PUBLISHED).level is with_records
    assert with_dane(demand, TARGET, "mx.hop.test", (), PUBLISHED).level is without_use
    assert with_sts(demand, TARGET, on_trial=False).level is sts


@pytest.mark.parametrize("level", LEVELS)
def test_usable_records_are_matched_at_every_level(level: OutboundTls) -> None:
    demand = with_dane(_policy(level), TARGET, "base.test", (RECORD,), PUBLISHED)
    assert demand.tlsa == (RECORD,)
    assert demand.tlsa_names == ("base.test", "mx.hop.test", "hop.test")
    assert demand.is_authenticated


def test_records_of_no_use_are_told() -> None:
    demand = with_dane(_policy(OutboundTls.OPPORTUNISTIC), TARGET, "mx.hop.test", (), PUBLISHED)
    assert demand.trouble is not None
    assert (demand.trouble.result, demand.demander) == (TlsResult.TLSA_INVALID, Demander.DANE)


@pytest.mark.parametrize("level", LEVELS)
def test_a_policy_on_trial_changes_no_level(level: OutboundTls) -> None:
    demand = with_sts(_policy(level), TARGET, on_trial=True)
    assert (demand.level, demand.trial) == (level, ("mx.hop.test",))


def test_the_name_that_is_asked_for_is_one_that_is_looked_for() -> None:
    rules = DeliveryRules.model_validate({"tls": "verified", "tls_names": ["a.test", "b.test"]})
    assert of_policy(TARGET, rules).server_name == "a.test"
    rules = DeliveryRules.model_validate({"tls": "verified", "tls_names": ["a.test", "mx.hop.test"]})
    assert of_policy(TARGET, rules).server_name == "mx.hop.test"
    assert of_policy(TARGET, DeliveryRules()).names == ("mx.hop.test",)


def test_a_socket_of_this_host_needs_no_tls() -> None:
    target = Target(Speech.LMTP, "localhost", path="/run/lmtp")
    assert of_policy(target, DeliveryRules.model_validate({"tls": "verified"})).level is OutboundTls.OPPORTUNISTIC
    assert of_policy(target, DeliveryRules.model_validate({"tls": "off"})).level is OutboundTls.OFF


@pytest.mark.parametrize(
    ("demand", "word"),
    [
        (_policy(OutboundTls.OPPORTUNISTIC), "opportunistic"),
        (_policy(OutboundTls.VERIFIED), "verified"),
        (with_sts(_policy(OutboundTls.OPPORTUNISTIC), TARGET, on_trial=False), "mtasts"),
        (with_dane(_policy(OutboundTls.REQUIRED), TARGET, "x", (RECORD,), PUBLISHED), "dane"),
    ],
)
def test_the_word_for_the_trace(demand: TlsDemand, word: str) -> None:
    assert demand.word.replace("-", "") == word
