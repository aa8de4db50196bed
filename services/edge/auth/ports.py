"""What logging in asks of other parts."""

from typing import Protocol


class LoginWatch(Protocol):
    """Counts failed logins by address and by account. login: prepared, in lower case; empty where none was named.

    None of these may take long or raise; where nothing can be counted, everybody may try.
    """

    async def may_try(self, address: str, login: str) -> bool:
        """Whether a login may be tried from an address now; False is answered 454, and not looked at further."""

    async def failed(self, address: str, login: str) -> None:
        """Called after each failure."""

    async def succeeded(self, address: str, login: str) -> None:
        """Called after each success."""


class User(Protocol):
    """Somebody whom the directory knows."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """What it says that he may send as."""


class Binds(Protocol):
    """A directory that knows passwords."""

    async def bind(self, login: str, password: bytes) -> User | None:
        """Return whose password it is. Raises TemporaryError, whose reply the client gets."""
