"""Rules of a service's health over a real socket: `/metrics`, `/healthz`, `/readyz`, and what is no plain GET."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry, Counter

import shared.health
from shared.gate import Gate
from shared.health import Conditions, HealthServer
from shared.policy import parse_policy
from shared.settings import HealthSettings
from tests.fakes import FixedPolicy


class Service:
    """A process with two conditions and one counter."""

    def __init__(self, conditions: Conditions | None = None, gate: Gate | None = None) -> None:
        self.broker, self.policy = True, True
        usual: Conditions = {"broker": lambda: self.broker, "policy": lambda: self.policy}
        registry = CollectorRegistry()
        Counter("gatepost_test", "A counter", registry=registry).inc(3)
        self.server = HealthServer(HealthSettings(port=0), conditions or usual, registry, gate)

    async def send(self, request: bytes, source: str = "127.0.0.1") -> bytes:
        """Return all that comes back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port, local_addr=(source, 0))
        try:
            async with asyncio.timeout(15):
                writer.write(request)
                await writer.drain()
                return await reader.read()
        finally:
            writer.close()
            await writer.wait_closed()

    async def get(self, path: str, version: str = "HTTP/1.1") -> tuple[int, str]:
        """Return the status and the body of a GET."""
        answer = (await self.send(f"GET {path} {version}\r\nHost: x\r\n\r\n".encode())).decode()
        head, _, body = answer.partition("\r\n\r\n")
        assert f"Content-Length: {len(body)}" in head
        assert "Connection: close" in head
        return int(head.split(" ")[1]), body


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    running = Service()
    await running.server.start()
    yield running
    await running.server.close()


async def test_a_living_process_says_so_whatever_its_conditions(service: Service) -> None:
    service.broker = False
    assert await service.get("/healthz") == (200, "ok\n")


async def test_ready_while_all_conditions_hold_and_else_naming_those_that_do_not(service: Service) -> None:
    assert await service.get("/readyz") == (200, "ready\n")
    service.policy = False
    assert await service.get("/readyz") == (503, "not ready: policy\n")
    service.broker = False
    assert await service.get("/readyz") == (503, "not ready: broker, policy\n")
    service.broker = service.policy = True
    assert await service.get("/readyz") == (200, "ready\n")


async def test_metrics_are_in_the_form_of_prometheus(service: Service) -> None:
    status, body = await service.get("/metrics")
    assert status == 200
    assert "gatepost_test_total 3.0" in body


async def test_an_older_client_is_served(service: Service) -> None:
    assert (await service.get("/healthz", "HTTP/1.0"))[0] == 200


@pytest.mark.parametrize("path", ["/", "/healthz/", "/../etc/passwd", "/METRICS", "http://x/metrics"])
async def test_there_is_nothing_else(service: Service, path: str) -> None:
    assert await service.get(path) == (404, "not found\n")


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "get"])
async def test_only_get_is_served(service: Service, method: str) -> None:
    assert (await service.send(f"{method} /metrics HTTP/1.1\r\n\r\n".encode())).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize(
    "request_line", [b"", b"GET", b"GET /healthz", b"GET  /healthz HTTP/1.1", b"\x16\x03\x01\xff", b"a b c d"]
)
async def test_what_is_no_request_is_400(service: Service, request_line: bytes) -> None:
    assert (await service.send(request_line + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_a_head_beyond_its_bound_is_400(service: Service) -> None:
    assert (await service.send(b"GET /" + b"x" * 5000)).startswith(b"HTTP/1.1 400 ")


async def test_a_client_that_goes_away_half_way_disturbs_nobody(service: Service) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
    writer.write(b"GET /hea")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await service.get("/healthz"))[0] == 200


async def test_a_client_that_says_nothing_is_let_go_and_holds_up_nobody(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared.health, "_DEADLINE_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", service.server.port)
    assert (await service.get("/healthz"))[0] == 200
    assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    await writer.wait_closed()


async def test_after_close_nobody_listens() -> None:
    running = Service()
    await running.server.start()
    port = running.server.port
    await running.server.close()
    with pytest.raises(OSError, match=r"refused|Connect call failed"):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_server_that_was_never_started_closes_quietly() -> None:
    await Service().server.close()


async def test_a_taken_port_is_an_error_at_start(service: Service) -> None:
    second = HealthServer(HealthSettings(port=service.server.port), {})
    with pytest.raises(OSError, match="in use"):
        await second.start()


async def test_a_condition_with_a_defect_is_not_ready() -> None:
    def broken() -> bool:
        raise RuntimeError("a defect")

    service = Service({"broken": broken, "fine": lambda: True})
    await service.server.start()
    try:
        assert await service.get("/readyz") == (503, "not ready: broken\n")
    finally:
        await service.server.close()


REQUEST = b"GET /metrics HTTP/1.1\r\n\r\n"


async def test_whom_the_access_rules_deny_is_let_go_without_a_word() -> None:
    policy = FixedPolicy(parse_policy("[[access]]\naction = 'deny'\nnetworks = ['127.0.0.2/32', '127.0.0.1/32']"))
    service = Service(gate=Gate(policy))
    await service.server.start()
    try:
        # The connection ends with what was sent unread, which some kernels tell as a reset.
        try:
            assert await service.send(REQUEST, "127.0.0.2") == b""
        except ConnectionError:
            pass
        assert (await service.send(REQUEST, "127.0.0.3")).startswith(b"HTTP/1.1 200 ")
        # Whoever keeps the process running asks from here.
        assert (await service.send(REQUEST, "127.0.0.1")).startswith(b"HTTP/1.1 200 ")
        policy.policy = parse_policy("")
        assert (await service.send(REQUEST, "127.0.0.2")).startswith(b"HTTP/1.1 200 ")
    finally:
        await service.server.close()


async def test_a_service_tells_which_version_of_the_policy_it_runs_ready_or_not() -> None:
    ready = True
    conditions: Conditions = {"broker": lambda: ready}
    server = HealthServer(HealthSettings(port=0), conditions, CollectorRegistry(), policy_version=lambda: 7)
    service = Service()
    service.server = server
    await server.start()
    try:
        assert await service.get("/readyz") == (200, "ready\npolicy version 7\n")
        ready = False
        assert await service.get("/readyz") == (503, "not ready: broker\npolicy version 7\n")
    finally:
        await server.close()
