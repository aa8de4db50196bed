"""One LDAP connection at a time, and the texts of its questions (I/O: LDAP; blocks, so it belongs in a thread).

Owns: ldap3; connecting, with TLS before any password; binding; reading entries; escaping what a client says.
Standards: RFC 4511, 4513 (binds and TLS), 4514 (names), 4515 (filters).
On failure: what ldap3 raises, OSError, or DirectoryUnavailable where the directory answers that it cannot.
"""

import contextlib
import math
import re
import ssl
from typing import Any
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException

from services.edge.settings import LdapSettings
from shared.address import AddressError, parse_address
from shared.errors import TemporaryError
from shared.reply import Reply

_ADDRESSES_LIMIT = 1000
_TRY_AGAIN = Reply(454, "4.7.0", "Temporary authentication failure")

# RFC 4511 appendix A: result codes.
_SUCCESS, _SIZE_LIMIT = 0, 4
# constraintViolation (locked out), noSuchObject, invalidDNSyntax, inappropriateAuthentication, invalidCredentials.
_NOT_YOU = frozenset({19, 32, 34, 48, 49})

_PLAIN = re.compile(r"[A-Za-z0-9]")
_PLACE = re.compile(r"\{(login|address|local|domain)\}")
# Of each entry: its name, and the addresses in it.
Entries = list[tuple[str, tuple[str, ...]]]


class DirectoryUnavailable(TemporaryError):
    """No answer now: it cannot be reached, it refuses to answer, or too many ask."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, _TRY_AGAIN)


class LdapConnections:
    """Makes connections to the directory of one `[ldap]` section."""

    def __init__(self, settings: LdapSettings) -> None:
        self._settings = settings
        self._tls = _Tls(str(settings.ca_file) if settings.ca_file else None)

    def open(self) -> Any:
        """Return a connection of nobody yet."""
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
            end(connection)
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

    def open_service(self) -> Any:
        """Return a connection of the service account, or of nobody where there is none."""
        connection = self.open()
        name, password = self._settings.bind_dn, self._settings.bind_password
        try:
            if name and password and not is_bound(connection, name, password.get_secret_value().encode()):
                raise DirectoryUnavailable("the directory does not take bind_dn and bind_password")
        except BaseException:
            end(connection)
            raise
        return connection


def is_bound(connection: Any, name: str, password: bytes) -> bool:
    """Whether a name and a password belong together; the connection is theirs then."""
    connection.authentication = ldap3.SIMPLE
    connection.user, connection.password = name, password
    connection.bind(read_server_info=False)
    code = connection.result["result"]
    if code == _SUCCESS:
        return True
    if code in _NOT_YOU:
        return False
    raise DirectoryUnavailable(f"bind: {connection.result['description']}")


def search(connection: Any, base: str, wanted: str, attribute: str, *, most: int, one: bool = False) -> Entries:
    """Return name and addresses of at most so many entries. one: the entry `base` itself, not what is under it."""
    connection.search(
        base,
        wanted,
        search_scope=ldap3.BASE if one else ldap3.SUBTREE,
        attributes=[attribute or ldap3.NO_ATTRIBUTES],
        size_limit=most,
    )
    code = connection.result["result"]
    if code not in (_SUCCESS, _SIZE_LIMIT):
        raise DirectoryUnavailable(f"search: {connection.result['description']}")
    found = []
    for entry in connection.response or ():
        if entry["type"] == "searchResEntry":
            values: list[bytes] = entry["raw_attributes"].get(attribute, [])
            found.append((entry["dn"], _addresses(values[:_ADDRESSES_LIMIT])))
    return found


def end(connection: Any) -> None:
    """Close a connection, whatever state it is in."""
    with contextlib.suppress(LDAPException, OSError):
        connection.unbind()
    if connection.socket is not None:
        connection.socket.close()


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


def _addresses(values: list[bytes]) -> tuple[str, ...]:
    """Return the values that are addresses: `@domain`, which would be a right to a whole domain, is none."""
    addresses = []
    for value in values:
        try:
            addresses.append(str(parse_address(value.decode("utf-8"))).lower())
        except (AddressError, UnicodeDecodeError):
            continue
    return tuple(addresses)


class _Tls(ldap3.Tls):  # type: ignore[misc]
    """ldap3's, with the checks of Python's own context in the place of a function that Python is giving up."""

    def __init__(self, ca_file: str | None) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED, ca_certs_file=ca_file)
        self._context = ssl.create_default_context(cafile=ca_file)

    def wrap_socket(self, connection: Any, do_handshake: bool = True) -> None:  # noqa: ARG002
        """RFC 4513 §3.1.3: the certificate is for the host that we meant to reach."""
        connection.socket = self._context.wrap_socket(connection.socket, server_hostname=connection.server.host)
