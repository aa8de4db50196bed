"""Passwords and accounts in force."""

import asyncio

import argon2
import pytest

from services.edge.auth import verify
from services.edge.auth.accounts import Accounts
from services.edge.auth.verify import LoginUnavailable, PasswordVerifier
from shared.accounts import Account, AccountBook, encode_accounts

_QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
BOOK = (Account("Alice", _QUICK.hash("secret")), Account("gone", _QUICK.hash("secret"), disabled=True))


async def accounts(*book: Account, version: int = 1) -> Accounts:
    known = Accounts()
    await known.take(encode_accounts(AccountBook(version, book)))
    return known


@pytest.mark.parametrize("password, right", [(b"secret", True), (b"wrong", False), (b"", False)])
async def test_a_password_is_checked(password: bytes, right: bool) -> None:
    verifier = PasswordVerifier(await accounts(*BOOK))
    assert await verifier.matches(BOOK[0], password) is right
    verifier.close()


@pytest.mark.parametrize("nobody", [None, Account("elsewhere"), Account("empty", "")])
async def test_without_a_verifier_the_check_costs_the_same(nobody: Account | None) -> None:
    verifier = PasswordVerifier(await accounts(*BOOK))
    assert not await verifier.matches(nobody, b"secret")
    (dummy,) = verifier._dummies.values()
    assert BOOK[0].argon2
    assert argon2.extract_parameters(dummy) == argon2.extract_parameters(BOOK[0].argon2)
    verifier.close()


async def test_a_broken_verifier_is_no_wrong_password() -> None:
    broken = Account("alice", "$argon2id$nonsense")
    verifier = PasswordVerifier(await accounts(broken))
    with pytest.raises(LoginUnavailable):
        await verifier.matches(broken, b"secret")
    assert not await verifier.matches(None, b"secret")
    verifier.close()


async def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_WAITING_LIMIT", 2)
    verifier = PasswordVerifier(await accounts(*BOOK))
    checks = [asyncio.create_task(verifier.matches(BOOK[0], b"secret")) for _ in range(3)]
    results = await asyncio.gather(*checks, return_exceptions=True)
    assert sum(isinstance(result, LoginUnavailable) for result in results) == 1
    assert results.count(True) == 2
    verifier.close()


async def test_the_highest_version_wins_and_what_cannot_be_read_changes_nothing() -> None:
    known = await accounts(*BOOK, version=5)
    await known.take(encode_accounts(AccountBook(4, ())))
    assert known.find("alice")
    with pytest.raises(ValueError):
        await known.take(b"{}")
    await known.take(encode_accounts(AccountBook(6, ())))
    assert known.find("alice") is None


async def test_a_disabled_account_is_looked_up_but_not_found() -> None:
    known = await accounts(*BOOK)
    assert known.find("gone") is None
    assert known.look_up("GONE") == BOOK[1]


async def test_secrets_of_an_account_are_not_shown_by_accident() -> None:
    shown = repr(Account("a", "verifier", scram="keys", cram_md5="password"))
    assert not any(secret in shown for secret in ("verifier", "keys", "password"))
