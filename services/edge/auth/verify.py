"""Checking passwords against Argon2id verifiers, in threads, a few at a time.

An unknown login costs the same time as a wrong password: a verifier of nobody's password is checked in its place.
On failure: LoginUnavailable when too many wait; the client is asked to come again.
"""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

import argon2
import structlog
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from services.edge.auth.accounts import Accounts
from shared.accounts import Account
from shared.errors import TemporaryError
from shared.reply import Reply

_log = structlog.get_logger()
# Each takes as much memory as its verifier says, 64 MiB by default.
_THREADS = 2
_WAITING_LIMIT = 32
# One text for all that is temporary, so that it tells nothing.
_TRY_AGAIN = Reply(454, "4.7.0", "Temporary authentication failure")


class LoginUnavailable(TemporaryError):
    """No answer now: too many wait, too many failed, the accounts are not known yet, a verifier cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, _TRY_AGAIN)


class PasswordVerifier:
    """Answers whether a password is an account's."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="password")
        self._waiting = 0
        self._dummies: dict[str, str] = {}

    async def matches(self, account: Account | None, password: bytes) -> bool:
        """Return whether this is the account's password; without an account, never. Raises LoginUnavailable."""
        if self._waiting >= _WAITING_LIMIT:
            raise LoginUnavailable(f"{self._waiting} passwords wait to be checked")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._matches, account, password)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, account: Account | None, password: bytes) -> bool:
        verifier = account.argon2 if account else None
        try:
            right = argon2.PasswordHasher().verify(verifier or self._dummy(), password)
            return right and bool(verifier)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            _log.error("verifier-unreadable", login=account.login if account else None, cause=str(error))
            raise LoginUnavailable("a verifier cannot be read") from None

    def _dummy(self) -> str:
        sample = self._accounts.argon2_sample
        try:
            parameters = argon2.extract_parameters(sample) if sample else argon2.profiles.RFC_9106_LOW_MEMORY
        except InvalidHashError:
            parameters = argon2.profiles.RFC_9106_LOW_MEMORY
        cost = repr(parameters)
        if cost not in self._dummies:
            self._dummies[cost] = argon2.PasswordHasher.from_parameters(parameters).hash(secrets.token_bytes(16))
        return self._dummies[cost]
