"""Owns finding the addresses in an address field, and writing others in their place (PURE).

Input: the raw value of From, Sender or Reply-To. Output: the same octets but for the addresses that are changed: names,
comments, groups and folds stay.
Standards: RFC 5322 §3.4, RFC 6854 (groups), RFC 6532 (UTF-8).
On failure: ValueError at the least doubt; whoever calls leaves the field as it is.
"""

from collections.abc import Callable, Iterator

from shared.address import Address, parse_address
from shared.auth.address_tokens import Kind, address_tokens

MAX_FIELD_BYTES = 65_536
MAX_ADDRESSES = 1_000


def rewrite_addresses(value: bytes, change: Callable[[Address], str | None]) -> bytes:
    """Return the value with addresses changed. Raises ValueError.

    change: returns the address to stand in the place of one, None to leave it.
    """
    if len(value) > MAX_FIELD_BYTES:
        raise ValueError("the field is too long")
    # What is no UTF-8 goes through as it is.
    text = value.decode("utf-8", "surrogateescape")
    pieces: list[str] = []
    done = 0
    for start, end, address in _addresses(text):
        changed = change(address)
        if changed is not None:
            pieces += [text[done:start], changed]
            done = end
    if not done:
        return value
    return "".join([*pieces, text[done:]]).encode("utf-8", "surrogateescape")


def _addresses(text: str) -> Iterator[tuple[int, int, Address]]:
    tokens = address_tokens(text)
    signs = [index for index, token in enumerate(tokens) if token.text == "@"]
    if len(signs) > MAX_ADDRESSES:
        raise ValueError("the field has too many addresses")
    # Each "<" has its ">" with one address between.
    if sum(token.text == "<" for token in tokens) != sum(token.text == ">" for token in tokens):
        raise ValueError("the field has an open bracket")
    for index in signs:
        if not 2 <= index < len(tokens) - 2:
            raise ValueError("the field has an address without its parts")
        before, local, domain, after = tokens[index - 2], tokens[index - 1], tokens[index + 1], tokens[index + 2]
        # RFC 5322 §3.4: an address stands alone between commas, or alone in brackets behind a name. One that is in
        # pieces, with blanks or comments between (§4.4), is read in more ways than one.
        alone = before.text in ("", ",", ":", ";") and after.text in ("", ",", ";")
        if (before.text, after.text) != ("<", ">") and not alone:
            raise ValueError("the field has an address beside other words")
        if local.kind not in (Kind.ATOM, Kind.QUOTED) or domain.kind not in (Kind.ATOM, Kind.LITERAL):
            raise ValueError("the field has an address without its parts")
        if local.end != tokens[index].start or tokens[index].end != domain.start or local.text.startswith("=?"):
            raise ValueError("the field has an address in pieces")
        yield local.start, domain.end, parse_address(f"{local.text}@{domain.text}")
