"""Hashing a message's body for its signatures, DKIM's and ARC's alike, without holding up the event loop.

Input: the split message. Output: its BodyDigests. On failure: raises nothing but cancellation.
"""

import asyncio

from services.content.auth.arcset import MAX_SETS
from services.content.auth.digests import BodyDigests
from services.content.auth.dkim import MAX_SIGNATURES
from services.content.auth.dkimsignature import Unusable, body_form, tags_of
from shared.auth.message import Message

# Smaller bodies are hashed where they are asked for: the worst of them takes some milliseconds.
_THREAD_BYTES = 1_000_000


async def digest_body(message: Message) -> BodyDigests:
    """Return the digests of the body; a large one's are made in a thread, all that the signatures will ask for."""
    digests = BodyDigests(message.body)
    if digests.body_bytes > _THREAD_BYTES:
        for relaxed, lengths in _wanted(message).items():
            await asyncio.to_thread(digests.prepare, relaxed=relaxed, lengths=lengths)
    return digests


def _wanted(message: Message) -> dict[bool, set[int]]:
    """Return which canonical forms of the body the signatures speak of, and which first bytes of them (l=)."""
    wanted: dict[bool, set[int]] = {}
    for name, count in ((b"dkim-signature", MAX_SIGNATURES), (b"arc-message-signature", MAX_SETS)):
        for field in [field for field in message.fields if field.key == name][:count]:
            try:
                relaxed, length = body_form(tags_of(field))
            except Unusable:
                continue
            wanted.setdefault(relaxed, set()).update(() if length is None else {length})
    return wanted
