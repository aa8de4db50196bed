"""The gateway's own certificate authority."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from services.console.authority import Authority

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


def test_a_hosts_certificate_serves_and_asks(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    chain, _ = authority.host_certificate("mx1.example.org", ("mx1.example.org",))
    verify(authority, chain, "mx1.example.org")
    leaf = x509.load_pem_x509_certificates(chain)[0]
    store = Store([x509.load_pem_x509_certificate(authority.certificate_pem)])
    PolicyBuilder().store(store).time(NOW.replace(tzinfo=None)).build_client_verifier().verify(leaf, [])


def test_a_certificate_for_another_use_is_not_taken_for_a_hosts(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    assert authority.server_certificate("mx", ("mx",)) != authority.host_certificate("mx", ("mx",))


def test_a_hosts_certificate_is_kept_unless_a_new_one_is_asked_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    first = authority.host_certificate("mx", ("mx",))
    assert authority.host_certificate("mx", ("mx",)) == first
    assert authority.host_certificate("mx", ("mx",), anew=True) != first


def test_what_was_issued_is_listed_with_its_end(tmp_path: Path) -> None:
    authority = Authority(tmp_path, NOW)
    authority.host_certificate("mx", ("mx", "192.0.2.1"))
    own, host = authority.issued()
    assert (own.label, own.ends) == ("ca", NOW + timedelta(days=3650))
    assert (host.label, host.names, host.ends) == ("mx", ("mx", "192.0.2.1"), NOW + timedelta(days=398))


def test_no_host_can_take_the_authoritys_own_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="own name"):
        Authority(tmp_path, NOW).host_certificate("ca", ("ca",))
