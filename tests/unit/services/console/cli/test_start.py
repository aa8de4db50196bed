"""How the command starts."""

import os
import subprocess
import sys

from typer.testing import CliRunner

from services.console.cli.main import app

HEAVY = ("sqlalchemy", "aio_pika", "fastapi", "starlette", "uvicorn", "redis", "dns", "argon2")


def test_the_command_starts_without_what_only_the_consoles_own_host_needs() -> None:
    program = f"import sys, services.console.cli.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_shell_completes_commands_and_choices_without_asking_a_console() -> None:
    for words, position, expected in [("gatepost qua", 1, "quarantine"), ("gatepost user add x --role ", 5, "viewer")]:
        more = {"_GATEPOST_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
        program = "import sys; sys.argv[0] = 'gatepost'; from services.console.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | more,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert expected in done.stdout.split(), done.stderr


def test_the_exit_codes_stand_in_the_help() -> None:
    assert "Exit codes: 0 done" in " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"}).stdout.split())
