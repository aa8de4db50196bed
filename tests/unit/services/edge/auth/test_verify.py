"""Passwords and accounts in force."""

import asyncio

import argon2
import pytest

from services.edge.auth import verify
from services.edge.auth.accounts import Accounts
from services.edge.auth.mechanisms import Credentials
from services.edge.auth.verify import PasswordVerifier, VerifierBusy
from shared.accounts import Account, AccountBook, encode_accounts

_QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
BOOK = (Account("Alice", _QUICK.hash("secret")), Account("gone", _QUICK.hash("secret"), disabled=True))


async def accounts(*book: Account, version: int = 1) -> Accounts:
    known = Accounts()
    await known.take(encode_accounts(AccountBook(version, book)))
    return known


@pytest.mark.parametrize(
    "login, password, found",
    [("alice", b"secret", True), ("ALICE", b"secret", True), ("alice", b"wrong", False), ("gone", b"secret", False)],
)
async def test_a_password_is_checked(login: str, password: bytes, found: bool) -> None:
    verifier = PasswordVerifier(await accounts(*BOOK))
    account = await verifier.check(Credentials(login, password))
    assert (account is not None) == found
    verifier.close()


async def test_an_unknown_login_costs_a_check_of_the_same_cost() -> None:
    verifier = PasswordVerifier(await accounts(*BOOK))
    assert await verifier.check(Credentials("nobody", b"secret")) is None
    (dummy,) = verifier._dummies.values()
    assert argon2.extract_parameters(dummy) == argon2.extract_parameters(BOOK[0].argon2)
    verifier.close()


async def test_before_the_accounts_are_known_and_with_a_broken_verifier_it_is_temporary() -> None:
    for known in (Accounts(), await accounts(Account("alice", "$argon2id$nonsense"))):
        verifier = PasswordVerifier(known)
        with pytest.raises(VerifierBusy):
            await verifier.check(Credentials("alice", b"secret"))
        verifier.close()


async def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "_WAITING_LIMIT", 2)
    verifier = PasswordVerifier(await accounts(*BOOK))
    checks = [asyncio.create_task(verifier.check(Credentials("alice", b"secret"))) for _ in range(3)]
    results = await asyncio.gather(*checks, return_exceptions=True)
    assert sum(isinstance(result, VerifierBusy) for result in results) == 1
    assert sum(isinstance(result, Account) for result in results) == 2
    verifier.close()


async def test_the_highest_version_wins_and_what_cannot_be_read_changes_nothing() -> None:
    known = await accounts(*BOOK, version=5)
    await known.take(encode_accounts(AccountBook(4, ())))
    assert known.find("alice")
    with pytest.raises(ValueError):
        await known.take(b"{}")
    await known.take(encode_accounts(AccountBook(6, ())))
    assert known.find("alice") is None
