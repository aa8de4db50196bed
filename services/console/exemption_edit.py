"""Adding an exemption to the text of a policy document, comments and order kept (PURE).

Input: the document as it is in force, and the exemption's keys. Output: the new document, which says that one exemption
more and nothing else.
On failure: EditError, whose text is for the administrator. Whether the result is a good policy is not judged here.
"""

import contextlib
import tomllib
from collections.abc import Callable, Mapping

import tomlkit
from tomlkit.exceptions import TOMLKitError

from services.console.domain_edit import EditError

Keys = Mapping[str, str | list[str]]


def with_exemption(text: str, keys: Keys) -> str:
    """Return the document with an exemption more. Raises EditError."""
    try:
        meant = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise EditError(f"the policy is not TOML: {error}") from None
    listed = meant.setdefault("exemptions", [])
    if not isinstance(listed, list):
        raise EditError("exemptions is no list of tables")
    listed.append(dict(keys))
    ways: tuple[Callable[[], str], ...] = (lambda: _appended(text, keys), lambda: _by_tomlkit(text, keys))
    for way in ways:
        with contextlib.suppress(TOMLKitError, tomllib.TOMLDecodeError, ValueError, TypeError):
            made = way()
            if tomllib.loads(made) == meant:
                return made
    raise EditError("this document cannot be edited for you: add the exemption by hand, then gatepost policy apply")


def _appended(text: str, keys: Keys) -> str:
    lines = [f"{key} = {tomlkit.item(value).as_string()}" for key, value in keys.items()]
    body = text.rstrip("\n")
    return "\n".join([*([body, ""] if body else []), "[[exemptions]]", *lines, ""])


def _by_tomlkit(text: str, keys: Keys) -> str:
    document = tomlkit.parse(text)
    made = tomlkit.inline_table()
    made.update(dict(keys))
    document["exemptions"].append(made)
    return tomlkit.dumps(document)
