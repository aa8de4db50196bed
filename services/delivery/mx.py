"""The hosts of a domain, as DNS names them, and which of them may be connected to (I/O: asks the resolver).

Input: a domain, an address literal, or a configured route. Output: `Target`s in the order in which they are tried, at
most ten, of twenty MX records at most.
Standards: RFC 5321 §5.1 (MX, implicit MX, our own place in the list), RFC 7505 (null MX), RFC 6890 (special addresses).
Decided here: DNS never leads us to loopback, private or link-local addresses, or to ourselves; only a configured route
may name those. What is connected to is the address that was checked. IPv4 is tried before IPv6, whose reverse names and
reputation are more often missing.
On failure: DnsTemporary; NoHost for what no further try will mend.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from services.delivery.client.target import Speech, Target
from shared.dns.answer import MX, Answer, BadName, DnsTemporary, Resolver
from shared.dns.names import is_address
from shared.dns.reach import is_of_this_machine, is_public
from shared.reply import Reply
from shared.routes import Route, RouteKind

SMTP_PORT = 25
TARGETS_LIMIT = 10
# RFC 5321 §5.1 allows a bound. A domain may name thousands, each in a zone that leaves us waiting.
EXCHANGES_LIMIT = 20
# After so many that leave us waiting, what was found before is enough.
SILENT_LIMIT = 4
_SPEECH = {RouteKind.SMTP: Speech.SMTP, RouteKind.SMTPS: Speech.SMTPS, RouteKind.LMTP: Speech.LMTP}


class NoHost(Exception):
    """There is no host to deliver to, for good. reply: what the sender is told."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Addresses:
    """A host's addresses, IPv4 first. secure: DNSSEC proves all that was asked for them."""

    found: tuple[str, ...]
    secure: bool


Shuffle = Callable[[list[MX]], None]


class Exchangers:
    """Finds the targets of domains. own_addresses: ours beside those of this machine (a proxy's, say)."""

    def __init__(
        self,
        resolver: Resolver,
        our_name: str,
        own_addresses: Sequence[str] = (),
        *,
        allow_private: bool = False,
        port: int = SMTP_PORT,
        shuffle: Shuffle | None = None,
    ) -> None:
        self._resolver = resolver
        self._our_name = our_name.lower()
        self._own = frozenset(ip_address(text) for text in own_addresses)
        self._allow_private = allow_private
        self._port = port
        self._shuffle = shuffle

    async def targets(self, domain: str) -> list[Target]:
        """Return whom to connect to for a domain. Raises DnsTemporary, NoHost."""
        if domain.startswith("["):
            return self._literal(domain)
        try:
            answer = await self._resolver.lookup(domain, "MX")
        except BadName:
            raise NoHost(Reply(550, "5.1.2", f"{domain!r} is not a domain name")) from None
        return await self._resolve(domain, self._exchanges(domain, answer), secure=answer.secure)

    def _exchanges(self, domain: str, answer: Answer) -> list[MX]:
        found = list(answer.mx())
        if not answer.exists:
            raise NoHost(Reply(550, "5.1.2", f"The domain {domain} does not exist"))
        # RFC 7505 §3: a single MX of "." means that the domain takes no mail.
        if found and all(mx.exchange == "" for mx in found):
            raise NoHost(Reply(556, "5.1.10", f"The domain {domain} takes no mail (null MX)"))
        if not found:
            # RFC 5321 §5.1: without any MX, the domain itself is the host.
            return [MX(0, domain)]
        if self._shuffle is not None:
            # RFC 5321 §5.1: hosts of one preference are taken in random order, to spread the load.
            self._shuffle(found)
            found.sort(key=lambda mx: mx.preference)
        return self._before_us([mx for mx in found if mx.exchange], domain)

    def _before_us(self, found: list[MX], domain: str) -> list[MX]:
        ours = [mx.preference for mx in found if mx.exchange == self._our_name]
        if not ours:
            return found
        # RFC 5321 §5.1: if we are in the list, only hosts better than ourselves may be used, or mail would loop.
        better = [mx for mx in found if mx.preference < min(ours)]
        if not better:
            raise self._loops(domain)
        return better

    async def _resolve(self, domain: str, exchanges: Sequence[MX], *, secure: bool) -> list[Target]:
        targets: list[Target] = []
        refused: list[str] = []
        unknown: list[DnsTemporary] = []
        ours_at: int | None = None
        for mx in exchanges[:EXCHANGES_LIMIT]:
            if len(targets) >= TARGETS_LIMIT or len(unknown) >= SILENT_LIMIT:
                break
            if ours_at is not None and mx.preference >= ours_at:
                break
            try:
                addresses = await find_addresses(self._resolver, mx.exchange)
            except DnsTemporary as error:
                unknown.append(error)
                continue
            if any(self._is_ours(address) for address in addresses.found):
                # RFC 5321 §5.1: that is us by another name: hosts as good as us, or worse, would send it back.
                ours_at = mx.preference
                targets = [target for target, preference in self._ranked(targets, exchanges) if preference < ours_at]
                continue
            for address in addresses.found:
                if self.may_connect(address):
                    targets.append(self._target(domain, mx.exchange, address, secure, secure and addresses.secure))
                else:
                    refused.append(f"{mx.exchange} [{address}]")
        if targets:
            return targets[:TARGETS_LIMIT]
        if unknown:
            raise unknown[-1]
        if ours_at is not None:
            raise self._loops(domain)
        if refused:
            raise NoHost(
                Reply(550, "5.4.4", f"DNS leads mail for {domain} to no public host: {', '.join(refused[:3])}")
            )
        raise NoHost(Reply(550, "5.1.2", f"No mail server of the domain {domain} has an address"))

    @staticmethod
    def _ranked(targets: Sequence[Target], exchanges: Sequence[MX]) -> list[tuple[Target, int]]:
        preferences = {mx.exchange: mx.preference for mx in reversed(exchanges)}
        return [(target, preferences[target.host]) for target in targets]

    def _target(self, domain: str, host: str, address: str, named_securely: bool, secure: bool) -> Target:
        return Target(
            Speech.SMTP, host, address, self._port, domain=domain, named_securely=named_securely, secure=secure
        )

    @staticmethod
    def _loops(domain: str) -> NoHost:
        return NoHost(Reply(554, "5.4.6", f"Mail for {domain} loops back to this host: it needs a route here"))

    def _literal(self, domain: str) -> list[Target]:
        text = domain[1:-1]
        address = text[5:] if text[:5].lower() == "ipv6:" else text
        try:
            allowed = self.may_connect(address)
        except ValueError:
            raise NoHost(Reply(550, "5.1.2", f"{domain} is not an address")) from None
        if not allowed:
            raise NoHost(Reply(550, "5.4.4", f"{domain} is no public host"))
        # A literal names the host itself (RFC 5321 §4.1.3): no DNS is in between.
        return [Target(Speech.SMTP, address, address, self._port, named_securely=True)]

    def _is_ours(self, text: str) -> bool:
        address = ip_address(text)
        return address in self._own or (not self._allow_private and is_public(address) and is_of_this_machine(text))

    def may_connect(self, text: str) -> bool:
        """Whether DNS may lead us to an address: public, none of ours. Raises ValueError for what is no address."""
        address = ip_address(text)
        if address in self._own:
            return False
        return self._allow_private or (is_public(address) and not is_of_this_machine(text))


async def route_targets(resolver: Resolver, route: Route) -> list[Target]:
    """Return whom to connect to for a configured route, which may name any host; at least one. Raises DnsTemporary."""
    if route.kind is RouteKind.LMTP_SOCKET:
        return [Target(Speech.LMTP, "localhost", path=route.path, named_securely=True)]
    speech = _SPEECH[route.kind]
    if is_address(route.host):
        return [Target(speech, route.host, route.host, route.port, named_securely=True)]
    addresses = await find_addresses(resolver, route.host)
    if not addresses.found:
        # A name in the policy that DNS does not know (yet) is an administrator's to mend: mail waits.
        raise DnsTemporary(route.host, "A", "the host of the route has no address")
    return [
        Target(speech, route.host, address, route.port, named_securely=True, secure=addresses.secure)
        for address in addresses.found[:TARGETS_LIMIT]
    ]


async def addresses_of(resolver: Resolver, host: str) -> tuple[str, ...]:
    """Return a host's addresses, IPv4 first, at most ten of each kind.

    Raises DnsTemporary if one kind failed and the other gave none.
    """
    return (await find_addresses(resolver, host)).found


async def find_addresses(resolver: Resolver, host: str) -> Addresses:
    """Return a host's addresses, and whether DNSSEC proves them. Raises DnsTemporary as `addresses_of` does."""
    found: list[str] = []
    secure = True
    failed: DnsTemporary | None = None
    for answer in await asyncio.gather(
        resolver.lookup(host, "A"), resolver.lookup(host, "AAAA"), return_exceptions=True
    ):
        if isinstance(answer, DnsTemporary):
            failed = answer
        elif isinstance(answer, BadName):
            secure = False
        elif isinstance(answer, BaseException):
            raise answer
        else:
            # Thousands fit into an answer, and each is looked at before it is used.
            found += answer.addresses()[:TARGETS_LIMIT]
            # An answer without addresses says nothing against those of the other kind.
            secure = secure and (answer.secure or not answer.addresses())
    if failed is not None and not found:
        raise failed
    return Addresses(tuple(found), secure and bool(found))
