"""Recovery codes: each opens the console once, in place of an app or key that was lost (I/O: SQL).

Owns: how a code looks, what is kept of it, and that it is good once. A code has 80 random bits and its digest is keyed
by the console's secret and bound to its user: neither the database alone nor another user's code is of any use.
A new secret makes all codes void, as it does the links of quarantine's reports.
Standards: NIST SP 800-63B §5.1.2 (look-up secrets).
"""

import hashlib
import hmac
import secrets
import time

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.console.identity.tables import recovery_codes
from services.console.settings import ConsoleSettings

HOW_MANY = 10
# So few left are a reason to make new ones.
FEW = 3
# Crockford's base 32: nothing in it is taken for something else.
_LETTERS = "0123456789abcdefghjkmnpqrstvwxyz"
_READ_AS = str.maketrans("ilo", "110", "- \t")
_LENGTH = 16
_GROUP = 4


def new_code() -> str:
    """Return a new code, in groups of four."""
    letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
    return "-".join(letters[at : at + _GROUP] for at in range(0, _LENGTH, _GROUP))


def canonical_code(typed: str) -> str | None:
    """Return what was typed as the letters of a code, None if it cannot be one."""
    letters = typed.strip().lower().translate(_READ_AS)
    return letters if len(letters) == _LENGTH and all(letter in _LETTERS for letter in letters) else None


async def make_codes(connection: AsyncConnection, settings: ConsoleSettings, user: str) -> list[str]:
    """Return new codes of a user; the earlier ones are void."""
    codes = [new_code() for _ in range(HOW_MANY)]
    now = time.time()
    rows = [{"digest": _digest(settings, user, code), "user_name": user, "made_at": now} for code in codes]
    await forget_codes(connection, user)
    await connection.execute(insert(recovery_codes), rows)
    return codes


async def take_recovery_code(connection: AsyncConnection, settings: ConsoleSettings, user: str, typed: str) -> bool:
    """Use a code up. Returns whether it was one of the user's."""
    code = canonical_code(typed)
    if code is None:
        return False
    this = (recovery_codes.c.digest == _digest(settings, user, code), recovery_codes.c.user_name == user)
    return bool((await connection.execute(delete(recovery_codes).where(*this))).rowcount)


async def codes_left(connection: AsyncConnection, user: str) -> int:
    """Return how many codes a user has."""
    mine = select(func.count()).select_from(recovery_codes).where(recovery_codes.c.user_name == user)
    return int(await connection.scalar(mine) or 0)


async def forget_codes(connection: AsyncConnection, user: str) -> None:
    """Make all codes of a user void."""
    await connection.execute(delete(recovery_codes).where(recovery_codes.c.user_name == user))


def _digest(settings: ConsoleSettings, user: str, code: str) -> str:
    assert settings.web is not None, "there are no pages without it"
    text = f"recovery code {canonical_code(code)} {user}".encode("utf-8", "surrogatepass")
    return hmac.new(settings.web.secret.get_secret_value().encode(), text, hashlib.sha256).hexdigest()
