"""AUTH on a socket: which mechanisms are offered, and each of them."""

import base64
import hmac
from pathlib import Path

import pytest
from cryptography import x509

from shared.event import EventKind
from tests.integration.edge.gate import PASSWORD, Client, Gate, gate, policy
from tests.scram_client import ScramClient

ALICE = "alice@ours.test"


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def asked(reply: str) -> bytes:
    code, _, challenge = reply.partition(" ")
    assert code == "334", reply
    return base64.b64decode(challenge)


async def scram(client: Client, scramming: ScramClient, mechanism: str = "SCRAM-SHA-256") -> str:
    """Carry out SCRAM; return the last reply."""
    reply = await client.say(f"AUTH {mechanism} {b64(scramming.first())}")
    if not reply.startswith("334"):
        return reply
    reply = await client.say(b64(scramming.final(asked(reply))))
    if not reply.startswith("334"):
        return reply
    assert scramming.trusts(asked(reply))
    return await client.say("")


@pytest.fixture
def bound_to(certificate: Path) -> bytes:
    """Return the value of tls-server-end-point: the hash of the certificate (RFC 5929 §4.1)."""
    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    assert loaded.signature_hash_algorithm
    return loaded.fingerprint(loaded.signature_hash_algorithm)


async def test_ehlo_offers_what_the_policy_lists_and_auth_takes_nothing_else(edge: Gate) -> None:
    async with edge.client("logins", tls=True) as client:
        hello = await client.hello()
        assert "250-AUTH PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256-PLUS SCRAM-SHA-256\n" in hello
        assert (await client.say("AUTH GSSAPI")).startswith("504 5.5.4")
        assert (await client.say("AUTH DIGEST-MD5")).startswith("504 5.5.4")
    async with edge.client("submissions", tls=True) as client:
        assert "250-AUTH PLAIN LOGIN SCRAM-SHA-256-PLUS SCRAM-SHA-256\n" in await client.hello()
        assert (await client.say("AUTH CRAM-MD5")).startswith("504 5.5.4")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "scram-sha-256"])
async def test_scram(edge: Gate, mechanism: str) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        assert await scram(client, ScramClient(ALICE, PASSWORD), mechanism) == "235 2.7.0 Authentication successful"
        assert (await client.say(f"MAIL FROM:<{ALICE}>")).startswith("250")


@pytest.mark.parametrize("login, password", [(ALICE, "wrong"), ("nobody@ours.test", PASSWORD), ("robot", PASSWORD)])
async def test_scram_refuses_after_the_proof_and_not_before(edge: Gate, login: str, password: str) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        scramming = ScramClient(login, password)
        challenge = asked(await client.say(f"AUTH SCRAM-SHA-256 {b64(scramming.first())}"))
        # An unknown login, and one without keys of SCRAM, shows as many iterations as one that has them.
        assert challenge.endswith(b",i=4096")
        assert (await client.say(b64(scramming.final(challenge)))).startswith("535 5.7.8")
    refused = [facts for _, kind, facts in edge.events.told if kind is EventKind.COMMAND_REFUSED]
    assert [(facts["reason"], facts["login"]) for facts in refused] == [("login-failed", login)]


async def test_scram_bound_to_the_channel(edge: Gate, bound_to: bytes) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        scramming = ScramClient(ALICE, PASSWORD, flag="p=tls-server-end-point", binding=bound_to)
        assert (await scram(client, scramming, "SCRAM-SHA-256-PLUS")).startswith("235")


async def test_scram_bound_to_another_channel_is_refused(edge: Gate, bound_to: bytes) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        scramming = ScramClient(ALICE, PASSWORD, flag="p=tls-server-end-point", binding=bound_to[::-1])
        assert (await scram(client, scramming, "SCRAM-SHA-256-PLUS")).startswith("535 5.7.8")


async def test_a_downgrade_from_the_plus_form_is_found_out(edge: Gate) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        assert (await scram(client, ScramClient(ALICE, PASSWORD, flag="y"))).startswith("535 5.7.8")
        assert (await scram(client, ScramClient(ALICE, PASSWORD, flag="n"))).startswith("235")


async def test_scram_ends_with_an_answer_to_the_servers_proof(edge: Gate) -> None:
    for last, expected in (("*", "501 5.7.0"), ("eA==", "501 5.5.2"), ("", "235 2.7.0")):
        async with edge.client("logins", tls=True) as client:
            await client.hello()
            scramming = ScramClient(ALICE, PASSWORD)
            final = scramming.final(asked(await client.say(f"AUTH SCRAM-SHA-256 {b64(scramming.first())}")))
            assert scramming.trusts(asked(await client.say(b64(final))))
            assert (await client.say(last)).startswith(expected)


def digest(challenge: bytes, secret: str = PASSWORD) -> str:
    return hmac.new(secret.encode(), challenge, "md5").hexdigest()


@pytest.mark.parametrize(
    "login, secret, expected",
    [
        (ALICE, PASSWORD, "235 2.7.0"),
        (ALICE, "wrong", "535 5.7.8"),
        ("nobody@ours.test", PASSWORD, "535 5.7.8"),
        # Its password is known as a hash only.
        ("robot", PASSWORD, "535 5.7.8"),
        ("robot", "", "535 5.7.8"),
    ],
)
async def test_cram_md5(edge: Gate, login: str, secret: str, expected: str) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        challenge = asked(await client.say("AUTH CRAM-MD5"))
        assert (await client.say(b64(f"{login} {digest(challenge, secret)}".encode()))).startswith(expected)


async def test_cram_md5_takes_no_initial_response_and_no_old_digest(edge: Gate) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        assert (await client.say("AUTH CRAM-MD5 YQ==")).startswith("501 5.7.0")
        response = b64(f"{ALICE} {digest(asked(await client.say('AUTH CRAM-MD5')), 'wrong')}".encode())
        await client.say(response)
        challenge = asked(await client.say("AUTH CRAM-MD5"))
        right = b64(f"{ALICE} {digest(challenge)}".encode())
        assert (await client.say("*")).startswith("501 5.7.0")
        await client.say("AUTH CRAM-MD5")
        assert (await client.say(right)).startswith("535 5.7.8")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
async def test_each_mechanism_can_be_cancelled_and_wants_base64(edge: Gate, mechanism: str) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        for line, expected in (("*", "501 5.7.0"), ("!!!", "501 5.5.2"), ("YQ=", "501 5.5.2")):
            assert (await client.say(f"AUTH {mechanism}")).startswith("334 ")
            assert (await client.say(line)).startswith(expected)
        assert (await client.say("NOOP")).startswith("250")


async def test_a_response_that_never_ends_ends_the_session(edge: Gate) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        await client.say("AUTH PLAIN")
        await client.send(b"A" * 20_000)
        assert (await client.reply()).startswith("500 5.5.")
        assert await client.is_closed()


async def test_failures_of_a_login_from_one_network_are_throttled_without_a_hint(certificate: Path) -> None:
    extra = "[limits]\nexempt_networks = []\n"
    async with gate(policy(extra), certificate) as edge:
        replies = set()
        for password in ("wrong",) * 12 + (PASSWORD,):
            async with edge.client("logins", tls=True) as client:
                await client.hello()
                replies.add((await client.log_in(password=password))[:9])
        assert replies == {"535 5.7.8", "454 4.7.0"}
        # Somebody else from there is not held back.
        async with edge.client("logins", tls=True) as client:
            await client.hello()
            assert (await client.log_in("robot")).startswith("235")


async def test_an_initial_response_may_be_longer_than_other_commands(edge: Gate) -> None:
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        assert (await client.say(f"AUTH PLAIN {b64(b'x' * 9000)}")).startswith("501 5.5.2")
        assert (await client.log_in()).startswith("235")
    async with edge.client("logins", tls=True) as client:
        await client.hello()
        assert (await client.say(f"AUTH PLAIN {b64(b'x' * 12_000)}")).startswith("500 5.5.")
        assert await client.is_closed()
