"""Look-ups in a zone written into the test."""

from pathlib import Path

from shared.dns.answer import Answer, DnsTemporary
from shared.dns.replay import Lookup
from shared.dns.resolver import CachingResolver
from tests.dnsserver import Records, _text_of


def lookup_in(folder: Path, zone: Records, *silent: str) -> Lookup:
    """Return a look-up to which nothing else exists. silent: names of which DNS says nothing."""
    file = folder / "root.zone"
    file.write_text("$ORIGIN .\n" + _text_of(zone) + "\n")
    resolver = CachingResolver([], [file])

    def lookup(name: str, rdtype: str) -> Answer:
        if name in silent:
            raise DnsTemporary(name, rdtype, "SERVFAIL")
        answer = resolver.cached(name, rdtype)
        assert answer is not None
        return answer

    return lookup
