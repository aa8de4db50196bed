"""What the walk has seen so far, and how much more it may do (PURE).

Owns the bounds of the whole walk: attachments, faults, parts, and work, which is a multiple of the message's size.
"""

from dataclasses import dataclass, field

from services.content.mime.fields import PartHeader
from services.content.mime.inspection import MAX_ATTACHMENTS, Attachment, Fault, FaultKind, Inspection
from services.content.mime.tree import MAX_NESTING, Count

# How often each byte of a message may be looked at, as it is and decoded, in all readings together.
WORK = 16
_FREE_WORK_BYTES = 1_000_000
_MAX_FAULTS = 100


@dataclass(slots=True)
class File:
    """A file that is still to be looked at. part: its number, empty if it is in no part of its own.

    path: names of the containers around it. nesting: messages that it was decoded from. shown: clients show it in
    place, so that it is a file only if it is something else. message: its part says that it is a message.
    """

    part: str
    names: tuple[str, ...]
    content: bytes
    path: tuple[str, ...] = ()
    nesting: int = 0
    shown: bool = False
    encrypted: bool = False
    message: bool = False


@dataclass(slots=True)
class Letter:
    """A message whose parts are still to be read. header: what it says of its body, which is in data.

    part: number of the part that it was decoded from, for only that can be taken out; None for our message itself.
    """

    header: PartHeader
    data: bytes
    part: str | None = None
    path: tuple[str, ...] = ()
    nesting: int = 0

    def number(self, number: str) -> str:
        """Return the number by which one of its parts can be taken out, empty if none can."""
        return number if self.part is None else self.part


@dataclass(slots=True)
class Gathering:
    """What one walk has gathered. letters, files: what is still to be done, the next one last."""

    work: int
    count: Count = field(default_factory=Count)
    attachments: list[Attachment] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    files: list[File] = field(default_factory=list)

    @classmethod
    def of(cls, size: int) -> "Gathering":
        """Return what a walk over so many bytes begins with."""
        return cls(size * WORK + _FREE_WORK_BYTES)

    def inspection(self) -> Inspection:
        """Return all that was gathered."""
        return Inspection(self.count.parts, tuple(self.attachments), tuple(self.faults))

    def may_work(self, size: int) -> bool:
        """Draw on what work is left, so that no trick makes it more than a multiple of the message."""
        if self.work < 0:
            return False
        self.work -= size
        if self.work < 0:
            self.fault(FaultKind.EXCEEDED, "the message must be decoded in too many ways", "")
        return self.work >= 0

    def later(self, letter: Letter) -> None:
        """Note a message that was found within."""
        if letter.nesting < MAX_NESTING:
            self.letters.append(letter)
        else:
            text = f"the message has more than {MAX_NESTING} levels of parts"
            self.fault(FaultKind.EXCEEDED, text, letter.part or "")

    def add(self, attachment: Attachment) -> None:
        """Note a file."""
        if len(self.attachments) < MAX_ATTACHMENTS:
            self.attachments.append(attachment)
            return
        kind = FaultKind.ARCHIVE_EXCEEDED if attachment.path else FaultKind.EXCEEDED
        self.fault(kind, f"the message holds more than {MAX_ATTACHMENTS} files", attachment.part)

    def fault(self, kind: FaultKind, text: str, part: str) -> None:
        """Note what is wrong, if it is not known yet."""
        fault = Fault(kind, text, part)
        if len(self.faults) < _MAX_FAULTS and fault not in self.faults:
            self.faults.append(fault)
