"""Who a claim makes of a client: own accounts, the directory, tickets, and the watch over failures."""

import time
from dataclasses import dataclass, field
from pathlib import Path

import argon2
import pytest

from services.edge.auth import authenticator as module
from services.edge.auth.accounts import Accounts
from services.edge.auth.authenticator import Authenticator
from services.edge.auth.exchange import Claim, Credentials, Proof, Ticket, advance
from services.edge.auth.kerberos import Kerberos
from services.edge.auth.verify import LoginUnavailable
from services.edge.settings import KerberosSettings
from shared.accounts import Account, AccountBook, encode_accounts
from shared.errors import SettingsError, TemporaryError
from shared.scram import derive_keys

ADDRESS = "192.0.2.1"
_QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
KEYS = derive_keys("secret", b"salt", 4096)
BOOK = (
    Account("alice@ours.test", _QUICK.hash("secret"), scram=str(KEYS), cram_md5="secret"),
    Account("gone@ours.test", _QUICK.hash("secret"), disabled=True, scram=str(KEYS), cram_md5="secret"),
    Account("elsewhere@ours.test", None, ("desk@ours.test",)),
    Account("gone-elsewhere@ours.test", None, disabled=True),
)


@dataclass
class People:
    """A directory with one password for everybody it knows."""

    known: dict[str, tuple[str, ...]] = field(default_factory=dict)
    away: bool = False
    asked: list[str] = field(default_factory=list)

    async def bind(self, login: str, password: bytes) -> "Person | None":
        self.asked.append(login)
        if self.away:
            raise TemporaryError("away")
        return Person(self.known[login]) if login in self.known and password == b"theirs" else None


@dataclass(frozen=True)
class Person:
    addresses: tuple[str, ...]


@dataclass
class Watch:
    """Writes down what it is told."""

    lets: bool = True
    told: list[tuple[str, str, str]] = field(default_factory=list)

    async def may_try(self, address: str, login: str) -> bool:
        return self.lets

    async def failed(self, address: str, login: str) -> None:
        self.told.append(("failed", address, login))

    async def succeeded(self, address: str, login: str) -> None:
        self.told.append(("succeeded", address, login))


async def logins(
    *, directory: People | None = None, kerberos: Kerberos | None = None, watch: Watch | None = None
) -> Authenticator:
    accounts = Accounts()
    await accounts.take(encode_accounts(AccountBook(1, BOOK)))
    return Authenticator(
        accounts, hostname="gate.test", secret=b"secret", directory=directory, kerberos=kerberos, watch=watch
    )


async def judged(authenticator: Authenticator, claim: Claim) -> Account | None:
    try:
        return await authenticator.judge(claim, ADDRESS)
    finally:
        authenticator.close()


@pytest.mark.parametrize(
    "claim, login",
    [
        (Credentials("alice@ours.test", b"secret"), "alice@ours.test"),
        (Credentials("alice@ours.test", b"wrong"), None),
        (Credentials("nobody@ours.test", b"secret"), None),
        (Credentials("gone@ours.test", b"secret"), None),
        (Credentials("elsewhere@ours.test", b"secret"), None),
        (Proof("alice@ours.test", holds=True), "alice@ours.test"),
        (Proof("alice@ours.test", holds=False), None),
        (Proof("gone@ours.test", holds=True), None),
        (Ticket("alice@OURS.TEST"), None),
    ],
)
async def test_own_accounts_are_judged_by_what_is_kept_of_their_passwords(claim: Claim, login: str | None) -> None:
    account = await judged(await logins(), claim)
    assert (account and account.login) == login


async def test_before_the_accounts_are_known_nobody_is_wrong() -> None:
    for claim in (Credentials("a", b"b"), Proof("a", holds=False), Ticket("a@B")):
        with pytest.raises(LoginUnavailable):
            await judged(Authenticator(Accounts(), hostname="gate.test", secret=b"s"), claim)


# ---- the directory


@pytest.mark.parametrize(
    "login, password, senders, asked",
    [
        ("dora", b"theirs", ("dora@ours.test",), True),
        ("dora", b"wrong", None, True),
        ("nobody", b"theirs", None, True),
        # Own accounts come first, with their own password and no other.
        ("alice@ours.test", b"secret", (), False),
        ("alice@ours.test", b"theirs", None, False),
        # An account without a password here: the directory's password, our senders.
        ("elsewhere@ours.test", b"theirs", ("desk@ours.test",), True),
        # What is disabled here is disabled.
        ("gone@ours.test", b"theirs", None, False),
        ("gone-elsewhere@ours.test", b"theirs", None, False),
    ],
)
async def test_the_directory_is_asked_about_what_is_not_known_here(
    monkeypatch: pytest.MonkeyPatch, login: str, password: bytes, senders: tuple[str, ...] | None, asked: bool
) -> None:
    monkeypatch.setattr(module, "_FAILURE_S", 0)
    everybody = ("alice@ours.test", "elsewhere@ours.test", "gone@ours.test", "gone-elsewhere@ours.test")
    directory = People({"dora": ("dora@ours.test",), **dict.fromkeys(everybody, ("@ours.test",))})
    account = await judged(await logins(directory=directory), Credentials(login, password))
    assert (account and account.senders) == senders
    assert directory.asked == ([login] if asked else [])


async def test_a_directory_that_is_away_makes_nobody_wrong() -> None:
    watch = Watch()
    with pytest.raises(TemporaryError):
        await judged(await logins(directory=People(away=True), watch=watch), Credentials("dora", b"theirs"))
    assert watch.told == []


async def test_failures_here_and_in_the_directory_take_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FAILURE_S", 0.3)
    for claim in (Credentials("alice@ours.test", b"wrong"), Credentials("nobody", b"wrong")):
        began = time.monotonic()
        assert await judged(await logins(directory=People()), claim) is None
        assert time.monotonic() - began >= 0.29


# ---- tickets


@pytest.fixture
def keytab(tmp_path: Path) -> Path:
    (tmp_path / "keytab").write_bytes(b"")
    return tmp_path / "keytab"


@pytest.mark.parametrize(
    "principal, acts_as, domain, login",
    [
        ("alice@OURS.TEST", "", "ours.test", "alice@ours.test"),
        ("Alice@OURS.TEST", "", "ours.test", "alice@ours.test"),
        ("alice@OURS.TEST", "alice", "ours.test", "alice@ours.test"),
        ("alice@OURS.TEST", "alice@OURS.TEST", "ours.test", "alice@ours.test"),
        ("alice@OURS.TEST", "alice@ours.test", None, "alice@ours.test"),
        ("alice@OURS.TEST", "bob@ours.test", "ours.test", None),
        ("stranger@OURS.TEST", "", "ours.test", "stranger@ours.test"),
        ("stranger@OURS.TEST", "", None, None),
        ("gone@OURS.TEST", "", "ours.test", None),
        ("alice@ELSEWHERE.TEST", "", "ours.test", None),
        ("alice@ours.test", "", "ours.test", None),
        ("alice/admin@OURS.TEST", "", "ours.test", None),
        ("alice\\@evil@OURS.TEST", "", "ours.test", None),
        ("OURS.TEST", "", "ours.test", None),
        (None, "", "ours.test", None),
    ],
)
async def test_a_principal_is_the_account_of_its_name_in_the_domain(
    keytab: Path, principal: str | None, acts_as: str, domain: str | None, login: str | None
) -> None:
    kerberos = Kerberos(KerberosSettings(keytab_file=keytab, realm="OURS.TEST", domain=domain), "gate.test")
    account = await judged(await logins(kerberos=kerberos), Ticket(principal, acts_as))
    assert (account and account.login) == login


def test_a_keytab_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    settings = KerberosSettings(keytab_file=tmp_path / "none", realm="OURS.TEST")
    with pytest.raises(SettingsError, match="keytab_file"):
        Kerberos(settings, "gate.test")


# ---- the watch


@pytest.mark.parametrize(
    "claim, told",
    [
        (Credentials("alice@ours.test", b"secret"), ("succeeded", ADDRESS, "alice@ours.test")),
        (Credentials("alice@ours.test", b"wrong"), ("failed", ADDRESS, "alice@ours.test")),
        (Credentials("nobody", b"wrong"), ("failed", ADDRESS, "nobody")),
        (Proof("alice@ours.test", holds=False), ("failed", ADDRESS, "alice@ours.test")),
        (Ticket(None), ("failed", ADDRESS, "")),
    ],
)
async def test_each_result_is_told_to_the_watch(claim: Claim, told: tuple[str, str, str]) -> None:
    watch = Watch()
    await judged(await logins(watch=watch), claim)
    assert watch.told == [told]


async def test_who_may_not_try_learns_nothing_not_even_with_the_right_password() -> None:
    watch = Watch(lets=False)
    for claim in (Credentials("alice@ours.test", b"secret"), Proof("alice@ours.test", holds=True)):
        with pytest.raises(LoginUnavailable) as caught:
            await judged(await logins(watch=watch), claim)
        assert str(caught.value.reply) == "454 4.7.0 Temporary authentication failure"
    assert watch.told == []


# ---- what SCRAM shows


async def test_a_disabled_account_shows_its_own_salt_and_an_unknown_login_as_many_iterations() -> None:
    authenticator = await logins()
    shown = {name: authenticator._scram_keys(name) for name in ("alice@ours.test", "gone@ours.test", "nobody")}
    authenticator.close()
    assert shown["alice@ours.test"] == (KEYS, True)
    assert shown["gone@ours.test"] == (KEYS, False)
    keys, known = shown["nobody"]
    assert (keys.iterations, known) == (4096, False)
    assert keys.salt != KEYS.salt


async def test_a_challenge_of_cram_md5_is_never_the_same_twice() -> None:
    authenticator = await logins()
    begun = [authenticator.begin("CRAM-MD5", None, ["CRAM-MD5"], {}) for _ in range(2)]
    authenticator.close()
    first, second = (advance(one.exchange, None) for one in begun)
    assert isinstance(first, bytes)
    assert first != second
    assert first.endswith(b"@gate.test>")


async def test_who_is_logged_in_has_the_rights_of_his_account_as_it_is_now() -> None:
    accounts = Accounts()
    await accounts.take(encode_accounts(AccountBook(1, BOOK)))
    one, other = (Authenticator(accounts, hostname="h", secret=b"s", directory=who) for who in (None, People()))
    narrower = Account("ALICE@ours.test", senders=("desk@ours.test",))
    assert one.current(narrower) == BOOK[0]
    assert one.current(Account("gone@ours.test")) is None
    assert one.current(Account("removed@ours.test")) is None
    # The directory's own users have no account here.
    assert other.current(Account("removed@ours.test")) == Account("removed@ours.test")
    assert other.current(Account("gone@ours.test")) is None
    one.close()
    other.close()
