"""A resolver over given records, for the tests of look-ups without sockets."""

from collections import Counter

from shared.dns.answer import Answer, DnsTemporary, Record
from shared.dns.names import canonical

Key = tuple[str, str]


class Memory:
    """Implements ProbeResolver. `*.zone A` stands for every name below; broken: questions that fail.

    What has been looked up is remembered until forgotten.
    """

    def __init__(self, records: dict[str, str | list[str]] | None = None, *, broken: set[str] | None = None) -> None:
        self.records = dict(records or {})
        self.broken = broken or set()
        self.asked: Counter[str] = Counter()
        self._remembered: set[Key] = set()

    def cached(self, name: str, rdtype: str) -> Answer | None:
        return self._answer(name, rdtype) if (canonical(name), rdtype) in self._remembered else None

    async def lookup(self, name: str, rdtype: str) -> Answer:
        key = (canonical(name), rdtype)
        if key not in self._remembered:
            self.asked[f"{name} {rdtype}"] += 1
            self._remembered.add(key)
        return self._answer(name, rdtype)

    def forget(self, name: str, rdtype: str) -> None:
        self._remembered.discard((canonical(name), rdtype))

    def _answer(self, name: str, rdtype: str) -> Answer:
        question = f"{canonical(name)} {rdtype}"
        if question in self.broken or f"* {rdtype}" in self.broken:
            raise DnsTemporary(name, rdtype, "SERVFAIL")
        values = self.records.get(question) or self.records.get(f"*.{'.'.join(name.split('.')[-2:])} {rdtype}", [])
        texts = [values] if isinstance(values, str) else values
        records: tuple[Record, ...] = tuple(text.encode() if rdtype == "TXT" else text for text in texts)
        return Answer(canonical(name), rdtype, bool(records), records)
