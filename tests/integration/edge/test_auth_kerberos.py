"""AUTH GSSAPI against a real KDC."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import gssapi
import pytest

from services.edge.auth.kerberos import Kerberos
from services.edge.settings import KerberosSettings
from tests.integration.edge.gate import Client, Gate, gate, policy
from tests.integration.edge.test_auth_clients import needs_curl, run
from tests.kerberos import HOST, Kdc, kdc

ALICE = "alice@ours.test"
SUCCESS = "235 2.7.0 Authentication successful"


@pytest.fixture(scope="module")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kdc]:
    with kdc(tmp_path_factory.mktemp("kdc")) as running:
        yield running


@pytest.fixture
async def edge(certificate: Path, realm: Kdc) -> AsyncIterator[Gate]:
    kerberos = Kerberos(realm.settings(domain="ours.test"), HOST)
    async with gate(policy(), certificate, kerberos=kerberos) as running:
        yield running


class Initiator:
    """The client's side of a context."""

    def __init__(self, cache: Path, service: str = "smtp") -> None:
        self.context = gssapi.SecurityContext(
            name=gssapi.Name(f"{service}@{HOST}", gssapi.NameType.hostbased_service),
            creds=gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{cache}"}),
            usage="initiate",
            mech=gssapi.MechType.kerberos,
            flags=gssapi.RequirementFlag.mutual_authentication | gssapi.RequirementFlag.integrity,
        )

    async def log_in(self, client: Client, *, choice: bytes = b"\1\0\0\0", initial: bool = True) -> str:
        """Carry out the exchange; return the last reply."""
        token = self.context.step() or b""
        if initial:
            reply = await client.say(f"AUTH GSSAPI {b64(token)}")
        else:
            assert await client.say("AUTH GSSAPI") == "334 "
            reply = await client.say(b64(token))
        if not reply.startswith("334 "):
            return reply
        assert not self.context.step(base64.b64decode(reply[4:]))
        assert self.context.complete
        offer = self.context.unwrap(base64.b64decode((await client.say(""))[4:])).message
        # RFC 4752 §3.3: no security layer, so no size either.
        assert offer == b"\1\0\0\0"
        return await client.say(b64(self.context.wrap(choice, encrypt=False).message))


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


@pytest.mark.parametrize("initial", [True, False])
async def test_a_ticket_logs_in(edge: Gate, realm: Kdc, initial: bool) -> None:
    async with edge.client("logins", tls=True) as client:
        assert " GSSAPI\n" in await client.hello()
        assert await Initiator(realm.log_in("alice")).log_in(client, initial=initial) == SUCCESS
        assert (await client.say(f"MAIL FROM:<{ALICE}>")).startswith("250")


async def test_a_principal_without_an_account_sends_as_itself(edge: Gate, realm: Kdc) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        assert await Initiator(realm.log_in("stranger")).log_in(client) == SUCCESS
        assert (await client.say(f"MAIL FROM:<{ALICE}>")).startswith("553 5.7.1")
        assert (await client.say("MAIL FROM:<stranger@ours.test>")).startswith("250")


@pytest.mark.parametrize("user", ["gone", "alice/admin"])
async def test_a_disabled_account_and_another_instance_do_not_log_in(edge: Gate, realm: Kdc, user: str) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        assert (await Initiator(realm.log_in(user)).log_in(client)).startswith("535 5.7.8")


async def test_without_a_domain_only_accounts_log_in(certificate: Path, realm: Kdc) -> None:
    async with gate(policy(), certificate, kerberos=Kerberos(realm.settings(), HOST)) as edge:
        for user, expected in (("stranger", "535 5.7.8"), ("alice", "235 2.7.0")):
            async with edge.client("logins", tls=True) as client:
                await client.hello()
                assert (await Initiator(realm.log_in(user)).log_in(client)).startswith(expected)


async def test_a_ticket_for_another_service_is_refused(edge: Gate, realm: Kdc) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        assert (await Initiator(realm.log_in("alice"), "imap").log_in(client)).startswith("535 5.7.8")


async def test_a_ticket_goes_once(edge: Gate, realm: Kdc) -> None:
    token = Initiator(realm.log_in("alice")).context.step() or b""
    replies = []
    for _ in range(2):
        async with edge.client("logins", tls=True) as client:
            await client.hello()
            replies.append((await client.say(f"AUTH GSSAPI {b64(token)}"))[:3])
    assert replies == ["334", "535"]


@pytest.mark.parametrize(
    "choice, expected",
    [
        (b"\1\0\0\0alice", "235 2.7.0"),
        (b"\1\0\0\0bob@ours.test", "535 5.7.8"),
        (b"\4\0\x10\0", "501 5.5.2"),
        (b"\1\0\x10\0", "501 5.5.2"),
    ],
)
async def test_no_layer_is_chosen_and_nobody_acts_for_another(
    edge: Gate, realm: Kdc, choice: bytes, expected: str
) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        assert (await Initiator(realm.log_in("alice")).log_in(client, choice=choice)).startswith(expected)


@pytest.mark.parametrize("token", ["YQ==", "=", b64(b"\x60" * 5000)])
async def test_what_is_no_ticket_is_refused(edge: Gate, token: str) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        await client.say("AUTH GSSAPI")
        assert (await client.say("" if token == "=" else token)).startswith("535 5.7.8")
        assert (await client.say("NOOP")).startswith("250")


async def test_a_keytab_that_is_gone_is_our_fault_and_not_the_clients(certificate: Path, realm: Kdc) -> None:
    keytab = realm.folder / "soon-gone.keytab"
    keytab.write_bytes(realm.keytab.read_bytes())
    kerberos = Kerberos(KerberosSettings(keytab_file=keytab, realm="OURS.TEST", domain="ours.test"), HOST)
    keytab.unlink()
    async with gate(policy(), certificate, kerberos=kerberos) as edge, edge.client("logins", tls=True) as client:
        await client.hello()
        assert (await Initiator(realm.log_in("alice")).log_in(client)).startswith("454 4.7.0")


@needs_curl
async def test_curl_logs_in_with_a_ticket(edge: Gate, realm: Kdc, monkeypatch: pytest.MonkeyPatch) -> None:
    if "GSS-API" not in (await run("curl", "--version"))[1]:
        pytest.skip("this curl is built without GSS-API")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{realm.log_in('alice')}")
    mail = realm.folder / "mail.eml"
    mail.write_text(f"From: {ALICE}\r\n\r\nx\r\n")
    port = edge.listeners.port("logins")
    command = ["curl", "--silent", "--show-error", "--insecure", "--url", f"smtps://{HOST}:{port}"]
    command += ["--resolve", f"{HOST}:{port}:127.0.0.1", "--login-options", "AUTH=GSSAPI", "--user", "alice@OURS.TEST:"]
    command += ["--mail-from", ALICE, "--mail-rcpt", "y@away.test", "--upload-file", str(mail)]
    code, said = await run(*command)
    assert code == 0, said
    assert [sent.envelope.client.login for sent in edge.publisher.mails] == [ALICE]
