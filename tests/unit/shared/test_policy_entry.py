"""Rules of a policy on its stream: golden bytes, the text byte for byte."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.policy import PolicyError
from shared.policy_entry import PolicyEntry, decode_policy, encode_policy

GOLDEN = Path(__file__).parent / "golden" / "policy-entry-v1.json"
ENTRY = PolicyEntry(7, "jürgen", "first", 1_795_000_000.5, "# kept\r\n[relay]\nnetworks = []\n", 1_795_000_600.0)


def test_the_golden_entry_is_read_and_written_for_ever() -> None:
    golden = GOLDEN.read_bytes().rstrip(b"\n")
    assert decode_policy(golden) == ENTRY
    assert encode_policy(ENTRY) == golden


def test_keys_of_a_later_version_are_ignored_and_confirm_by_may_be_missing() -> None:
    body = b'{"version":1,"author":"a","reason":"r","at":1,"text":"","later":{"x":1}}'
    assert decode_policy(body) == PolicyEntry(1, "a", "r", 1.0, "")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff", b'{"version":"x","author":"a","reason":"","at":1,"text":""}']
)
def test_what_is_no_entry_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        decode_policy(body)


def test_an_entry_gives_its_policy_or_says_why_not() -> None:
    assert not ENTRY.policy().relay.networks
    with pytest.raises(PolicyError, match="x: unknown key"):
        replace(ENTRY, text="x = 1").policy()
