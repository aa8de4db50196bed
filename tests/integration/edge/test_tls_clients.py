"""Client certificates: asked for by policy, verified, known to the session."""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.edge.settings import ListenerSettings
from services.edge.stream import Stream
from shared.errors import SettingsError
from shared.policy import Policy
from shared.policy.client import Certificate
from tests.certificates import Signed, der, signed, written
from tests.integration.edge.gate import Client, Gate, gate, policy, trusting

AUTHORITY = signed("an authority", authority=True)
FOREIGN = signed("another authority", authority=True)
KNOWN = signed("relay.example", by=AUTHORITY)
SELF_SIGNED = signed("signs for itself")


@dataclass
class Asking:
    """An edge whose mx and submissions listeners ask for certificates."""

    edge: Gate
    folder: Path

    def context(self, own: Signed | None, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        context = trusting()
        context.maximum_version = newest
        if own is not None:
            context.load_cert_chain(written(self.folder / "client.pem", own))
        return context

    @contextlib.asynccontextmanager
    async def secured(self, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> AsyncIterator[Client]:
        """Give a client that has greeted within STARTTLS, or ConnectionError."""
        async with self.edge.client("mx") as client:
            await client.hello()
            assert (await client.say("STARTTLS")).startswith("220")
            await client.writer.start_tls(context)
            if not (await client.say("EHLO client.test")).startswith("250"):
                raise ConnectionResetError
            yield client

    def known(self) -> Certificate | None:
        """Return the certificate of the one session there is."""
        [stream] = self.edge.sessions
        assert isinstance(stream, Stream)
        return stream.state.certificate


def asking(mode: str) -> Policy:
    rules = policy()
    listeners = {
        name: rules.listeners[name].model_validate(
            rules.listeners[name].model_dump(exclude_unset=True) | {"client_certificates": mode}
        )
        for name in ("mx", "submissions")
    }
    return rules.model_copy(update={"listeners": {**rules.listeners, **listeners}})


@pytest.fixture
async def ask(certificate: Path, tmp_path: Path) -> AsyncIterator[Asking]:
    trusted = written(tmp_path / "clients.pem", AUTHORITY, SELF_SIGNED)
    own = ListenerSettings(port=0, certificate_file=certificate, key_file=certificate, client_ca_file=trusted)
    async with gate(asking("ask"), certificate, {"mx": own, "submissions": own}) as edge:
        yield Asking(edge, tmp_path)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("own", [KNOWN, SELF_SIGNED])
async def test_a_certificate_that_verifies_is_known_by_fingerprint_and_subject(
    ask: Asking, own: Signed, newest: ssl.TLSVersion
) -> None:
    async with ask.secured(ask.context(own, newest=newest)):
        found = ask.known()
    assert found == Certificate(hashlib.sha256(der(own)).hexdigest(), own[0].subject.rfc4514_string())
    assert found.subject.startswith("CN=")


async def test_who_has_none_gets_through_where_it_is_only_asked_for(ask: Asking) -> None:
    async with ask.secured(ask.context(None)) as client:
        assert ask.known() is None
        assert (await client.say("MAIL FROM:<x@away.test>")).startswith("250")


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("own", [signed("x", by=FOREIGN), signed("stranger"), signed("late", by=AUTHORITY, days=-1)])
async def test_a_certificate_that_does_not_verify_ends_the_handshake(
    ask: Asking, own: Signed, newest: ssl.TLSVersion
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with ask.secured(ask.context(own, newest=newest)):
            pass


async def test_without_the_policy_nobody_is_asked(ask: Asking) -> None:
    ask.edge.policy.policy = asking("off")
    async with ask.secured(ask.context(signed("stranger"))):
        assert ask.known() is None


async def test_a_change_of_policy_holds_for_the_next_session(ask: Asking) -> None:
    ask.edge.policy.policy = asking("off")
    async with ask.secured(ask.context(KNOWN)):
        assert ask.known() is None
    ask.edge.policy.policy = asking("require")
    async with ask.secured(ask.context(KNOWN)):
        assert ask.known() is not None


async def test_implicit_tls_asks_too(ask: Asking) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", ask.edge.listeners.port("submissions"), ssl=ask.context(KNOWN), server_hostname=""
    )
    assert (await reader.readline()).startswith(b"220")
    assert ask.known() == Certificate(hashlib.sha256(der(KNOWN)).hexdigest(), KNOWN[0].subject.rfc4514_string())
    writer.close()
    await writer.wait_closed()


async def test_a_new_list_of_authorities_is_used_and_the_old_ones_clients_are_strangers(ask: Asking) -> None:
    written(ask.folder / "clients.pem", FOREIGN)
    ask.edge.listeners.look_at_certificates()
    async with ask.secured(ask.context(signed("x", by=FOREIGN))):
        assert ask.known() is not None
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with ask.secured(ask.context(KNOWN)):
            pass


async def test_a_listener_whose_rules_cannot_be_carried_out_takes_no_connections(certificate: Path) -> None:
    async with gate(policy(), certificate) as edge:
        async with edge.client("mx") as client:
            await client.hello()
        with pytest.raises(SettingsError, match=r"listeners\.mx: .*client_ca_file"):
            await edge.listeners.follow(asking("require"))
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", edge.listeners.port("mx"))
        # The others go on, and a better policy opens it again.
        async with edge.client("submission") as client:
            await client.hello()
        await edge.listeners.follow(policy())
        async with edge.client("mx") as client:
            await client.hello()
