"""Channel bindings of a certificate and of a connection, without a socket."""

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from services.edge.tls.binding import channel_bindings, end_point
from services.edge.tls.context import Pair, build_context, read_facts
from tests.unit.services.edge.tls.handshake import client, shaken

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
_EC = ec.generate_private_key(ec.SECP256R1())
_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def certificate(key: Key, algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gate.test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=2))
    return builder.sign(key, algorithm)


@pytest.mark.parametrize("key", [_EC, _RSA])
@pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
def test_the_end_point_is_hashed_as_its_signature_is(
    key: Key, algorithm: hashes.SHA256 | hashes.SHA384 | hashes.SHA512
) -> None:
    made = certificate(key, algorithm)
    der = made.public_bytes(serialization.Encoding.DER)
    assert end_point(made) == hashlib.new(algorithm.name, der).digest()


# OpenSSL's own words: a certificate that SHA-1 signed, which `cryptography` refuses to make.
_SHA1 = """-----BEGIN CERTIFICATE-----
MIIBezCCASKgAwIBAgIUYNT7USttq/g+3xPyQ4qG4a6yKGAwCQYHKoZIzj0EATAU
MRIwEAYDVQQDDAlnYXRlLnRlc3QwHhcNMjYxMTI0MDg1MDMxWhcNMzYxMTIxMDg1
MDMxWjAUMRIwEAYDVQQDDAlnYXRlLnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAASS5yUQ+5WCsKDAACQ8kDFVlNdzb/lB2y0IlHKkoBctoSRoOGoP7Ws0/B/T
Inac1oZYN+8Cmfb4zlycvGN8BBPYo1MwUTAdBgNVHQ4EFgQUyQXRKk25LXDmWTOL
Cqi55RQVUSkwHwYDVR0jBBgwFoAUyQXRKk25LXDmWTOLCqi55RQVUSkwDwYDVR0T
AQH/BAUwAwEB/zAJBgcqhkjOPQQBA0gAMEUCIQCkYcZ+RuNmUoIOAFIRGnQ0dElz
vs7+gimbiobAeIOEWQIgEKd8i3RXqsiGyZxlA4qoepdIg4YCnlygF5eLUYa76iY=
-----END CERTIFICATE-----
"""


def test_sha_1_gives_way_to_sha_256() -> None:
    made = x509.load_pem_x509_certificate(_SHA1.encode())
    assert made.signature_hash_algorithm is not None
    assert made.signature_hash_algorithm.name == "sha1"
    assert end_point(made) == hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).digest()


def test_a_signature_without_a_hash_leaves_the_end_point_undefined() -> None:
    assert end_point(certificate(ed25519.Ed25519PrivateKey.generate(), None)) is None


@pytest.fixture
def server(tmp_path: Path) -> ssl.SSLContext:
    path = tmp_path / "gate.pem"
    key = _EC.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key + certificate(_EC, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pair = Pair(path, path)
    return build_context([pair], [read_facts(pair)], None)


def test_tls_1_2_has_both_bindings_and_both_ends_agree(server: ssl.SSLContext) -> None:
    ours, theirs = shaken(server, client(ssl.TLSVersion.TLSv1_2))
    sent = theirs.getpeercert(binary_form=True)
    assert sent is not None
    assert channel_bindings(ours) == {
        "tls-server-end-point": hashlib.sha256(sent).digest(),
        "tls-unique": theirs.get_channel_binding("tls-unique"),
    }


def test_tls_1_3_has_no_tls_unique(server: ssl.SSLContext) -> None:
    ours, _ = shaken(server, client(ssl.TLSVersion.TLSv1_3))
    assert ours.version() == "TLSv1.3"
    assert channel_bindings(ours).keys() == {"tls-server-end-point"}


def test_a_resumed_session_cannot_be_bound(server: ssl.SSLContext) -> None:
    peer = client(ssl.TLSVersion.TLSv1_2)
    _, theirs = shaken(server, peer)
    ours, _ = shaken(server, peer, theirs.session)
    assert ours.session_reused
    assert channel_bindings(ours) == {}
