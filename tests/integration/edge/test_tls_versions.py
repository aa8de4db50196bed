"""What TLS the edge speaks: versions, ciphers, tickets, bindings; with OpenSSL's own client."""

import asyncio
import contextlib
import hashlib
import os
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.edge.settings import CertificateSettings, ListenerSettings
from services.edge.stream import Stream
from tests.certificates import der, signed, written
from tests.integration.edge.gate import Client, Gate, gate, policy, trusting

# What OpenSSL's client writes once the handshake is over.
_SHAKEN = "Verify return code"


@contextlib.asynccontextmanager
async def secured(edge: Gate, context: ssl.SSLContext, name: str | None = None) -> AsyncIterator[Client]:
    async with edge.client("mx") as client:
        await client.hello()
        assert (await client.say("STARTTLS")).startswith("220")
        await client.writer.start_tls(context, server_hostname=name)
        yield client


def speaking(version: ssl.TLSVersion, ciphers: str = "ALL:@SECLEVEL=0") -> ssl.SSLContext:
    context = trusting()
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    return context


async def s_client(edge: Gate, *arguments: str, listener: str = "mx", says: str = "QUIT\r\n", after: str) -> str:
    """Run OpenSSL's client and return all that it writes. after: the words that it waits for before it speaks."""
    process = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{edge.listeners.port(listener)}", "-ign_eof", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    output = b""
    async with asyncio.timeout(15):
        while after.encode() not in output and (piece := await process.stdout.read(4096)):
            output += piece
        if process.stdout.at_eof() or "no peer certificate" in output.decode(errors="replace"):
            await process.wait()
            return output.decode(errors="replace")
        # One that the server has turned away may have ended by now.
        with contextlib.suppress(RuntimeError, ConnectionError):
            process.stdin.write(says.encode())
        rest, _ = await process.communicate()
    return (output + rest).decode(errors="replace")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(edge: Gate, version: ssl.TLSVersion) -> None:
    async with secured(edge, speaking(version)) as client:
        assert client.writer.get_extra_info("ssl_object").version() == version.name.replace("_", ".")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_older_versions_are_refused(edge: Gate, version: ssl.TLSVersion) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with secured(edge, speaking(version)):
            pass


@pytest.mark.parametrize(
    "ciphers", ["ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES256-SHA", "AECDH-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256"]
)
async def test_ciphers_without_forward_secrecy_or_authenticated_encryption_are_refused(
    edge: Gate, ciphers: str
) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with secured(edge, speaking(ssl.TLSVersion.TLSv1_2, f"{ciphers}:@SECLEVEL=0")):
            pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_no_tickets_are_given(edge: Gate, version: ssl.TLSVersion) -> None:
    async with secured(edge, speaking(version)) as client:
        # The answer comes behind whatever tickets there were.
        assert (await client.say("EHLO client.test")).startswith("250")
        session = client.writer.get_extra_info("ssl_object").session
        assert session is None or not session.has_ticket


async def test_both_ends_have_the_same_channel_bindings(certificate: Path, tmp_path: Path) -> None:
    named = signed("named", "named.test")
    path = written(tmp_path / "named.pem", named)
    more = CertificateSettings(certificate_file=path, key_file=path)
    own = ListenerSettings(port=0, certificate_file=certificate, key_file=certificate, certificates=(more,))
    async with gate(policy(), certificate, {"mx": own}) as edge:
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for name, sent in (("named.test", der(named)), (None, None)):
                async with secured(edge, speaking(version), name) as client:
                    assert (await client.say("EHLO client.test")).startswith("250")
                    [stream] = edge.sessions
                    assert isinstance(stream, Stream)
                    bindings = stream.channel_bindings()
                    tls = client.writer.get_extra_info("ssl_object")
                    if sent is not None:
                        assert tls.getpeercert(binary_form=True) == sent
                    # RFC 5929 §4.1: of the certificate that this very client saw.
                    seen = hashlib.sha256(tls.getpeercert(binary_form=True)).digest()
                    assert bindings["tls-server-end-point"] == seen
                    unique = tls.get_channel_binding("tls-unique") if version is ssl.TLSVersion.TLSv1_2 else None
                    assert bindings.get("tls-unique") == unique


async def test_outside_tls_nothing_can_be_bound(edge: Gate) -> None:
    async with edge.client("mx") as client:
        await client.hello()
        [stream] = edge.sessions
        assert isinstance(stream, Stream)
        assert stream.channel_bindings() == {}


async def test_openssl_gets_through_with_starttls_and_implicit_tls(edge: Gate) -> None:
    for arguments, listener, after in ((["-starttls", "smtp"], "mx", _SHAKEN), ([], "submissions", "220 gate.test")):
        output = await s_client(edge, *arguments, listener=listener, after=after)
        assert "Verify return code: 18 (self-signed certificate)" in output
        assert "221 2.0.0" in output
        assert "Compression: NONE" in output
        assert "New Session Ticket" not in output


async def test_openssl_sees_the_certificate_of_its_server_name_and_shows_its_own(
    certificate: Path, tmp_path: Path
) -> None:
    authority = signed("an authority", authority=True)
    named, client = written(tmp_path / "named.pem", signed("named", "named.test")), signed("c.test", by=authority)
    own = ListenerSettings(
        port=0,
        certificate_file=certificate,
        key_file=certificate,
        certificates=(CertificateSettings(certificate_file=named, key_file=named),),
        client_ca_file=written(tmp_path / "clients.pem", authority),
    )
    rules = policy()
    mx = rules.listeners["mx"].model_copy(update={"client_certificates": "require"})
    async with gate(
        rules.model_copy(update={"listeners": {**rules.listeners, "mx": mx}}), certificate, {"mx": own}
    ) as edge:
        shown = ["-cert", str(written(tmp_path / "client.pem", client)), "-key", str(tmp_path / "client.pem")]
        output = await s_client(edge, "-starttls", "smtp", "-servername", "named.test", *shown, after=_SHAKEN)
        assert "subject=O = Tests, CN = named" in output
        assert "221 2.0.0" in output
        foreign = written(tmp_path / "client.pem", signed("c.test"))
        output = await s_client(edge, "-starttls", "smtp", "-cert", str(foreign), "-key", str(foreign), after=_SHAKEN)
        assert "221 2.0.0" not in output


# Python reports a name that is not ASCII as an exception that nobody can catch.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_name_that_is_none_ends_its_own_handshake_alone(certificate: Path, tmp_path: Path) -> None:
    named = written(tmp_path / "named.pem", signed("named", "named.test"))
    more = CertificateSettings(certificate_file=named, key_file=named)
    own = ListenerSettings(port=0, certificate_file=certificate, key_file=certificate, certificates=(more,))
    async with gate(policy(), certificate, {"mx": own}) as edge:
        for name in (os.fsdecode(b"\xff\xfe"), "a..b", "x" * 250):
            output = await s_client(edge, "-starttls", "smtp", "-servername", name, after=_SHAKEN)
            assert "no peer certificate available" in output or "CN = gate.test" in output
        output = await s_client(edge, "-starttls", "smtp", "-servername", "named.test", after=_SHAKEN)
        assert "CN = named" in output


async def test_a_session_cannot_be_negotiated_anew(edge: Gate) -> None:
    # OpenSSL's client renegotiates at a line that begins with R.
    output = await s_client(edge, "-starttls", "smtp", "-tls1_2", "-no_ign_eof", says="R\n", after=_SHAKEN)
    assert "RENEGOTIATING" in output
    assert "no renegotiation" in output or "handshake failure" in output
