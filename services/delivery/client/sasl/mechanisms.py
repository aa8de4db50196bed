"""The login of a mechanism (I/O: secrets).

On failure: SecretMissing, SaslError.
"""

import secrets as randomness
from typing import assert_never

from services.delivery.client.sasl.cram import CramMd5
from services.delivery.client.sasl.kerberos import KerberosLogin
from services.delivery.client.sasl.login import Login
from services.delivery.client.sasl.plain import AskedLogin, BearerToken, Plain
from services.delivery.client.sasl.scram import ScramSha256
from services.delivery.secrets import Secrets
from shared.policy.destination import OutboundAuth, OutboundMechanism

_NONCE_BYTES = 18


def login_for(mechanism: OutboundMechanism, auth: OutboundAuth, secrets: Secrets, host: str) -> Login:
    """Return a login that has its secret. host: for Kerberos. Raises SecretMissing, SaslError."""
    if mechanism is OutboundMechanism.GSSAPI:
        return KerberosLogin(auth.login, secrets.path(auth.secret), host)
    secret = secrets.text(auth.secret)
    match mechanism:
        case OutboundMechanism.SCRAM_SHA_256:
            return ScramSha256(auth.login, secret, randomness.token_urlsafe(_NONCE_BYTES))
        case OutboundMechanism.CRAM_MD5:
            return CramMd5(auth.login, secret)
        case OutboundMechanism.PLAIN:
            return Plain(auth.login, secret)
        case OutboundMechanism.LOGIN:
            return AskedLogin(auth.login, secret)
        case OutboundMechanism.XOAUTH2:
            return BearerToken(auth.login, secret)
        case _:
            assert_never(mechanism)
