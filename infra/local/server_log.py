"""What servers that run in the foreground write (I/O: files)."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def written_to(log: Path | None) -> Iterator[BinaryIO | None]:
    """Give what stdout and stderr of a process are to be, so that a log holds its output; without a log: None."""
    if log is None:
        yield None
        return
    with log.open("ab") as out:
        yield out


def log_end(log: Path | None) -> str:
    """Return the last lines of a log, for whoever is told that its server did not come up."""
    if log is None or not log.exists():
        return "(see its output)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-30:])
