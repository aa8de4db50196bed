"""What a real Rspamd is told, and what comes of its word."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.auth.results import Disposition, DkimReason, DkimResult, DkimWord, DmarcResult, DmarcWord
from services.content.checks.antispam import check_antispam
from services.content.engines.failover import FailoverEngine
from services.content.engines.rspamd import RspamdBackend
from services.content.engines.spam_engines import open_antispam
from services.content.settings import AntispamSettings
from services.content.spam import Forced, SpamEngine, SpamError, SpamReport
from services.content.weigh.antispam import weigh_antispam
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord
from shared.envelope import Client
from shared.policy.checks import AntispamRules
from shared.verdict import Action
from tests.dnsserver import DnsServer
from tests.integration.content.faulty_daemon import FaultyDaemon, hangs
from tests.integration.content.spam_samples import message, request
from tests.rspamd import GTUBE, Rspamd

SPF_FAIL = SpfResult(SpfWord.FAIL, SpfIdentity.MAIL_FROM, "sender.test", "the record forbids it", "-all")
NO_DKIM = DkimResult(DkimWord.NONE, DkimReason.NO_SIGNATURE, "not signed")
DMARC_FAIL = DmarcResult(
    DmarcWord.FAIL, "nothing is aligned", "sender.test", "sender.test", Disposition.REJECT, Disposition.REJECT
)


@pytest.fixture
async def engine(rspamd: Rspamd) -> AsyncIterator[SpamEngine]:
    opened = open_antispam(AntispamSettings(addresses=[rspamd.address]), "gate.gatepost.test")
    assert opened is not None
    yield opened
    await opened.close()


async def test_gtube_is_an_insistent_reject(engine: SpamEngine) -> None:
    report = await engine.judge(request(message(GTUBE)))
    assert report.forced is Forced.REJECT
    assert [symbol.name for symbol in report.symbols] == ["GTUBE"]


async def test_plain_mail_has_a_small_score_and_nothing_forced(engine: SpamEngine) -> None:
    report = await engine.judge(request())
    assert (report.engine, report.forced, report.examined_bytes) == ("Rspamd", None, None)
    assert report.score < 3
    assert report.score == pytest.approx(sum(symbol.score for symbol in report.symbols), abs=0.01)


async def test_each_domain_has_its_own_threshold(engine: SpamEngine) -> None:
    spam = request(b"Subject: buy now\r\n\r\nhello\r\n", spf=SPF_FAIL, dkim=(NO_DKIM,), dmarc=DMARC_FAIL)
    finding = await check_antispam(engine, spam)
    assert isinstance(finding.detail, SpamReport)
    score = finding.detail.score
    assert score > 5
    strict, mild = (
        AntispamRules(refuse_at=score - 1, quarantine_at="never", tag_at="never"),
        AntispamRules(tag_at=score + 1, quarantine_at=score + 1, refuse_at=score + 1),
    )
    [refused] = weigh_antispam(finding, strict, "checks")
    [accepted] = weigh_antispam(finding, mild, 'domains."mild.test".checks')
    assert (refused.reason.action, accepted.reason.action) == (Action.REFUSE, Action.ACCEPT)
    assert "DMARC_POLICY_REJECT" in refused.reason.evidence
    assert "DMARC_POLICY_REJECT" in refused.reason.change


async def test_our_findings_are_seen_by_its_scores_and_composites(engine: SpamEngine) -> None:
    told = await engine.judge(
        request(spf=SPF_FAIL, dkim=(NO_DKIM,), dmarc=DMARC_FAIL, arc=ArcResult(ArcWord.NONE, "not sealed"))
    )
    symbols = {symbol.name: symbol for symbol in told.symbols}
    assert {"R_SPF_FAIL", "R_DKIM_NA", "DMARC_POLICY_REJECT", "ARC_NA"} <= set(symbols)
    assert symbols["R_SPF_FAIL"].score > 0
    assert symbols["R_SPF_FAIL"].text == "sender.test, -all"
    assert symbols["DMARC_POLICY_REJECT"].text == "sender.test"
    untold = await engine.judge(request())
    assert told.score > untold.score + 2


async def test_mail_without_any_authentication_meets_its_composite(engine: SpamEngine) -> None:
    none = SpfResult(SpfWord.NONE, SpfIdentity.MAIL_FROM, "sender.test", "no record")
    absent = DmarcResult(DmarcWord.NONE, "no record", "sender.test")
    told = await engine.judge(
        request(spf=none, dkim=(NO_DKIM,), dmarc=absent, arc=ArcResult(ArcWord.NONE, "not sealed"))
    )
    assert "AUTH_NA" in {symbol.name for symbol in told.symbols}


@pytest.mark.parametrize(
    ("sender", "recipients"),
    [
        ("josé@müll.test", ("jörg@gatepost.test",)),
        ("evil\r\nScore: -100@sender.test", ("x\ny@gatepost.test",)),
        ("\udcff@sender.test", ("bob@gatepost.test",)),
        ("", ("bob@gatepost.test",)),
        ('"a b\\"c"@sender.test', ("bob@gatepost.test",)),
        ("alice@sender.test", tuple(f"u{number}@gatepost.test" for number in range(3000))),
        (f"{'a' * 60}@{'b' * 5000}.test", ("bob@gatepost.test",)),
    ],
)
async def test_no_address_makes_the_message_look_broken(
    engine: SpamEngine, sender: str, recipients: tuple[str, ...]
) -> None:
    report = await engine.judge(request(sender=sender, recipients=recipients))
    assert "BROKEN_HEADERS" not in {symbol.name for symbol in report.symbols}
    assert report.score < 5


async def test_what_is_known_of_the_client_is_told(engine: SpamEngine, rspamd: Rspamd) -> None:
    client = Client("2001:db8::7", 25, "[IPv6:2001:db8::7]", tls="TLSv1.3 TLS_AES_256_GCM_SHA384", login="alice")
    report = await engine.judge(request(client=client, client_name="mail.sender.test"))
    assert report.forced is None


async def test_a_message_of_one_megabyte_is_given_whole(engine: SpamEngine) -> None:
    report = await engine.judge(request(message("word and word and another line\r\n" * 40_000)))
    assert report.examined_bytes is None


async def test_many_questions_at_once_share_the_connections(rspamd: Rspamd) -> None:
    opened = open_antispam(AntispamSettings(addresses=[rspamd.address], connections=4), "gate.gatepost.test")
    assert opened is not None
    try:
        reports = await asyncio.gather(*(opened.judge(request()) for _ in range(100)))
        assert {report.score for report in reports} == {reports[0].score}
    finally:
        await opened.close()


async def test_a_rspamd_that_hangs_costs_a_bounded_wait_and_the_next_one_answers(rspamd: Rspamd) -> None:
    async with FaultyDaemon(hangs) as deaf:
        engine = FailoverEngine(RspamdBackend(4, "gate", 100_000), [deaf.address, rspamd.address], attempt_s=0.3)
        try:
            assert (await engine.judge(request())).score < 3
            async with asyncio.timeout(0.25):  # it is put aside
                assert (await engine.judge(request())).score < 3
            assert deaf.asked == 1
        finally:
            await engine.close()


async def test_a_killed_rspamd_defers_and_comes_back_by_itself(rspamd: Rspamd, engine: SpamEngine) -> None:
    rspamd.kill()
    with pytest.raises(SpamError, match="Rspamd at 127"):
        await engine.judge(request())
    finding = await check_antispam(engine, request())
    assert (finding.unsure, finding.result) == (True, "error")
    await asyncio.to_thread(rspamd.start)
    assert (await engine.judge(request())).score < 3


async def test_a_rspamd_that_is_killed_with_the_message_in_work_is_an_error_at_once(
    rspamd: Rspamd, engine: SpamEngine
) -> None:
    rspamd.freeze()
    asked = asyncio.create_task(engine.judge(request()))
    await asyncio.sleep(0.1)  # it lies there: nothing could tell that it does
    rspamd.kill()
    with pytest.raises(SpamError):
        async with asyncio.timeout(3):
            await asked


async def test_a_frozen_rspamd_is_an_error_of_the_deadline_and_answers_again_afterwards(
    rspamd: Rspamd, engine: SpamEngine
) -> None:
    rspamd.freeze()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await engine.judge(request())
    finally:
        rspamd.thaw()
    assert (await engine.judge(request())).score < 3


@pytest.fixture
async def odd_engine(tmp_path: Path) -> AsyncIterator[SpamEngine]:
    """An Rspamd as others have it: its own SPF, DKIM, DMARC and ARC on, and rules that force actions."""
    off = (Path(__file__).parents[3] / "infra" / "rspamd" / "off.conf").read_text()
    forced = "\n".join(
        f'{name} {{ action = "{action}"; expression = "{symbol}"; }}'
        for name, action, symbol in (("R", "reject", "R_DKIM_TEMPFAIL"), ("S", "soft reject", "DMARC_BAD_POLICY"))
    )
    zone = {"sender.test": {"TXT": "v=spf1 -all"}, "_dmarc.sender.test": {"TXT": "v=DMARC1; p=reject"}}
    rules = {
        "off.conf": re.sub(r"(?m)^(arc|dkim|dmarc|spf) \{.*\n", "", off),
        "dns-on.conf": "rbl { enabled = false; }\nhfilter { enabled = false; }\n",
        "local.d/force_actions.conf": f"rules {{ {forced} }}",
    }
    async with DnsServer(zone) as server:
        rspamd = Rspamd(tmp_path, nameserver=server.address, rules=rules)
        opened = open_antispam(AntispamSettings(addresses=[rspamd.address]), "gate.gatepost.test")
        assert opened is not None
        try:
            await asyncio.to_thread(rspamd.start)
            yield opened
            # It has asked nothing of its own: what Gatepost found stood in for it.
            assert server.count("sender.test", "TXT") == 0
            assert server.count("_dmarc.sender.test", "TXT") == 0
        finally:
            await opened.close()
            rspamd.close()


async def test_its_own_checks_are_off_and_its_forced_actions_are_taken_over(odd_engine: SpamEngine) -> None:
    untold = await odd_engine.judge(request())
    ours = ("R_SPF", "R_DKIM", "DMARC", "ARC")
    assert [symbol.name for symbol in untold.symbols if symbol.name.startswith(ours)] == []
    assert untold.forced is None
    passed = SpfResult(SpfWord.PASS, SpfIdentity.MAIL_FROM, "sender.test", "allowed")
    told = await odd_engine.judge(request(spf=passed))
    assert [symbol.name for symbol in told.symbols if symbol.name.startswith(ours)] == ["R_SPF_ALLOW"]
    tempfail = DkimResult(DkimWord.TEMPERROR, DkimReason.DNS, "no answer", "sender.test", "s1")
    rejected = await odd_engine.judge(request(dkim=(tempfail,)))
    assert (rejected.forced, rejected.score < 15) == (Forced.REJECT, True)
    bad = DmarcResult(DmarcWord.PERMERROR, "two records", "sender.test")
    assert (await odd_engine.judge(request(dmarc=bad))).forced is Forced.SOFT_REJECT
