"""CRAM-MD5 (PURE).

Standards: RFC 2195.
On failure: SaslError.
"""

import hmac

from services.delivery.client.sasl.login import SaslError


class CramMd5:
    """A digest of the host's challenge, keyed with the password."""

    is_slow = False
    complaint = ""

    def __init__(self, login: str, password: str) -> None:
        self._login = login.encode()
        self._password = password.encode()
        self._is_said = False

    def begin(self) -> bytes | None:
        """Wait for the challenge."""
        return None

    def respond(self, challenge: bytes) -> bytes:
        """Return name and digest."""
        if self._is_said or not challenge:
            raise SaslError("CRAM-MD5 has one challenge")
        self._is_said = True
        try:
            # RFC 2195 §2: HMAC-MD5 (RFC 2104), in lower-case hexadecimal digits.
            digest = hmac.new(self._password, challenge, "md5").hexdigest()
        except ValueError:
            raise SaslError("this host's cryptography has no MD5 (FIPS); take another mechanism") from None
        return self._login + b" " + digest.encode()

    @property
    def trusts(self) -> bool:
        """Whether the challenge was answered; the host proves nothing in this mechanism."""
        return self._is_said
