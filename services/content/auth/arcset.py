"""Owns the structure of an ARC chain: which fields make which set, in order. PURE.

Input: the ARC fields of a message. Output: the sets, the oldest first. Standards: RFC 8617 §4.1, §4.2, §5.2.
On failure: BrokenChain says what is wrong; Unusable where a field is no tag list.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from services.content.auth.dkimsignature import tags_of
from shared.auth.message import Field, Message

# RFC 8617 §4.2.1: an instance is a number from 1 to 50. Each set costs a look-up and a verification; real chains have
# one to four, so that deliberately fewer are examined.
MAX_SETS = 10

RESULTS, MESSAGE, SEAL = b"arc-authentication-results", b"arc-message-signature", b"arc-seal"
_KINDS = (RESULTS, MESSAGE, SEAL)
_NUMBER = re.compile(rb"[1-9][0-9]?")
# RFC 8617 §4.1.1: i= comes first, set off by a semicolon.
_INSTANCE = re.compile(rb"[ \t\r\n]*+i[ \t\r\n]*+=[ \t\r\n]*+([1-9][0-9]?)[ \t\r\n]*+;")


class BrokenChain(Exception):
    """A chain that cannot hold; the text says why."""


@dataclass(frozen=True, slots=True)
class ArcSet:
    """The three fields that one handler has added, with the tags of the two that are tag lists."""

    instance: int
    results: Field
    message: Field
    seal: Field
    message_tags: dict[bytes, bytes]
    seal_tags: dict[bytes, bytes]

    @property
    def validation(self) -> bytes:
        """What its handler says of the chain before it (cv=)."""
        return self.seal_tags.get(b"cv", b"").lower()

    @property
    def fields(self) -> tuple[Field, Field, Field]:
        """The fields in the order in which they are sealed (RFC 8617 §5.1.1)."""
        return self.results, self.message, self.seal


def arc_fields(message: Message) -> list[Field]:
    """Return the message's ARC fields."""
    return [field for field in message.fields if field.key in _KINDS]


def chain_of(fields: Sequence[Field]) -> list[ArcSet]:
    """Return the sets. Raises BrokenChain, Unusable."""
    if len(fields) > MAX_SETS * len(_KINDS):
        raise BrokenChain(f"the chain has more than {MAX_SETS} sets, which are not examined")
    found: dict[tuple[int, bytes], Field] = {}
    tags: dict[Field, dict[bytes, bytes]] = {}
    for field in fields:
        if field.key != RESULTS:
            tags[field] = tags_of(field)
        instance = _instance(field, tags.get(field, {}))
        # RFC 8617 §5.2, step 3: exactly one field of each kind in each set.
        if (instance, field.key) in found:
            raise BrokenChain(f"the chain has two fields of a kind in set {instance}")
        found[instance, field.key] = field
    # RFC 8617 §5.2, step 3: the instances are continuous from 1 on.
    count = max(instance for instance, _ in found)
    if len(found) != count * len(_KINDS):
        raise BrokenChain("the chain has gaps")
    chain = []
    for instance in range(1, count + 1):
        results, message, seal = (found[instance, kind] for kind in _KINDS)
        chain.append(ArcSet(instance, results, message, seal, tags[message], tags[seal]))
    _check_validation(chain)
    return chain


def _instance(field: Field, tags: dict[bytes, bytes]) -> int:
    matched = _INSTANCE.match(field.value) if field.key == RESULTS else _NUMBER.fullmatch(tags.get(b"i", b""))
    if matched is None:
        raise BrokenChain("a field of the chain has no instance (i=)")
    return int(matched.group(matched.lastindex or 0))


def _check_validation(chain: Sequence[ArcSet]) -> None:
    newest = chain[-1]
    # RFC 8617 §5.2, step 2: a chain that failed once stays failed.
    if newest.validation == b"fail":
        raise BrokenChain(f"the chain had failed when set {newest.instance} was added")
    for one in chain:
        # RFC 8617 §5.2, step 3: the first set has cv=none, all others cv=pass.
        wanted = b"none" if one.instance == 1 else b"pass"
        if one.validation != wanted:
            raise BrokenChain(f"set {one.instance} has not cv={wanted.decode()}")
