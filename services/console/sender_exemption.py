"""What exemption lets the sender of a held mail through from now on (PURE).

Decided here: only checks that objected to this mail are named, never malware and the form of messages; only a proved
sender, for anybody can write another's address; only for the domains of the mail's recipients.
On failure: NoExemption, whose text says what may be done instead.
"""

from collections.abc import Collection

from services.console.exemption_edit import Keys
from shared.envelope import Direction, Envelope
from shared.verdict import Action, CheckName

# What these find is in the message, whoever sent it.
_NEVER = frozenset({CheckName.ANTIVIRUS, CheckName.STRUCTURE, CheckName.BRAKE})
_NAME = 60


class NoExemption(ValueError):
    """A sender who cannot be let through; the text is for the administrator."""


def sender_exemption(envelope: Envelope, why: str, who: str, taken_names: Collection[str]) -> Keys:
    """Return the keys of the exemption. taken_names: of those that there are. Raises NoExemption."""
    if envelope.direction is not Direction.INBOUND:
        raise NoExemption("it is mail of our own users: rules for a login are the policy's matter")
    if not envelope.sender:
        raise NoExemption("it has no return address, so there is no sender to let through")
    if envelope.proved is None:
        raise NoExemption(
            f"{envelope.sender} is not proved: neither SPF, DKIM nor DMARC says that it is who it says, so anybody "
            "could come in under that name; release this mail alone, or exempt the client's network in the policy"
        )
    reasons = envelope.verdict.reasons if envelope.verdict is not None else ()
    checks = dict.fromkeys(reason.check for reason in reasons if reason.action is not Action.ACCEPT)
    if found := [check.value for check in checks if check in _NEVER]:
        raise NoExemption(f"{', '.join(found)} speaks against it: what it finds is dangerous whoever sends it")
    if not checks:
        raise NoExemption("no check objected to it, so there is nothing to exempt the sender from")
    return {
        "name": _free_name(envelope.sender, taken_names),
        "reason": f"{why} ({who}, {envelope.id})"[:200],
        "checks": [check.value for check in checks],
        "direction": "inbound",
        "senders": [envelope.sender],
        "domains": sorted({recipient.domain for recipient in envelope.recipients}),
    }


def _free_name(sender: str, taken: Collection[str]) -> str:
    base = f"sender {sender}"
    name, number = base[:_NAME], 1
    while name in taken:
        number += 1
        end = f" ({number})"
        name = base[: _NAME - len(end)] + end
    return name
