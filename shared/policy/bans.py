"""Bans (PURE): addresses that failed again and again are kept out for a while."""

from pydantic import Field

from shared.policy.table import Network, Table


class BanRules(Table):
    """When an address is banned. Points are given for each failure and forgotten after `window_s`.

    auth_points: a failed login. refused_points: a recipient that does not exist, a relay try. abuse_points: an early
    talker, too many errors, a line that no mail server sends. An IPv6 address is banned with its /64.
    Sessions of users who have logged in, and of hosts that may relay, bring none. first_s: the first ban; each further
    one within `memory_s` lasts `escalation` times longer, up to `longest_s`. never: not banned, whatever they do, and
    nor are the networks of `relay`.
    """

    enabled: bool = True
    threshold: int = Field(100, ge=1)
    window_s: int = Field(600, ge=10, le=86_400)
    auth_points: int = Field(10, ge=0)
    refused_points: int = Field(2, ge=0)
    abuse_points: int = Field(20, ge=0)
    first_s: int = Field(900, ge=1)
    escalation: int = Field(4, ge=1, le=100)
    longest_s: int = Field(604_800, ge=60)
    memory_s: int = Field(2_592_000, ge=60)
    never: list[Network] = Field(["127.0.0.0/8", "::1/128"], validate_default=True)

    def ban_s(self, earlier: int) -> int:
        """Return how long the next ban lasts. earlier: bans that are still remembered."""
        return int(min(self.longest_s, self.first_s * self.escalation ** min(earlier, 20)))
