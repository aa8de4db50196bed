"""Owns reading the author's domains out of From. PURE; one pass over a bounded field, no email.policy.default.

Input: the split message. Output: an Author: every domain that stands after an "@" outside quotes and comments, so that
no mail client can show an address that was not seen here. Standards: RFC 5322 §3.4 and §4.4, RFC 6854, RFC 6532.
On failure: Author.fault says what is wrong; whoever decides by the author must not go on with a fault.
"""

from dataclasses import dataclass

from shared.address import canonical_local_part, parse_local_part
from shared.auth.address_tokens import Kind, Token, Untidy, address_tokens
from shared.auth.domain import host_name
from shared.auth.message import Message

MAX_FROM_BYTES = 8_192
MAX_ADDRESSES = 100

_WORDS = (Kind.QUOTED, Kind.ENCODED, Kind.ATOM)


@dataclass(frozen=True, slots=True)
class Author:
    """The distinct domains of From in order, how many From fields there are, and what is wrong (empty if nothing)."""

    domains: tuple[str, ...]
    field_count: int
    fault: str = ""

    @property
    def domain(self) -> str | None:
        """The author domain, None unless there is exactly one beyond doubt."""
        return self.domains[0] if len(self.domains) == 1 and self.field_count == 1 and not self.fault else None


class _Malformed(ValueError):
    """From cannot be read; the text says why."""


def read_author(message: Message) -> Author:
    """Return the author's domains."""
    values = message.values(b"from")
    domains: dict[str, None] = {}
    fault = message.fault if values else "there is no From field"
    for value in values:
        try:
            domains.update(dict.fromkeys(_domains(value)))
        except _Malformed as error:
            fault = fault or str(error)
    if len(values) > 1:
        fault = fault or f"there are {len(values)} From fields"
    return Author(tuple(domains), len(values), fault)


def read_addresses(value: bytes) -> list[str]:
    """Return every address of a From or Sender field, in its one form. Raises ValueError at the least doubt.

    Stricter than `read_author`: who may only use addresses of his own must write them so that all readers agree.
    """
    domains = iter(_domains(value))
    tokens = _tokens(value)
    addresses = []
    for index, token in enumerate(tokens):
        if token.text != "@":
            continue
        before, local, after = tokens[index - 2].text, tokens[index - 1], tokens[index + 2].text
        # RFC 5322 §3.4: an address stands alone between commas, or alone in brackets behind a name.
        if (before, after) != ("<", ">") and (before not in ("", ",", ":", ";") or after not in ("", ",", ";")):
            raise _Malformed("From has an address beside other words")
        if local.kind is Kind.ENCODED:
            # RFC 2047 §5: an encoded word is no part of an address.
            raise _Malformed("From has an encoded address")
        addresses.append(f"{canonical_local_part(parse_local_part(local.text))}@{next(domains)}")
    return addresses


def _domains(value: bytes) -> list[str]:
    if len(value) > MAX_FROM_BYTES:
        raise _Malformed("From is too long")
    tokens = _tokens(value)
    domains = []
    # The "@" signs since the open "<"; None outside of brackets.
    in_brackets: int | None = None
    for index, (_, text, _, _) in enumerate(tokens):
        if text == "<":
            if in_brackets is not None:
                raise _Malformed("From has a bracket within brackets")
            in_brackets = 0
        elif text == ">":
            # RFC 5322 §3.4: an angle-addr holds exactly one addr-spec; routes (§4.4) are not taken.
            if in_brackets != 1:
                raise _Malformed("From has brackets without exactly one address")
            in_brackets = None
        elif text == "@":
            domains.append(_domain_at(tokens, index, bracketed=in_brackets is not None))
            in_brackets = in_brackets if in_brackets is None else in_brackets + 1
    if in_brackets is not None:
        raise _Malformed("From has an open bracket")
    if not 0 < len(domains) <= MAX_ADDRESSES:
        raise _Malformed("From has no address" if not domains else "From has too many addresses")
    return domains


def _domain_at(tokens: list[Token], index: int, *, bracketed: bool) -> str:
    # Behind the last token stands the edge, so that a sign always has a neighbour; a domain may be that last token.
    before, domain_token = tokens[index - 1], tokens[index + 1]
    after = tokens[min(index + 2, len(tokens) - 1)].text
    text = domain_token.text
    if before.kind not in _WORDS:
        raise _Malformed("From has an address without a local part")
    if domain_token.kind is Kind.LITERAL:
        raise _Malformed("From has an address literal")
    # RFC 5322 §4.4: "a@b . c" is an obsolete way to write a domain, which readers understand differently.
    if text.endswith(".") or after.startswith(".") or (bracketed and after != ">"):
        raise _Malformed("From has an address with a broken domain")
    domain = host_name(text) if domain_token.kind is Kind.ATOM else None
    if domain is None:
        raise _Malformed("From has an address without a proper domain")
    return domain


def _tokens(value: bytes) -> list[Token]:
    try:
        return address_tokens(value.decode("utf-8", "replace"))
    except Untidy as error:
        raise _Malformed(f"From has {error}") from None
