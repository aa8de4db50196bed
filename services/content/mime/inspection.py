"""What an inspection of a message's parts returns (PURE): plain values, which also travel from a process as JSON.

Everything that came from the message is bounded here and safe to carry, but not to show: whoever shows it escapes it.
"""

from dataclasses import dataclass
from enum import StrEnum

# All parts that a message may have, and more files in archives than `archive_files` allows by default.
MAX_ATTACHMENTS = 2500
MAX_NAME_CHARACTERS = 255


class FileKind(StrEnum):
    """What a file is by its content. The first eight can be blocked by policy (`blocked_types`)."""

    EXECUTABLE = "executable"
    SCRIPT = "script"
    SHORTCUT = "shortcut"
    DISK_IMAGE = "disk-image"
    ARCHIVE = "archive"
    OFFICE = "office"
    HTML = "html"
    PDF = "pdf"
    IMAGE = "image"
    MEDIA = "media"
    TEXT = "text"
    MESSAGE = "message"
    UNKNOWN = "unknown"


class Macro(StrEnum):
    """Whether an Office document has macros. suspicious: they run by themselves and do what documents need not."""

    NONE = "none"
    PRESENT = "present"
    SUSPICIOUS = "suspicious"


class FaultKind(StrEnum):
    """What is wrong with a message's form; the values are keys of [checks.structure], the last two of attachments."""

    EXCEEDED = "exceeded"
    MALFORMED = "malformed"
    AMBIGUOUS = "ambiguous"
    OVERRUN = "overrun"
    ARCHIVE_EXCEEDED = "archive-exceeded"
    ARCHIVE_UNREADABLE = "archive-unreadable"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong. text: a clause safe to show. part: the MIME part's number, empty for the whole."""

    kind: FaultKind
    text: str
    part: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file of the message. part: number of the MIME part (`2.1`) that it is or is packed in.

    names: every reading of its name, the usual one first; empty if it has none. path: names of the archives that it
    is packed in, outermost first. digest: SHA-256 of its content, hexadecimal, empty where it was not unpacked.
    """

    part: str
    names: tuple[str, ...]
    kind: FileKind
    size_bytes: int
    path: tuple[str, ...] = ()
    digest: str = ""
    encrypted: bool = False
    macro: Macro = Macro.NONE
    macro_evidence: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that was seen. parts: how many MIME parts there are. Texts and the parts that show them are no attachments,
    unless they have a name.
    """

    parts: int = 0
    attachments: tuple[Attachment, ...] = ()
    faults: tuple[Fault, ...] = ()
