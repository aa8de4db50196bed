"""An access rule in words (PURE)."""

from shared.policy.access import AccessRule, Service

_MATCHERS = (
    ("networks", "from"),
    ("reverse_names", "named"),
    ("helo_names", "saying HELO"),
    ("countries", "in"),
    ("certificates", "with certificate"),
)


def rule_in_words(rule: AccessRule) -> str:
    """Return what a rule says, in a line: `deny from 192.0.2.0/24 (console)`."""
    parts = [rule.action.value]
    for name, word in _MATCHERS:
        values = [str(value) for value in getattr(rule, name)]
        if values:
            more = f" and {len(values) - 5} more" if len(values) > 5 else ""
            parts.append(f"{word} {', '.join(values[:5])}{more}")
    if len(parts) == 1:
        parts.append("everybody")
    if set(rule.services) != set(Service):
        parts.append(f"({', '.join(service.value for service in rule.services) or 'nowhere'})")
    return " ".join(parts)
