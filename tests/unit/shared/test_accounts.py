"""Rules of accounts: who a login may send as, and that the stream holds them for ever."""

from pathlib import Path

import pytest

from shared.accounts import Account, AccountBook, decode_accounts, encode_accounts

GOLDEN = Path(__file__).parent / "golden" / "accounts-v1.json"
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"
BOOK = AccountBook(
    3,
    (
        Account("demo@gatepost.test", HASH),
        Account("robot", HASH, ("robot@gatepost.test", "@robots.test")),
        Account("gone@gatepost.test", HASH, disabled=True),
    ),
)


def test_the_golden_book_is_read_and_written_for_ever() -> None:
    golden = GOLDEN.read_bytes().rstrip(b"\n")
    assert decode_accounts(golden) == BOOK
    assert encode_accounts(BOOK) == golden


def test_keys_of_a_later_version_are_ignored() -> None:
    body = b'{"version":1,"accounts":[{"login":"a","argon2":"h","totp":"later"}],"later":1}'
    assert decode_accounts(body) == AccountBook(1, (Account("a", "h"),))


def test_other_verifiers_travel_and_none_of_them_is_needed() -> None:
    body = (
        b'{"version":1,"accounts":['
        b'{"login":"a","argon2":"h","senders":[],"disabled":false,"scram":"keys","cram_md5":"password"},'
        b'{"login":"elsewhere","senders":[],"disabled":false}]}'
    )
    book = AccountBook(1, (Account("a", "h", scram="keys", cram_md5="password"), Account("elsewhere")))
    assert decode_accounts(body) == book
    assert encode_accounts(book) == body


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"version":1,"accounts":[{}]}', b"\xff"])
def test_what_is_no_book_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        decode_accounts(body)


@pytest.mark.parametrize(
    ("senders", "sender", "allowed"),
    [
        ((), "demo@gatepost.test", True),
        ((), "DEMO@Gatepost.test", True),
        ((), "other@gatepost.test", False),
        ((), "demo@gatepost.test.evil.test", False),
        ((), "", True),
        (("robot@a.test",), "robot@a.test", True),
        (("robot@a.test",), "demo@gatepost.test", False),
        (("@a.test",), "anyone@a.test", True),
        (("@A.test",), "anyone@a.TEST", True),
        (("@a.test",), "anyone@sub.a.test", False),
        (("@a.test",), '"x@a.test"@b.test', False),
        (("@a.test",), "@a.test", True),
        (("@",), "anyone", False),
    ],
)
def test_a_login_sends_as_itself_or_as_what_is_listed(senders: tuple[str, ...], sender: str, allowed: bool) -> None:
    assert Account("demo@gatepost.test", HASH, senders).may_send_as(sender) is allowed


def test_a_login_is_found_without_regard_to_case() -> None:
    assert BOOK.find("DEMO@gatepost.TEST") is BOOK.accounts[0]


@pytest.mark.parametrize("login", ["gone@gatepost.test", "nobody", "", "demo"])
def test_a_disabled_or_unknown_login_is_not_found(login: str) -> None:
    assert BOOK.find(login) is None


def test_a_disabled_account_is_not_replaced_by_another_of_that_name() -> None:
    book = AccountBook(1, (Account("a", HASH, disabled=True), Account("A", HASH)))
    assert book.find("a") is None
