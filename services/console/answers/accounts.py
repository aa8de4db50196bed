"""SMTP accounts and their brakes (PURE)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listed:
    """An account as a list shows it. elsewhere: its password is known to the directory or to Kerberos."""

    login: str
    senders: tuple[str, ...]
    disabled: bool
    created_at: float
    elsewhere: bool
    cram_md5: bool


@dataclass(frozen=True, slots=True)
class Braked:
    """An account that is held back. message_id: the message that was too much. left_s: how long it still lasts."""

    login: str
    message_id: str
    left_s: float


@dataclass(frozen=True, slots=True)
class Made:
    """The account. password: where it was made here; it is told this once."""

    account: Listed
    password: str | None = None


@dataclass(frozen=True, slots=True)
class LogIn:
    """A message that came with a log-in, or a log-in that was refused (refused: why). state: of the message now."""

    id: str
    at: float
    login: str
    address: str
    listener: str
    sender: str
    recipients: tuple[str, ...] = ()
    subject: str = ""
    state: str | None = None
    refused: str = ""
