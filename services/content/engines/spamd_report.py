"""The rules that SpamAssassin's report names (PURE).

Input: the text that spamd gives for REPORT. Output: `Symbol`s, with the rule's description.
Only the table at its end is read, since the text before it quotes the message. A template of the administrator's own
may have no such table: then there are no symbols, and the score stands alone.
"""

import re

from services.content.spam import Symbol

MAX_SYMBOLS = 30
_MAX_TEXT = 120
_RULER = re.compile(r"^-{4} -{10,} -{10,}[ \t]*\r?$", re.MULTILINE)
_ROW = re.compile(r" {0,3}(-?\d{1,5}(?:\.\d{1,4})?) +([A-Za-z0-9_]{2,80})(?: +(.*))?")
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")


def read_symbols(report: str) -> tuple[Symbol, ...]:
    """Return the rules that matched, those that weigh most first."""
    rulers = list(_RULER.finditer(report))
    if not rulers:
        return ()
    symbols: list[Symbol] = []
    for line in report[rulers[-1].end() :].splitlines():
        row = _ROW.fullmatch(line)
        if row is not None:
            score, name, text = row.groups()
            symbols.append(Symbol(name, float(score), _plain(text or "")))
        elif symbols and line.startswith("     "):
            last = symbols.pop()
            symbols.append(Symbol(last.name, last.score, _plain(f"{last.text} {line.strip()}")))
    return tuple(sorted(symbols, key=lambda symbol: (-abs(symbol.score), symbol.name))[:MAX_SYMBOLS])


def _plain(text: str) -> str:
    return _UNSAFE.sub("?", text.strip()[:_MAX_TEXT])
