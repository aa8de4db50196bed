"""What docs/delivery.md shows: its policy is one, its commands are there, and so is every key that it speaks of."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from docs.generate import policy_page, settings_page
from services.console.cli.main import app
from shared.policy import Policy, parse_policy

_PAGE = (Path(__file__).parents[3] / "docs/delivery.md").read_text("utf-8")
_BLOCKS = re.findall(r"^```toml\n(.*?)^```", _PAGE, re.DOTALL | re.MULTILINE)
_PLAIN = re.sub(r"^```.*?^```", "", _PAGE, flags=re.DOTALL | re.MULTILINE)
_INLINE = [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", _PLAIN)]
_IN_BLOCKS = [line.partition("  #")[0].strip() for line in re.findall(r"^gatepost .*$", _PAGE, re.MULTILINE)]
_COMMANDS = [*_IN_BLOCKS, *(code for code in _INLINE if code.startswith("gatepost "))]


def _each(line: str) -> Iterator[list[str]]:
    """Yield the commands of a line that names several: `gatepost domain add | list`."""
    words = shlex.split(line.replace("…", "because"))[1:]
    several = " | " in line
    for last in [word for word in words[1:] if word != "|"] if several else [""]:
        yield [words[0], last] if several else words


def _leaf(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words name, and the rest of them."""
    found: click.Command = typer.main.get_command(app)
    while isinstance(found, click.Group):
        assert words, "the name of a group alone"
        assert words[0] in found.commands, f"no command {words[0]!r}"
        found, words = found.commands[words[0]], words[1:]
    return found, words


def test_the_page_has_blocks_and_commands() -> None:
    assert len(_BLOCKS) == 2
    assert len(_COMMANDS) > 15


def test_the_pieces_of_policy_are_one_policy_together() -> None:
    policy = parse_policy("".join(_BLOCKS))
    assert {"example.org", "example.net", "branch1.example"} == policy.domains.keys()
    assert policy.destinations
    assert policy.interfaces


@pytest.mark.parametrize("line", _COMMANDS)
def test_each_command_is_there_with_its_options(line: str) -> None:
    for words in _each(line):
        command, rest = _leaf(words)
        named = {option for parameter in command.params for option in parameter.opts}
        assert named.issuperset(word for word in rest if word.startswith("--"))
        if rest:
            # One that stands there as it is typed has all that it needs, and nothing else.
            needed = [] if "--reason" in rest else ["--reason=because"] * ("--reason" in named)
            with command.make_context(line, [*rest, *needed]) as context:
                assert not context.args


def test_each_key_that_is_spoken_of_is_one() -> None:
    pages = policy_page() + settings_page()
    spoken = {code for code in _INLINE if re.fullmatch(r"(?!gatepost)[a-z]+(?:_[a-z]+)+", code)}
    assert spoken
    assert {key for key in spoken if f"`{key}`" not in pages} == set()
    tables = {code.strip("[]") for code in _INLINE if re.fullmatch(r"\[[a-z_]+\]", code)}
    assert tables <= Policy.model_fields.keys()
