"""Settings of the content stage."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from services.content.engines.icap_wire import checked_service
from shared.endpoint import checked_address
from shared.settings import Section, ServiceSettings, TracingSettings


class ClamdSettings(Section):
    """Where clamds listen: `host:port`, `[ipv6]:port`, or the path of a socket. All are used, and the others where one
    is down. sessions: connections kept to each by each worker. stream_max_bytes: clamd's StreamMaxLength, no more; a
    larger message is `exceeded` without being sent. cache_entries: results kept per worker (0: none).
    """

    addresses: list[Annotated[str, AfterValidator(checked_address)]] = Field(
        ["127.0.0.1:3310"], min_length=1, max_length=32
    )
    sessions: int = Field(2, ge=1, le=32)
    stream_max_bytes: int = Field(104_857_600, ge=1_000_000)
    cache_entries: int = Field(10_000, ge=0, le=1_000_000)


class IcapSettings(Section):
    """A second antivirus engine, asked by RESPMOD (RFC 3507) beside clamd. url: `icap://host:1344/service`, or empty.

    connections: kept by each worker.
    """

    url: Annotated[str, AfterValidator(checked_service)] = ""
    connections: int = Field(2, ge=1, le=32)


class AntispamSettings(Section):
    """The antispam engine. engine: rspamd, spamd (SpamAssassin), or none: then nothing looks for spam here.

    addresses: `host:port` of its scanning workers; all are used, and the others where one is down. connections: kept to
    each by each worker. max_bytes: of a larger message only so much is looked at, from the beginning; a text of 20 MB
    would take an engine longer than a verdict may.
    """

    engine: Literal["rspamd", "spamd", "none"] = "rspamd"
    addresses: list[str] = Field(["127.0.0.1:11333"], min_length=1, max_length=32)
    connections: int = Field(8, ge=1, le=100)
    max_bytes: int = Field(2_000_000, ge=100_000, le=50_000_000)


class IsolationSettings(Section):
    """Processes of each worker that examine heavy or odd messages. cpu_s, memory_mb: what one message may cost; a
    process that goes beyond is killed.
    """

    processes: int = Field(1, ge=1, le=16)
    cpu_s: int = Field(5, ge=1, le=60)
    memory_mb: int = Field(768, ge=256, le=16_384)


class ContentSettings(ServiceSettings):
    """hostname doubles as the authserv-id of our Authentication-Results (RFC 8601 §2.5): the same on all content hosts.

    workers: processes on this host. prefetch: messages that one worker holds at a time.
    """

    clamd: ClamdSettings = ClamdSettings()
    icap: IcapSettings = IcapSettings()
    antispam: AntispamSettings = AntispamSettings()
    isolation: IsolationSettings = IsolationSettings()
    tracing: TracingSettings = TracingSettings()
    workers: int = Field(2, ge=1, le=64)
    prefetch: int = Field(20, ge=1, le=500)
