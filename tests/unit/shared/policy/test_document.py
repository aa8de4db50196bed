"""Rules of the policy document: safe by default, strict about keys, domains laid over the common rules."""

import math
from pathlib import Path

import pytest

from shared.policy import Policy, PolicyError, Purpose, TlsMode, parse_policy
from shared.policy.client import ClientFacts, plain_ip
from shared.routes import RouteKind, parse_route
from shared.verdict import Action, CheckName

PROJECT = Path(__file__).parents[4]
DOMAIN = '[domains."a.test"]\nroute = "mx"\n'


EXEMPTION = "[[exemptions]]\nname = 'a'\nreason = 'why'\n"


def refused(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    return str(caught.value)


class TestDefaults:
    """An empty document is a policy, and a safe one."""

    policy = parse_policy("")

    def test_nobody_relays_and_no_domain_is_ours(self) -> None:
        assert not self.policy.relay.networks
        for address in ("127.0.0.1", "::1", "10.0.0.1", "0.0.0.0"):
            assert not self.policy.relay.judge(ClientFacts(plain_ip(address)), "", "x@away.test")
        assert not self.policy.domains

    def test_login_only_where_tls_is_certain(self) -> None:
        for listener in self.policy.listeners.values():
            assert not listener.auth or listener.tls in (TlsMode.REQUIRED, TlsMode.IMPLICIT)

    def test_the_listener_for_the_internet_has_tls_and_neither_login_nor_chunking_nor_a_trusted_proxy(self) -> None:
        mx = self.policy.listeners["mx"]
        assert (mx.purpose, mx.tls) == (Purpose.INBOUND, TlsMode.OPPORTUNISTIC)
        assert (mx.auth, mx.chunking, mx.dsn, mx.proxy_from) == (False, False, False, [])

    def test_malware_is_refused_and_nothing_found_is_an_error_of_spf_or_dkim_alone(self) -> None:
        checks = self.policy.checks
        assert checks.antivirus.infected is Action.REFUSE
        assert checks.dmarc.reject is Action.REFUSE
        # RFC 7489's successors: SPF and DKIM by themselves are no ground to refuse.
        assert {checks.spf.fail, checks.spf.softfail, checks.spf.permerror, checks.dkim.fail} == {Action.ACCEPT}

    @pytest.mark.parametrize("check", CheckName)
    def test_every_check_has_rules_and_is_on(self, check: CheckName) -> None:
        # The brake is on an account, whatever the domain.
        tables = self.policy if check is CheckName.BRAKE else self.policy.checks
        assert getattr(tables, check.value).enabled

    def test_limits_keep_to_the_standard(self) -> None:
        # RFC 5321 §4.5.3.1.8 and §4.5.3.2.7, §4.5.4.1.
        assert self.policy.limits.recipients >= 100
        assert self.policy.limits.command_timeout_s >= 300
        assert 4 * 86_400 <= self.policy.retry.lifetime_s <= 5 * 86_400

    def test_edge_waits_longer_for_a_verdict_than_content_takes(self) -> None:
        assert self.policy.verdict.deadline_s > 12


@pytest.mark.parametrize("file", sorted(PROJECT.glob("infra/*/policy.toml")), ids=lambda file: file.parent.name)
def test_the_policies_that_come_with_the_project_are_valid(file: Path) -> None:
    assert "mx" in parse_policy(file.read_text(encoding="utf-8")).listeners


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("x = 1", "x: unknown key"),
        ("[limits]\nmax_size = 1", "limits.max_size: unknown key"),
        ("[checks.spf]\nfial = 'tag'", "checks.spf.fial: unknown key"),
        ("[checks.bayes]\nspam = 'tag'", "checks.bayes: unknown key"),
        ("[listeners.mx]\npurpose = 'inbound'\nport = 25", "listeners.mx.port: unknown key"),
        (DOMAIN + "recipients = 'any'\nalias = 1", "domains.a.test.alias: unknown key"),
        (DOMAIN + "recipients = 'any'\nchecks.spf.x = 1", "domains.a.test.checks.spf.x: unknown key"),
        ("[limits]\nrecipients = 99", "limits.recipients: "),
        ("[limits]\ncommand_timeout_s = 0", "limits.command_timeout_s: "),
        ("[limits]\ncommand_timeout_s = nan", "limits.command_timeout_s: "),
        ("[limits]\ncommand_timeout_s = inf", "limits.command_timeout_s: "),
        ("[checks.spf]\nfail = 'maybe'", "checks.spf.fail: "),
        ("[listeners.mx]\ntls = 'off'", "listeners.mx.purpose: "),
        ("[retry]\nsteps_s = []", "retry.steps_s: "),
        ("[retry]\nsteps_s = [60, 0]", "retry.steps_s.1: "),
        ("[relay]\nnetworks = ['10.0.0.1/8']", "relay.networks.0"),
        ("[relay]\nnetworks = ['everyone']", "relay.networks.0"),
        ("default_route = 'http://a.test'", "default_route: "),
        (DOMAIN, "domains.a.test.recipients: "),
        (DOMAIN + "recipients = 'all'", "domains.a.test.recipients"),
        (DOMAIN + "recipients = ['a b']", "domains.a.test.recipients"),
        (DOMAIN + "recipients = ['a@a.test']", "domains.a.test.recipients"),
        ("[domains.'a_b.test']\nroute = 'mx'\nrecipients = 'any'", "domains.a_b.test"),
        ("[domains.'a.test.']\nroute = 'mx'\nrecipients = 'any'", "domains.a.test."),
        ("domains = 5", "domains: "),
        ("domains.'a.test' = 5", "domains.a.test: "),
        ("checks = 5\n" + DOMAIN + "recipients = 'any'", "checks: "),
        (DOMAIN + "recipients = 'any'\nchecks = 5", "domains.a.test.checks: "),
        (DOMAIN + "recipients = 'any'\nchecks.spf = 5", "domains.a.test.checks.spf: "),
        ("[outbound.antivirus]\nfound = 'tag'", "outbound.antivirus.found: unknown key"),
        (DOMAIN + "recipients = 'any'\noutbound.antivirus.x = 1", "domains.a.test.outbound.antivirus.x: unknown key"),
        # Nobody would obey it.
        ("[outbound.spf]\nfail = 'tag'", "outbound.spf has no effect: only mail from outside is asked for spf"),
        (DOMAIN + "recipients = 'any'\noutbound.arc.fail = 'tag'", "domains.a.test.outbound.arc has no effect"),
        ("[checks.antispam]\ntag_at = 'always'", "checks.antispam.tag_at"),
        ("[checks.antispam]\ntag_at = 20", "checks.antispam: tag_at = 20 is above quarantine_at = 10"),
        # What is inherited may make an order wrong that is right by itself.
        ("[checks.antispam]\ntag_at = 8\n[outbound.antispam]\nquarantine_at = 7", "outbound.antispam: tag_at = 8"),
        ("[checks.antispam]\nsubject_tag = 'ä'", "checks.antispam.subject_tag"),
        ('[checks.antispam]\nsubject_tag = "a\\r\\nb"', "checks.antispam.subject_tag"),
        ("[checks.attachments]\nblocked = 'remove'", "checks.attachments.blocked"),
        ("[checks.antivirus]\ninfected = 'strip'", "checks.antivirus.infected"),
        ("[checks.attachments]\nblocked_names = ['a/b']", "checks.attachments.blocked_names.0"),
        ("[checks.attachments]\nblocked_types = ['virus']", "checks.attachments.blocked_types.0"),
        (EXEMPTION + "checks = ['spf']", "exemptions.0: exemption 'a' names nobody"),
        (EXEMPTION + "checks = ['bayes']\nlogins = ['x']", "exemptions.0.checks.0"),
        (EXEMPTION + "checks = []\nlogins = ['x']", "exemptions.0.checks"),
        (EXEMPTION.replace("'why'", "''") + "checks = ['spf']\nlogins = ['x']", "exemptions.0.reason"),
        (2 * (EXEMPTION + "checks = ['spf']\nlogins = ['x']\n"), "exemptions: two have the name 'a'"),
        ("[brake]\nspam = '10'", "brake.spam"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(text: str, key: str) -> None:
    assert key in refused(text)


def test_every_mistake_is_named_at_once() -> None:
    cause = refused("x = 1\n[limits]\nrecipients = 5\n")
    assert "x: unknown key" in cause
    assert "limits.recipients" in cause


def test_a_mistake_in_the_common_checks_is_not_told_again_for_each_domain() -> None:
    assert refused("[checks.spf]\nfial = 'tag'\n" + DOMAIN + "recipients = 'any'") == "checks.spf.fial: unknown key"


@pytest.mark.parametrize(
    "text",
    ["x", "x = ", "[a]\n[a]", "x = 1\nx = 2", "\x00", "a = " + "[" * 5000, "a = " + "1" * 5000, "a = 2026-02-30"],
)
def test_what_is_no_toml_is_refused(text: str) -> None:
    assert refused(text).startswith("not TOML: ")


def test_one_domain_in_two_spellings_is_refused() -> None:
    both = '[domains."a.test"]\nroute="mx"\nrecipients="any"\n[domains."A.Test"]\nroute="mx"\nrecipients=["x"]\n'
    assert "'a.test' and 'A.Test' are the same one" in refused(both)


def test_domains_are_known_by_their_a_labels_in_lower_case() -> None:
    policy = parse_policy('[domains."BÜCHER.test"]\nroute = "mx"\nrecipients = "any"')
    assert list(policy.domains) == ["xn--bcher-kva.test"]


RULES = """
[checks.spf]
fail = "quarantine"
softfail = "tag"
[domains."strict.test"]
route = "lmtp:/run/lmtp"
recipients = "any"
checks.spf.fail = "refuse"
[domains."lax.test"]
route = "maildir:mail"
recipients = ["demo", '"first last"', "jürgen"]
checks.antivirus.enabled = false
"""


def test_a_domains_checks_are_laid_over_the_common_ones_key_by_key() -> None:
    policy = parse_policy(RULES)
    strict, lax = policy.checks_of("strict.test"), policy.checks_of("lax.test")
    assert (strict.spf.fail, strict.spf.softfail) == (Action.REFUSE, Action.TAG)
    assert (lax.spf.fail, lax.spf.softfail) == (Action.QUARANTINE, Action.TAG)
    assert (strict.antivirus.enabled, lax.antivirus.enabled) == (True, False)
    assert lax.antivirus.infected is Action.REFUSE


def test_outbound_rules_are_the_common_ones_but_for_what_they_change() -> None:
    policy = parse_policy(
        RULES
        + """outbound.antivirus.exceeded = "accept"
[outbound.antivirus]
encrypted = "refuse"
"""
    )
    common = policy.outbound.antivirus
    assert (common.encrypted, common.exceeded) == (Action.REFUSE, Action.QUARANTINE)
    assert policy.outbound_of("lax.test").antivirus.exceeded is Action.ACCEPT
    # What a domain wants for mail to it says nothing about mail from it.
    assert policy.outbound_of("lax.test").antivirus.enabled
    assert policy.outbound_of("strict.test").antivirus.encrypted is Action.REFUSE
    assert policy.outbound_of("other.test") is policy.outbound


def test_a_strange_domain_has_the_common_checks_and_the_default_route() -> None:
    policy = parse_policy('default_route = "smtp://out.test"\n' + RULES)
    assert policy.checks_of("other.test") is policy.checks
    assert policy.routes_of("other.test")[0].to == "smtp://out.test"
    assert parse_route(policy.routes_of("strict.test")[0].to).kind is RouteKind.LMTP_SOCKET
    assert parse_route(policy.routes_of("lax.test")[0].to).kind is RouteKind.MAILDIR


def test_a_policy_cannot_be_changed_in_place() -> None:
    policy = Policy()
    with pytest.raises(ValueError, match="frozen"):
        policy.default_route = "mx"  # type: ignore[misc]
    assert math.isfinite(policy.limits.command_timeout_s)
