"""Kerberos tickets, looked at with the keys of a keytab (I/O: files; blocks, so it belongs in a thread).

Owns: the GSS-API library, which is Gatepost's extra `kerberos`.
Standards: RFC 4120, RFC 4121 by the library; RFC 4752 §3 (service name `smtp`).
On failure: SettingsError at start; later LoginUnavailable where our own side is at fault, Rejected where the ticket is.
"""

import re
from typing import Any

import structlog

from services.edge.auth.gss import Rejected
from services.edge.auth.verify import LoginUnavailable
from services.edge.settings import KerberosSettings
from shared.errors import SettingsError

try:
    import gssapi
except (ImportError, OSError):
    # The extra, or the system's library under it, is not installed.
    gssapi = None  # type: ignore[assignment]

_log = structlog.get_logger()
# Principals with an instance (`alice/admin`) are not the mail user of that name.
_USER = re.compile(r"[^\s/@\\\x00-\x1f\x7f]{1,255}\Z")


class Kerberos:
    """The service's identity, and whom its clients' tickets stand for."""

    def __init__(self, settings: KerberosSettings, hostname: str) -> None:
        if gssapi is None:
            raise SettingsError("[kerberos] needs the Python package gssapi: install gatepost[kerberos]")
        self._settings = settings
        self._service = f"smtp/{settings.service_host or hostname}@{settings.realm}".lower()
        try:
            with settings.keytab_file.open("rb"):
                pass
        except OSError as error:
            raise SettingsError(f"kerberos.keytab_file: {error}") from None

    @property
    def may_be_unknown(self) -> bool:
        """Whether principals without an account here may log in."""
        return self._settings.domain is not None

    def acceptor(self) -> "KeytabAcceptor":
        """Return the server's side of a new context."""
        return KeytabAcceptor(str(self._settings.keytab_file), self._service)

    def login_of(self, principal: str, acts_as: str) -> str | None:
        """Return the login that a principal stands for, or None if there is none or it wants to be another."""
        user, _, realm = principal.rpartition("@")
        if realm != self._settings.realm or not _USER.match(user):
            return None
        login = f"{user}@{self._settings.domain or realm}".lower()
        return login if acts_as.lower() in ("", user.lower(), principal.lower(), login) else None


class KeytabAcceptor:
    """The server's side of one context."""

    def __init__(self, keytab: str, service: str) -> None:
        self._keytab = keytab
        self._service = service
        self._credentials: Any = None
        self._context: Any = None
        self._client: Any = None
        self.is_complete = False

    def step(self, token: bytes) -> bytes:
        """Take a token of the client and return ours, maybe empty."""
        if self._credentials is None:
            self._credentials = _credentials(self._keytab)
        try:
            result = gssapi.raw.accept_sec_context(token, self._credentials, self._context)
        except gssapi.raw.GSSError as error:
            raise _rejected(error) from None
        self._context, self._client = result.context, result.initiator_name
        if not result.more_steps:
            self._check()
        return result.token or b""

    def _check(self) -> None:
        facts = gssapi.raw.inquire_context(self._context)
        target = _shown(facts.target_name).lower()
        # RFC 4752 §3: the ticket is for mail on this host; the keytab may hold keys of other services.
        if target != self._service:
            _log.info("ticket-for-another-service", service=target)
            raise Rejected(target)
        if not int(facts.flags or 0) & int(gssapi.raw.RequirementFlag.integrity):
            raise Rejected("without integrity")
        self.is_complete = True

    def wrap(self, octets: bytes) -> bytes:
        """Protect octets against change."""
        return bytes(gssapi.raw.wrap(self._context, octets, confidential=False).message)

    def unwrap(self, octets: bytes) -> bytes:
        """Return octets that were protected."""
        try:
            return bytes(gssapi.raw.unwrap(self._context, octets).message)
        except gssapi.raw.GSSError as error:
            raise _rejected(error) from None

    @property
    def principal(self) -> str:
        """Who the client is, once the context stands."""
        return _shown(self._client)


def _credentials(keytab: str) -> Any:
    """Return what tickets are looked at with. Read anew for each login, so that a new keytab counts at once."""
    try:
        # RFC 4752 §3.1: Kerberos V5 and no other mechanism of GSS-API.
        mechanisms = [gssapi.raw.MechType.kerberos]
        store: dict[bytes | str, bytes | str] = {b"keytab": keytab.encode()}
        return gssapi.raw.acquire_cred_from(store, usage="accept", mechs=mechanisms).creds
    except gssapi.raw.GSSError as error:
        _log.error("keytab-unusable", cause=str(error))
        raise LoginUnavailable("the keytab cannot be used") from None


def _rejected(error: Exception) -> Rejected:
    _log.info("ticket-rejected", cause=str(error))
    return Rejected(str(error))


def _shown(name: Any) -> str:
    return bytes(gssapi.raw.display_name(name, name_type=False).name).decode("utf-8", "replace")
