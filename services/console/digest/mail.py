"""The report of quarantine as mail (PURE): text and HTML, the same words in both.

Everything that strangers wrote is text: escaped in HTML, on one line in the text, and cut. Addresses and words that
look like links are not made to be links.
Standards: RFC 2046 §5.1.4 (multipart/alternative), RFC 3834 (Auto-Submitted).
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass

from services.console.digest.token import Ask
from services.console.reports.mail import begun, report_envelope
from services.console.reports.reporter import Reporter
from services.console.story.told import moment
from shared.envelope import Envelope
from shared.logs import escape

_SUBJECT = 150


@dataclass(frozen=True, slots=True)
class Entry:
    """One held mail. link: empty where there is nothing to ask for. check: that holds it."""

    sender: str
    subject: str
    received_at: float
    check: str
    ask: Ask
    link: str


@dataclass(frozen=True, slots=True)
class Digest:
    """What one recipient is told. more: how many mails there are beyond the entries."""

    recipient: str
    entries: Sequence[Entry]
    more: int
    days_valid: int


_WHY = {
    "antispam": "it looks like spam",
    "antivirus": "it holds malware",
    "attachments": "of what is attached",
    "spf": "its sender could not be confirmed",
    "dkim": "its sender could not be confirmed",
    "dmarc": "its sender could not be confirmed",
    "arc": "its sender could not be confirmed",
    "iprev": "its server could not be confirmed",
    "structure": "its form is broken",
}
_LABELS = {Ask.RELEASE: "Release it to me", Ask.ASK: "Ask the administrator for it"}


def digest_mail(digest: Digest, reporter: Reporter, message_id: str, now: float) -> tuple[Envelope, bytes]:
    """Return the envelope and the message of a report. message_id: our id for it. now: Unix seconds."""
    count = len(digest.entries) + digest.more
    subject = f"{count} held message{'' if count == 1 else 's'} for {digest.recipient}"
    message = begun(reporter, [digest.recipient], subject, message_id, now)
    message.set_content(_text(digest))
    message.add_alternative(_html(digest), subtype="html")
    data = message.as_bytes()
    return report_envelope(reporter, [digest.recipient], message_id, now, len(data)), data


def _opening(digest: Digest) -> str:
    return (
        f"These messages to {digest.recipient} were held back. "
        "You need do nothing: what you do not want stays where it is."
    )


def _closing(digest: Digest) -> list[str]:
    more = [f"There are {digest.more} more, which are not listed here."] if digest.more else []
    return [
        *more,
        f"Each link is yours alone and works for {digest.days_valid} days: do not pass this message on.",
        "Opening a link does nothing by itself; the page it leads to asks first.",
    ]


def _text(digest: Digest) -> str:
    blocks = [_opening(digest)]
    for entry in digest.entries:
        lines = [
            f"From:     {_line(entry.sender) or '(no return address)'}",
            f"Subject:  {_line(entry.subject) or '(none)'}",
            f"Received: {moment(entry.received_at)}",
            f"Held because {_why(entry)}.",
        ]
        blocks.append("\n".join([*lines, f"{_LABELS[entry.ask]}: {entry.link}"]))
    return "\n\n".join([*blocks, *_closing(digest)]) + "\n"


def _html(digest: Digest) -> str:
    rows = [
        f"<tr><td><b>{_escaped(entry.subject) or '(no subject)'}</b><br>from {_escaped(entry.sender) or '(nobody)'}<br>"
        f"<small>{html.escape(moment(entry.received_at))}, held because {html.escape(_why(entry))}</small></td>"
        f'<td><a href="{html.escape(entry.link)}">{_LABELS[entry.ask]}</a></td></tr>'
        for entry in digest.entries
    ]
    closing = "".join(f"<p>{html.escape(line)}</p>" for line in _closing(digest))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Held messages</title></head><body>'
        f'<p>{html.escape(_opening(digest))}</p><table border="0" cellpadding="8">{"".join(rows)}</table>{closing}'
        "</body></html>\n"
    )


def _why(entry: Entry) -> str:
    return _WHY.get(entry.check, f"of the check {entry.check}")


def _line(text: str) -> str:
    shown = escape(" ".join(text.split()))
    return shown if len(shown) <= _SUBJECT else f"{shown[:_SUBJECT]} …"


def _escaped(text: str) -> str:
    # A mail program makes links of what looks like one: a character without width stands between.
    return html.escape(_line(text)).replace("://", ":\u200b//").replace(".", "\u200b.")
