"""Large bodies are hashed without holding up the event loop."""

import asyncio
import time

import pytest

from services.content.auth.dkim import evaluate_dkim
from services.content.auth.results import DkimReason, DkimWord
from services.content.checks.digests import digest_body
from shared.auth.message import split_message
from tests.unit.services.content.auth.signing import MESSAGE, rsa_keys, sealed, sign
from tests.unit.shared.auth.zone import Zone

HEADER = MESSAGE.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
ZONE = Zone({("s._domainkey.example.org", "TXT"): (rsa_keys()[1],)})
SIZE = 25_000_000


class Pauses:
    """Has the event loop turn every millisecond, and notes the longest pause."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> "Pauses":
        self._last_s = self._loop.time()
        self._handle = self._loop.call_later(0.001, self._turn)
        return self

    def _turn(self) -> None:
        now_s = self._loop.time()
        self.longest_s, self._last_s = max(self.longest_s, now_s - self._last_s), now_s
        self._handle = self._loop.call_later(0.001, self._turn)

    def __exit__(self, *_: object) -> None:
        self._turn()
        self._handle.cancel()


def signed(body: bytes) -> bytes:
    """Return a message that two signatures cover, one of each canonical form, and with that body instead of theirs."""
    twice = sign(sign(canonicalize=(b"relaxed", b"simple")), canonicalize=(b"relaxed", b"relaxed"))
    return twice.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body


@pytest.mark.parametrize("piece", [b" ", b"\t ", b"\r\n", b" \r\n", b"x"])
async def test_the_loop_turns_while_a_large_body_is_hashed(piece: bytes) -> None:
    message = split_message(signed(piece * (SIZE // len(piece))))
    pauses: list[float] = []
    # Other processes may hold up the loop, too, hence several tries.
    while not pauses or (min(pauses) > 0.05 and len(pauses) < 4):
        with Pauses() as watched:
            digests = await digest_body(message)
        pauses.append(watched.longest_s)
    assert min(pauses) < 0.1
    before = digests.hashed_bytes
    assert before >= digests.size_bytes(relaxed=True) + digests.size_bytes(relaxed=False)
    results = evaluate_dkim(message, digests, ZONE, time.time())
    assert {(one.word, one.reason) for one in results} == {(DkimWord.FAIL, DkimReason.BODY_CHANGED)}
    assert digests.hashed_bytes == before


async def test_all_that_signatures_and_chains_will_ask_for_is_made_beforehand() -> None:
    body = b"some  text \r\n" * 100_000
    message = split_message(sign(sealed("one.test", message=HEADER + body), length=True) + b"added\r\n")
    digests = await digest_body(message)
    before = digests.hashed_bytes
    (result,) = evaluate_dkim(message, digests, ZONE, time.time())
    assert (result.word, result.reason) == (DkimWord.PASS, DkimReason.PARTIAL_BODY)
    assert digests.hashed_bytes == before


async def test_an_unsigned_large_message_is_not_hashed_at_all() -> None:
    assert (await digest_body(split_message(HEADER + b"x" * 2_000_000))).hashed_bytes == 0


async def test_a_small_body_waits_until_it_is_asked_for() -> None:
    assert (await digest_body(split_message(sign()))).hashed_bytes == 0
