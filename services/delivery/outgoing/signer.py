"""Signing mail that this gateway vouches for (I/O: DNS, through the resolver; a thread for large bodies).

Input: the envelope and the bytes that are about to be sent. Output: the bytes with a DKIM-Signature per algorithm on
top, or as they were. The signed form is not kept: each attempt signs anew.
Standards: RFC 6376 §5, RFC 8301, RFC 8463.
On failure: a message whose keys can neither be proved nor disproved, for DNS does not answer, waits: CannotSignNow, a
TemporaryError. When it is an hour old it leaves unsigned, as those do of whose keys none is published.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable

import structlog

from services.delivery.metrics import DKIM_SIGNED, DKIM_UNSIGNED
from services.delivery.outgoing.keyring import KeysPort
from services.delivery.outgoing.publication import Publication
from services.delivery.outgoing.signature import signature_fields
from services.delivery.outgoing.signing_key import Signatories, SigningKey
from shared.auth.author import read_author
from shared.auth.canon import body_pieces, relaxed_body
from shared.auth.message import Message, split_message
from shared.dns.answer import DnsTemporary, Resolver
from shared.envelope import Envelope, Proof
from shared.errors import TemporaryError
from shared.reply import Reply

_log = structlog.get_logger()

# Who sent it is known by more than what the message says of itself. (SPF, DKIM and DMARC prove others' mail.)
VOUCHED = frozenset({Proof.LOGIN, Proof.RELAY_LIST, Proof.CLIENT_CERTIFICATE, Proof.GATEWAY})
WAIT_FOR_DNS_S = 3_600.0
# A smaller body is made canonical and hashed in the time that a thread takes to begin.
_THREAD_BYTES = 131_072
# A retired key whose record goes sooner is not used any more: the signature must hold until the message has arrived.
_SHORTEST_LIFE_S = 3_600.0


class CannotSignNow(TemporaryError):
    """DNS does not say whether the keys are published."""


class Signer:
    """Signs for the domains whose keys this process has. clock: Unix seconds."""

    def __init__(
        self,
        keys: KeysPort,
        resolver: Resolver,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = keys
        self._published = Publication(resolver, monotonic)
        self._clock = clock

    async def sign(self, envelope: Envelope, message: bytes) -> bytes:
        """Return the message, signed if it is to be. Raises CannotSignNow."""
        if envelope.proved not in VOUCHED or not self._keys.sign:
            return message
        split = split_message(message)
        author = read_author(split)
        if author.domain is None:
            return _unsigned(message, "author")
        signers = self._keys.signatories_for(author.domain)
        if not signers:
            return message
        if split.fault:
            # RFC 6376 §5.3: who reads such a header otherwise than we do sees another message than the one signed.
            return _unsigned(message, "header")
        keys = await self._usable(signers, envelope)
        if not keys:
            return _unsigned(message, "unpublished")
        fields = signature_fields(split, await _body_digest(split), keys, self._clock())
        for key in keys:
            DKIM_SIGNED.labels(key.algorithm.value).inc()
        return fields + message

    async def _usable(self, signers: Signatories, envelope: Envelope) -> list[SigningKey]:
        """Return one key per algorithm that can be shown to be published."""
        found: list[SigningKey] = []
        unknown: DnsTemporary | None = None
        for candidates in signers:
            try:
                key = await self._first_published(candidates)
            except DnsTemporary as error:
                unknown = error
                continue
            if key is not None:
                found.append(key)
        if unknown is not None and not found and self._clock() - envelope.received_at < WAIT_FOR_DNS_S:
            reply = Reply(451, "4.4.3", "DNS does not say whether the DKIM keys are published; trying again later")
            raise CannotSignNow(f"the DKIM keys cannot be proved: {unknown}", reply)
        return found

    async def _first_published(self, candidates: tuple[SigningKey, ...]) -> SigningKey | None:
        unknown: DnsTemporary | None = None
        for key in candidates:
            if key.keep_until is not None and key.keep_until - self._clock() < _SHORTEST_LIFE_S:
                continue
            try:
                if await self._published.is_published(key):
                    return key
            except DnsTemporary as error:
                unknown = unknown or error
        if unknown is not None:
            raise unknown
        return None


def _unsigned(message: bytes, why: str) -> bytes:
    DKIM_UNSIGNED.labels(why).inc()
    return message


async def _body_digest(message: Message) -> bytes:
    if len(message.body) <= _THREAD_BYTES:
        return hashlib.sha256(relaxed_body(message.body)).digest()
    return await asyncio.to_thread(_digest_in_pieces, message.body)


def _digest_in_pieces(body: bytes) -> bytes:
    digest = hashlib.sha256()
    for piece in body_pieces(body, relaxed=True):
        digest.update(piece)
    return digest.digest()
