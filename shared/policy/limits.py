"""Limits of sessions and messages (PURE), global and per listener."""

from functools import cached_property
from typing import Literal

from pydantic import Field

from shared.policy.table import Network, RateText, Table

_STRESS: dict[str, float] = {
    "command_timeout_s": 10.0,
    "data_timeout_s": 30.0,
    "handshake_timeout_s": 10.0,
    "session_timeout_s": 300.0,
    "errors": 2,
    "unknown_commands": 1,
    "messages": 10,
}


class SessionLimits(Table):
    """Limits that each listener may set for itself; what it does not set is the global value.

    Times in seconds, sizes in octets. Addresses are counted one by one, networks as /24 (IPv4) and /64 (IPv6); a
    network may do `network_factor` times what an address may. Rates are per client address.
    commands, errors: since the last message that was taken. refused_recipients: in the whole session, and no errors.
    From `errors_before_delay` errors and refused recipients on, each further one is answered `error_delay_s` late.
    min_data_bytes_per_s: a mean over the message, after 30 seconds (or data_timeout_s, where that is less); 0 asks for
    nothing. long_lines: of more than 998 octets.
    """

    message_size_bytes: int = Field(26_214_400, ge=65_536, le=104_857_600, json_schema_extra={"standard": "RFC 1870"})
    # RFC 5321 §4.5.3.1.8: fewer than 100 may not be the limit.
    recipients: int = Field(100, ge=100, le=1000, json_schema_extra={"standard": "RFC 5321 §4.5.3.1.8"})
    received_fields: int = Field(30, ge=10, le=100, json_schema_extra={"standard": "RFC 5321 §6.3"})
    long_lines: Literal["accept", "refuse"] = Field("accept", json_schema_extra={"standard": "RFC 5321 §4.5.3.1.6"})
    # ---- connections
    connections: int = Field(1000, ge=1, le=100_000)
    connections_per_address: int = Field(50, ge=1, le=100_000)
    network_factor: int = Field(4, ge=1, le=256)
    connection_rate: RateText = Field("120/min", validate_default=True)
    message_rate: RateText = Field("600/min", validate_default=True)
    recipient_rate: RateText = Field("3000/min", validate_default=True)
    byte_rate: RateText = Field("2000000000/h", validate_default=True)
    # ---- one session
    commands: int = Field(1000, ge=50)
    unknown_commands: int = Field(5, ge=1, le=1000)
    errors: int = Field(10, ge=1, le=1000)
    errors_before_delay: int = Field(3, ge=0, le=1000)
    error_delay_s: float = Field(1, ge=0, le=30)
    auth_failures: int = Field(3, ge=1, le=100)
    messages: int = Field(1000, ge=1)
    refused_recipients: int = Field(20, ge=1, le=1000)
    # RFC 5321 §4.5.3.2.7: a server waits five minutes for the next command.
    command_timeout_s: float = Field(300, gt=0, le=3600, json_schema_extra={"standard": "RFC 5321 §4.5.3.2.7"})
    data_timeout_s: float = Field(180, gt=0, le=3600, json_schema_extra={"standard": "RFC 5321 §4.5.3.2.5"})
    message_timeout_s: float = Field(600, gt=0, le=7200)
    min_data_bytes_per_s: int = Field(64, ge=0)
    handshake_timeout_s: float = Field(30, gt=0, le=300)
    session_timeout_s: float = Field(3600, gt=0, le=86_400)

    @cached_property
    def tightened(self) -> "SessionLimits":
        """The limits while connections run out: never laxer than these."""
        return self.model_copy(update={name: min(value, getattr(self, name)) for name, value in _STRESS.items()})


class Limits(SessionLimits):
    """The global limits: all keys are what listeners inherit, but for these.

    in_flight_bytes: of messages being received, of one process. stress_at: from this share of `connections` on, limits
    tighten by themselves (1 switches that off). tarpits: sessions kept busy at once, beyond which they are dropped.
    exempt_networks: not counted by address or network, nor by rate.
    """

    in_flight_bytes: int = Field(134_217_728, ge=1_048_576)
    stress_at: float = Field(0.8, gt=0, le=1)
    tarpits: int = Field(100, ge=0, le=10_000)
    tarpit_s: float = Field(20, gt=0, le=300)
    exempt_networks: list[Network] = Field(["127.0.0.0/8", "::1/128"], validate_default=True)
