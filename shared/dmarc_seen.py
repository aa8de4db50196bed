"""What a message's DMARC evaluation adds to an aggregate report (PURE): content tells it, the recorder gathers it.

Owns: `DmarcSeen`, as the facts of an event of the kind `dmarc-seen`.
Standards: RFC 9990 §3.1 (what a report holds), RFC 9989 §4.
On failure: `read_seen` raises ValueError naming what is wrong.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter

from shared.event import Facts

# RFC 9990 §3.1: a report covers a day, in UTC.
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Published:
    """The policy record in force, tag by tag as it was published; empty where a tag is absent. domain: its place."""

    domain: str
    p: str = "none"
    sp: str = ""
    np: str = ""
    adkim: str = ""
    aspf: str = ""
    fo: str = ""
    t: str = ""


@dataclass(frozen=True, slots=True)
class DkimSeen:
    """One signature's result, in the words of RFC 8601 §2.7.1."""

    domain: str
    selector: str
    result: str


@dataclass(frozen=True, slots=True)
class Override:
    """Why something else was done than the owner asks for. kind: a PolicyOverrideType of RFC 9990."""

    kind: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class DmarcSeen:
    """One message's evaluation for one recipient domain.

    source: the client's address. envelope_from: domain of MAIL FROM, empty for the null sender. disposition: none,
    pass, quarantine or reject, as it was done. dkim_aligned, spf_aligned: whether each proved the author's domain.
    organization: the organizational domain of the author. rua: where reports are asked for, as published.
    """

    published: Published
    organization: str
    rua: tuple[str, ...]
    source: str
    header_from: str
    envelope_from: str
    envelope_to: str
    disposition: str
    dkim_aligned: bool
    spf_aligned: bool
    spf_domain: str
    spf_result: str
    dkim: tuple[DkimSeen, ...] = ()
    overrides: tuple[Override, ...] = ()


_SEEN = TypeAdapter(DmarcSeen)


def seen_facts(seen: DmarcSeen) -> Facts:
    """Return the facts of an event that tells it."""
    facts: Facts = _SEEN.dump_python(seen, mode="json")
    return facts


def read_seen(text: str) -> DmarcSeen:
    """Return what the JSON of an event's facts says. Raises ValueError."""
    return _SEEN.validate_json(text)
