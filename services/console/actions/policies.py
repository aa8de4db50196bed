"""The policy: what is in force, checking a document, and making it the one in force (I/O: SQL, broker).

The stream is the truth, since the stages read it; SQL keeps the history. A new version is above all of both.
On failure: ActionError, PolicyError (a document that cannot be used).
"""

import asyncio
import contextlib
import difflib
import time
from dataclasses import dataclass

from aio_pika.exceptions import AMQPError
from aiormq.abc import DeliveredMessage
from sqlalchemy import func, insert, select

from services.console.actions.desk import ActionError, Desk
from services.console.tables import policy_history
from shared.broker.connect import open_connection
from shared.broker.topology import Exchange, Key, Queue
from shared.errors import SettingsError
from shared.policy import parse_policy
from shared.policy_entry import PolicyEntry, decode_policy, encode_policy
from shared.settings import BrokerSettings

# The broker knows how many entries there are, but a stream's count may run behind: after the last one, so much silence.
_SILENCE_S = 1.0
_READ_DEADLINE_S = 15.0


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply_policy` did. diff: unified, against the one in force before. entry: the one in force now."""

    entry: PolicyEntry
    diff: str
    is_new: bool


async def read_stream(broker: BrokerSettings) -> list[PolicyEntry]:
    """Return all readable entries of the policy stream. Raises ActionError."""
    try:
        async with asyncio.timeout(_READ_DEADLINE_S):
            connection = await open_connection(broker, "gatepost-command-policy")
            try:
                channel = await (await connection.channel(publisher_confirms=False)).get_underlay_channel()
                bodies: asyncio.Queue[bytes] = asyncio.Queue()

                async def take(message: DeliveredMessage) -> None:
                    bodies.put_nowait(message.body)
                    await channel.basic_ack(message.delivery_tag or 0, wait=False)

                declared = await channel.queue_declare(Queue.POLICY.value, passive=True)
                await channel.basic_qos(prefetch_count=200)
                await channel.basic_consume(Queue.POLICY.value, take, arguments={"x-stream-offset": "first"})
                return await _entries(bodies, declared.message_count or 0)
            finally:
                await connection.close()
    except (AMQPError, OSError, TimeoutError) as error:
        raise ActionError(f"the policy stream cannot be read: {type(error).__name__}: {error}") from None


async def _entries(bodies: "asyncio.Queue[bytes]", expected: int) -> list[PolicyEntry]:
    entries: list[PolicyEntry] = []
    seen = 0
    while True:
        try:
            async with asyncio.timeout(_SILENCE_S if seen >= expected else _READ_DEADLINE_S):
                body = await bodies.get()
        except TimeoutError:
            return entries
        seen += 1
        with contextlib.suppress(ValueError):
            entries.append(decode_policy(body))


def in_force(entries: list[PolicyEntry], now: float) -> PolicyEntry | None:
    """Return the entry that every stage follows: the highest version that is valid and not unconfirmed (PURE)."""
    for entry in sorted(entries, key=lambda entry: entry.version, reverse=True):
        if entry.confirm_by is not None and entry.confirm_by <= now:
            continue
        with contextlib.suppress(SettingsError):
            entry.policy()
            return entry
    return None


async def active_policy(desk: Desk) -> PolicyEntry | None:
    """Return the entry in force, or None. Raises ActionError."""
    return in_force(await read_stream(desk.settings.broker), time.time())


async def policy_version(desk: Desk, version: int) -> PolicyEntry:
    """Return a version of the history. Raises ActionError."""
    async with desk.database.reading() as connection:
        row = (
            await connection.execute(select(policy_history).where(policy_history.c.version == version))
        ).one_or_none()
    if row is None:
        raise ActionError(f"there is no policy version {version} in the history")
    return PolicyEntry(row.version, row.author, row.reason, row.at, row.text)


async def apply_policy(desk: Desk, text: str, reason: str, *, based_on: int | None = None) -> Applied:
    """Check a document and make it the policy in force. Raises PolicyError, ActionError.

    based_on: the version that it was made from, so that nobody else's change in between is undone.
    """
    parse_policy(text)
    entries = await read_stream(desk.settings.broker)
    now = time.time()
    before = in_force(entries, now)
    if before is not None and before.text == text:
        return Applied(before, "", is_new=False)
    if based_on is not None and (before is None or before.version != based_on):
        raise ActionError(f"the policy has changed since version {based_on}, from which this was made: do it again")
    async with desk.database.writing() as connection:
        known = await connection.scalar(select(func.max(policy_history.c.version))) or 0
        version = 1 + max([known, *(entry.version for entry in entries)])
        entry = PolicyEntry(version, desk.who, reason, now, text)
        row = {"version": version, "author": desk.who, "reason": reason, "at": now, "text": text}
        # The version is the key: of two who apply at once, one fails here and nothing of his is published.
        await connection.execute(insert(policy_history), [row])
        await desk.note(connection, "policy apply", f"version {version}", reason=reason)
        await desk.publish(
            Exchange.POLICY,
            Key.POLICY,
            encode_policy(entry),
            else_="the old policy stays in force",
            message_type="gatepost.policy.v1",
        )
    return Applied(entry, difference(before, entry), is_new=True)


def difference(before: PolicyEntry | None, after: PolicyEntry) -> str:
    """Return the unified diff of two versions' documents (PURE)."""
    old = before.text.splitlines() if before else []
    name = f"version {before.version}" if before else "nothing"
    lines = difflib.unified_diff(old, after.text.splitlines(), name, f"version {after.version}", lineterm="")
    return "".join(f"{line}\n" for line in lines)
