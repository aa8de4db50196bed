"""Owns the evaluation of SPF: pyspf's evaluator over our own look-up. PURE over the answers of the look-up.

Input: the client's address, MAIL FROM, the HELO name, a look-up. Output: a SpfResult.
Standards: RFC 7208 (§2.4 identities, §4.6.4 limits, §5.5 ptr, §6.2 exp).
On failure: a DNS failure is temperror, as is any error of pyspf that it does not name itself. Raises nothing itself.

pyspf is subclassed where it would block, hide a missing look-up (it fetches exp= inside a bare "except:"), or take
time that grows with the square of a hostile record. Its own resolver is never reached.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address

import spf

from shared.auth.domain import host_name
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord, plain
from shared.dns.answer import Answer, BadName, DnsTemporary
from shared.dns.names import is_address
from shared.dns.replay import Lookup

# Published records have under 4 kB and 400 terms; pyspf's cost grows with both.
MAX_RECORD_CHARACTERS = 8_192
MAX_TERM_CHARACTERS = 512
MAX_TERMS = 1_000
# A name has at most 127 labels, and no published macro string comes near this; pyspf's cost is dots times length.
MAX_MACRO_DOTS = 64
MAX_SENDER_CHARACTERS = 1_000
MAX_EXPLANATION_CHARACTERS = 200

_SENTENCES = {
    SpfWord.PASS: "{domain} allows {ip} to send",
    SpfWord.FAIL: "{domain} does not allow {ip} to send",
    SpfWord.SOFTFAIL: "{domain} says that {ip} probably may not send",
    SpfWord.NEUTRAL: "{domain} says nothing about {ip}",
    SpfWord.NONE: "{domain} has no SPF record",
}


def evaluate_spf(ip: str, mail_from: str, helo: str, lookup: Lookup, *, receiver: str = "unknown") -> SpfResult:
    """Check MAIL FROM, or the HELO name where MAIL FROM is the null sender.

    mail_from: the reverse-path without brackets, "" for the null sender. receiver: our name, for the macro %{r}.
    """
    # RFC 7208 §2.4: with the null sender, the identity is postmaster@HELO.
    if not mail_from:
        return evaluate_helo(ip, helo, lookup, receiver=receiver) or _without_domain(SpfIdentity.HELO)
    local_part, _, text = mail_from[:MAX_SENDER_CHARACTERS].rpartition("@")
    domain = _domain(text)
    if domain is None:
        return _without_domain(SpfIdentity.MAIL_FROM)
    # RFC 7208 §4.3: without a local part, it is "postmaster".
    sender = (local_part or "postmaster", domain)
    return _evaluate(SpfIdentity.MAIL_FROM, sender, ip, helo, lookup, receiver=receiver)


def evaluate_helo(ip: str, helo: str, lookup: Lookup, *, receiver: str = "unknown") -> SpfResult | None:
    """Check the HELO name. Return None if it is no domain, such as an address literal."""
    domain = _domain(helo)
    if domain is None:
        return None
    # RFC 7208 §2.3: the HELO name is checked as the sender postmaster@HELO.
    return _evaluate(SpfIdentity.HELO, ("postmaster", domain), ip, helo, lookup, receiver=receiver)


def _domain(text: str) -> str | None:
    """Return the text as a domain that can be checked, None if it is none."""
    domain = host_name(text)
    # RFC 7208 §4.3: a malformed domain, or one without a dot, gives none. An address literal is no domain either.
    return None if domain is None or "." not in domain or is_address(domain) else domain


def _without_domain(identity: SpfIdentity) -> SpfResult:
    name = "HELO" if identity is SpfIdentity.HELO else "MAIL FROM"
    return SpfResult(SpfWord.NONE, identity, "", f"{name} gives no domain to check")


def _evaluate(
    identity: SpfIdentity, sender: tuple[str, str], ip: str, helo: str, lookup: Lookup, *, receiver: str
) -> SpfResult:
    local_part, domain = sender
    try:
        query = _Query(ip, local_part, domain, helo, lookup, receiver=receiver)
        word, _, explanation = query.check()
        word = SpfWord(word)
        mechanism = plain(query.mechanism or "", 100)
        cause = explanation
        explanation = query.explain(explanation) if word is SpfWord.FAIL else ""
    except Exception as error:  # pyspf's own failures say nothing about the sender
        return SpfResult(SpfWord.TEMPERROR, identity, domain, f"internal error: {type(error).__name__}")
    return SpfResult(word, identity, domain, _evidence(word, domain, ip, mechanism, cause), mechanism, explanation)


def _evidence(word: SpfWord, domain: str, ip: str, mechanism: str, cause: str) -> str:
    sentence = _SENTENCES.get(word)
    if sentence is None:
        return plain(f"{domain}: {cause}")
    by = f" ({mechanism})" if mechanism else ""
    return plain(sentence.format(domain=domain, ip=ip) + by)


class _LaterExplanation(str):
    """Where the explanation stands; it is fetched only if the result is a fail."""

    __slots__ = ()


class _Query(spf.query):  # type: ignore[misc]
    """pyspf's evaluation of one client and one domain, asking `lookup` instead of the network."""

    def __init__(self, ip: str, local_part: str, domain: str, helo: str, lookup: Lookup, *, receiver: str) -> None:
        super().__init__(i=ip, s=f"{local_part}@{domain}", h=helo, receiver=receiver)
        # pyspf splits at the first "@", which a quoted local part may hold.
        self.l, self.o, self.d = local_part, domain, domain
        self._lookup = lookup
        self._terms = 0

    def dns(
        self,
        name: str,
        qtype: str,
        cnames: object = None,  # noqa: ARG002  # pyspf's signature; CNAMEs are followed already
        ignore_void: bool = False,
    ) -> list[object]:
        """Return the records in pyspf's shapes, counting void look-ups."""
        try:
            records = _records(self._lookup(str(name).removesuffix(".").lower(), qtype))
        except BadName:
            # RFC 7208 §4.3, §4.8: a name that cannot exist has no records; nothing was asked, so no void look-up.
            return []
        except DnsTemporary as error:
            raise spf.TempError(f"DNS {error.cause}") from error
        # RFC 7208 §4.6.4: more than two void look-ups are a permerror.
        if not records and not ignore_void:
            self.void_lookups += 1
            if self.void_lookups > spf.MAX_VOID_LOOKUPS:
                raise spf.PermError(f"more than {spf.MAX_VOID_LOOKUPS} look-ups gave nothing")
        return records

    def check0(self, record: str | None, recursion: int) -> tuple[str, int, str]:
        if record:
            self._bound(record)
        result: tuple[str, int, str] = super().check0(record, recursion)
        return result

    def _bound(self, record: str) -> None:
        terms = record.split(" ")
        self._terms += len(terms)
        if len(record) > MAX_RECORD_CHARACTERS or self._terms > MAX_TERMS:
            raise spf.PermError("the SPF records are too long")
        if any(len(term) > MAX_TERM_CHARACTERS for term in terms):
            raise spf.PermError("a term of the SPF record is too long")

    def expand(self, text: str, stripdot: bool = True) -> str:
        if "%" in text and text.count(".") > MAX_MACRO_DOTS:
            raise spf.PermError("too many dots in a macro string")
        expanded: str = super().expand(text, stripdot)
        return expanded

    def cidrmatch(self, addresses: Iterable[str], prefix_bits: int) -> bool:
        """Tell whether the client is in one of these networks.

        Ten terms may bring 20,000 addresses, and pyspf's own way takes 8 µs for each.
        """
        client: IPv4Address | IPv6Address = self.ipaddr
        ignored_bits = client.max_prefixlen - prefix_bits
        network = int(client) >> ignored_bits
        return any(_number(text, type(client)) >> ignored_bits == network for text in addresses)

    def validated_ptrs(self) -> list[str]:
        # RFC 7208 §5.5: a DNS error while looking for the client's names means that none matches.
        try:
            names = self.dns_ptr(self.i)[: spf.MAX_PTR]
        except spf.TempError:
            return []
        return [name for name in names if self._has_client_address(name)]

    def _has_client_address(self, name: str) -> bool:
        try:
            return bool(self.cidrmatch(self.dns_a(name, self.A), self.cidrmax))
        except spf.TempError:
            # RFC 7208 §5.5: that name is skipped.
            return False

    def get_explanation(self, spec: str) -> str:
        return _LaterExplanation(spec)

    def explain(self, explanation: str) -> str:
        """Return the owner's explanation for a fail, made safe, empty if there is none."""
        if not isinstance(explanation, _LaterExplanation):
            return ""
        try:
            text = super().get_explanation(str(explanation))
        except (spf.TempError, UnicodeError):
            # RFC 7208 §6.2: errors in fetching or reading it leave it out.
            return ""
        return plain(text or "", MAX_EXPLANATION_CHARACTERS)


def _number(address: str, kind: type[IPv4Address | IPv6Address]) -> int:
    try:
        return int(kind(address))
    except ValueError:
        raise spf.PermError("an address of the wrong kind", plain(address, 60)) from None


def _records(answer: Answer) -> list[object]:
    match answer.rdtype:
        case "TXT":
            return [(text,) for text in answer.texts()]
        case "A" | "AAAA":
            return list(answer.addresses())
        case "MX":
            return [(mx.preference, mx.exchange) for mx in answer.mx()]
        case _:
            return list(answer.names())
