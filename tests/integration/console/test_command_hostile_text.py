"""Nothing that others wrote moves the cursor, colours, titles or turns the terminal around in which the command runs."""

import asyncio
import os
import pty
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shared.policy_entry import PolicyEntry
from tests.integration.console.command import Gatepost
from tests.integration.console.hostile_scene import DOMAIN, fill, fill_state, policy_text
from tests.integration.console.hostile_text import STORED
from tests.integration.console.policy_scene import publish
from tests.rabbit import Rabbit
from tests.redis import RedisServer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
# Control characters of both sets, and what turns the direction of writing (Unicode UAX #9).
_MOVES = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# Who writes a policy may set it in with tabs, and a tab goes forward alone.
_OF_A_DOCUMENT = {"\t"}
# What a program may write that a person's terminal must not see raw: JSON stands for itself.
_MOVING = [text for text in STORED if _MOVES.search(text)]
# Comments take what no other place of a document takes.
_COMMENTS = "".join(
    f"# {text}\n" for text in ("w900w \u202egnp.exe\u2069", "w901w \x9b31mred\x9d0;owned\x9c", "w902w\ttab")
)


@dataclass(frozen=True, slots=True)
class Terminal:
    """The command at a terminal."""

    gatepost: Gatepost
    stories: list[str]
    held: list[str]

    def commands(self) -> Iterator[tuple[str, ...]]:
        """Yield every command that shows something."""
        for name in self.stories:
            yield "trace", name
        for name in self.held:
            yield "quarantine", "show", name
        yield "trace", self.stories[0], "--json"
        yield from (("find",), ("find", "--json"), ("find", _MOVING[0]), ("tail", "--last", "200", "--count", "200"))
        yield ("tail", "--last", "50", "--count", "50", "--json")
        yield from (("quarantine", "list"), ("quarantine", "list", "--json"))
        yield from (("queue", "list"), ("queue", "show", "all"), ("queue", "hops"), ("queue", "hops", "--json"))
        yield from (("policy", "show"), ("policy", "history"), ("policy", "diff", "1", "2"))
        yield from (("domain", "list"), ("domain", "show", DOMAIN), ("dkim", "list"), ("dkim", "show", DOMAIN))
        yield from (("account", "list"), ("account", "braked"), ("account", "log-ins", "--login", _MOVING[0]))
        yield from (("ban", "list"), ("user", "list"), ("user", "sessions"), ("token", "list"), ("audit",), ("status",))
        yield from (("user", "show", _MOVING[0]), ("policy", "show", "--version", "9" * 9), ("trace", _MOVING[1][:40]))
        yield ("simulate", "192.0.2.7", f"demo@{DOMAIN}", "--sender", _MOVING[0][:60])

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Run a command, and return its exit code and what the terminal got."""
        master, slave = pty.openpty()
        got: list[bytes] = []
        reader = threading.Thread(target=_read, args=(master, got))
        command = [sys.executable, "-m", "services.console.cli.main", *arguments]
        env = os.environ | self.gatepost.environment | {"TERM": "dumb", "NO_COLOR": "1"}
        with subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave) as process:
            os.close(slave)
            reader.start()
            code = process.wait(60)
            reader.join(60)
        os.close(master)
        # A terminal's line end.
        return code, b"".join(got).decode().replace("\r\n", "\n")


def _read(master: int, got: list[bytes]) -> None:
    while True:
        try:
            piece = os.read(master, 65_536)
        except OSError:  # the other end is closed
            return
        if not piece:
            return
        got.append(piece)


@pytest.fixture
def terminal(rabbit: Rabbit, gatepost: Gatepost, tmp_path: Path) -> Iterator[Terminal]:
    redis = RedisServer(tmp_path)
    redis.start()
    try:
        with gatepost.file.open("a") as settings:
            settings.write(f"\n[redis]\nport = {redis.port}\n")
        now = time.time()
        stories, held = gatepost.with_database(lambda database: fill(database, now))

        async def more() -> None:
            await fill_state(redis.settings, now)
            for version in (1, 2):
                entry = PolicyEntry(version, STORED[3], STORED[4], now, policy_text() + _COMMENTS * version)
                await publish(rabbit, entry)

        asyncio.run(more())
        few = _MOVING[:3]
        yield Terminal(gatepost, [stories[text] for text in few], [held[text].split("/")[0] for text in few])
    finally:
        redis.kill()


def test_no_command_lets_what_others_wrote_move_a_terminal(terminal: Terminal) -> None:
    assert len(_MOVING) >= 3
    wrong, codes, said = {}, {}, {}
    for arguments in terminal.commands():
        codes[arguments], said[arguments] = terminal(*arguments)
        found = set(_MOVES.findall(said[arguments])) - (_OF_A_DOCUMENT if arguments[0] == "policy" else set())
        if found:
            wrong[arguments] = sorted(found)
    assert wrong == {}
    failed = [arguments for arguments, code in codes.items() if code not in (0, 1)]
    assert [one for one in failed if one[0] != "simulate"] == [], [said[one] for one in failed]
    silent = [one for one, text in said.items() if codes[one] == 0 and not re.search(r"\bw\d+(w|\.test)", text)]
    # What these show is of ours alone.
    assert set(silent) <= {("status",), ("queue", "list"), ("simulate", "192.0.2.7")} | {
        one for one in said if one[0] == "simulate"
    }, silent


def test_at_a_terminal_no_mail_is_shown_as_it_is_and_a_file_gets_every_octet(terminal: Terminal) -> None:
    code, said = terminal("quarantine", "show", terminal.held[0], "--raw")
    assert code == 2
    assert "write them to a file" in " ".join(said.split())
    done = terminal.gatepost("quarantine", "show", terminal.held[0], "--raw")
    assert done.exit_code == 0
    assert b"X-Raw: " in done.stdout_bytes


def test_a_policy_goes_to_a_file_as_it_is(terminal: Terminal) -> None:
    done = terminal.gatepost("policy", "show")
    assert done.exit_code == 0
    assert done.stdout.endswith(policy_text() + _COMMENTS * 2)
    assert "w902w\\u0009tab" not in terminal("policy", "show")[1]
