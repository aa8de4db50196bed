"""Owns the digests of a message's canonical body, for all its signatures together. PURE.

Input: a body. Output: SHA-256 digests of its canonical forms, whole or of their first bytes, each made once.
Standards: RFC 6376 §3.4, §3.7. On failure: never raises.
"""

import hashlib
from collections.abc import Iterable

from shared.auth.canon import PIECE_BYTES, body_pieces, relaxed_body, simple_body


class BodyDigests:
    """The digests of one body, each computed once however many signatures (and re-runs) ask for it.

    A body up to piece_bytes is kept in its canonical form; that of a larger one is never whole in memory.
    """

    def __init__(self, body: bytes, *, piece_bytes: int = PIECE_BYTES) -> None:
        self._body = body
        self._piece_bytes = piece_bytes
        self._forms: dict[bool, bytes] = {}
        self._sizes: dict[bool, int] = {}
        self._digests: dict[tuple[bool, int], bytes] = {}
        self.hashed_bytes = 0

    @property
    def body_bytes(self) -> int:
        """The length of the body as it is."""
        return len(self._body)

    def size_bytes(self, *, relaxed: bool) -> int:
        """Return the length of the canonical body."""
        if relaxed not in self._sizes:
            self.prepare(relaxed=relaxed)
        return self._sizes[relaxed]

    def sha256(self, *, relaxed: bool, length: int | None = None) -> bytes:
        """Return the digest of the canonical body, or of its first `length` bytes."""
        size = self.size_bytes(relaxed=relaxed)
        length = size if length is None else min(length, size)
        if (relaxed, length) not in self._digests:
            self.prepare(relaxed=relaxed, lengths=(length,))
        return self._digests[relaxed, length]

    def prepare(self, *, relaxed: bool, lengths: Iterable[int] = ()) -> None:
        """Work out in one pass what one canonical form will be asked for: its size, and these lengths' digests.

        The whole form's digest comes with it where the body is large.
        """
        if len(self._body) > self._piece_bytes:
            self._prepare_in_pieces(relaxed, sorted(set(lengths)))
            return
        form = self._form(relaxed)
        self._sizes[relaxed] = len(form)
        for length in {min(length, len(form)) for length in lengths}:
            self._digests[relaxed, length] = hashlib.sha256(memoryview(form)[:length]).digest()
            self.hashed_bytes += length

    def _form(self, relaxed: bool) -> bytes:
        form = self._forms.get(relaxed)
        if form is None:
            form = self._forms[relaxed] = relaxed_body(self._body) if relaxed else simple_body(self._body)
        return form

    def _prepare_in_pieces(self, relaxed: bool, lengths: list[int]) -> None:
        whole, size = hashlib.sha256(), 0
        for piece in body_pieces(self._body, relaxed=relaxed, piece_bytes=self._piece_bytes):
            while lengths and lengths[0] <= size + len(piece):
                part = whole.copy()
                part.update(memoryview(piece)[: lengths[0] - size])
                self._digests[relaxed, lengths.pop(0)] = part.digest()
            whole.update(piece)
            size += len(piece)
        self._digests[relaxed, size] = whole.digest()
        self._sizes[relaxed] = size
        self.hashed_bytes += size
