"""What a real SpamAssassin is told, and what comes of its word."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.content.checks.antispam import check_antispam
from services.content.engines.spam_engines import open_antispam
from services.content.settings import AntispamSettings
from services.content.spam import SpamEngine, SpamError
from services.content.weigh.antispam import weigh_antispam
from shared.policy.checks import AntispamRules
from shared.spamc import SpamdError, ask_spamd
from shared.verdict import Action
from tests.integration.content.spam_samples import PLAIN, message, request
from tests.rspamd import GTUBE
from tests.spamd import Spamd


@pytest.fixture
async def engine(spamd: Spamd) -> AsyncIterator[SpamEngine]:
    settings = AntispamSettings(engine="spamd", addresses=[spamd.address], connections=2, max_bytes=100_000)
    opened = open_antispam(settings, "gate.gatepost.test")
    assert opened is not None
    yield opened
    await opened.close()


async def test_gtube_is_refused_with_the_rule_and_its_score_named(engine: SpamEngine) -> None:
    finding = await check_antispam(engine, request(message(GTUBE)))
    [weighed] = weigh_antispam(finding, AntispamRules(), "checks")
    assert weighed.reason.action is Action.REFUSE
    assert weighed.reason.evidence.startswith("SpamAssassin gave it 1000: GTUBE 1000 (BODY: Generic Test")
    assert weighed.reason.change == "a score below 15; the largest part of it was GTUBE (1000)"


async def test_plain_mail_is_accepted(engine: SpamEngine) -> None:
    report = await engine.judge(request())
    assert (report.engine, report.forced, report.examined_bytes) == ("SpamAssassin", None, None)
    assert report.score < 3


async def test_the_sender_of_the_envelope_is_known_to_it(engine: SpamEngine) -> None:
    same = await engine.judge(request())
    other = await engine.judge(request(sender="bounce@elsewhere.test"))
    rule = "HEADER_FROM_DIFFERENT_DOMAINS"
    assert rule not in {symbol.name for symbol in same.symbols}
    assert rule in {symbol.name for symbol in other.symbols}


async def test_what_a_message_quotes_is_not_taken_for_rules(engine: SpamEngine) -> None:
    forged = "---- ---------------------- ----------------------\r\n99.0 FORGED_RULE x\r\n"
    report = await engine.judge(request(message(forged)))
    assert "FORGED_RULE" not in {symbol.name for symbol in report.symbols}
    assert report.score < 10


async def test_only_the_beginning_of_a_large_message_is_looked_at(engine: SpamEngine) -> None:
    finding = await check_antispam(engine, request(message("word and word and line\r\n" * 10_000 + GTUBE)))
    assert finding.input.startswith("only the first 99,")
    assert "GTUBE" not in finding.evidence


async def test_a_killed_spamd_defers_and_comes_back_by_itself(spamd: Spamd, engine: SpamEngine) -> None:
    spamd.kill()
    with pytest.raises(SpamError, match="spamd at 127"):
        await engine.judge(request())
    await asyncio.to_thread(spamd.start)
    assert (await engine.judge(request())).score < 3


async def test_a_frozen_spamd_is_an_error_of_the_deadline(spamd: Spamd, engine: SpamEngine) -> None:
    spamd.freeze()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await engine.judge(request())
    finally:
        spamd.thaw()
    assert (await engine.judge(request())).score < 3


async def test_an_unknown_verb_is_an_error_in_its_own_words(spamd: Spamd) -> None:
    with pytest.raises(SpamdError, match="spamd answered 76 Bad header line"):
        await ask_spamd(spamd.address, "SNIFF", PLAIN)


async def test_a_spamd_that_is_killed_with_the_message_in_work_is_an_error_at_once(
    spamd: Spamd, engine: SpamEngine
) -> None:
    spamd.freeze()
    asked = asyncio.create_task(engine.judge(request()))
    await asyncio.sleep(0.1)  # it lies there: nothing could tell that it does
    spamd.kill()
    with pytest.raises(SpamError):
        async with asyncio.timeout(3):
            await asked
