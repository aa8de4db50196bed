"""What is sent to content to be tried (PURE): a message as SMTP would have brought it, and its envelope.

Input: what an administrator says of a message, or a held copy. Output: an `Envelope` under an id of its own, so that
nothing that is said of a trial can be taken for the mail's.
On failure: ValueError for a client, listener or address that is none.
"""

import re
from dataclasses import replace

from services.console.simulate import Asked
from shared.address import parse_address
from shared.envelope import Client, Envelope, Recipient, Retry
from shared.policy import Policy
from shared.policy.client import ClientFacts, plain_ip

_LINE_ENDS = re.compile(rb"\r\n|\r|\n")
_TLS = "TLSv1.3"


def as_sent(message: bytes) -> bytes:
    """Return a message with the line ends that SMTP has; a file may have its system's.

    RFC 5321 §2.3.8: lines end with CRLF, and edge takes no others.
    """
    return _LINE_ENDS.sub(b"\r\n", message)


def envelope_of(policy: Policy, asked: Asked, message: bytes, name: str, now: float) -> Envelope:
    """Return the envelope that edge would make. name: the trial's id. Raises ValueError."""
    listener = policy.listeners.get(asked.listener)
    if listener is None:
        raise ValueError(f"there is no listener {asked.listener!r}: {', '.join(policy.listeners)}")
    sender = "" if asked.sender in ("", "<>") else str(parse_address(asked.sender))
    client = ClientFacts(plain_ip(asked.client), asked.name, asked.helo or None, None, asked.login)
    return Envelope(
        id=name,
        received_at=now,
        listener=asked.listener,
        direction=listener.direction,
        client=Client(
            str(plain_ip(asked.client)),
            0,
            asked.helo,
            name=asked.name,
            tls=_TLS if asked.tls else None,
            login=asked.login,
        ),
        sender=sender,
        recipients=tuple(Recipient(str(parse_address(one))) for one in asked.recipients),
        size_bytes=len(message),
        proved=policy.relay.proof(client, sender),
    )


def envelope_again(held: Envelope, message: bytes, name: str, now: float) -> Envelope:
    """Return the envelope of a held mail as if it came now: without what was decided, or let past, before."""
    return replace(
        held,
        id=name,
        received_at=now,
        size_bytes=len(message),
        verdict=None,
        results="",
        hop=None,
        parent=None,
        retry=Retry(),
        bypass=(),
        released_by="",
    )
