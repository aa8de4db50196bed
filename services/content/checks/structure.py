"""The check `structure`: whether the message can be read for sure, within its bounds (PURE).

Standards: RFC 5322 §2.2, §3.6, RFC 2045, RFC 2046. The bounds: shared/auth/message.py, mime/tree.py, mime/caps.py.
"""

from services.content.finding import Finding
from services.content.mime.inspection import Fault, FaultKind, Inspection
from shared.auth.message import Message
from shared.verdict import CheckName

_MAX_NAMED = 3
# Which fault is told where there are several: what is certain, and worst, first.
_CHANGES = {
    FaultKind.EXCEEDED: "a message with fewer or smaller headers and parts",
    FaultKind.AMBIGUOUS: "a message that every mail client reads in the same way",
    FaultKind.OVERRUN: "a message that takes less time and memory to examine",
    FaultKind.MALFORMED: "a message in the form that RFC 5322 and RFC 2045 ask for",
}


def structure_finding(message: Message, inspection: Inspection) -> Finding:
    """Return what is wrong with the message's form, if anything. inspection: of its parts."""
    seen = f"the header and {inspection.parts} MIME part{'' if inspection.parts == 1 else 's'}"
    faults = [*_header_faults(message), *inspection.faults]
    for kind, change in _CHANGES.items():
        of_kind = [fault for fault in faults if fault.kind is kind]
        if of_kind:
            rule = kind.value
            return Finding(CheckName.STRUCTURE, rule, _sentence(of_kind), rule=rule, input=seen, change=change)
    return Finding(CheckName.STRUCTURE, "ok", "The message is well formed.", input=seen)


def _header_faults(message: Message) -> list[Fault]:
    if not message.fault:
        return []
    return [Fault(FaultKind.EXCEEDED if message.bounds_exceeded else FaultKind.MALFORMED, message.fault)]


def _sentence(faults: list[Fault]) -> str:
    texts = [f"{fault.text} (part {fault.part})" if fault.part else fault.text for fault in faults[:_MAX_NAMED]]
    text = "; ".join(texts)
    return f"{text[0].upper()}{text[1:]}."
