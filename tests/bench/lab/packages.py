"""Owns the question which version of a Debian package is installed, and which of Gatepost is measured."""

import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[3]


def versions(*packages: str) -> dict[str, str]:
    """Return name and version of each package that is installed."""
    argv = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *packages]
    told = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    pairs = (line.split() for line in told.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def gatepost_versions() -> dict[str, str]:
    """Name the commit of this checkout, its Python and the broker."""
    argv = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
    commit = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    python = ".".join(str(part) for part in sys.version_info[:3])
    return {"gatepost": commit or "unknown", "python": python, **versions("rabbitmq-server")}
