"""Looking at one file (PURE): what it is, and what is packed in it.

Output: an attachment, unless clients show it in place; the files and messages in it, noted as still to be looked at.
"""

import hashlib
import re
from dataclasses import replace

from services.content.mime.extensions import extension
from services.content.mime.fields import header_of
from services.content.mime.gathering import WORK, File, Gathering, Letter
from services.content.mime.inspection import Attachment, FaultKind, FileKind
from services.content.mime.kinds import kind_of
from services.content.mime.names import MAX_READINGS, name_readings, shown
from services.content.mime.opener import CONTAINER_KINDS, Opener
from services.content.mime.parts import with_line_ends
from shared.auth.message import split_message

# What a client that shows it in place does no more with.
_HARMLESS_IN_PLACE = frozenset({
    *(FileKind.TEXT, FileKind.HTML, FileKind.IMAGE, FileKind.MEDIA, FileKind.UNKNOWN),
    *(FileKind.SCRIPT, FileKind.SHORTCUT, FileKind.MESSAGE),
})  # fmt: skip
_MAY_BE_MESSAGE = frozenset({FileKind.TEXT, FileKind.HTML, FileKind.UNKNOWN})
_PGP_MESSAGE = b"-----BEGIN PGP MESSAGE-----"
_HEAD_BYTES = 1024
_APPLE_COUNT = re.compile(rb"\A[0-9]{1,10}[ \t]*\r?\n")
_SMIME_EXTENSIONS = frozenset(("p7m", "p7z"))


def look_at(file: File, opener: Opener | None, depth: int, gathering: Gathering) -> None:
    """Note what a file is. depth: how many containers may lie within one another."""
    kind = kind_of(file.content, file.names)
    if file.message and kind in _MAY_BE_MESSAGE:
        kind = FileKind.MESSAGE
    elif file.shown and kind in _HARMLESS_IN_PLACE:
        return
    encrypted = (
        file.encrypted
        or (kind is FileKind.TEXT and _PGP_MESSAGE in file.content[:_HEAD_BYTES])
        # RFC 8551 §3.9: the name alone makes it S/MIME, whatever type is given.
        or any(extension(name) in _SMIME_EXTENSIONS for name in file.names)
    )
    attachment = Attachment(file.part, file.names, kind, len(file.content), file.path, encrypted=encrypted)
    if kind is FileKind.MESSAGE:
        gathering.add(attachment)
        _read_as_message(file, gathering)
        return
    attachment = replace(attachment, digest=hashlib.sha256(file.content).hexdigest())
    if opener is not None and kind in CONTAINER_KINDS:
        if len(file.path) < depth:
            attachment = _open(opener, file, attachment, gathering)
        else:
            gathering.fault(
                FaultKind.ARCHIVE_EXCEEDED,
                f"archives lie more than {depth} deep in one another (archive_depth)",
                file.part,
            )
    gathering.add(attachment)


def _open(opener: Opener, file: File, attachment: Attachment, gathering: Gathering) -> Attachment:
    opened = opener.open(file.names, attachment.kind, file.content)
    for fault in opened.faults:
        gathering.fault(fault.kind, fault.text, file.part)
    path = (*file.path, shown(file.names[0]) if file.names else f"a file of type {attachment.kind.value}")
    unpacked: list[File] = []
    for entry in opened.entries:
        names = name_readings(entry.names)[:MAX_READINGS]
        if entry.content is None:
            kind = FileKind.UNKNOWN
            gathering.add(Attachment(file.part, names, kind, entry.size_bytes, path, encrypted=entry.encrypted))
        else:
            unpacked.append(File(file.part, names, entry.content, path, file.nesting, encrypted=entry.encrypted))
    gathering.files += reversed(unpacked)
    return replace(
        attachment,
        encrypted=attachment.encrypted or opened.encrypted,
        macro=opened.macro,
        macro_evidence=opened.macro_evidence,
    )


def _read_as_message(file: File, gathering: Gathering) -> None:
    if file.path:
        # What an archive may hold is bounded by the opener's budget.
        gathering.work += WORK * len(file.content)
    message = split_message(with_line_ends(_APPLE_COUNT.sub(b"", file.content.lstrip(b"\r\n"), 1)))
    if message.bounds_exceeded:
        gathering.fault(FaultKind.EXCEEDED, "an attached message has too large a header", file.part)
    gathering.later(Letter(header_of(message), message.body, file.part, file.path, file.nesting + 1))
