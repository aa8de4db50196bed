"""The accounts in force: the highest version that came on the stream.

On failure: an entry that cannot be read raises ValueError, which the stream's reader logs; the last good one stays.
"""

import structlog

from shared.accounts import Account, decode_accounts

_log = structlog.get_logger()


class Accounts:
    """All accounts, found by login without regard to case.

    argon2_sample, scram_sample: a verifier of anybody; it shows with which cost passwords are hashed here.
    """

    def __init__(self) -> None:
        self.version = -1
        self.argon2_sample: str | None = None
        self.scram_sample: str | None = None
        self._by_login: dict[str, Account] = {}

    @property
    def is_known(self) -> bool:
        """Whether the stream has said anything yet."""
        return self.version >= 0

    async def take(self, entry: bytes) -> None:
        """Take an entry of the stream. Raises ValueError."""
        book = decode_accounts(entry)
        if book.version <= self.version:
            return
        self._by_login = {account.login.lower(): account for account in book.accounts}
        self.argon2_sample = next((account.argon2 for account in book.accounts if account.argon2), None)
        self.scram_sample = next((account.scram for account in book.accounts if account.scram), None)
        self.version = book.version
        _log.info("accounts-in-force", version=book.version, accounts=len(self._by_login))

    def look_up(self, login: str) -> Account | None:
        """Return the account of a login, even if it is disabled."""
        return self._by_login.get(login.lower())

    def find(self, login: str) -> Account | None:
        """Return the enabled account of a login."""
        account = self.look_up(login)
        return None if account is None or account.disabled else account
