"""The client's name in both directions, without a nameserver."""

import pytest

from shared.auth.iprev import MAX_NAMES, ReverseResult, ReverseWord, confirmed_name, known_name
from tests.unit.services.edge.lookups.memory import Memory

PTR_4 = "9.2.0.192.in-addr.arpa PTR"
PTR_6 = "9." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa PTR"


@pytest.mark.parametrize(
    ("address", "records", "broken", "word", "name"),
    [
        ("192.0.2.9", {PTR_4: "a.example", "a.example A": "192.0.2.9"}, set(), "pass", "a.example"),
        ("::ffff:192.0.2.9", {PTR_4: "a.example", "a.example A": "192.0.2.9"}, set(), "pass", "a.example"),
        ("2001:db8::9", {PTR_6: "a.example", "a.example AAAA": "2001:db8:0::9"}, set(), "pass", "a.example"),
        # No name, and names that do not lead back.
        ("192.0.2.9", {}, set(), "permerror", ""),
        ("192.0.2.9", {PTR_4: "a.example"}, set(), "fail", ""),
        ("192.0.2.9", {PTR_4: "a.example", "a.example A": "192.0.2.8"}, set(), "fail", ""),
        ("192.0.2.9", {PTR_4: "a.example", "a.example AAAA": "2001:db8::9"}, set(), "fail", ""),
        # One good name among liars is enough, also behind one that cannot be looked up.
        ("192.0.2.9", {PTR_4: ["b.example", "a.example"], "a.example A": "192.0.2.9"}, set(), "pass", "a.example"),
        ("192.0.2.9", {PTR_4: ["b.test", "a.test"], "a.test A": "192.0.2.9"}, {"b.test A"}, "pass", "a.test"),
        # DNS that fails says nothing about the client.
        ("192.0.2.9", {}, {PTR_4}, "temperror", None),
        ("192.0.2.9", {PTR_4: "a.example"}, {"a.example A"}, "temperror", None),
        ("192.0.2.9", {PTR_4: ["a.example", "b.example"]}, {"a.example A"}, "temperror", None),
        # Names with octets that no host name has are not looked at.
        ("192.0.2.9", {PTR_4: "a\\013\\010b.example"}, set(), "fail", ""),
        ("192.0.2.9", {PTR_4: "<script>.example", "<script>.example A": "192.0.2.9"}, set(), "fail", ""),
        ("192.0.2.9", {PTR_4: "localhost", "localhost A": "127.0.0.1"}, set(), "fail", ""),
    ],
)
async def test_a_name_counts_if_it_leads_back(
    address: str, records: dict[str, str | list[str]], broken: set[str], word: str, name: str | None
) -> None:
    resolver = Memory(records, broken=broken)
    assert await confirmed_name(resolver, address) == ReverseResult(ReverseWord(word), name)


async def test_no_more_than_ten_names_are_looked_at() -> None:
    names = [f"n{number}.example" for number in range(50)]
    resolver = Memory({PTR_4: names, "n49.example A": "192.0.2.9"})
    assert (await confirmed_name(resolver, "192.0.2.9")).name == ""
    assert sum(question.endswith(" A") for question in resolver.asked) == MAX_NAMES


async def test_what_is_remembered_is_told_without_asking() -> None:
    resolver = Memory({PTR_4: "a.example", "a.example A": "192.0.2.9"})
    assert known_name(resolver, "192.0.2.9") is None
    asked = await confirmed_name(resolver, "192.0.2.9")
    before = resolver.asked.total()
    assert known_name(resolver, "192.0.2.9") == asked
    assert resolver.asked.total() == before
