"""A collector of OpenTelemetry's traces: a real OTLP/HTTP server that keeps what it gets (I/O: HTTP on loopback).

async with Collector() as collector:
    ...                                  # collector.endpoint
    spans = await collector.until(lambda spans: "delivery" in {span.name for span in spans})
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan


@dataclass(frozen=True)
class Got:
    """A span as it came. resource, facts: attributes; service: of its resource."""

    name: str
    trace_id: int
    span_id: int
    parent: int | None
    kind: str
    began_ns: int
    ended_ns: int
    facts: dict[str, object]
    resource: dict[str, object]
    links: list[tuple[int, int]]
    failed: str

    @property
    def service(self) -> object:
        return self.resource["service.name"]


class Collector:
    """The server. status: what it answers to each request."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.spans: list[Got] = []
        self.status = 200
        self.requests = 0
        self.port = 0
        self._context = context
        self._changed = asyncio.Condition()

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._context else 'http'}://localhost:{self.port}"

    async def __aenter__(self) -> "Collector":
        application = web.Application(client_max_size=100_000_000)
        application.router.add_post("/v1/traces", self._take)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def until(self, holds: Callable[[Sequence[Got]], bool], deadline_s: float = 20) -> list[Got]:
        """Wait until something holds of all spans so far; return them."""
        async with asyncio.timeout(deadline_s), self._changed:
            await self._changed.wait_for(lambda: holds(self.spans))
        return list(self.spans)

    async def _take(self, request: web.Request) -> web.Response:
        message = ExportTraceServiceRequest.FromString(await request.read())
        async with self._changed:
            self.requests += 1
            if self.status == 200:
                for group in message.resource_spans:
                    resource = {one.key: _value(one.value) for one in group.resource.attributes}
                    self.spans += [_got(span, resource) for scope in group.scope_spans for span in scope.spans]
            self._changed.notify_all()
        return web.Response(status=self.status, content_type="application/x-protobuf")


def _got(span: WireSpan, resource: dict[str, object]) -> Got:
    return Got(
        name=span.name,
        trace_id=int.from_bytes(span.trace_id),
        span_id=int.from_bytes(span.span_id),
        parent=int.from_bytes(span.parent_span_id) or None,
        kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        facts={one.key.removeprefix("gatepost."): _value(one.value) for one in span.attributes},
        resource=resource,
        links=[(int.from_bytes(link.trace_id), int.from_bytes(link.span_id)) for link in span.links],
        failed=span.status.message,
    )


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind) if kind is not None else None
