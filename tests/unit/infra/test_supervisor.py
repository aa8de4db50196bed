"""The process manager's configuration."""

import configparser
from pathlib import Path

from infra.local.layout import layout_of
from infra.local.supervisor import configuration, programs

ENGINES = ("rabbitmq", "clamd", "rspamd")
LAYOUT = layout_of({"GATEPOST_DATA": '/srv/100% "mail"'})


def parsed(user: str | None = None) -> configparser.ConfigParser:
    read = configparser.ConfigParser()
    read.read_string(configuration(LAYOUT, Path("/tmp/socket"), programs(LAYOUT, ENGINES), user))
    return read


def test_the_stages_end_before_the_broker_and_the_engines_do() -> None:
    every = programs(LAYOUT, ENGINES)
    order = {program.name: parsed().getint(f"program:{program.name}", "priority") for program in every}
    # supervisord stops the highest first.
    assert max(order[name] for name in ENGINES) < min(
        order[name] for name in ("edge", "content", "delivery", "console")
    )


def test_every_program_is_started_again_for_ever_and_logs_into_its_own_file() -> None:
    for program in programs(LAYOUT, ENGINES):
        section = parsed()[f"program:{program.name}"]
        assert section.getboolean("autorestart")
        assert int(section["startretries"]) > 100_000
        assert section["stdout_logfile"].endswith(f"/{program.name}.log")


def test_odd_characters_of_a_path_stay_what_they_are() -> None:
    assert parsed()["supervisord"]["logfile"] == '/srv/100% "mail"/log/supervisord.log'
    assert '\\"mail\\"' in parsed()["program:edge"]["environment"]


def test_root_is_named_so_that_supervisord_does_not_complain() -> None:
    assert parsed("root")["supervisord"]["user"] == "root"
    assert "user" not in parsed()["supervisord"]
