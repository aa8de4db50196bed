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
