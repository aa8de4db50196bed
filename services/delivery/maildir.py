"""Delivery into Maildirs (I/O: files).

Owns: `<root>/<domain>/<local part>/`, made where it is missing; the message in `tmp/`, synced, then renamed into
`new/`, whose entry is synced too, before it counts as delivered.
Input: envelope and message. Output: an outcome per recipient.
Standards: RFC 5321 §4.4 (Return-Path), the Maildir form of D. J. Bernstein. File names are made from the message's id,
so that a second delivery of one message after a crash replaces the first.
On failure: any error of the file system defers; a full disk says so.
"""

import errno
import os
import re
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from services.delivery.outcome import Outcome, outcome_of
from shared.address import canonical_local_part
from shared.envelope import Envelope, Recipient
from shared.reply import Reply

_SAFE = "@+=,-_."
_NAME_LIMIT = 200
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FULL = (errno.ENOSPC, errno.EDQUOT)


def folder_name(text: str) -> str:
    """Return one path component for a local part or domain: lower case, nothing in it that a file system reads."""
    name = quote(text.lower(), safe=_SAFE)
    if name.startswith("."):
        # Neither `.` nor `..`, nor hidden.
        name = f"%2E{name[1:]}"
    if len(name) > _NAME_LIMIT:
        name = f"{name[:100]}~{sha256(text.lower().encode()).hexdigest()[:32]}"
    return name or "%"


def mailbox_of(root: Path, recipient: Recipient) -> Path:
    """Return the folder of a recipient."""
    local_part, _, domain = recipient.address.rpartition("@")
    return root / folder_name(domain) / folder_name(canonical_local_part(local_part))


def deliver(root: Path, envelope: Envelope, message: bytes, our_name: str) -> tuple[Outcome, ...]:
    """Write the message into each recipient's Maildir. Blocks: call it in a thread."""
    return tuple(_deliver_one(root, envelope, recipient, message, our_name) for recipient in envelope.recipients)


def _deliver_one(root: Path, envelope: Envelope, recipient: Recipient, message: bytes, our_name: str) -> Outcome:
    if _CONTROL.search(envelope.sender + recipient.address):
        return outcome_of(recipient, Reply(553, "5.1.3", "An address has a control character"), remote=False)
    mailbox = mailbox_of(root, recipient)
    head = _trace_fields(envelope, recipient)
    name = f"{int(envelope.received_at)}.{envelope.id}.{folder_name(our_name)},S={len(head) + len(message)}"
    try:
        _make_mailbox(root, mailbox)
        try:
            _write(mailbox, name, head, message)
        except FileNotFoundError:
            # The mailbox was removed since we made it.
            _make_mailbox.cache_clear()
            _make_mailbox(root, mailbox)
            _write(mailbox, name, head, message)
    except OSError as error:
        text = f"Cannot write to the mailbox: {os.strerror(error.errno) if error.errno else error}"
        reply = Reply(452, "4.3.1", text) if error.errno in _FULL else Reply(451, "4.3.0", text)
        return outcome_of(recipient, reply, remote=False)
    return outcome_of(recipient, Reply(250, "2.0.0", f"delivered to mailbox as {name}"), remote=False)


def _trace_fields(envelope: Envelope, recipient: Recipient) -> bytes:
    # RFC 5321 §4.4: the server that makes the final delivery puts Return-Path first.
    return f"Return-Path: <{envelope.sender}>\r\nDelivered-To: {recipient.address}\r\n".encode()


@lru_cache(maxsize=10_000)
def _make_mailbox(root: Path, mailbox: Path) -> None:
    for name in ("tmp", "new", "cur"):
        (mailbox / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    # The names of new folders must be as durable as the message.
    for folder in (mailbox, mailbox.parent, root):
        _sync_folder(folder)


def _write(mailbox: Path, name: str, head: bytes, message: bytes) -> None:
    temporary = mailbox / "tmp" / name
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with open(handle, "wb", buffering=0) as file:  # noqa: PTH123  # a descriptor
            _write_all(file.fileno(), head + message)
            os.fsync(file.fileno())
        temporary.rename(mailbox / "new" / name)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(mailbox / "new")


def _write_all(handle: int, octets: bytes) -> None:
    view = memoryview(octets)
    while view:
        view = view[os.write(handle, view) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
