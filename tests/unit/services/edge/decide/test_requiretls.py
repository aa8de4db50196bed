"""Which domains' routes keep what REQUIRETLS asks for."""

import pytest

from services.edge.decide.requiretls import judge_requiretls
from shared.policy import parse_policy

POLICY = """
[domains."x.test"]
route = {route}
recipients = "any"
[destinations."smtp://plain.test"]
tls = "off"
[destinations."*.test"]
tls = "off"
"""


@pytest.mark.parametrize(
    ("route", "kept"),
    [
        ('"maildir:mail"', True),
        ('"lmtp:/run/lmtp"', True),
        ('"smtp://127.0.0.1:2500"', True),
        ('"smtp://plain.test"', False),
        ('"mx"', False),
        ('["smtp://plain.test", "smtp://good.test"]', True),
    ],
)
def test_a_domain_without_a_route_that_can_keep_it_is_refused(route: str, kept: bool) -> None:
    refusal = judge_requiretls("x.test", parse_policy(POLICY.format(route=route)))
    assert (refusal is None) == kept
    assert refusal is None or str(refusal.reply).startswith("550 5.7.30 ")
