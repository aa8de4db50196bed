"""The listening sockets (I/O): one per listener that both settings and policy name.

On failure: a socket that cannot be opened raises OSError naming it at start; after a change of policy it is logged and
tried again with the next change. A certificate that cannot be read is a SettingsError.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping

import structlog

from services.edge.handler import EdgeHandler
from services.edge.limits import Sessions
from services.edge.settings import ListenerSettings
from services.edge.smtp import EdgeSMTP
from services.edge.stream import Door
from shared.errors import SettingsError
from shared.policy import Listener, Policy, TlsMode

_log = structlog.get_logger()
_BACKLOG = 512


class Listeners:
    """All listeners of this process."""

    def __init__(self, settings: Mapping[str, ListenerSettings], handler: EdgeHandler, sessions: Sessions) -> None:
        self._settings = settings
        self._handler = handler
        self._sessions = sessions
        self._contexts = {name: _tls_context(name, listener) for name, listener in settings.items()}
        self._open: dict[str, asyncio.Server] = {}

    @property
    def is_listening(self) -> bool:
        """Whether any socket is open."""
        return bool(self._open)

    def port(self, name: str) -> int:
        """Return the port of an open listener."""
        return int(self._open[name].sockets[0].getsockname()[1])

    async def follow(self, policy: Policy) -> None:
        """Open what the policy has, close what it no longer has. Raises OSError, SettingsError."""
        for name in set(self._open) - set(policy.listeners):
            self._open.pop(name).close()
            _log.warning("listener-closed", listener=name, cause="the policy no longer has it")
        for name, rules in policy.listeners.items():
            if name not in self._settings:
                _log.warning("listener-without-address", listener=name)
            elif name not in self._open:
                self._open[name] = await self._listen(name, rules)
        for name in set(self._settings) - set(policy.listeners):
            _log.warning("listener-without-rules", listener=name)

    def close(self) -> None:
        """Take no more connections."""
        for server in self._open.values():
            server.close()
        self._open.clear()

    async def _listen(self, name: str, rules: Listener) -> asyncio.Server:
        settings, context = self._settings[name], self._contexts[name]
        if context is None and (rules.auth or rules.tls in (TlsMode.REQUIRED, TlsMode.IMPLICIT)):
            raise SettingsError(f"listeners.{name}: the policy asks for TLS; set certificate_file and key_file")
        door = Door(name, self._handler, self._sessions, context)
        server = await asyncio.get_running_loop().create_server(
            lambda: EdgeSMTP(door), settings.address, settings.port, backlog=_BACKLOG, family=socket.AF_UNSPEC
        )
        _log.info("listening", listener=name, address=settings.address, port=server.sockets[0].getsockname()[1])
        return server


def _tls_context(name: str, settings: ListenerSettings) -> ssl.SSLContext | None:
    if settings.certificate_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # RFC 8996: nothing older.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(settings.certificate_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"listeners.{name}: {settings.certificate_file}: {error}") from None
    return context
