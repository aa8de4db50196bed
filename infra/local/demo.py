"""`make demo`: sends clean, forged, infected mail and spam to the running local gateway, shows each verdict and why.

Owns: sending the mails of `cases`, and showing the trace of each.
Input: the settings of `make run` (GATEPOST_DATA names their folder). Output: a story for a reader.
On failure: names each mail that met something else than it should, exit 1.
"""

import re
import smtplib
import sys
import time
from email.parser import BytesHeaderParser
from pathlib import Path

from infra.local.cases import Case, cases
from infra.local.layout import Layout, layout_of
from infra.local.trace import TraceMissing, traced
from services.edge.settings import EdgeSettings
from shared.errors import SettingsError
from shared.settings import load_settings

_ID = re.compile(r"\b[0-9a-hjkmnp-tv-z]{26}\b")
_ARRIVES_WITHIN_S = 30.0
_POLL_S = 0.1


class Unexpected(Exception):
    """Something else happened than had to."""


def send(port: int, case: Case) -> str:
    """Send a mail and return the reply that decided about it, code and text."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.sender.test", timeout=60) as smtp:
        smtp.ehlo()
        smtp.mail(case.sender)
        code, text = smtp.rcpt(case.recipient)
        if code == 250:
            code, text = smtp.data(case.message)
    return f"{code} {text.decode('utf-8', 'replace')}"


def play(layout: Layout, port: int, case: Case) -> None:
    """Send one mail and show what became of it. Raises Unexpected, TraceMissing, OSError, SMTPException."""
    reply = send(port, case)
    print(f"  from {case.sender} to {case.recipient}\n  answer in the session: {reply}")
    if not reply.startswith(f"{case.code} ") or case.in_reply not in reply:
        raise Unexpected(f"expected {case.code} {case.in_reply}")
    found = _ID.search(reply)
    if found is None:
        raise Unexpected("the reply names no id")
    told = traced(layout, found.group(), case.ends_with)
    print(f"  gatepost trace {found.group()}:")
    print("\n".join(f"    {line}".rstrip() for line in told.splitlines()))
    if case.in_trace.lower() not in told.lower():
        raise Unexpected(f"expected {case.in_trace!r} in the trace")
    if case.results:
        _show_mailbox(layout, found.group(), case.results)


def main() -> int:
    """Play all cases; return the exit code."""
    layout = layout_of()
    try:
        port = load_settings(EdgeSettings, layout.settings_file("edge"), {}).listeners["mx"].port
        todo = cases(layout)
    except (SettingsError, OSError) as error:
        print(f"make demo: {error}\nIs the gateway running? Start it with: make run", file=sys.stderr)
        return 1
    failed = 0
    for number, case in enumerate(todo, 1):
        print(f"\n{number}. {case.title}")
        try:
            play(layout, port, case)
            print("  as it should be.")
        except ConnectionRefusedError:
            print(f"  nothing listens on 127.0.0.1:{port}; start the gateway with: make run")
            failed += 1
        except (Unexpected, TraceMissing, OSError, smtplib.SMTPException) as error:
            print(f"  NOT as it should be: {error}")
            failed += 1
    print(f"\n{len(todo) - failed} of {len(todo)} as they should be.")
    return 1 if failed else 0


def _show_mailbox(layout: Layout, message_id: str, wanted: tuple[str, ...]) -> None:
    path = _arrived(layout.mail / "gatepost.test" / "demo", message_id)
    headers = BytesHeaderParser().parsebytes(path.read_bytes())
    results = " ".join(str(headers.get("Authentication-Results", "")).split())
    print(f"  {path}\n    Authentication-Results: {results}")
    missing = [word for word in wanted if word not in results]
    if missing:
        raise Unexpected(f"expected {' and '.join(missing)} in Authentication-Results")


def _arrived(mailbox: Path, message_id: str) -> Path:
    give_up_at = time.monotonic() + _ARRIVES_WITHIN_S
    while time.monotonic() < give_up_at:
        # A mail reader that is open on the mailbox moves it to cur/.
        for path in (*mailbox.glob(f"new/*{message_id}*"), *mailbox.glob(f"cur/*{message_id}*")):
            return path
        time.sleep(_POLL_S)
    raise Unexpected(f"nothing arrived in {mailbox} within {_ARRIVES_WITHIN_S:g} s")


if __name__ == "__main__":
    sys.exit(main())
