"""Settings of the content stage."""

from pydantic import Field

from shared.settings import Section, ServiceSettings


class ClamdSettings(Section):
    """Where clamd listens. sessions: connections kept by each worker."""

    address: str = "127.0.0.1"
    port: int = Field(3310, ge=1, le=65535)
    sessions: int = Field(2, ge=1, le=32)


class ContentSettings(ServiceSettings):
    """hostname doubles as the authserv-id of our Authentication-Results (RFC 8601 §2.5): the same on all content hosts.

    workers: processes on this host. prefetch: messages that one worker holds at a time.
    """

    clamd: ClamdSettings = ClamdSettings()
    workers: int = Field(2, ge=1, le=64)
    prefetch: int = Field(20, ge=1, le=500)
