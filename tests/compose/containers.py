"""The gateway's containers under one Compose (I/O: the Compose command and the Docker engine)."""

import json
import os
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAGES = ("edge", "content", "delivery")
METRICS_PORT = {"edge": 9101, "content": 9102, "delivery": 9103, "console": 9104}
_FILES = ("-f", "docker-compose.yml", "-f", "tests/compose/docker-compose.test.yml")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where SMTP, RabbitMQ's console, ours and Prometheus are published on loopback."""

    mx: int
    submission: int
    submissions: int
    rabbitmq: int
    console: int
    prometheus: int


@dataclass(frozen=True, slots=True)
class Containers:
    """One Compose project. command: the Compose to use, such as ["docker", "compose"]."""

    command: tuple[str, ...]
    project: str
    ports: Ports

    def compose(self, *arguments: str, timeout_s: float = 240) -> str:
        """Run Compose and return what it prints. Raises AssertionError with the output if it fails."""
        environment = os.environ | {
            "GATEPOST_ADDRESS": "127.0.0.1",
            # Nothing answers it here.
            "GATEPOST_BLOCK_LISTS": "off",
            "GATEPOST_MX_PORT": str(self.ports.mx),
            "GATEPOST_SUBMISSION_PORT": str(self.ports.submission),
            "GATEPOST_SUBMISSIONS_PORT": str(self.ports.submissions),
            "GATEPOST_RABBITMQ_PORT": str(self.ports.rabbitmq),
            "GATEPOST_CONSOLE_PORT": str(self.ports.console),
            "GATEPOST_CONSOLE_URL": f"https://localhost:{self.ports.console}",
            "GATEPOST_PROMETHEUS_PORT": str(self.ports.prometheus),
        }
        return _run([*self.command, *_FILES, "-p", self.project, *arguments], timeout_s, environment)

    def engine(self, *arguments: str, timeout_s: float = 60) -> str:
        """Run the engine's client and return what it prints."""
        return run_engine(*arguments, timeout_s=timeout_s)

    def of(self, service: str, *, running: bool = True) -> list[str]:
        """Return the ids of a service's containers."""
        labels = [f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}"]
        filters = [word for label in labels for word in ("--filter", f"label={label}")]
        return self.engine("ps", "-q", "--no-trunc", *(() if running else ("-a",)), *filters).split()

    def inspect(self, container: str) -> dict[str, object]:
        """Return what the engine knows of a container."""
        found = json.loads(self.engine("inspect", container))
        assert isinstance(found[0], dict)
        return found[0]

    def health(self, container: str) -> str:
        """Return healthy, unhealthy, starting, or none for a container without a check."""
        shown = "{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}"
        return self.engine("inspect", "-f", shown, container).strip()

    def wait_healthy(self, *services: str, deadline_s: float = 120) -> None:
        """Return when every container of these services is healthy."""
        for service in services:
            self.wait(lambda service=service: self._are_healthy(service), f"{service} to be healthy", deadline_s)  # type: ignore[misc]

    def wait(self, holds: Callable[[], bool], what: str, deadline_s: float = 60) -> None:
        """Return when a condition holds; the engine tells of nothing by itself, so it is asked twice a second."""
        give_up_at = time.monotonic() + deadline_s
        while not holds():
            assert time.monotonic() < give_up_at, f"waited {deadline_s} s for {what}\n{self.last_words()}"
            time.sleep(0.5)

    def last_words(self) -> str:
        """Return the end of every container's log."""
        return self.compose("ps") + self.compose("logs", "--no-color", "--tail=15")

    def metrics(self, container: str, service: str) -> str:
        """Return a container's Prometheus metrics."""
        program = (
            "import urllib.request as r;"
            f"print(r.urlopen('http://127.0.0.1:{METRICS_PORT[service]}/metrics', timeout=5).read().decode())"
        )
        return self.engine("exec", container, "python", "-c", program)

    def delivered(self) -> dict[str, int]:
        """Return how often each Message-ID lies in the Maildirs."""
        program = (
            "import collections,json,pathlib,re;"
            "found=collections.Counter(re.search(rb'(?im)^message-id: *(\\S+)',p.read_bytes()[:8192])[1].decode()"
            " for p in pathlib.Path('/var/lib/gatepost/mail').rglob('new/*'));"
            "print(json.dumps(found))"
        )
        counted: dict[str, int] = json.loads(self.engine("exec", self.of("delivery")[0], "python", "-c", program))
        return counted

    def _are_healthy(self, service: str) -> bool:
        containers = self.of(service)
        return bool(containers) and all(self.health(container) == "healthy" for container in containers)


def run_engine(*arguments: str, timeout_s: float = 60) -> str:
    """Run the engine's client and return what it prints. Raises AssertionError with the output if it fails."""
    return _run([os.environ.get("DOCKER", "docker"), *arguments], timeout_s, dict(os.environ))


def composes() -> list[tuple[str, ...]]:
    """Return the Compose commands to prove: GATEPOST_COMPOSE alone, else 1.29 and v2."""
    if chosen := os.environ.get("GATEPOST_COMPOSE"):
        return [tuple(shlex.split(chosen))]
    return [("docker-compose",), tuple(shlex.split(os.environ.get("GATEPOST_COMPOSE_V2", "docker compose")))]


def _run(command: list[str], timeout_s: float, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    assert done.returncode == 0, f"{shlex.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout
