"""The TLS of outgoing connections (PURE but for the operating system's libraries).

Standards: RFC 7435 (opportunistic security), RFC 8996 (no TLS below 1.2), RFC 3207.
Decided here: TLS is used wherever it is offered, whatever the certificate says, since the alternative would be plain
text. A failed STARTTLS never falls back to plain text, neither in the same attempt nor later: mail waits, and another
host of the domain is tried; otherwise, whoever breaks a handshake would get the mail in the clear.
"""

import ssl
from functools import lru_cache


@lru_cache(maxsize=1)
def opportunistic_context() -> ssl.SSLContext:
    """Return the one client context, which encrypts and verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
