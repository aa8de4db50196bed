"""Whether a file's name hides what the file is (PURE)."""

import re

from services.content.mime.extensions import (
    DOCUMENT_EXTENSIONS,
    HARMLESS_EXTENSIONS,
    PAGE_EXTENSIONS,
    RUNNABLE_EXTENSIONS,
    extension,
)
from services.content.mime.inspection import FileKind
from services.content.mime.names import INVISIBLE

_RUNS = (FileKind.EXECUTABLE, FileKind.SCRIPT, FileKind.SHORTCUT)
# Characters that turn the order of others: a name that ends in `exe` is shown as one that ends in `pdf`.
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")
_ALNUM_END = re.compile(r"([A-Za-z0-9]{1,10})[\s._\-)\]]*\Z")
# Documents and recordings whose name is put before that of a page that only looks like one.
_LURES = DOCUMENT_EXTENSIONS - {"txt", "text", "log", "md", "csv"} | {"wav", "mp3", "m4a"}
_GAP = re.compile(r"\s{5}")


def disguise(names: tuple[str, ...], kind: FileKind) -> str:
    """Return in what way a name hides what the file is, as a clause, or an empty text. names: every reading."""
    for name in names:
        if not name.isascii():
            if _TURNING.search(name):
                return "its name has characters that turn the order of others"
            if INVISIBLE.search(name) and extension(INVISIBLE.sub("", name)) in RUNNABLE_EXTENSIONS:
                return "its name has invisible characters"
        found = _two_extensions(name)
        if found:
            return found
    if names and kind in _RUNS and extension(names[0].strip(". ")) in HARMLESS_EXTENSIONS:
        return f"it is named as a document, but its content is of type {kind.value}"
    return ""


def _two_extensions(name: str) -> str:
    rest, dot, _ = name.rpartition(".")
    last = extension(name)
    if not dot or (last not in RUNNABLE_EXTENSIONS and last not in PAGE_EXTENSIONS):
        return ""
    match = _ALNUM_END.search(rest[-60:])
    before = match[1].lower() if match and "." in rest else ""
    if last in RUNNABLE_EXTENSIONS:
        if before in HARMLESS_EXTENSIONS and _is_extension(rest, before):
            return "its name has two extensions"
        return "its name hides its extension behind spaces" if _GAP.search(rest) else ""
    return "its name has two extensions" if before in _LURES and _is_extension(rest, before) else ""


def _is_extension(rest: str, before: str) -> bool:
    return rest.lower().rpartition(before)[0].endswith(".")
