"""What a message's files come to for one domain (PURE): one reason for each rule that applies.

Input: the finding of the check `attachments`, whose detail is the inspection. Every reading of a name counts, and files
within archives count as files. "strip" is a tag that names the parts to take out; where they cannot be taken out for
sure, it is a quarantine, and the reason says why.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from services.content.checks.attachments import file_label, listed
from services.content.finding import Finding
from services.content.mime.disguise import disguise
from services.content.mime.inspection import Attachment, FaultKind, Inspection, Macro
from services.content.mime.names import shown
from services.content.weigh.file_patterns import file_patterns
from services.content.weigh.weighed import Weighed
from shared.policy.checks import STRIP, AttachmentAction, AttachmentRules
from shared.verdict import Action, CheckName, Reason

_MAX_NAMED = 3
_MAX_EVIDENCE_BYTES = 1000
_MAX_CHANGE_BYTES = 700
_UNSURE_FAULTS = frozenset({FaultKind.AMBIGUOUS, FaultKind.EXCEEDED, FaultKind.OVERRUN})

# After these, files may be in the message that nobody has seen, whatever [checks.structure] makes of its form.
_UNSEEN_FAULTS = (FaultKind.ARCHIVE_EXCEEDED, FaultKind.EXCEEDED, FaultKind.OVERRUN)


@dataclass(frozen=True, slots=True)
class _Hit:
    """A rule that applies. files: to which. parts: the MIME parts that they are in."""

    rule: str
    evidence: str
    change: str
    parts: tuple[str, ...]


def weigh_attachments(finding: Finding, rules: AttachmentRules, scope: str) -> list[Weighed]:
    """Return a reason for each rule that applies, or one that nothing does. scope: the policy's table, `checks`."""
    inspection = finding.detail
    hits = _hits(inspection, rules) if isinstance(inspection, Inspection) else []
    if not isinstance(inspection, Inspection) or not hits:
        return [Weighed(Reason(finding.check, finding.result, Action.ACCEPT, finding.evidence, input=finding.input))]
    return [_weighed(hit, inspection, getattr(rules, hit.rule), scope, finding.input) for hit in hits]


def _weighed(hit: _Hit, inspection: Inspection, asked: AttachmentAction, scope: str, seen: str) -> Weighed:
    action, evidence, strip = _carried_out(hit, inspection, asked)
    change = "" if action is Action.ACCEPT else hit.change
    rule = f"{scope}.{CheckName.ATTACHMENTS}.{hit.rule}"
    evidence, change = _bounded(evidence, _MAX_EVIDENCE_BYTES), _bounded(change, _MAX_CHANGE_BYTES)
    return Weighed(Reason(CheckName.ATTACHMENTS, hit.rule, action, evidence, rule, seen, change=change), strip)


def _bounded(text: str, limit_bytes: int) -> str:
    """Cut a text: strangers choose names, and all reasons travel in one header, together with the recipients."""
    octets = text.encode()
    return text if len(octets) <= limit_bytes else f"{octets[:limit_bytes].decode(errors='ignore')} …"


def _carried_out(hit: _Hit, inspection: Inspection, asked: AttachmentAction) -> tuple[Action, str, tuple[str, ...]]:
    if asked != STRIP:
        return Action(asked), hit.evidence, ()
    why_not = _why_not_to_strip(hit, inspection)
    if why_not:
        return Action.QUARANTINE, f"{hit.evidence} It is held, not taken out, for {why_not}.", ()
    return Action.TAG, hit.evidence, hit.parts


def _why_not_to_strip(hit: _Hit, inspection: Inspection) -> str:
    if any(fault.kind in _UNSURE_FAULTS for fault in inspection.faults):
        return "it is not sure what mail clients would still see"
    if not hit.parts or not all(hit.parts):
        return "it is in no part of its own"
    return ""


def _hits(inspection: Inspection, rules: AttachmentRules) -> list[_Hit]:
    files = inspection.attachments
    found = [_blocked(files, rules), _disguised(files)]
    without = "the same message without {}"
    unencrypted = f"the same file without encryption, or {without}"
    found.append(
        _named(
            "encrypted",
            files,
            lambda one: one.encrypted,
            "{}: encrypted, so that it cannot be looked into",
            unencrypted,
        )
    )
    found.append(_with_macros("macro", files, Macro.PRESENT, "macros"))
    found.append(_with_macros("suspicious_macro", files, Macro.SUSPICIOUS, "macros that run by themselves"))
    found.append(_faulty("unreadable", inspection, "an archive that is not damaged", FaultKind.ARCHIVE_UNREADABLE))
    found.append(_faulty("exceeded", inspection, "a smaller archive, or the file as a link", *_UNSEEN_FAULTS))
    return [hit for hit in found if hit is not None]


def _blocked(files: Iterable[Attachment], rules: AttachmentRules) -> _Hit | None:
    patterns = file_patterns(tuple(rules.blocked_names))
    types = frozenset(rules.blocked_types)
    hits: list[tuple[Attachment, str]] = []
    for one in files:
        fitting = next(((name, pattern) for name in one.names if (pattern := patterns.fitting(name))), None)
        if fitting:
            name, pattern = fitting
            hits.append((one, f"fits {pattern}" if name == one.names[0] else f"fits {pattern}, read as {shown(name)}"))
        elif one.kind.value in types:
            hits.append((one, f"is of type {one.kind.value}"))
    return _explained("blocked", hits, "the same message without {}, or with it sent as a link")


def _disguised(files: Iterable[Attachment]) -> _Hit | None:
    hits = [(one, why) for one in files if (why := disguise(one.names, one.kind))]
    return _explained("disguised", hits, "the same message without {}")


def _explained(rule: str, hits: list[tuple[Attachment, str]], change: str) -> _Hit | None:
    if not hits:
        return None
    texts = [f"{listed([one])}: {why}" for one, why in hits[:_MAX_NAMED]]
    if len(hits) > _MAX_NAMED:
        texts.append(f"and {len(hits) - _MAX_NAMED} more")
    return _hit(rule, f"{'; '.join(texts)}.", change, [one for one, _ in hits])


def _named(
    rule: str, files: Iterable[Attachment], fits: Callable[[Attachment], bool], evidence: str, change: str
) -> _Hit | None:
    hits = [one for one in files if fits(one)]
    return _hit(rule, f"{evidence.format(listed(hits, _MAX_NAMED))}.", change, hits) if hits else None


def _with_macros(rule: str, files: Iterable[Attachment], macro: Macro, otherwise: str) -> _Hit | None:
    hits = [one for one in files if one.macro is macro]
    if not hits:
        return None
    seen = next((shown(one.macro_evidence, 200) for one in hits if one.macro_evidence), otherwise)
    text = f"{listed(hits, _MAX_NAMED)}: {seen}."
    return _hit(rule, text, "the same document without macros", hits)


def _faulty(rule: str, inspection: Inspection, change: str, *kinds: FaultKind) -> _Hit | None:
    faults = [fault for fault in inspection.faults if fault.kind in kinds]
    if not faults:
        return None
    texts = list(dict.fromkeys(fault.text for fault in faults))
    parts = _parts(fault.part for fault in faults)
    # The files that they are in, for a fault is of an archive somewhere within.
    outermost = [one for one in inspection.attachments if one.part in parts and not one.path]
    text = "; ".join(texts[:_MAX_NAMED])
    evidence = f"{listed(outermost, _MAX_NAMED)}: {text}." if outermost else f"{text[:1].upper()}{text[1:]}."
    return _Hit(rule, evidence, change, parts)


def _hit(rule: str, evidence: str, change: str, files: list[Attachment]) -> _Hit:
    labels = list(dict.fromkeys(file_label(one) for one in files))
    more = f" and {len(labels) - _MAX_NAMED} more files" if len(labels) > _MAX_NAMED else ""
    text = change.replace("{}", ", ".join(labels[:_MAX_NAMED]) + more)
    return _Hit(rule, evidence, text, _parts(one.part for one in files))


def _parts(numbers: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(numbers))
