"""Owns the second peer: Postfix that asks Rspamd by milter, which asks clamd.

Output: as the bare relay, and in the session a refusal of malware. Rspamd runs Debian's rules with everything off that
needs Redis or the outside; its proxy workers scan themselves, the cheapest of its forms on one machine.
On failure: ChildFailed; NotProved when a check is missing.
"""

import os
import re
import subprocess
from collections.abc import Mapping

from tests.bench.lab.child import Child
from tests.bench.lab.packages import versions
from tests.bench.peer import Lab, NotProved, Roles
from tests.bench.peers.postfix import PostfixInstance

_SYMBOLS = ("R_SPF_ALLOW(", "R_DKIM_ALLOW(", "DMARC_POLICY_ALLOW(")
_CLEAN = "message or mime_part is clean"
# A find and a failure alike: CLAM_VIRUS, CLAM_VIRUS_FAIL.
_SCANNER = "CLAM_VIRUS"
_RESULT = re.compile(r"rspamd_task_write_log: .*")
_HYPERSCAN_READY = "full hyperscan database of"

# These ask Redis or the outside, neither of which the bench has.
_OFF = [
    "asn",
    "bimi",
    "clickhouse",
    "dcc",
    "elastic",
    "external_services",
    "fuzzy_check",
    "greylist",
    "history_redis",
    "metadata_exporter",
    "metric_exporter",
    "mx_check",
    "neural",
    "p0f",
    "phishing",
    "ratelimit",
    "rbl",
    "replies",
    "reputation",
    "rspamd_update",
    "surbl",
    "url_redirector",
    "whitelist",
]

_MAIN = """\
.include "$CONFDIR/common.conf"
options {{
    .include "$CONFDIR/options.inc"
    .include(priority=1,duplicate=merge) "$LOCAL_CONFDIR/local.d/options.inc"
    pidfile = "{folder}/rspamd.pid";
}}
logging {{
    .include "$CONFDIR/logging.inc"
    type = "file";
    filename = "{log}";
}}
worker "rspamd_proxy" {{
    bind_socket = "127.0.0.1:{port}";
    milter = yes;
    timeout = 120s;
    count = {workers};
    upstream "local" {{ default = yes; self_scan = yes; }}
}}
"""

_OPTIONS = """\
dns {{ nameserver = ["127.0.0.1:{dns_port}:10"]; }}
"""

# The generator is on loopback, which these modules pass over unless told otherwise.
_LOCAL_TOO = "check_local = true;\ncheck_authed = true;\n"

_ANTIVIRUS = """\
clamav {{
    type = "clamav";
    symbol = "CLAM_VIRUS";
    action = "reject";
    servers = "127.0.0.1:{clamd_port}";
    # The whole message, as Gatepost does: by default plain text is not scanned at all.
    scan_mime_parts = false;
    log_clean = true;
    timeout = 30;
}}
"""


class Rspamd:
    """Postfix, Rspamd and clamd."""

    title = "Postfix + Rspamd + ClamAV"
    refuses_malware = True

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._milter_port = lab.ports.take()
        # An engine that fails defers, as in Gatepost: nothing passes unchecked.
        milter = f"smtpd_milters = inet:127.0.0.1:{self._milter_port}\nmilter_default_action = tempfail"
        self._instance = PostfixInstance(lab, "postfix-rspamd", milter)
        self.port = self._instance.port
        self._folder = lab.folder / "rspamd"
        self._log = self._folder / "rspamd.log"
        self._child: Child | None = None

    def start(self) -> None:
        """Return when SMTP is answered and the expressions are compiled."""
        self._write_config()
        argv = ["/usr/bin/rspamd", "--no-fork", "--user", "_rspamd", "--group", "_rspamd"]
        argv += ["--config", str(self._folder / "rspamd.conf")]
        for name in ("DBDIR", "RUNDIR", "LOGDIR", "LOCAL_CONFDIR"):
            argv += ["--var", f"{name}={self._folder}"]
        self._child = Child(argv, self._folder / "output.log")
        self._child.wait_for_port(self._milter_port)
        self._child.wait_until(lambda: _HYPERSCAN_READY in self._log.read_text(), "compiled", deadline_s=180)
        self._instance.start()

    def stop(self) -> None:
        """End Postfix, then Rspamd."""
        self._instance.stop()
        if self._child is not None:
            self._child.stop()

    def roles(self) -> Roles:
        """Name its own two parts; clamd and the name server belong to the lab."""
        assert self._child is not None, "not started"
        return {"postfix": [self._instance.pid], "rspamd": [self._child.pid]}

    def prove(self, delivered: str) -> None:
        """Find the three results and the scan of the one message in Rspamd's log."""
        if "Received: from client.bench.test" not in delivered:
            raise NotProved(f"no message of the generator arrived:\n{delivered[:2000]}")
        self.audit(1)
        if _CLEAN not in self._log.read_text(errors="replace"):
            raise NotProved("Rspamd did not have the message scanned")

    def audit(self, messages: int) -> str:
        """Count in Rspamd's log the messages with all three results and without a find or failure of the scanner.

        The lines of clean scans are not counted: the log leaves out lines that repeat the one before.
        """
        results = [line for line in _RESULT.findall(self._log.read_text(errors="replace")) if _SCANNER not in line]
        passed = sum(all(symbol in line for symbol in _SYMBOLS) for line in results)
        if not passed == len(results) == messages:
            last = results[-1] if results else "none"
            raise NotProved(f"{passed} of {len(results)} results passed, {messages} messages were sent; last: {last}")
        return (
            f"Rspamd's log holds `R_SPF_ALLOW`, `R_DKIM_ALLOW` and `DMARC_POLICY_ALLOW`, and no failure of the scan, "
            f"for each of the {messages} messages"
        )

    def versions(self) -> Mapping[str, str]:
        """Name the three."""
        return versions("postfix", "rspamd", "clamav-daemon")

    def _write_config(self) -> None:
        local = self._folder / "local.d"
        local.mkdir(parents=True)
        values = {
            "folder": self._folder,
            "log": self._log,
            "port": self._milter_port,
            "workers": os.cpu_count() or 1,
        }
        (self._folder / "rspamd.conf").write_text(_MAIN.format(**values))
        (local / "options.inc").write_text(_OPTIONS.format(dns_port=self._lab.dns_port))
        for module in _OFF:
            (local / f"{module}.conf").write_text("enabled = false;\n")
        for module in ("spf", "dkim", "dmarc"):
            (local / f"{module}.conf").write_text(_LOCAL_TOO)
        (local / "antivirus.conf").write_text(_ANTIVIRUS.format(clamd_port=self._lab.clamd_port))
        subprocess.run(["chown", "-R", "_rspamd:_rspamd", str(self._folder)], check=True)
