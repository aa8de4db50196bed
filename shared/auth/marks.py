"""What Gatepost writes on top of a message, and what of it nobody else may have written (PURE).

Owns: removing fields that claim to be ours; what content, and the console at a release, put on top and on the subject.
Standards: RFC 8601 §5 (removal), §2.2 (syntax); RFC 5322 §2.1.1 (lines).
"""

import re
from collections.abc import Iterator

from shared.verdict import Action, Reason, Verdict, points

# The second is ours by its name.
_FIELD = re.compile(rb"(?:authentication-results|(x-gatepost-(?:tag|verdict)))[ \t]*:", re.IGNORECASE)
# With the line end before it, which is found ten times as fast.
_LATER_FIELD = re.compile(rb"\n" + _FIELD.pattern, re.IGNORECASE)
_BOUNDARY = re.compile(rb"(?<=\r\n)(?![ \t])")
_SUBJECT = re.compile(rb"(?:(?<=\r\n)|\A)subject[ \t]*:[ \t]*", re.IGNORECASE)
_PART = re.compile(r"\\.|[()]|[^\s()\\]+", re.DOTALL)
_AUTHSERV_ID = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s;"/(]+)')
_VERDICT_LIMIT = 2000
_LINE = 76
_NOT_SHOWN = re.compile(r"[^ !#-:<-\[\]-~]")


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


def without_forged_results(message: bytes, authserv_id: str | None) -> tuple[bytes, int]:
    """Return the message without the fields that claim to be ours, and how many those were: Authentication-Results
    with our authserv-id (None: all, where that is not known), and our own X-Gatepost fields.
    """
    end = message.find(b"\r\n\r\n")
    header_end = end + 2 if end >= 0 else len(message)
    # Cheap way out: most messages carry none.
    if _FIELD.match(message) is None and _LATER_FIELD.search(message, 0, header_end) is None:
        return message, 0
    fields = _BOUNDARY.split(message[:header_end])
    kept = [field for field in fields if not _is_forged(field, authserv_id)]
    return b"".join(kept) + message[header_end:], len(fields) - len(kept)


def _is_forged(field: bytes, authserv_id: str | None) -> bool:
    matched = _FIELD.match(field)
    if matched is None:
        return False
    return bool(matched.group(1)) or authserv_id is None or claims_to_be_ours(field[matched.end() :], authserv_id)


def fields_on_top(verdict: Verdict, results: str, message_id: str, *, shown: bool) -> bytes:
    """Return what a delivered message gets on top: the tag, the verdict if it is to be shown, the results if any."""
    return b"".join(
        (
            tag_field(verdict),
            verdict_field(verdict, message_id) if shown else b"",
            f"Authentication-Results: {results}\r\n".encode() if results else b"",
        )
    )


def verdict_field(verdict: Verdict, message_id: str) -> bytes:
    """Return the field that tells a verdict to whoever reads the delivered message, folded, of at most 2 kB.

    `X-Gatepost-Verdict: ACTION; id=ID; policy=VERSION; CHECK=RESULT (SCORE of THRESHOLD) ACTION [RULE] "EVIDENCE"; …`,
    a reason a line, the decisive one first; reasons without an objection have neither rule nor evidence. ASCII only:
    anything else is `?`.
    """
    head = f"X-Gatepost-Verdict: {verdict.action.value}; id={message_id}; policy={verdict.policy_version}"
    lines, size = [head], len(head)
    for reason in verdict.reasons:
        folded = list(_folded(_shown(reason)))
        size += sum(len(line) + 3 for line in folded)
        if size > _VERDICT_LIMIT:
            break
        lines[-1] += ";"
        lines += folded
    return "\r\n\t".join(lines).encode("ascii", "replace") + b"\r\n"


def _shown(reason: Reason) -> str:
    words = [f"{reason.check.value}={reason.result}"]
    if reason.score is not None:
        of = f" of {points(reason.threshold)}" if reason.threshold is not None else ""
        words.append(f"({points(reason.score)}{of})")
    if reason.rule:
        words += [reason.action.value, f"[{reason.rule}]", f'"{_NOT_SHOWN.sub("?", reason.evidence)[:300]}"']
    return " ".join(words)


def _folded(text: str) -> Iterator[str]:
    """Yield lines of words; a word that is longer than a line has one to itself."""
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > _LINE:
            yield line
            line = word
        else:
            line = f"{line} {word}" if line else word
    if line:
        yield line


def with_subject_tag(message: bytes, tag: str) -> bytes:
    """Return the message with a tag before its subject; what bears the tag already stays as it is.

    A message without a subject gets one.
    """
    mark = tag.encode() + b" " if not tag.endswith(" ") else tag.encode()
    end = message.find(b"\r\n\r\n")
    found = _SUBJECT.search(message, 0, end + 2 if end >= 0 else len(message))
    if found is None:
        return b"Subject: " + mark.rstrip() + b"\r\n" + message
    if message.startswith(mark.rstrip(), found.end()):
        return message
    return message[: found.end()] + mark + message[found.end() :]


def tag_field(verdict: Verdict) -> bytes:
    """Return the field by which a tagged message is known to filters behind us, empty for other verdicts."""
    if verdict.action is not Action.TAG:
        return b""
    checks = ", ".join(reason.check for reason in verdict.reasons if reason.action is Action.TAG)
    return f"X-Gatepost-Tag: suspicious ({checks})\r\n".encode()
