"""The DKIM keys in force in this process (I/O: reads their stream).

Owns: following `gatepost.keys`: the highest version wins and never goes back, and of those that a process finds when it
begins the highest alone is ever in force; and whose keys sign for a domain.
On failure: an entry that cannot be read is logged and refused, the last good book stays; a key that cannot be loaded is
logged, and the others sign.
"""

import asyncio
from typing import Protocol

import structlog

from services.delivery.outgoing.signing_key import Signatories, signatories
from services.delivery.whole_stream import WholeStream
from shared.broker.connect import Link
from shared.broker.topology import Queue
from shared.dkim_keys import KeyBook, decode_keys

_log = structlog.get_logger()


class KeysPort(Protocol):
    """What a signer knows of keys."""

    @property
    def sign(self) -> bool:
        """Whether there is any domain that signs."""

    def signatories_for(self, domain: str) -> Signatories:
        """Return who signs for mail from a domain; nobody is an empty tuple."""


class Keys:
    """The highest book that was taken."""

    def __init__(self) -> None:
        self.version = 0
        self._by_domain: dict[str, Signatories] = {}

    @property
    def sign(self) -> bool:
        """Whether there is any domain that signs."""
        return bool(self._by_domain)

    def take(self, book: KeyBook) -> bool:
        """Put a book in force; return whether it was newer than the one before."""
        if book.version <= self.version:
            return False
        self._by_domain, faults = signatories(book.keys)
        self.version = book.version
        for fault in faults:
            _log.error("dkim-key-unusable", cause=fault)
        _log.info("dkim-keys-in-force", version=book.version, domains=len(self._by_domain))
        return True

    def signatories_for(self, domain: str) -> Signatories:
        """Return who signs for a domain: its own keys, else those of the nearest domain above it that has any."""
        # RFC 6376 §3.5: d= may be above the author's domain; RFC 9989 takes it for aligned unless the domain is strict.
        while domain:
            if (found := self._by_domain.get(domain)) is not None:
                return found
            domain = domain.partition(".")[2]
        return ()


class Keyring(Keys):
    """The keys of the stream. Made before the link is started."""

    def __init__(self, link: Link) -> None:
        super().__init__()
        self._highest: KeyBook | None = None
        self._stream = WholeStream(link, Queue.KEYS, self._on_entry, self._begin)

    async def wait_read(self, deadline_s: float) -> None:
        """Wait until the stream was read to its end once, so that no mail leaves by an older book meanwhile.

        An older one may say that nobody signs, or hold a key whose record was allowed to go since. After the deadline
        that is logged, and mail goes on with the highest that has come.
        """
        try:
            async with asyncio.timeout(deadline_s):
                await self._stream.wait_read()
        except TimeoutError:
            self._stream.count_as_read()
            _log.error("dkim-keys-unread", for_s=deadline_s, in_force=self.version)

    async def _on_entry(self, body: bytes) -> None:
        book = decode_keys(body)
        if self._stream.is_read:
            self.take(book)
        elif self._highest is None or book.version > self._highest.version:
            self._highest = book

    def _begin(self) -> None:
        if self._highest is not None:
            self.take(self._highest)
            self._highest = None
