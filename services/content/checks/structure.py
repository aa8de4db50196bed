"""The check `structure`: whether the header can be read for sure, within its bounds (PURE).

Standards: RFC 5322 §2.2, §3.6. What the bounds are: shared/auth/message.py.
"""

from services.content.finding import Finding
from shared.auth.message import Message
from shared.verdict import CheckName


def check_structure(message: Message) -> Finding:
    """Return what is wrong with the header, if anything."""
    if not message.fault:
        return Finding(CheckName.STRUCTURE, "ok", "The header is well formed.")
    if message.bounds_exceeded:
        return Finding(CheckName.STRUCTURE, "exceeded", f"{_sentence(message.fault)}", rule="exceeded")
    return Finding(CheckName.STRUCTURE, "malformed", f"{_sentence(message.fault)}", rule="malformed")


def _sentence(fault: str) -> str:
    return f"{fault[0].upper()}{fault[1:]}."
