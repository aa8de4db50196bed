"""No antivirus, no mail: and mail again as soon as it is back."""

import asyncio
import time

import pytest

from tests.failure.account import close_books
from tests.gateway import Gateway
from tests.load.client import Load, Result
from tests.load.mail import Kind
from tests.load.sink import Sink

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


async def test_without_clamd_mail_gets_451_and_none_passes_unscanned(gateway: Gateway, load: Load, sink: Sink) -> None:
    async with load.running():
        await load.more(100)
        await asyncio.to_thread(gateway.clamd.kill)
        gone_at = time.time()
        await load.more(60, Result.DEFERRED)
        back_at = time.time()
        await asyncio.to_thread(gateway.clamd.start)
        await load.more(150)
        await load.more(10, Result.REFUSED)
    meanwhile = [outcome for outcome in load.outcomes if gone_at < outcome.began < back_at - outcome.took_s]
    print(f"\n    {len(meanwhile)} without clamd, the slowest answer after {max(o.took_s for o in meanwhile):.1f} s")
    assert {outcome.reply[:3] for outcome in meanwhile} == {"451"}
    assert all(outcome.kind is Kind.MALWARE for outcome in load.with_result(Result.REFUSED))
    books = await close_books(load, sink, gateway)
    books.assert_kept()
    assert books.duplicates == 0
