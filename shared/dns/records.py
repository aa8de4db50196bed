"""PURE. Between dnspython's names and records and our own.

Input: dnspython objects, as parsed from a packet or a zone file. Output: Record values and host names of answer.py.
Standards: RFC 1035 §3.3, RFC 7208 §3.3 and RFC 6376 §3.6.2.2 (strings of a TXT record are joined without spaces).
"""

import re

import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.NS
import dns.rdtypes.ANY.PTR
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
from dns.name import Name
from dns.rdata import Rdata
from dns.rdataset import Rdataset

from shared.dns.answer import MX, TLSA, Record

_PLAIN_LABEL = re.compile(rb"[ -\-/-\[\]-~]+")


def wire_name(name: str) -> Name:
    """Return a canonical name as dnspython's absolute Name; "" is the root."""
    labels = name.encode("ascii").split(b".") if name else []
    return Name([*labels, b""])


def host(name: Name) -> str:
    """Return dnspython's name as names.canonical spells it. Dots and odd octets in labels are escaped."""
    return ".".join(map(_label, filter(None, name.labels))).lower()


def _label(octets: bytes) -> str:
    return octets.decode("ascii") if _PLAIN_LABEL.fullmatch(octets) else Name((octets,)).to_text()


def to_records(rdataset: Rdataset | None) -> tuple[Record, ...]:
    """Return the records of a set, in its order."""
    return tuple(_to_record(rdata) for rdata in rdataset) if rdataset is not None else ()


def _to_record(rdata: Rdata) -> Record:
    match rdata:
        case dns.rdtypes.ANY.TXT.TXT():
            # RFC 7208 §3.3, RFC 6376 §3.6.2.2: concatenate the strings without adding spaces.
            return b"".join(rdata.strings)
        case dns.rdtypes.IN.A.A() | dns.rdtypes.IN.AAAA.AAAA():
            return str(rdata.address)
        case dns.rdtypes.ANY.MX.MX():
            return MX(rdata.preference, host(rdata.exchange))
        case dns.rdtypes.ANY.PTR.PTR() | dns.rdtypes.ANY.CNAME.CNAME() | dns.rdtypes.ANY.NS.NS():
            return host(rdata.target)
        case dns.rdtypes.ANY.SOA.SOA():
            return host(rdata.mname)
        case dns.rdtypes.ANY.TLSA.TLSA():
            return TLSA(rdata.usage, rdata.selector, rdata.mtype, rdata.cert)
        case _:
            raise ValueError(f"unexpected record type {rdata.rdtype}")
