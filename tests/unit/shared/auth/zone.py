"""A look-up over a few records, for the evaluators' tests."""

from collections import Counter

from shared.dns.answer import MX, Answer, DnsTemporary, Record
from shared.dns.names import canonical
from shared.dns.replay import NeedLookup

Key = tuple[str, str]


class Zone:
    """Answers from given records. broken: questions that DNS cannot answer now. missing: those not yet in the cache."""

    def __init__(
        self,
        records: dict[Key, tuple[Record, ...]] | None = None,
        *,
        broken: set[Key] | None = None,
        missing: set[Key] | None = None,
    ) -> None:
        self.records = records or {}
        self.broken = broken or set()
        self.missing = missing or set()
        self.asked: Counter[Key] = Counter()

    def __call__(self, name: str, rdtype: str) -> Answer:
        name = canonical(name)
        key = (name, rdtype)
        self.asked[key] += 1
        if key in self.missing:
            raise NeedLookup(name, rdtype)
        if key in self.broken:
            raise DnsTemporary(name, rdtype, "SERVFAIL")
        found = self.records.get(key, ())
        exists = any(known == name or known.endswith("." + name) for known, _ in self.records)
        return Answer(name, rdtype, exists, found)


def txt(**names: str) -> dict[Key, tuple[Record, ...]]:
    """Return TXT records; a double underscore in a keyword stands for a dot."""
    return {(name.replace("__", "."), "TXT"): (text.encode(),) for name, text in names.items()}


def spf_zone(records: dict[str, str | list[str]], **options: set[Key]) -> Zone:
    """Return a zone of lines like {"example.org TXT": "v=spf1 -all", "example.org MX": ["10 mx.example.org"]}."""
    found: dict[Key, tuple[Record, ...]] = {}
    for key, values in records.items():
        name, rdtype = key.split(" ")
        listed = [values] if isinstance(values, str) else values
        found[name, rdtype] = tuple(_record(rdtype, value) for value in listed)
    return Zone(found, **options)


def _record(rdtype: str, value: str) -> Record:
    if rdtype == "TXT":
        return value.encode()
    if rdtype == "MX":
        preference, exchange = value.split(" ")
        return MX(int(preference), exchange)
    return value
