"""Examining a message: all checks, side by side, within the time there is (I/O through engines, resolver, processes).

Input: envelope, message bytes, the rules of its recipients' domains. Output: `Examination`, with a finding of every
check that applies.
On failure: a check that is not done in time, or dies, is unsure; the decision then defers.
"""

import asyncio
from collections.abc import Awaitable, Collection
from dataclasses import dataclass
from typing import Protocol

import structlog

from services.content.authenticity import Authenticator, Authenticity
from services.content.brake import Brake
from services.content.checks.antispam import check_antispam
from services.content.checks.antivirus import Engine, check_antivirus
from services.content.checks.attachments import attachments_finding
from services.content.checks.structure import structure_findings
from services.content.finding import Finding, unsure
from services.content.isolation.pool import Unavailable
from services.content.isolation.process import ExaminationFailed
from services.content.mime.inspection import Inspection
from services.content.rulebook import RuleBook, Rules
from services.content.spam import SpamEngine, SpamReport, SpamRequest
from shared import tracing
from shared.auth.message import Message, split_message
from shared.envelope import Direction, Envelope, Proof
from shared.policy import Policy
from shared.policy.content import InspectionRules
from shared.policy.exemption import Mail
from shared.verdict import CheckName

_log = structlog.get_logger()
# DESIGN §4: content judges within 12 s, so that edge's 20 s hold.
TIME_LIMIT_S = 12.0
_ALWAYS = (CheckName.ANTIVIRUS, CheckName.ANTISPAM, CheckName.ATTACHMENTS, CheckName.STRUCTURE)
# Of these, what authentication may take, of which DNS may take 6 s (shared/dns/patience.py); the antispam engine is
# asked afterwards, with what came of it.
AUTHENTICITY_LIMIT_S = 8.0
# Whom the cost of what an administrator tries is charged to: no address and no login has this form.
_TRIAL = "(a trial)"


@dataclass(frozen=True, slots=True)
class Examination:
    """All findings; what our Authentication-Results say (empty: none); why its sender is proved, if it is.

    mail: what exemptions ask of it. authenticity: what reports to domain owners are made of.
    """

    findings: tuple[Finding, ...]
    results: str
    proved: Proof | None
    mail: Mail
    authenticity: Authenticity


class Inspector(Protocol):
    """What looks into a message's parts."""

    async def inspect(self, data: bytes, message: Message, rules: InspectionRules, source: str = "") -> Inspection:
        """Return what is in a message. source: whom its cost is charged to. Raises Unavailable, ExaminationFailed."""


@dataclass(frozen=True, slots=True)
class Engines:
    """What examines. antispam: None where this host has none."""

    antivirus: Engine
    antispam: SpamEngine | None
    inspector: Inspector
    authenticator: Authenticator
    brake: Brake


class Examiner:
    """Runs the checks of one worker."""

    def __init__(self, engines: Engines, *, time_limit_s: float = TIME_LIMIT_S) -> None:
        self._engines = engines
        self._time_limit_s = time_limit_s

    async def examine(self, envelope: Envelope, data: bytes, book: RuleBook, *, trial: bool = False) -> Examination:
        """Return what all checks that apply saw. Raises nothing but cancellation.

        trial: it is no mail, so that no engine learns from it, and its cost is charged to no client.
        """
        deadline = asyncio.get_running_loop().time() + self._time_limit_s
        rules = book.rules(envelope).values()
        message = split_message(data)
        authenticity = Authenticity()
        async with asyncio.TaskGroup() as group:
            # Begun first: the engines work on it while this process verifies signatures.
            scan = None
            if _is_on(rules, CheckName.ANTIVIRUS):
                scan = group.create_task(self._bounded(CheckName.ANTIVIRUS, self._antivirus(data), deadline))
            source = _TRIAL if trial else envelope.client.login or envelope.client.address
            parts = group.create_task(self._look_inside(source, data, message, book.policy, deadline))
            if envelope.direction is Direction.INBOUND:
                with tracing.span("authenticity") as traced:
                    authenticity = await self._authenticity(envelope, message, rules, book.policy, deadline)
                    _note(traced, authenticity.findings)
            spam = None
            if _is_on(rules, CheckName.ANTISPAM):
                request = _spam_request(envelope, data, authenticity, trial=trial)
                asked = check_antispam(self._engines.antispam, request)
                spam = await self._bounded(CheckName.ANTISPAM, asked, deadline)
            brake = await self._engines.brake.finding(envelope, book.policy.brake)
        found = [*parts.result(), *authenticity.findings, scan.result() if scan else None, spam, brake]
        made = [finding for finding in found if finding is not None]
        made += _unmade(made, rules, envelope.direction)
        proved = envelope.proved or authenticity.proved
        return Examination(
            tuple(made),
            authenticity.results,
            proved,
            _mail(envelope, authenticity),
            authenticity,
        )

    async def _antivirus(self, data: bytes) -> Finding:
        return await check_antivirus(self._engines.antivirus, data)

    async def _look_inside(
        self, source: str, data: bytes, message: Message, policy: Policy, deadline: float
    ) -> list[Finding]:
        with tracing.span("parts") as traced:
            findings = await self._inspect(source, data, message, policy, deadline)
            _note(traced, findings)
        return findings

    async def _inspect(
        self, source: str, data: bytes, message: Message, policy: Policy, deadline: float
    ) -> list[Finding]:
        checks = (CheckName.STRUCTURE, CheckName.ATTACHMENTS)
        try:
            async with asyncio.timeout_at(deadline):
                inspection = await self._engines.inspector.inspect(data, message, policy.inspection, source)
            return [*structure_findings(message, inspection), attachments_finding(inspection)]
        except TimeoutError:
            return [
                unsure(check, "timeout", "The examination of its parts came to no end in time.") for check in checks
            ]
        except (Unavailable, ExaminationFailed) as error:
            _log.warning("check-failed", check=CheckName.STRUCTURE.value, cause=str(error))
            return [unsure(check, "error", "The examination of its parts was not possible.") for check in checks]
        except Exception:  # a defect here must hold the message, not lose or pass it
            _log.exception("check-failed", check=CheckName.STRUCTURE.value)
            return [unsure(check, "error", "The examination of its parts failed.") for check in checks]

    async def _authenticity(
        self, envelope: Envelope, message: Message, rules: Collection[Rules], policy: Policy, deadline: float
    ) -> Authenticity:
        """What SPF, DKIM, DMARC, ARC and iprev say, or findings that say that they came to no end."""
        authenticator = self._engines.authenticator
        limit = min(deadline, asyncio.get_running_loop().time() + AUTHENTICITY_LIMIT_S)
        acting = frozenset[CheckName]().union(*(each.acting for each in rules))
        try:
            async with asyncio.timeout_at(limit):
                every = policy.dmarc_reports.enabled
                return await authenticator.authenticate(envelope, message, acting, every=every)
        except TimeoutError:
            return authenticator.without_result("DNS gave no answer in time.", acting)
        except Exception:  # a defect here must hold the message, not lose or pass it
            _log.exception("check-failed", check="authenticity", id=envelope.id)
            return authenticator.without_result("The check failed.", frozenset(CheckName))

    async def _bounded(self, check: CheckName, work: Awaitable[Finding], deadline: float) -> Finding:
        with tracing.span(check.value) as traced:
            finding = await self._in_time(check, work, deadline)
            _note(traced, [finding])
        return finding

    async def _in_time(self, check: CheckName, work: Awaitable[Finding], deadline: float) -> Finding:
        try:
            async with asyncio.timeout_at(deadline):
                return await work
        except TimeoutError:
            return unsure(check, "timeout", "The check gave no answer in time.")
        except Exception:  # a defect here must hold the message, not lose or pass it
            _log.exception("check-failed", check=check.value)
            return unsure(check, "error", "The check failed.")


def _note(traced: tracing.Work, findings: Collection[Finding]) -> None:
    """Note what checks saw; their evidence may quote the message."""
    if not traced.is_traced:
        return
    for finding in findings:
        traced.note(**{finding.check.value: finding.result})
        if isinstance(finding.detail, SpamReport):
            traced.note(score=finding.detail.score)
    traced.note(unsure=any(finding.unsure for finding in findings))


def _unmade(findings: Collection[Finding], rules: Collection[Rules], direction: Direction) -> list[Finding]:
    """Return a finding for each check that is on and reported nothing: a second wall, for silence is no consent."""
    wanted = _ALWAYS if direction is Direction.OUTBOUND else (*_ALWAYS, CheckName.DMARC)
    made = {finding.check for finding in findings}
    return [
        unsure(check, "error", "The check did not report anything.")
        for check in wanted
        if check not in made and _is_on(rules, check)
    ]


def _is_on(rules: Collection[Rules], check: CheckName) -> bool:
    return any(each.of(check).enabled for each in rules)


# What edge saw. What an earlier examination found (a released mail bears it) is found again, and by its own measure.
_PROVED_BY_SESSION = frozenset(Proof) - {Proof.SPF, Proof.DKIM, Proof.DMARC}


def _mail(envelope: Envelope, seen: Authenticity) -> Mail:
    client = envelope.client
    return Mail(
        direction=envelope.direction.value,
        address=client.address,
        name=client.name or seen.client_name,
        sender=envelope.sender,
        proved=envelope.proved in _PROVED_BY_SESSION or seen.sender_proved,
        login=client.login,
    )


def _spam_request(envelope: Envelope, data: bytes, seen: Authenticity, *, trial: bool) -> SpamRequest:
    return SpamRequest(
        envelope, data, seen.spf, seen.dkim, seen.dmarc, arc=seen.arc, client_name=seen.client_name, trial=trial
    )
