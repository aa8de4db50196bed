"""PLAIN, LOGIN and CRAM-MD5."""

import contextlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.auth.exchange import Credentials, MechanismError, Proof, advance, decode_initial, decode_response
from services.edge.auth.mechanisms import cram_md5, login, plain
from tests.unit.services.edge.auth.exchanges import finish

# RFC 2195 §2: the example.
CHALLENGE = b"<1896.697170952@postoffice.reston.mci.net>"
RESPONSE = b"tim b913a602c7eda7a495b4e6e7334d3890"
SECRETS = {"tim": "tanstaaftanstaaf"}


def test_plain_takes_an_initial_response_or_asks() -> None:
    assert finish(plain(b"\0a\0b")) == Credentials("a", b"b")
    assert finish(plain(None), b"a\0a\0b") == Credentials("a", b"b")


def test_login_asks_for_name_and_password() -> None:
    assert finish(login(None), b"a", b"b") == Credentials("a", b"b")
    assert finish(login(b"a"), b"b") == Credentials("a", b"b")


def test_names_and_passwords_are_prepared() -> None:
    assert finish(plain("\0\u2163x\0I\u00adX\u00a0".encode())) == Credentials("ivx", b"IX ")
    assert "b" not in repr(Credentials("a", b"b")).replace("Credentials", "")


@pytest.mark.parametrize(
    "response, code",
    [
        (b"", 501),
        (b"a\0b", 501),
        (b"\0a\0b\0c", 501),
        (b"other\0a\0b", 535),
        (b"\0\0b", 535),
        (b"\0a\0", 535),
        (b"\0\xff\0b", 535),
        (b"\0a\0\xff", 535),
        (b"\0a\0\xc2\xad", 535),
        (b"\0a b\0b", 535),
        (b"\0a\xc2\xa0\0b", 535),
        (b"\0a\r\n\0b", 535),
        (b"\0a\0" + b"x" * 1025, 535),
        (b"\0" + b"x" * 321 + b"\0b", 535),
    ],
)
def test_what_plain_cannot_use_is_refused(response: bytes, code: int) -> None:
    with pytest.raises(MechanismError) as caught:
        next(plain(response))
    assert caught.value.reply.code == code


@pytest.mark.parametrize(
    "text, enhanced", [(b"*", "5.7.0"), (b"a", "5.5.2"), (b"YQ==YQ==", "5.5.2"), (b"Y Q==", "5.5.2"), (b"=", "5.5.2")]
)
def test_a_response_is_base64_and_an_asterisk_cancels(text: bytes, enhanced: str) -> None:
    with pytest.raises(MechanismError) as caught:
        decode_response(text)
    assert (caught.value.reply.code, caught.value.reply.enhanced) == (501, enhanced)


def test_an_initial_response_may_be_missing_or_empty() -> None:
    assert decode_initial("") is None
    assert decode_initial("=") == b""
    assert decode_initial("YQ==") == b"a"


def test_cram_md5_takes_the_example_of_its_standard() -> None:
    assert finish(cram_md5(None, CHALLENGE, SECRETS.get), RESPONSE) == Proof("tim", holds=True)


@pytest.mark.parametrize(
    "response",
    [
        RESPONSE[:-1] + b"1",
        RESPONSE.replace(b"tim", b"tom"),
        # The digest of an empty secret, which an unknown login does not have either.
        b"tom " + hmac.digest(b"", CHALLENGE, "md5").hex().encode(),
    ],
)
def test_cram_md5_refuses_other_digests_and_logins_without_a_secret(response: bytes) -> None:
    claim = finish(cram_md5(None, CHALLENGE, SECRETS.get), response)
    assert isinstance(claim, Proof)
    assert not claim.holds


@pytest.mark.parametrize("response", [b"", b"tim", b"tim ", b" " + b"0" * 32, b"tim " + b"0" * 33, b"tim " + b"g" * 32])
def test_what_cram_md5_cannot_use_is_refused(response: bytes) -> None:
    with pytest.raises(MechanismError):
        finish(cram_md5(None, CHALLENGE, SECRETS.get), response)


def test_the_server_speaks_first_in_cram_md5() -> None:
    with pytest.raises(MechanismError) as caught:
        advance(cram_md5(RESPONSE, CHALLENGE, SECRETS.get), None)
    assert caught.value.reply.code == 501


@given(st.binary(max_size=400))
def test_whatever_comes_is_a_claim_or_a_mechanism_error(octets: bytes) -> None:
    for exchange, answers in ((plain(octets), 0), (login(octets), 1), (cram_md5(None, CHALLENGE, SECRETS.get), 1)):
        with contextlib.suppress(MechanismError):
            finish(exchange, *[octets] * answers)
