"""What an Office package (OOXML) says of its own parts: relations, types of content, defined names (PURE).

Input: the XML of `.rels`, of `[Content_Types].xml`, of a workbook. It is parsed, not searched: quotes, references to
characters, encodings and padding make no difference to programs that open documents, and may make none to us.
Standards: ECMA-376 part 2 §9.3 (relations; no DTD), §10.1.2.2 (types).
On failure: BadPackage, for what is no XML is not known to be harmless.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.parsers import expat

# Of one document, all together: no real one has a tenth of it.
MAX_XML_BYTES = 10_000_000
_MAX_ELEMENTS = 200_000
# By these a document brings in, as soon as it is opened, what runs. Not the links of workbooks to one another
# (externalLinkPath): those are common, and programs ask first.
_FETCHING = ("attachedtemplate", "oleobject", "frame", "subdocument")
_MACRO_SHEETS = ("xlmacrosheet", "xlintlmacrosheet")
_WEB = re.compile(r"(?:[a-z-]{1,10}:)??(?:https?|ftp):", re.IGNORECASE)
# `\\host\share`, `//host/share`, `file://host/share`, `file:///\\host\share`.
_SHARE = re.compile(r"(?:file:)?(?:/{3,5}(?=\\)|/{2,3}(?=//))?[/\\]{2}([^/\\]+)[/\\]", re.IGNORECASE)
_MACRO_TYPE = "macrosheet"


class BadPackage(Exception):
    """What a package says of itself cannot be read."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation. kind: the last word of its type."""

    kind: str
    target: str
    external: bool

    @property
    def fetches(self) -> bool:
        """Whether it brings in something from a host elsewhere as soon as the document is opened."""
        return self.external and self.kind.lower().endswith(_FETCHING) and _is_elsewhere(self.target)

    @property
    def is_macro_sheet(self) -> bool:
        """Whether it leads to a sheet of Excel 4 macros."""
        return self.kind.lower() in _MACRO_SHEETS


def relations(text: bytes) -> list[Relation]:
    """Return the relations that a `.rels` part lists. Raises BadPackage."""
    return [
        Relation(
            values.get("Type", "").strip().rpartition("/")[2],
            values.get("Target", "").strip(),
            values.get("TargetMode", "").strip().lower() == "external",
        )
        for values in _elements(text, "Relationship")
    ]


def has_macro_sheet(content_types: bytes) -> bool:
    """Whether a package has a sheet of Excel 4 macros, wherever it lies. Raises BadPackage."""
    found = [*_elements(content_types, "Override"), *_elements(content_types, "Default")]
    return any(_MACRO_TYPE in values.get("ContentType", "").lower() for values in found)


def defined_names(workbook: bytes) -> Iterator[str]:
    """Return the names that a workbook defines. Raises BadPackage."""
    return (values.get("name", "") for values in _elements(workbook, "definedName"))


def _is_elsewhere(target: str) -> bool:
    """Whether a host of the internet is meant; a drive, or a server known by its short name, is the writer's own."""
    if _WEB.match(target):
        return True
    share = _SHARE.match(target)
    return share is not None and any(mark in share[1] for mark in ".@:")


def _elements(text: bytes, wanted: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    seen = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal seen
        seen += 1
        if seen > _MAX_ELEMENTS:
            raise BadPackage("too many elements")
        if name.rpartition(" ")[2] == wanted:
            found.append({key.rpartition(" ")[2]: value for key, value in attributes.items()})

    def refuse(*_: object) -> None:
        # ECMA-376 part 2 §8.1.4: no DTD; so there are no entities that could grow.
        raise BadPackage("a DTD")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise BadPackage(type(error).__name__) from None
    return found
