"""Doing one thing to many quarantined mails, one after the other (I/O: SQL, broker, the antispam engine).

Each mail is an action of its own, with its own row in the audit, as if it had been asked for alone: one that fails says
why, and the others go on. What was done stays done, so that what is left can be asked for again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from sqlalchemy.exc import SQLAlchemyError

from services.console.actions import learning, quarantine
from services.console.actions.desk import ActionError, Desk, NotUnderstood
from services.console.actions.learning import Class
from services.console.release import Wish

LIMIT = 500


class Deed(StrEnum):
    """What is done to each."""

    RELEASE = "release"
    DELETE = "delete"
    HAM = "ham"
    SPAM = "spam"


@dataclass(frozen=True, slots=True)
class Copy:
    """A quarantined copy, by name."""

    id: str
    part: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A copy to which it was not done, and why."""

    id: str
    part: str
    why: str


@dataclass(slots=True)
class Bulk:
    """How far it is. total: how many copies were asked for."""

    deed: Deed
    why: str
    total: int
    done: int = 0
    failed: list[Failed] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """How many were tried."""
        return self.done + len(self.failed)


def prepared(deed: Deed, copies: Sequence[Copy], why: str) -> Bulk:
    """Return what is about to begin. Raises NotUnderstood for none, too many, or no reason."""
    if not copies:
        raise NotUnderstood("tick the mails that you mean")
    if len(copies) > LIMIT:
        raise NotUnderstood(f"at most {LIMIT} at a time, and these are {len(copies)}")
    if not why.strip():
        raise NotUnderstood("say in a few words why: it stands in the audit")
    return Bulk(deed, why.strip(), len(set(copies)))


async def carry_out(desk: Desk, bulk: Bulk, copies: Sequence[Copy]) -> None:
    """Do it to each copy once, telling in `bulk` how far it is."""
    for copy in dict.fromkeys(copies):
        try:
            await _one(desk, bulk, copy)
        except ActionError as error:
            bulk.failed.append(Failed(copy.id, copy.part, str(error)))
        except SQLAlchemyError as error:
            bulk.failed.append(Failed(copy.id, copy.part, f"the database does not do it ({type(error).__name__})"))
        else:
            bulk.done += 1


async def _one(desk: Desk, bulk: Bulk, copy: Copy) -> None:
    match bulk.deed:
        case Deed.RELEASE:
            await quarantine.release(desk, copy.id, Wish(desk.who, part=copy.part), bulk.why)
        case Deed.DELETE:
            await quarantine.delete(desk, copy.id, copy.part, bulk.why)
        case Deed.HAM:
            await learning.learn(desk, copy.id, Class.HAM, copy.part, bulk.why)
        case Deed.SPAM:
            await learning.learn(desk, copy.id, Class.SPAM, copy.part, bulk.why)
        case _:
            assert_never(bulk.deed)
