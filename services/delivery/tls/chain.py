"""Whether a certificate descends from given authorities (PURE).

Input: certificates, authorities, names, the time. Output: nothing, or why not.
Standards: RFC 5280 §6, RFC 7671 §5.2 (DANE-TA).
Decided here: of authorities and of servers is asked what makes a chain safe (who may sign, dates, names), and not all
that browsers ask, since those who publish authorities in DNS keep small ones of their own.
"""

import datetime as dt
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from services.delivery.tls.certificate import UNREADABLE

_DEPTH = 8
_SERVER = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


def _may_sign(_policy: Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError(f"{certificate.subject.rfc4514_string()} is no authority")


def _may_sign_certificates(_policy: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError(f"{certificate.subject.rfc4514_string()} may sign no certificates")


def _is_for_servers(_policy: Policy, _certificate: x509.Certificate, usage: x509.ExtendedKeyUsage | None) -> None:
    if usage is not None and not _SERVER.intersection(usage):
        raise ValueError("the certificate is for no server")


_AUTHORITIES = (
    ExtensionPolicy.permit_all()
    # RFC 5280 §6.1.4 (k), (n).
    .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _may_sign)
    .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _may_sign_certificates)
)
_SERVERS = (
    ExtensionPolicy.permit_all()
    .require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, _is_for_servers)
)


def chain_fault(chain: Sequence[x509.Certificate], trusted: Store, names: Iterable[str], at: dt.datetime) -> str | None:
    """Return why a chain, the server's own certificate first, does not lead to an authority for any of the names."""
    builder = (
        PolicyBuilder()
        .store(trusted)
        .time(at)
        .max_chain_depth(_DEPTH)
        .extension_policies(ca_policy=_AUTHORITIES, ee_policy=_SERVERS)
    )
    fault = "there is no name to look for"
    for name in names:
        try:
            builder.build_server_verifier(x509.DNSName(name)).verify(chain[0], list(chain[1:]))
        except (VerificationError, *UNREADABLE) as error:
            fault = str(error) or type(error).__name__
            continue
        return None
    return fault
