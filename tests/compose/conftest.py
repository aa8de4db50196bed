"""The whole gateway as containers, two of each stage, under each Compose in turn."""

from collections.abc import Iterator

import pytest

from infra.local.ports import free_ports
from tests.compose.containers import Containers, Ports, composes

# So that `down` ends what the tests started of it.
PROFILE = ("--profile", "observe")
SCALE = ("--scale", "edge=2", "--scale", "content=2", "--scale", "delivery=2")


@pytest.fixture(scope="session", params=composes(), ids=lambda command: command[-1].rsplit("/", 1)[-1])
def gateway(request: pytest.FixtureRequest) -> Iterator[Containers]:
    """A gateway that is up; afterwards nothing of it is left."""
    containers = Containers(request.param, "gatepost-test", Ports(*free_ports(6)))
    containers.compose(*PROFILE, "down", "--volumes", "--remove-orphans")
    try:
        containers.compose("up", "--detach", "--no-build", *SCALE)
        yield containers
    finally:
        containers.compose(*PROFILE, "down", "--volumes")
    assert containers.engine("ps", "-aq", "--filter", "label=com.docker.compose.project=gatepost-test") == ""
    assert containers.engine("volume", "ls", "-q", "--filter", "name=gatepost-test_") == ""
