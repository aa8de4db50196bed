"""Delivery status notifications (PURE).

Input: the envelope and message that it is about, the outcomes to report, our name, a fresh id, the time.
Output: a new message and its envelope: null sender, proved by being our own, `parent` = the message it is about.
Standards: RFC 3464 (form), RFC 6522 (multipart/report), RFC 3461 §6 (envelope, ENVID, ORCPT, RET), RFC 6533 (UTF-8),
RFC 8689 §3 and §5 (TLS-Required, REQUIRETLS), RFC 3834 (Auto-Submitted).
Lines end in CRLF, and nothing from outside can begin a field or a part.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from services.delivery.dsn_address import decode_xtext, field_text, original_recipient, utf8_address
from services.delivery.dsn_text import SUBJECTS, Told, explanation, host_of, subject_of
from services.delivery.outcome import Outcome, enhanced_of
from services.delivery.plan import Action, Notice
from services.delivery.tls.waiver import waives_tls
from shared.envelope import Body, Client, Direction, Envelope, Notify, Proof, Recipient, Ret

# Without RET, a short message comes back whole, which people like; RFC 3461 §4.3 leaves that to us.
FULL_UNASKED_BYTES = 50_000
_FOLD_AT = 76


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who reports, and when. now: Unix seconds. lifetime_s: how long messages are tried."""

    our_name: str
    now: float
    lifetime_s: float


def write_dsn(
    notice: Notice, envelope: Envelope, message: bytes, reporter: Reporter, new_id: str
) -> tuple[Envelope, bytes]:
    """Return the DSN's envelope and message. new_id: its own id."""
    original, returned = _original(notice, envelope, message)
    addresses = [envelope.sender, *(outcome.recipient.address for outcome in notice.outcomes)]
    # RFC 6533 §3: the internationalized forms only where something in it is not ASCII; any reader takes the others.
    # Only to those who speak them, too: an alias may lead from a plain address to one that is not.
    speaks = envelope.smtputf8 or not envelope.sender.isascii()
    in_utf8 = speaks and (not all(map(str.isascii, addresses)) or not header_of(original).isascii())
    boundary = f"=_{new_id}"
    told = Told(envelope.id, subject_of(header_of(message)), _date(envelope.received_at), reporter.lifetime_s)
    text = explanation(notice, told, reporter.our_name)
    status = _status(notice, envelope, reporter, in_utf8=in_utf8)
    parts = (
        ("text/plain; charset=utf-8", text.encode("utf-8", "replace")),
        ("message/global-delivery-status" if in_utf8 else "message/delivery-status", status),
        (_original_type(returned, in_utf8=in_utf8), original),
    )
    body = b"".join(part(boundary, kind, content) for kind, content in parts) + f"--{boundary}--\r\n".encode()
    waived = waives_tls(envelope, message)
    head = _head(notice, envelope, reporter, new_id, boundary, ascii_only=body.isascii(), waives_tls=waived)
    dsn = head + body
    return _envelope(envelope, reporter, new_id, dsn, in_utf8=in_utf8), dsn


def _envelope(about: Envelope, reporter: Reporter, new_id: str, dsn: bytes, *, in_utf8: bool) -> Envelope:
    return Envelope(
        id=new_id,
        received_at=reporter.now,
        listener="delivery",
        direction=Direction.OUTBOUND,
        client=Client(address="127.0.0.1", port=0, helo=reporter.our_name, name=reporter.our_name),
        # RFC 3461 §6.1, RFC 5321 §6.1: null reverse-path, and no DSN about the DSN.
        sender="",
        recipients=(Recipient(about.sender, notify=(Notify.NEVER,)),),
        size_bytes=len(dsn),
        body=Body.SEVEN_BIT if dsn.isascii() else Body.EIGHT_BIT,
        smtputf8=in_utf8,
        # RFC 8689 §5: as protected as the message that it is about.
        requiretls=about.requiretls,
        proved=Proof.GATEWAY,
        parent=about.id,
    )


def _head(
    notice: Notice,
    about: Envelope,
    reporter: Reporter,
    new_id: str,
    boundary: str,
    *,
    ascii_only: bool,
    waives_tls: bool,
) -> bytes:
    fields = (
        ("Date", _date(reporter.now)),
        ("From", f"Mail gateway <MAILER-DAEMON@{reporter.our_name}>"),
        ("To", f"<{field_text(about.sender)}>"),
        ("Subject", SUBJECTS[notice.action]),
        ("Message-ID", f"<{new_id}@{reporter.our_name}>"),
        # RFC 3834 §5.2: so that no vacation program answers.
        ("Auto-Submitted", "auto-replied"),
        ("MIME-Version", "1.0"),
        ("Content-Type", f'multipart/report; report-type=delivery-status;\r\n boundary="{boundary}"'),
        ("Content-Transfer-Encoding", "7bit" if ascii_only else "8bit"),
        # RFC 8689 §3: what went whatever became of TLS is reported so, too; any other report is held to TLS as mail is.
        *((("TLS-Required", "No"),) if waives_tls else ()),
    )
    return "".join(f"{name}: {value}\r\n" for name, value in fields).encode() + b"\r\n"


def _status(notice: Notice, about: Envelope, reporter: Reporter, *, in_utf8: bool) -> bytes:
    # RFC 3464 §2.2: per message, then a group per recipient, each after an empty line.
    groups = [_fields(_message_fields(about, reporter))]
    groups += [
        _fields(_recipient_fields(notice, outcome, about, reporter, in_utf8=in_utf8)) for outcome in notice.outcomes
    ]
    return "\r\n".join(groups).encode("utf-8" if in_utf8 else "ascii", "replace")


def _message_fields(about: Envelope, reporter: Reporter) -> list[tuple[str, str]]:
    fields = [("Reporting-MTA", f"dns; {reporter.our_name}")]
    if about.envid:
        # RFC 3464 §2.2.1: as the sender gave it, decoded.
        fields.append(("Original-Envelope-Id", decode_xtext(about.envid)))
    return [*fields, ("Arrival-Date", _date(about.received_at))]


def _recipient_fields(
    notice: Notice, outcome: Outcome, about: Envelope, reporter: Reporter, *, in_utf8: bool
) -> list[tuple[str, str]]:
    recipient = outcome.recipient
    fields = []
    if recipient.orcpt:
        # RFC 3464 §2.3.1: only where the sender gave it; so it stays when an alias has led elsewhere.
        fields.append(("Original-Recipient", original_recipient(recipient.orcpt, in_utf8=in_utf8)))
    if recipient.address.isascii():
        fields.append(("Final-Recipient", f"rfc822; {field_text(recipient.address)}"))
    else:
        # RFC 6533 §3: the address type utf-8 for what is not ASCII.
        fields.append(("Final-Recipient", f"utf-8; {utf8_address(recipient.address, in_utf8=in_utf8)}"))
    fields += [("Action", notice.action.value), ("Status", enhanced_of(outcome))]
    host = host_of(notice.peer)
    if outcome.remote and host:
        # RFC 3464 §2.3.5: the server that said it.
        fields.append(("Remote-MTA", f"dns; {host}"))
    if outcome.remote:
        # RFC 3464 §2.3.6: only what the remote server said, and never our own words.
        fields.append(("Diagnostic-Code", f"smtp; {outcome.reply}"))
    fields.append(("Last-Attempt-Date", _date(reporter.now)))
    fields.append(("Final-Log-ID", about.id))
    if notice.action is Action.DELAYED:
        fields.append(("Will-Retry-Until", _date(about.received_at + reporter.lifetime_s)))
    return fields


def _original(notice: Notice, about: Envelope, message: bytes) -> tuple[bytes, str]:
    # RFC 3461 §6.2: RET concerns failures alone; other reports carry the header.
    full = about.ret is Ret.FULL or (about.ret is None and len(message) <= FULL_UNASKED_BYTES)
    # RFC 8689 §5: of a message with REQUIRETLS only the header, whatever RET says.
    if notice.action is Action.FAILED and full and not about.requiretls:
        return message, "message"
    return header_of(message), "headers"


def header_of(message: bytes) -> bytes:
    end = message.find(b"\r\n\r\n")
    return message[: end + 2] if end >= 0 else message


def _original_type(original: str, *, in_utf8: bool) -> str:
    if original == "message":
        return "message/global" if in_utf8 else "message/rfc822"
    return "message/global-headers" if in_utf8 else "text/rfc822-headers"


def part(boundary: str, kind: str, content: bytes) -> bytes:
    encoding = "7bit" if content.isascii() else "8bit"
    head = f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + content + b"\r\n"


def _fields(fields: list[tuple[str, str]]) -> str:
    return "".join(_folded(f"{name}: {field_text(value)}") + "\r\n" for name, value in fields)


def _folded(line: str) -> str:
    # RFC 5322 §2.2.3: folded before white space.
    current, *words = line.split(" ")
    lines = []
    for word in words:
        if len(current) + len(word) >= _FOLD_AT:
            lines.append(current)
            current = ""
        current = f"{current} {word}"
    return "\r\n".join([*lines, current])


def _date(unix_s: float) -> str:
    return format_datetime(datetime.fromtimestamp(unix_s, UTC))
