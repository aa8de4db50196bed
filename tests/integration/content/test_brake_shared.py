"""The brake on accounts over a real Redis: replicas of content, on one host or several, count together."""

import asyncio
from dataclasses import replace

from services.content.brake import Brake
from shared.policy.content import BrakeRules
from shared.state.fallback import FallbackState
from tests.redis import RedisServer
from tests.unit.services.content.test_brake import ENVELOPE, SPAM, held

RULES = BrakeRules.model_validate({"spam": "4/h"})
REPLICAS = 3
STARTED_S = 20.0


async def started(server: RedisServer) -> FallbackState:
    """Return a state as a replica opens it, once it has reached Redis."""
    state = FallbackState(server.settings)
    await state.start()
    async with asyncio.timeout(STARTED_S):
        while not state.is_up:
            await asyncio.sleep(0.02)
    return state


async def test_replicas_count_the_spam_of_an_account_together(redis_server: RedisServer) -> None:
    states = [await started(redis_server) for _ in range(REPLICAS)]
    replicas = [Brake(state) for state in states]
    try:
        for number in range(4):
            await replicas[number % REPLICAS].count(replace(ENVELOPE, id=f"spam{number}"), SPAM, RULES)
        assert [await held(brake, rules=RULES) for brake in replicas] == [""] * REPLICAS
        # None of them has seen more than two.
        await replicas[1].count(replace(ENVELOPE, id="spam4"), SPAM, RULES)
        assert [await held(brake, rules=RULES) for brake in replicas] == ["braked"] * REPLICAS
    finally:
        for state in states:
            await state.close()


async def test_a_replica_that_starts_later_holds_the_account_too(redis_server: RedisServer) -> None:
    first = await started(redis_server)
    for number in range(5):
        await Brake(first).count(replace(ENVELOPE, id=f"spam{number}"), SPAM, RULES)
    await first.close()
    later = await started(redis_server)
    assert await held(Brake(later), rules=RULES) == "braked"
    await later.close()
