"""A gateway of its own for each test, with a sink behind it and a load before it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.clamd import Clamd
from tests.dnsserver import DnsServer
from tests.gateway import Gateway
from tests.load.client import Load
from tests.load.mail import Kind, Mailbag, SigningKey, zone_of
from tests.load.sink import Sink
from tests.rabbit import Rabbit

RECIPIENT = "user@sink.test"
# Half signed, half plain, one in ten that must be refused.
MIX = (Kind.SIGNED, Kind.PLAIN) * 4 + (Kind.SIGNED, Kind.MALWARE)


@pytest.fixture(scope="session")
def key() -> SigningKey:
    """The DKIM key of the sender's domain."""
    return SigningKey.new()


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    """The server behind the gateway."""
    async with Sink().listening() as listening:
        yield listening


@pytest.fixture
async def closed_gateway(tmp_path: Path, rabbit: Rabbit, clamd: Clamd, key: SigningKey) -> AsyncIterator[Gateway]:
    """A gateway that the test opens itself."""
    async with DnsServer(zone_of(key)) as nameserver:
        gateway = Gateway(tmp_path, rabbit, clamd, nameserver.address)
        try:
            yield gateway
        finally:
            await gateway.close()


@pytest.fixture
async def gateway(closed_gateway: Gateway, sink: Sink) -> Gateway:
    """A gateway in front of the sink, ready for mail to sink.test."""
    await closed_gateway.open({"sink.test": f"smtp://127.0.0.1:{sink.port}"})
    return closed_gateway


@pytest.fixture
def load(gateway: Gateway, key: SigningKey) -> Load:
    """Mixed mail to the sink in ten sessions, five messages to a connection."""
    return Load(gateway.port, [Mailbag(RECIPIENT, key=key)], MIX, sessions=10, per_connection=5)
