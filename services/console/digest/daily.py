"""Sending users the reports of their quarantined mail, once a day each (I/O: SQL, broker).

A report tells of what was held between the hour of its day and the one that the recipient's last report went to, so no
mail is told of twice. It is published, then noted in the same transaction: of several recorders the second finds that
it was sent, and a crash between the two sends it again. Without a secret for links (`[web]` in the settings) or a known
policy nothing is sent.
On failure: logged, and tried again at the next round.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import structlog
from prometheus_client import Counter
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.actions.desk import ActionError, Desk
from services.console.actions.quarantine import Held, envelope_of, held_of_row
from services.console.digest.choice import may_release, told_recipients
from services.console.digest.mail import Digest, Entry, digest_mail
from services.console.digest.token import VALID_S, Ask, Ticket, token_of
from services.console.held import HELD
from services.console.identity.links import public_url
from services.console.reports.hand_over import hand_over
from services.console.reports.reporter import Reporter
from services.console.reports.rounds import run_rounds
from services.console.tables import digests, quarantine
from shared.envelope import Envelope
from shared.ids import new_id
from shared.policy import Policy
from shared.policy.quarantine_digest import QuarantineDigestRules

_log = structlog.get_logger()
_sent = Counter("gatepost_quarantine_digests_total", "Reports of quarantine by what became of them", ["outcome"])

_HOUR_S = 3600
_DAY_S = 86_400
# Whoever never had a report is told of the last day; one that was missed is made up for so long.
_FIRST_S = _DAY_S
_MISSED_S = 7 * _DAY_S
_BATCH_ROWS = 500
_ENTRIES = 100
_RECIPIENTS = 50_000


@dataclass(slots=True)
class _Gathered:
    """What one recipient is told. since: of the last report, None if there was none."""

    due: float
    since: float | None
    rules: QuarantineDigestRules
    copies: list[tuple[Held, Envelope]] = field(default_factory=list)
    more: int = 0

    def add(self, copy: Held, envelope: Envelope) -> None:
        """Take a mail in, as far as there is room."""
        if len(self.copies) < _ENTRIES:
            self.copies.append((copy, envelope))
        else:
            self.more += 1


class QuarantineDigests:
    """The reports of one recorder. policy: the one in force, None while it is not known. clock: Unix seconds."""

    def __init__(self, desk: Desk, policy: Callable[[], Policy | None], clock: Callable[[], float] = time.time) -> None:
        self._desk = desk
        self._policy = policy
        self._clock = clock
        # By hour: until when all is sent.
        self._sent_until: dict[int, float] = {}

    async def run_for_ever(self) -> None:
        """Send what is due, every quarter of an hour, until cancelled."""
        await run_rounds("quarantine", self._round)

    async def _round(self) -> None:
        policy = self._policy()
        if policy is not None and self._desk.settings.web is not None:
            await self.send_due(policy)

    async def send_due(self, policy: Policy) -> int:
        """Send the reports whose hour has come; return how many were sent."""
        hours = {one.quarantine_digest.hour for one in policy.domains.values() if one.quarantine_digest.enabled}
        due = {hour: due_at(hour, self._clock()) for hour in hours}
        open_hours = {hour: at for hour, at in due.items() if self._sent_until.get(hour, 0.0) < at}
        if not open_hours:
            return 0
        gathered = await self._gather(policy, open_hours)
        outcomes = [await self._one(recipient, one) for recipient, one in gathered.items() if one.copies]
        if all(outcome is not None for outcome in outcomes):
            self._sent_until |= open_hours
        return sum(bool(outcome) for outcome in outcomes)

    async def _gather(self, policy: Policy, due: dict[int, float]) -> dict[str, _Gathered]:
        found: dict[str, _Gathered] = {}
        columns = [column for column in quarantine.c if column.name not in ("headers", "message")]
        window = quarantine.c.stored_at > min(due.values()) - _MISSED_S, quarantine.c.stored_at <= max(due.values())
        query = select(*columns).where(quarantine.c.state == HELD, *window).order_by(quarantine.c.stored_at.desc())
        async with self._desk.database.reading() as connection:
            rows = await connection.stream(query.execution_options(yield_per=_BATCH_ROWS))
            async for batch in rows.partitions(_BATCH_ROWS):
                told = [
                    (row.stored_at, copy, envelope, recipient, rules)
                    for row in batch
                    if (copy := held_of_row(row)) and (envelope := envelope_of(copy)) is not None
                    for recipient, rules in told_recipients(policy, envelope, copy.reason)
                    if rules.hour in due
                ]
                new = {recipient: rules for *_, recipient, rules in told if recipient not in found}
                await self._begin(found, new, due)
                for stored_at, copy, envelope, recipient, _rules in told:
                    one = found.get(recipient)
                    if one is not None and _since(one) < stored_at <= one.due:
                        one.add(copy, envelope)
        return found

    async def _begin(
        self, found: dict[str, _Gathered], new: dict[str, QuarantineDigestRules], due: dict[int, float]
    ) -> None:
        if len(found) + len(new) > _RECIPIENTS:
            _log.warning("quarantine-digests-left-out", limit=_RECIPIENTS)
            return
        known: dict[str, float] = {}
        async with self._desk.database.reading() as connection:
            for names in _pieces(new):
                query = select(digests.c.recipient, digests.c.until).where(digests.c.recipient.in_(names))
                known |= {row.recipient: row.until for row in await connection.execute(query)}
        for recipient, rules in new.items():
            found[recipient] = _Gathered(due[rules.hour], known.get(recipient), rules)

    async def _one(self, recipient: str, gathered: _Gathered) -> bool | None:
        """Send one report. Returns whether it was sent by us; None where it must be tried again."""
        settings = self._desk.settings
        assert settings.web is not None
        now, message_id = self._clock(), new_id()
        secret = settings.web.secret.get_secret_value()
        entries = [self._entry(recipient, one, gathered.rules, secret, now) for one in gathered.copies]
        digest = Digest(recipient, entries, gathered.more, VALID_S // _DAY_S)
        envelope, data = digest_mail(digest, _reporter(gathered.rules, settings.hostname), message_id, now)
        try:
            async with self._desk.database.writing() as connection:
                if not await _claimed(connection, recipient, gathered, now):
                    return False
                await hand_over(self._desk, envelope, data)
        except IntegrityError:  # another recorder's is there
            return False
        except ActionError as error:
            _sent.labels("waits").inc()
            _log.warning("quarantine-digest-waits", recipient=recipient, cause=str(error))
            return None
        _sent.labels("sent").inc()
        _log.info("quarantine-digest", recipient=recipient, id=message_id, mails=len(entries) + gathered.more)
        return True

    def _entry(
        self, recipient: str, held: tuple[Held, Envelope], rules: QuarantineDigestRules, secret: str, now: float
    ) -> Entry:
        copy, envelope = held
        ask = Ask.RELEASE if may_release(envelope, copy.reason, rules) else Ask.ASK
        token = token_of(Ticket(copy.id, copy.part, recipient, int(now) + VALID_S, ask), secret)
        link = f"{public_url(self._desk.settings)}/digest/{token}"
        check = envelope.verdict.reasons[0].check.value if envelope.verdict else ""
        return Entry(envelope.sender, copy.subject or "", copy.received_at, check, ask, link)


def due_at(hour: int, now: float) -> float:
    """Return when an hour of the day (UTC) was last (PURE)."""
    shift = hour * _HOUR_S
    return float((now - shift) // _DAY_S * _DAY_S + shift)


async def _claimed(connection: AsyncConnection, recipient: str, gathered: _Gathered, now: float) -> bool:
    """Note the report as sent. Returns False if it was sent meanwhile; raises IntegrityError if it just was."""
    values = {"until": gathered.due, "sent_at": now}
    if gathered.since is None:
        await connection.execute(digests.insert(), [{"recipient": recipient} | values])
        return True
    same = (digests.c.recipient == recipient) & (digests.c.until == gathered.since)
    return bool((await connection.execute(digests.update().where(same).values(**values))).rowcount)


def _since(gathered: _Gathered) -> float:
    if gathered.since is None:
        return gathered.due - _FIRST_S
    return max(gathered.since, gathered.due - _MISSED_S)


def _reporter(rules: QuarantineDigestRules, hostname: str) -> Reporter:
    return Reporter(hostname, "Gatepost", rules.sender or f"quarantine@{hostname}", "", "", 0, 0)


def _pieces(names: Iterable[str]) -> list[list[str]]:
    listed = list(names)
    return [listed[start : start + _BATCH_ROWS] for start in range(0, len(listed), _BATCH_ROWS)]
