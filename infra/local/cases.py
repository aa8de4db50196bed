"""The demo's mails and what must become of each (I/O: reads the demo sender's key).

Output: mails made anew at each call, each with the reply, the words of its trace and the results that it must meet.
"""

from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as CRLF
from email.utils import formatdate, make_msgid

import dkim

from infra.local.clamd import EICAR
from infra.local.generate import DKIM_SELECTOR
from infra.local.layout import Layout
from infra.local.office import macro_document
from infra.local.rspamd import GTUBE

_OURS, _ALICE, _BANK = "demo@gatepost.test", "alice@sender.test", "ceo@bank.test"


@dataclass(frozen=True, slots=True)
class Case:
    """A mail and what must become of it. ends_with: the kind of event that its trace ends with.

    results: words of the Authentication-Results that it must arrive with; none: it must not arrive.
    """

    title: str
    sender: str
    recipient: str
    message: bytes
    code: int
    in_reply: str
    in_trace: str
    ends_with: str
    results: tuple[str, ...] = ()


def cases(layout: Layout) -> tuple[Case, ...]:
    """Return the demo's mails, made anew."""
    return (*_about_senders(layout), *_about_content(layout), *_about_recipients())


def _about_senders(layout: Layout) -> tuple[Case, ...]:
    clean = _signed(_message(_ALICE, "A signed mail", "Hello from a sender who does everything right."), layout)
    forwarded = _signed(_message(_ALICE, "Passed on", "A forwarder sends this on, unchanged."), layout)
    return (
        Case(
            title="clean mail, signed by its sender's domain, is delivered",
            sender=_ALICE,
            recipient=_OURS,
            message=clean,
            code=250,
            in_reply="queued as",
            in_trace="delivered",
            ends_with="delivered",
            results=("spf=pass", "dkim=pass", "dmarc=pass"),
        ),
        Case(
            title="mail that a forwarder passes on is delivered: SPF fails, but its author's signature holds for DMARC",
            sender="list@forwarder.test",
            recipient=_OURS,
            message=forwarded,
            code=250,
            in_reply="queued as",
            in_trace="delivered",
            ends_with="delivered",
            results=("spf=fail", "dkim=pass", "dmarc=pass"),
        ),
        Case(
            title="forged mail of a domain that asks for refusal (p=reject) is refused",
            sender=_BANK,
            recipient=_OURS,
            message=_message(_BANK, "Your account", "This does not come from the bank."),
            code=550,
            in_reply="DMARC",
            in_trace="bank.test asks for reject",
            ends_with="dropped",
        ),
    )


def _about_content(layout: Layout) -> tuple[Case, ...]:
    infected = _message(_ALICE, "Your invoice", "See the attachment.", ("invoice.txt", EICAR))
    document = _message(_ALICE, "Your order", "Please enable macros.", ("order.docm", macro_document()))
    refused = (
        ("infected mail (the EICAR test file) is refused", infected, "malware", "Eicar"),
        ("spam (the GTUBE test line) is refused", _message(_ALICE, "An offer", GTUBE), "spam", "GTUBE"),
        ("a Word document whose macro runs by itself is refused", document, "attachment", "suspicious_macro"),
    )
    return tuple(
        Case(
            title=title,
            sender=_ALICE,
            recipient=_OURS,
            message=_signed(message, layout),
            code=550,
            in_reply=in_reply,
            in_trace=in_trace,
            ends_with="dropped",
        )
        for title, message, in_reply, in_trace in refused
    )


def _about_recipients() -> tuple[Case, ...]:
    plain = _message(_ALICE, "Hello", "Hello.")
    refused = (
        ("mail to somebody whom we do not know is refused", "nobody@gatepost.test", "unknown recipient"),
        ("mail to a domain that is not ours is not relayed", "someone@elsewhere.test", "Relaying denied"),
    )
    return tuple(
        Case(
            title=title,
            sender=_ALICE,
            recipient=recipient,
            message=plain,
            code=550,
            in_reply=in_reply,
            in_trace=recipient,
            ends_with="command-refused",
        )
        for title, recipient, in_reply in refused
    )


def _message(author: str, subject: str, text: str, attachment: tuple[str, bytes] | None = None) -> bytes:
    message = EmailMessage(policy=CRLF)
    message["From"] = author
    message["To"] = _OURS
    message["Subject"] = subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=author.rpartition("@")[2])
    message.set_content(text)
    if attachment is not None:
        name, content = attachment
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def _signed(message: bytes, layout: Layout) -> bytes:
    key = layout.dkim_key.read_bytes()
    fields = [b"from", b"to", b"subject", b"date", b"message-id"]
    signature = dkim.sign(
        *(message, DKIM_SELECTOR.encode(), b"sender.test", key),
        canonicalize=(b"relaxed", b"relaxed"),
        include_headers=fields,
    )
    return bytes(signature) + message
