"""What a package says of its parts is read as programs read it, however it is written."""

import time

import pytest

from services.content.mime.containers import ContainerOpener
from services.content.mime.inspection import FaultKind, Macro
from services.content.mime.kinds import kind_of
from services.content.mime.opener import Budget, Opened
from services.content.mime.packages import BadPackage, has_macro_sheet, relations
from shared.policy.content import InspectionRules
from tests import packed

_NAMESPACE = "http://schemas.openxmlformats.org/package/2006/relationships"
_TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
_TEMPLATE = (
    f'<Relationship Id="r1" Type="{_TYPE}attachedTemplate" Target="http://a.test/x.dotm" TargetMode="External"/>'
)
_PREFIX = "a" * 40


def listing(inside: str, encoding: str = "utf-8", before: str = "") -> bytes:
    head = f'<?xml version="1.0" encoding="{encoding}"?>{before}'
    return f'{head}<Relationships xmlns="{_NAMESPACE}">{inside}</Relationships>'.encode(encoding)


def opened(parts: dict[str, bytes], name: str = "a.docx") -> Opened:
    content = packed.docx(parts)
    return ContainerOpener(Budget.of(InspectionRules())).open((name,), kind_of(content, (name,)), content)


@pytest.mark.parametrize(
    "text",
    [
        listing(_TEMPLATE),
        listing(_TEMPLATE.replace('"', "'")),
        listing(_TEMPLATE, "utf-16"),
        listing(_TEMPLATE.replace("attachedTemplate", "&#97;ttachedTemplate")),
        listing(_TEMPLATE.replace("http://", "&#104;ttp&#58;//")),
        listing(_TEMPLATE.replace("External", "Externa&#108;")),
        listing(_TEMPLATE.replace('Id="r1"', 'Id="a>b"')),
        listing(_TEMPLATE.replace('Id="r1"', 'Id="r1"' + " " * 5000)),
        listing(_TEMPLATE, before="<!--" + "x " * 600_000 + "-->"),
        listing(_TEMPLATE.replace("<Relationship ", f'<{_PREFIX}:Relationship xmlns:{_PREFIX}="{_NAMESPACE}" ')),
    ],
    ids=["plain", "quotes", "utf16", "type", "target", "mode", "bracket", "padding", "comment", "prefix"],
)
def test_no_way_of_writing_hides_a_template_from_elsewhere(text: bytes) -> None:
    got = opened({"word/_rels/settings.xml.rels": text})
    assert (got.macro, got.faults) == (Macro.SUSPICIOUS, ())


@pytest.mark.parametrize(
    ("target", "fetches"),
    [
        ("http://a.test/x.dotm", True),
        ("HTTPS://a.test/x.dotm", True),
        ("mhtml:https://a.test/x!x-usc:https://a.test/x", True),
        ("\\\\a.test\\share\\x.dotm", True),
        ("//192.0.2.1/share/x.dotm", True),
        ("file:///\\\\a.test\\share\\x.dotm", True),
        ("file:////a.test/share/x.dotm", True),
        ("file://a.test/share/x.dotm", True),
        ("\\\\host@80\\share\\x.dotm", True),
        # A writer's own disk and the file server next door: ordinary letters are full of these.
        ("file:///C:\\Users\\joe\\Templates\\letter.dotx", False),
        ("file:///C:/Users/joe.b/Templates/letter.dotx", False),
        ("file:///\\\\fileserver\\templates\\letter.dotx", False),
        ("\\\\fileserver\\templates\\letter.dotx", False),
        ("letter.dotx", False),
    ],
)
def test_only_what_comes_from_a_host_elsewhere_is_fetched(target: str, fetches: bool) -> None:
    (relation,) = relations(listing(_TEMPLATE.replace("http://a.test/x.dotm", target)))
    assert relation.fetches is fetches


@pytest.mark.parametrize("kind", ["externalLinkPath", "hyperlink", "image"])
def test_links_that_programs_ask_about_or_merely_show_are_not_fetched(kind: str) -> None:
    (relation,) = relations(listing(_TEMPLATE.replace("attachedTemplate", kind)))
    assert not relation.fetches


def test_excel_4_macros_are_found_wherever_their_sheet_lies() -> None:
    names = b'<workbook><definedNames><definedName name="_xlnm.Auto_O&#112;en">M!$A$1</definedName></definedNames></workbook>'
    sheet = listing(f'<Relationship Id="r1" Type="{_TYPE}xlMacrosheet" Target="m/a.xml"/>')
    main = listing(f'<Relationship Id="r1" Type="{_TYPE}officeDocument" Target="xl/w.xml"/>')
    parts = {"xl/w.xml": names, "xl/m/a.xml": b"<x/>", "xl/_rels/w.xml.rels": sheet, "x/_rels/.rels": main}
    got = opened(parts, "a.xlsm")
    assert (got.macro, got.macro_evidence) == (Macro.SUSPICIOUS, "Excel 4 macros that run by themselves (Auto_Open)")
    types = b'<Types><Override PartName="/xl/m/a.xml" ContentType="application/vnd.ms-excel.macroSheet+xml"/></Types>'
    assert has_macro_sheet(types)


@pytest.mark.parametrize(
    "text", [b"<Relationships", b"\xff\xfe\xff", listing("", before="<!DOCTYPE a [<!ENTITY b 'c'>]>")]
)
def test_relations_that_cannot_be_read_are_unreadable_and_not_harmless(text: bytes) -> None:
    with pytest.raises(BadPackage):
        relations(text)
    assert {fault.kind for fault in opened({"word/_rels/a.xml.rels": text}).faults} == {FaultKind.ARCHIVE_UNREADABLE}


def test_what_a_document_says_of_itself_is_read_within_a_bound() -> None:
    padded = listing("", before="<!--" + "x" * 4_000_000 + "-->")
    parts = {f"word/_rels/{number}.xml.rels": padded for number in range(50)}
    began = time.thread_time()
    assert {fault.kind for fault in opened(parts).faults} >= {FaultKind.ARCHIVE_UNREADABLE}
    assert time.thread_time() - began < 5
