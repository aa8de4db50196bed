"""Rules of the kinds of text in the document: rates and networks."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.policy import PolicyError, parse_policy
from shared.policy.table import Network, Rate, RateText

RATE = TypeAdapter[Rate | None](RateText)
NETWORK = TypeAdapter[Network](Network)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/s", Rate(1, 1)),
        ("120/min", Rate(120, 60)),
        ("3000/h", Rate(3000, 3600)),
        ("2000000000/d", Rate(2_000_000_000, 86_400)),
        ("unlimited", None),
    ],
)
def test_a_rate_is_read(text: str, rate: Rate | None) -> None:
    assert RATE.validate_python(text) == rate


@pytest.mark.parametrize(
    "value",
    ["", "0/min", "-1/min", "1/week", "1 / min", "01/min", "1.5/min", "1/min\n", "1/MIN", "/min", "1/", "Unlimited",
     "1" * 16 + "/s", 5, 1.5, True, [], {"count": 5, "per_s": 0}],
)  # fmt: skip
def test_what_is_no_rate_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError, match='write "100/min"'):
        RATE.validate_python(value)


def test_a_rate_as_a_table_is_refused_in_a_document_too() -> None:
    # A window of no seconds would divide by zero at the first connection.
    with pytest.raises(PolicyError, match=r"limits\.message_rate: .*100/min"):
        parse_policy("[limits]\nmessage_rate = {count = 5, per_s = 0}")


@given(st.integers(1, 10**15 - 1), st.sampled_from(["s", "min", "h", "d"]))
def test_a_rate_is_written_as_it_was_read(count: int, unit: str) -> None:
    assert str(RATE.validate_python(f"{count}/{unit}")) == f"{count}/{unit}"


@pytest.mark.parametrize("text", ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::1/128", "::/0", "64:ff9b::/96"])
def test_a_network_is_read(text: str) -> None:
    assert str(NETWORK.validate_python(text)) == text


@pytest.mark.parametrize("text", ["10.0.0.1/8", "all", "", "10.0.0.0/33", "::/129", "::ffff:10.0.0.0/104"])
def test_what_is_no_network_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        NETWORK.validate_python(text)
