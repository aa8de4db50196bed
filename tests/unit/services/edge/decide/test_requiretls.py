"""Which routes keep what REQUIRETLS asks for."""

import pytest

from services.edge.decide.requiretls import judge_requiretls
from shared.routes import parse_route


@pytest.mark.parametrize(
    "route, kept",
    [("maildir:mail", True), ("lmtp:/run/lmtp", True), ("mx", False), ("smtp://127.0.0.1:2500", False)],
)
def test_a_route_that_cannot_keep_it_is_refused(route: str, kept: bool) -> None:
    refusal = judge_requiretls(parse_route(route))
    assert (refusal is None) == kept
    assert refusal is None or str(refusal.reply).startswith("550 5.7.30 ")
