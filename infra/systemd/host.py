"""The host that Gatepost is installed on, or a folder that stands for one (I/O: files, processes).

Owns: paths below the root, whose files are whose, and whether systemd runs there.
Input: the root, `/` or a folder for tests and images, in which nothing is started.
On failure: InstallError with what to do.
"""

import os
import subprocess
from pathlib import Path


class InstallError(Exception):
    """What keeps Gatepost from being installed here."""


class Host:
    """A host by its root folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        # systemd's own way to tell (sd_booted).
        self.runs_systemd = self.root == Path("/") and Path("/run/systemd/system").is_dir()

    def path(self, absolute: str) -> Path:
        """Return where a path of the host lies."""
        return self.root / absolute.lstrip("/")

    def folder(self, absolute: str, mode: int, user: str = "root") -> Path:
        """Make a folder be there, with a mode and an owner."""
        path = self.path(absolute)
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, *self.owner(user))
        path.chmod(mode)
        return path

    def write(self, absolute: str, content: bytes, mode: int, user: str = "root", group: str = "") -> bool:
        """Write a file whole or not at all; return whether that changed it."""
        path = self.path(absolute)
        draft = path.with_name(f".{path.name}.new")
        draft.unlink(missing_ok=True)
        changed = not path.exists() or path.read_bytes() != content
        draft.touch(mode=0o600)
        draft.write_bytes(content)
        os.chown(draft, self.owner(user)[0], self.owner(group or user)[1])
        draft.chmod(mode)
        draft.rename(path)
        return changed

    def write_once(self, absolute: str, content: bytes, mode: int, user: str = "root") -> bool:
        """Write a file unless it is there; return whether it was written."""
        return not self.path(absolute).exists() and self.write(absolute, content, mode, user)

    def give(self, absolute: str, user: str) -> None:
        """Have a user own a file or a folder with all in it: a restored backup may know other numbers."""
        path = self.path(absolute)
        for one in (path, *path.rglob("*")):
            os.chown(one, *self.owner(user), follow_symlinks=False)

    def knows(self, user: str) -> bool:
        """Whether the host has a user."""
        return user in self._users()

    def make_users(self) -> None:
        """Make the services' users, as /etc/sysusers.d says. Raises InstallError."""
        self.run("systemd-sysusers", f"--root={self.root}", "gatepost.conf")

    def run(self, *command: str, given: str | None = None) -> str:
        """Run a command and return what it prints. Raises InstallError with what it says."""
        try:
            done = subprocess.run(command, check=True, capture_output=True, text=True, input=given)
        except FileNotFoundError:
            raise InstallError(f"{command[0]} is missing on this machine") from None
        except subprocess.CalledProcessError as error:
            raise InstallError(f"{' '.join(command[:3])}: {(error.stderr or error.stdout).strip()[-2000:]}") from None
        return done.stdout

    def owner(self, user: str) -> tuple[int, int]:
        """Return the ids of a user and its group. Raises InstallError."""
        if user == "root":
            return 0, 0
        try:
            return self._users()[user]
        except KeyError:
            raise InstallError(f"there is no user {user} here: is its package installed?") from None

    def _users(self) -> dict[str, tuple[int, int]]:
        path = self.path("/etc/passwd")
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        fields = [line.split(":") for line in lines]
        return {field[0]: (int(field[2]), int(field[3])) for field in fields if len(field) > 3}
