"""Rules of the check `attachments`: it lists what there is, bounded and safe to show."""

from services.content.checks.attachments import attachments_finding
from services.content.mime.inspection import Attachment, FileKind, Inspection
from shared.verdict import CheckName


def test_no_attachment_is_a_result_too() -> None:
    inspection = Inspection(1)
    finding = attachments_finding(inspection)
    assert (finding.check, finding.result, finding.rule) == (CheckName.ATTACHMENTS, "none", "")
    assert (finding.evidence, finding.input, finding.detail) == ("No attachments.", "1 MIME part", inspection)


def test_files_are_listed_with_their_places() -> None:
    files = (
        Attachment("2", ("report.zip",), FileKind.ARCHIVE, 10),
        Attachment("2", ("a.pdf", "b.pdf"), FileKind.PDF, 10, path=("report.zip",)),
        Attachment("", ("c.exe",), FileKind.EXECUTABLE, 10),
        Attachment("3", (), FileKind.UNKNOWN, 10),
    )
    finding = attachments_finding(Inspection(3, files))
    assert finding.result == "seen"
    assert finding.evidence == (
        "4 attachments: report.zip (part 2), report.zip › a.pdf (part 2), c.exe (within the text), "
        "a file of type unknown without a name (part 3)."
    )


def test_the_list_is_bounded_and_safe_to_show() -> None:
    files = tuple(Attachment(str(number), ("\u202e\r\n" * 100,), FileKind.TEXT, 1) for number in range(400))
    evidence = attachments_finding(Inspection(401, files)).evidence
    assert len(evidence) < 700
    assert evidence.endswith("and 395 more.")
    assert evidence.isprintable()
