"""What is wrong with a policy document, and where (PURE).

Owns: `Wrong`, with the key as the document has it and its line, as far as lines tell; for who types it.
Input: the text. Output: everything that is wrong with it; nothing means that it can be used.
"""

import re
import tomllib
from dataclasses import dataclass

from shared.policy import Policy, PolicyError, parse_policy

_NEXT = re.compile(r"; (?=\S+: )")
_AT_LINE = re.compile(r"at line (\d+), column (\d+)")
_HEADER = re.compile(r"[ \t]*(\[\[?)[^\[\]].*?\]?\][ \t]*(?:#.*)?\Z")
_NAME = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_KEY = re.compile(rf"[ \t]*({_NAME}(?:[ \t]*\.[ \t]*{_NAME})*)[ \t]*=")
_NAMED = re.compile(r"(?:[a-z_]+\.)+[a-z_]+(?:, rule [0-9]+)?")
_RULE = re.compile(r"(.*), rule ([0-9]+)\Z")


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong. key: where, None for the document as a whole. line: from 1, None where it is unknown."""

    said: str
    key: str | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was looked at. policy: None where something is wrong."""

    policy: Policy | None
    wrong: tuple[Wrong, ...] = ()


def look_at(text: str) -> Document:
    """Return the policy of a document, or what is wrong with it."""
    try:
        return Document(parse_policy(text))
    except PolicyError as error:
        return Document(None, tuple(what_is_wrong(text, str(error))))


def what_is_wrong(text: str, error: str) -> list[Wrong]:
    """Return the parts of a PolicyError's text, with keys and lines."""
    if error.startswith("not TOML: "):
        said = error.removeprefix("not TOML: ")
        at = _AT_LINE.search(said)
        line = int(at[1]) if at else text.rstrip().count("\n") + 1
        return [Wrong(f"this is not TOML: {said}", None, line)]
    lines = lines_of_keys(text)
    return [_wrong(part, lines) for part in _NEXT.split(error)]


def _wrong(part: str, lines: dict[str, int]) -> Wrong:
    key, _, said = part.partition(": ")
    if key == "document":
        named = (_RULE.sub(lambda rule: f"{rule[1]}.{int(rule[2]) - 1}", one) for one in _NAMED.findall(said))
        return Wrong(said, None, next(filter(None, (_line(one, lines) for one in named)), None))
    return Wrong(said, key, _line(key, lines))


def _line(key: str, lines: dict[str, int]) -> int | None:
    """Return the line of a key, else of the nearest table around it."""
    while key:
        if key in lines:
            return lines[key]
        key = key.rpartition(".")[0]
    return None


def lines_of_keys(text: str) -> dict[str, int]:
    """Return the line of each key and table, by its path, dots between: `access.0.networks`, `domains.a.test.route`."""
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        header = _HEADER.match(line)
        if header and (path := _path_of(line)):
            if header[1] == "[[":
                counts[path] = counts.get(path, -1) + 1
            table = _with_places(path, counts)
            found.setdefault(path, number)
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            path = _path_of(f"{key[1]} = 0")
            found.setdefault(f"{table}.{path}" if table else path, number)
    return found


def _with_places(path: str, counts: dict[str, int]) -> str:
    for array, count in counts.items():
        if path == array or path.startswith(f"{array}."):
            return f"{array}.{count}{path.removeprefix(array)}"
    return path


def _path_of(line: str) -> str:
    """Return the path that a line opens or sets; empty for a line that says no such thing by itself."""
    try:
        inner: object = tomllib.loads(line)
    except (tomllib.TOMLDecodeError, RecursionError):
        return ""
    steps: list[str] = []
    while isinstance(inner, dict | list) and inner:
        if isinstance(inner, list):
            inner = inner[0]
            continue
        name, inner = next(iter(inner.items()))
        steps.append(name)
    return ".".join(steps)
