"""Spans on their way to the collector (I/O: OTLP over HTTP, in a thread of its own).

Owns: a bounded queue between the stage and the collector, and all use of OpenTelemetry's libraries, which are
Gatepost's extra `tracing`. Their own tracer is not used: it draws ids where ours are known, and does on the event loop
what can be done here.
On failure: what the collector does not take is lost and counted, and said once every ten minutes; mail goes on as ever.
"""

import contextvars
import logging
import os
import platform
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence

import requests
import structlog
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from prometheus_client import Counter

from shared.build import VERSION
from shared.settings import TracingSettings
from shared.tracing.spans import Kind, Span

_log = structlog.get_logger()
# Mails, of which each has ten to thirty spans of half a kilobyte.
QUEUE_LIMIT = 1000
_BATCH = 100
_PAUSE_S = 1.0
_TIMEOUT_S = 5.0
_SAY_EVERY_S = 600.0
_LAST_S = 0.2
_SCOPE = InstrumentationScope("gatepost", VERSION)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_KINDS = {
    Kind.INTERNAL: SpanKind.INTERNAL,
    Kind.SERVER: SpanKind.SERVER,
    Kind.CONSUMER: SpanKind.CONSUMER,
    Kind.CLIENT: SpanKind.CLIENT,
}
_lost = Counter("gatepost_tracing_lost_total", "Visits of mails whose spans the collector did not get")


class Exporter:
    """The way of a process's spans to the collector. stage: edge, content or delivery."""

    def __init__(self, stage: str, settings: TracingSettings, pause_s: float = _PAUSE_S) -> None:
        self._cause = _Cause()
        authorities = ssl.get_default_verify_paths()
        session = requests.Session()
        # Nothing but the settings says which authorities hold, nor leads through a proxy.
        session.trust_env = False
        self._sender = OTLPSpanExporter(
            settings.endpoint,
            certificate_file=str(settings.ca_file or authorities.cafile or authorities.capath or "") or None,
            timeout=_TIMEOUT_S,
            session=session,
        )
        self._resource = Resource.create(
            {
                "service.namespace": "gatepost",
                "service.name": f"gatepost-{stage}",
                "service.instance.id": f"{platform.node()}:{os.getpid()}",
                "service.version": VERSION,
            }
        )
        self._pause_s = pause_s
        self._waiting: deque[list[Span]] = deque()
        self._lost_since_said = 0
        self._said_at: float | None = None
        self._complained = False
        self._wake = threading.Event()
        self._closing = False
        # With what the log binds to each line of this process.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._work,), name="traces", daemon=True)
        self._thread.start()

    def put(self, family: list[Span]) -> None:
        """Take the spans of a visit; where the queue is full, they are lost."""
        if len(self._waiting) >= QUEUE_LIMIT:
            self._lose(1)
            return
        self._waiting.append(family)
        if len(self._waiting) == _BATCH:
            self._wake.set()

    def close(self, timeout_s: float) -> None:
        """Send what is left, within the time."""
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_s)
        # Ends a wait for the next try; what hangs on the collector all the same goes with the process.
        self._sender.shutdown()  # type: ignore[no-untyped-call]
        self._thread.join(_LAST_S)
        self._lose(len(self._waiting))
        if self._lost_since_said:
            self._say(self._cause.last)

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait(self._pause_s)
            self._wake.clear()
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            if self._send([span for family in batch for span in family]):
                self._say_that_they_go()
                continue
            self._lose(len(batch))
            self._say_seldom(self._cause.last)
            if self._closing:
                return

    def _send(self, spans: Sequence[Span]) -> bool:
        try:
            readable = [_readable(span, self._resource) for span in spans]
            return self._sender.export(readable) is SpanExportResult.SUCCESS
        except Exception:  # a defect here must end neither the thread nor mail
            _log.exception("traces-failed")
            return False

    def _lose(self, count: int) -> None:
        _lost.inc(count)
        self._lost_since_said += count

    def _say_that_they_go(self) -> None:
        if self._complained:
            _log.info("traces-sent-again", lost=self._lost_since_said)
            self._complained, self._lost_since_said = False, 0
        elif self._lost_since_said:
            self._say_seldom("they come faster than they can be sent")

    def _say_seldom(self, cause: str) -> None:
        if self._said_at is None or time.monotonic() - self._said_at >= _SAY_EVERY_S:
            self._say(cause)

    def _say(self, cause: str) -> None:
        _log.warning("traces-lost", visits=self._lost_since_said, cause=cause)
        self._said_at, self._complained, self._lost_since_said = time.monotonic(), True, 0


class _Cause(logging.Handler):
    """What the libraries said last. It goes no further: they say it at each try."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = "unknown"
        for name in ("opentelemetry", "urllib3"):
            logger = logging.getLogger(name)
            logger.handlers, logger.propagate = [self], False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep its words, but for those that name no cause."""
        words = record.getMessage()
        if "shutdown" not in words.lower():
            self.last = words[:500]


def _readable(span: Span, resource: Resource) -> ReadableSpan:
    parent = None if span.parent is None else _context(span.trace_id, span.parent, is_remote=True)
    return ReadableSpan(
        span.name,
        context=_context(span.trace_id, span.span_id),
        parent=parent,
        resource=resource,
        attributes={f"gatepost.{name}": value for name, value in span.facts.items()},
        links=() if span.link is None else (Link(_context(span.trace_id, span.link, is_remote=True)),),
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR, span.failed) if span.failed else Status(StatusCode.UNSET),
        start_time=span.began_ns,
        end_time=span.ended_ns,
        instrumentation_scope=_SCOPE,
    )


def _context(trace_id: int, span_id: int, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=is_remote, trace_flags=_SAMPLED)
