"""Reports of quarantine in the policy: off by default, inherited key by key, never for malware."""

import pytest

from shared.policy import PolicyError, parse_policy

DOMAIN = '[domains."a.test"]\nroute = "mx"\nrecipients = "any"\n'


def test_nobody_gets_reports_unless_it_is_said() -> None:
    policy = parse_policy(DOMAIN)
    assert not policy.quarantine_digest.enabled
    assert not policy.domains["a.test"].quarantine_digest.enabled


def test_a_domain_s_table_is_laid_over_its_group_s_and_the_global_one() -> None:
    text = (
        '[quarantine_digest]\nenabled = true\nhour = 7\nsender = "q@a.test"\n[groups.g]\nquarantine_digest.hour = 3\n'
    )
    policy = parse_policy(f'{text}{DOMAIN}group = "g"\nquarantine_digest.shown = ["antispam"]\n')
    rules = policy.domains["a.test"].quarantine_digest
    assert (rules.enabled, rules.hour, rules.sender, len(rules.shown)) == (True, 3, "q@a.test", 1)


@pytest.mark.parametrize("check", ["antivirus", "structure", "brake"])
def test_what_is_dangerous_cannot_be_given_to_its_recipient(check: str) -> None:
    with pytest.raises(PolicyError, match="never for its recipient"):
        parse_policy(f'[quarantine_digest]\nshown = ["{check}"]\nreleased = ["{check}"]\n')


def test_what_is_not_shown_cannot_be_released() -> None:
    with pytest.raises(PolicyError, match="not among `shown`"):
        parse_policy('[quarantine_digest]\nshown = ["spf"]\nreleased = ["antispam"]\n')


def test_a_wrong_key_is_told_once() -> None:
    with pytest.raises(PolicyError) as found:
        parse_policy(f"[quarantine_digest]\nhour = 24\n{DOMAIN}")
    assert str(found.value).count("hour") == 1
