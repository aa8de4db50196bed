"""How the demands of our policy, of DANE and of MTA-STS come together (PURE).

Input: the rules of a hop, what its domain publishes. Output: `TlsDemand`, never below what any of them demands.
Standards: RFC 7672 §2.2 and §3, RFC 8461 §4.2 and §5.
"""

from dataclasses import replace

from services.delivery.client.target import Target
from services.delivery.tls.demand import Demander, TlsDemand
from shared.dns.answer import TLSA
from shared.policy.destination import DeliveryRules, OutboundTls
from shared.tls_seen import TlsFailure, TlsPolicy, TlsResult

# What the policy may say without asking for a certificate; what is published then takes the place of it.
_UNAUTHENTICATED = frozenset({OutboundTls.OPPORTUNISTIC, OutboundTls.REQUIRED, OutboundTls.DANE})


def of_policy(target: Target, rules: DeliveryRules) -> TlsDemand:
    """Return what the policy alone demands of a host."""
    level = rules.tls
    if target.path and level is not OutboundTls.OFF:
        level = OutboundTls.OPPORTUNISTIC
    names = tuple(rules.tls_names) or (target.host,)
    return TlsDemand(
        level=level,
        names=names,
        # The certificate that is looked for is the one to ask for.
        server_name=target.host if target.host in names else names[0],
        fingerprints=tuple(rules.tls_fingerprints),
        authority=rules.tls_authority,
        client_certificate=rules.client_certificate,
    )


def with_dane(
    demand: TlsDemand, target: Target, base: str, records: tuple[TLSA, ...], published: TlsPolicy
) -> TlsDemand:
    """Return a demand with what TLSA records add. base: the name that they stand at. records: those that are usable."""
    demand = replace(demand, published=published)
    weak = demand.level in _UNAUTHENTICATED
    if not records:
        # RFC 7672 §2.2: records of which none is usable still say that there is TLS: no plain text.
        trouble = TlsFailure(TlsResult.TLSA_INVALID, f"none of the TLSA records at {base} is usable")
        demand = replace(demand, trouble=trouble)
        if demand.level is OutboundTls.OPPORTUNISTIC:
            demand = replace(demand, level=OutboundTls.REQUIRED, demander=Demander.DANE)
        return demand
    return replace(
        demand,
        level=OutboundTls.DANE if weak else demand.level,
        demander=Demander.DANE if weak and demand.level is not OutboundTls.DANE else demand.demander,
        # RFC 7672 §8.1: the client asks for the certificate of the name that the records stand at.
        server_name=base if weak else demand.server_name,
        tlsa=records,
        # RFC 7672 §3.2.2: the name of the records, of the host, or of the domain.
        tlsa_names=tuple(dict.fromkeys(name for name in (base, target.host, target.domain) if name)),
    )


def with_sts(demand: TlsDemand, target: Target, *, on_trial: bool) -> TlsDemand:
    """Return a demand with what an MTA-STS policy adds that names the host."""
    if on_trial:
        return replace(demand, trial=(target.host,))
    if demand.level not in _UNAUTHENTICATED:
        return demand
    # RFC 8461 §4.2: a certificate by a known authority, for the name of the host.
    return replace(
        demand,
        level=OutboundTls.VERIFIED,
        demander=Demander.MTA_STS,
        names=(target.host,),
        server_name=target.host,
    )
