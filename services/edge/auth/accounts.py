"""The accounts in force: the highest version that came on the stream.

On failure: an entry that cannot be read raises ValueError, which the stream's reader logs; the last good one stays.
"""

import structlog

from shared.accounts import Account, decode_accounts

_log = structlog.get_logger()


class Accounts:
    """All accounts, found by login without regard to case."""

    def __init__(self) -> None:
        self.version = -1
        self._by_login: dict[str, Account] = {}

    @property
    def is_known(self) -> bool:
        """Whether the stream has said anything yet."""
        return self.version >= 0

    @property
    def sample(self) -> Account | None:
        """Any account; its verifier shows with which cost passwords are hashed here."""
        return next(iter(self._by_login.values()), None)

    async def take(self, entry: bytes) -> None:
        """Take an entry of the stream. Raises ValueError."""
        book = decode_accounts(entry)
        if book.version <= self.version:
            return
        self._by_login = {account.login.lower(): account for account in book.accounts}
        self.version = book.version
        _log.info("accounts-in-force", version=book.version, accounts=len(self._by_login))

    def find(self, login: str) -> Account | None:
        """Return the enabled account of a login."""
        account = self._by_login.get(login.lower())
        return None if account is None or account.disabled else account
