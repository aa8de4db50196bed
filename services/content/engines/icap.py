"""A second antivirus engine behind ICAP (I/O): each message is asked about by RESPMOD.

Owns: `IcapEngine`: a few kept connections to one service, which says at each connect what it offers (OPTIONS).
Input: samples. Output: `ScanResult`; only 204 makes a message clean. Standard: RFC 3507.
On failure: EngineError, for whatever is no explicit word; also for a service that takes no RESPMOD or cannot say 204.
"""

import asyncio
import time

import structlog

from services.content.engines.cached_scan import CachedScan
from services.content.engines.icap_connection import Connection
from services.content.engines.icap_wire import Reply, parse_service, read_word
from services.content.engines.sample import Sample
from services.content.engines.scan import EngineError, ScanResult
from services.content.settings import IcapSettings

_log = structlog.get_logger()
# How long an ISTag is taken for the service's own, if no answer has brought it again.
TAG_FOR_S = 60.0


class IcapEngine:
    """The ICAP service of one worker. cache_entries: how many results are kept."""

    def __init__(self, settings: IcapSettings, *, cache_entries: int) -> None:
        self._service = _Service(settings)
        self.name = self._service.name
        self._cached = CachedScan(self.name, cache_entries)

    async def scan(self, sample: Sample) -> ScanResult:
        """Return the engine's word on a message. Raises EngineError; bound it with `asyncio.timeout`."""
        return await self._cached(self._service, sample)

    async def close(self) -> None:
        """End all connections."""
        await self._service.close()


class _Service:
    """The service itself, and the connections that are kept to it."""

    def __init__(self, settings: IcapSettings) -> None:
        self._where = parse_service(settings.url)
        self.name = f"ICAP service {self._where.name}"
        self._limit = settings.connections
        self._places = asyncio.Semaphore(settings.connections)
        self._idle: list[Connection] = []
        self._tag = ""
        self._tag_until = 0.0

    @property
    def version(self) -> str:
        """Its ISTag, where that is known now."""
        return self._tag if time.monotonic() < self._tag_until else ""

    async def scan(self, sample: Sample) -> ScanResult:
        """Return what it says of a message. Raises EngineError."""
        async with self._places:
            if self._idle:
                connection = self._idle.pop()
                before = connection.answers
                try:
                    return await self._ask(connection, sample)
                except EngineError:
                    # It may have ended while idle; once more on a fresh one.
                    if connection.answers > before:
                        raise
            return await self._ask(await self._open(), sample)

    async def close(self) -> None:
        """End all connections."""
        for connection in self._idle:
            connection.close()
            await connection.wait_closed()
        self._idle.clear()

    async def _ask(self, connection: Connection, sample: Sample) -> ScanResult:
        try:
            reply, inner = await connection.scan(sample)
        finally:
            if connection.is_open:
                self._idle.append(connection)
        self._note_tag(reply)
        return read_word(self.name, reply, inner)

    async def _open(self) -> Connection:
        connection = await Connection.open(self._where)
        try:
            offer = await connection.options()
            # RFC 3507 §4.10.2: what the service understands.
            if offer.status != 200 or not offer.lists("methods", "RESPMOD") or not offer.lists("allow", "204"):
                raise EngineError(f"{self.name} does not offer RESPMOD with 204 (status {offer.status})")
        except BaseException:
            connection.close()
            raise
        self._note_tag(offer)
        self._compare(offer.fields.get("max-connections", ""))
        return connection if connection.is_open else await Connection.open(self._where)

    def _note_tag(self, reply: Reply) -> None:
        # RFC 3507 §4.7: as long as it stays the same, the service would answer as it did.
        self._tag = reply.fields.get("istag", "").strip()
        self._tag_until = time.monotonic() + TAG_FOR_S

    def _compare(self, most: str) -> None:
        if most.isascii() and most.isdigit() and int(most[:9]) < self._limit:
            _log.warning("icap-too-many-connections", service=self.name, offered=int(most[:9]), ours=self._limit)
