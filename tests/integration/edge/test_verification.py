"""From RCPT to the domain's own server and back: the whole of edge and the whole of delivery, over a real RabbitMQ."""

import asyncio
from pathlib import Path

import pytest

from services.delivery.app import DeliveryService
from services.delivery.settings import DeliverySettings
from shared.settings import HealthSettings
from tests.integration.edge.test_broker import client, running
from tests.nexthop import NextHop
from tests.rabbit import Rabbit


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ("250 2.1.5 ok", "250 2.1.5"),
        ("550 5.1.1 no such user", "550 5.1.1 Recipient address refused: unknown recipient ["),
        ("550 5.7.1 you are blocked", "450 4.1.1 Recipient address cannot be verified now, try again later ["),
    ],
)
async def test_the_domains_own_server_decides_whom_edge_takes(
    answer: str, reply: str, rabbit: Rabbit, certificate: Path, tmp_path: Path
) -> None:
    async with NextHop({"rcpt": [answer]}) as hop:
        policy = f'[domains."route.test"]\nroute = "smtp://127.0.0.1:{hop.port}"\nrecipients = "verified"\n'
        settings = DeliverySettings(
            hostname="gate.test", broker=rabbit.settings("delivery"), health=HealthSettings(port=0), data_dir=tmp_path
        )
        stop = asyncio.Event()
        delivery = asyncio.create_task(DeliveryService(settings).run(stop))
        try:
            async with running(rabbit, certificate, policy) as edge, client(edge) as one:
                await one.hello()
                await one.say("MAIL FROM:<x@away.test>")
                for _ in range(2):
                    assert (await one.say("RCPT TO:<bob@route.test>")).startswith(reply)
        finally:
            stop.set()
            assert await delivery == 0
        assert hop.said.count("RCPT TO:<bob@route.test>") == 1
