"""SCRAM-SHA-256 and its -PLUS form."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.edge.auth.decoys import decoy_text
from services.edge.auth.exchange import MechanismError, Proof, advance
from services.edge.auth.scram import Channel, scram
from shared.scram import ScramKeys, derive_keys, parse_keys
from tests.scram_client import ScramClient
from tests.unit.services.edge.auth.exchanges import finish

# RFC 7677 §3: the example.
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
NONCE = b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

PENCIL = derive_keys("pencil", SALT, 4096)
OPEN = Channel()
BINDINGS = {"tls-server-end-point": b"hash of the certificate", "tls-unique": b"finished"}
PLUS = Channel(plus=True, plus_offered=True, bindings=BINDINGS)
NOT_PLUS = Channel(plus_offered=True, bindings=BINDINGS)


def keys_of(login: str) -> tuple[ScramKeys, bool]:
    if login in ("user", "a,b=c", "i"):
        return PENCIL, True
    return parse_keys(decoy_text(b"secret", login, str(PENCIL))), False


def carry_out(client: ScramClient, channel: Channel = OPEN) -> Proof:
    claim = finish(scram(client.first(), NONCE, keys_of, channel), client.final)
    assert isinstance(claim, Proof)
    return claim


def test_the_example_of_the_standard_is_carried_out_octet_by_octet() -> None:
    exchange = scram(CLIENT_FIRST, NONCE, keys_of, OPEN)
    assert advance(exchange, None) == SERVER_FIRST
    assert advance(exchange, CLIENT_FINAL) == Proof("user", True, SERVER_FINAL)


def test_the_first_message_may_come_as_a_response() -> None:
    assert finish(scram(None, NONCE, keys_of, OPEN), CLIENT_FIRST, CLIENT_FINAL) == Proof("user", True, SERVER_FINAL)


def test_a_wrong_password_proves_nothing_and_is_told_nothing() -> None:
    assert carry_out(ScramClient("user", "pencils")) == Proof("user", False, None)


def test_the_server_proves_that_it_knows_the_keys() -> None:
    client = ScramClient("user", "pencil")
    proof = carry_out(client)
    assert proof.last is not None
    assert client.trusts(proof.last)


@pytest.mark.parametrize("login, name", [("a,b=c", "a,b=c"), ("I", "i"), ("\u2160", "i"), ("us\u00ader", "user")])
def test_names_are_unescaped_and_prepared(login: str, name: str) -> None:
    assert carry_out(ScramClient(login, "pencil")).login == name
    assert carry_out(ScramClient(login, "pencil")).holds


@pytest.mark.parametrize("acts_as, code", [("user", None), ("USER", None), ("other", 535)])
def test_nobody_acts_for_somebody_else(acts_as: str, code: int | None) -> None:
    client = ScramClient("user", "pencil", acts_as=acts_as)
    if code is None:
        assert carry_out(client).holds
    else:
        with pytest.raises(MechanismError) as caught:
            carry_out(client)
        assert caught.value.reply.code == code


# ---- channel binding


@pytest.mark.parametrize("kind", BINDINGS)
def test_a_login_can_be_bound_to_the_channel(kind: str) -> None:
    assert carry_out(ScramClient("user", "pencil", flag=f"p={kind}", binding=BINDINGS[kind]), PLUS).holds


def test_a_login_that_was_meant_for_another_channel_proves_nothing() -> None:
    client = ScramClient("user", "pencil", flag="p=tls-server-end-point", binding=b"hash of the attacker's")
    assert carry_out(client, PLUS) == Proof("user", False, None)


@pytest.mark.parametrize(
    "flag, channel, code",
    [
        # RFC 5802 §6: a client that could bind was made to believe that we cannot.
        ("y", NOT_PLUS, 535),
        ("n", PLUS, 501),
        ("y", PLUS, 501),
        ("p=tls-exporter", PLUS, 501),
        ("p=tls-server-end-point", NOT_PLUS, 501),
        ("p=tls-server-end-point", OPEN, 501),
    ],
)
def test_a_flag_that_does_not_fit_the_mechanism_ends_the_exchange(flag: str, channel: Channel, code: int) -> None:
    with pytest.raises(MechanismError) as caught:
        carry_out(ScramClient("user", "pencil", flag=flag), channel)
    assert caught.value.reply.code == code


@pytest.mark.parametrize("flag, channel", [("y", OPEN), ("n", OPEN), ("n", NOT_PLUS)])
def test_a_client_that_does_not_bind_is_taken_without_the_plus_form(flag: str, channel: Channel) -> None:
    assert carry_out(ScramClient("user", "pencil", flag=flag), channel).holds


def test_a_header_that_was_changed_on_the_way_proves_nothing() -> None:
    client = ScramClient("user", "pencil", flag="y")
    claim = finish(scram(b"n,," + client.bare, NONCE, keys_of, NOT_PLUS), client.final)
    assert isinstance(claim, Proof)
    assert not claim.holds


def test_a_nonce_of_somebody_else_proves_nothing() -> None:
    client = ScramClient("user", "pencil")
    claim = finish(
        scram(client.first(), NONCE, keys_of, OPEN), lambda first: client.final(first.replace(NONCE, b"another"))
    )
    assert isinstance(claim, Proof)
    assert not claim.holds


# ---- logins that do not exist


def test_an_unknown_login_shows_what_a_known_one_shows() -> None:
    known, unknown = (
        advance(scram(b"n,,n=" + name + b",r=abc", NONCE, keys_of, OPEN), None) for name in (b"user", b"nobody")
    )
    assert isinstance(known, bytes)
    assert isinstance(unknown, bytes)
    assert (len(known), known[-7:]) == (len(unknown), unknown[-7:])
    assert known != unknown


def test_an_unknown_login_always_shows_the_same_salt_and_another_than_the_next_one() -> None:
    salts = [parse_keys(decoy_text(b"secret", login, None)).salt for login in ("a", "a", "b")]
    assert salts[0] == salts[1] != salts[2]
    assert parse_keys(decoy_text(b"another", "a", None)).salt != salts[0]


def test_an_unknown_login_has_no_password() -> None:
    assert carry_out(ScramClient("nobody", "pencil")) == Proof("nobody", False, None)


# ---- the grammar


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n=user,r=abc",
        b"n,n=user,r=abc",
        b"x,,n=user,r=abc",
        b"n,,n=,r=abc",
        b"n,,n=user,r=",
        b"n,,n=user",
        b"n,,r=abc,n=user",
        # RFC 5802 §5.1: an extension that must be understood.
        b"n,,m=later,n=user,r=abc",
        b"n,,n=us=er,r=abc",
        b"n,,n=us=2cer,r=abc",
        b"n,,n=user,r=a\0b",
        b"n,,n=user,r=abc,x",
        b"p=,,n=user,r=abc",
        b"n,a=,n=user,r=abc",
        b"n,,n=user,r=" + b"x" * 1025,
        b"n,,n=" + b"x" * 9000 + b",r=abc",
        b"n,,n=us\0er,r=abc",
    ],
)
def test_a_first_message_that_breaks_the_grammar_is_refused(first: bytes) -> None:
    with pytest.raises(MechanismError):
        advance(scram(first, NONCE, keys_of, OPEN), None)


def test_extensions_that_may_be_ignored_are() -> None:
    assert isinstance(advance(scram(b"n,,n=user,r=abc,x=later,y=too", NONCE, keys_of, OPEN), None), bytes)


@pytest.mark.parametrize(
    "final", [b"", b"c=biws", b"c=biws,r=abc", b"c=biws,r=abc,p=", b"c=!,r=abc,p=YQ==", b"c=biws,r=abc,p=Y", b"r=a,p=b"]
)
def test_a_final_message_that_breaks_the_grammar_is_refused(final: bytes) -> None:
    with pytest.raises(MechanismError):
        finish(scram(CLIENT_FIRST, NONCE, keys_of, OPEN), final)


def test_a_proof_of_another_length_proves_nothing() -> None:
    claim = finish(scram(CLIENT_FIRST, NONCE, keys_of, OPEN), CLIENT_FINAL[:-44] + b"YQ==")
    assert isinstance(claim, Proof)
    assert not claim.holds


@given(st.binary(max_size=300) | st.text("np=,ar1c ", max_size=60).map(str.encode), st.binary(max_size=300))
def test_whatever_comes_is_a_claim_or_a_mechanism_error(first: bytes, final: bytes) -> None:
    for start in (first, CLIENT_FIRST):
        with contextlib.suppress(MechanismError):
            step = advance(exchange := scram(start, NONCE, keys_of, OPEN), None)
            assert isinstance(step, bytes)
            claim = advance(exchange, final)
            assert isinstance(claim, Proof)
            assert not claim.holds
