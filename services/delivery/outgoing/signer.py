"""Signing mail that this gateway vouches for (I/O: DNS, through the resolver; a thread for large bodies).

Input: the envelope and the bytes that are about to be sent. Output: the bytes with a DKIM-Signature per algorithm on
top, or as they were, and by which keys, or why not. The signed form is not kept: each attempt signs anew.
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
from services.delivery.outgoing.signing import Passed, PassedOver, Signed, Signing, Unsigned
from services.delivery.outgoing.signing_key import Signatories, SigningKey
from shared.auth.author import read_author
from shared.auth.canon import body_pieces, relaxed_body
from shared.auth.message import Message, split_message
from shared.dkim_keys import RecordState
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

    async def sign(self, envelope: Envelope, message: bytes) -> Signed:
        """Return the message, signed if it is to be. Raises CannotSignNow."""
        if envelope.proved not in VOUCHED:
            return Signed(message)
        if not self._keys.sign:
            return Signed(message, Signing(unsigned=Unsigned.NO_KEYS))
        split = split_message(message)
        if split.fault:
            # RFC 6376 §5.3: who reads such a header otherwise than we do sees another message than the one signed.
            return _unsigned(message, Signing(unsigned=Unsigned.HEADER))
        author = read_author(split)
        if author.domain is None:
            return _unsigned(message, Signing(unsigned=Unsigned.AUTHOR))
        signers = self._keys.signatories_for(author.domain)
        if not signers:
            return Signed(message, Signing(author.domain, unsigned=Unsigned.NO_KEYS))
        signing = await self._choose(signers, envelope)
        if signing.unsigned is not None:
            return _unsigned(message, signing)
        fields = signature_fields(split, await _body_digest(split), signing.keys, self._clock())
        for key in signing.keys:
            DKIM_SIGNED.labels(key.algorithm.value).inc()
        return Signed(fields + message, signing)

    async def _choose(self, signers: Signatories, envelope: Envelope) -> Signing:
        """Choose one key per algorithm that can be shown to be published. Raises CannotSignNow."""
        domain = signers[0][0].domain
        chosen: list[SigningKey] = []
        passed: list[PassedOver] = []
        for candidates in signers:
            for key in candidates:
                if (why := await self._why_not(key)) is None:
                    chosen.append(key)
                    break
                passed.append(why)
        if chosen:
            return Signing(domain, tuple(chosen), tuple(passed))
        unknown = next((one for one in passed if one.why == Passed.NO_ANSWER), None)
        if unknown is None:
            return Signing(domain, (), tuple(passed), Unsigned.UNPUBLISHED)
        if self._clock() - envelope.received_at < WAIT_FOR_DNS_S:
            reply = Reply(451, "4.4.3", "DNS does not say whether the DKIM keys are published; trying again later")
            raise CannotSignNow(f"the DKIM keys cannot be proved: {unknown.cause}", reply)
        return Signing(domain, (), tuple(passed), Unsigned.NO_ANSWER)

    async def _why_not(self, key: SigningKey) -> PassedOver | None:
        """Return why a key may not sign now, or None if it may."""
        if key.keep_until is not None and key.keep_until - self._clock() < _SHORTEST_LIFE_S:
            return PassedOver(key.selector, Passed.ENDING)
        try:
            state = await self._published.state_of(key)
        except DnsTemporary as error:
            return PassedOver(key.selector, Passed.NO_ANSWER, str(error))
        return None if state is RecordState.PUBLISHED else PassedOver(key.selector, state)


def _unsigned(message: bytes, signing: Signing) -> Signed:
    if signing.unsigned is not None:
        DKIM_UNSIGNED.labels(signing.unsigned.value).inc()
    return Signed(message, signing)


async def _body_digest(message: Message) -> bytes:
    if len(message.body) <= _THREAD_BYTES:
        return hashlib.sha256(relaxed_body(message.body)).digest()
    return await asyncio.to_thread(_digest_in_pieces, message.body)


def _digest_in_pieces(body: bytes) -> bytes:
    digest = hashlib.sha256()
    for piece in body_pieces(body, relaxed=True):
        digest.update(piece)
    return digest.digest()
