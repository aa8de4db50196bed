"""Real Postfix servers to deliver to: any, and one that keeps mail in Maildirs.

with mailboxes_of({"anna@a.test"}, (), ("smtpd_tls_security_level=encrypt", …)) as hop:
    hop.ports                                  # a listener for each group of settings of its own
    hop.put_off("anna@a.test")                 # refused for now, until hop.admit_all()
    hop.mails("anna@a.test")
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.ports import free_ports, is_listening
from tests.integration.delivery.real_hops import PATH, public_folder, running

_DAEMONS = Path("/usr/lib/postfix/sbin")
_NOBODY = 65534

_MAIN = """
compatibility_level = 3.6
daemon_directory = {daemons}
shlib_directory = /usr/lib/postfix
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = hop.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
smtpd_error_sleep_time = 0
"""
_MASTER = """
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 300   1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
proxymap  unix  - - n -     - proxymap
error     unix  - - n -     - error
retry     unix  - - n -     - error
discard   unix  - - n -     - discard
virtual   unix  - n n -     - virtual
anvil     unix  - - n -     1 anvil
postlog   unix-dgram n - n - 1 postlogd
"""
_MAILBOXES = """
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = hash:{folder}/boxes
virtual_mailbox_base = {folder}/mail
virtual_uid_maps = static:{nobody}
virtual_gid_maps = static:{nobody}
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access hash:{folder}/put-off
smtpd_tls_received_header = yes
"""


@contextlib.contextmanager
def postfix_in(folder: Path, settings: str, *listeners: Sequence[str]) -> Iterator[list[int]]:
    """Run Postfix, with its log in mail.log; yields the ports. listeners: the settings that each has of its own."""
    ports = free_ports(len(listeners))
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix", "postfix")
    (folder / "etc/main.cf").write_text(_MAIN.format(daemons=_DAEMONS, folder=folder) + settings)
    services = [
        f"127.0.0.1:{port} inet n - n - - smtpd" + "".join(f" -o {setting}" for setting in own) + "\n"
        for port, own in zip(ports, listeners, strict=True)
    ]
    (folder / "etc/master.cf").write_text("".join(services) + _MASTER)
    _run("postfix", "-c", str(folder / "etc"), "check")
    master = [str(_DAEMONS / "master"), "-c", str(folder / "etc"), "-s"]
    with running(*master, until=lambda: all(map(is_listening, ports))):
        yield ports


@dataclass(frozen=True)
class Mailboxes:
    """A running one."""

    ports: list[int]
    folder: Path

    def put_off(self, *addresses: str) -> None:
        """Refuse recipients for now."""
        _write_map(self.folder, "put-off", (f"{address} 450 4.2.1 It is being moved" for address in addresses))

    def admit_all(self) -> None:
        """Refuse them no more."""
        self.put_off()

    def mails(self, address: str) -> list[str]:
        """Return what a mailbox has, header fields of the server's own included."""
        local_part, _, domain = address.partition("@")
        new = self.folder / "mail" / domain / local_part / "new"
        return [path.read_text() for path in new.iterdir()] if new.is_dir() else []


@contextlib.contextmanager
def mailboxes_of(addresses: Iterable[str], *listeners: Sequence[str]) -> Iterator[Mailboxes]:
    """Run a server with these mailboxes."""
    boxes = [(address, *address.split("@")) for address in addresses]
    with public_folder() as folder:
        (folder / "mail").mkdir()
        shutil.chown(folder / "mail", "nobody", "nogroup")
        _write_map(folder, "boxes", (f"{address} {domain}/{local_part}/" for address, local_part, domain in boxes))
        _write_map(folder, "put-off", ())
        domains = " ".join({domain for *_, domain in boxes})
        settings = _MAILBOXES.format(folder=folder, domains=domains, nobody=_NOBODY)
        with postfix_in(folder, settings, *listeners) as ports:
            yield Mailboxes(ports, folder)


def _write_map(folder: Path, name: str, lines: Iterable[str]) -> None:
    draft = folder / "draft"
    draft.write_text("".join(f"{line}\n" for line in lines))
    _run("postmap", f"hash:{draft}")
    # Daemons begin anew once the file that they have open is gone; a change of it they notice by the second alone.
    (folder / "draft.db").rename(folder / f"{name}.db")


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, env={"PATH": PATH})
