"""What content changes in a message's header (PURE).

Owns: removing Authentication-Results that claim to be ours, adding our own on top, and a tag where the verdict says so.
The rest of the message stays byte for byte, so that signatures keep holding.
Standards: RFC 8601 §5 (removal), §4.1 (placement), §2.2 (syntax).
"""

import re
from collections.abc import Sequence

from shared.verdict import Action, Verdict

_FIELD = re.compile(rb"authentication-results[ \t]*:", re.IGNORECASE)
_PART = re.compile(r"\\.|[()]|[^\s()\\]+", re.DOTALL)
_AUTHSERV_ID = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s;"/(]+)')
_FOLD = "\r\n\t"


def claims_to_be_ours(value: bytes, authserv_id: str) -> bool:
    """Whether an Authentication-Results value bears our authserv-id, or none that can be read."""
    matched = _AUTHSERV_ID.match(_after_comments(value.decode("utf-8", "replace")))
    if matched is None:
        return True
    name = matched.group(1) if matched.group(1) is not None else matched.group(2)
    return name.replace("\\", "").rstrip(".").lower() == authserv_id.lower()


def _after_comments(text: str) -> str:
    """Return the text behind the comments that it begins with, which nest (RFC 5322 §3.2.2); nothing if they are not
    balanced. In one pass, whatever their number and depth.
    """
    depth = 0
    for part in _PART.finditer(text):
        if part.group() == "(":
            depth += 1
        elif depth == 0:
            return "" if part.group() == ")" else text[part.start() :]
        elif part.group() == ")":
            depth -= 1
    return ""


def without_forged_results(message: bytes, authserv_id: str) -> tuple[bytes, int]:
    """Return the message without the Authentication-Results that claim to be ours, and how many those were."""
    end = message.find(b"\r\n\r\n")
    header_end = end + 2 if end >= 0 else len(message)
    # Cheap way out: most messages carry none.
    if _FIELD.search(message, 0, header_end) is None:
        return message, 0
    kept: list[bytes] = []
    removed = 0
    for field in re.split(rb"(?<=\r\n)(?![ \t])", message[:header_end]):
        matched = _FIELD.match(field)
        if matched and claims_to_be_ours(field[matched.end() :], authserv_id):
            removed += 1
        else:
            kept.append(field)
    return b"".join(kept) + message[header_end:], removed


def results_field(authserv_id: str, results: Sequence[str]) -> bytes:
    """Return our Authentication-Results field. results: one resinfo each, such as `spf=pass smtp.mailfrom=a.test`.

    RFC 8601 §2.2: without any result it says `none`.
    """
    body = f";{_FOLD}".join([authserv_id, *(results or ["none"])])
    return f"Authentication-Results: {body}\r\n".encode()


def tag_field(verdict: Verdict) -> bytes:
    """Return the field by which a tagged message is known to filters behind us, empty for other verdicts."""
    if verdict.action is not Action.TAG:
        return b""
    checks = ", ".join(reason.check for reason in verdict.reasons if reason.action is Action.TAG)
    return f"X-Gatepost-Tag: suspicious ({checks})\r\n".encode()
