"""What TLS a host is to show, by our policy and by what its domain publishes (I/O: asks DNS, and for MTA-STS policies).

Input: a target, the rules of its hop, whether the message asks for REQUIRETLS. Output: `TlsDemand`.
Standards: RFC 7672 §2 (DANE), RFC 8461 §4 (MTA-STS), RFC 8689 §4.2.1 (REQUIRETLS).
Decided here: DANE goes before MTA-STS (RFC 8461 §2), and nothing that is published makes the policy's level any lower.
On failure: DnsTemporary where it is not known what is demanded, TlsImpossible where it cannot be met; no downgrade.
"""

from dataclasses import replace

from services.delivery.client.target import Target
from services.delivery.tls.combine import of_policy, with_dane, with_sts
from services.delivery.tls.dane import told, usable
from services.delivery.tls.demand import Demander, TlsDemand
from services.delivery.tls.sts import StsPolicies
from services.delivery.tls.sts_policy import StsPolicy
from shared.dns.answer import TLSA, Answer, BadName, Resolver
from shared.mta_sts import StsMode
from shared.policy.destination import DeliveryRules, OutboundTls
from shared.reply import Reply
from shared.tls_seen import PolicyType, TlsFailure, TlsPolicy, TlsResult, TlsSeen

SMTP_PORT = 25
_ALIASES_LIMIT = 8
# RFC 8460 §4.4 shows them all; a report is to stay readable.
_TOLD_RECORDS = 20


class TlsImpossible(Exception):
    """A host is not to be used. seen: it, for reports; None where nobody takes any.

    final: what the message is told if no other host does better, where a further try is not allowed (REQUIRETLS).
    """

    def __init__(
        self, target: Target, failure: TlsFailure, published: TlsPolicy, *, requiretls: bool, told: bool = True
    ) -> None:
        super().__init__(failure.reason)
        self.tls_failure = failure
        # RFC 8689 §4.2.1: without TLS with the right server, the message is returned.
        self.final = Reply(550, "5.7.10", f"{target.host}: {failure.reason}") if requiretls else None
        self.seen = None
        if target.domain and told:
            self.seen = TlsSeen(
                target.domain, published, failure.result, target.host, "", target.address, failure.reason
            )


class Securing:
    """Finds out what is demanded of hosts."""

    def __init__(self, resolver: Resolver, sts: StsPolicies) -> None:
        self._resolver = resolver
        self._sts = sts

    async def demand_for(self, target: Target, rules: DeliveryRules, *, requiretls: bool) -> TlsDemand:
        """Return what a host must show. Raises DnsTemporary, TlsImpossible."""
        demand = replace(of_policy(target, rules), is_told=_asks(rules))
        if target.path:
            # A socket of this host, where no network hears; its server may offer TLS or not.
            return demand
        if demand.level is OutboundTls.OFF:
            return self._kept(demand, target, requiretls=requiretls)
        if rules.dane or rules.tls is OutboundTls.DANE:
            base, records = await self._records(target)
            if records:
                demand = with_dane(demand, target, base, usable(records), _published(base, records))
        if rules.tls is OutboundTls.DANE and not demand.tlsa:
            failure = TlsFailure(TlsResult.DANE_REQUIRED, "no usable TLSA record that DNSSEC proves names this host")
            raise TlsImpossible(target, failure, demand.published, requiretls=requiretls)
        sts = None
        # RFC 8461 §2: MTA-STS must not override DANE.
        if rules.mta_sts and target.domain and not demand.tlsa:
            demand, sts = await self._with_sts(demand, target, requiretls=requiretls)
        return self._kept(demand, target, requiretls=requiretls, sts=sts)

    async def _records(self, target: Target) -> tuple[str, list[TLSA]]:
        """Return the TLSA records of a host and the name that they stand at; none where DNSSEC proves nothing."""
        if not target.named_securely or target.host == target.address:
            return "", []
        # The world knows the hosts of MX records by port 25, whatever port a firewall makes of it here (`mx_port`).
        port = SMTP_PORT if target.domain else target.port
        for base in await self._bases(target):
            answer = await self._lookup(f"_{port}._tcp.{base}", "TLSA")
            # RFC 7672 §2.2: records that DNSSEC does not prove count as none.
            if answer is not None and answer.secure and (records := list(answer.tlsa())):
                return base, records
        return "", []

    async def _bases(self, target: Target) -> list[str]:
        """Return the names at which TLSA records may stand, the best first."""
        host = target.host
        expanded = await self._expanded(host) if target.secure else None
        if expanded is not None and expanded != host:
            # RFC 7672 §2.2.2: the name that the host is an alias of goes first, where the whole chain is secure.
            return [expanded, host]
        if target.secure:
            return [host]
        # RFC 7672 §2.2.2: an alias in a signed zone for a host in an unsigned one may still have records of its own.
        # A host that is none, with an address that nothing proves, is not even asked for (§2.1.3).
        alias = await self._lookup(host, "CNAME") if target.domain else None
        return [host] if alias is not None and alias.secure and alias.names() else []

    async def _expanded(self, host: str) -> str:
        for _ in range(_ALIASES_LIMIT):
            answer = await self._lookup(host, "CNAME")
            if answer is None or not answer.names():
                break
            host = answer.names()[0]
        return host

    async def _lookup(self, name: str, rdtype: str) -> Answer | None:
        # RFC 7672 §2.1.2: without an answer, the host is not used: DnsTemporary passes through.
        try:
            return await self._resolver.lookup(name, rdtype)
        except BadName:
            return None

    async def _with_sts(
        self, demand: TlsDemand, target: Target, *, requiretls: bool
    ) -> tuple[TlsDemand, StsPolicy | None]:
        found = await self._sts.find(target.domain)
        if found.trouble is not None:
            demand = replace(demand, published=TlsPolicy(PolicyType.STS), trouble=found.trouble)
        policy = found.policy
        if policy is None or policy.mode is StsMode.NONE:
            return demand, None
        demand = replace(demand, published=TlsPolicy(PolicyType.STS, policy.lines, policy.mx))
        if policy.names(target.host):
            return with_sts(demand, target, on_trial=policy.mode is StsMode.TESTING), policy
        failure = TlsFailure(
            TlsResult.FAILED, f"{target.host} is no mail server by the MTA-STS policy of {target.domain}"
        )
        # RFC 8461 §5: in testing, mail goes there all the same.
        if policy.mode is StsMode.ENFORCE:
            raise TlsImpossible(target, failure, demand.published, requiretls=requiretls)
        return replace(demand, trouble=failure), None

    def _kept(self, demand: TlsDemand, target: Target, *, requiretls: bool, sts: StsPolicy | None = None) -> TlsDemand:
        """Return the demand with what REQUIRETLS adds to it. Raises TlsImpossible."""
        if not requiretls:
            return demand
        if demand.level is OutboundTls.OFF:
            failure = TlsFailure(TlsResult.FAILED, "REQUIRETLS cannot be kept: TLS is off for this hop")
            raise TlsImpossible(target, failure, demand.published, requiretls=True, told=False)
        # RFC 8689 §4.2.1: a host that only an unproved MX record names must be named by MTA-STS as well.
        if not target.named_securely and sts is None:
            failure = TlsFailure(
                TlsResult.FAILED,
                f"REQUIRETLS cannot be kept: neither DNSSEC nor MTA-STS proves the MX of {target.domain}",
            )
            raise TlsImpossible(target, failure, demand.published, requiretls=True, told=False)
        if not demand.is_authenticated:
            demand = replace(demand, level=OutboundTls.VERIFIED, demander=Demander.REQUIRETLS, names=(target.host,))
        return replace(demand, requiretls=True)


def _asks(rules: DeliveryRules) -> bool:
    # RFC 8460 §4.4: "no-policy-found" would not be true of a domain whose policy was not looked for.
    return rules.tls is not OutboundTls.OFF and (rules.dane or rules.mta_sts or rules.tls is OutboundTls.DANE)


def _published(base: str, records: list[TLSA]) -> TlsPolicy:
    # RFC 8460 §1.1: the policy domain of DANE is the TLSA base domain (RFC 7672 §2.2.3).
    return TlsPolicy(PolicyType.TLSA, tuple(told(record) for record in records[:_TOLD_RECORDS]), domain=base)
