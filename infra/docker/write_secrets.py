"""Write each container's secrets, certificates and settings into its own volume (I/O; a one-shot, run as root).

Owns: which container gets which secret, who owns the file there, and when a certificate is made anew.
Input: the folder of volumes (one per container, and `vault`, which only this program sees), the settings templates, a
certificate of the user's in --certificates, if there is one, the user's secrets that the policy names, in
--policy-secrets, and the gateway's host name.
Output: files of mode 0400 in folders of mode 0700, owned by the container's user. What exists stays as it is, so that
the program can run at every start; a changed template, or a certificate that is about to expire, is written anew.
On failure: an exception and exit 1; nothing that depends on this program starts.
"""

import argparse
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.console.authority import Authority

SERVICE_UID = 10001
ENGINE_UID = 999
RSPAMD_UID = 11333


@dataclass(frozen=True, slots=True)
class Holder:
    """A container with secrets. passwords: (file, name of the secret). certificate_for: the certificate's names."""

    name: str
    uid: int
    passwords: tuple[tuple[str, str], ...] = ()
    certificate_for: tuple[str, ...] = ()
    needs_ca: bool = True


# What the stages count together and remember is in one Redis, with one password.
REDIS = ("redis-password", "redis")
# With what delivery rewrites senders, edge knows the bounces to them.
REWRITING = ("rewriting-secrets", "rewriting")
STAGES = ("edge", "content", "delivery", "console")
HOLDERS = (
    Holder("edge", SERVICE_UID, (("broker-password", "broker-edge"), REDIS, REWRITING, ("loop-key", "loop-key"))),
    Holder("content", SERVICE_UID, (("broker-password", "broker-content"), REDIS)),
    Holder("delivery", SERVICE_UID, (("broker-password", "broker-delivery"), REDIS, REWRITING)),
    Holder(
        "console",
        SERVICE_UID,
        (
            ("broker-password", "broker-console"),
            REDIS,
            ("monitor-password", "broker-monitor"),
            ("rspamd-password", "rspamd"),
            ("web-secret", "web"),
        ),
    ),
    Holder(
        "installer",
        SERVICE_UID,
        (
            ("admin-password", "broker-admin"),
            ("broker-password", "broker-console"),
            ("monitor-password", "broker-monitor"),
        ),
    ),
    Holder("rabbitmq", ENGINE_UID, (("admin-password", "broker-admin"),), ("rabbitmq", "localhost", "127.0.0.1")),
    Holder("redis", ENGINE_UID, (("password", "redis"),), needs_ca=False),
    Holder("rspamd", RSPAMD_UID, needs_ca=False),
    Holder("postgres", ENGINE_UID, (("password", "database"),), needs_ca=False),
)


class Volumes:
    """The volumes of all containers, as folders of one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def vault(self) -> Path:
        """Return the folder that holds the master copies."""
        folder = self._root / "vault"
        folder.chmod(0o700)
        return folder

    def write(self, holder: Holder, name: str, content: bytes) -> None:
        """Put a file into a container's volume, whole or not at all, unless it is there with that content."""
        folder = self._root / holder.name
        os.chown(folder, holder.uid, holder.uid)
        folder.chmod(0o700)
        self._put(holder, folder / name, content)

    def mirror(self, holder: Holder, name: str, files: Mapping[str, bytes]) -> None:
        """Make a folder in a container's volume hold these files and no others."""
        top = self._root / holder.name
        for folder in (top, top / name):
            folder.mkdir(exist_ok=True)
            os.chown(folder, holder.uid, holder.uid)
            folder.chmod(0o700)
        for path in sorted((top / name).iterdir()):
            if path.name not in files:
                path.unlink()
                print(f"{holder.name}: removed {name}/{path.name}")
        for file_name, content in files.items():
            self._put(holder, top / name / file_name, content)

    def _put(self, holder: Holder, path: Path, content: bytes) -> None:
        if path.exists() and path.read_bytes() == content:
            return
        draft = path.with_name(f".{path.name}")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o400)
        os.chown(draft, holder.uid, holder.uid)
        draft.write_bytes(content)
        draft.rename(path)
        print(f"{holder.name}: wrote {path.relative_to(self._root / holder.name)}")


def password(vault: Path, name: str) -> str:
    """Return a secret of the vault, made on its first use; letters and digits alone, so that no file needs quoting."""
    path = vault / name
    if not path.exists():
        draft = vault / f".{name}"
        draft.write_text(secrets.token_hex(24), encoding="ascii")
        draft.rename(path)
    return path.read_text(encoding="ascii")


def write_holder(volumes: Volumes, holder: Holder, authority: Authority) -> None:
    """Write what one container needs, beside its settings."""
    for file_name, secret in holder.passwords:
        volumes.write(holder, file_name, password(volumes.vault(), secret).encode())
    if holder.needs_ca:
        volumes.write(holder, "ca.pem", authority.certificate_pem)
    if holder.certificate_for:
        certificate, key = authority.server_certificate(holder.name, holder.certificate_for)
        volumes.write(holder, "certificate.pem", certificate)
        volumes.write(holder, "key.pem", key)


def write_composed(volumes: Volumes) -> None:
    """Write what holds a secret among other text: addresses, and what an engine's own configuration includes."""
    by_name = {holder.name: holder for holder in HOLDERS}
    database = f"postgresql://gatepost:{password(volumes.vault(), 'database')}@postgres:5432/gatepost"
    for name in ("console", "installer"):
        volumes.write(by_name[name], "database-url", database.encode())
    for stage in STAGES:
        # What `gatepost topology apply` reads of each service's settings: its broker user.
        broker = f'[broker]\nuser = "{stage}"\npassword = "{password(volumes.vault(), f"broker-{stage}")}"\n'
        volumes.write(by_name["installer"], f"{stage}.toml", broker.encode())
    admin = f"default_user = gatepost-admin\ndefault_pass = {password(volumes.vault(), 'broker-admin')}\n"
    volumes.write(by_name["rabbitmq"], "admin.conf", admin.encode())
    write_redis_users(volumes, by_name["redis"])
    write_rspamd(volumes, by_name["rspamd"])


def write_redis_users(volumes: Volumes, holder: Holder) -> None:
    """Write whom Redis knows: the stages, as its default user, and Rspamd, which may change no settings of it."""
    stages = f"requirepass {password(volumes.vault(), 'redis')}\n"
    # Its scripts name their keys in a form of their own: Redis cannot hold it to some keys.
    rspamd = f"user rspamd on >{password(volumes.vault(), 'redis-rspamd')} resetchannels ~* +@all -@admin -@dangerous\n"
    volumes.write(holder, "password.conf", (stages + rspamd).encode())


def write_rspamd(volumes: Volumes, holder: Holder) -> None:
    """Write what Rspamd's configuration includes: who may teach it, and where it keeps what it learned."""
    own = password(volumes.vault(), "rspamd")
    volumes.write(holder, "controller.inc", f'password = "{own}";\nenable_password = "{own}";\n'.encode())
    user = f'username = "rspamd";\npassword = "{password(volumes.vault(), "redis-rspamd")}";\n'
    # A database apart from what the stages count.
    volumes.write(holder, "redis.inc", f'servers = "redis:6379";\ndb = "1";\n{user}'.encode())


def write_certificates(volumes: Volumes, authority: Authority, hostname: str, own: Path) -> None:
    """Write the certificate of SMTP and of the console: the user's if there is one, else one of ours each."""
    by_name = {holder.name: holder for holder in HOLDERS}
    files = own / "fullchain.pem", own / "privkey.pem"
    is_users = all(file.exists() for file in files)
    if not is_users:
        print(f"no certificate in {own}: using ones of our own for {hostname}")
    for name, names in (("edge", (hostname,)), ("console", (hostname, "localhost", "127.0.0.1"))):
        pair = tuple(file.read_bytes() for file in files) if is_users else authority.server_certificate(name, names)
        for file_name, content in zip(("certificate.pem", "key.pem"), pair, strict=True):
            volumes.write(by_name[name], file_name, content)


def write_policy_secrets(volumes: Volumes, own: Path) -> None:
    """Copy the secrets that the policy names: the user's files, which delivery could not read as they are."""
    delivery = next(holder for holder in HOLDERS if holder.name == "delivery")
    files = sorted(path for path in own.iterdir() if path.is_file()) if own.is_dir() else []
    named = {path.name: path.read_bytes() for path in files if not path.name.startswith(".")}
    volumes.mirror(delivery, "policy", {name: content for name, content in named.items() if name != "README.md"})


def write_settings(volumes: Volumes, templates: Path) -> None:
    """Copy each container's settings, which must be readable by its user alone."""
    for holder in HOLDERS:
        template = templates / f"{holder.name}.toml"
        if template.exists():
            volumes.write(holder, "settings.toml", template.read_bytes())


def main() -> None:
    """Write everything for every container."""
    parser = argparse.ArgumentParser(description="Write each container's secrets, certificates and settings.")
    parser.add_argument("--volumes", type=Path, default=Path("/secrets"))
    parser.add_argument("--settings", type=Path, default=Path("/etc/gatepost/settings"))
    parser.add_argument("--certificates", type=Path, default=Path("/certificates"))
    parser.add_argument("--policy-secrets", type=Path, default=Path("/delivery-secrets"))
    parser.add_argument("--hostname", required=True)
    options = parser.parse_args()
    volumes = Volumes(options.volumes)
    authority = Authority(volumes.vault())
    for holder in HOLDERS:
        write_holder(volumes, holder, authority)
    write_composed(volumes)
    write_certificates(volumes, authority, options.hostname, options.certificates)
    write_policy_secrets(volumes, options.policy_secrets)
    write_settings(volumes, options.settings)
    print("secrets: all in place")


if __name__ == "__main__":
    main()
