"""Owns the choice of ports: free ones of the range 26000 to 26999, each handed out once per run."""

import socket

FIRST, LAST = 26000, 26999


class Ports:
    """Hands out ports of 127.0.0.1 on which nothing listens."""

    def __init__(self) -> None:
        self._next = FIRST

    def take(self) -> int:
        """Return a port that is free for TCP and UDP. Raises OSError when the range is used up."""
        while self._next <= LAST:
            port, self._next = self._next, self._next + 1
            if _is_free(port, socket.SOCK_STREAM) and _is_free(port, socket.SOCK_DGRAM):
                return port
        raise OSError(f"no free port between {FIRST} and {LAST}")


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        # As every server does: a port whose last connections linger in TIME_WAIT is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
