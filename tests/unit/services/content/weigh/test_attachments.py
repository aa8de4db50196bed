"""Rules of weighing attachments: one reason per rule, on every reading, and what can be stripped."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.checks.attachments import attachments_finding
from services.content.mime.inspection import Attachment, Fault, FaultKind, FileKind, Inspection, Macro
from services.content.weigh.attachments import weigh_attachments
from services.content.weigh.file_patterns import FilePatterns
from services.content.weigh.weighed import Weighed
from shared.policy import Checks
from shared.policy.checks import AttachmentRules
from shared.verdict import Action


def one(*names: str, part: str = "2", kind: FileKind = FileKind.UNKNOWN, **more: object) -> Attachment:
    return Attachment(part, names, kind, 10, **more)  # type: ignore[arg-type]


def weighed(*files: Attachment, faults: tuple[Fault, ...] = (), **rules: object) -> list[Weighed]:
    finding = attachments_finding(Inspection(3, files, faults))
    return weigh_attachments(finding, AttachmentRules.model_validate(rules), "checks")


def rules_of(found: list[Weighed]) -> list[str]:
    return [each.reason.rule.removeprefix("checks.attachments.") for each in found]


def test_nothing_that_a_rule_fits_is_accepted_with_what_was_seen() -> None:
    for files in ((), (one("a.pdf", kind=FileKind.PDF),)):
        [found] = weighed(*files)
        assert (found.reason.action, found.reason.rule, found.strip) == (Action.ACCEPT, "", ())
        assert found.reason.evidence == attachments_finding(Inspection(3, files)).evidence


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        (one("a.exe"), "blocked"),
        (one("A.EXE"), "blocked"),
        (one("a.pdf", "a.exe"), "blocked"),
        (one("a.exe", path=("x.zip",)), "blocked"),
        (one("a.bin", kind=FileKind.EXECUTABLE), "blocked"),
        (one("a.bin", kind=FileKind.SCRIPT), "blocked"),
        (one("a\u202efdp.x"), "disguised"),
        (one("a.zip", encrypted=True), "encrypted"),
        (one("a.doc", macro=Macro.PRESENT), "macro"),
        (one("a.doc", macro=Macro.SUSPICIOUS), "suspicious_macro"),
    ],
)
def test_each_rule_fits_its_files(file: Attachment, rule: str) -> None:
    [found] = weighed(one("b.pdf"), file)
    assert rules_of([found]) == [rule]
    assert found.reason.result == rule
    assert found.reason.action is Action(getattr(Checks().attachments, rule))
    assert found.reason.change
    assert found.reason.input == "3 MIME parts"


@pytest.mark.parametrize(
    ("kind", "rule"), [(FaultKind.ARCHIVE_UNREADABLE, "unreadable"), (FaultKind.ARCHIVE_EXCEEDED, "exceeded")]
)
def test_archives_that_cannot_be_examined_have_their_rules(kind: FaultKind, rule: str) -> None:
    [found] = weighed(one("a.zip"), faults=(Fault(kind, "an archive is odd", "2"),))
    assert rules_of([found]) == [rule]
    assert found.reason.evidence == "a.zip (part 2): an archive is odd."


def test_one_reason_for_each_rule_however_many_files() -> None:
    files = [one(f"a{number}.pdf.exe", part=str(number)) for number in range(50)]
    found = weighed(*files)
    assert rules_of(found) == ["blocked", "disguised"]
    assert found[0].reason.evidence == (
        "a0.pdf.exe (part 0): fits *.exe; a1.pdf.exe (part 1): fits *.exe; a2.pdf.exe (part 2): fits *.exe; and 47 more."
    )
    assert found[0].reason.change == (
        "the same message without a0.pdf.exe, a1.pdf.exe, a2.pdf.exe and 47 more files, or with it sent as a link"
    )


def test_the_evidence_names_the_file_with_its_path_and_the_reading_that_fits() -> None:
    [found, *_] = weighed(one("invoice.pdf", "invoice.pdf.exe", part="2.1", path=("report.zip",)))
    assert found.reason.evidence == "report.zip › invoice.pdf (part 2.1): fits *.exe, read as invoice.pdf.exe."


def test_a_rule_that_accepts_asks_for_no_change() -> None:
    [found] = weighed(one("a.exe"), blocked="accept", disguised="accept")
    assert (found.reason.action, found.reason.change, found.strip) == (Action.ACCEPT, "", ())


def test_strip_is_a_tag_that_names_the_parts() -> None:
    [found] = weighed(
        one("a.exe", part="2"), one("b.pdf", part="3"), one("c.exe", part="4.1", path=("x.zip",)), blocked="strip"
    )
    assert (found.reason.action, found.strip) == (Action.TAG, ("2", "4.1"))


@pytest.mark.parametrize("kind", [FaultKind.AMBIGUOUS, FaultKind.EXCEEDED, FaultKind.OVERRUN])
def test_what_cannot_be_taken_out_for_sure_is_held_instead(kind: FaultKind) -> None:
    [found, *_] = weighed(one("a.exe"), faults=(Fault(kind, "x"),), blocked="strip")
    assert (found.reason.action, found.strip) == (Action.QUARANTINE, ())
    assert "held, not taken out" in found.reason.evidence


def test_what_is_in_no_part_of_its_own_is_held_instead() -> None:
    [found] = weighed(one("a.exe", part=""), one("b.exe"), blocked="strip")
    assert (found.reason.action, found.strip) == (Action.QUARANTINE, ())


def test_a_broken_line_does_not_stop_stripping() -> None:
    [found] = weighed(one("a.exe"), faults=(Fault(FaultKind.MALFORMED, "x"),), blocked="strip")
    assert found.strip == ("2",)


@pytest.mark.parametrize("kind", [FaultKind.EXCEEDED, FaultKind.OVERRUN])
def test_files_that_nobody_could_see_are_exceeded_whatever_structure_makes_of_it(kind: FaultKind) -> None:
    [found] = weighed(faults=(Fault(kind, "x"),))
    assert (rules_of([found]), found.reason.action) == (["exceeded"], Action.QUARANTINE)


def test_the_scope_is_the_policys_table() -> None:
    finding = attachments_finding(Inspection(1, (one("a.exe"),)))
    [found] = weigh_attachments(finding, AttachmentRules(), 'domains."a.test".checks')
    assert found.reason.rule == 'domains."a.test".checks.attachments.blocked'


def test_every_reason_is_a_key_of_the_policy_and_safe_to_show() -> None:
    nasty = "{}\r\n\u202e" + "x" * 300 + ".pdf.exe"
    files = [
        one(nasty, kind=FileKind.EXECUTABLE, path=("{0}\n",)),
        one(nasty, encrypted=True, macro=Macro.SUSPICIOUS, macro_evidence="Auto\nOpen"),
        one("a.doc", macro=Macro.PRESENT),
    ]
    faults = (Fault(FaultKind.ARCHIVE_UNREADABLE, "x"), Fault(FaultKind.ARCHIVE_EXCEEDED, "y"))
    found = weighed(*files, faults=faults)
    assert len(found) == 7
    for each in found:
        assert hasattr(Checks().attachments, each.reason.result)
        assert each.reason.evidence.isprintable()
        assert each.reason.change.isprintable()
        assert len(each.reason.evidence) < 1000


# Patterns of names


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*.exe", "a.exe", True),
        ("*.exe", "a.EXE", True),
        ("*.exe", "a.exe.txt", False),
        ("*.Exe", ".exe", True),
        ("invoice*.zip", "invoice 7.zip", True),
        ("invoice*.zip", "invoice.zip", True),
        ("invoice*.zip", "my invoice.zip", False),
        ("*a*b*", "xaxbx", True),
        ("*a*b*", "xbxax", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*.do?", "x.doc", True),
        ("*.do?", "x.docx", False),
        ("*", "anything", True),
        ("a.b", "a.b", True),
        ("a.b", "axb", False),
        ("[a].exe", "[a].exe", True),
        ("[a].exe", "a.exe", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
    ],
)
def test_patterns_fit_as_written(pattern: str, name: str, fits: bool) -> None:
    assert (FilePatterns([pattern]).fitting(name) != "") is fits


@given(st.text("ab.*?", max_size=12), st.text("ab.", max_size=12))
def test_patterns_fit_what_a_plain_search_says(pattern: str, name: str) -> None:
    def fits(pattern: str, name: str) -> bool:
        if not pattern:
            return not name
        if pattern[0] == "*":
            return any(fits(pattern[1:], name[at:]) for at in range(len(name) + 1))
        return bool(name) and pattern[0] in ("?", name[0]) and fits(pattern[1:], name[1:])

    assert (FilePatterns([pattern or "x"]).fitting(name) != "") is fits(pattern or "x", name)


def test_many_stars_take_no_longer_than_the_name_is_long() -> None:
    patterns = FilePatterns(["*a" * 45 + "b?", "a*" * 45 + "?b"])
    before = time.process_time()
    assert patterns.fitting("a" * 255) == ""
    # Trying every way would take longer than the world has been there.
    assert time.process_time() - before < 1
