"""Who a client is: the mechanisms, the accounts, the directory and Kerberos together.

Owns: beginning an exchange, and judging the claim at its end. Our own accounts come first; what they do not know, the
directory is asked; an account that is disabled here is disabled whoever knows its password.
Output: the account, or None. On failure: TemporaryError, whose reply is the same whatever it is.
"""

import asyncio
import hmac
import secrets
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import assert_never

from services.edge.auth.accounts import Accounts
from services.edge.auth.decoys import decoy_text
from services.edge.auth.exchange import Claim, Credentials, Exchange, Proof, Ticket, advance
from services.edge.auth.gss import gssapi
from services.edge.auth.kerberos import Kerberos
from services.edge.auth.mechanisms import cram_md5, login, plain
from services.edge.auth.offer import PLUS, offered
from services.edge.auth.ports import Binds, LoginWatch
from services.edge.auth.scram import Channel, scram
from services.edge.auth.verify import LoginUnavailable, PasswordVerifier
from shared.accounts import Account
from shared.policy import Listener
from shared.policy.listener import Mechanism
from shared.scram import ScramKeys, parse_keys

_TICKETS_AT_ONCE = 2
_TICKETS_WAITING_LIMIT = 32
# Some passwords are checked here and some elsewhere, which takes another time; failures of both take this.
_FAILURE_S = 1.0


@dataclass(frozen=True, slots=True)
class Begun:
    """An exchange that was begun. slow: its steps belong in a thread."""

    exchange: Exchange
    slow: bool = False


class Authenticator:
    """Logs in the clients of one process."""

    def __init__(
        self,
        accounts: Accounts,
        *,
        hostname: str,
        secret: bytes,
        directory: Binds | None = None,
        kerberos: Kerberos | None = None,
        watch: LoginWatch | None = None,
    ) -> None:
        """secret: of all edges of one gateway, for what unknown logins show."""
        self._accounts = accounts
        self._hostname = hostname
        self._secret = hmac.digest(secret, b"unknown logins", "sha256")
        self._directory = directory
        self._kerberos = kerberos
        self._watch = watch
        self._passwords = PasswordVerifier(accounts)
        self._tickets = ThreadPoolExecutor(_TICKETS_AT_ONCE, thread_name_prefix="ticket")
        self._tickets_waiting = 0

    def close(self) -> None:
        """End the threads."""
        self._passwords.close()
        self._tickets.shutdown(wait=False, cancel_futures=True)

    # ---- the exchange

    def offered(self, rules: Listener, bindings: Mapping[str, bytes]) -> list[str]:
        """Return the mechanisms for a connection, which EHLO lists and AUTH takes."""
        return offered(rules, bindings, kerberos=self._kerberos is not None)

    def begin(self, mechanism: str, initial: bytes | None, names: list[str], bindings: Mapping[str, bytes]) -> Begun:
        """Begin an exchange of a mechanism in `names`, the offered ones."""
        plus_offered = PLUS in names
        match mechanism:
            case Mechanism.PLAIN:
                return Begun(plain(initial))
            case Mechanism.LOGIN:
                return Begun(login(initial))
            case Mechanism.CRAM_MD5:
                return Begun(cram_md5(initial, self._challenge(), self._cram_secret))
            case Mechanism.GSSAPI if self._kerberos is not None:
                return Begun(gssapi(initial, self._kerberos.acceptor()), slow=True)
            case _:
                nonce = secrets.token_urlsafe(18).encode()
                channel = Channel(plus=mechanism == PLUS, plus_offered=plus_offered, bindings=bindings)
                return Begun(scram(initial, nonce, self._scram_keys, channel))

    async def advance(self, begun: Begun, response: bytes | None) -> bytes | Claim:
        """Return the next challenge, or the claim at the end. Raises MechanismError, TemporaryError."""
        if not begun.slow:
            return advance(begun.exchange, response)
        if self._tickets_waiting >= _TICKETS_WAITING_LIMIT:
            raise LoginUnavailable(f"{self._tickets_waiting} tickets wait to be looked at")
        self._tickets_waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._tickets, advance, begun.exchange, response)
        finally:
            self._tickets_waiting -= 1

    def _challenge(self) -> bytes:
        # RFC 2195 §2: in the form of a Message-ID, never the same twice.
        return f"<{secrets.token_hex(12)}.{int(time.time())}@{self._hostname}>".encode()

    def _cram_secret(self, name: str) -> str | None:
        account = self._accounts.find(name)
        return account.cram_md5 if account else None

    def _scram_keys(self, name: str) -> tuple[ScramKeys, bool]:
        account = self._accounts.look_up(name)
        own = account.scram if account else None
        try:
            # Drawn in any case, so that it takes the same time. A disabled account goes on to show its own salt.
            decoy = decoy_text(self._secret, name, self._accounts.scram_sample)
            keys = parse_keys(own or decoy)
        except ValueError:
            raise LoginUnavailable("keys of SCRAM cannot be read") from None
        return keys, bool(own) and account is not None and not account.disabled

    def current(self, account: Account) -> Account | None:
        """Return the account of somebody who is logged in as it is now; None if it was disabled or removed since."""
        found = self._accounts.look_up(account.login)
        if found is None:
            elsewhere = self._directory is not None or (self._kerberos is not None and self._kerberos.may_be_unknown)
            return account if elsewhere else None
        return None if found.disabled else found

    # ---- the claim

    async def judge(self, claim: Claim, address: str) -> Account | None:
        """Return the account that a client at an address has proved to be, or None. Raises TemporaryError."""
        if not self._accounts.is_known:
            raise LoginUnavailable("the accounts are not known yet")
        name = login_of(claim)
        if self._watch is not None and not await self._watch.may_try(address, name):
            raise LoginUnavailable("too many failures")
        began = time.monotonic()
        account = await self._account_of(claim)
        if self._watch is not None:
            await (self._watch.failed(address, name) if account is None else self._watch.succeeded(address, name))
        if account is None and self._directory is not None:
            await asyncio.sleep(_FAILURE_S - (time.monotonic() - began))
        return account

    async def _account_of(self, claim: Claim) -> Account | None:
        match claim:
            case Credentials():
                return await self._by_password(claim)
            case Proof():
                return self._accounts.find(claim.login) if claim.holds else None
            case Ticket():
                return self._by_ticket(claim)
            case _:
                assert_never(claim)

    async def _by_password(self, claim: Credentials) -> Account | None:
        account = self._accounts.look_up(claim.login)
        known_here = account is not None and (account.disabled or bool(account.argon2))
        if self._directory is None or known_here:
            account = None if account is None or account.disabled else account
            return account if await self._passwords.matches(account, claim.password) else None
        user = await self._directory.bind(claim.login, claim.password)
        if user is None:
            return None
        # An account here without a password says what this login may do; else the directory does.
        return account or Account(claim.login, senders=user.addresses)

    def _by_ticket(self, claim: Ticket) -> Account | None:
        if self._kerberos is None or claim.principal is None:
            return None
        name = self._kerberos.login_of(claim.principal, claim.acts_as)
        if name is None:
            return None
        account = self._accounts.look_up(name)
        if account is None and self._kerberos.may_be_unknown:
            return Account(name)
        return None if account is None or account.disabled else account


def login_of(claim: Claim) -> str:
    """Return the name that somebody claims, empty if there is none."""
    return claim.principal or "" if isinstance(claim, Ticket) else claim.login
