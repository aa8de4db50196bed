"""What is brought out of one container, within the message's budget (PURE).

Output: entries and faults. Every opener fills one of these; its bounds are the only ones.
"""

from collections.abc import Iterable

from services.content.mime.inspection import Fault, FaultKind
from services.content.mime.opener import Budget, Entry

# Of what is small no ratio is a bomb.
_FREE_BYTES = 1_000_000


class Exceeded(Exception):
    """The budget is used up: the container is left where it is."""


class Haul:
    """Entries and faults of one container. packed_bytes: its own size. folders: how many were passed over."""

    def __init__(self, budget: Budget, packed_bytes: int) -> None:
        self.budget = budget
        self.packed_bytes = packed_bytes
        self.entries: list[Entry] = []
        self.faults: list[Fault] = []
        self.encrypted = False
        self.folders = 0

    def unreadable(self, text: str) -> None:
        """Note that something in it cannot be read."""
        self._fault(FaultKind.ARCHIVE_UNREADABLE, text)

    def exceeded(self, text: str) -> Exceeded:
        """Note that it goes beyond a bound, and return what is to be raised."""
        self._fault(FaultKind.ARCHIVE_EXCEEDED, text)
        return Exceeded(text)

    def begin_file(self) -> None:
        """Draw a file. Raises Exceeded."""
        if not self.budget.take_file():
            raise self.exceeded("archives hold more files than [inspection] archive_files allows")

    def collect(self, blocks: Iterable[bytes], packed_bytes: int) -> bytes:
        """Put a file's content together, as far as it may be unpacked. Raises Exceeded."""
        pieces = []
        size = 0
        most = max(packed_bytes * self.budget.ratio, _FREE_BYTES)
        for block in blocks:
            size += len(block)
            if not self.budget.take_bytes(len(block)):
                raise self.exceeded("archives unpack to more bytes than [inspection] unpacked_bytes allows")
            if size > most:
                ratio = self.budget.ratio
                raise self.exceeded(f"a file unpacks to more than {ratio} times its packed size (archive_ratio)")
            pieces.append(block)
        return b"".join(pieces)

    def add(self, names: tuple[str, ...], content: bytes | None, size_bytes: int, *, encrypted: bool = False) -> None:
        """Add an entry."""
        self.entries.append(Entry(names, content, size_bytes, encrypted))

    def take(self, names: tuple[str, ...], content: bytes) -> None:
        """Add a file that is at hand, drawing on the budget. Raises Exceeded."""
        self.begin_file()
        if not self.budget.take_bytes(len(content)):
            raise self.exceeded("archives unpack to more bytes than [inspection] unpacked_bytes allows")
        self.add(names, content, len(content))

    def _fault(self, kind: FaultKind, text: str) -> None:
        fault = Fault(kind, text)
        if fault not in self.faults:
            self.faults.append(fault)
