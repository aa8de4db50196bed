"""The exchange of AUTH, against a host that says what it is told to."""

import base64
from pathlib import Path

import pytest

from services.delivery.client.auth import AuthFailed, authenticate
from services.delivery.client.replies import HopReply
from services.delivery.client.wire import WireLost
from services.delivery.secrets import Secrets
from shared.policy.destination import OutboundAuth, OutboundMechanism

_ALL = frozenset(OutboundMechanism)


class Host:
    """Answers each line with the next of its replies."""

    def __init__(self, *replies: str) -> None:
        self.replies = list(replies)
        self.heard: list[str] = []

    async def ask(self, line: bytes) -> HopReply:
        assert line.endswith(b"\r\n")
        self.heard.append(line.decode().removesuffix("\r\n"))
        if not self.replies:
            raise WireLost("connection closed by the next hop")
        code, _, text = self.replies.pop(0).partition(" ")
        return HopReply(int(code), (text.encode(),))


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    for name, content in {"good": "secret\n", "long": "x" * 600, "two-lines": "a\nb\n"}.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    return Secrets(tmp_path)


async def _log_in(
    host: Host,
    secrets: Secrets,
    *mechanisms: str,
    offered: frozenset[str] = _ALL,
    secret: str = "good",
    tls: bool = True,
) -> None:
    auth = OutboundAuth(login="ann", secret=secret, mechanisms=[OutboundMechanism(name) for name in mechanisms])
    await authenticate(host.ask, offered, auth, secrets, host="hop.test", tls=tls)
    assert not host.replies


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def test_plain(secrets: Secrets) -> None:
    host = Host("235 2.7.0 welcome")
    await _log_in(host, secrets, "PLAIN")
    assert host.heard == ["AUTH PLAIN " + _b64("\0ann\0secret")]


async def test_login(secrets: Secrets) -> None:
    host = Host("334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok")
    await _log_in(host, secrets, "LOGIN")
    assert host.heard == ["AUTH LOGIN", _b64("ann"), _b64("secret")]


async def test_the_first_that_is_offered_is_used(secrets: Secrets) -> None:
    host = Host("235 ok")
    await _log_in(host, secrets, "SCRAM-SHA-256", "CRAM-MD5", "PLAIN", offered=frozenset({"LOGIN", "PLAIN"}))
    assert host.heard[0].startswith("AUTH PLAIN ")


async def test_an_initial_response_too_long_for_the_line_is_sent_apart(secrets: Secrets) -> None:
    host = Host("334 ", "235 ok")
    await _log_in(host, secrets, "PLAIN", secret="long")
    assert host.heard == ["AUTH PLAIN", _b64("\0ann\0" + "x" * 600)]


async def test_a_long_initial_response_is_not_given_to_a_host_that_speaks_out_of_turn(secrets: Secrets) -> None:
    host = Host("334 " + _b64("hello"), "501 cancelled")
    with pytest.raises(AuthFailed, match="before our first word"):
        await _log_in(host, secrets, "PLAIN", secret="long")
    assert host.heard == ["AUTH PLAIN", "*"]


@pytest.mark.parametrize(
    "reply", ["535 5.7.8 bad credentials", "454 4.7.0 later", "504 5.5.4 no", "534 too weak", "250 odd", "421 bye"]
)
async def test_what_is_no_235_is_no_login(secrets: Secrets, reply: str) -> None:
    with pytest.raises(AuthFailed, match=f"ann by PLAIN: the host answered {reply[:3]}") as caught:
        await _log_in(Host(reply), secrets, "PLAIN")
    assert caught.value.reply is not None
    assert caught.value.reply.code == int(reply[:3])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("challenge", ["334 not base64!", "334 " + "A" * 12_292, "334 ="])
async def test_a_challenge_that_is_none_is_cancelled(secrets: Secrets, challenge: str) -> None:
    host = Host(challenge, "501 5.7.0 cancelled")
    with pytest.raises(AuthFailed, match="challenge"):
        await _log_in(host, secrets, "CRAM-MD5")
    assert host.heard == ["AUTH CRAM-MD5", "*"]


async def test_a_host_that_goes_when_cancelled_does_not_hide_the_reason(secrets: Secrets) -> None:
    with pytest.raises(AuthFailed, match="not base64"):
        await _log_in(Host("334 ?"), secrets, "CRAM-MD5")


async def test_a_host_that_is_lost_is_no_login_that_failed(secrets: Secrets) -> None:
    with pytest.raises(WireLost):
        await _log_in(Host(), secrets, "CRAM-MD5")


async def test_a_host_that_never_ends_is_left(secrets: Secrets) -> None:
    host = Host(*["334 "] * 3, "501 ok")
    with pytest.raises(AuthFailed, match="more than name and password"):
        await _log_in(host, secrets, "LOGIN")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "CRAM-MD5"])
async def test_a_host_that_says_yes_without_proof_is_not_trusted(secrets: Secrets, mechanism: str) -> None:
    with pytest.raises(AuthFailed, match="without proof"):
        await _log_in(Host("235 come in"), secrets, mechanism)


async def test_a_complaint_about_a_token_is_answered_and_told(secrets: Secrets) -> None:
    host = Host("334 " + _b64('{"status":"400"}'), "535 5.7.8 no")
    with pytest.raises(AuthFailed, match=r"535 5\.7\.8 no \(status 400\)"):
        await _log_in(host, secrets, "XOAUTH2")
    assert host.heard[1] == ""


async def test_nothing_is_said_without_tls(secrets: Secrets) -> None:
    host = Host()
    with pytest.raises(AuthFailed, match="no TLS"):
        await _log_in(host, secrets, "SCRAM-SHA-256", tls=False)
    assert not host.heard


async def test_a_host_without_our_mechanisms_is_told(secrets: Secrets) -> None:
    with pytest.raises(AuthFailed, match=r"none of PLAIN, LOGIN \(it offers: DIGEST-MD5, NTLM\)"):
        await _log_in(Host(), secrets, "PLAIN", "LOGIN", offered=frozenset({"NTLM", "DIGEST-MD5"}))


@pytest.mark.parametrize("secret, why", [("absent", "there is no file"), ("two-lines", "one line")])
async def test_a_secret_that_is_missing_is_a_login_that_failed(secrets: Secrets, secret: str, why: str) -> None:
    host = Host()
    with pytest.raises(AuthFailed, match=why):
        await _log_in(host, secrets, "PLAIN", secret=secret)
    assert not host.heard


@pytest.mark.parametrize("mechanism", ["PLAIN", "XOAUTH2", "LOGIN"])
async def test_a_host_that_repeats_what_we_said_puts_no_secret_into_the_reason(
    secrets: Secrets, tmp_path: Path, mechanism: str
) -> None:
    (tmp_path / "good").write_text("long-secret")
    said = {
        "PLAIN": _b64("\0ann\0long-secret"),
        "XOAUTH2": _b64("user=ann\x01auth=Bearer long-secret\x01\x01"),
        "LOGIN": _b64("long-secret"),
    }[mechanism]
    asked = ["334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6"] if mechanism == "LOGIN" else []
    host = Host(*asked, f'500 5.5.2 unknown command "AUTH {mechanism} {said}"')
    with pytest.raises(AuthFailed) as caught:
        await _log_in(host, secrets, mechanism)
    assert any(said in line for line in host.heard)
    assert said not in caught.value.reason
    assert caught.value.reply is not None
    assert said not in str(caught.value.reply)
