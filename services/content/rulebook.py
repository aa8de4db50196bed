"""Which rules apply to a mail for a domain, and where in the policy they stand (PURE).

Owns: `RuleBook`, one per policy in force, which remembers what it has worked out for each domain of ours.
"""

from dataclasses import dataclass

from shared.envelope import Direction, Envelope
from shared.policy import CheckRules, Checks, Policy
from shared.verdict import Action, CheckName


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of every check for a mail. scopes: the path of each check's table, `checks` or the domain's own.

    acting: the checks of which some result has another action than to accept.
    """

    checks: Checks
    scopes: dict[CheckName, str]
    acting: frozenset[CheckName]

    def of(self, check: CheckName) -> CheckRules:
        """Return a check's table."""
        rules: CheckRules = getattr(self.checks, check.value)
        return rules


class RuleBook:
    """The rules of one policy. version: which it is."""

    def __init__(self, policy: Policy, version: int) -> None:
        self.policy = policy
        self.version = version
        self._known: dict[tuple[Direction, str], Rules] = {}

    def rules(self, envelope: Envelope) -> dict[str, Rules]:
        """Return the rules for each recipient domain of a mail; outbound, the sender's domain chooses them."""
        sender_domain = envelope.sender.rpartition("@")[2].lower()
        inbound = envelope.direction is Direction.INBOUND
        return {
            domain: self._rules(envelope.direction, domain if inbound else sender_domain)
            for domain in {recipient.domain for recipient in envelope.recipients}
        }

    def _rules(self, direction: Direction, domain: str) -> Rules:
        # Strangers choose the names: only our own are remembered.
        key = (direction, domain if domain in self.policy.domains else "")
        rules = self._known.get(key)
        if rules is None:
            rules = self._known[key] = self._find(*key)
        return rules

    def _find(self, direction: Direction, domain: str) -> Rules:
        policy = self.policy
        if direction is Direction.INBOUND:
            return _scoped(policy.checks_of(domain), [("checks", policy.checks)], f'domains."{domain}".checks')
        wider = [("checks", policy.checks), ("outbound", policy.outbound)]
        return _scoped(policy.outbound_of(domain), wider, f'domains."{domain}".outbound')


def _scoped(checks: Checks, wider: list[tuple[str, Checks]], own: str) -> Rules:
    """Name, for each check, the widest table that says the same: that is where an administrator finds the rule."""
    scopes = {}
    for name in Checks.model_fields:
        rules = getattr(checks, name)
        scopes[CheckName(name)] = next((scope for scope, other in wider if getattr(other, name) == rules), own)
    return Rules(checks, scopes, frozenset(filter(lambda check: _acts(getattr(checks, check.value)), scopes)))


def _acts(rules: CheckRules) -> bool:
    actions = (value for _, value in rules if isinstance(value, Action))
    return rules.enabled and any(action is not Action.ACCEPT for action in actions)
