"""`gatepost status`, `doctor` and `topology apply`, and the recorder as a process."""

import asyncio
import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.broker.connect import Link
from shared.broker.publish import Publisher
from shared.broker.topology import QUEUES, Exchange, Key, Queue
from shared.event import encode_events
from shared.ids import new_id
from shared.wire import MAIL_TYPE, mail_headers
from tests.integration.console.command import Gatepost
from tests.integration.console.mail import MESSAGE, NOTE, delivered_story, envelope
from tests.rabbit import Rabbit


@contextlib.contextmanager
def recorder_process(gatepost: Gatepost) -> "Iterator[subprocess.Popen[bytes]]":
    env = os.environ | gatepost.environment
    log = (gatepost.folder / "recorder.log").open("wb")
    process = subprocess.Popen([sys.executable, "-m", "services.console"], env=env, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        log.close()


def readyz(gatepost: Gatepost) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", gatepost.health_port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def until_ready(gatepost: Gatepost) -> None:
    deadline = time.monotonic() + 20
    while readyz(gatepost) != 200:
        assert time.monotonic() < deadline, (gatepost.folder / "recorder.log").read_text()
        time.sleep(0.1)


def publish(rabbit: Rabbit, user: str, exchange: Exchange, key: Key, body: bytes, **more: object) -> None:
    async def send() -> None:
        link = Link(rabbit.settings(user), "test-publish")
        publisher = Publisher(link)
        link.start()
        try:
            await publisher.publish(exchange.value, key.value, body, **more)  # type: ignore[arg-type]
        finally:
            await link.close()

    asyncio.run(send())


def test_the_recorder_runs_records_and_ends_in_order(gatepost: Gatepost) -> None:
    message_id, held = new_id(), envelope(new_id())
    with recorder_process(gatepost) as process:
        until_ready(gatepost)
        publish(gatepost.rabbit, "edge", Exchange.EVENTS, Key.EVENTS, encode_events(delivered_story(message_id)))
        headers = mail_headers(held, note=NOTE)
        publish(
            gatepost.rabbit, "content", Exchange.QUARANTINE, Key.QUARANTINE, MESSAGE,
            headers=headers, message_type=MAIL_TYPE, message_id=held.id,
        )  # fmt: skip
        # On SIGTERM what was taken is written; what was not stays in the broker.
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    with recorder_process(gatepost):
        until_ready(gatepost)
        deadline = time.monotonic() + 20
        while gatepost("trace", message_id).exit_code or gatepost("quarantine", "show", held.id).exit_code:
            assert time.monotonic() < deadline
        status = gatepost.json("status")
        assert [one["service"] for one in status["services"] if one["ready"]] == ["recorder"]


def test_a_recorder_without_its_database_is_not_ready(rabbit: Rabbit, tmp_path: Path) -> None:
    gatepost = Gatepost(tmp_path, rabbit, "postgresql://nobody@127.0.0.1:1/none")
    with recorder_process(gatepost) as process:
        deadline = time.monotonic() + 20
        while (code := readyz(gatepost)) == 0:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert code == 503
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def test_settings_that_others_can_read_are_refused(gatepost: Gatepost) -> None:
    gatepost.file.chmod(0o644)
    assert gatepost("status").exit_code == 2
    done = subprocess.run(
        [sys.executable, "-m", "services.console"],
        env=os.environ | gatepost.environment, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert (done.returncode, "chmod 600" in done.stderr) == (2, True)


def test_status_says_what_waits_and_what_became_of_the_mail(gatepost: Gatepost) -> None:
    gatepost.write(delivered_story(new_id(), time.time() - 60))
    oldest = delivered_story(new_id(), time.time() - 3600)[:4]
    gatepost.write(oldest)
    gatepost.hold(envelope(new_id()))
    found = gatepost.json("status")
    assert found["outcomes"] == {"accepted": 1, "delivered": 1}
    assert found["oldest"][:2] == [oldest[0].id, "accepted"]
    assert found["held"] == 1
    assert Queue.CONTENT.value in [queue["queue"] for queue in found["queues"]]
    shown = gatepost("status")
    assert shown.exit_code == 1
    assert "NOT READY" in shown.stdout
    assert oldest[0].id in shown.stdout


def test_doctor_names_what_is_wrong_and_how_to_mend_it(gatepost: Gatepost, tmp_path: Path) -> None:
    gatepost.write(delivered_story(new_id()))
    (tmp_path / "edge.toml").write_text("")
    (tmp_path / "edge.toml").chmod(0o644)
    found = gatepost("doctor")
    assert found.exit_code == 1
    assert f"chmod 600 {tmp_path}/edge.toml" in found.stdout
    assert "XX policy: none is in force" in found.stdout
    assert "ok broker:" in found.stdout
    assert "ok topology:" in found.stdout
    assert "ok database:" in found.stdout
    assert "XX DNS:" in found.stdout
    assert "XX edge:" in found.stdout


def test_doctor_sees_that_the_policy_file_is_not_in_force(gatepost: Gatepost, tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    file.write_text("# one\n")
    gatepost("policy", "apply", str(file), "--reason", "one")
    assert "ok policy file:" in gatepost("doctor").stdout
    file.write_text("# two\n")
    found = gatepost("doctor").stdout
    assert "!! policy file:" in found
    assert f"gatepost policy apply {file}" in found


def test_topology_apply_declares_what_is_missing(gatepost: Gatepost) -> None:
    spec = next(spec for spec in QUEUES if spec.name == Queue.VERIFY.value)
    gatepost.rabbit.node.control("delete_queue", spec.name)
    assert f"queue {spec.name} is missing" in gatepost("doctor").stdout
    done = gatepost("topology", "apply")
    assert (done.exit_code, done.stderr) == (0, "")
    assert "ok topology:" in gatepost("doctor").stdout


def test_without_its_database_status_still_says_the_rest(rabbit: Rabbit, tmp_path: Path) -> None:
    gatepost = Gatepost(tmp_path, rabbit, "postgresql://nobody@127.0.0.1:1/none")
    shown = gatepost("status")
    assert shown.exit_code == 1
    assert "Mail: not known" in shown.stdout
    assert Queue.CONTENT.value in shown.stdout
    trace = gatepost("trace", new_id())
    assert (trace.exit_code, "cannot be reached" in trace.stderr) == (1, True)


@pytest.mark.parametrize("command", [("topology", "apply")])
def test_what_needs_an_administrator_says_so(rabbit: Rabbit, tmp_path: Path, command: tuple[str, ...]) -> None:
    refused = Gatepost(tmp_path, rabbit, admin=False)(*command)
    assert (refused.exit_code, "[admin]" in refused.stderr) == (1, True)
