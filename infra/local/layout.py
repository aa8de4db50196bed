"""Where everything of the local gateway lies: one data folder, chosen by GATEPOST_DATA (I/O: makes folders)."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LOCAL = REPOSITORY / "infra" / "local"


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of one local gateway. overrides: a folder of settings that go over the generated ones, or None."""

    data: Path
    policy_file: Path
    overrides: Path | None

    @property
    def settings(self) -> Path:
        """Generated settings, one file per program, and the secrets."""
        return self.data / "settings"

    @property
    def secrets(self) -> Path:
        """The files that the policy names as secrets; the user's own."""
        return self.settings / "secrets"

    @property
    def tls(self) -> Path:
        """The authority and the listeners' certificate."""
        return self.data / "tls"

    @property
    def dns(self) -> Path:
        """The demo's zone file and DKIM key."""
        return self.data / "dns"

    @property
    def logs(self) -> Path:
        """One log per program."""
        return self.data / "log"

    @property
    def mail(self) -> Path:
        """The Maildirs of the local policy."""
        return self.data / "mail"

    @property
    def database(self) -> Path:
        """The recorder's SQLite file."""
        return self.data / "gatepost.db"

    @property
    def zone_file(self) -> Path:
        """What DNS says about the demo's domains."""
        return self.dns / "test.zone"

    @property
    def dkim_key(self) -> Path:
        """The demo sender's private key."""
        return self.dns / "sender.test.key"

    def settings_file(self, program: str) -> Path:
        """The settings of a program: edge, content, delivery, console, rabbitmq, clamd, rspamd."""
        return self.settings / f"{program}.toml"

    def make_folders(self) -> None:
        """Make every folder that is missing, for the present user alone."""
        for folder in (self.data, self.settings, self.secrets, self.tls, self.dns, self.logs, self.mail):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def layout_of(environ: Mapping[str, str] = os.environ) -> Layout:
    """Return the layout that the environment asks for (DESIGN §8)."""
    overrides = environ.get("GATEPOST_SETTINGS")
    return Layout(
        data=Path(environ.get("GATEPOST_DATA") or REPOSITORY / "var").absolute(),
        policy_file=Path(environ.get("GATEPOST_POLICY") or LOCAL / "policy.toml").absolute(),
        overrides=Path(overrides).absolute() if overrides else None,
    )
