"""The SASL mechanism GSSAPI, which is Kerberos V5 (PURE; the tickets are looked at by an `Acceptor`).

Standards: RFC 4752. The one security layer that is offered is none: TLS is there already.
On failure: MechanismError for what breaks the rules; a ticket that is no good is a `Ticket` without principal.
"""

from typing import Protocol

from services.edge.auth.exchange import Exchange, Ticket, malformed

# Kerberos needs one round, or two with DCE style.
_ROUNDS = 5
_NO_LAYER = 1
# RFC 4752 §3.3: the layers we offer, and in three octets how long a message of theirs may be: there are none.
_OFFER = bytes((_NO_LAYER, 0, 0, 0))


class Rejected(Exception):
    """A token that is no good; the text is for the log."""


class Acceptor(Protocol):
    """The server's side of one GSS-API context. Each method may raise Rejected, and TemporaryError."""

    @property
    def is_complete(self) -> bool:
        """Whether the context stands."""

    def step(self, token: bytes) -> bytes:
        """Take a token of the client and return ours, maybe empty."""

    def wrap(self, octets: bytes) -> bytes:
        """Protect octets against change."""

    def unwrap(self, octets: bytes) -> bytes:
        """Return octets that were protected."""

    @property
    def principal(self) -> str:
        """Who the client is, once the context stands."""


def gssapi(initial: bytes | None, acceptor: Acceptor) -> Exchange:
    """Carry out GSSAPI."""
    token = initial if initial is not None else (yield b"")
    try:
        for _ in range(_ROUNDS):
            answer = acceptor.step(token or b"")
            if acceptor.is_complete:
                break
            token = yield answer
        else:
            malformed("Too many tokens")
        # RFC 4752 §3.1: our last token, if there is one, is answered with nothing.
        if answer and (yield answer):
            malformed("Nothing was expected here")
        choice = acceptor.unwrap((yield acceptor.wrap(_OFFER)) or b"")
    except Rejected:
        return Ticket(None)
    # RFC 4752 §3.3: the layer must be one that was offered, and with none the size is 0.
    if len(choice) < len(_OFFER) or choice[: len(_OFFER)] != _OFFER:
        malformed("No security layer is to be had")
    try:
        return Ticket(acceptor.principal, choice[len(_OFFER) :].decode("utf-8"))
    except UnicodeDecodeError:
        malformed("Not UTF-8")
