"""Verifiers of passwords (I/O: threads).

Standards: RFC 9106 (Argon2id).
A verification takes 64 MiB and a tenth of a second, so few run at once, in threads of their own, and few wait: whoever
sends log-ins by the thousand gets 503, and mail and pages go on.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.console.actions.desk import ActionError
from services.console.identity.password_rules import PasswordRefused, acceptable, prepared
from services.console.identity.secret import new_secret

Result = TypeVar("Result")
_AT_ONCE = 2
_WAITING = 24
# RFC 9106 §4: argon2-cffi's own parameters follow the second recommended option.
_HASHER = PasswordHasher()


class TooBusy(ActionError):
    """More log-ins at once than can be looked at."""

    status = 503


class _Threads:
    """Those that hash. Independent of any event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="passwords")
        self._busy = 0
        self._decoy = ""

    async def run(self, work: Callable[[], Result]) -> Result:
        """Do work in a thread. Raises TooBusy."""
        if self._busy >= _AT_ONCE + _WAITING:
            raise TooBusy("too many log-ins at once: try again in a moment")
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._busy -= 1

    def decoy(self) -> str:
        """Return the verifier of a password that nobody knows. Called in a thread."""
        if not self._decoy:
            self._decoy = _HASHER.hash(new_secret())
        return self._decoy


_threads = _Threads()


async def verifier_of(password: str, name: str) -> str:
    """Return what is kept of a new password. Raises PasswordRefused, TooBusy."""
    text = acceptable(password, name)
    return await _threads.run(lambda: _HASHER.hash(text))


async def is_right(password: str, verifier: str) -> bool:
    """Whether a password is the one of a verifier. With an empty one it is not, after the same time. Raises TooBusy."""
    try:
        text = prepared(password)
    except PasswordRefused:
        text, verifier = "", ""
    return await _threads.run(lambda: _verified(text, verifier))


async def renewed(password: str, verifier: str) -> str | None:
    """Return a verifier by today's parameters for a password that is right, None if it has them. Raises TooBusy."""
    if not _HASHER.check_needs_rehash(verifier):
        return None
    text = prepared(password)
    return await _threads.run(lambda: _HASHER.hash(text))


def _verified(text: str, verifier: str) -> bool:
    try:
        return _HASHER.verify(verifier or _threads.decoy(), text) and bool(verifier)
    except (VerificationError, InvalidHashError):
        return False
