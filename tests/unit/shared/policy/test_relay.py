"""Rules of relaying: nobody by default; rules in their order; a login, a listed network or certificate proves."""

import pytest

from shared.envelope import Proof
from shared.policy import PolicyError, Relay, parse_policy
from shared.policy.client import Certificate, ClientFacts, plain_ip

AWAY = "x@away.test"
HASH = "ab" * 32


def relay(text: str) -> Relay:
    return parse_policy(f"[relay]\n{text}").relay


def client(address: str = "192.0.2.7", login: str | None = None, fingerprint: str | None = None) -> ClientFacts:
    certificate = Certificate(fingerprint, "CN=x") if fingerprint else None
    return ClientFacts(plain_ip(address), name="", helo="x", login=login, certificate=certificate)


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("127.0.0.1", False),
    ],
)
def test_the_relay_list_holds_networks_of_both_kinds(address: str, allowed: bool) -> None:
    assert relay("networks = ['10.0.0.0/8', '2001:db8::/32']").judge(client(address), "", AWAY) is allowed


def test_who_has_logged_in_may_relay_and_is_proved_by_that() -> None:
    assert relay("").judge(client(login="anna"), "anna@a.test", AWAY)
    assert relay("").proof(client(login="anna"), "anna@a.test") is Proof.LOGIN
    assert relay("").proof(client(), "anna@a.test") is None


@pytest.mark.parametrize(
    ("rule", "who", "sender", "recipient", "allowed"),
    [
        ("networks = ['192.0.2.0/28']", client(), "", AWAY, True),
        ("networks = ['192.0.2.0/28']", client("192.0.2.16"), "", AWAY, False),
        (f"certificates = ['sha256:{HASH}']", client(fingerprint=HASH), "", AWAY, True),
        (f"certificates = ['SHA256:{HASH.upper()}']", client(fingerprint=HASH), "", AWAY, True),
        (f"certificates = ['sha256:{HASH}']", client(fingerprint="cd" * 32), "", AWAY, False),
        (f"certificates = ['sha256:{HASH}']", client(), "", AWAY, False),
        ("certificates = ['verified']", client(fingerprint=HASH), "", AWAY, True),
        ("certificates = ['verified']", client(), "", AWAY, False),
        ("logins = ['Anna']", client(login="anna"), "", AWAY, True),
        ("networks = ['192.0.2.0/28']\nsenders = ['@a.test']", client(), "x@a.test", AWAY, True),
        ("networks = ['192.0.2.0/28']\nsenders = ['@a.test']", client(), "x@b.test", AWAY, False),
        ("networks = ['192.0.2.0/28']\nsenders = ['<>']", client(), "", AWAY, True),
        ("networks = ['192.0.2.0/28']\nrecipients = ['@.away.test']", client(), "", "x@sub.away.test", True),
        ("networks = ['192.0.2.0/28']\nrecipients = ['@.away.test']", client(), "", "x@else.test", False),
        (f"networks = ['192.0.2.0/28']\ncertificates = ['sha256:{HASH}']", client(), "", AWAY, False),
        (f"networks = ['192.0.3.0/28']\ncertificates = ['sha256:{HASH}']", client(fingerprint=HASH), "", AWAY, False),
    ],
)
def test_all_matchers_of_a_rule_must_fit(
    rule: str, who: ClientFacts, sender: str, recipient: str, allowed: bool
) -> None:
    assert relay(f"[[relay.rules]]\naction = 'allow'\n{rule}").judge(who, sender, recipient) is allowed


def test_the_first_rule_that_fits_wins_and_comes_before_networks_and_logins() -> None:
    rules = relay("""
networks = ["192.0.2.0/24"]
[[relay.rules]]
action = "allow"
networks = ["192.0.2.7/32"]
recipients = ["@friend.test"]
[[relay.rules]]
action = "deny"
recipients = ["@friend.test"]
[[relay.rules]]
action = "deny"
logins = ["bert"]
""")
    assert rules.judge(client("192.0.2.7"), "", "x@friend.test")
    assert not rules.judge(client("192.0.2.8"), "", "x@friend.test")
    assert rules.judge(client("192.0.2.8"), "", AWAY)
    assert not rules.judge(client(login="bert"), "", AWAY)
    assert not rules.judge(client("198.51.100.1", login="anna"), "", "x@friend.test")
    assert rules.judge(client(login="anna"), "", AWAY)


def test_proof_is_what_makes_a_client_one_of_ours() -> None:
    rules = relay(f"""
networks = ["192.0.2.0/24"]
[[relay.rules]]
action = "deny"
networks = ["192.0.2.9/32"]
[[relay.rules]]
action = "deny"
networks = ["192.0.2.10/32"]
recipients = ["@friend.test"]
[[relay.rules]]
action = "allow"
certificates = ["sha256:{HASH}"]
""")
    assert rules.proof(client("192.0.2.1"), "") is Proof.RELAY_LIST
    assert rules.proof(client("192.0.2.9"), "") is None
    assert rules.proof(client("192.0.2.10"), "") is Proof.RELAY_LIST
    assert rules.proof(client("198.51.100.1", fingerprint=HASH), "") is Proof.CLIENT_CERTIFICATE
    assert rules.proof(client("198.51.100.1"), "") is None


@pytest.mark.parametrize("claim", ["", "senders = ['@a.test']", "recipients = ['@a.test']"])
def test_an_allow_rule_names_somebody_who_cannot_be_claimed(claim: str) -> None:
    with pytest.raises(PolicyError, match="senders can be forged"):
        relay(f"[[relay.rules]]\naction = 'allow'\n{claim}")


@pytest.mark.parametrize("login", ["", " ", " anna"])
def test_no_login_is_never_a_login_that_is_listed(login: str) -> None:
    with pytest.raises(PolicyError, match="is no login"):
        relay(f"[[relay.rules]]\naction = 'allow'\nlogins = ['{login}']")


@pytest.mark.parametrize("text", ["", "any", "Verified", "sha256:ab", "sha1:" + "ab" * 20, "sha256:" + "xy" * 32])
def test_what_names_no_certificate_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match="certificates"):
        relay(f"[[relay.rules]]\naction = 'allow'\ncertificates = ['{text}']")
