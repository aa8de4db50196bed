"""GSSAPI towards a hop: a real KDC, a client keytab, and a gateway like ours that looks at the ticket."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.delivery.client.session import HopUnreachable, Speech
from services.delivery.secrets import Secrets
from services.edge.auth.kerberos import Kerberos
from tests.certificates import signed, written
from tests.integration.delivery.test_auth import log_in, may_send
from tests.integration.edge.gate import Gate, gate, policy
from tests.kerberos import HOST, REALM, Kdc, kdc

OURS = f"relay@{REALM}"


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    with kdc(tmp_path_factory.mktemp("kdc")) as running:
        running.admin("addprinc -randkey relay")
        running.admin(f"ktadd -k {running.folder}/relay.keytab relay")
        yield running


@pytest.fixture
async def edge(realm: Kdc, tmp_path: Path) -> AsyncIterator[Gate]:
    certificate = written(tmp_path / "gate.pem", signed(HOST, HOST))
    kerberos = Kerberos(realm.settings(domain="ours.test"), HOST)
    async with gate(policy(), certificate, kerberos=kerberos) as running:
        yield running


@pytest.fixture
def secrets(tmp_path: Path, realm: Kdc) -> Secrets:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "hop").write_bytes((realm.folder / "relay.keytab").read_bytes())
    (folder / "hop").chmod(0o600)
    return Secrets(folder)


async def test_a_keytab_logs_us_in(edge: Gate, secrets: Secrets) -> None:
    for _ in range(2):
        session = await log_in(secrets, edge.listeners.port("logins"), "GSSAPI", OURS, speech=Speech.SMTPS, host=HOST)
        assert await may_send(session, "relay@ours.test")


async def test_many_logins_at_a_time_do_not_disturb_each_other(edge: Gate, secrets: Secrets) -> None:
    port = edge.listeners.port("logins")
    sessions = await asyncio.gather(
        *(log_in(secrets, port, "GSSAPI", OURS, speech=Speech.SMTPS, host=HOST) for _ in range(8))
    )
    for session in sessions:
        assert await may_send(session, "relay@ours.test")


async def test_a_keytab_without_our_key_keeps_mail_waiting(edge: Gate, secrets: Secrets) -> None:
    with pytest.raises(HopUnreachable, match=f"stranger@{REALM} by GSSAPI: no ticket for smtp@{HOST}"):
        await log_in(
            secrets, edge.listeners.port("logins"), "GSSAPI", f"stranger@{REALM}", speech=Speech.SMTPS, host=HOST
        )


async def test_a_host_that_the_kdc_does_not_know_keeps_mail_waiting(edge: Gate, secrets: Secrets) -> None:
    with pytest.raises(HopUnreachable, match=r"no ticket for smtp@other\.test"):
        await log_in(secrets, edge.listeners.port("logins"), "GSSAPI", OURS, speech=Speech.SMTPS, host="other.test")


async def test_a_keytab_that_is_none_keeps_mail_waiting(edge: Gate, secrets: Secrets, tmp_path: Path) -> None:
    (tmp_path / "secrets" / "hop").write_text("no keytab")
    with pytest.raises(HopUnreachable, match="no ticket"):
        await log_in(secrets, edge.listeners.port("logins"), "GSSAPI", OURS, speech=Speech.SMTPS, host=HOST)
