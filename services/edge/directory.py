"""The organisation's directory, asked over LDAP: whose password it is, and whether there is a recipient (I/O: LDAP).

For the code that looks up recipients: one `Directory` per process, made in app.py from `[ldap]`, serves both; call
`await directory.has_recipient("bob@ours.test")`. Nothing is remembered here: whoever asks often keeps the answers.

Owns: threads (ldap3 blocks), one kept connection of the service account per thread, a fresh one per password; filters
and names in which what a client says is always escaped.
Output: `LdapUser` or None; True or False. Standards: RFC 4511, 4513 (binds), 4514 (names), 4515 (filters).
On failure: DirectoryUnavailable; it is never taken for a wrong password or an unknown recipient.
"""

import asyncio
import contextlib
import math
import re
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ldap3
import structlog
from ldap3.core.exceptions import LDAPException
from prometheus_client import Counter

from services.edge.settings import LdapSettings
from shared.address import AddressError, parse_address
from shared.errors import TemporaryError
from shared.reply import Reply

_log = structlog.get_logger()
_REQUESTS = Counter(
    "gatepost_edge_directory_requests_total", "Questions to the LDAP directory", ["question", "outcome"]
)
_WAITING_LIMIT = 64
_ADDRESSES_LIMIT = 1000
_TRY_AGAIN = Reply(454, "4.7.0", "Temporary authentication failure")

# RFC 4511 appendix A: result codes.
_SUCCESS, _SIZE_LIMIT, _NO_SUCH_OBJECT = 0, 4, 32
# constraintViolation (locked out), noSuchObject, invalidDNSyntax, inappropriateAuthentication, invalidCredentials.
_NOT_YOU = frozenset({19, 32, 34, 48, 49})

_PLAIN = re.compile(r"[A-Za-z0-9]")
_PLACE = re.compile(r"\{(login|address|local|domain)\}")
Answer = TypeVar("Answer")


class DirectoryUnavailable(TemporaryError):
    """No answer now: it cannot be reached, it refuses to answer, or too many ask."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, _TRY_AGAIN)


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
        self._tls = _Tls(str(settings.ca_file) if settings.ca_file else None)

    async def bind(self, login: str, password: bytes) -> LdapUser | None:
        """Return the user whose password this is, or None. Raises DirectoryUnavailable."""
        # RFC 4513 §5.1.2: a bind with an empty password succeeds for every name and proves nothing.
        if not password or not login:
            return None
        return await self._ask("bind", lambda: self._bind(login, password))

    async def has_recipient(self, address: str) -> bool:
        """Return whether an entry has this address. Raises DirectoryUnavailable."""
        wanted = filled(self._settings.recipient_filter, address)
        return await self._ask("recipient", lambda: bool(self._search(wanted, [], 1)))

    def close(self) -> None:
        """End the threads and their connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        while self._kept:
            _, connection = self._kept.popitem()
            _end(connection)

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
        except (LDAPException, OSError, TimeoutError, DirectoryUnavailable) as error:
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
            found = self._search(filled(settings.login_filter, login), [settings.mail_attribute], 2)
            if len(found) != 1:
                if found:
                    _log.warning("directory-login-ambiguous", login=login)
                return None
            name, addresses = found[0]
        connection = self._connect()
        try:
            if not self._bound(connection, name, password):
                return None
            if addresses is None:
                addresses = self._addresses_of(connection, name)
        finally:
            _end(connection)
        return LdapUser(login, addresses)

    def _connect(self) -> Any:
        connection = ldap3.Connection(
            self._server(),
            client_strategy=ldap3.SYNC,
            auto_bind=ldap3.AUTO_BIND_NONE,
            auto_referrals=False,
            check_names=False,
            auto_escape=False,
            auto_encode=False,
            # ldap3 takes whole seconds only.
            receive_timeout=math.ceil(self._settings.timeout_s),
        )
        try:
            connection.open(read_server_info=False)
            if self._settings.starttls and not connection.server.ssl:
                # RFC 4513 §3.1: before any password.
                connection.start_tls(read_server_info=False)
        except BaseException:
            _end(connection)
            raise
        return connection

    def _server(self) -> Any:
        """Return a server of its own for each connection: one that several share remembers failures, and races."""
        uri = urlsplit(self._settings.uri)
        secure = uri.scheme == "ldaps"
        return ldap3.Server(
            uri.hostname,
            port=uri.port or (636 if secure else 389),
            use_ssl=secure,
            get_info=ldap3.NONE,
            tls=self._tls,
            connect_timeout=self._settings.timeout_s,
        )

    def _bound(self, connection: Any, name: str, password: bytes) -> bool:
        connection.authentication = ldap3.SIMPLE
        connection.user, connection.password = name, password
        connection.bind(read_server_info=False)
        code = connection.result["result"]
        if code == _SUCCESS:
            return True
        if code in _NOT_YOU:
            return False
        raise DirectoryUnavailable(f"bind: {connection.result['description']}")

    def _addresses_of(self, connection: Any, name: str) -> tuple[str, ...]:
        """Return the addresses in the user's own entry, as far as the user may read it."""
        attribute = self._settings.mail_attribute
        connection.search(name, "(objectClass=*)", search_scope=ldap3.BASE, attributes=[attribute])
        entries = _entries(connection, attribute)
        return entries[0][1] if entries else ()

    def _search(self, wanted: str, attributes: list[str], most: int) -> list[tuple[str, tuple[str, ...]]]:
        """Return name and addresses of at most so many entries."""
        connection = self._kept.get(threading.get_ident())
        if connection is None or not self._asked(connection, wanted, attributes, most):
            # There was none, or it was closed meanwhile, which is found out by asking.
            connection = self._connect_service()
            connection.search(self._settings.search_base, wanted, attributes=attributes or ["1.1"], size_limit=most)
        code = connection.result["result"]
        if code not in (_SUCCESS, _SIZE_LIMIT):
            raise DirectoryUnavailable(f"search: {connection.result['description']}")
        return _entries(connection, attributes[0] if attributes else "")

    def _asked(self, connection: Any, wanted: str, attributes: list[str], most: int) -> bool:
        try:
            connection.search(self._settings.search_base, wanted, attributes=attributes or ["1.1"], size_limit=most)
        except (LDAPException, OSError):
            _end(connection)
            return False
        return True

    def _connect_service(self) -> Any:
        settings = self._settings
        connection = self._connect()
        if settings.bind_dn is not None and settings.bind_password is not None:
            password = settings.bind_password.get_secret_value().encode()
            if not self._bound(connection, settings.bind_dn, password):
                _end(connection)
                raise DirectoryUnavailable("the directory does not take bind_dn and bind_password")
        self._kept[threading.get_ident()] = connection
        return connection


class _Tls(ldap3.Tls):  # type: ignore[misc]
    """ldap3's, with the checks of Python's own context in the place of a function that Python is giving up."""

    def __init__(self, ca_file: str | None) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_file)
        self._context = ssl.create_default_context(cafile=ca_file)

    def wrap_socket(self, connection: Any, do_handshake: bool = True) -> None:  # noqa: ARG002
        """RFC 4513 §3.1.3: the certificate is for the host that we meant to reach."""
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=connection.server.host)


def filled(template: str, name: str) -> str:
    """Return a filter or a distinguished name with a login or an address in its places, in one pass."""
    local, _, domain = name.rpartition("@")
    values = {"login": name, "address": name, "local": local or name, "domain": domain if local else ""}
    return _PLACE.sub(lambda place: escaped(values[place[1]]), template)


def escaped(value: str) -> str:
    r"""RFC 4514 §2.4, RFC 4515 §3: in names and filters alike, `\hh` is an octet that means only itself."""
    return "".join(
        char if _PLAIN.match(char) else "".join(f"\\{octet:02x}" for octet in char.encode()) for char in value
    )


def _end(connection: Any) -> None:
    with contextlib.suppress(LDAPException, OSError):
        connection.unbind()
    if connection.socket is not None:
        connection.socket.close()


def _entries(connection: Any, attribute: str) -> list[tuple[str, tuple[str, ...]]]:
    found = []
    for entry in connection.response or ():
        if entry["type"] == "searchResEntry":
            values: list[bytes] = entry["raw_attributes"].get(attribute, []) if attribute else []
            found.append((entry["dn"], _addresses(values[:_ADDRESSES_LIMIT])))
    return found


def _addresses(values: list[bytes]) -> tuple[str, ...]:
    """Return the values that are addresses: `@domain`, which would be a right to a whole domain, is none."""
    addresses = []
    for value in values:
        try:
            addresses.append(str(parse_address(value.decode("utf-8"))).lower())
        except (AddressError, UnicodeDecodeError):
            continue
    return tuple(addresses)
