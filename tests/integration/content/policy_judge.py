"""A whole examination of a scene: the real Examiner with the real inspector and authenticator, and the decision.

What the real inspector says of a message's parts is remembered: it hangs on nothing but `[inspection]`.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from services.content.authenticity import Authenticator
from services.content.brake import Brake
from services.content.decide import decide
from services.content.engines.scan import Clean, ScanResult
from services.content.examine import Engines, Examiner
from services.content.inspector import Inspector
from services.content.mime.inspection import Inspection
from services.content.rulebook import RuleBook
from services.content.settings import IsolationSettings
from services.content.spam import SpamReport, SpamRequest
from shared.auth.message import Message
from shared.dns.patience import Patience
from shared.dns.resolver import CachingResolver
from shared.envelope import Client, Direction, Envelope, Recipient
from shared.policy import Policy, parse_policy
from shared.policy.content import InspectionRules
from shared.state.memory import MemoryState
from shared.verdict import Action, Reason, Verdict
from tests.integration.content.policy_scenes import CLEAN, Scene, open_zones

HOSTNAME = "mx.ours.test"
OURS, OTHER = "ours.test", "other.test"
DOMAINS = "\n".join(f'domains."{name}".route = "mx"\ndomains."{name}".recipients = "any"' for name in (OURS, OTHER))


class _Antivirus:
    """An engine with a set word."""

    def __init__(self) -> None:
        self.word: ScanResult = Clean("ClamAV")

    async def scan(self, data: bytes) -> ScanResult:
        return self.word


class _Antispam:
    """An engine with a set report."""

    def __init__(self) -> None:
        self.report = CLEAN.spam

    async def judge(self, request: SpamRequest) -> SpamReport:
        return self.report

    async def close(self) -> None:
        pass


class _Remembering:
    """The real inspector, asked once about each message and `[inspection]`."""

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector
        self._seen: dict[tuple[bytes, InspectionRules], Inspection] = {}

    async def inspect(self, data: bytes, message: Message, rules: InspectionRules, source: str = "") -> Inspection:
        found = self._seen.get((data, rules))
        if found is None:
            found = self._seen[data, rules] = await self._inspector.inspect(data, message, rules, source)
        return found


def envelope_of(scene: Scene, direction: Direction, *domains: str) -> Envelope:
    """Return the envelope of a scene, to one recipient in each domain."""
    return Envelope(
        id="01m85rrw9tejgajt89hfcgzyx2",
        received_at=0,
        listener="mx" if direction is Direction.INBOUND else "submission",
        direction=direction,
        client=Client(scene.address, 4000, scene.helo, login=scene.login),
        sender=scene.sender,
        recipients=tuple(Recipient(f"demo@{domain}") for domain in domains),
        size_bytes=len(scene.message),
    )


class Judge:
    """Takes scenes through a whole examination and the decision."""

    def __init__(self, inspector: Inspector, resolver: CachingResolver) -> None:
        self._antivirus, self._antispam = _Antivirus(), _Antispam()
        self._inspector = _Remembering(inspector)
        self._authenticator = Authenticator(Patience(resolver, 10), HOSTNAME)
        self.state = MemoryState()
        self.brake = Brake(self.state)

    async def verdicts(self, scene: Scene, envelope: Envelope, policy: Policy) -> dict[str, Verdict]:
        """Return the verdict for each recipient domain."""
        self._antivirus.word, self._antispam.report = scene.virus, scene.spam
        engines = Engines(self._antivirus, self._antispam, self._inspector, self._authenticator, self.brake)
        book = RuleBook(policy, 7)
        seen = await Examiner(engines).examine(envelope, scene.message, book)
        return decide(seen.findings, book, envelope, seen.mail)


@contextlib.asynccontextmanager
async def open_judge(folder: Path) -> AsyncIterator[Judge]:
    """Return one with a helper process and a resolver of its own. folder: for zone files."""
    inspector = Inspector(IsolationSettings(cpu_s=20, memory_mb=256))
    await inspector.start()
    resolver = open_zones(folder)
    try:
        yield Judge(inspector, resolver)
    finally:
        await resolver.close()
        await inspector.close()


def from_our_user(scene: Scene, domain: str = OURS) -> Scene:
    """Return the same mail as one of our users sends it."""
    return replace(scene, sender=f"ann@{domain}", login="ann")


async def judged(judge: Judge, scene: Scene, lines: list[str], *, outbound: bool = False) -> dict[str, Verdict]:
    """Return the verdicts on a scene, for the domain of the scopes and for another one of ours."""
    policy = parse_policy("\n".join([*lines, DOMAINS]))
    if not outbound:
        envelope = envelope_of(scene, Direction.INBOUND, OURS, OTHER)
        return await judge.verdicts(scene, envelope, policy)
    verdicts = {}
    for domain in (OURS, OTHER):
        sent = from_our_user(scene, domain)
        verdicts[domain] = (await judge.verdicts(sent, envelope_of(sent, Direction.OUTBOUND, "far.test"), policy))[
            "far.test"
        ]
    return verdicts


def by_rule(verdict: Verdict, rule: str) -> Reason | None:
    """Return the reason that a rule brought."""
    return next((reason for reason in verdict.reasons if reason.rule == rule), None)


def assert_decides(verdict: Verdict, rule: str, action: Action) -> None:
    """See that a rule chose the verdict, and that its reason can be explained."""
    assert verdict.action is action, verdict.reasons
    reason = by_rule(verdict, rule)
    assert reason is not None, [one.rule for one in verdict.reasons]
    assert reason.action is action
    assert reason.evidence.endswith(".")
    # A sentence; one about a file or a domain begins with its name.
    assert reason.evidence[0].isupper() or "." in reason.evidence.split()[0]
    assert reason.input
    assert rule.endswith(f".{reason.key}") or rule == reason.key
    if action is not Action.ACCEPT:
        assert verdict.reasons[0] is reason
        assert reason.change
        assert not reason.change.endswith(".")
    assert verdict.policy_version == 7
