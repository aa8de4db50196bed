import signal
from tests.clamd import Clamd
from tests.integration.content.test_icap import *

async def test_stop(clamd: Clamd) -> None:
    clamd._engine.send_signal(signal.SIGSTOP)
    await test_both_engines_must_say_clean.__wrapped__(None, clamd) if False else None

async def test_zboth(cicap: Behind, clamd: Clamd) -> None:
    await test_both_engines_must_say_clean(cicap, clamd)
