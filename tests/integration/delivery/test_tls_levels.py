"""Each level of TLS towards servers with good, expired, wrong and self-made certificates; never a downgrade."""

import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.delivery.client.session import HopUnreachable
from services.delivery.client.target import Speech
from services.delivery.outcome import Status
from services.delivery.tls.demand import TlsDemand
from shared.policy.destination import OutboundTls
from shared.tls_seen import PolicyType, TlsResult
from tests.integration.delivery.tls_parts import HOST, Papers, at, papers, send, session_with
from tests.nexthop import NextHop

VERIFIED = TlsDemand(level=OutboundTls.VERIFIED, names=(HOST,), authority="ca.pem")
CERTIFICATES = ["good", "wildcard", "expired", "wrong-name", "self-signed", "stranger"]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return papers(tmp_path_factory.mktemp("papers"))


async def _failure(hop: NextHop, demand: TlsDemand, folder: Path, **target: object) -> HopUnreachable:
    with pytest.raises(HopUnreachable) as caught:
        await session_with(at(hop.port, **target), demand, folder)
    assert not any(line.startswith("MAIL") for line in hop.said)
    return caught.value


@pytest.mark.parametrize("level", [OutboundTls.OPPORTUNISTIC, OutboundTls.REQUIRED])
@pytest.mark.parametrize("kind", CERTIFICATES)
async def test_any_certificate_will_do_where_none_is_asked_for(kind: str, level: OutboundTls, kinds: Papers) -> None:
    async with NextHop(tls=True, certificate=kinds.of(kind)) as hop:
        session = await session_with(at(hop.port), TlsDemand(level=level), kinds.folder)
        assert session.security == level
        assert (await send(session)).status is Status.DELIVERED
        assert hop.mails[0].tls


async def test_plain_text_will_do_where_tls_is_opportunistic(kinds: Papers) -> None:
    async with NextHop() as hop:
        session = await session_with(at(hop.port, domain="hop.test"), TlsDemand(), kinds.folder)
        assert (session.security, session.tls) == ("none", None)
        assert session.seen is not None
        assert session.seen.result is TlsResult.STARTTLS_NOT_SUPPORTED
        session.wire.abort("done")


async def test_tls_that_is_off_is_not_used_where_it_is_offered(kinds: Papers) -> None:
    async with NextHop(tls=True) as hop:
        session = await session_with(at(hop.port), TlsDemand(level=OutboundTls.OFF), kinds.folder)
        assert "STARTTLS" not in hop.said
        assert session.security == "none"
        session.wire.abort("done")


@pytest.mark.parametrize(
    "demand",
    [
        TlsDemand(level=OutboundTls.REQUIRED),
        VERIFIED,
        TlsDemand(level=OutboundTls.FINGERPRINT, fingerprints=("00" * 32,)),
    ],
    ids=["required", "verified", "fingerprint"],
)
async def test_a_host_without_starttls_gets_nothing_where_tls_is_demanded(demand: TlsDemand, kinds: Papers) -> None:
    async with NextHop() as hop:
        error = await _failure(hop, demand, kinds.folder)
        assert error.tls_failure is not None
        assert error.tls_failure.result is TlsResult.STARTTLS_NOT_SUPPORTED


@pytest.mark.parametrize("kind", ["good", "wildcard"])
async def test_a_certificate_by_the_authority_for_the_name_is_verified(kind: str, kinds: Papers) -> None:
    async with NextHop(tls=True, certificate=kinds.of(kind)) as hop:
        session = await session_with(at(hop.port), VERIFIED, kinds.folder)
        assert session.security == "verified"
        assert hop.asked_for == [HOST]
        assert (await send(session)).status is Status.DELIVERED


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        ("expired", TlsResult.EXPIRED),
        ("wrong-name", TlsResult.HOST_MISMATCH),
        ("self-signed", TlsResult.NOT_TRUSTED),
        ("stranger", TlsResult.NOT_TRUSTED),
        ("not-an-authority", TlsResult.NOT_TRUSTED),
        ("name-in-subject-alone", TlsResult.HOST_MISMATCH),
    ],
)
@pytest.mark.parametrize("speech", [Speech.SMTP, Speech.SMTPS])
async def test_any_other_certificate_is_refused_and_named(
    kind: str, result: TlsResult, speech: Speech, kinds: Papers
) -> None:
    implicit = speech is Speech.SMTPS
    async with NextHop(tls=not implicit, implicit_tls=implicit, certificate=kinds.of(kind)) as hop:
        error = await _failure(hop, VERIFIED, kinds.folder, speech=speech, domain="hop.test")
        assert error.tls_failure is not None
        assert error.tls_failure.result is result
        assert error.final is None
        assert error.seen is not None
        assert (error.seen.domain, error.seen.mx_host, error.seen.result) == ("hop.test", HOST, result)
        assert error.seen.policy.kind is PolicyType.NONE


async def test_implicit_tls_is_verified_too(kinds: Papers) -> None:
    async with NextHop(implicit_tls=True, certificate=kinds.of("good")) as hop:
        session = await session_with(at(hop.port, speech=Speech.SMTPS), VERIFIED, kinds.folder)
        assert session.security == "verified"
        session.wire.abort("done")


async def test_the_systems_authorities_do_not_know_ours(kinds: Papers) -> None:
    demand = TlsDemand(level=OutboundTls.VERIFIED, names=(HOST,))
    async with NextHop(tls=True, certificate=kinds.of("good")) as hop:
        error = await _failure(hop, demand, kinds.folder)
        assert error.tls_failure is not None
        assert error.tls_failure.result is TlsResult.NOT_TRUSTED


async def test_another_name_may_be_the_right_one(kinds: Papers) -> None:
    demand = TlsDemand(
        level=OutboundTls.VERIFIED, names=("x.test", "other.hop.test"), server_name="x.test", authority="ca.pem"
    )
    async with NextHop(tls=True, certificate=kinds.of("wrong-name")) as hop:
        session = await session_with(at(hop.port), demand, kinds.folder)
        assert session.security == "verified"
        assert hop.asked_for == ["x.test"]
        session.wire.abort("done")


@pytest.mark.parametrize("of", ["certificate", "key"])
async def test_a_fingerprint_is_of_the_certificate_or_its_key(of: str, kinds: Papers) -> None:
    certificate = x509.load_pem_x509_certificate(kinds.of("self-signed").read_bytes())
    octets = certificate.public_bytes(Encoding.DER)
    if of == "key":
        octets = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    demand = TlsDemand(level=OutboundTls.FINGERPRINT, fingerprints=(hashlib.sha256(octets).hexdigest(),))
    async with NextHop(tls=True, certificate=kinds.of("self-signed")) as hop:
        session = await session_with(at(hop.port), demand, kinds.folder)
        assert session.security == "fingerprint"
        session.wire.abort("done")
    async with NextHop(tls=True, certificate=kinds.of("good")) as hop:
        error = await _failure(hop, demand, kinds.folder)
        assert "fingerprint" in str(error)


async def test_a_client_certificate_is_shown(kinds: Papers) -> None:
    demand = TlsDemand(level=OutboundTls.REQUIRED, client_certificate="client.pem")
    async with NextHop(tls=True, certificate=kinds.of("good"), clients=kinds.of("ca")) as hop:
        session = await session_with(at(hop.port), demand, kinds.folder)
        assert (await send(session)).status is Status.DELIVERED
        assert "client.gate.test" in hop.client_names


@pytest.mark.parametrize(
    ("content", "complaint"), [(None, "chmod 600"), (b"nonsense", "no certificate with its key")], ids=str
)
async def test_a_secret_that_cannot_be_used_makes_mail_wait_and_says_why(
    content: bytes | None, complaint: str, kinds: Papers, tmp_path: Path
) -> None:
    secret = tmp_path / "ours.pem"
    secret.write_bytes(content or b"x")
    secret.chmod(0o600 if content else 0o644)
    demand = TlsDemand(level=OutboundTls.REQUIRED, client_certificate="ours.pem")
    async with NextHop(tls=True, certificate=kinds.of("good")) as hop:
        error = await _failure(hop, demand, tmp_path)
        assert complaint in str(error)


@pytest.mark.parametrize(
    ("kind", "result"),
    [
        ("good", None),
        ("expired", TlsResult.EXPIRED),
        ("wrong-name", TlsResult.HOST_MISMATCH),
        ("self-signed", TlsResult.NOT_TRUSTED),
        ("stranger", TlsResult.NOT_TRUSTED),
    ],
)
async def test_what_a_policy_on_trial_would_refuse_is_told_and_delivered(
    kind: str, result: TlsResult | None, kinds: Papers
) -> None:
    demand = TlsDemand(trial=(HOST,), authority="ca.pem")
    async with NextHop(tls=True, certificate=kinds.of(kind)) as hop:
        session = await session_with(at(hop.port, domain="hop.test"), demand, kinds.folder)
        assert session.security == "opportunistic"
        assert (session.tls_failure.result if session.tls_failure else None) is result
        assert session.seen is not None
        assert session.seen.result is (result or TlsResult.SUCCESS)
        assert (session.seen.sender_ip, session.seen.receiver_ip) == ("127.0.0.1", "127.0.0.1")
        assert (await send(session)).status is Status.DELIVERED
