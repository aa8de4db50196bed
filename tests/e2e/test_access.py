"""Access rules hold for every listener of every service, from the moment a policy is applied."""

import socket
from pathlib import Path

from tests.e2e.gateway import Gateway, wait_until

DENIED, OTHER = "127.0.0.2", "127.0.0.3"
RULE = f"""
[[access]]
action = "deny"
networks = ["{DENIED}/32"]
"""


def first_octets(port: int, source: str, said: bytes = b"") -> bytes:
    """Return what a client hears first; nothing where it is let go without a word."""
    with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0)) as client:
        try:
            client.sendall(said)
            return client.recv(12)
        except ConnectionError:
            return b""


def metrics(port: int, source: str) -> bytes:
    return first_octets(port, source, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")


def test_whom_the_policy_denies_reaches_no_listener_of_any_service(gateway: Gateway, tmp_path: Path) -> None:
    ports = [gateway.edge.health.port, gateway.console.health.port]
    ports += [
        int(url.rpartition(":")[2]) for url in (gateway.console.services.content, gateway.console.services.delivery)
    ]
    assert all(metrics(port, DENIED).startswith(b"HTTP/1.1 200") for port in ports)
    original = gateway.layout.policy_file.read_text()
    changed = tmp_path / "policy.toml"
    changed.write_text(original + RULE)
    try:
        assert gateway.gatepost("policy", "apply", str(changed), "--reason", "test").returncode == 0
        wait_until(lambda: all(metrics(port, DENIED) == b"" for port in ports), 20)
        assert first_octets(gateway.port, DENIED).startswith(b"554 5.7.1")
        for source in (OTHER, "127.0.0.1"):
            assert all(metrics(port, source).startswith(b"HTTP/1.1 200") for port in ports)
        assert first_octets(gateway.port, OTHER).startswith(b"220")
    finally:
        changed.write_text(original)
        assert gateway.gatepost("policy", "apply", str(changed), "--reason", "test").returncode == 0
    wait_until(lambda: all(metrics(port, DENIED).startswith(b"HTTP/1.1 200") for port in ports), 20)
