"""An edge for each test of this folder."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from tests.integration.edge.gate import Gate, gate, policy


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a PEM file with a key and its certificate."""
    path = tmp_path_factory.mktemp("certificate") / "gate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=gate.test", "-days", "2", "-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@pytest.fixture
async def edge(certificate: Path) -> AsyncIterator[Gate]:
    """An edge with the tests' policy."""
    async with gate(policy(), certificate) as running:
        yield running


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The edge runs on uvloop."""
    return {"uvloop": uvloop.new_event_loop}
