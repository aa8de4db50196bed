"""Tell Docker whether the service in this container is ready (I/O): `probe.py PORT`, exit 0 or 1.

A plain socket, for this runs every few seconds in every container.
"""

import socket
import sys

_TIMEOUT_S = 3


def is_ready(port: int) -> bool:
    """Whether /readyz on this host answers 200."""
    try:
        with socket.create_connection(("127.0.0.1", port), _TIMEOUT_S) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            status = connection.makefile("rb").readline(200).split()
    except OSError:
        return False
    return len(status) > 1 and status[1] == b"200"


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(sys.argv[1])) else 1)
