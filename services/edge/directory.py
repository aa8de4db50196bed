"""The organisation's directory, asked over LDAP: whose password it is, and whether there is a recipient (I/O: LDAP).

For the code that looks up recipients: one `Directory` per process, made in app.py from `[ldap]`, serves both; call
`await directory.has_recipient("bob@ours.test")`. Nothing is remembered here: whoever asks often keeps the answers.

Owns: threads (ldap3 blocks), one kept connection of the service account per thread, a fresh one per password.
Output: `LdapUser` or None; True or False.
On failure: DirectoryUnavailable; it is never taken for a wrong password or an unknown recipient.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from ldap3.core.exceptions import LDAPException
from prometheus_client import Counter

from services.edge.ldap import DirectoryUnavailable, Entries, LdapConnections, end, filled, is_bound, search
from services.edge.settings import LdapSettings

_log = structlog.get_logger()
_REQUESTS = Counter(
    "gatepost_edge_directory_requests_total", "Questions to the LDAP directory", ["question", "outcome"]
)
_WAITING_LIMIT = 64
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class LdapUser:
    """Somebody whose password was right. addresses: what the directory says that he may send as."""

    login: str
    addresses: tuple[str, ...]


class Directory:
    """The directory of one `[ldap]` section."""

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(settings.connections, thread_name_prefix="directory")
        # The service account's connections, by thread.
        self._kept: dict[int, Any] = {}
        self._waiting = 0
        self._is_well = True
        self._connections = LdapConnections(settings)

    async def bind(self, login: str, password: bytes) -> LdapUser | None:
        """Return the user whose password this is, or None. Raises DirectoryUnavailable."""
        # RFC 4513 §5.1.2: a bind with an empty password succeeds for every name and proves nothing.
        if not password or not login:
            return None
        return await self._ask("bind", lambda: self._bind(login, password))

    async def has_recipient(self, address: str) -> bool:
        """Return whether an entry has this address. Raises DirectoryUnavailable."""
        wanted = filled(self._settings.recipient_filter, address)
        return await self._ask("recipient", lambda: bool(self._search(wanted, "", 1)))

    def close(self) -> None:
        """End the threads and their connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._kept:
            _, connection = self._kept.popitem()
            end(connection)

    async def _ask(self, question: str, work: Callable[[], Answer]) -> Answer:
        if self._waiting >= _WAITING_LIMIT:
            raise DirectoryUnavailable(f"{self._waiting} questions to the directory wait")
        self._waiting += 1
        asked = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # Counted until the thread is free again, however long the one who asks waits.
        asked.add_done_callback(self._answered)
        try:
            # Each step has the time of `timeout_s`; a directory that dribbles is left to itself.
            async with asyncio.timeout(3 * self._settings.timeout_s):
                answer = await asyncio.shield(asked)
        except Exception as error:
            # What a directory may send that ldap3 cannot read is not foreseen; it is no answer, whatever it is.
            _REQUESTS.labels(question, "unavailable").inc()
            self._note(well=False, cause=f"{type(error).__name__}: {error}")
            raise DirectoryUnavailable(str(error)) from None
        _REQUESTS.labels(question, "answered").inc()
        self._note(well=True, cause="")
        return answer

    def _answered(self, asked: "asyncio.Future[Any]") -> None:
        self._waiting -= 1
        if not asked.cancelled():
            # Nobody may be left to hear of it.
            asked.exception()

    def _note(self, *, well: bool, cause: str) -> None:
        if well != self._is_well:
            self._is_well = well
            if well:
                _log.info("directory-back")
            else:
                _log.error("directory-unavailable", cause=cause)

    # ---- in threads

    def _bind(self, login: str, password: bytes) -> LdapUser | None:
        settings = self._settings
        if settings.login_dn is not None:
            name, addresses = filled(settings.login_dn, login), None
        else:
            found = self._search(filled(settings.login_filter, login), settings.mail_attribute, 2)
            if len(found) != 1:
                if found:
                    _log.warning("directory-login-ambiguous", login=login)
                return None
            name, addresses = found[0]
        connection = self._connections.open()
        try:
            if not is_bound(connection, name, password):
                return None
            return LdapUser(login, self._own_addresses(connection, name) if addresses is None else addresses)
        finally:
            end(connection)

    def _own_addresses(self, connection: Any, name: str) -> tuple[str, ...]:
        """Return the addresses in the user's own entry, as far as the user may read it."""
        try:
            found = search(connection, name, "(objectClass=*)", self._settings.mail_attribute, most=1, one=True)
        except DirectoryUnavailable:
            return ()
        return found[0][1] if found else ()

    def _search(self, wanted: str, attribute: str, most: int) -> Entries:
        """Ask as the service account, on the connection that this thread keeps."""
        kept = self._kept.pop(threading.get_ident(), None)
        try:
            if kept is not None:
                return self._search_on(kept, wanted, attribute, most)
        except (LDAPException, OSError):
            # It was closed meanwhile, which is found out by asking.
            pass
        return self._search_on(self._connections.open_service(), wanted, attribute, most)

    def _search_on(self, connection: Any, wanted: str, attribute: str, most: int) -> Entries:
        try:
            found = search(connection, self._settings.search_base, wanted, attribute, most=most)
        except BaseException:
            end(connection)
            raise
        self._kept[threading.get_ident()] = connection
        return found
