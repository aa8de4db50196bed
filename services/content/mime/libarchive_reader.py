"""Reading archives by libarchive (runs in a helper process alone; I/O free but for the library's memory).

Input: an archive's bytes, and which formats it may be. Output: its files, one after the other. Only formats and filters
named here are offered to hostile bytes: some of the library's others open files on disk or start programs.
On failure: ArchiveFault, whose text is the library's; MemoryError.
"""

import contextlib
import ctypes
from collections.abc import Iterator

from libarchive import ffi

_ENCRYPTED_WORDS = ("encrypt", "passphrase", "password")
_FILE, _FOLDER, _UNKNOWN_TYPE = 0o100000, 0o040000, 0
_BLOCK_BYTES = 1 << 16

ffi.ffi("entry_is_encrypted", [ffi.c_archive_entry_p], ctypes.c_int)
ffi.ffi("read_has_encrypted_entries", [ffi.c_archive_p], ctypes.c_int)

FILTERS = ("gzip", "bzip2", "xz", "lzma", "lzip", "zstd", "lz4", "compress", "rpm")


class ArchiveFault(Exception):
    """The archive cannot be read on. encrypted: because it is."""

    def __init__(self, text: str, *, encrypted: bool) -> None:
        super().__init__(text)
        self.encrypted = encrypted


class ArchiveFile:
    """A file that the reader stands at."""

    def __init__(self, archive: ctypes.c_void_p, entry: ctypes.c_void_p) -> None:
        self._archive = archive
        # The library's word for what is no archive of files, but one that is packed.
        self.is_alone = ffi.format_name(archive) == b"raw"
        raw = ffi.entry_pathname(entry)
        wide = None if raw else ffi.entry_pathname_w(entry)
        self.name = _name(raw) if raw is not None else (wide or "")
        kind = ffi.entry_filetype(entry)
        self.is_folder = kind == _FOLDER
        self.has_content = kind in (_FILE, _UNKNOWN_TYPE)
        self.size_bytes = max(int(ffi.entry_size(entry)), 0) if ffi.entry_size_is_set(entry) else 0
        self.encrypted = ffi.entry_is_encrypted(entry) == 1

    def blocks(self) -> Iterator[bytes]:
        """Return its content. Raises ArchiveFault."""
        buffer = ctypes.create_string_buffer(_BLOCK_BYTES)
        while True:
            try:
                count = ffi.read_data(self._archive, buffer, _BLOCK_BYTES)
            except ffi.ArchiveError as error:
                raise _fault(error) from None
            if count < 0:
                raise ArchiveFault("its content is damaged", encrypted=False)
            if not count:
                return
            yield buffer.raw[:count] if count < _BLOCK_BYTES else buffer.raw


@contextlib.contextmanager
def open_archive(
    content: bytes, formats: tuple[str, ...], filters: tuple[str, ...] = ()
) -> Iterator[Iterator[ArchiveFile]]:
    """Open an archive; its files come in order. Raises ArchiveFault, as the iterator does."""
    archive = ffi.read_new()
    try:
        for name in filters:
            with contextlib.suppress(ffi.ArchiveError, ValueError):
                ffi.get_read_filter_function(name)(archive)
        for name in formats:
            with contextlib.suppress(ffi.ArchiveError, ValueError):
                ffi.get_read_format_function(name)(archive)
        try:
            ffi.read_open_memory(archive, content, len(content))
        except ffi.ArchiveError as error:
            raise _fault(error) from None
        yield _files(archive)
    finally:
        ffi.read_free(archive)


def _files(archive: ctypes.c_void_p) -> Iterator[ArchiveFile]:
    entry = ffi.entry_new()
    try:
        while True:
            try:
                status = ffi.read_next_header2(archive, entry)
            except ffi.ArchiveError as error:
                fault = _fault(error)
                fault.encrypted |= ffi.read_has_encrypted_entries(archive) == 1
                raise fault from None
            if status == ffi.ARCHIVE_EOF:
                return
            yield ArchiveFile(archive, entry)
    finally:
        ffi.entry_free(entry)


def _name(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _fault(error: ffi.ArchiveError) -> ArchiveFault:
    text = str(error.msg or "it cannot be read").lower()
    if "allocate" in text or "out of memory" in text:
        raise MemoryError
    return ArchiveFault(text, encrypted=any(word in text for word in _ENCRYPTED_WORDS))
