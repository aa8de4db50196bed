"""What a searcher typed, understood (PURE): an id, addresses, domains, IP addresses, words of the subject.

Owns: `understand`, and the term that each field of a search stands for. All terms must hold; of a term one word must.
On failure: ValueError, whose text says what was not understood.
"""

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from services.console.words import Kind, bare_message_id, domain_of, subject_words, time_of, word
from shared.address import AddressError, parse_domain
from shared.ids import parse_id

# The words one of which a message must have.
Term = tuple[str, ...]
MOST_TERMS = 12
_AROUND = ",;\"'()"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a text asks for. id: of a message, where the text holds one."""

    id: str | None
    terms: tuple[Term, ...]


def understand(text: str) -> Asked:
    """Return what a text asks for. Raises ValueError for one that holds nothing to look for."""
    terms: list[Term] = []
    for piece in text.split():
        token = piece.strip(_AROUND)
        found = as_id(token)
        if found is not None:
            return Asked(found, ())
        terms += [term for term in _terms(token) if term not in terms]
    if text.strip() and not terms:
        raise ValueError(f"nothing to look for in {text[:40]!r}: a word has at least two letters or digits")
    return Asked(None, tuple(terms[:MOST_TERMS]))


def as_id(token: str) -> str | None:
    """Return the id that stands in a reply or a log line, with brackets or without, in whatever case; else None."""
    try:
        found = parse_id(token.strip("[]<>.,;:"))
    except ValueError:
        return None
    # A long word is none: an id has its version in it.
    return found if time_of(found, -1.0) >= 0 else None


def address_term(text: str) -> Term:
    """Return the term of an address, or of all addresses of a domain: `@example.org`. Raises ValueError."""
    bare = text.strip().strip("<>")
    if bare.startswith("@"):
        return domain_term(bare)
    if "@" not in bare:
        raise ValueError(f"{text[:60]!r} is no address: it has no @")
    local, _, _ = bare.rpartition("@")
    return (word(Kind.ADDRESS, f"{local}@{domain_of(bare)}"),)


def domain_term(text: str) -> Term:
    """Return the term of a domain and of those below it. Raises ValueError."""
    try:
        domain = parse_domain(text.strip().removeprefix("@").rstrip("."))
    except AddressError as error:
        raise ValueError(str(error)) from None
    return word(Kind.DOMAIN, domain), word(Kind.PARENT, domain)


def ip_term(text: str) -> Term:
    """Return the term of a client's address. Raises ValueError."""
    bare = text.strip().strip("[]").removeprefix("IPv6:")
    try:
        # The clients that bans know are addresses, or networks of /64.
        found = str(ip_network(bare, strict=False)) if "/" in bare else str(ip_address(bare))
    except ValueError:
        raise ValueError(f"{text[:60]!r} is no IP address") from None
    return (word(Kind.CLIENT, found),)


def subject_terms(text: str) -> list[Term]:
    """Return the terms of words of a subject."""
    return [(word(Kind.SUBJECT, found),) for found in subject_words(text)]


def _terms(token: str) -> list[Term]:
    if token.startswith("@") or _looks_like_domain(token):
        try:
            return [domain_term(token)]
        except ValueError:
            return subject_terms(token)
    if "@" in token:
        # What stands in angle brackets may be an address or a Message-ID, and either is found.
        bare = bare_message_id(token)
        return [(*address_term(bare), word(Kind.MESSAGE_ID, bare))]
    try:
        return [ip_term(token)]
    except ValueError:
        return subject_terms(token)


def _looks_like_domain(token: str) -> bool:
    first, dot, last = token.rstrip(".").rpartition(".")
    return bool(dot and first) and not last.isdigit() and "@" not in token and ":" not in token and "/" not in token
