"""The gateway's own certificate authority."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from infra.docker.authority import Authority

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ("rabbitmq", "localhost", "127.0.0.1")


def verify(authority: Authority, chain: bytes, name: str, at: datetime = NOW) -> None:
    leaf, *others = x509.load_pem_x509_certificates(chain)
    store = Store([x509.load_pem_x509_certificate(authority.certificate_pem)])
    builder = PolicyBuilder().store(store).time(at.replace(tzinfo=None))
    builder.build_server_verifier(x509.DNSName(name)).verify(leaf, others)


def test_strict_verifiers_accept_its_certificates(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    chain, _ = authority.server_certificate("rabbitmq", NAMES)
    verify(authority, chain, "rabbitmq")


def test_certificate_is_for_no_other_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    chain, _ = authority.server_certificate("rabbitmq", NAMES)
    with pytest.raises(VerificationError):
        verify(authority, chain, "edge")


def test_authority_and_certificates_are_kept(tmp_path: Path) -> None:
    first, again = Authority(tmp_path, NOW), Authority(tmp_path, NOW)
    assert first.certificate_pem == again.certificate_pem
    assert first.server_certificate("rabbitmq", NAMES) == again.server_certificate("rabbitmq", NAMES)


def test_other_names_make_a_new_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    before = authority.server_certificate("edge", ("mx.example.org",))
    after = authority.server_certificate("edge", ("mail.example.org",))
    assert before != after
    verify(authority, after[0], "mail.example.org")


def test_certificate_is_made_anew_thirty_days_before_its_end(tmp_path: Path) -> None:
    before = Authority(tmp_path, NOW).server_certificate("rabbitmq", NAMES)
    assert Authority(tmp_path, NOW + timedelta(days=367)).server_certificate("rabbitmq", NAMES) == before
    later = Authority(tmp_path, NOW + timedelta(days=369))
    after = later.server_certificate("rabbitmq", NAMES)
    assert after != before
    verify(later, after[0], "rabbitmq", NOW + timedelta(days=369))


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    Authority(tmp_path, NOW).server_certificate("rabbitmq", NAMES)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
