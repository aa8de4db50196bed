"""The client's side of one login (PURE): what each mechanism is to `client.auth`.

Standards: RFC 4422 §3 (challenges and responses).
On failure: SaslError, whose text says what is wrong and never holds a secret.
"""

from typing import Protocol


class SaslError(Exception):
    """The login cannot go on: the hop said something wrong, or what we have to say cannot be said."""


class Login(Protocol):
    """One login. is_slow: whether `begin` and `respond` may take long, so that they belong in a thread."""

    is_slow: bool

    def begin(self) -> bytes | None:
        """Return the initial response, or None where the hop speaks first. Raises SaslError."""

    def respond(self, challenge: bytes) -> bytes:
        """Return the response to a challenge. Raises SaslError."""

    @property
    def trusts(self) -> bool:
        """Whether the hop's word that we are logged in may be believed now."""

    @property
    def complaint(self) -> str:
        """What the hop said is wrong, beside its reply, if anything."""
