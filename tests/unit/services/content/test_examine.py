"""Rules of an examination: every check that applies reports in time, and who forges our results is not believed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.content.authenticity import Authenticator
from services.content.brake import Brake
from services.content.decide import decide
from services.content.engines.scan import Clean, EngineError, Infected, ScanResult
from services.content.examine import Engines, Examination, Examiner
from services.content.mime.inspection import Inspection
from services.content.rulebook import RuleBook
from services.content.spam import Forced, SpamError, SpamReport, SpamRequest
from shared.auth.message import Message
from shared.dns.answer import Answer, DnsTemporary, Resolver
from shared.dns.patience import Patience
from shared.dns.resolver import CachingResolver
from shared.envelope import Client, Direction, Envelope, Proof, Recipient
from shared.policy import Policy, parse_policy
from shared.policy.content import InspectionRules
from shared.state.memory import MemoryState
from shared.verdict import Action, CheckName

OURS = "mx.gatepost.test"
ZONE = """
$ORIGIN sender.test.
@      IN TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc IN TXT "v=DMARC1; p=reject"
broken IN TXT "v=spf1 include:_spf.elsewhere.test -all"
"""
ENVELOPE = Envelope(
    id="01m85rrw9tejgajt89hfcgzyx2",
    received_at=0,
    listener="mx",
    direction=Direction.INBOUND,
    client=Client("192.0.2.1", 4000, "mail.sender.test"),
    sender="joe@sender.test",
    recipients=(Recipient("demo@gatepost.test"),),
    size_bytes=100,
)
SPOOFED = replace(ENVELOPE, client=Client("203.0.113.9", 4000, "evil.test"))
MESSAGE = b"From: joe@sender.test\r\nTo: demo@gatepost.test\r\nSubject: x\r\n\r\nhello\r\n"
FORGED = b"Authentication-Results: mx.gatepost.test;\r\n\tdkim=pass header.d=sender.test\r\n"


class FakeEngine:
    """An engine that gives one answer, or none at all."""

    def __init__(self, answer: ScanResult | Exception | None = None) -> None:
        self.answer = answer if answer is not None else Clean("ClamAV")
        self.seen: list[bytes] = []
        self.hangs = False
        self.cancelled = False

    async def scan(self, data: bytes) -> ScanResult:
        self.seen.append(data)
        if self.hangs:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled = True
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class FakeInspector:
    """An inspection that finds nothing, fails, or hangs."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.hangs = False

    async def inspect(self, data: bytes, message: Message, rules: InspectionRules, source: str = "") -> Inspection:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return Inspection(parts=1)


class FakeSpamEngine:
    """An antispam engine that gives one answer, or none at all."""

    def __init__(self, answer: SpamReport | Exception | None = None) -> None:
        self.answer = answer
        self.asked: list[SpamRequest] = []

    async def judge(self, request: SpamRequest) -> SpamReport:
        self.asked.append(request)
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        assert self.answer is not None
        return self.answer

    async def close(self) -> None:
        pass


class SilentResolver:
    """A DNS that never answers."""

    def cached(self, name: str, rdtype: str) -> Answer | None:
        return None

    async def lookup(self, name: str, rdtype: str) -> Answer:
        await asyncio.Event().wait()
        raise DnsTemporary(name, rdtype, "never")


class DefectiveResolver(SilentResolver):
    """A DNS with a defect of ours in it."""

    def cached(self, name: str, rdtype: str) -> Answer | None:
        raise RuntimeError("a defect")


@pytest.fixture
async def resolver(tmp_path: Path) -> AsyncIterator[CachingResolver]:
    """The zone file answers; whatever else is asked is SERVFAIL at once, for there is no nameserver."""
    file = tmp_path / "sender.test.zone"
    file.write_text(ZONE, encoding="utf-8")
    found = CachingResolver([], [file])
    yield found
    await found.close()


async def examine(
    resolver: Resolver,
    envelope: Envelope = ENVELOPE,
    message: bytes = MESSAGE,
    *,
    engine: FakeEngine | None = None,
    antispam: FakeSpamEngine | None = None,
    inspector: FakeInspector | None = None,
    policy: str = "",
    time_limit_s: float = 10,
) -> Examination:
    engines = Engines(
        antivirus=engine or FakeEngine(),
        antispam=antispam,
        inspector=inspector or FakeInspector(),
        authenticator=Authenticator(Patience(resolver, 10), OURS),
        brake=Brake(MemoryState()),
    )
    examiner = Examiner(engines, time_limit_s=time_limit_s)
    return await examiner.examine(envelope, message, RuleBook(parse_policy(policy), 1))


def results(examination: Examination) -> dict[CheckName, str]:
    return {finding.check: finding.result for finding in examination.findings}


def unsure(examination: Examination) -> set[CheckName]:
    return {finding.check for finding in examination.findings if finding.unsure}


def action(examination: Examination, policy: Policy | None = None, envelope: Envelope = ENVELOPE) -> Action:
    verdicts = decide(examination.findings, RuleBook(policy or Policy(), 1), envelope, examination.mail)
    return verdicts["gatepost.test"].action


async def test_honest_mail_passes_and_proves_its_sender(resolver: CachingResolver) -> None:
    examination = await examine(resolver)
    assert results(examination) == {
        CheckName.STRUCTURE: "ok",
        CheckName.ATTACHMENTS: "none",
        CheckName.IPREV: "temperror",
        CheckName.SPF: "pass",
        CheckName.DKIM: "none",
        CheckName.DMARC: "pass",
        CheckName.ARC: "none",
        CheckName.ANTIVIRUS: "clean",
        CheckName.ANTISPAM: "none",
    }
    assert examination.proved is Proof.SPF
    assert action(examination) is Action.ACCEPT


async def test_our_results_name_what_was_seen(resolver: CachingResolver) -> None:
    results = (await examine(resolver)).results
    assert results.startswith("mx.gatepost.test;\r\n\t")
    for one in ("spf=pass", "smtp.mailfrom=sender.test", "dkim=none", "dmarc=pass", "header.from=sender.test"):
        assert one in results.replace("\r\n\t", " ")


async def test_spoofed_mail_is_refused_as_its_domain_asks(resolver: CachingResolver) -> None:
    examination = await examine(resolver, SPOOFED)
    assert (results(examination)[CheckName.SPF], results(examination)[CheckName.DMARC]) == ("fail", "fail")
    assert examination.proved is None
    assert action(examination) is Action.REFUSE


async def test_the_proof_that_edge_had_stays(resolver: CachingResolver) -> None:
    assert (await examine(resolver, replace(ENVELOPE, proved=Proof.RELAY_LIST))).proved is Proof.RELAY_LIST


async def test_mail_of_our_own_users_is_scanned_but_not_asked_for_spf_dkim_and_dmarc() -> None:
    # Their addresses are in no SPF record, and a DNS that hangs may not hold them up.
    outbound = replace(SPOOFED, direction=Direction.OUTBOUND, proved=Proof.LOGIN)
    examination = await examine(SilentResolver(), outbound)
    assert set(results(examination)) == {
        CheckName.STRUCTURE,
        CheckName.ATTACHMENTS,
        CheckName.ANTIVIRUS,
        CheckName.ANTISPAM,
    }
    assert examination.results == ""
    assert examination.proved is Proof.LOGIN


async def test_malware_is_found_in_mail_of_our_own_users(resolver: CachingResolver) -> None:
    outbound = replace(ENVELOPE, direction=Direction.OUTBOUND)
    examination = await examine(resolver, outbound, engine=FakeEngine(Infected("ClamAV", "X")))
    assert action(examination, envelope=outbound) is Action.REFUSE


async def test_the_engine_sees_the_message_as_it_came(resolver: CachingResolver) -> None:
    engine = FakeEngine()
    await examine(resolver, message=FORGED + MESSAGE, engine=engine)
    assert engine.seen == [FORGED + MESSAGE]


async def test_an_antivirus_that_is_off_for_all_recipients_is_not_asked(resolver: CachingResolver) -> None:
    engine = FakeEngine()
    examination = await examine(resolver, engine=engine, policy="checks.antivirus.enabled = false")
    assert not engine.seen
    assert CheckName.ANTIVIRUS not in results(examination)


async def test_an_antivirus_that_one_recipients_domain_wants_is_asked(resolver: CachingResolver) -> None:
    policy = '[domains."off.test"]\nroute = "mx"\nrecipients = "any"\nchecks.antivirus.enabled = false\n'
    both = replace(ENVELOPE, recipients=(Recipient("a@off.test"), Recipient("b@gatepost.test")))
    engine = FakeEngine()
    await examine(resolver, both, engine=engine, policy=policy)
    assert engine.seen


@pytest.mark.parametrize("error", [EngineError("the daemon died"), RuntimeError("a defect"), OSError("gone")])
async def test_an_engine_that_fails_in_any_way_defers(resolver: CachingResolver, error: Exception) -> None:
    examination = await examine(resolver, engine=FakeEngine(error))
    assert unsure(examination) == {CheckName.ANTIVIRUS}
    assert action(examination) is Action.DEFER


async def test_an_engine_that_hangs_is_given_up_and_defers(resolver: CachingResolver) -> None:
    engine = FakeEngine()
    engine.hangs = True
    examination = await examine(resolver, engine=engine, time_limit_s=0.05)
    assert results(examination)[CheckName.ANTIVIRUS] == "timeout"
    assert engine.cancelled
    assert action(examination) is Action.DEFER


async def test_a_dns_that_hangs_is_given_up_and_defers() -> None:
    examination = await examine(SilentResolver(), time_limit_s=0.05)
    # SPF and DKIM by themselves decide nothing here, so that not knowing them holds nobody up.
    assert unsure(examination) == {CheckName.DMARC}
    assert examination.results == "mx.gatepost.test; spf=temperror; dkim=temperror; dmarc=temperror"
    assert results(examination)[CheckName.ANTIVIRUS] == "clean"
    assert action(examination) is Action.DEFER


async def test_a_defect_in_a_check_defers() -> None:
    examination = await examine(DefectiveResolver())
    assert unsure(examination) == {
        *(CheckName.SPF, CheckName.DKIM, CheckName.DMARC),
        *(CheckName.ARC, CheckName.IPREV),
    }
    assert action(examination) is Action.DEFER


async def test_a_check_that_alone_is_acted_upon_and_came_to_no_end_defers() -> None:
    policy = 'checks.dmarc.enabled = false\nchecks.iprev.fail = "refuse"'
    examination = await examine(SilentResolver(), policy=policy, time_limit_s=0.05)
    assert CheckName.IPREV in unsure(examination)
    assert action(examination, parse_policy(policy)) is Action.DEFER


async def test_malware_is_refused_though_dns_hangs() -> None:
    examination = await examine(SilentResolver(), engine=FakeEngine(Infected("ClamAV", "X")), time_limit_s=0.05)
    assert action(examination) is Action.REFUSE


async def test_a_dns_failure_of_spf_defers_where_the_policy_acts_upon_spf(resolver: CachingResolver) -> None:
    # broken.sender.test includes a domain that nobody can look up.
    envelope = replace(ENVELOPE, sender="joe@broken.sender.test")
    message = MESSAGE.replace(b"From: joe@sender.test", b"From: joe@broken.sender.test")
    strict = 'checks.spf.fail = "refuse"'
    examination = await examine(resolver, envelope, message, policy=strict)
    assert results(examination)[CheckName.SPF] == "temperror"
    assert CheckName.SPF in unsure(examination)
    assert action(examination, parse_policy(strict)) is Action.DEFER


async def test_a_sender_whose_dns_fails_is_deferred_by_dmarc(resolver: CachingResolver) -> None:
    message = MESSAGE.replace(b"joe@sender.test", b"joe@unreachable.test")
    examination = await examine(resolver, replace(ENVELOPE, sender="joe@unreachable.test"), message)
    assert results(examination)[CheckName.DMARC] == "temperror"
    assert action(examination) is Action.DEFER


async def test_the_scan_ends_with_a_cancelled_examination() -> None:
    engine = FakeEngine()
    engine.hangs = True
    task = asyncio.create_task(examine(SilentResolver(), engine=engine))
    async with asyncio.timeout(10):
        while not engine.seen:
            await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)
    assert engine.cancelled


REPORT = SpamReport("Rspamd", 20.0)


async def test_the_antispam_engine_is_asked_with_what_we_found(resolver: CachingResolver) -> None:
    engine = FakeSpamEngine(REPORT)
    examination = await examine(resolver, antispam=engine)
    [request] = engine.asked
    assert request.message == MESSAGE
    assert request.spf is not None
    assert (request.spf.word.value, request.dmarc.word.value if request.dmarc else "") == ("pass", "pass")
    assert action(examination) is Action.REFUSE


@pytest.mark.parametrize("answer", [SpamError("it is away"), RuntimeError("a defect"), None])
async def test_an_antispam_engine_that_gives_no_answer_defers(
    resolver: CachingResolver, answer: Exception | None
) -> None:
    examination = await examine(resolver, antispam=FakeSpamEngine(answer), time_limit_s=0.1)
    assert CheckName.ANTISPAM in unsure(examination)
    assert action(examination) is Action.DEFER


async def test_a_host_without_an_antispam_engine_says_so_and_passes_mail(resolver: CachingResolver) -> None:
    assert action(await examine(resolver)) is Action.ACCEPT


async def test_an_antispam_engine_that_is_off_for_all_recipients_is_not_asked(resolver: CachingResolver) -> None:
    engine = FakeSpamEngine(SpamReport("Rspamd", 1.0, forced=Forced.REJECT))
    examination = await examine(resolver, antispam=engine, policy="checks.antispam.enabled = false")
    assert not engine.asked
    assert CheckName.ANTISPAM not in results(examination)


@pytest.mark.parametrize("failing", [True, False])
async def test_an_inspection_that_fails_or_hangs_defers(resolver: CachingResolver, failing: bool) -> None:
    inspector = FakeInspector()
    inspector.error, inspector.hangs = RuntimeError("a defect") if failing else None, not failing
    examination = await examine(resolver, inspector=inspector, time_limit_s=10 if failing else 0.1)
    assert unsure(examination) == {CheckName.STRUCTURE, CheckName.ATTACHMENTS}
    assert action(examination) is Action.DEFER


async def test_outbound_mail_of_an_account_has_a_brake(resolver: CachingResolver) -> None:
    client = replace(ENVELOPE.client, login="ann")
    outbound = replace(ENVELOPE, direction=Direction.OUTBOUND, client=client, proved=Proof.LOGIN)
    examination = await examine(resolver, outbound)
    assert results(examination)[CheckName.BRAKE] == "free"
    assert examination.mail.login == "ann"
