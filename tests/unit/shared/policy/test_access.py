"""Rules of access: the first that matches wins; what is not known yet holds back what stands behind it, but not for ever."""

import pytest

from shared.policy import PolicyError, parse_policy
from shared.policy.access import Access, AccessAction, AccessRule, Service, judge_access
from shared.policy.client import ClientFacts, plain_ip


def rule(action: str, **matchers: object) -> AccessRule:
    return AccessRule.model_validate({"action": action, **matchers})


def facts(address: str = "192.0.2.7", **known: str | None) -> ClientFacts:
    return ClientFacts(plain_ip(address), **known)  # type: ignore[arg-type]


DENY_NETWORK = rule("deny", networks=["192.0.2.0/24"])
ALLOW_ONE = rule("allow", networks=["192.0.2.7/32"])
ALLOW_NAME = rule("allow", reverse_names=[".friend.test"])
DENY_HELO = rule("deny", helo_names=["localhost"])


def test_without_rules_everybody_may_connect() -> None:
    assert judge_access([], facts()) == Access(None)


@pytest.mark.parametrize("action", AccessAction)
def test_every_action_is_given_back(action: AccessAction) -> None:
    assert judge_access([rule(action.value)], facts("2001:db8::1")).action is action


def test_the_first_rule_that_matches_wins() -> None:
    assert judge_access([ALLOW_ONE, DENY_NETWORK], facts()).rule is ALLOW_ONE
    assert judge_access([DENY_NETWORK, ALLOW_ONE], facts()).rule is DENY_NETWORK
    assert judge_access([ALLOW_ONE, DENY_NETWORK], facts("192.0.2.8")).rule is DENY_NETWORK
    assert judge_access([ALLOW_ONE, DENY_NETWORK], facts("198.51.100.1")) == Access(None)


def test_a_rule_that_asks_for_what_is_not_known_yet_holds_back_those_behind_it() -> None:
    rules = [ALLOW_NAME, DENY_NETWORK]
    assert judge_access(rules, facts()) == Access(None, settled=False)
    assert judge_access(rules, facts(name="mx.friend.test")).rule is ALLOW_NAME
    assert judge_access(rules, facts(name="")).rule is DENY_NETWORK


def test_what_stands_before_it_is_not_held_back() -> None:
    assert judge_access([DENY_NETWORK, DENY_HELO], facts()).rule is DENY_NETWORK
    assert judge_access([DENY_HELO], facts()) == Access(None, settled=False)
    assert judge_access([DENY_HELO], facts(helo="LOCALHOST")).rule is DENY_HELO
    assert judge_access([DENY_HELO], facts(helo="mx.a.test")) == Access(None)


def test_a_client_whose_own_dns_does_not_answer_escapes_no_rule() -> None:
    # Its name stays unknown for ever: at HELO nothing more will come, and the denial behind the exception holds.
    rules = [ALLOW_NAME, DENY_NETWORK]
    assert judge_access(rules, facts(helo="x"), final=True).rule is DENY_NETWORK
    assert judge_access([rule("deny", reverse_names=["unknown"])], facts(helo="x"), final=True) == Access(None)


def test_a_rule_holds_for_the_services_it_names() -> None:
    rules = [rule("deny", services=["metrics"]), rule("tarpit", services=["smtp"])]
    assert judge_access(rules, facts(), Service.METRICS).action is AccessAction.DENY
    assert judge_access(rules, facts(), Service.SMTP).action is AccessAction.TARPIT
    assert judge_access(rules, facts(), Service.CONSOLE).action is None
    assert judge_access([DENY_NETWORK], facts(), Service.CONSOLE).action is AccessAction.DENY


@pytest.mark.parametrize("service", [Service.METRICS, Service.CONSOLE])
def test_where_names_are_never_known_a_rule_about_them_is_passed_over(service: Service) -> None:
    assert judge_access([ALLOW_NAME, DENY_HELO, DENY_NETWORK], facts(), service).rule is DENY_NETWORK


@pytest.mark.parametrize(
    "text", ["action = 'accept'", "action = 'deny'\nservices = ['imap']", "action = 'deny'\nwho = 1", "text = 'x'"]
)
def test_a_rule_with_a_mistake_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match=r"access\.0"):
        parse_policy(f"[[access]]\n{text}")


@pytest.mark.parametrize(
    ("text", "knows"),
    [
        ("", False),
        ("[[access]]\naction = 'deny'\nnetworks = ['192.0.2.0/24']", False),
        ("[[access]]\naction = 'deny'\nhelo_names = ['x']", False),
        ("[[access]]\naction = 'deny'\nreverse_names = ['x']", True),
        ("[listeners.x]\npurpose = 'relay'\n[[listeners.x.access]]\naction = 'deny'\nreverse_names = ['x']", True),
        ("[[clients]]\nname = 'a'\nrefuse = true\nmatch.reverse_names = ['x']", True),
        ("[[greylist.exempt]]\nreverse_names = ['x']", True),
    ],
)
def test_a_policy_knows_whether_a_rule_asks_for_names(text: str, knows: bool) -> None:
    assert parse_policy(text).knows_names is knows
