"""SCRAM-SHA-256, the client's side (PURE): both sides prove that they know the password, and neither says it.

Standards: RFC 5802, RFC 7677. Without channel binding, which the policy has no mechanism for: TLS is demanded apart.
On failure: SaslError: also where the host fails to prove itself.
"""

import base64
import binascii
import hashlib
import hmac
import re
from functools import lru_cache

from services.delivery.client.sasl.login import SaslError
from shared.saslprep import SaslprepError, saslprep

_HASH = "sha256"
# RFC 5802 §7: `gs2-header` of a client that knows no channel binding and acts as itself.
_GS2_HEADER = b"n,,"
# RFC 7677 §4: 4096 at least. A host that asks for fewer makes the proof easier to try passwords against.
_ITERATIONS_FEWEST = 4096
# Half a second in a thread; a host that asks for more wants our time, not our proof.
_ITERATIONS_MOST = 1_000_000
_SERVER_FIRST = re.compile(
    rb"r=([!-+\x2d-~]{1,1024}),s=([A-Za-z0-9+/=]{4,1024}),i=([1-9][0-9]{0,9})(?:,.*)?\Z", re.DOTALL
)


class ScramSha256:
    """One exchange. nonce: printable ASCII without a comma, never used before."""

    # For its many rounds of hashing.
    is_slow = True
    complaint = ""

    def __init__(self, login: str, password: str, nonce: str) -> None:
        try:
            # RFC 5802 §5.1: names and passwords go through SASLprep.
            name, self._password = saslprep(login), saslprep(password)
        except SaslprepError as error:
            raise SaslError(f"the login or its password has {error}") from None
        # RFC 5802 §5.1: ',' and '=' in names.
        name = name.replace("=", "=3D").replace(",", "=2C")
        self._nonce = nonce.encode("ascii")
        self._bare = b"n=" + name.encode() + b",r=" + self._nonce
        self._server_signature: bytes | None = None
        self.trusts = False

    def begin(self) -> bytes:
        """Return the client-first-message."""
        return _GS2_HEADER + self._bare

    def respond(self, challenge: bytes) -> bytes:
        """Return the client-final-message, or nothing once the host has proved itself."""
        if self._server_signature is None:
            return self._final(challenge)
        if self.trusts:
            raise SaslError("the host went on after its proof")
        # RFC 5802 §5: "v=" with the signature, or "e=" with what is wrong.
        if challenge.startswith(b"e="):
            raise SaslError(f"the host said {challenge[2:80].decode('ascii', 'replace')!r}")
        proof = base64.b64encode(self._server_signature)
        if not hmac.compare_digest(challenge.partition(b",")[0], b"v=" + proof):
            raise SaslError("the host does not know the password itself: it is not the right one")
        self.trusts = True
        return b""

    def _final(self, server_first: bytes) -> bytes:
        # RFC 5802 §5.1: an extension that must be understood ("m=") comes first, and none is.
        matched = _SERVER_FIRST.match(server_first)
        if matched is None:
            raise SaslError("the host's first message is not SCRAM's")
        nonce, salt_text, iterations = matched[1], matched[2], int(matched[3])
        # RFC 5802 §5.1: the host's nonce begins with ours, and adds to it.
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise SaslError("the host's nonce is not made of ours")
        if not _ITERATIONS_FEWEST <= iterations <= _ITERATIONS_MOST:
            bounds = f"between {_ITERATIONS_FEWEST} and {_ITERATIONS_MOST}"
            raise SaslError(f"the host asks for {iterations} iterations, {bounds} are taken")
        try:
            salt = base64.b64decode(salt_text, validate=True)
        except binascii.Error:
            raise SaslError("the host's salt is not base64") from None
        client_key, server_key = _keys(self._password, salt, iterations)
        without_proof = b"c=" + base64.b64encode(_GS2_HEADER) + b",r=" + nonce
        # RFC 5802 §3: AuthMessage.
        said = b",".join((self._bare, server_first, without_proof))
        signature = hmac.digest(hashlib.sha256(client_key).digest(), said, _HASH)
        self._server_signature = hmac.digest(server_key, said, _HASH)
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + base64.b64encode(proof)


@lru_cache(maxsize=64)
def _keys(password: str, salt: bytes, iterations: int) -> tuple[bytes, bytes]:
    """Return ClientKey and ServerKey. RFC 5802 §5.1 lets a client keep them: each new session would cost 50 ms."""
    salted = hashlib.pbkdf2_hmac(_HASH, password.encode(), salt, iterations)
    return hmac.digest(salted, b"Client Key", _HASH), hmac.digest(salted, b"Server Key", _HASH)
