"""A real RabbitMQ node for tests, with the topology, the users and their rights in it.

def test_x(rabbit: Rabbit) -> None:          # one node per test session; its queues are empty when a test begins
    link = Link(rabbit.settings("edge"), "test")
    with rabbit.memory_alarm(): ...          # publishers are held back meanwhile
    rabbit.kill(); rabbit.start()            # a power cut
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pamqp.base import Frame
from pamqp.commands import Queue as Method
from pydantic import SecretStr

from infra.local.ports import free_ports, is_listening
from infra.local.rabbitmq import Node, NodeSettings
from services.console.installer import apply
from services.console.management import management
from shared.broker.topology import QUEUES, RIGHTS, QueueSpec
from shared.settings import BrokerSettings
from tests.amqp import Asking, RefusedByBroker

_ADMIN = "admin"
_STREAM = "stream"
_READY_S = 30.0
Result = TypeVar("Result")


class Rabbit:
    """A node on free ports. Its passwords: `settings(user)` for edge, content, delivery, console and admin."""

    def __init__(self, folder: Path) -> None:
        amqp, api, dist, epmd = free_ports(4)
        self._passwords = {user: secrets.token_hex(12) for user in (*RIGHTS, _ADMIN)}
        settings = NodeSettings(
            data=folder / "rabbitmq",
            amqp_port=amqp,
            management_port=api,
            dist_port=dist,
            epmd_port=epmd,
            admin_user=_ADMIN,
            admin_password=self._passwords[_ADMIN],
            log=folder / "rabbitmq.log",
            disk_free_limit="50MB",
        )
        self.node = Node(settings)
        self.is_up = False
        self.port = amqp
        self.management_url = settings.management_url
        self._asking = Asking(self.settings(_ADMIN))

    @property
    def passwords(self) -> dict[str, str]:
        """The passwords of the services' users."""
        return {user: self._passwords[user] for user in RIGHTS}

    def settings(self, user: str, *, port: int | None = None) -> BrokerSettings:
        """Return how a user reaches the node. port: of a proxy before it."""
        return BrokerSettings(port=port or self.port, user=user, password=SecretStr(self._passwords[user]))

    def start(self) -> None:
        """Start the node and wait until it serves."""
        self.node.start()
        self.node.wait_ready()
        self.is_up = True

    def stop(self) -> None:
        """Stop it in order."""
        self.is_up = False
        self._asking.close()
        self.node.stop()

    def kill(self) -> None:
        """Kill it (kill -9), epmd too, with whatever was confirmed on disk.

        RabbitMQ writes which quorum queues it has to disk only seconds after their declaration: one declared just before
        a power cut comes back without a leader, for ever. Here the queues are always new, in real life they never are.
        """
        self.is_up = False
        self._asking.close()
        self.node.control("eval", "[dets:sync(Table) || Table <- dets:all()].")
        self.node.kill()
        # Its death takes a moment; a node that starts meanwhile would look as if it served already.
        while any(map(is_listening, (self.port, self.node.settings.management_port))):
            time.sleep(0.01)

    def discard(self) -> None:
        """End it at once; nobody needs its data any more, and an orderly stop would cost six seconds."""
        self.is_up = False
        self._asking.close()
        self.node.kill()

    def restart(self) -> None:
        """Stop it in order and start it."""
        self.stop()
        self.start()

    def install(self) -> tuple[str, ...]:
        """Apply the topology; return the differences."""
        return in_thread(apply(self.settings(_ADMIN), self.management_url, self.passwords))

    def purge(self) -> None:
        """Empty every queue, and make the streams anew."""
        give_up_at = time.monotonic() + _READY_S
        while True:
            try:
                return self._empty()
            except (OSError, RefusedByBroker):
                if time.monotonic() > give_up_at:
                    raise
            # A test removed a queue, or the node was started again, whose streams come up a moment after it.
            time.sleep(0.1)
            self.install()

    def _empty(self) -> None:
        """Empty the queues that hold something, and make the streams anew, whose length the broker does not tell at once."""
        declared = self._asking.ask([Method.Declare(queue=spec.name, passive=True) for spec in QUEUES])
        filled = [spec for spec, found in zip(QUEUES, declared, strict=True) if _is_stream(spec) or _length(found)]
        self._asking.ask([method for spec in filled for method in _emptying(spec)])

    def delete(self, queue: str) -> None:
        """Delete one queue."""
        with management(self.management_url, self.settings(_ADMIN)) as broker:
            broker.delete("queues", broker.vhost, queue)

    def remake(self, *specs: QueueSpec) -> None:
        """Delete queues and declare them again, empty."""
        with management(self.management_url, self.settings(_ADMIN)) as broker:
            for spec in specs:
                broker.delete("queues", broker.vhost, spec.name)
        self.install()

    def close_connections(self, user: str) -> None:
        """Have the broker close every connection of a user."""
        self.node.control("close_all_user_connections", user, "a test")

    @contextlib.contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """Raise the memory alarm for the length of a `with`: the broker stops reading from publishers."""
        self.node.control("set_vm_memory_high_watermark", "0.0001")
        try:
            yield
        finally:
            self.node.control("set_vm_memory_high_watermark", "0.4")


def _is_stream(spec: QueueSpec) -> bool:
    return spec.arguments["x-queue-type"] == _STREAM


def _length(declared: Frame) -> int:
    assert isinstance(declared, Method.DeclareOk)
    return declared.message_count or 0


def _emptying(spec: QueueSpec) -> Iterator[Frame]:
    if not _is_stream(spec):
        yield Method.Purge(queue=spec.name)
        return
    # A stream cannot be purged.
    yield Method.Delete(queue=spec.name)
    yield Method.Declare(queue=spec.name, durable=True, arguments={**spec.arguments})
    for exchange, key in spec.bindings:
        yield Method.Bind(queue=spec.name, exchange=exchange.value, routing_key=key)


def in_thread(work: Coroutine[None, None, Result]) -> Result:
    """Run a coroutine to its end from code that is not async, whatever loop the test itself runs in."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, work).result()
