"""Logins at real servers: Postfix with Dovecot's SASL, and a gateway like ours."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from services.delivery.client.session import HopUnreachable, Session, Speech, Target, open_session
from services.delivery.client.terms import SessionTerms, Source
from services.delivery.secrets import Secrets
from services.delivery.tls.demand import TlsDemand
from shared.policy.destination import OutboundAuth, OutboundMechanism, OutboundTls
from tests.certificates import signed, written
from tests.integration.delivery.sasl_server import LOGIN, MISSING, PASSWORD, SaslServer, sasl_server
from tests.integration.delivery.waiting import wait_until
from tests.integration.edge.gate import PASSWORD as EDGE_PASSWORD
from tests.integration.edge.gate import Gate, gate, policy

needs_postfix = pytest.mark.skipif(MISSING, reason="Postfix and Dovecot are not both installed, or this is not root")
_WITHIN_S = 20.0
_US = Source("gate.test")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("certificate") / "hop.pem", signed("hop.test", "hop.test"))


@pytest.fixture(scope="module")
def server(certificate: Path) -> Iterator[SaslServer]:
    if MISSING:
        pytest.skip("Postfix and Dovecot are not both installed, or this is not root")
    with sasl_server(certificate) as running:
        yield running


@pytest.fixture
async def edge(certificate: Path) -> AsyncIterator[Gate]:
    async with gate(policy(), certificate) as running:
        yield running


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path)


def _established() -> set[object]:
    here = psutil.Process().net_connections("tcp4")
    return {(one.laddr, one.raddr) for one in here if one.status == psutil.CONN_ESTABLISHED}


@pytest.fixture(autouse=True)
async def _nothing_is_left_open() -> AsyncIterator[None]:
    """Wait for good-byes: a session that came to nothing says QUIT, and closes once that is answered."""
    # Others stay open from test to test: the one that empties the broker.
    before = _established()
    yield
    async with asyncio.timeout(10):
        while _established() - before:
            await asyncio.sleep(0.01)
        # The loop closes what the kernel has closed.
        await asyncio.sleep(0.01)


def keep(folder: Path, name: str, secret: str) -> None:
    """Put a secret there."""
    (folder / name).write_text(f"{secret}\n", encoding="utf-8")
    (folder / name).chmod(0o600)


async def log_in(
    secrets: Secrets,
    port: int,
    mechanism: str,
    login: str,
    *,
    speech: Speech = Speech.SMTP,
    host: str = "hop.test",
    source: Source = _US,
) -> Session:
    """Open a session with a login, whose secret is the file `hop`."""
    auth = OutboundAuth(login=login, secret="hop", mechanisms=[OutboundMechanism(mechanism)])
    terms = SessionTerms(source, 10, TlsDemand(level=OutboundTls.REQUIRED), auth)
    deadline = asyncio.get_running_loop().time() + _WITHIN_S
    return await open_session(Target(speech, host, "127.0.0.1", port), terms, deadline, secrets)


async def may_send(session: Session, sender: str) -> bool:
    """Whether the session may relay, which takes a login; the session ends."""
    session.wire.write(f"MAIL FROM:<{sender}>\r\n".encode(), b"RCPT TO:<y@away.test>\r\n")
    replies = await session.wire.replies(2, asyncio.get_running_loop().time() + _WITHIN_S)
    session.wire.quit()
    return [reply.code for reply in replies] == [250, 250]


@needs_postfix
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
async def test_postfix_lets_us_in_by_password(
    server: SaslServer, secrets: Secrets, tmp_path: Path, mechanism: str
) -> None:
    keep(tmp_path, "hop", PASSWORD)
    session = await log_in(secrets, server.port, mechanism, LOGIN)
    assert await may_send(session, LOGIN)
    # Postfix's log is written by another process of it.
    await asyncio.to_thread(wait_until, lambda: f"sasl_method={mechanism}, sasl_username={LOGIN}" in server.log)


@needs_postfix
async def test_postfix_lets_us_in_by_token(server: SaslServer, secrets: Secrets, tmp_path: Path) -> None:
    keep(tmp_path, "hop", server.token)
    session = await log_in(secrets, server.port, "XOAUTH2", LOGIN)
    assert await may_send(session, LOGIN)


@needs_postfix
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2"])
async def test_a_wrong_secret_keeps_mail_waiting_with_the_hosts_word(
    server: SaslServer, secrets: Secrets, tmp_path: Path, mechanism: str
) -> None:
    wrong = server.expired_token
    keep(tmp_path, "hop", wrong if mechanism == "XOAUTH2" else "wrong")
    with pytest.raises(HopUnreachable, match=f"{LOGIN} by {mechanism}: ") as caught:
        await log_in(secrets, server.port, mechanism, LOGIN)
    assert caught.value.final is None
    assert wrong not in str(caught.value)
    # SCRAM: Dovecot refuses our proof with 535, before it would prove itself.
    assert caught.value.reply is not None
    assert caught.value.reply.code == 535


@needs_postfix
async def test_a_new_password_counts_for_the_next_session(server: SaslServer, secrets: Secrets, tmp_path: Path) -> None:
    keep(tmp_path, "hop", "old and wrong")
    with pytest.raises(HopUnreachable):
        await log_in(secrets, server.port, "SCRAM-SHA-256", LOGIN)
    keep(tmp_path, "hop", PASSWORD)
    assert await may_send(await log_in(secrets, server.port, "SCRAM-SHA-256", LOGIN), LOGIN)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
async def test_a_gateway_like_ours_lets_us_in(edge: Gate, secrets: Secrets, tmp_path: Path, mechanism: str) -> None:
    keep(tmp_path, "hop", EDGE_PASSWORD)
    port = edge.listeners.port("logins")
    session = await log_in(secrets, port, mechanism, "alice@ours.test", speech=Speech.SMTPS)
    assert await may_send(session, "alice@ours.test")


@pytest.mark.parametrize("speech, listener", [(Speech.SMTP, "submission"), (Speech.SMTPS, "submissions")])
async def test_a_login_from_an_address_and_name_of_an_interface(
    edge: Gate, secrets: Secrets, tmp_path: Path, speech: Speech, listener: str
) -> None:
    keep(tmp_path, "hop", EDGE_PASSWORD)
    source = Source("boss.ours.test", "127.0.0.5")
    session = await log_in(
        secrets, edge.listeners.port(listener), "PLAIN", "alice@ours.test", speech=speech, source=source
    )
    assert session.source == source
    deadline = asyncio.get_running_loop().time() + _WITHIN_S
    mail = b"MAIL FROM:<alice@ours.test>\r\nRCPT TO:<y@away.test>\r\nDATA\r\n"
    session.wire.write(mail)
    assert [reply.code for reply in await session.wire.replies(3, deadline)] == [250, 250, 354]
    session.wire.write(b"From: alice@ours.test\r\n\r\nx\r\n.\r\n")
    assert [reply.code for reply in await session.wire.replies(1, deadline)] == [250]
    session.wire.quit()
    client = edge.publisher.mails[0].envelope.client
    assert (client.address, client.helo) == ("127.0.0.5", "boss.ours.test")


async def test_a_mechanism_that_is_not_offered_is_not_tried(edge: Gate, secrets: Secrets, tmp_path: Path) -> None:
    keep(tmp_path, "hop", EDGE_PASSWORD)
    with pytest.raises(HopUnreachable, match="offers none of XOAUTH2"):
        await log_in(secrets, edge.listeners.port("submission"), "XOAUTH2", "alice@ours.test")


async def test_a_secret_that_is_not_there_keeps_mail_waiting(edge: Gate, secrets: Secrets, tmp_path: Path) -> None:
    with pytest.raises(HopUnreachable, match=f"there is no file {tmp_path}/hop"):
        await log_in(secrets, edge.listeners.port("submission"), "PLAIN", "alice@ours.test")
