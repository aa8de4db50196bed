"""What one attempt at a session showed of TLS, for reports to its domain (PURE): delivery tells, the recorder gathers.

Owns: `TlsSeen`, as the facts of an event of the kind `tls-seen`, and the closed lists of words in it.
Standards: RFC 8460 §4.3 (result types) and §4.4 (what a report holds).
On failure: `read_seen` raises ValueError naming what is wrong.
"""

from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter

from shared.event import Facts


class PolicyType(StrEnum):
    """What the domain says of TLS, as far as it was found (RFC 8460 §4.4: policy-type)."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


class TlsResult(StrEnum):
    """How TLS went (RFC 8460 §4.3), and success, which the standard only counts."""

    SUCCESS = "success"
    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    HOST_MISMATCH = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    FAILED = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_FETCH = "sts-policy-fetch-error"
    STS_INVALID = "sts-policy-invalid"
    STS_WEBPKI = "sts-webpki-invalid"


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """What a domain publishes. strings: TLSA records, or lines of the STS policy. mx: patterns of the STS policy.

    domain: whose the policy is, where that is another than the recipients' (DANE: the name that the records stand at).
    """

    kind: PolicyType = PolicyType.NONE
    strings: tuple[str, ...] = ()
    mx: tuple[str, ...] = ()
    domain: str = ""


NOTHING_PUBLISHED = TlsPolicy()


@dataclass(frozen=True, slots=True)
class TlsFailure:
    """What was wrong. reason: for people, in the log, the trace and the report."""

    result: TlsResult
    reason: str


@dataclass(frozen=True, slots=True)
class TlsSeen:
    """One attempt at a session. domain: of the recipients, whom the report goes to. mx_host: who was spoken to.

    sender_ip, receiver_ip: of the connection, empty where there was none. reason: of a failure, else empty.
    """

    domain: str
    policy: TlsPolicy
    result: TlsResult
    mx_host: str = ""
    sender_ip: str = ""
    receiver_ip: str = ""
    reason: str = ""


_SEEN = TypeAdapter(TlsSeen)


def seen_facts(seen: TlsSeen) -> Facts:
    """Return the facts of an event that tells it."""
    facts: Facts = _SEEN.dump_python(seen, mode="json")
    return facts


def read_seen(text: str) -> TlsSeen:
    """Return what the JSON of an event's facts says. Raises ValueError."""
    return _SEEN.validate_json(text)
