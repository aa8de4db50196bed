"""Which words a message is found by (PURE): what the recorder writes of it, and what a searcher types.

Owns: the kinds of words, their one form (lower case, bounded), and the time that stands beside them.
A word's time is that of the message's id: it is the same whichever batch a fact comes in, so no word stands twice.
On failure: none; what has no such form makes no word.
"""

import re
from collections.abc import Iterable
from enum import StrEnum

from shared.address import AddressError, parse_domain
from shared.ids import id_time

MOST_RECIPIENTS = 100
MOST_SUBJECT_WORDS = 12
WORD_LIMIT = 120
# Of a text in a row of `messages`.
ROW_LIMIT = 1000
_SUBJECT_WORD = re.compile(r"[^\W_]{2,}")
# Of a.b.c.example.org: b.c.example.org, c.example.org, example.org.
_MOST_PARENTS = 3


class Kind(StrEnum):
    """What a word is; it stands before it. PARENT: a domain above that of an address."""

    ADDRESS = "a:"
    DOMAIN = "d:"
    PARENT = "p:"
    CLIENT = "i:"
    SUBJECT = "s:"
    # Of the header field Message-ID, without its angle brackets.
    MESSAGE_ID = "m:"
    # Of what came with a log-in: whose it was, `@` and its domain, and the client's address.
    LOGIN = "l:"
    LOGIN_FROM = "f:"


def word(kind: Kind, text: str) -> str:
    """Return the form in which a word is written and looked for."""
    return (kind.value + text.casefold())[:WORD_LIMIT]


def words_of_mail(
    sender: str | None,
    recipients: Iterable[str],
    client: str | None,
    subject: str | None,
    message_id: str | None,
    *,
    login: str | None = None,
) -> list[str]:
    """Return a message's words, each once. recipients: of them the first hundred are."""
    found: dict[str, None] = {}
    if sender:
        _add_address(found, sender)
    for place, recipient in enumerate(recipients):
        if place >= MOST_RECIPIENTS:
            break
        _add_address(found, recipient)
    if client:
        found[word(Kind.CLIENT, client)] = None
    if subject:
        found.update(dict.fromkeys(word(Kind.SUBJECT, text) for text in subject_words(subject)))
    if message_id:
        found[word(Kind.MESSAGE_ID, bare_message_id(message_id))] = None
    if login:
        _add_login(found, login, client)
    return list(found)


def words_of_row(sender: str | None, recipients: str | None, client: str | None, subject: str | None) -> list[str]:
    """Return the words that a message's row still tells. recipients: with commas between; the last may be cut off."""
    names = (recipients or "").split(", ")
    if len(recipients or "") >= ROW_LIMIT:
        names.pop()
    return words_of_mail(sender, filter(None, names), client, subject, None)


def subject_words(text: str) -> list[str]:
    """Return the words of a subject that count, each once: the first twelve of at least two letters or digits."""
    return list(dict.fromkeys(map(str.casefold, _SUBJECT_WORD.findall(text))))[:MOST_SUBJECT_WORDS]


def domain_of(address: str) -> str:
    """Return the domain of an address in the form in which words have it; empty: it has none."""
    domain = address.rpartition("@")[2].casefold() if "@" in address else ""
    if not domain.isascii():
        try:
            return parse_domain(domain)
        except AddressError:
            return domain
    return domain


def bare_message_id(text: str) -> str:
    """Return a Message-ID without brackets and what surrounds them."""
    return text.strip().removeprefix("<").removesuffix(">")


def time_of(message_id: str, otherwise: float) -> float:
    """Return the time that stands in an id (Unix seconds). otherwise: for a name that is no id of ours."""
    try:
        return id_time(message_id)
    except ValueError:
        return otherwise


def _add_login(found: dict[str, None], login: str, client: str | None) -> None:
    found[word(Kind.LOGIN, login)] = None
    domain = domain_of(login)
    if domain:
        found[word(Kind.LOGIN, f"@{domain}")] = None
    if client:
        found[word(Kind.LOGIN_FROM, client)] = None


def _add_address(found: dict[str, None], address: str) -> None:
    found[word(Kind.ADDRESS, address)] = None
    domain = domain_of(address)
    if not domain:
        return
    of_domain = word(Kind.DOMAIN, domain)
    if of_domain in found:
        return
    found[of_domain] = None
    labels = domain.split(".")
    if len(labels) > 2 and domain[0] != "[":
        for first in range(max(1, len(labels) - 1 - _MOST_PARENTS), len(labels) - 1):
            found[word(Kind.PARENT, ".".join(labels[first:]))] = None
