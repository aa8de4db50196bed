"""Whether a message waives TLS, and by which rules a hop is then spoken to (PURE).

Input: the envelope and the message, the rules of the hop. Output: the rules that hold for this message.
Standards: RFC 8689 §3 (`TLS-Required: No`), §4.1 (who asks for both has REQUIRETLS), §4.2.2.
Decided here, deliberately: what is waived is what the recipient's domain publishes (DANE, MTA-STS); a message has no
say in what the administrator's own policy demands.
"""

from services.delivery.client.target import Speech, Target
from shared.auth.message import split_message
from shared.envelope import Envelope
from shared.policy.destination import DeliveryRules, OutboundTls, TlsRequiredNo

FIELD = b"tls-required"


def waives_tls(envelope: Envelope, message: bytes) -> bool:
    """Whether a message asks to be delivered whatever becomes of TLS."""
    # RFC 8689 §4.1: with REQUIRETLS, the field is ignored.
    if envelope.requiretls or FIELD not in _header(message).lower():
        return False
    # RFC 8689 §3: one field, whose only value is "No". More than one must not be; then none counts.
    values = split_message(message).values(FIELD)
    return len(values) == 1 and values[0].strip(b" \t\r\n").lower() == b"no"


def rules_for(rules: DeliveryRules, envelope: Envelope, message: bytes) -> tuple[DeliveryRules, bool]:
    """Return the rules that hold for a message, and whether it has waived TLS."""
    if rules.tls_required_no is TlsRequiredNo.IGNORE or not waives_tls(envelope, message):
        return rules, False
    # RFC 8689 §3: what the recipient's domain asserts is ignored; STARTTLS is used where it is offered.
    return rules.model_copy(update={"dane": False, "mta_sts": False}), True


def without_starttls(rules: DeliveryRules, target: Target) -> DeliveryRules | None:
    """Return the rules for a host whose STARTTLS fails a message that has waived TLS, or None where it must wait."""
    # A login is never given away in plain text, and the administrator's own demand stays.
    if rules.tls is not OutboundTls.OPPORTUNISTIC or rules.auth is not None or target.speech is Speech.SMTPS:
        return None
    return rules.model_copy(update={"tls": OutboundTls.OFF})


def _header(message: bytes) -> bytes:
    end = message.find(b"\r\n\r\n")
    return message[:end] if end >= 0 else message
