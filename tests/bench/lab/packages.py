"""Owns the question which version of a Debian package is installed."""

import subprocess


def versions(*packages: str) -> dict[str, str]:
    """Return name and version of each package that is installed."""
    argv = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", *packages]
    told = subprocess.run(argv, capture_output=True, text=True, check=False).stdout
    pairs = (line.split() for line in told.splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}
