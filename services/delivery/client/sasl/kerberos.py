"""GSSAPI, which is Kerberos V5, the client's side (I/O: a keytab and the KDC; blocks, so it belongs in a thread).

Owns: the GSS-API library, which is Gatepost's extra `kerberos`.
Standards: RFC 4752; RFC 4120 and RFC 4121 by the library. The security layer chosen is none: TLS is there already.
On failure: SaslError.
"""

from pathlib import Path
from typing import Any
from zlib import crc32

from services.delivery.client.sasl.login import SaslError

try:
    import gssapi
except (ImportError, OSError):
    # The extra, or the system's library under it, is not installed.
    gssapi = None  # type: ignore[assignment]

_NO_LAYER = 1


class KerberosLogin:
    """One login. principal: whose keys the keytab holds. host: whose service `smtp` the ticket is for."""

    is_slow = True
    complaint = ""

    def __init__(self, principal: str, keytab: Path, host: str) -> None:
        if gssapi is None:
            raise SaslError("GSSAPI needs the Python package gssapi: install gatepost[kerberos]")
        self._principal = principal
        self._keytab = keytab
        self._host = host
        self._context: Any = None
        self._stands = False
        self.trusts = False

    def begin(self) -> bytes:
        """Return the first token."""
        try:
            name = gssapi.Name(self._principal, gssapi.NameType.kerberos_principal)
            mechanism = gssapi.MechType.kerberos
            store: dict[bytes | str, bytes | str] = {"client_keytab": str(self._keytab), "ccache": self._cache()}
            credentials = gssapi.Credentials(name=name, usage="initiate", mechs=[mechanism], store=store)
            # RFC 4752 §3.1: mutual authentication; integrity, since the layers are chosen in protected messages.
            flags = gssapi.RequirementFlag.mutual_authentication | gssapi.RequirementFlag.integrity
            service = gssapi.Name(f"smtp@{self._host}", gssapi.NameType.hostbased_service)
            self._context = gssapi.SecurityContext(
                name=service, creds=credentials, usage="initiate", mech=mechanism, flags=flags
            )
            return bytes(self._context.step() or b"")
        except gssapi.raw.GSSError as error:
            raise SaslError(f"no ticket for smtp@{self._host}: {_one_line(error)}") from None

    def _cache(self) -> str:
        """Return the name of the cache in memory that keeps the tickets between sessions: of this keytab alone."""
        try:
            changed_at = self._keytab.stat().st_mtime_ns
        except OSError as error:
            raise SaslError(f"the keytab: {error}") from None
        return f"MEMORY:gatepost-{crc32(f'{self._principal} {self._keytab} {changed_at}'.encode()):08x}"

    def respond(self, challenge: bytes) -> bytes:
        """Return the next token, or the choice of layers once the context stands."""
        try:
            if not self._stands:
                return self._token(challenge)
            if self.trusts:
                raise SaslError("the host went on after the choice of layers")
            return self._choice(challenge)
        except gssapi.raw.GSSError as error:
            raise SaslError(f"the host's ticket or token is no good: {_one_line(error)}") from None

    def _token(self, challenge: bytes) -> bytes:
        if self._context.complete:
            # RFC 4752 §3.1: our last token was sent; an empty challenge would have been the protected one.
            self._stands = True
            return self._choice(challenge)
        token = self._context.step(challenge)
        if self._context.complete:
            flags = int(self._context.actual_flags)
            for wanted in (gssapi.RequirementFlag.mutual_authentication, gssapi.RequirementFlag.integrity):
                if not flags & int(wanted):
                    raise SaslError("the host did not prove itself (no mutual authentication)")
            self._stands = True
        return bytes(token or b"")

    def _choice(self, challenge: bytes) -> bytes:
        offer = bytes(self._context.unwrap(challenge).message)
        # RFC 4752 §3.1: one octet of layers, three of the largest message.
        if len(offer) != 4 or not offer[0] & _NO_LAYER:
            raise SaslError("the host wants a security layer inside TLS, which is not had")
        self.trusts = True
        # RFC 4752 §3.1: with no layer the size is 0; no name follows, since we act as ourselves.
        return bytes(self._context.wrap(bytes((_NO_LAYER, 0, 0, 0)), False).message)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
