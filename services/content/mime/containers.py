"""The opener of all containers: archives, disk images and documents (runs in a helper process alone).

Input: one container at a time. Output: `Opened`. Which parts of a document are files of their own is decided here.
On failure: as `Opener` has it; but MemoryError goes through and ends the process.
"""

import re

from services.content.mime.archives import open_any, open_disk_image
from services.content.mime.extensions import extension
from services.content.mime.haul import Exceeded, Haul
from services.content.mime.hidden import hidden_archives
from services.content.mime.inspection import FileKind, Macro
from services.content.mime.kinds import kind_of
from services.content.mime.macros import Documented, examine_document
from services.content.mime.objects import open_active_mime, open_compound, open_notes
from services.content.mime.opener import Budget, Entry, Opened
from services.content.mime.zips import is_plain, listed, open_zip, unpack

_ZIP = b"PK"
_OLE = b"\xd0\xcf\x11\xe0"
_NOTES = b"\xe4\x52\x5c\x7b"
# What every document of a kind consists of; what else is in one is a file that somebody put there.
_OWN_EXTENSIONS = frozenset(
    (
        *("xml", "rels", "vml", "png", "jpg", "jpeg", "gif", "bmp", "tif", "tiff", "emf", "wmf", "emz", "wmz", "wdp"),
        *("svg", "fntdata", "odttf", "ttf", "mp3", "mp4", "m4a", "wav", "wmv", "avi", "mov", "thmx"),
    )
)
_OWN_KINDS = frozenset({FileKind.TEXT, FileKind.HTML, FileKind.IMAGE, FileKind.MEDIA, FileKind.UNKNOWN})
_MACRO_PARTS = ("vbaproject.bin", "vbaprojectsignature.bin")
# Of text: a web archive that Word and Excel open under any name, whatever stands before its first line.
_WEB_ARCHIVE = re.compile(rb"mime-version[ \t]*:", re.IGNORECASE)
_WEB_ARCHIVE_NAME = "web archive.mht"
_ACTIVE_MIME = b"ActiveMime"
_PRINTER_PARTS = re.compile(r"(?:\A|/)printersettings[0-9]*\.bin\Z")
_ENCRYPTED = 0x01


class ContainerOpener:
    """Opens the containers of one message."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget

    @property
    def budget(self) -> Budget:
        """What is left."""
        return self._budget

    def open(self, names: tuple[str, ...], kind: FileKind, content: bytes) -> Opened:
        """Return what is in a container. Raises nothing but MemoryError."""
        haul = Haul(self._budget, len(content))
        seen = Documented()
        try:
            if kind is FileKind.OFFICE:
                seen = examine_document(content)
                _open_document(content, seen, haul)
            elif kind is FileKind.DISK_IMAGE:
                open_disk_image(content, haul)
            else:
                open_any(names, content, haul)
            for place in hidden_archives(names, content):
                if place:
                    open_any(names, content[place:], haul)
                else:
                    open_zip(content, haul)
        except Exceeded:
            pass
        except MemoryError:
            raise
        except Exception:  # whatever a library makes of hostile bytes is a container that cannot be read
            haul.unreadable("a container cannot be read")
        return Opened(
            tuple(haul.entries), tuple(haul.faults), haul.encrypted or seen.encrypted, seen.macro, seen.evidence
        )


def _open_document(content: bytes, seen: Documented, haul: Haul) -> None:
    if seen.unreadable:
        haul.unreadable("a document is damaged, or cannot be read here")
    for name, data in seen.files or ():
        haul.take((name,) if name else (), data)
    if content.startswith(_ZIP):
        _open_zipped(content, seen.macro, haul)
    elif content.startswith(_OLE) and not seen.encrypted:
        open_compound(content, haul)
    elif content.startswith(_NOTES):
        open_notes(content, haul)
    elif content.startswith(_ACTIVE_MIME):
        open_active_mime(content, haul)
    elif not content.startswith(_OLE) and (found := _WEB_ARCHIVE.search(content)):
        haul.take((_WEB_ARCHIVE_NAME,), content[found.start() :])


def _open_zipped(content: bytes, macro: Macro, haul: Haul) -> None:
    found = listed(content)
    if found is None:
        haul.unreadable("a document's list of parts is damaged")
        return
    archive, infos = found
    if not is_plain(content, infos):
        # Programs may read it differently: what a part is called says nothing then, only what it is.
        open_zip(content, haul)
        haul.entries = [entry for entry in haul.entries if not _is_harmless(entry, macro)]
        return
    for info in infos:
        if info.filename.endswith("/") or _is_own(info.filename.lower(), macro):
            continue
        haul.begin_file()
        names = (info.filename,)
        if info.flag_bits & _ENCRYPTED:
            haul.entries.append(Entry(names, None, info.file_size, encrypted=True))
        else:
            data = unpack(archive, info, haul)
            haul.add(names, data, info.file_size if data is None else len(data))


def _is_harmless(entry: Entry, macro: Macro) -> bool:
    if not all(_is_own(name.lower(), macro) for name in entry.names):
        return False
    return entry.content is not None and kind_of(entry.content, entry.names) in _OWN_KINDS


def _is_own(name: str, macro: Macro) -> bool:
    if name.endswith(_MACRO_PARTS):
        return macro is not Macro.NONE
    return (
        extension(name) in _OWN_EXTENSIONS
        or _PRINTER_PARTS.search(name) is not None
        or name in ("mimetype", "manifest.rdf")
    )
