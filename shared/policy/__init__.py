"""The administrator's rules (PURE): one TOML document, checked, with a safe default for everything."""

from shared.policy.checks import CheckRules, Checks
from shared.policy.destination import DeliveryRules
from shared.policy.document import Policy, parse_policy
from shared.policy.domain import DomainRules
from shared.policy.limits import Limits, SessionLimits
from shared.policy.listener import Listener, Purpose, TlsMode
from shared.policy.relay import Relay
from shared.policy.retry import RetryRules
from shared.policy.table import PolicyError

__all__ = [
    "CheckRules",
    "Checks",
    "DeliveryRules",
    "DomainRules",
    "Limits",
    "Listener",
    "Policy",
    "PolicyError",
    "Purpose",
    "Relay",
    "RetryRules",
    "SessionLimits",
    "TlsMode",
    "parse_policy",
]
