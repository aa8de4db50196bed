"""SMTP accounts as they travel on the stream `gatepost.accounts` (PURE).

Owns: `Account` and `AccountBook`, of which the stream holds whole copies; the highest version wins.
On failure: ValueError naming what is wrong (pydantic's names the place).
"""

from dataclasses import dataclass, field

from pydantic import TypeAdapter


@dataclass(frozen=True, slots=True)
class Account:
    """A login. senders: addresses or `@domain` it may send as; empty: itself.

    argon2: the verifier of its password as PHC string, None if the password is known elsewhere (LDAP, Kerberos) or not
    at all. scram: keys of SCRAM-SHA-256 in their text form. cram_md5: the password itself, where CRAM-MD5 was switched
    on for this account, for it needs that.
    """

    login: str
    argon2: str | None = field(default=None, repr=False)
    senders: tuple[str, ...] = ()
    disabled: bool = False
    scram: str | None = field(default=None, repr=False)
    cram_md5: str | None = field(default=None, repr=False)

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
    return _BOOK.dump_json(book, exclude_none=True)


def decode_accounts(entry: bytes) -> AccountBook:
    """Return the accounts of a stream entry. Raises ValueError."""
    return _BOOK.validate_json(entry)
