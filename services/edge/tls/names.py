"""Which certificate answers for which name (PURE).

Standards: RFC 6066 §3 (server_name), RFC 6125 §6.4 (names and wildcards).
"""

from collections.abc import Iterable, Sequence


class Names:
    """The DNS names of several certificates, in the order of the settings; the first one is the default."""

    def __init__(self, offered: Sequence[Iterable[str]]) -> None:
        self._exact: dict[str, int] = {}
        self._wildcards: dict[str, int] = {}
        for number, names in enumerate(offered):
            for name in names:
                plain = _plain(name)
                table, key = (self._wildcards, plain[2:]) if plain.startswith("*.") else (self._exact, plain)
                # Of several with one name the first is taken.
                table.setdefault(key, number)

    def choose(self, wanted: str | None) -> int:
        """Return the number of the certificate for a name; a full name goes before a wildcard, else the default's."""
        if wanted is None:
            return 0
        name = _plain(wanted)
        if name in self._exact:
            return self._exact[name]
        # RFC 6125 §6.4.3: a wildcard stands for the whole first label, and for that one alone.
        return self._wildcards.get(name.partition(".")[2], 0)


def _plain(name: str) -> str:
    # RFC 6066 §3: no trailing dot, and case does not matter; some clients send the dot all the same.
    return name.rstrip(".").lower()
