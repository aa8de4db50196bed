"""Real clients log in: swaks, smtplib, curl."""

import asyncio
import shutil
import smtplib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.edge.gate import PASSWORD, Gate, trusting

ALICE = "alice@ours.test"

needs_swaks = pytest.mark.skipif(shutil.which("swaks") is None, reason="swaks is not installed")
needs_gsasl = pytest.mark.skipif(shutil.which("gsasl") is None, reason="gsasl is not installed")
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


async def run(*command: str) -> tuple[int, str]:
    """Run a client; return its exit code and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    async with asyncio.timeout(30):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(errors="replace")


def logged_in(edge: Gate) -> list[str | None]:
    return [mail.envelope.client.login for mail in edge.publisher.mails]


@needs_swaks
@pytest.mark.parametrize(
    "mechanism, listener, tls",
    [
        ("PLAIN", "submission", "--tls"),
        ("LOGIN", "submission", "--tls"),
        ("PLAIN", "logins", "--tls-on-connect"),
        ("LOGIN", "logins", "--tls-on-connect"),
        ("CRAM-MD5", "logins", "--tls-on-connect"),
    ],
)
async def test_swaks(edge: Gate, mechanism: str, listener: str, tls: str) -> None:
    command = ["swaks", "--server", "127.0.0.1", "--port", str(edge.listeners.port(listener)), tls]
    command += ["--auth", mechanism, "--auth-user", ALICE, "--from", ALICE, "--to", "y@away.test"]
    code, said = await run(*command, "--auth-password", PASSWORD)
    assert code == 0, said
    assert logged_in(edge) == [ALICE]
    code, said = await run(*command, "--auth-password", "wrong")
    # swaks: 28 is an authentication that failed.
    assert code == 28, said
    assert len(edge.publisher.mails) == 1


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
async def test_smtplib(edge: Gate, mechanism: str) -> None:
    port = edge.listeners.port("logins")

    def send(password: str) -> None:
        with smtplib.SMTP_SSL("127.0.0.1", port, context=trusting(), timeout=20) as client:
            client.user, client.password = ALICE, password
            client.ehlo("client.test")
            answers: dict[str, Callable[[bytes | None], str | None]] = {
                "PLAIN": client.auth_plain,
                "LOGIN": client.auth_login,
                "CRAM-MD5": client.auth_cram_md5,
            }
            client.auth(mechanism, answers[mechanism], initial_response_ok=mechanism != "CRAM-MD5")  # type: ignore[arg-type]
            client.sendmail(ALICE, ["y@away.test"], f"From: {ALICE}\r\n\r\nx\r\n")

    await asyncio.to_thread(send, PASSWORD)
    assert logged_in(edge) == [ALICE]
    with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
        await asyncio.to_thread(send, "wrong")
    assert caught.value.smtp_code == 535


async def test_smtplib_finds_a_mechanism_by_itself(edge: Gate) -> None:
    def send() -> None:
        with smtplib.SMTP("127.0.0.1", edge.listeners.port("submission"), timeout=20) as client:
            client.starttls(context=trusting())
            client.login(ALICE, PASSWORD)
            client.sendmail(ALICE, ["y@away.test"], f"From: {ALICE}\r\n\r\nx\r\n")

    await asyncio.to_thread(send)
    assert logged_in(edge) == [ALICE]


@needs_curl
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "*"])
async def test_curl(edge: Gate, mechanism: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    mail = tmp_path_factory.mktemp("mail") / "mail.eml"
    mail.write_text(f"From: {ALICE}\r\n\r\nx\r\n")
    command = ["curl", "--silent", "--show-error", "--insecure", "--url"]
    command += [f"smtps://127.0.0.1:{edge.listeners.port('logins')}", "--login-options", f"AUTH={mechanism}"]
    command += ["--mail-from", ALICE, "--mail-rcpt", "y@away.test", "--upload-file", str(mail), "--user"]
    code, said = await run(*command, f"{ALICE}:{PASSWORD}")
    assert code == 0, said
    assert logged_in(edge) == [ALICE]
    code, said = await run(*command, f"{ALICE}:wrong")
    # curl: 67 is a login that was denied.
    assert code == 67, said


@needs_gsasl
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
async def test_gnu_sasl(edge: Gate, certificate: Path, mechanism: str) -> None:
    command = ["gsasl", "--smtp", f"--connect=127.0.0.1:{edge.listeners.port('submission')}"]
    command += [
        f"--mechanism={mechanism}",
        "--authentication-id",
        ALICE,
        f"--authorization-id={ALICE}",
        "--x509-ca-file=",
    ]
    # It binds by tls-unique, which ends with TLS 1.2.
    command += ["--priority=NORMAL:-VERS-TLS1.3"] if mechanism.endswith("-PLUS") else ["--no-cb"]
    code, said = await run(*command, f"--password={PASSWORD}")
    assert code == 0, said
    code, said = await run(*command, "--password=wrong")
    assert code != 0, said
