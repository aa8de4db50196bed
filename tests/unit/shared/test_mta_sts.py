"""MTA-STS records and policies, as domains publish them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mta_sts import PolicyInvalid, PublishedPolicy, StsMode, announced_id, names, read_policy

GOOD = b"version: STSv1\r\nmode: enforce\r\nmx: mail.Example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


@pytest.mark.parametrize(
    ("records", "identifier"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        ([b"v=STSv1;id=1"], "1"),
        ([b"v=STSv1; more=x; id=1; id=2"], "1"),
        ([b"v=spf1 -all", b"v=STSv1; id=1"], "1"),
        ([], None),
        ([b"v=STSv1; id=1", b"v=STSv1; id=2"], None),
        ([b"v=STSv1"], None),
        ([b"v=STSv1; id="], None),
        ([b"v=STSv1; id=" + b"1" * 33], None),
        ([b"v=STSv1; id=a-b"], None),
        ([b"v=STSv1; id=1; nonsense"], None),
        ([b"v=STSv2; id=1"], None),
        ([b"v=STSv11; id=1"], None),
        ([b" v=STSv1; id=1"], None),
        ([b"V=STSv1; id=1"], None),
        ([b"\xff\xfe"], None),
    ],
)
def test_one_well_formed_record_announces_a_policy(records: list[bytes], identifier: str | None) -> None:
    assert announced_id(records) == identifier


def test_a_policy_is_read() -> None:
    policy = read_policy(GOOD)
    assert policy == PublishedPolicy(StsMode.ENFORCE, ("mail.example.com", "*.example.net"), 604_800)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "version"),
        (GOOD.replace(b"STSv1", b"STSv2"), "version"),
        (GOOD.replace(b"enforce", b"Enforce"), "mode"),
        (GOOD.replace(b"mode: enforce\r\n", b""), "mode"),
        (GOOD.replace(b"604800", b"-1"), "max_age"),
        (GOOD.replace(b"604800", b"1e3"), "max_age"),
        (GOOD.replace(b"max_age: 604800\r\n", b""), "max_age"),
        (b"version: STSv1\nmode: testing\nmax_age: 1\n", "no mx"),
        (GOOD.replace(b"*.example.net", b"*.*.net"), "not a host's name"),
        (GOOD.replace(b"*.example.net", b"m*.example.net"), "not a host's name"),
        (GOOD + b"nonsense\r\n", "key: value"),
        (b"\xff" + GOOD, "UTF-8"),
        (GOOD + b"mx: a.test\n" * 300, "more than 200"),
    ],
)
def test_what_is_no_policy_says_why(content: bytes, complaint: str) -> None:
    with pytest.raises(PolicyInvalid, match=complaint):
        read_policy(content)


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace(b"\r\n", b"\n"),
        GOOD.rstrip(),
        GOOD + b"later: a key of its own\r\n",
        GOOD + b"mode: none\r\n",
        GOOD.replace(b": ", b":"),
        GOOD.replace(b"\r\n", b"  \r\n"),
    ],
)
def test_other_spellings_are_the_same_policy(content: bytes) -> None:
    assert read_policy(content) == read_policy(GOOD)


@pytest.mark.parametrize(
    ("host", "named"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com.", True),
        ("example.com", False),
        ("a.example.net", True),
        ("a.b.example.net", False),
        ("example.net", False),
    ],
)
def test_a_wildcard_stands_for_one_label(host: str, named: bool) -> None:
    assert names(read_policy(GOOD).mx, host) == named


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_any_records_announce_a_policy_or_none(records: list[bytes]) -> None:
    announced_id(records)


@given(st.one_of(st.binary(max_size=200), st.text(alphabet="versionSTSv1mode: enfrctx\n*.max_age09", max_size=200)))
def test_any_content_is_a_policy_or_is_refused(content: bytes | str) -> None:
    octets = content if isinstance(content, bytes) else content.encode()
    try:
        policy = read_policy(octets)
    except PolicyInvalid:
        return
    assert isinstance(policy, PublishedPolicy)
