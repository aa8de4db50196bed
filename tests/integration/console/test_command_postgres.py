"""The same commands on PostgreSQL."""

import asyncio
from pathlib import Path

from shared.broker.topology import Queue
from shared.ids import new_id
from tests.integration.console.command import Gatepost
from tests.integration.console.mail import MESSAGE, delivered_story, envelope
from tests.integration.console.postgres import Postgres
from tests.rabbit import Rabbit


def test_every_command_that_uses_the_database_works_on_postgresql(
    rabbit: Rabbit, postgres: Postgres, tmp_path: Path
) -> None:
    gatepost = Gatepost(tmp_path, rabbit, asyncio.run(postgres.fresh("commands")))
    released, deleted, message_id = envelope(new_id()), envelope(new_id()), new_id()
    gatepost.write(delivered_story(message_id))
    gatepost.hold(released)
    gatepost.hold(deleted)
    policy = tmp_path / "policy.toml"
    policy.write_text("# ours\n")
    for arguments in (
        ("trace", message_id),
        ("quarantine", "list", "--recipient", "DEMO"),
        ("quarantine", "show", released.id),
        ("quarantine", "release", released.id),
        ("quarantine", "delete", "--yes", deleted.id),
        ("policy", "apply", str(policy), "--reason", "first"),
        ("policy", "show", "--version", "1"),
        ("account", "list"),
    ):
        done = gatepost(*arguments)
        assert done.exit_code == 0, (arguments, done.output)
    assert gatepost("account", "add", "a@b.test", "--password-stdin", typed="correct horse\n").exit_code == 0
    assert gatepost("account", "remove", "a@b.test").exit_code == 0
    assert gatepost.take("delivery", Queue.DELIVERY.value).body.endswith(MESSAGE)
    assert gatepost.json("quarantine", "list") == []
    assert gatepost.json("status")["held"] == 0
    assert "ok database:" in gatepost("doctor").stdout


def test_two_releases_at_once_send_one_mail(rabbit: Rabbit, postgres: Postgres, tmp_path: Path) -> None:
    gatepost = Gatepost(tmp_path, rabbit, asyncio.run(postgres.fresh("twice")))
    mail = envelope(new_id())
    gatepost.hold(mail)

    async def both() -> list[int]:
        runs = [asyncio.to_thread(gatepost.process, "quarantine", "release", mail.id) for _ in range(2)]
        return sorted(done.returncode for done in await asyncio.gather(*runs))

    assert asyncio.run(both()) == [0, 1]
    assert gatepost.take("delivery", Queue.DELIVERY.value) is not None
    assert gatepost.take("delivery", Queue.DELIVERY.value) is None
