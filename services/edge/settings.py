"""Settings of the edge: where its listeners stand, and with which certificates; their rules are policy."""

from pathlib import Path

from pydantic import Field, SecretStr, model_validator

from shared.settings import Section, ServiceSettings


class ListenerSettings(Section):
    """A socket. port 0 takes a free one. certificate_file, key_file: PEM; without them the listener has no TLS."""

    address: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535)
    certificate_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> "ListenerSettings":
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: set both or none")
        return self


class EdgeSettings(ServiceSettings):
    """The edge's settings. listeners: by the names that the policy gives rules to.

    loop_key: a secret that all edges of one gateway share, with which recipients are marked in our trace field; without
    one each process draws its own, and a loop through another process is only found by its count of Received fields.
    """

    listeners: dict[str, ListenerSettings] = Field(min_length=1)
    loop_key: SecretStr | None = None
    drain_timeout_s: float = Field(25.0, ge=0, le=600)
