"""Examining a message: all checks, side by side, within the time there is (I/O through engine and resolver).

Input: envelope, message bytes, policy. Output: `Examination`, with a finding of every check that applies.
On failure: a check that is not done in time, or dies, is unsure; the decision then defers.
"""

import asyncio
from dataclasses import dataclass

import structlog

from services.content.auth.proof import proved_by
from services.content.auth.results import AuthResult, authentication_results
from services.content.checks.antivirus import Engine, check_antivirus
from services.content.checks.dkim import check_dkim, dkim_finding
from services.content.checks.dmarc import check_dmarc, dmarc_finding
from services.content.checks.spf import spf_finding
from services.content.checks.structure import check_structure
from services.content.finding import Finding, unsure
from services.content.headers import results_field, without_forged_results
from shared.auth.message import Message, split_message
from shared.auth.spf_check import check_spf
from shared.dns.answer import Resolver
from shared.dns.replay import replay
from shared.envelope import Direction, Envelope, Proof
from shared.policy import Checks, Policy
from shared.verdict import Action, CheckName

_log = structlog.get_logger()
# DESIGN §4: content judges within 12 s, so that edge's 20 s hold.
TIME_LIMIT_S = 12.0


@dataclass(frozen=True, slots=True)
class Examination:
    """All findings; the message with our results on top; and why its sender is proved, if it is."""

    findings: tuple[Finding, ...]
    marked: bytes
    proved: Proof | None


@dataclass(frozen=True, slots=True)
class _Authenticity:
    """What SPF, DKIM and DMARC say together. fields: resinfo of Authentication-Results."""

    findings: tuple[Finding, ...] = ()
    fields: tuple[str, ...] = ()
    proved: Proof | None = None


class Examiner:
    """Runs the checks of one worker. authserv_id: our name in Authentication-Results."""

    def __init__(
        self, engine: Engine, resolver: Resolver, authserv_id: str, *, time_limit_s: float = TIME_LIMIT_S
    ) -> None:
        self._engine = engine
        self._resolver = resolver
        self._authserv_id = authserv_id
        self._time_limit_s = time_limit_s

    async def examine(self, envelope: Envelope, data: bytes, policy: Policy) -> Examination:
        """Return what all checks that apply saw. Raises nothing but cancellation."""
        deadline = asyncio.get_running_loop().time() + self._time_limit_s
        rules = [policy.checks_of(domain) for domain in {recipient.domain for recipient in envelope.recipients}]
        message = split_message(data)
        findings: list[Finding] = []
        scan: asyncio.Task[Finding] | None = None
        if any(checks.antivirus.enabled for checks in rules):
            # Begun first: clamd works on it while this process verifies signatures.
            scan = asyncio.create_task(self._antivirus(data, deadline))
        try:
            findings.append(check_structure(message))
            authenticity = _Authenticity()
            if envelope.direction is Direction.INBOUND:
                authenticity = await self._authenticity(envelope, message, rules, deadline)
                findings.extend(authenticity.findings)
            if scan is not None:
                findings.append(await scan)
        finally:
            if scan is not None:
                scan.cancel()
        marked, _ = without_forged_results(data, self._authserv_id)
        if envelope.direction is Direction.INBOUND:
            marked = results_field(self._authserv_id, authenticity.fields) + marked
        return Examination(tuple(findings), marked, envelope.proved or authenticity.proved)

    async def _authenticity(
        self, envelope: Envelope, message: Message, rules: list[Checks], deadline: float
    ) -> _Authenticity:
        """SPF, DKIM and DMARC, or three findings that say that they came to no end."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._authenticate(envelope, message, rules)
        except TimeoutError:
            cause = "DNS gave no answer in time."
        except Exception:  # a defect here must hold the message, not lose or pass it
            _log.exception("check-failed", check="authenticity", id=envelope.id)
            cause = "The check failed."
        checks = (CheckName.SPF, CheckName.DKIM, CheckName.DMARC)
        fields = tuple(f"{check}=temperror" for check in checks)
        return _Authenticity(tuple(unsure(check, "temperror", cause) for check in checks), fields)

    async def _authenticate(self, envelope: Envelope, message: Message, rules: list[Checks]) -> _Authenticity:
        client = envelope.client
        spf = await check_spf(self._resolver, client.address, client.helo, envelope.sender, self._authserv_id)
        dkim = await check_dkim(self._resolver, message)
        dmarc = await check_dmarc(self._resolver, message, spf, dkim)
        proof = await replay(self._resolver, lambda lookup: proved_by(envelope.sender, spf, dkim, dmarc, lookup))
        spf_matters = any(
            action is not Action.ACCEPT
            for checks in rules
            for action in (checks.spf.fail, checks.spf.softfail, checks.spf.permerror)
        )
        dkim_matters = any(checks.dkim.fail is not Action.ACCEPT for checks in rules)
        findings = (
            spf_finding(spf, matters=spf_matters),
            dkim_finding(dkim, matters=dkim_matters),
            dmarc_finding(dmarc),
        )
        results: list[AuthResult] = [spf, *dkim, dmarc]
        fields = tuple(authentication_results(result) for result in results)
        return _Authenticity(findings, fields, Proof(proof.value) if proof else None)

    async def _antivirus(self, data: bytes, deadline: float) -> Finding:
        try:
            async with asyncio.timeout_at(deadline):
                return await check_antivirus(self._engine, data)
        except TimeoutError:
            return unsure(CheckName.ANTIVIRUS, "timeout", "The check gave no answer in time.")
        except Exception:  # a defect here must hold the message, not lose or pass it
            _log.exception("check-failed", check=CheckName.ANTIVIRUS.value)
            return unsure(CheckName.ANTIVIRUS, "error", "The check failed.")
