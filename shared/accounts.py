"""SMTP accounts as they travel on the stream `gatepost.accounts` (PURE).

Owns: `Account` and `AccountBook`, of which the stream holds whole copies; the highest version wins.
On failure: ValueError naming what is wrong (pydantic's names the place).
"""

from dataclasses import dataclass, field

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Account:
    """A login. argon2: the verifier as PHC string. senders: addresses or `@domain` it may send as; empty: itself."""

    login: str
    argon2: str
    senders: tuple[str, ...] = ()
    disabled: bool = False

    def may_send_as(self, sender: str) -> bool:
        """Whether the envelope sender is bound to this login. The null sender (DSNs, read receipts) always is."""
        if not sender:
            return True
        wanted = sender.lower()
        domain = "@" + wanted.rpartition("@")[2]
        return any(entry.lower() in (wanted, domain) for entry in self.senders or (self.login,))


@dataclass(frozen=True, slots=True)
class AccountBook:
    """All accounts at one version."""

    version: int
    accounts: tuple[Account, ...] = field(default_factory=tuple)

    def find(self, login: str) -> Account | None:
        """Return the enabled account of a login, compared without case."""
        wanted = login.lower()
        for account in self.accounts:
            if account.login.lower() == wanted:
                return None if account.disabled else account
        return None


_BOOK = TypeAdapter(AccountBook)


def encode_accounts(book: AccountBook) -> bytes:
    """Return the stream entry of all accounts."""
    return _BOOK.dump_json(book)


def decode_accounts(entry: bytes) -> AccountBook:
    """Return the accounts of a stream entry. Raises ValueError."""
    return _BOOK.validate_json(entry)
