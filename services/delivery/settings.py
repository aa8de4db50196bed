"""Settings of the delivery service: where and how this host runs it. The rules of delivery are policy."""

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from shared.settings import COMMA_SEPARATED, ServiceSettings, TracingSettings


def _address(text: str) -> str:
    return str(ip_address(text))


class DeliverySettings(ServiceSettings):
    """Where and how delivery runs on this host.

    data_dir: where relative `maildir:` routes begin. secrets_dir: where the files lie that the policy names: passwords,
    keys, authorities; each readable by its owner alone. rewriting_secrets: what SRS and BATV are made with, the same in
    edge and delivery on all hosts; the first makes, all are taken. source_address: whence connections go out, or any.
    own_addresses: of the gateway beside this machine's own (a proxy's), which DNS must not lead mail back to.
    allow_private_mx: whether MX records may name private hosts, for a closed network with a DNS of its own.
    mx_port: the port of hosts that MX records name; other than 25 only where a firewall maps it.
    prefetch: how many messages are under way at a time, and again_prefetch: of those that have waited, beside them.
    memory_bytes: how many octets of them; what comes beyond waits.
    """

    data_dir: Path = Path("var")
    secrets_dir: Path = Path("/etc/gatepost/secrets")
    rewriting_secrets: Annotated[tuple[SecretStr, ...], COMMA_SEPARATED] = ()
    source_address: Annotated[str, AfterValidator(_address)] | None = None
    own_addresses: Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], COMMA_SEPARATED] = ()
    allow_private_mx: bool = False
    mx_port: int = Field(25, ge=1, le=65535)
    prefetch: int = Field(50, ge=1, le=1000)
    again_prefetch: int = Field(20, ge=1, le=1000)
    memory_bytes: int = Field(268_435_456, ge=1_048_576)
    tracing: TracingSettings = TracingSettings()
