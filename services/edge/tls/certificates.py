"""The certificates of one listener, read anew when their files change (I/O: files).

Owns: the contexts that new handshakes use; sessions that are open keep theirs. Replacing a file, or the links that lead
to it, is noticed by `look`, which costs one stat per file.
On failure: at start, SettingsError; later the present certificates go on, which is logged and counted, and the next
change is tried again. A certificate that ends soon is warned of once a day.
"""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
from prometheus_client import Counter, Gauge

from services.edge.settings import ListenerSettings
from services.edge.tls.binding import ServerContext
from services.edge.tls.context import Facts, Pair, build_context, read_facts
from shared.errors import SettingsError

_log = structlog.get_logger()
_DAY_S = 86_400.0
_SOON_S = 14 * _DAY_S
# TLS 1.2 has sessions that the server remembers, which the `ssl` module cannot switch off.
_RESUMABLE_LIMIT = 1000

_EXPIRES = Gauge(
    "gatepost_edge_certificate_expires_timestamp_seconds",
    "When a certificate in use ends",
    ["listener", "file"],
    multiprocess_mode="livemin",
)
_NOT_RELOADED = Counter(
    "gatepost_edge_certificates_not_reloaded_total", "New certificates that could not be used", ["listener"]
)
# Of a file: where it lies, when it changed, its size. None: it cannot be found.
Mark = tuple[int, int, int, int] | None


class Certificates:
    """What one listener shows and asks for in a handshake."""

    def __init__(self, listener: str, settings: ListenerSettings, clock: Callable[[], float] = time.time) -> None:
        self._listener = listener
        self._clock = clock
        self._pairs = pairs_of(settings)
        self._client_ca_file = settings.client_ca_file
        self._files = tuple(
            dict.fromkeys(
                [file for pair in self._pairs for file in (pair.certificate_file, pair.key_file)]
                + ([self._client_ca_file] if self._client_ca_file else [])
            )
        )
        self._marks = self._read_marks()
        try:
            self._take(*self._read())
        except SettingsError as error:
            raise SettingsError(f"listeners.{listener}: {error}") from None
        self._warn_of_the_end()

    def context(self, *, asks: bool) -> ServerContext:
        """Return the context for the next handshake. asks: for the client's certificate."""
        return self._asking if asks and self._asking is not None else self._plain

    @property
    def can_ask(self) -> bool:
        """Whether there is something that clients' certificates can be verified against."""
        return self._client_ca_file is not None

    def look(self) -> None:
        """Read the files again if they have changed since the last time."""
        if self._read_marks() != self._marks:
            self.reload()
        elif self._resumable() > _RESUMABLE_LIMIT:
            self._forget_sessions()
        if self._clock() > self._warned_at + _DAY_S:
            self._warn_of_the_end()

    def reload(self) -> None:
        """Read the files again; keep what is in use where that fails."""
        marks = self._marks = self._read_marks()
        try:
            read = self._read()
            if self._read_marks() != marks:
                # They are being replaced at this moment; the next look finds them whole.
                self._marks = ()
                return
        except SettingsError as error:
            _NOT_RELOADED.labels(self._listener).inc()
            _log.error("certificate-not-reloaded", listener=self._listener, cause=str(error))
            return
        self._take(*read)
        self._warn_of_the_end()
        _log.info("certificates-reloaded", listener=self._listener)

    def _resumable(self) -> int:
        return max(context.session_stats()["number"] for context in (self._plain, self._asking or self._plain))

    def _forget_sessions(self) -> None:
        """Begin again with empty contexts: nothing else empties OpenSSL's memory of sessions, 100 MB when full."""
        # What cannot be read now has been told already.
        with contextlib.suppress(SettingsError):
            self._take(*self._read())

    def _read(self) -> tuple[list[Facts], ServerContext, ServerContext | None]:
        facts = [read_facts(pair) for pair in self._pairs]
        plain = build_context(self._pairs, facts, None)
        asking = build_context(self._pairs, facts, self._client_ca_file) if self._client_ca_file else None
        return facts, plain, asking

    def _take(self, facts: list[Facts], plain: ServerContext, asking: ServerContext | None) -> None:
        self._facts, self._plain, self._asking = facts, plain, asking
        for pair, fact in zip(self._pairs, facts, strict=True):
            _EXPIRES.labels(self._listener, str(pair.certificate_file)).set(fact.expires.timestamp())

    def _warn_of_the_end(self) -> None:
        self._warned_at = self._clock()
        for pair, fact in zip(self._pairs, self._facts, strict=True):
            left_s = fact.expires.timestamp() - self._warned_at
            if left_s < _SOON_S:
                _log.warning(
                    "certificate-ends-soon" if left_s > 0 else "certificate-has-ended",
                    listener=self._listener,
                    file=str(pair.certificate_file),
                    expires=datetime.fromtimestamp(fact.expires.timestamp(), UTC).isoformat(),
                )

    def _read_marks(self) -> tuple[Mark, ...]:
        return tuple(_mark(file) for file in self._files)


def pairs_of(settings: ListenerSettings) -> list[Pair]:
    """Return a listener's certificates, the default one first; none without TLS."""
    if settings.certificate_file is None or settings.key_file is None:
        return []
    first = Pair(settings.certificate_file, settings.key_file)
    return [first, *(Pair(more.certificate_file, more.key_file) for more in settings.certificates)]


def _mark(file: Path) -> Mark:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
