"""The port by which the walk opens containers, and the budget that all containers of one message share (PURE).

The walk owns the nesting: it gives an opener one container at a time, looks at each entry as at any other file, and
comes back with those entries that are containers themselves. So an opener never opens what it has unpacked.
On failure: an opener never raises; what it could not do stands in `Opened`.
"""

from dataclasses import dataclass
from typing import Protocol

from services.content.mime.inspection import Fault, FileKind, Macro
from shared.policy.content import InspectionRules

# What the walk hands to an opener. OFFICE: for its macros and for the files that are embedded in it; a document that is
# a zip may also hold files that no document has, and those are entries like any other archive's.
CONTAINER_KINDS = frozenset({FileKind.ARCHIVE, FileKind.DISK_IMAGE, FileKind.OFFICE})


@dataclass(slots=True)
class Budget:
    """What is left for all containers of one message together; openers draw on it, the walk looks after `depth`.

    depth: how many containers may lie within one another. ratio: of one file's unpacked size to its packed size.
    """

    depth: int
    files: int
    ratio: int
    size_bytes: int

    @classmethod
    def of(cls, rules: InspectionRules) -> "Budget":
        """Return the whole budget of one message."""
        return cls(rules.archive_depth, rules.archive_files, rules.archive_ratio, rules.unpacked_bytes)

    def take_file(self) -> bool:
        """Draw one file; False where none is left."""
        self.files -= 1
        return self.files >= 0

    def take_bytes(self, size: int) -> bool:
        """Draw unpacked bytes, best before or while they are unpacked; False where there are not that many left."""
        self.size_bytes -= size
        return self.size_bytes >= 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One file in a container. names: its readings as the container has them, with their folders, the usual one first.

    content: None where it was not unpacked (encrypted, damaged, beyond the budget). size_bytes: as unpacked, or as the
    container says.
    """

    names: tuple[str, ...]
    content: bytes | None
    size_bytes: int
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """What was found in one container. The walk writes the MIME part's number into the faults.

    encrypted: of the container as a whole (a document, an archive with an encrypted list of files). macro,
    macro_evidence: of an Office document; its evidence is bounded and safe to show.
    """

    entries: tuple[Entry, ...] = ()
    faults: tuple[Fault, ...] = ()
    encrypted: bool = False
    macro: Macro = Macro.NONE
    macro_evidence: str = ""


class Opener(Protocol):
    """Opens containers of one message. budget: what is left for all of them."""

    @property
    def budget(self) -> Budget:
        """What is left."""

    def open(self, names: tuple[str, ...], kind: FileKind, content: bytes) -> Opened:
        """Return what is in a container of CONTAINER_KINDS. Never raises; draws on the budget."""
