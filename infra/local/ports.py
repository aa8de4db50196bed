"""Free TCP ports on loopback (I/O: asks the kernel)."""

import contextlib
import socket


def free_ports(count: int) -> list[int]:
    """Return so many different ports that nothing listened on a moment ago."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            probe = stack.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            ports.append(int(probe.getsockname()[1]))
        return ports


def is_listening(port: int) -> bool:
    """Whether something on loopback takes connections at a port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
