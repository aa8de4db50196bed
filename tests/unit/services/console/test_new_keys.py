"""What the selectors of new keys are called."""

import pytest

from services.console.actions.new_keys import next_prefix

NOW = 1_790_000_000.0  # in 2026


@pytest.mark.parametrize(
    ("known", "prefix"),
    [
        ([], "gp2026a"),
        (["gp2026a-rsa", "gp2026a-ed"], "gp2026b"),
        (["gp2026c-rsa", "gp2026a-ed"], "gp2026d"),
        (["gp2025c-rsa", "mine-rsa", "gp2026-rsa"], "gp2026a"),
        (["gp2026z-rsa"], "gp2026aa"),
        (["gp2026az-rsa"], "gp2026ba"),
    ],
)
def test_the_next_name_is_one_that_was_not_used(known: list[str], prefix: str) -> None:
    assert next_prefix(known, NOW) == prefix
