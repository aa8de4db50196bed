"""The secrets that the policy names: files in one folder of delivery's (I/O: files).

Owns: that a name stays within the folder, that a file is its owner's alone, and that a replaced file counts at once.
On failure: SecretMissing, which names the file and what to do. It is temporary: mail waits until it is mended.
"""

import os
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import TemporaryError

# Certificates with their chains and keys, keytabs, all the authorities of a system: 250 kB, and some room.
SIZE_LIMIT_BYTES = 1_048_576
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


class SecretMissing(TemporaryError):
    """A secret that the policy names is not to be had."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What was read, and of which state of the file."""

    state: tuple[int, ...]
    content: bytes = field(repr=False)


class Secrets:
    """The secrets of this host, by name. folder: `secrets_dir` of delivery's settings."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # By names that the policy holds and that are there, so it stays small.
        self._known: dict[str, _Read] = {}

    def path(self, name: str) -> Path:
        """Return where a secret lies, for libraries that read files themselves. Raises SecretMissing."""
        path = self._where(name)
        self._state(name, path)
        return path

    def read(self, name: str) -> bytes:
        """Return the content of a secret; the file is read again only once it has changed. Raises SecretMissing."""
        path = self._where(name)
        state = self._state(name, path)
        known = self._known.get(name)
        if known is not None and known.state == state:
            return known.content
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SecretMissing(f"secret {name!r}: {error}") from None
        if not content.strip():
            raise SecretMissing(f"secret {name!r}: {path} is empty")
        self._known[name] = _Read(state, content)
        return content

    def text(self, name: str) -> str:
        """Return a secret that is one line of text, without its line end. Raises SecretMissing."""
        try:
            text = self.read(name).decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise SecretMissing(f"secret {name!r}: {self._where(name)} is not UTF-8 text") from None
        if "\n" in text or "\0" in text:
            raise SecretMissing(f"secret {name!r}: {self._where(name)} is to hold one line of text")
        return text

    def _where(self, name: str) -> Path:
        if not _NAME.match(name):
            raise SecretMissing(f"secret {name[:80]!r}: not the name of a file in {self._folder}")
        return self._folder / name

    def _state(self, name: str, path: Path) -> tuple[int, ...]:
        try:
            found = path.stat()
        except FileNotFoundError:
            self._known.pop(name, None)
            raise SecretMissing(f"secret {name!r}: there is no file {path}; put it there, with mode 0600") from None
        except OSError as error:
            raise SecretMissing(f"secret {name!r}: {error}") from None
        if not stat.S_ISREG(found.st_mode):
            raise SecretMissing(f"secret {name!r}: {path} is not a file")
        if mode := stat.S_IMODE(found.st_mode) & 0o077:
            shown = f"{stat.S_IMODE(found.st_mode):04o}"
            raise SecretMissing(f"secret {name!r}: mode {shown} lets others in ({mode:04o}); run: chmod 600 {path}")
        # Root may read what is not its own; everybody else would fail at open() anyway.
        if found.st_uid not in (os.geteuid(), 0) and os.geteuid() != 0:
            raise SecretMissing(f"secret {name!r}: {path} belongs to another user")
        if found.st_size > SIZE_LIMIT_BYTES:
            raise SecretMissing(
                f"secret {name!r}: {path} has {found.st_size} octets, at most {SIZE_LIMIT_BYTES} are taken"
            )
        return found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev
