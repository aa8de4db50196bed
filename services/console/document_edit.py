"""Changing a list of tables, such as `[[access]]`, in the text of a policy document, comments and order kept (PURE).

Input: the document as it is in force, the list's key, and the change; places count from 0. Output: the new document,
which says that change and no other.
Decided here: the lines of a table go and come with the comments right above it; a list that is written in one line
(`access = [{…}]`) is edited by tomlkit. Either way the result is read again, and must say what was meant.
On failure: EditError, whose text is for the administrator. Whether the result is a good policy is not judged here.
"""

import contextlib
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence

import tomlkit
from tomlkit.exceptions import TOMLKitError

from services.console.domain_edit import EditError, Value

_ANY_HEADER = re.compile(r"[ \t]*\[")
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
Table = Mapping[str, Value]


def items_of(text: str, key: str) -> list[dict[str, Value]]:
    """Return the tables of a list, empty if the document has none. Raises EditError."""
    found = _plain(text).get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise EditError(f"{key} is not a list of tables in this document: change it by hand")
    return found


def with_item(text: str, key: str, table: Table, place: int, note: str = "") -> str:
    """Return the document with a table more, which stands at a place then. Raises EditError.

    note: stands above it as a comment.
    """
    items = items_of(text, key)
    place = max(0, min(place, len(items)))
    meant = [*items[:place], dict(table), *items[place:]]
    comment = _BREAKS.sub(" ", note).strip()

    def by_lines() -> str:
        return _with_lines(
            text, key, [*([f"# {comment}"] if comment else []), *_written(key, table)], place, is_first=not items
        )

    def by_tomlkit() -> str:
        document = tomlkit.parse(text)
        inline = tomlkit.inline_table()
        inline.update(table)
        document[key].insert(place, inline)
        return tomlkit.dumps(document)

    return _first_right(text, key, meant, by_lines, by_tomlkit)


def without_item(text: str, key: str, place: int) -> str:
    """Return the document without a table and the comments right above it. Raises EditError."""
    items = items_of(text, key)
    _must_be_there(items, key, place)

    def by_lines() -> str:
        lines = text.split("\n")
        start, end = _blocks(lines, key)[place]
        while end < len(lines) - 1 and not lines[end].strip():
            end += 1
        return "\n".join(lines[:start] + lines[end:])

    def by_tomlkit() -> str:
        document = tomlkit.parse(text)
        del document[key][place]
        return tomlkit.dumps(document)

    return _first_right(text, key, [*items[:place], *items[place + 1 :]], by_lines, by_tomlkit)


def with_item_moved(text: str, key: str, place: int, to: int) -> str:
    """Return the document with a table at another place of its list. Raises EditError."""
    items = items_of(text, key)
    _must_be_there(items, key, place)
    _must_be_there(items, key, to)
    order = list(range(len(items)))
    order.insert(to, order.pop(place))

    def by_lines() -> str:
        lines = text.split("\n")
        blocks = _blocks(lines, key)
        made: list[str] = []
        written = 0
        for (start, end), source in zip(blocks, order, strict=True):
            made += [*lines[written:start], *lines[blocks[source][0] : blocks[source][1]]]
            written = end
        return "\n".join([*made, *lines[written:]])

    def by_tomlkit() -> str:
        document = tomlkit.parse(text)
        document[key].insert(to, document[key].pop(place))
        return tomlkit.dumps(document)

    return _first_right(text, key, [items[source] for source in order], by_lines, by_tomlkit)


def _blocks(lines: Sequence[str], key: str) -> list[tuple[int, int]]:
    """Return the first line of each table of the list, its comments included, and the line behind its last key."""
    header = re.compile(rf"[ \t]*\[\[[ \t]*{re.escape(key)}[ \t]*\]\][ \t]*(?:#.*)?\Z")
    found = []
    for number, line in enumerate(lines):
        if not header.match(line):
            continue
        start, end = number, number + 1
        while start and lines[start - 1].lstrip().startswith("#"):
            start -= 1
        while end < len(lines) and not _ANY_HEADER.match(lines[end]):
            end += 1
        # What comments and blank lines follow belongs to the next table.
        while end > number + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
            end -= 1
        found.append((start, end))
    return found


def _written(key: str, table: Table) -> list[str]:
    return [
        f"[[{key}]]",
        *(f"{tomlkit.key(name).as_string()} = {tomlkit.item(value).as_string()}" for name, value in table.items()),
    ]


def _with_lines(text: str, key: str, block: list[str], place: int, *, is_first: bool) -> str:
    lines = text.rstrip("\n").split("\n") if text.strip() else []
    blocks = [] if is_first else _blocks(lines, key)
    if place < len(blocks):
        at = blocks[place][0]
        return "\n".join([*lines[:at], *block, "", *lines[at:]]) + "\n"
    at = blocks[-1][1] if blocks else len(lines)
    return "\n".join([*lines[:at], *([""] if lines else []), *block, *lines[at:]]) + "\n"


def _must_be_there(items: Sequence[object], key: str, place: int) -> None:
    if not 0 <= place < len(items):
        raise EditError(f"there is no {key} {place + 1}: it has {len(items)}")


def _plain(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise EditError(f"the policy is not TOML: {error}") from None


def _first_right(text: str, key: str, items: Sequence[Table], *ways: Callable[[], str]) -> str:
    """Return what the first way makes that says what is meant. Raises EditError."""
    meant = _plain(text) | {key: list(items)}
    for way in ways:
        # A way that does not suit the document's form fails, or makes something else of it.
        with contextlib.suppress(EditError, TOMLKitError, ValueError, TypeError, KeyError, IndexError, AttributeError):
            made = way()
            says = tomllib.loads(made)
            if {key: []} | says == meant:
                return made
    raise EditError("this document cannot be edited for you: change it by hand")
