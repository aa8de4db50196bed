"""The check `structure`: whether the message can be read for sure, within its bounds (PURE).

Standards: RFC 5322 §2.2, §3.6, RFC 2045, RFC 2046. The bounds: shared/auth/message.py, mime/tree.py, mime/caps.py.
"""

from services.content.finding import Finding
from services.content.mime.inspection import Fault, FaultKind, Inspection
from shared.auth.message import Message
from shared.verdict import CheckName

_MAX_NAMED = 3
_CHANGES = {
    FaultKind.EXCEEDED: "a message with fewer or smaller headers and parts",
    FaultKind.AMBIGUOUS: "a message that every mail client reads in the same way",
    FaultKind.OVERRUN: "a message that takes less time and memory to examine",
    FaultKind.MALFORMED: "a message in the form that RFC 5322 and RFC 2045 ask for",
}


def structure_findings(message: Message, inspection: Inspection) -> list[Finding]:
    """Return what is wrong with the message's form, a finding for each kind of fault. inspection: of its parts.

    A policy that accepts one kind still hears of the others.
    """
    seen = f"the header and {inspection.parts} MIME part{'' if inspection.parts == 1 else 's'}"
    faults = [*_header_faults(message), *inspection.faults]
    found = []
    for kind, change in _CHANGES.items():
        of_kind = [fault for fault in faults if fault.kind is kind]
        if of_kind:
            rule = kind.value
            found.append(Finding(CheckName.STRUCTURE, rule, _sentence(of_kind), rule, input=seen, change=change))
    return found or [Finding(CheckName.STRUCTURE, "ok", "The message is well formed.", input=seen)]


def _header_faults(message: Message) -> list[Fault]:
    if not message.fault:
        return []
    return [Fault(FaultKind.EXCEEDED if message.bounds_exceeded else FaultKind.MALFORMED, message.fault)]


def _sentence(faults: list[Fault]) -> str:
    texts = [f"{fault.text} (part {fault.part})" if fault.part else fault.text for fault in faults[:_MAX_NAMED]]
    text = "; ".join(texts)
    return f"{text[0].upper()}{text[1:]}."
