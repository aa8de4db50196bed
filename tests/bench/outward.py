"""Owns `make bench-delivery`: how fast a queue that is full already goes out, ours beside Postfix's own (qmgr and smtp).

Input: the command line. Output: messages per second and CPU per message of both, into one smtp-sink, with their ratio.
Each system has the same messages in its queue before the clock runs: ours in `gatepost.delivery`, Postfix's in
`incoming`, put there while no qmgr ran. The clock runs from the first message at the sink to the last one, so that no
start of a process is measured.
On failure: status 1 with the reason; everything that was started is stopped.
"""

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from shared.broker.connect import Link
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Key
from shared.envelope import Client, Direction, Envelope, Proof, Recipient
from shared.ids import new_id
from shared.policy_entry import PolicyEntry, encode_policy
from shared.wire import MAIL_TYPE, mail_headers
from tests.bench.cpu import spent_s
from tests.bench.lab.child import Child
from tests.bench.lab.mail import new_key, signed_message
from tests.bench.lab.ports import Ports
from tests.bench.lab.sink import Sink
from tests.bench.lab.source import Generator
from tests.bench.peer import RECIPIENT, SENDER, Lab, Roles
from tests.bench.peers.postfix import PostfixInstance
from tests.bench.procfs import TICKS_PER_S, snapshot
from tests.rabbit import Rabbit

SIZES = (4000, 50000)
_ROOT = Path(__file__).parents[2]
_DEADLINE_S = 600.0
_AT_ONCE = 200

_POLICY = """\
default_route = "smtp://127.0.0.1:{sink_port}"
[domains."ours.bench.test"]
route = "smtp://127.0.0.1:{sink_port}"
recipients = "any"
[delivery]
tls = "off"
connections_per_hop = 20
"""

_SETTINGS = """\
hostname = "gate.bench.test"
prefetch = {prefetch}
[broker]
port = {broker_port}
user = "delivery"
password = "{password}"
[health]
port = 0
[dns]
nameservers = ["127.0.0.1:{dead_port}"]
[log]
level = "warning"
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement. cpu_ms: per message, by part."""

    rate: float
    cpu_ms: dict[str, float]


class OurQueue:
    """A RabbitMQ with a queue to fill, and the delivery service."""

    title = "Gatepost delivery"

    def __init__(self, folder: Path, sink_port: int, ports: Ports, options: argparse.Namespace) -> None:
        self._folder = folder / "gatepost"
        self._folder.mkdir()
        self._sink_port = sink_port
        self._dead_port = ports.take()
        self._options = options
        self._rabbit = Rabbit(self._folder)

    def start(self) -> None:
        """Start the broker and put the policy in force."""
        self._rabbit.start()
        self._rabbit.install()
        policy = PolicyEntry(1, "bench", "bench", time.time(), _POLICY.format(sink_port=self._sink_port))
        asyncio.run(self._publish("console", [(Exchange.POLICY, Key.POLICY, encode_policy(policy), {}, None, "")]))

    def stop(self) -> None:
        """Stop the broker."""
        self._rabbit.stop()

    def fill(self, message: Path, count: int) -> None:
        """Put so many messages into the queue."""
        body = message.read_bytes().replace(b"\n", b"\r\n")
        envelopes = [_envelope(len(body)) for _ in range(count)]
        mails = [
            (Exchange.DELIVERY, Key.DELIVERY, body, mail_headers(envelope), envelope.id, MAIL_TYPE)
            for envelope in envelopes
        ]
        asyncio.run(self._publish("content", mails))

    @contextmanager
    def delivering(self) -> Iterator[Roles]:
        """Run the delivery service."""
        settings = self._folder / "delivery.toml"
        settings.write_text(
            _SETTINGS.format(
                broker_port=self._rabbit.port,
                password=self._rabbit.passwords["delivery"],
                dead_port=self._dead_port,
                prefetch=self._options.prefetch,
            )
        )
        settings.chmod(0o600)
        argv = [sys.executable, "-m", "services.delivery"]
        children = [
            Child(argv, self._folder / f"{number}.log", env={"GATEPOST_SETTINGS_FILE": str(settings)}, cwd=_ROOT)
            for number in range(self._options.processes)
        ]
        try:
            yield {"delivery": [child.pid for child in children], "broker": [self._rabbit.node.pid]}
        finally:
            for child in children:
                child.stop()

    async def _publish(
        self, user: str, mails: Sequence[tuple[Exchange, Key, bytes, dict[str, str], str | None, str]]
    ) -> None:
        link = Link(self._rabbit.settings(user), "bench")
        publisher = Publisher(link)
        link.start()
        for start in range(0, len(mails), _AT_ONCE):
            await asyncio.gather(
                *(
                    publisher.publish(
                        exchange.value, key.value, body, headers=headers, message_id=message_id, message_type=kind
                    )
                    for exchange, key, body, headers, message_id, kind in mails[start : start + _AT_ONCE]
                )
            )
        await link.close()


class PostfixQueue:
    """A Postfix whose qmgr is switched off while its queue is filled."""

    title = "Postfix (qmgr and smtp)"

    def __init__(self, folder: Path, sink_port: int, ports: Ports) -> None:
        # The limit of processes per service is 100; destinations get 20 connections, as many as ours.
        lab = Lab(folder, ports, dns_port=0, clamd_port=0, sink_port=sink_port)
        self._instance = PostfixInstance(lab, "postfix", "smtp_tls_security_level = none\n")
        self._master = folder / "postfix" / "etc" / "master.cf"

    def start(self) -> None:
        """Start it without its qmgr."""
        self._switch(on=False)
        self._instance.start()

    def stop(self) -> None:
        """Stop it."""
        self._instance.stop()

    def fill(self, message: Path, count: int) -> None:
        """Put so many messages into the queue."""
        generator = Generator(self._instance.port, message, messages=count, kept=True)
        try:
            generator.finish(_DEADLINE_S)
        finally:
            generator.stop()

    @contextmanager
    def delivering(self) -> Iterator[Roles]:
        """Run with qmgr."""
        self._instance.stop()
        self._switch(on=True)
        self._instance.restart()
        try:
            yield {"postfix": [self._instance.pid]}
        finally:
            self._instance.stop()
            self._switch(on=False)
            self._instance.restart()

    def _switch(self, *, on: bool) -> None:
        text = re.sub(r"(?m)^#?qmgr", "qmgr" if on else "#qmgr", self._master.read_text())
        self._master.write_text(text)


Full = OurQueue | PostfixQueue


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.outward", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--processes", type=int, default=1, help="delivery processes")
    parser.add_argument("--prefetch", type=int, default=50)
    parser.add_argument("--only", choices=("gatepost", "postfix"))
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        print("bench: needs root: Postfix starts only as root", file=sys.stderr)
        return 1
    with ExitStack() as undo:
        folder = Path(tempfile.mkdtemp(prefix="gatepost-bench-", dir="/var/tmp"))
        folder.chmod(0o755)
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        ports = Ports()
        sink_port = ports.take()
        makers: dict[str, Callable[[], Full]] = {
            "postfix": lambda: PostfixQueue(folder, sink_port, ports),
            "gatepost": lambda: OurQueue(folder, sink_port, ports, options),
        }
        systems = [make() for name, make in makers.items() if options.only in (None, name)]
        for system in systems:
            undo.callback(system.stop)
            system.start()
        key = new_key()
        for size in options.sizes:
            message = folder / f"message-{size}"
            message.write_bytes(signed_message(size, key))
            found: dict[str, list[Measured]] = {system.title: [] for system in systems}
            for number in range(options.rounds):
                for system in systems[number % 2 :] + systems[: number % 2]:
                    one = _measure(system, message, options.messages, sink_port)
                    found[system.title].append(one)
                    parts = ", ".join(f"{part} {ms:.2f} ms" for part, ms in one.cpu_ms.items())
                    print(f"bench: {size} octets, {system.title}: {one.rate:.0f}/s; CPU {parts}", flush=True)
            if len(systems) == 2:
                theirs, ours = (found[system.title] for system in systems)
                ratios = [our.rate / their.rate for our, their in zip(ours, theirs, strict=True)]
                print(
                    f"bench: {size} octets, median ratio to Postfix {median(ratios):.2f}"
                    f" ({min(ratios):.2f} to {max(ratios):.2f})",
                    flush=True,
                )
    return 0


def _measure(system: Full, message: Path, count: int, sink_port: int) -> Measured:
    with closing(Sink(sink_port)) as sink:
        system.fill(message, count)
        with system.delivering() as roles:
            sink.wait_for(1, _DEADLINE_S)
            before = snapshot()
            first = time.perf_counter()
            # What is not yet done of the first message's start is the same for both.
            started = sink.count
            sink.wait_for(count, _DEADLINE_S)
            seconds = time.perf_counter() - first
            # The acknowledgements of the last messages.
            time.sleep(1.0)
            after = snapshot()
            spent = spent_s(before, after, roles, TICKS_PER_S)
    return Measured((count - started) / seconds, {part: cpu_s / count * 1000 for part, cpu_s in spent.items()})


def _envelope(size_bytes: int) -> Envelope:
    return Envelope(
        id=new_id(),
        received_at=time.time(),
        listener="submission",
        direction=Direction.OUTBOUND,
        client=Client("192.0.2.9", 4711, "client.bench.test", login="user"),
        sender=SENDER,
        recipients=(Recipient(RECIPIENT),),
        size_bytes=size_bytes,
        proved=Proof.LOGIN,
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"bench: {error}")
