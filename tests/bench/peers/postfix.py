"""Owns the first peer: a bare Postfix relay, an instance of its own beside whatever Postfix the machine has.

Output: SMTP on a port of 127.0.0.1; every message is relayed to the sink. Debian's defaults, except where
`_MAIN` says otherwise: nothing listens elsewhere, no aliases, the log in a file of its own.
On failure: ChildFailed.
"""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.bench.lab.child import Child
from tests.bench.lab.packages import versions
from tests.bench.peer import Lab, Roles

_DAEMONS = Path("/usr/lib/postfix/sbin")

_MAIN = """\
compatibility_level = 3.6
daemon_directory = {daemons}
shlib_directory = /usr/lib/postfix
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = relay.bench.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
relayhost = [127.0.0.1]:{sink_port}
smtp_host_lookup = native
{extra}
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60    1 pickup
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 300   1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
trace     unix  - - n -     0 bounce
verify    unix  - - n -     1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -     - proxymap
smtp      unix  - - n -     - smtp
relay     unix  - - n -     - smtp
showq     unix  n - n -     - showq
error     unix  - - n -     - error
retry     unix  - - n -     - error
discard   unix  - - n -     - discard
anvil     unix  - - n -     1 anvil
scache    unix  - - n -     1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


class PostfixInstance:
    """A Postfix with its own configuration, queue and log."""

    def __init__(self, lab: Lab, name: str, extra: str = "") -> None:
        """extra: further lines of main.cf."""
        self.port = lab.ports.take()
        self._folder = lab.folder / name
        self._config = self._folder / "etc"
        self._config.mkdir(parents=True)
        values = {"folder": self._folder, "daemons": _DAEMONS, "sink_port": lab.sink_port, "extra": extra}
        (self._config / "main.cf").write_text(_MAIN.format(**values))
        (self._config / "master.cf").write_text(_MASTER.format(port=self.port))
        self._child: Child | None = None

    def start(self) -> None:
        """Make the queue folders and return when SMTP is answered."""
        data = self._folder / "data"
        data.mkdir()
        # Postfix insists: the data folder belongs to the mail owner, the queue's top to root.
        subprocess.run(["chown", "postfix:postfix", str(data)], check=True)
        (self._folder / "queue").mkdir()
        subprocess.run(["postfix", "-c", str(self._config), "check"], check=True, stdin=subprocess.DEVNULL)
        self.restart()

    def restart(self) -> None:
        """Start it again with the queue that it has."""
        argv = [str(_DAEMONS / "master"), "-c", str(self._config), "-s"]
        self._child = Child(argv, self._folder / "master.log")
        self._child.wait_for_port(self.port)

    def stop(self) -> None:
        """End master, which ends the daemons."""
        if self._child is not None:
            self._child.stop()

    @property
    def pid(self) -> int:
        """The id of master; every daemon is its child."""
        assert self._child is not None, "not started"
        return self._child.pid


class Postfix:
    """The bare relay: no check of any kind."""

    title = "Postfix, bare relay"
    refuses_malware = False

    def __init__(self, lab: Lab) -> None:
        self._instance = PostfixInstance(lab, "postfix")
        self.port = self._instance.port

    def start(self) -> None:
        """Return when SMTP is answered."""
        self._instance.start()

    def stop(self) -> None:
        """End it."""
        self._instance.stop()

    def roles(self) -> Roles:
        """Name the one part it has."""
        return {"postfix": [self._instance.pid]}

    def prove(self, delivered: str) -> None:
        """Accept any message that arrived: a bare relay promises no more."""

    def audit(self, messages: int) -> str:
        """Say that there is nothing to look for."""
        return "no checks"

    def versions(self) -> Mapping[str, str]:
        """Name Postfix."""
        return versions("postfix")
