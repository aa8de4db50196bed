"""What the doctor sees of ports, clocks, versions and the topology, of real servers."""

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry

from services.console.database import Database
from services.console.doctor import agreement, clocks, engines, node
from services.console.doctor.beside import Beside, Socket, look_beside, sockets
from services.console.doctor.finding import Level
from services.console.doctor.ports import ports
from shared.health import HealthServer
from shared.settings import HealthSettings
from tests.integration.console.command import Gatepost
from tests.integration.console.web_settings import settings_for
from tests.nexthop import NextHop
from tests.rabbit import Rabbit

NOTHING = Beside({}, ())


async def health() -> HealthServer:
    server = HealthServer(HealthSettings(port=0), {})
    await server.start()
    return server


async def test_who_listens_is_good_who_does_not_and_who_answers_otherwise_is_wrong() -> None:
    server = await health()
    async with NextHop() as hop:
        wanted = [
            Socket("edge's mx", "smtp", "127.0.0.1", hop.port),
            Socket("console", "health", "0.0.0.0", server.port),
            # Somebody else's port, and nobody's.
            Socket("edge", "health", "127.0.0.1", hop.port),
            Socket("content", "health", "127.0.0.1", 1),
        ]
        found = await ports(wanted, Beside({}, ("edge",)))
    await server.close()
    levels = [finding.level for finding in found]
    assert levels == [Level.WRONG, Level.GOOD, Level.GOOD, Level.WRONG, Level.WRONG, Level.ASIDE]
    assert "both want" in found[0].text
    assert "ss -ltnp" in found[3].mend


def test_the_ports_of_all_services_of_this_host_are_known_by_their_settings(tmp_path: Path, sqlite: Database) -> None:
    for name, mode in (("edge", 0o600), ("content", 0o644)):
        text = "[health]\nport = 9101\n[listeners.mx]\naddress = '0.0.0.0'\nport = 25\n"
        (tmp_path / f"{name}.toml").write_text(text)
        (tmp_path / f"{name}.toml").chmod(mode)
    beside = look_beside(tmp_path / "console.toml")
    assert beside.hidden == ("content",)
    found = sockets(beside, settings_for(sqlite, tmp_path))
    assert [(one.owner, one.kind, one.port) for one in found] == [("edge", "health", 9101), ("edge's mx", "smtp", 25)]


async def test_clocks_and_versions_are_those_that_the_services_tell(sqlite: Database, tmp_path: Path) -> None:
    server = await health()
    url = f"http://127.0.0.1:{server.port}"
    urls = dict.fromkeys(("edge", "content", "delivery", "recorder"), url)
    settings = settings_for(sqlite, tmp_path)
    settings = settings.model_copy(update={"services": settings.services.model_copy(update=urls)})
    found = await clocks.clocks(settings)
    assert [finding.level for finding in found] == [Level.GOOD] * 4
    said = await agreement.services(settings)
    await server.close()
    assert [finding.level for finding in said] == [Level.GOOD] * 5
    assert said[4].topic == "versions"


async def test_a_console_without_an_administrator_does_not_call_the_topology_wrong(
    rabbit: Rabbit, tmp_path: Path, sqlite: Database
) -> None:
    settings = settings_for(sqlite, tmp_path, rabbit.settings("console"))
    (topology,) = await engines.topology(settings)
    assert (topology.level, "no [admin]" in topology.text) == (Level.ASIDE, True)
    (limits,) = await node.nodes(settings)
    assert limits.level is Level.ASIDE


def test_the_node_is_asked_for_its_limits(gatepost: Gatepost) -> None:
    found = gatepost.json("doctor")
    assert any(one["topic"].startswith("RabbitMQ ") and "limit" in one["text"] for one in found)
    assert {"level", "topic", "text", "mend"} == set(found[0])


async def test_an_old_registry_without_versions_is_no_fault() -> None:
    server = HealthServer(HealthSettings(port=0), {}, CollectorRegistry())
    await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
    answer = await reader.read()
    writer.close()
    await server.close()
    assert b"\r\nDate: " in answer
