"""Which rules apply to a mail for a domain, and where in the policy they stand (PURE).

Owns: `RuleBook`, one per policy in force, which remembers what it has worked out for each domain of ours.
"""

from dataclasses import dataclass

from shared.envelope import Direction, Envelope
from shared.policy import CheckRules, Checks, Policy
from shared.verdict import Action, CheckName


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of every check for a mail. scope: the path of their table, such as `checks`.

    wider: the tables that it inherits from, the nearest first, with their paths. acting: the checks of which some
    result has another action than to accept.
    """

    checks: Checks
    scope: str
    wider: tuple[tuple[str, Checks], ...]
    acting: frozenset[CheckName]

    def of(self, check: CheckName) -> CheckRules:
        """Return a check's table."""
        return _of(self.checks, check)

    def path(self, check: CheckName, key: str) -> str:
        """Return the path of a rule where an administrator finds it: in the widest table that it is inherited from."""
        value, found = getattr(self.of(check), key), self.scope
        for scope, checks in self.wider:
            if getattr(_of(checks, check), key) != value:
                break
            found = scope
        return f"{found}.{check.value}.{key}"


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
            return _rules(policy.checks_of(domain), f'domains."{domain}".checks', (("checks", policy.checks),))
        wider = (("outbound", policy.outbound), ("checks", policy.checks))
        return _rules(policy.outbound_of(domain), f'domains."{domain}".outbound', wider)


def _rules(checks: Checks, scope: str, wider: tuple[tuple[str, Checks], ...]) -> Rules:
    acting = frozenset(check for check in map(CheckName, Checks.model_fields) if _acts(_of(checks, check)))
    return Rules(checks, scope, wider, acting)


def _of(checks: Checks, check: CheckName) -> CheckRules:
    rules: CheckRules = getattr(checks, check.value)
    return rules


def _acts(rules: CheckRules) -> bool:
    actions = (value for _, value in rules if isinstance(value, Action))
    return rules.enabled and any(action is not Action.ACCEPT for action in actions)
