"""Real clients get their mail through: swaks, smtplib, curl, smtp-source, haproxy, and Postfix as a relaying client.

Those that log in are in test_auth_clients.py.
"""

import asyncio
import os
import shutil
import smtplib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.envelope import Notify, Ret
from tests.bench.lab.child import Child
from tests.bench.lab.ports import Ports
from tests.bench.peer import Lab
from tests.bench.peers.postfix import PostfixInstance
from tests.integration.edge.gate import Gate, limited, policy, trusting


def needs(program: str) -> pytest.MarkDecorator:
    """Skip a test where a program is not installed."""
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


async def run(*command: str, text: str = "") -> str:
    """Run a client that must succeed; return what it said."""
    pipe, both = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=both)
    async with asyncio.timeout(30):
        said, _ = await process.communicate(text.encode())
    assert process.returncode == 0, said.decode(errors="replace")
    return said.decode(errors="replace")


async def swaks(edge: Gate, listener: str, *options: str) -> str:
    server = ["--server", "127.0.0.1", "--port", str(edge.listeners.port(listener)), "--helo", "client.test"]
    return await run("swaks", *server, "--from", "x@away.test", "--to", "bob@ours.test", *options)


@needs("swaks")
@pytest.mark.parametrize("options", [[], ["--tls"], ["--pipeline"], ["--protocol", "SMTP"]])
async def test_swaks(edge: Gate, options: list[str]) -> None:
    await swaks(edge, "mx", *options)
    client = edge.publisher.mails[0].envelope.client
    assert (client.tls is not None) == ("--tls" in options)
    assert client.esmtp == ("SMTP" not in options)


@needs("swaks")
@pytest.mark.parametrize(
    "listener, tls", [("proxied", []), ("proxied", ["--tls"]), ("proxied-tls", ["--tls-on-connect"])]
)
@pytest.mark.parametrize(
    "version, family, source, target",
    [
        (1, "TCP4", "203.0.113.9", "10.0.0.1"),
        (1, "TCP6", "2001:db8::9", "2001:db8::1"),
        (2, "AF_INET", "203.0.113.9", "10.0.0.1"),
        (2, "AF_INET6", "2001:db8::9", "2001:db8::1"),
    ],
)
async def test_swaks_as_a_proxy(
    edge: Gate, listener: str, tls: list[str], version: int, family: str, source: str, target: str
) -> None:
    options = ["--proxy-version", str(version), "--proxy-family", family]
    options += [
        "--proxy-source",
        source,
        "--proxy-source-port",
        "4711",
        "--proxy-dest",
        target,
        "--proxy-dest-port",
        "25",
    ]
    if version == 2:
        options += ["--proxy-command", "PROXY", "--proxy-protocol", "STREAM"]
    await swaks(edge, listener, *options, *tls)
    client = edge.publisher.mails[0].envelope.client
    assert (client.address, client.port) == (source, 4711)


@needs("swaks")
async def test_swaks_with_xclient(edge: Gate) -> None:
    rules = policy()
    listener = rules.listeners["mx"].model_copy(update={"xclient_from": rules.limits.exempt_networks})
    edge.policy.policy = rules.model_copy(update={"listeners": rules.listeners | {"mx": listener}})
    await swaks(edge, "mx", "--xclient-addr", "203.0.113.9", "--xclient-name", "mx.away.test", "--xclient-port", "4711")
    client = edge.publisher.mails[0].envelope.client
    assert (client.address, client.port, client.helo) == ("203.0.113.9", 4711, "client.test")


@pytest.mark.parametrize("tls", [False, True])
async def test_smtplib(edge: Gate, tls: bool) -> None:
    def send() -> None:
        with smtplib.SMTP("127.0.0.1", edge.listeners.port("mx"), local_hostname="client.test", timeout=20) as client:
            if tls:
                client.starttls(context=trusting())
            refused = client.sendmail(
                "b\u00f6b@away.test",
                ["bob@ours.test", "nobody@ours.test"],
                "Subject: x\n\n.\n..\nfrom me\n",
                ["SMTPUTF8"],
            )
            assert list(refused) == ["nobody@ours.test"]

    await asyncio.to_thread(send)
    assert edge.publisher.mails[0].body.endswith(b"Subject: x\r\n\r\n.\r\n..\r\nfrom me\r\n")


@needs("curl")
@pytest.mark.parametrize("tls", [[], ["--ssl-reqd", "--insecure"]])
async def test_curl(edge: Gate, tls: list[str]) -> None:
    url = f"smtp://127.0.0.1:{edge.listeners.port('mx')}/client.test"
    command = ["curl", "--silent", "--show-error", *tls, "--url", url, "--mail-from", "x@away.test"]
    command += ["--mail-rcpt", "bob@ours.test", "--mail-rcpt", "carol@ours.test", "--upload-file", "-"]
    await run(*command, text="Subject: x\r\n\r\n.hidden\r\n")
    mail = edge.publisher.mails[0]
    assert mail.body.endswith(b"\r\n.hidden\r\n")
    assert len(mail.envelope.recipients) == 2


@needs("openssl")
async def test_openssl_s_client(edge: Gate) -> None:
    command = ["openssl", "s_client", "-starttls", "smtp", "-crlf", "-ign_eof", "-quiet"]
    said = await run(*command, "-connect", f"127.0.0.1:{edge.listeners.port('mx')}", text="QUIT\n")
    assert "221 2.0.0" in said


@needs("smtp-source")
@pytest.mark.parametrize("options", [[], ["-d"], ["-N"], ["-l", "100000"]])
async def test_smtp_source(edge: Gate, options: list[str]) -> None:
    limited(edge, errors=1)
    command = ["smtp-source", "-m", "20", "-s", "4", "-f", "x@away.test", "-t", "whoever@any.test", *options]
    await run(*command, f"127.0.0.1:{edge.listeners.port('mx')}")
    assert len(edge.publisher.mails) == 20


_HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
listen edge
    bind {address}:{port}
    option smtpchk EHLO balancer.test
    server edge 127.0.0.1:{edge} {options} check check-send-proxy inter 100ms
"""


@needs("haproxy")
@pytest.mark.parametrize("options", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"])
@pytest.mark.parametrize("address, source", [("127.0.0.1", "127.0.0.2"), ("[::1]", "::1")])
async def test_haproxy_stands_before_us(edge: Gate, tmp_path: Path, options: str, address: str, source: str) -> None:
    limited(edge, errors=1)
    port, configuration = Ports().take(), tmp_path / "haproxy.cfg"
    configuration.write_text(
        _HAPROXY.format(address=address, port=port, edge=edge.listeners.port("proxied"), options=options)
    )
    haproxy = Child(["haproxy", "-db", "-f", str(configuration)], tmp_path / "haproxy.log")

    def send() -> tuple[str, int]:
        with smtplib.SMTP(local_hostname="client.test", timeout=20, source_address=(source, 0)) as client:
            client.connect(address.strip("[]"), port)
            client.sendmail("x@away.test", ["bob@ours.test"], "Subject: x\n\nx\n")
            assert client.sock is not None
            host, source_port = client.sock.getsockname()[:2]
            return str(host), int(source_port)

    try:
        # Its health checks are sessions of its own (LOCAL, or UNKNOWN).
        await edge.until(lambda: len(edge.sessions) > 0)
        await asyncio.to_thread(haproxy.wait_until, lambda: _answers(address.strip("[]"), port), "listening")
        name = await asyncio.to_thread(send)
    finally:
        await asyncio.to_thread(haproxy.stop)
    client = edge.publisher.mails[0].envelope.client
    assert (client.address, client.port) == name
    assert edge.events.told[-1][2].get("reason") is None


def _answers(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=1):
            return True
    except OSError:
        return False


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Postfix's own user may enter."""
    with tempfile.TemporaryDirectory(prefix="gatepost-postfix-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@needs("postfix")
@pytest.mark.skipif(os.geteuid() != 0, reason="Postfix starts as root alone")
@pytest.mark.parametrize("tls", ["none", "encrypt"])
async def test_postfix_relays_through_us(edge: Gate, folder: Path, tls: str) -> None:
    limited(edge, '[relay]\nnetworks = ["127.0.0.0/8"]\n', errors=1, errors_before_delay=0)
    lab = Lab(folder, Ports(), 0, 0, edge.listeners.port("relay"))
    postfix = PostfixInstance(lab, "postfix", f"smtp_tls_security_level = {tls}\nmaximal_queue_lifetime = 1h\n")
    await asyncio.to_thread(postfix.start)
    try:
        await asyncio.to_thread(send_ten, postfix.port)
        await edge.until(lambda: len(edge.publisher.mails) == 10)
    finally:
        await asyncio.to_thread(postfix.stop)
    envelope = edge.publisher.mails[0].envelope
    assert (envelope.client.tls is not None) == (tls == "encrypt")
    assert (envelope.sender, envelope.ret, envelope.envid) == ("x@ours.test", Ret.HEADERS, "abc")
    assert envelope.recipients[0].notify == (Notify.SUCCESS,)
    assert edge.events.told[-1][2].get("reason") is None


def send_ten(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, local_hostname="user.test", timeout=20) as client:
        for number in range(10):
            message = f"Subject: {number}\n\n.\n" + "x" * 2000 + "\n"
            options = ["RET=HDRS", "ENVID=abc"], ["NOTIFY=SUCCESS"]
            client.sendmail("x@ours.test", [f"y{number}@away.test", "z@elsewhere.test"], message, *options)
