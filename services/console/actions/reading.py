"""Reading quarantined mail: why it is held, and what is in it (I/O: a thread).

The message is taken apart in a thread, a few at a time: it may cost a second, and nothing else must wait for it.
On failure: ActionError where it takes too long.
"""

import asyncio

from services.console.actions.desk import ActionError
from services.console.actions.quarantine import Held, envelope_of
from services.console.answers.quarantine import Account
from services.console.mail_view.view import MailView, view_of
from services.console.story.held import record, why_held
from shared.verdict import Action

__all__ = ["Account", "account_of", "read_mail"]

_DEADLINE_S = 20.0
_AT_ONCE = asyncio.Semaphore(2)


def account_of(copy: Held) -> Account:
    """Return what is known of a copy, without its text (PURE)."""
    envelope = envelope_of(copy)
    reasons = envelope.verdict.reasons if envelope is not None and envelope.verdict is not None else ()
    return Account(
        tuple(why_held(copy.reason, copy.check, copy.evidence)),
        tuple(record(envelope)) if envelope is not None else ("Its envelope cannot be read.",),
        tuple(dict.fromkeys(one.key for one in reasons if one.action is not Action.ACCEPT)),
        examined=envelope is not None and envelope.verdict is not None,
        proved=envelope is not None and envelope.proved is not None,
    )


async def read_mail(copy: Held) -> MailView | None:
    """Return what is in a copy, or None where its message is gone. Raises ActionError."""
    if not copy.message:
        return None
    try:
        async with asyncio.timeout(_DEADLINE_S), _AT_ONCE:
            return await asyncio.to_thread(view_of, copy.message)
    except TimeoutError:
        raise ActionError("this message takes too long to take apart: download it, and look at it elsewhere") from None
