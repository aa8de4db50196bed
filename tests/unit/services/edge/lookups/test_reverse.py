"""The client's name within the time that the policy gives it."""

import asyncio

from services.edge.lookups.reverse import confirmed_name
from shared.auth.iprev import ReverseResult, ReverseWord
from shared.dns.answer import Answer
from tests.unit.services.edge.lookups.memory import Memory


async def test_a_name_that_leads_back_is_confirmed() -> None:
    resolver = Memory({"9.2.0.192.in-addr.arpa PTR": "a.example", "a.example A": "192.0.2.9"})
    assert await confirmed_name(resolver, "192.0.2.9", 5) == ReverseResult(ReverseWord.PASS, "a.example")


async def test_a_name_that_takes_too_long_is_not_known() -> None:
    class Silent(Memory):
        async def lookup(self, name: str, rdtype: str) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

    assert await confirmed_name(Silent(), "192.0.2.9", 0.01) == ReverseResult(ReverseWord.TEMPERROR, None)
