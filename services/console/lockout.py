"""Whether a policy would shut out whoever applies it (PURE).

It asks what the console's own gate will ask (shared/gate.py): the access rules for the service `console`, then bans.
Input: the policy, the address that the caller acts from, and the ban that this address has, if any.
Output: the proof, a sentence with the rule and the address; None where the caller stays in.
"""

from services.console.access_text import rule_in_words
from services.console.story.told import moment
from shared.bans import Ban, is_exempt
from shared.policy import Policy
from shared.policy.access import AccessAction, Service, judge_access
from shared.policy.client import ClientFacts, plain_ip

PASSED_OVER = (
    "whether it locks anybody out was not looked at: you act on the console's own host, where no access rule holds"
)


def find_lockout(policy: Policy, address: str, ban: Ban | None, now: float) -> str | None:
    """Return how a policy would shut out who acts from an address, None if it would not. Raises ValueError for none."""
    access = judge_access(policy.access, ClientFacts(plain_ip(address)), Service.CONSOLE)
    if access.rule is not None:
        if access.action is AccessAction.ALLOW:
            return None
        number = policy.access.index(access.rule) + 1
        return (
            f"this would lock you out: you act from {address}, and [[access]] rule {number}, "
            f"“{rule_in_words(access.rule)}”, would keep that address from the console. Put a rule before it that "
            "allows it, leave “console” out of the rule's services, or act on the console's own host"
        )
    if ban is None or ban.left_s(now) <= 0 or not policy.bans.enabled or is_exempt(address, policy):
        return None
    return (
        f"this would lock you out: you act from {address}, which is banned until {moment(ban.until)}, and by this "
        "policy no [[access]] rule allows it and it is not on [bans] never. Lift the ban first, or keep such a rule"
    )
