"""What was seen of TLS travels as the facts of an event."""

import json

import pytest

from shared.tls_seen import PolicyType, TlsPolicy, TlsResult, TlsSeen, read_seen, seen_facts

SEEN = TlsSeen(
    "hop.test",
    TlsPolicy(PolicyType.STS, ("version: STSv1", "mode: enforce"), ("*.hop.test",)),
    TlsResult.EXPIRED,
    "mx.hop.test",
    "192.0.2.1",
    "2001:db8::1",
    "the certificate is not valid now",
)


def test_facts_are_read_back_as_they_were() -> None:
    assert read_seen(json.dumps(seen_facts(SEEN))) == SEEN


def test_the_words_are_those_of_the_standard() -> None:
    facts = seen_facts(SEEN)
    assert facts["result"] == "certificate-expired"
    strings = ["version: STSv1", "mode: enforce"]
    assert facts["policy"] == {"kind": "sts", "strings": strings, "mx": ["*.hop.test"], "domain": ""}


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"domain": "x", "policy": {}, "result": "fine"}'])
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="TlsSeen"):
        read_seen(text)
