"""Changing one domain in the text of a policy document, comments and order kept (PURE).

Input: the document as it is in force, and the change. Output: the new document, which says that change and no other.
Decided here: lines are put in and taken out where the document has the usual form, a `[domains."…"]` per domain, so
that no comment moves; tomlkit edits what has another form. Either way the result is read again, and must say what was
meant.
On failure: EditError, whose text is for the administrator. Whether the result is a good policy is not judged here.
"""

import contextlib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import AbstractTable, InlineTable
from tomlkit.toml_document import TOMLDocument

from shared.address import AddressError, parse_domain

_HEADER = re.compile(r"[ \t]*\[[^\[].*\][ \t]*(?:#.*)?\Z")

Value = str | int | float | bool | list["Value"] | dict[str, "Value"]
# The path of a key in a domain's table: with dots, or step by step where a name has dots of its own.
KeyPath = str | tuple[str, ...]


class EditError(ValueError):
    """A change that cannot be made; the text says why."""


def with_domain(text: str, domain: str, table: Mapping[str, Value]) -> str:
    """Return the document with one domain more. Raises EditError."""
    meant = _plain(text)
    if _key_of(meant, domain) is not None:
        raise EditError(f"{domain} is one of our domains already: gatepost domain set {domain} …")
    domains = meant.setdefault("domains", {})
    assert isinstance(domains, dict)
    domains[domain] = dict(table)
    made = tomlkit.dumps({"domains": {domain: dict(table)}})
    body = text.rstrip("\n")
    appended = f"{body}\n\n{made.lstrip()}" if body else made
    return _first_right(meant, lambda: appended, lambda: _by_tomlkit(text, lambda d: _add(d, domain, table)))


def with_keys(text: str, domain: str, changes: Mapping[KeyPath, Value | None]) -> str:
    """Return the document with keys of a domain set, or taken out where the value is None. Raises EditError.

    changes: by key, `checks.spf.fail` or `("aliases", "anna.b")` for one in a table below.
    """
    for path, value in changes.items():
        text = _with_key(text, domain, steps_of(path), value)
    return text


def steps_of(path: KeyPath) -> list[str]:
    """Return the steps to a key."""
    return path.split(".") if isinstance(path, str) else list(path)


def without_domain(text: str, domain: str) -> str:
    """Return the document without a domain. Raises EditError."""
    meant = _plain(text)
    key = _own_key(meant, domain)
    del meant["domains"][key]  # type: ignore[attr-defined]
    if not meant["domains"]:
        # Its table may be left, empty, or be gone with it; both say the same.
        del meant["domains"]
    return _first_right(
        meant, lambda: _without_lines(text, ("domains", key)), lambda: _by_tomlkit(text, lambda d: _remove(d, key))
    )


def own_keys(text: str, domain: str) -> dict[str, Value]:
    """Return the keys that a domain's own table has, without what it inherits. Raises EditError."""
    document = _plain(text)
    table: dict[str, Value] = document["domains"][_own_key(document, domain)]  # type: ignore[index]
    return table


def read_value(text: str) -> Value:
    """Return what stands behind `key=` on a command line: a value of TOML, or else the words themselves."""
    try:
        document: dict[str, Value] = tomllib.loads(f"value = {text}\n")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    if len(document) > 1:
        return text
    value = document["value"]
    # Times and dates mean nothing here, and are none where they were not meant.
    return value if isinstance(value, str | int | float | bool | list | dict) else text


def _with_key(text: str, domain: str, path: Sequence[str], value: Value | None) -> str:
    meant = _plain(text)
    key = _own_key(meant, domain)
    is_there = _change(meant["domains"][key], path, value)  # type: ignore[index]

    def edit(document: TOMLDocument) -> None:
        _change(document["domains"][key], path, value)

    if is_there or value is None:
        whole = ("domains", key, *path)
        return _first_right(meant, lambda: _by_tomlkit(text, edit), lambda: _with_line_changed(text, whole, value))
    return _first_right(meant, lambda: _with_line(text, ("domains", key), path, value), lambda: _by_tomlkit(text, edit))


def _change(table: object, path: Sequence[str], value: Value | None) -> bool:
    """Set or take out a key, and return whether it was there. Raises EditError."""
    *above, last = path
    dotted = ".".join(path)
    if not all(path):
        raise EditError(f"{dotted!r} is not the path of a key")
    for name in above:
        if isinstance(table, dict | AbstractTable) and name not in table and value is not None:
            table[name] = tomlkit.inline_table() if isinstance(table, InlineTable) else {}
        table = table[name] if isinstance(table, dict | AbstractTable) and name in table else None
    if not isinstance(table, dict | AbstractTable):
        raise EditError(f"there is no key {dotted}" if value is None else f"{dotted}: no table stands there")
    is_there = last in table
    if value is not None:
        table[last] = value
    elif is_there:
        del table[last]
    else:
        raise EditError(f"there is no key {dotted} to take out")
    return is_there


def _add(document: TOMLDocument, domain: str, table: Mapping[str, Value]) -> None:
    made = tomlkit.inline_table()
    made.update(table)
    document["domains"][domain] = made


def _remove(document: TOMLDocument, key: str) -> None:
    del document["domains"][key]


def _headers(lines: Sequence[str]) -> list[tuple[int, tuple[str, ...]]]:
    """Return the lines that open tables, and the tables' paths, as far as lines tell by themselves."""
    found = []
    for number, line in enumerate(lines):
        if not _HEADER.match(line):
            continue
        with contextlib.suppress(tomllib.TOMLDecodeError):
            found.append((number, _path_in(tomllib.loads(line))))
    return found


def _path_in(document: Mapping[str, object]) -> tuple[str, ...]:
    path: list[str] = []
    inner: object = document
    while isinstance(inner, dict) and inner:
        name, inner = next(iter(inner.items()))
        path.append(name)
    return tuple(path)


def _end_of(lines: Sequence[str], start: int, end: int) -> int:
    """Return where a table's last key ends: what comments and blank lines follow belongs to the next table."""
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _blocks(lines: Sequence[str]) -> list[tuple[tuple[str, ...], int, int]]:
    """Return each table's path, its first line and the line behind its last key."""
    headers = _headers(lines)
    ends = [number for number, _ in headers[1:]] + [len(lines)]
    return [(path, number, _end_of(lines, number, end)) for (number, path), end in zip(headers, ends, strict=True)]


def _with_line(text: str, table: tuple[str, ...], path: Sequence[str], value: Value) -> str:
    """Return the text with a line more, in the nearest table that is there. Raises EditError."""
    lines = text.split("\n")
    whole = (*table, *path)
    inside = [block for block in _blocks(lines) if len(table) <= len(block[0]) and block[0] == whole[: len(block[0])]]
    if not inside:
        raise EditError("it has no table of that name")
    nearest, _, end = max(inside, key=lambda block: len(block[0]))
    key = ".".join(tomlkit.key(name).as_string() for name in whole[len(nearest) :])
    return "\n".join([*lines[:end], f"{key} = {tomlkit.item(value).as_string()}", *lines[end:]])


def _with_line_changed(text: str, whole: tuple[str, ...], value: Value | None) -> str:
    """Return the text with the value of a key that has a line of its own, or without that line. Raises EditError.

    tomlkit loses its way among several keys with dots that share their first steps.
    """
    lines = text.split("\n")
    for table, start, end in _blocks(lines):
        if whole[: len(table)] != table:
            continue
        for number in range(start + 1, end):
            with contextlib.suppress(tomllib.TOMLDecodeError):
                if lines[number].strip() and (*table, *_path_in(tomllib.loads(lines[number]))) == whole:
                    changed = [] if value is None else [_changed_line(lines[number], value)]
                    return "\n".join([*lines[:number], *changed, *lines[number + 1 :]])
    raise EditError("the key has no line of its own")


def _changed_line(line: str, value: Value) -> str:
    """Return a line with another value, and the comment that it had."""
    key = line.partition("=")[0].rstrip()
    comment = ""
    for place in (number for number, sign in enumerate(line) if sign == "#"):
        with contextlib.suppress(tomllib.TOMLDecodeError):
            if tomllib.loads(line[:place]) == tomllib.loads(line):
                comment = f"  {line[place:]}"
                break
    return f"{key} = {tomlkit.item(value).as_string()}{comment}"


def _without_lines(text: str, table: tuple[str, ...]) -> str:
    """Return the text without a table, those below it, and the comments right above them. Raises EditError."""
    lines = text.split("\n")
    blocks = [block for block in _blocks(lines) if block[0][: len(table)] == table]
    if not blocks:
        raise EditError("it has no table of that name")
    for _, start, end in reversed(blocks):
        first, last = start, end
        while first and lines[first - 1].lstrip().startswith("#"):
            first -= 1
        while last < len(lines) - 1 and not lines[last].strip():
            last += 1
        del lines[first:last]
    return "\n".join(lines)


def _own_key(document: dict[str, object], domain: str) -> str:
    key = _key_of(document, domain)
    if key is None:
        raise EditError(f"{domain} is none of our domains: gatepost domain list")
    return key


def _key_of(document: dict[str, object], domain: str) -> str | None:
    """Return how a domain is written in a document: in capitals, or with its own letters, perhaps."""
    domains = document.get("domains")
    for key in domains if isinstance(domains, dict) else ():
        try:
            if parse_domain(key) == domain:
                return str(key)
        except AddressError:
            continue
    return None


def _plain(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EditError(f"the policy is not TOML: {error}") from None


def _by_tomlkit(text: str, edit: Callable[[TOMLDocument], None]) -> str:
    document = tomlkit.parse(text)
    edit(document)
    return tomlkit.dumps(document)


def _first_right(meant: dict[str, object], *ways: Callable[[], str]) -> str:
    """Return what the first way makes that says what is meant. Raises EditError."""
    for way in ways:
        # A way that does not suit the document's form fails, or makes something else of it.
        with contextlib.suppress(EditError, TOMLKitError, tomllib.TOMLDecodeError, ValueError, TypeError, KeyError):
            text = way()
            says = tomllib.loads(text)
            if _pruned(says) == _pruned(meant):
                return text
    raise EditError("this document cannot be edited for you: change it by hand, then gatepost policy apply")


def _pruned(value: object) -> object:
    """Return a document without its empty tables, which say as little as none."""
    if not isinstance(value, dict):
        return value
    inside = {key: _pruned(inner) for key, inner in value.items()}
    return {key: inner for key, inner in inside.items() if inner != {}}
