"""Rules of an examination: every check that applies reports in time, and who forges our results is not believed."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.content.decide import decide
from services.content.engines.clamd import Clean, EngineError, Infected, ScanResult
from services.content.examine import Examination, Examiner
from shared.dns.answer import Answer, DnsTemporary, Resolver
from shared.dns.resolver import CachingResolver
from shared.envelope import Client, Direction, Envelope, Proof, Recipient
from shared.policy import Policy, parse_policy
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
        self.answer = answer if answer is not None else Clean()
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
    policy: str = "",
    time_limit_s: float = 10,
) -> Examination:
    examiner = Examiner(engine or FakeEngine(), resolver, OURS, time_limit_s=time_limit_s)
    return await examiner.examine(envelope, message, parse_policy(policy))


def results(examination: Examination) -> dict[CheckName, str]:
    return {finding.check: finding.result for finding in examination.findings}


def unsure(examination: Examination) -> set[CheckName]:
    return {finding.check for finding in examination.findings if finding.unsure}


def action(examination: Examination, policy: Policy | None = None) -> Action:
    return decide(examination.findings, policy or Policy(), 1, ["gatepost.test"])["gatepost.test"].action


async def test_honest_mail_passes_and_proves_its_sender(resolver: CachingResolver) -> None:
    examination = await examine(resolver)
    assert results(examination) == {
        CheckName.STRUCTURE: "ok",
        CheckName.SPF: "pass",
        CheckName.DKIM: "none",
        CheckName.DMARC: "pass",
        CheckName.ANTIVIRUS: "clean",
    }
    assert examination.proved is Proof.SPF
    assert action(examination) is Action.ACCEPT


async def test_our_results_stand_on_top_and_the_rest_stays_byte_for_byte(resolver: CachingResolver) -> None:
    marked = (await examine(resolver)).marked
    assert marked.startswith(b"Authentication-Results: mx.gatepost.test;\r\n\tspf=pass smtp.mailfrom=sender.test;\r\n")
    assert b"dmarc=pass header.from=sender.test\r\n" in marked
    assert marked.endswith(b"\r\n" + MESSAGE)


async def test_spoofed_mail_is_refused_as_its_domain_asks(resolver: CachingResolver) -> None:
    examination = await examine(resolver, SPOOFED)
    assert (results(examination)[CheckName.SPF], results(examination)[CheckName.DMARC]) == ("fail", "fail")
    assert examination.proved is None
    assert action(examination) is Action.REFUSE


async def test_the_proof_that_edge_had_stays(resolver: CachingResolver) -> None:
    assert (await examine(resolver, replace(ENVELOPE, proved=Proof.RELAY_LIST))).proved is Proof.RELAY_LIST


@pytest.mark.parametrize("direction", Direction)
async def test_results_that_claim_to_be_ours_are_removed(resolver: CachingResolver, direction: Direction) -> None:
    foreign = b"Authentication-Results: other.test; spf=pass\r\n"
    message = FORGED + foreign + FORGED.lower() + MESSAGE
    marked = (await examine(resolver, replace(ENVELOPE, direction=direction), message)).marked
    assert b"dkim=pass" not in marked
    assert marked.endswith(foreign + MESSAGE)


async def test_mail_of_our_own_users_is_scanned_but_not_asked_for_spf_dkim_and_dmarc() -> None:
    # Their addresses are in no SPF record, and a DNS that hangs may not hold them up.
    outbound = replace(SPOOFED, direction=Direction.OUTBOUND, proved=Proof.LOGIN)
    examination = await examine(SilentResolver(), outbound)
    assert set(results(examination)) == {CheckName.STRUCTURE, CheckName.ANTIVIRUS}
    assert examination.marked == MESSAGE
    assert examination.proved is Proof.LOGIN


async def test_malware_is_found_in_mail_of_our_own_users(resolver: CachingResolver) -> None:
    outbound = replace(ENVELOPE, direction=Direction.OUTBOUND)
    examination = await examine(resolver, outbound, engine=FakeEngine(Infected("X")))
    assert action(examination) is Action.REFUSE


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
    assert unsure(examination) == {CheckName.SPF, CheckName.DKIM, CheckName.DMARC}
    assert b"\tspf=temperror;\r\n\tdkim=temperror;\r\n\tdmarc=temperror\r\n" in examination.marked
    assert results(examination)[CheckName.ANTIVIRUS] == "clean"
    assert action(examination) is Action.DEFER


async def test_a_defect_in_a_check_defers() -> None:
    examination = await examine(DefectiveResolver())
    assert unsure(examination) == {CheckName.SPF, CheckName.DKIM, CheckName.DMARC}
    assert action(examination) is Action.DEFER


async def test_malware_is_refused_though_dns_hangs() -> None:
    examination = await examine(SilentResolver(), engine=FakeEngine(Infected("X")), time_limit_s=0.05)
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
