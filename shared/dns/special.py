"""PURE. Names whose answer is fixed by a standard and is asked of no server.

Standards: RFC 6761 (.invalid, .localhost), RFC 6303 §4.3 and §4.4 (the reverse names of loopback).
Deliberately not here: .test, and the reverse zones of private networks. RFC 6761 §6.1 and §6.2 tell a resolver
library not to treat these as special; the organisation's own nameserver may well serve them.
"""

from shared.dns.answer import Answer
from shared.dns.names import within

_TTL_S = 3_600.0
_LOOPBACK = {"A": "127.0.0.1", "AAAA": "::1"}
_REVERSE_4 = "127.in-addr.arpa"
_REVERSE_6 = "1." + "0." * 31 + "ip6.arpa"


def special_answer(name: str, rdtype: str) -> Answer | None:
    """Return the fixed answer for a canonical name, None if it is an ordinary one."""
    if name.endswith("localhost") and within(name, "localhost"):
        # RFC 6761 §6.3: address queries give loopback, all others no data.
        address = _LOOPBACK.get(rdtype)
        return Answer(name, rdtype, exists=True, records=(address,) if address else (), ttl_s=_TTL_S)
    if name.endswith("invalid") and within(name, "invalid"):
        # RFC 6761 §6.4: always a negative answer.
        return Answer(name, rdtype, exists=False, ttl_s=_TTL_S)
    if name.endswith(".arpa"):
        return _reverse_of_loopback(name, rdtype)
    return None


def _reverse_of_loopback(name: str, rdtype: str) -> Answer | None:
    if name in ("1.0.0." + _REVERSE_4, _REVERSE_6):
        return Answer(name, rdtype, exists=True, records=("localhost",) if rdtype == "PTR" else (), ttl_s=_TTL_S)
    if within(name, _REVERSE_4):
        return Answer(name, rdtype, exists=False, ttl_s=_TTL_S)
    return None
