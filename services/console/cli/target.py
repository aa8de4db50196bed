"""Which console the command speaks to (I/O: a file of the user's).

Owns: the file that holds a console's address and a token, `~/.config/gatepost/console.toml` or what GATEPOST_CONSOLE
names; it is its owner's alone (mode 0600), or it is refused. Without it the command works on the console's own host,
with the console's settings.
On failure: SettingsError naming the file and what is wrong.
"""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path

import tomlkit
from pydantic import Field, SecretStr, ValidationError

from shared.errors import SettingsError
from shared.explain import explain
from shared.settings import Section

VARIABLE = "GATEPOST_CONSOLE"


class Target(Section):
    """A console elsewhere. ca_file: the authority of its certificate, where that is none of the system's."""

    url: str = Field(pattern="^https://[^/?#]+$")
    token: SecretStr
    ca_file: Path | None = None


def target_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where the target stands, whether it is there or not."""
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    base = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".config")
    return Path(base) / "gatepost" / "console.toml"


def read_target(environ: Mapping[str, str] = os.environ) -> Target | None:
    """Return the console that the user has logged in to, or None. Raises SettingsError."""
    file = target_file(environ)
    try:
        mode = file.stat().st_mode
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        if environ.get(VARIABLE):
            raise SettingsError(f"{file}, which {VARIABLE} names, does not exist: gatepost login URL") from None
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise SettingsError(f"{file} holds a token, and others may read it: chmod 600 {file}")
    try:
        return Target.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}") from None
    except ValidationError as error:
        raise SettingsError(f"{file}: {explain(error)}") from None


def write_target(target: Target, environ: Mapping[str, str] = os.environ) -> Path:
    """Keep a target for the commands that follow, and return its file. Raises SettingsError."""
    file = target_file(environ)
    table = {"url": target.url, "token": target.token.get_secret_value()}
    if target.ca_file is not None:
        table["ca_file"] = str(target.ca_file.absolute())
    draft = file.with_name(f".{file.name}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        draft.write_text(tomlkit.dumps(table), encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise SettingsError(f"{file}: {error}") from None
    return file
