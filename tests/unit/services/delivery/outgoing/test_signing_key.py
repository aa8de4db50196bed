"""Which keys sign for a domain, and in which order."""

import dataclasses

from services.delivery.outgoing.keyring import Keys
from services.delivery.outgoing.signing_key import signatories
from shared.dkim_keys import KeyAlgorithm, KeyBook, KeyState
from tests.unit.services.delivery.outgoing.keys import key_of

RSA, ED = KeyAlgorithm.RSA, KeyAlgorithm.ED25519
RETIRED, PENDING = KeyState.RETIRED, KeyState.PENDING


def selectors(found: object) -> object:
    return [[key.selector for key in candidates] for candidates in found]  # type: ignore[attr-defined]


def test_rsa_and_ed25519_sign_together_rsa_first() -> None:
    found, faults = signatories([key_of("a-ed"), key_of("a-rsa", RSA)])
    assert selectors(found["example.org"]) == [["a-rsa"], ["a-ed"]]
    assert faults == []


def test_retired_keys_stand_in_the_latest_first() -> None:
    keys = [key_of("a", ED, RETIRED, keep_until=1.0), key_of("c"), key_of("b", ED, RETIRED, keep_until=2.0)]
    found, _ = signatories(keys)
    assert selectors(found["example.org"]) == [["c", "b", "a"]]
    assert [key.keep_until for key in found["example.org"][0]] == [None, 2.0, 1.0]


def test_pending_keys_do_not_sign_and_retired_ones_not_alone() -> None:
    found, _ = signatories([key_of("a", ED, PENDING), key_of("b", ED, RETIRED, keep_until=9e9)])
    assert found == {}
    found, _ = signatories([key_of("a"), key_of("b-rsa", RSA, RETIRED, keep_until=9e9)])
    assert selectors(found["example.org"]) == [["a"]]


def test_a_key_that_cannot_be_loaded_leaves_the_others() -> None:
    broken = dataclasses.replace(key_of("a-rsa", RSA), private_key="nothing")
    found, faults = signatories([broken, key_of("a-ed")])
    assert selectors(found["example.org"]) == [["a-ed"]]
    assert faults == ["the private key of a-rsa._domainkey.example.org is not PKCS #8 in PEM without a passphrase"]


def test_the_nearest_domain_with_keys_signs() -> None:
    keys = Keys()
    keys.take(KeyBook(1, (key_of("up"), key_of("down", domain="mail.example.org"))))
    assert selectors(keys.signatories_for("example.org")) == [["up"]]
    assert selectors(keys.signatories_for("lists.example.org")) == [["up"]]
    assert selectors(keys.signatories_for("x.mail.example.org")) == [["down"]]
    assert keys.signatories_for("example.net") == ()
    assert keys.signatories_for("notexample.org") == ()


def test_an_older_book_never_comes_back() -> None:
    keys = Keys()
    assert not keys.sign
    assert keys.take(KeyBook(2, (key_of("new"),)))
    assert not keys.take(KeyBook(1, (key_of("old"),)))
    assert not keys.take(KeyBook(2, ()))
    assert selectors(keys.signatories_for("example.org")) == [["new"]]
    assert keys.sign
    assert keys.take(KeyBook(3, ()))
    assert not keys.sign
