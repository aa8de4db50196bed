"""Mail in quarantine, written as the recorder does."""

from dataclasses import replace

from sqlalchemy import select

from services.console.database import Database
from services.console.held import held_mail
from services.console.store import Store
from services.console.tables import audit, quarantine
from shared.envelope import Direction, Envelope
from shared.ids import new_id
from shared.verdict import Action, CheckName, Reason, Verdict
from shared.wire import MAIL_TYPE, QuarantineNote, mail_headers
from tests.integration.console.mail import MESSAGE, envelope

SPAM = Verdict(
    Action.QUARANTINE,
    (Reason(CheckName.ANTISPAM, "spam", Action.QUARANTINE, "GTUBE", "checks.antispam.quarantine_at"),),
    policy_version=3,
)
NOTE = QuarantineNote("quarantine", "GTUBE", "antispam")


async def hold(
    database: Database, *recipients: str, message: bytes = MESSAGE, note: QuarantineNote = NOTE,
    verdict: Verdict | None = SPAM, at: float = 1_800_000_000.0, outbound_of: str = "", **changes: object,
) -> tuple[str, str]:  # fmt: skip
    """Hold a mail, and return its id and part. outbound_of: the sender of ours."""
    made: Envelope = replace(envelope(new_id(), *recipients, verdict=verdict), received_at=at, **changes)  # type: ignore[arg-type]
    if outbound_of:
        made = replace(made, direction=Direction.OUTBOUND, sender=outbound_of)
    row = held_mail(message, mail_headers(made, note=note), MAIL_TYPE, made.id, at)
    async with database.writing() as connection:
        await Store(is_sqlite=database.is_sqlite).write_held(connection, [row])
    return row.id, row.part


async def state_of(database: Database, copy: tuple[str, str]) -> tuple[str, str]:
    """Return the state and the recipients of a copy."""
    query = select(quarantine.c.state, quarantine.c.recipients)
    async with database.reading() as connection:
        row = (await connection.execute(query.where(quarantine.c.id == copy[0], quarantine.c.part == copy[1]))).one()
    return row.state, row.recipients


async def noted(database: Database, action: str) -> list[dict[str, object]]:
    """Return the audit's rows of an action."""
    async with database.reading() as connection:
        rows = await connection.execute(select(audit).where(audit.c.action == action).order_by(audit.c.at))
        return [dict(row._mapping) for row in rows]
