"""The demo's document with a macro, as a reader of macros sees it."""

import io

import olefile
from oletools.olevba import VBA_Parser

from infra.local.office import MACRO, macro_document, vba_project


def test_it_is_a_word_document_whose_macro_runs_by_itself() -> None:
    parser = VBA_Parser("demo.docm", data=macro_document())
    assert parser.type == "OpenXML"
    ((_, stream, _, source),) = parser.extract_macros()
    assert stream == "VBA/ThisDocument"
    assert source.replace("\r\n", "\n") == MACRO
    assert {kind for kind, *_ in parser.analyze_macros()} >= {"AutoExec", "Suspicious"}
    parser.close()


def test_its_compound_file_has_no_defect() -> None:
    with olefile.OleFileIO(
        io.BytesIO(vba_project("Sub A()\nEnd Sub\n")), raise_defects=olefile.DEFECT_POTENTIAL
    ) as file:
        assert ["VBA", "dir"] in file.listdir()


def test_a_macro_of_another_length_is_found_whole() -> None:
    for length in (0, 1, 7, 8, 9, 3000):
        source = f"'{'x' * length}\n"
        ((*_, found),) = VBA_Parser("demo.docm", data=macro_document(source)).extract_macros()
        assert found.replace("\r\n", "\n") == source
