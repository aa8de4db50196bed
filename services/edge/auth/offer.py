"""Which SASL mechanisms a client is offered (PURE)."""

from collections.abc import Mapping

from shared.policy.listener import Listener, Mechanism

PLUS = f"{Mechanism.SCRAM_SHA_256.value}-PLUS"


def offered(rules: Listener, bindings: Mapping[str, bytes], *, kerberos: bool) -> list[str]:
    """Return the mechanisms that EHLO lists and AUTH takes, in the order of the policy. kerberos: is set up."""
    names: list[str] = []
    for mechanism in dict.fromkeys(rules.mechanisms):
        if mechanism is Mechanism.GSSAPI and not kerberos:
            continue
        # RFC 5802 §6: wherever the channel can be bound, that is offered, too.
        if mechanism is Mechanism.SCRAM_SHA_256 and bindings:
            names.append(PLUS)
        names.append(mechanism.value)
    return names
