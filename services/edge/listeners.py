"""The listeners (I/O): each that both settings and policy name takes connections, on the socket bound for it.

On failure: SettingsError at start for a certificate that cannot be read. A listener whose rules cannot be carried out
takes no connections: `follow` opens all others, then raises SettingsError or OSError; the next policy tries again.
"""

import asyncio
from collections.abc import Mapping

import structlog

from services.edge.door import Door
from services.edge.handler import EdgeHandler
from services.edge.limits import Sessions
from services.edge.settings import ListenerSettings
from services.edge.smtp import EdgeSMTP
from services.edge.sockets import Sockets, refuse
from services.edge.tls.certificates import Certificates
from shared.errors import SettingsError
from shared.policy import Listener, Policy, TlsMode
from shared.policy.listener import ClientCertificates

_log = structlog.get_logger()
_BACKLOG = 512


class Listeners:
    """All listeners of this process. sockets: bound, and closed with them."""

    def __init__(
        self,
        settings: Mapping[str, ListenerSettings],
        handler: EdgeHandler,
        sessions: Sessions,
        sockets: Sockets,
    ) -> None:
        self._settings = settings
        self._handler = handler
        self._sessions = sessions
        self._sockets = sockets
        self._certificates = {
            name: Certificates(name, listener) for name, listener in settings.items() if listener.certificate_file
        }
        self._open: dict[str, list[asyncio.Server]] = {}

    @property
    def is_listening(self) -> bool:
        """Whether any socket takes connections."""
        return bool(self._open)

    def port(self, name: str) -> int:
        """Return the port of a listener."""
        return int(self._sockets[name][0].getsockname()[1])

    async def follow(self, policy: Policy) -> None:
        """Open what the policy has, close what it no longer has. Raises OSError, SettingsError."""
        for name in set(self._open) - set(policy.listeners):
            self._shut(name, "the policy no longer has it")
        problem: SettingsError | OSError | None = None
        for name, rules in policy.listeners.items():
            try:
                await self._follow_one(name, rules)
            except (SettingsError, OSError) as error:
                self._shut(name, str(error))
                problem = problem or error
        for name in set(self._settings) - set(policy.listeners):
            _log.warning("listener-without-rules", listener=name)
        if problem is not None:
            raise problem

    async def _follow_one(self, name: str, rules: Listener) -> None:
        if name not in self._settings:
            _log.warning("listener-without-address", listener=name)
            return
        self._check(name, rules)
        if name not in self._open:
            await self._listen(name)

    def _check(self, name: str, rules: Listener) -> None:
        certificates = self._certificates.get(name)
        if certificates is None and (rules.auth or rules.tls in (TlsMode.REQUIRED, TlsMode.IMPLICIT)):
            raise SettingsError(f"listeners.{name}: the policy asks for TLS; set certificate_file and key_file")
        wants = rules.client_certificates is not ClientCertificates.OFF
        if wants and not (certificates and certificates.can_ask):
            raise SettingsError(f"listeners.{name}: the policy asks for client certificates; set client_ca_file")

    def look_at_certificates(self) -> None:
        """Have certificates that changed on disk be used from the next handshake on."""
        for certificates in self._certificates.values():
            certificates.look()

    def reload_certificates(self) -> None:
        """Read all certificates again, changed or not."""
        for certificates in self._certificates.values():
            certificates.reload()

    def close(self) -> None:
        """Take no more connections, and give the addresses free."""
        for name in list(self._open):
            self._end(name)
        for sockets in self._sockets.values():
            for bound in sockets:
                # A parent may hold it, too.
                refuse(bound)
                bound.close()

    async def _listen(self, name: str) -> None:
        door = Door(name, self._handler, self._sessions, self._certificates.get(name))
        loop = asyncio.get_running_loop()
        servers = self._open.setdefault(name, [])
        for bound in self._sockets[name]:
            # The server closes what it is given, and the bound socket must stay.
            server = await loop.create_server(lambda: EdgeSMTP(door), sock=bound.dup(), backlog=_BACKLOG)
            servers.append(server)
        _log.info("listening", listener=name, address=self._settings[name].address, port=self.port(name))

    def _shut(self, name: str, cause: str) -> None:
        if name in self._open:
            self._end(name)
            _log.warning("listener-closed", listener=name, cause=cause)

    def _end(self, name: str) -> None:
        for server in self._open.pop(name):
            server.close()
        for bound in self._sockets[name]:
            refuse(bound)
