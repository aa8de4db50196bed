"""Each mechanism by the examples of its standard, and what hosts may say wrong."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.client.sasl.cram import CramMd5
from services.delivery.client.sasl.login import SaslError
from services.delivery.client.sasl.plain import AskedLogin, BearerToken, Plain
from services.delivery.client.sasl.scram import ScramSha256

# RFC 7677 §3.
_NONCE = "rOprNGfwEbeRWgbNEkqO"
_SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
_CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
_SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def _scram() -> ScramSha256:
    return ScramSha256("user", "pencil", _NONCE)


def test_plain_says_all_at_once() -> None:
    # RFC 4616 §4.
    assert Plain("tim", "tanstaaftanstaaf").begin() == b"\0tim\0tanstaaftanstaaf"
    with pytest.raises(SaslError):
        Plain("tim", "x").respond(b"what")


@pytest.mark.parametrize("login, password", [("a\0b", "x"), ("a", "x\0y")])
def test_plain_cannot_say_nul(login: str, password: str) -> None:
    with pytest.raises(SaslError, match="NUL"):
        Plain(login, password)


def test_login_answers_what_is_asked_and_no_more() -> None:
    login = AskedLogin("ann", "secret")
    assert login.begin() is None
    assert [login.respond(b"Username:"), login.respond(b"Kennwort:")] == [b"ann", b"secret"]
    with pytest.raises(SaslError, match="more than name and password"):
        login.respond(b"and?")


def test_cram_md5_as_in_its_standard() -> None:
    # RFC 2195 §2.
    login = CramMd5("tim", "tanstaaftanstaaf")
    assert login.begin() is None
    assert not login.trusts
    said = login.respond(b"<1896.697170952@postoffice.reston.mci.net>")
    assert said == b"tim b913a602c7eda7a495b4e6e7334d3890"
    assert login.trusts
    with pytest.raises(SaslError):
        login.respond(b"again")


def test_a_bearer_token_is_said_as_the_providers_want_it() -> None:
    login = BearerToken("ann@example.org", "ya29.vF9dft4qmTc2")
    assert login.begin() == b"user=ann@example.org\x01auth=Bearer ya29.vF9dft4qmTc2\x01\x01"
    # The complaint is answered with nothing, and told.
    assert login.respond(b'{"status":"401","schemes":"bearer"}') == b""
    assert login.complaint == "status 401"
    with pytest.raises(SaslError):
        login.respond(b"again")


@pytest.mark.parametrize("token", ["", "two words", "a\x01b", "Bearer x", '{"access_token": "x"}'])
def test_what_is_no_bearer_token_is_not_said(token: str) -> None:
    with pytest.raises(SaslError, match="bearer token"):
        BearerToken("ann", token)


@given(st.binary(max_size=400))
def test_any_complaint_is_shown_without_control_characters(challenge: bytes) -> None:
    login = BearerToken("ann", "token")
    login.respond(challenge)
    assert login.complaint.isprintable()
    assert 0 < len(login.complaint) <= 200


def test_scram_as_in_its_standard() -> None:
    login = _scram()
    assert login.begin() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert login.respond(_SERVER_FIRST) == _CLIENT_FINAL
    assert not login.trusts
    assert login.respond(_SERVER_FINAL) == b""
    assert login.trusts
    with pytest.raises(SaslError):
        login.respond(b"more")


@pytest.mark.parametrize(
    "server_first, why",
    [
        (b"", "first message"),
        (b"m=x," + _SERVER_FIRST, "first message"),
        (_SERVER_FIRST.replace(b"r=rO", b"r=xO"), "nonce"),
        (b"r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce"),
        (_SERVER_FIRST.replace(b"i=4096", b"i=4095"), "iterations"),
        (_SERVER_FIRST.replace(b"i=4096", b"i=999999999"), "iterations"),
        (_SERVER_FIRST.replace(b"i=4096", b"i=-4096"), "first message"),
        (_SERVER_FIRST.replace(b"gQ==", b"gQ="), "salt"),
    ],
)
def test_scram_refuses_a_first_message_that_breaks_its_rules(server_first: bytes, why: str) -> None:
    login = _scram()
    login.begin()
    with pytest.raises(SaslError, match=why):
        login.respond(server_first)


@pytest.mark.parametrize("server_final", [b"", b"v=", b"v=" + base64.b64encode(bytes(32)), b"e=invalid-proof"])
def test_scram_does_not_trust_a_host_that_does_not_know_the_password(server_final: bytes) -> None:
    login = _scram()
    login.begin()
    login.respond(_SERVER_FIRST)
    with pytest.raises(SaslError):
        login.respond(server_final)
    assert not login.trusts


def test_scram_writes_names_as_its_standard_says() -> None:
    assert ScramSha256("a,b=c", "x", "nonce").begin() == b"n,,n=a=2Cb=3Dc,r=nonce"
    # RFC 4013 §3: a soft hyphen is nothing.
    assert ScramSha256("I\u00adX", "x", "nonce").begin() == b"n,,n=IX,r=nonce"
    with pytest.raises(SaslError, match="not allowed"):
        ScramSha256("a\u0007\u00e9", "x", "nonce")


@given(st.binary(max_size=300))
def test_scram_never_fails_otherwise(challenge: bytes) -> None:
    login = _scram()
    login.begin()
    with pytest.raises(SaslError):
        login.respond(challenge)
