"""Orders and what they name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.order import (
    LONGEST_LIFETIME_S,
    By,
    Order,
    OrderError,
    OrderKind,
    Target,
    decode_order,
    encode_order,
    parse_target,
    parse_to,
)
from shared.policy import RetryRules

ID = "01jd8zq6e0abcdefghjkmnpqrs"

TARGETS = [
    ("all", Target(By.ALL)),
    (ID.upper(), Target(By.MESSAGE, ID)),
    ("Example.ORG", Target(By.DOMAIN, "example.org")),
    ("bücher.example", Target(By.DOMAIN, "xn--bcher-kva.example")),
    ("[IPv6:2001:DB8::1]", Target(By.DOMAIN, "[IPv6:2001:db8::1]")),
    ("smtp://Mail.example.org", Target(By.HOP, "smtp://mail.example.org:25")),
    ("lmtp:/run/lmtp", Target(By.HOP, "lmtp:/run/lmtp")),
    ("maildir:mail", Target(By.HOP, "maildir:mail")),
    ("mx:Example.org", Target(By.HOP, "mx:example.org")),
]


@pytest.mark.parametrize(("text", "target"), TARGETS)
def test_a_target_is_known_by_its_form(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert parse_target(str(target)) == target


@pytest.mark.parametrize("text", ["", "a b", "smtp://", "mx:", "a@b.test", "lmtp://a b", "maildir:../x"])
def test_what_is_no_target_is_refused_by_name(text: str) -> None:
    with pytest.raises(OrderError, match=r"is no (id|next hop)"):
        parse_target(text)


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_an_order_error(text: str) -> None:
    try:
        target = parse_target(text)
    except OrderError:
        return
    assert parse_target(str(target)) == target


def test_a_route_to_send_to_has_one_form() -> None:
    assert [parse_to("policy"), parse_to("smtp://two"), parse_to("mx")] == ["policy", "smtp://two:25", "mx"]
    with pytest.raises(OrderError, match="or policy"):
        parse_to("two")


@pytest.mark.parametrize("kind", list(OrderKind))
def test_an_order_comes_back_from_the_stream_as_it_was(kind: OrderKind) -> None:
    to = "smtp://two:25" if kind is OrderKind.REROUTE else ""
    order = Order(ID, 5.5, kind, Target(By.DOMAIN, "a.test"), "anna", "weil's so ist", to)
    assert decode_order(encode_order(order)) == order


@pytest.mark.parametrize(
    ("kind", "to", "why"),
    [
        (OrderKind.REROUTE, "", ""),
        (OrderKind.RETRY, "mx", ""),
        (OrderKind.REROUTE, "two", ""),
        (OrderKind.RETRY, "", "x" * 501),
    ],
)
def test_an_order_that_makes_no_sense_cannot_be(kind: OrderKind, to: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Order(ID, 1.0, kind, Target(By.ALL), "anna", why, to)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"\xff", b'{"id":"x"}'])
def test_what_is_no_order_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_order(body)


def test_no_mail_that_an_order_could_concern_is_older_than_orders_count() -> None:
    limits = [getattr(one, "le", None) for one in RetryRules.model_fields["lifetime_s"].metadata]
    assert LONGEST_LIFETIME_S in limits
