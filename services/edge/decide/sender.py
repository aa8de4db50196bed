"""Whether a session may begin a transaction with this sender (PURE)."""

from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.session import Session
from shared.policy import Purpose, TlsMode
from shared.policy.listener import ClientCertificates

_TLS_REQUIRED = refuse(RefusalReason.TLS_REQUIRED, 530, "5.7.0", "Must issue a STARTTLS command first")
_CERTIFICATE_REQUIRED = refuse(
    RefusalReason.CERTIFICATE_REQUIRED, 530, "5.7.0", "A client certificate is required on this listener"
)
_LOGIN_REQUIRED = refuse(RefusalReason.LOGIN_REQUIRED, 530, "5.7.0", "Authentication required")
_NOT_LISTED = refuse(RefusalReason.CLIENT_NOT_LISTED, 550, "5.7.1", "This listener is for listed hosts")
_NOT_OWNED = refuse(RefusalReason.SENDER_NOT_OWNED, 553, "5.7.1", "Sender address not owned by the login")


def judge_client(session: Session) -> Refusal | None:
    """Return why the session may not send at all, or None. relay_proof: as of the policy in force now."""
    # RFC 3207 §4: only NOOP, EHLO, STARTTLS and QUIT go before TLS that is required.
    if session.rules.tls in (TlsMode.REQUIRED, TlsMode.IMPLICIT) and session.tls is None:
        return _TLS_REQUIRED
    if session.rules.client_certificates is ClientCertificates.REQUIRE and session.certificate is None:
        return _CERTIFICATE_REQUIRED
    # RFC 6409 §4.3: a submission server requires the login.
    if session.rules.purpose is Purpose.SUBMISSION and session.account is None:
        return _LOGIN_REQUIRED
    if session.rules.purpose is Purpose.RELAY and not session.may_relay:
        return _NOT_LISTED
    return None


def judge_sender(session: Session, sender: str) -> Refusal | None:
    """Return why a login may not use this sender, or None. sender: empty for the null reverse-path."""
    if session.account is not None and not session.account.may_send_as(sender):
        return _NOT_OWNED
    return None
