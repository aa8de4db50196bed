"""The bridge that clients seem to come from where the engine hides them, as compose file and policy name it."""

import re
from ipaddress import ip_address
from pathlib import Path

from shared.policy import parse_policy
from shared.policy.client import in_networks

_ROOT = Path(__file__).parents[4]


def test_the_bridge_is_neither_counted_nor_banned_as_one_client() -> None:
    (gateway,) = re.findall(r"gateway: ([0-9.]+)", (_ROOT / "docker-compose.yml").read_text("utf-8"))
    policy = parse_policy((_ROOT / "infra" / "docker" / "policy.toml").read_text("utf-8"))
    assert in_networks(policy.limits.exempt_networks, ip_address(gateway))
    assert in_networks(policy.bans.never, ip_address(gateway))
