"""Enough of PromQL's grammar to tell whether an expression is one, and which metrics and labels it names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?![a-z0-9]))|(?P<duration>\d+(?:ms|[smhdwy])|\$__rate_interval)"""
    r"""|(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<sign>==|!=|>=|<=|=~|!~|[-+*/%^<>=(){}\[\],]))"""
)
_AGGREGATIONS = {"sum", "min", "max", "avg", "count", "topk", "bottomk"}
_FUNCTIONS = {"rate", "increase", "histogram_quantile", "absent", "time", "abs", "clamp_min", "max_over_time"}
_BINARY = {"==", "!=", ">", "<", ">=", "<=", "+", "-", "*", "/", "%", "^", "and", "or", "unless"}


class NotPromQL(ValueError):
    """Text that is no expression."""


@dataclass
class Named:
    """What an expression names. metrics: each with the labels that it is chosen by. grouped: labels behind by."""

    metrics: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    grouped: set[str] = field(default_factory=set)


def read(text: str) -> Named:
    """Return what an expression names. Raises NotPromQL."""
    reader = _Reader(text)
    reader.expression()
    if reader.next[1]:
        raise NotPromQL(f"{reader.next[1]!r} stands behind the end of {text!r}")
    return reader.named


class _Reader:
    def __init__(self, text: str) -> None:
        self.named = Named()
        self._tokens = self._split(text)
        self.next = next(self._tokens)

    @staticmethod
    def _split(text: str) -> Iterator[tuple[str, str]]:
        place = 0
        while place < len(text.rstrip()):
            found = _TOKEN.match(text, place)
            if not found:
                raise NotPromQL(f"{text[place:]!r}")
            place = found.end()
            yield found.lastgroup or "", found[found.lastgroup or 0]
        yield "", ""

    def _take(self, *wanted: str) -> str:
        kind, text = self.next
        if text not in wanted and kind not in wanted:
            raise NotPromQL(f"{text!r} stands where {wanted} should")
        self.next = next(self._tokens, ("", ""))
        return text

    def expression(self) -> None:
        self._operand()
        while self.next[1] in _BINARY:
            self._take(*_BINARY)
            self._operand()

    def _operand(self) -> None:
        kind, text = self.next
        if text == "(":
            self._inside()
        elif kind in ("number", "string"):
            self._take(kind)
        else:
            self._named(self._take("name"))

    def _inside(self) -> None:
        self._take("(")
        while self.next[1] != ")":
            self.expression()
            if self.next[1] == ",":
                self._take(",")
        self._take(")")

    def _named(self, name: str) -> None:
        if name in _AGGREGATIONS:
            self._by()
            self._inside()
            self._by()
        elif self.next[1] == "(":
            if name not in _FUNCTIONS:
                raise NotPromQL(f"{name} is no function that is used here")
            self._inside()
        else:
            self.named.metrics.append((name, frozenset(self._labels())))
            if self.next[1] == "[":
                self._take("[")
                self._take("duration")
                self._take("]")

    def _by(self) -> None:
        if self.next[1] not in ("by", "without"):
            return
        self._take("name")
        self._take("(")
        self.named.grouped.add(self._take("name"))
        while self.next[1] == ",":
            self._take(",")
            self.named.grouped.add(self._take("name"))
        self._take(")")

    def _labels(self) -> Iterator[str]:
        if self.next[1] != "{":
            return
        self._take("{")
        while self.next[1] != "}":
            yield self._take("name")
            self._take("=", "!=", "=~", "!~")
            re.compile(self._take("string"))
            if self.next[1] == ",":
                self._take(",")
        self._take("}")
