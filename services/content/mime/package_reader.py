"""Reading what an Office package says of itself out of its archive (runs in a helper process alone).

Owns: how much is read: MAX_XML_BYTES of one document, all its parts together.
On failure: `unreadable` is set; what the archive itself raises goes through.
"""

import zipfile

from services.content.mime.excel4 import MACRO_SHEETS, automatic_name
from services.content.mime.packages import (
    MAX_XML_BYTES,
    BadPackage,
    Relation,
    defined_names,
    has_macro_sheet,
    relations,
)

_WORKBOOKS = frozenset({"xl/workbook.xml", "xl/workbook.bin"})
_CONTENT_TYPES = "[content_types].xml"
_MAIN = "officedocument"


class PackageReader:
    """One document's package. unreadable: whether some of what it says of itself could not be read."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.unreadable = False
        self._archive = archive
        self._left = MAX_XML_BYTES

    def relations(self) -> list[Relation]:
        """Return the relations of all parts."""
        found: list[Relation] = []
        for info in self._archive.infolist():
            if info.filename.lower().endswith(".rels"):
                try:
                    found += relations(self._read(info))
                except BadPackage:
                    self.unreadable = True
        return found

    def has_macro_sheet(self) -> bool:
        """Whether it has a sheet of Excel 4 macros: at the usual place, or where the list of types says so."""
        for info in self._archive.infolist():
            name = info.filename.lower().lstrip("/")
            if name.startswith(MACRO_SHEETS):
                return True
            if name == _CONTENT_TYPES:
                try:
                    if has_macro_sheet(self._read(info)):
                        return True
                except BadPackage:
                    self.unreadable = True
        return False

    def automatic_name(self, found: list[Relation]) -> str:
        """Return the name that makes the macros run, in the usual workbook or the one that relations lead to."""
        main = {relation.target.lower().lstrip("./") for relation in found if relation.kind.lower() == _MAIN}
        for info in self._archive.infolist():
            if info.filename.lower().lstrip("./") not in main | _WORKBOOKS:
                continue
            text = b""
            try:
                text = self._read(info)
                names = " ".join(defined_names(text)).encode("utf-8", "replace")
            except BadPackage:
                # A binary workbook is no XML; in it the text has two bytes for a letter.
                names = text.replace(b"\0", b"")
                self.unreadable |= text.lstrip()[:1] in (b"", b"<")
            if automatic := automatic_name(names):
                return automatic
        return ""

    def _read(self, info: zipfile.ZipInfo) -> bytes:
        with self._archive.open(info) as file:
            text = file.read(self._left + 1)
        if len(text) > self._left:
            self._left = 0
            raise BadPackage
        self._left -= len(text)
        return text
