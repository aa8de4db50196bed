"""One thing that was looked at in a domain, and what to mend (PURE)."""

from dataclasses import dataclass
from enum import StrEnum

from shared.dns.answer import DnsTemporary


class Level(StrEnum):
    """How bad it is. warn: mail passes, but not for ever, or not everywhere. wrong: mail is lost, refused or taken for
    forged. unknown: nobody can tell now.
    """

    OK = "ok"
    WARN = "warn"
    WRONG = "wrong"
    UNKNOWN = "unknown"


class Topic(StrEnum):
    """What was looked at, in the order in which it is shown."""

    MX = "MX"
    SPF = "SPF"
    DKIM = "DKIM"
    DMARC = "DMARC"
    MTA_STS = "MTA-STS"
    TLS_RPT = "TLS-RPT"
    REVERSE = "PTR"
    BLOCK_LISTS = "block lists"
    ROUTE = "route"


@dataclass(frozen=True, slots=True)
class Check:
    """text: what was seen, with the evidence. mend: what to do about it, a record or a command where there is one."""

    level: Level
    topic: Topic
    text: str
    mend: str = ""


def ok(topic: Topic, text: str) -> Check:
    """Return that nothing is to be done."""
    return Check(Level.OK, topic, text)


def warn(topic: Topic, text: str, mend: str) -> Check:
    """Return what should be mended."""
    return Check(Level.WARN, topic, text, mend)


def wrong(topic: Topic, text: str, mend: str) -> Check:
    """Return what must be mended."""
    return Check(Level.WRONG, topic, text, mend)


def unknown(topic: Topic, text: str, mend: str = "") -> Check:
    """Return that nobody can tell now."""
    return Check(Level.UNKNOWN, topic, text, mend)


def dns_silent(topic: Topic, error: DnsTemporary) -> Check:
    """Return that DNS gave no answer."""
    return unknown(
        topic,
        f"DNS gives no answer now: {error}",
        "run the check again; if it stays so, the nameservers of that zone do not answer everybody",
    )
