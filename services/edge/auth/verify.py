"""Checking passwords against Argon2id verifiers, in threads, a few at a time.

An unknown login costs the same time as a wrong password: a verifier of nobody's password is checked in its place.
On failure: VerifierBusy when too many wait; the client is asked to come again.
"""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor

import argon2
import structlog
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from services.edge.auth.accounts import Accounts
from services.edge.auth.mechanisms import Credentials
from shared.accounts import Account
from shared.errors import TemporaryError
from shared.reply import Reply

_log = structlog.get_logger()
# Each takes as much memory as its verifier says, 64 MiB by default.
_THREADS = 2
_WAITING_LIMIT = 32
_TRY_AGAIN = Reply(454, "4.7.0", "Temporary authentication failure")


class VerifierBusy(TemporaryError):
    """No answer now: too many passwords wait, the accounts are not known yet, or a verifier cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, _TRY_AGAIN)


class PasswordVerifier:
    """Answers whose password it is."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="password")
        self._waiting = 0
        self._dummies: dict[str, str] = {}

    async def check(self, credentials: Credentials) -> Account | None:
        """Return the account whose password this is, or None. Raises VerifierBusy."""
        if not self._accounts.is_known:
            raise VerifierBusy("the accounts are not known yet")
        if self._waiting >= _WAITING_LIMIT:
            raise VerifierBusy(f"{self._waiting} passwords wait to be checked")
        account = self._accounts.find(credentials.login)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            matches = await loop.run_in_executor(self._threads, self._matches, account, credentials.password)
        finally:
            self._waiting -= 1
        return account if matches else None

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _matches(self, account: Account | None, password: bytes) -> bool:
        verifier = account.argon2 if account else self._dummy()
        try:
            return argon2.PasswordHasher().verify(verifier, password) and account is not None
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            _log.error("verifier-unreadable", login=account.login if account else None, cause=str(error))
            raise VerifierBusy("a verifier cannot be read") from None

    def _dummy(self) -> str:
        sample = self._accounts.sample
        try:
            parameters = argon2.extract_parameters(sample.argon2) if sample else argon2.profiles.RFC_9106_LOW_MEMORY
        except InvalidHashError:
            parameters = argon2.profiles.RFC_9106_LOW_MEMORY
        cost = repr(parameters)
        if cost not in self._dummies:
            self._dummies[cost] = argon2.PasswordHasher.from_parameters(parameters).hash(secrets.token_bytes(16))
        return self._dummies[cost]
