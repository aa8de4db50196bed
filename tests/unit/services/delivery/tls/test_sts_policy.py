"""MTA-STS policies as delivery goes by them, and as it keeps them."""

import pytest

from services.delivery.tls.sts_policy import decode_policy, encode_policy, parse_policy_file
from shared.mta_sts import MAX_AGE_S, PolicyInvalid, StsMode

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mail.Example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


def test_a_policy_is_read_for_its_record_and_from_now_on() -> None:
    policy = parse_policy_file(GOOD, "1", 5.0)
    assert (policy.id, policy.mode, policy.mx) == ("1", StsMode.ENFORCE, ("mail.example.com", "*.example.net"))
    assert (policy.expires_at, policy.names("MX.example.net")) == (604_805, True)
    assert policy.lines == (
        "version: STSv1",
        "mode: enforce",
        "mx: mail.example.com",
        "mx: *.example.net",
        "max_age: 604800",
    )


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(PolicyInvalid):
        parse_policy_file(b"hello", "1", 0)


def test_a_policy_that_would_fill_the_memory_is_none() -> None:
    names = b"".join(b"mx: h%d.%b.example\r\n" % (number, b"x" * 60) for number in range(199))
    with pytest.raises(PolicyInvalid, match="octets"):
        parse_policy_file(GOOD.replace(b"mx: mail.Example.com\r\n", names), "1", 0)


def test_a_policy_holds_for_a_year_at_most() -> None:
    assert parse_policy_file(GOOD.replace(b"604800", b"9999999999"), "1", 0).max_age_s == MAX_AGE_S


def test_a_policy_is_kept_as_it_was() -> None:
    policy = parse_policy_file(GOOD, "1", 5.0)
    assert decode_policy(encode_policy(policy)) == policy
    assert decode_policy("nonsense") is None
