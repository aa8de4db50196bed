"""Rules of listeners: safe defaults, and what goes only with TLS."""

import pytest

from shared.envelope import Direction
from shared.policy import PolicyError, Purpose, TlsMode, parse_policy


def refused(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    return str(caught.value)


@pytest.mark.parametrize("tls", ["off"])
def test_auth_without_tls_is_refused(tls: str) -> None:
    assert "needs TLS" in refused(f"[listeners.x]\npurpose = 'submission'\nauth = true\ntls = '{tls}'")


@pytest.mark.parametrize("tls", ["opportunistic", "required", "implicit"])
def test_auth_with_tls_is_taken(tls: str) -> None:
    assert parse_policy(f"[listeners.x]\npurpose = 'submission'\nauth = true\ntls = '{tls}'").listeners["x"].auth


def test_listeners_that_are_named_replace_the_usual_ones() -> None:
    policy = parse_policy("[listeners.inside]\npurpose = 'relay'\n")
    assert list(policy.listeners) == ["inside"]
    assert policy.listeners["inside"].tls is TlsMode.OPPORTUNISTIC
    assert list(parse_policy("").listeners) == ["mx", "submission", "submissions"]


@pytest.mark.parametrize(
    ("purpose", "direction"),
    [
        (Purpose.INBOUND, Direction.INBOUND),
        (Purpose.SUBMISSION, Direction.OUTBOUND),
        (Purpose.RELAY, Direction.OUTBOUND),
    ],
)
def test_only_an_inbound_listener_takes_mail_of_strangers(purpose: Purpose, direction: Direction) -> None:
    policy = parse_policy(f"[listeners.x]\npurpose = '{purpose}'")
    assert policy.listeners["x"].direction is direction


@pytest.mark.parametrize(
    "key",
    ["client_certificates = 'ask'", "client_certificates = 'require'", "requiretls = true"],
)
def test_certificates_and_requiretls_need_tls(key: str) -> None:
    assert "TLS" in refused(f"[listeners.x]\npurpose = 'relay'\ntls = 'off'\n{key}")
    assert parse_policy(f"[listeners.x]\npurpose = 'relay'\ntls = 'required'\n{key}")


def test_a_login_needs_mechanisms() -> None:
    text = "[listeners.x]\npurpose = 'submission'\ntls = 'required'\nauth = true\n"
    assert "needs mechanisms" in refused(text + "mechanisms = []")
    assert "mechanisms.0" in refused(text + "mechanisms = ['NTLM']")
    # CRAM-MD5 asks for a secret that can be read back, so nobody gets it without asking.
    assert "CRAM-MD5" not in parse_policy(text).listeners["x"].mechanisms
