"""What a content worker and its helper processes say to each other (PURE), in frames whose length comes first.

A request is the bounds of the examination and the message's bytes; an answer is an `Inspection` or FAILED. READY
comes once, when a helper can work. Both sides bound what they take.
On failure: ProtocolError; whoever sent such bytes is not to be trusted with anything more.
"""

import json
import struct
from collections.abc import Iterator
from dataclasses import replace

from services.content.mime.inspection import Attachment, Fault, FaultKind, FileKind, Inspection, Macro
from shared.policy.content import InspectionRules

REQUEST_HEAD = struct.Struct("!II")
ANSWER_HEAD = struct.Struct("!I")
MAX_ANSWER_BYTES = 1_000_000
MAX_RULES_BYTES = 10_000
READY = b"ready"
FAILED = b"failed"
# The exit status of a helper that had no memory left.
MEMORY_EXIT = 77


class ProtocolError(Exception):
    """The other side sent what is no frame of ours."""


def request_head(rules: InspectionRules, size: int) -> bytes:
    """Return what precedes a message of so many bytes."""
    text = rules.model_dump_json().encode()
    return REQUEST_HEAD.pack(len(text), size) + text


def answer(body: bytes) -> bytes:
    """Return a frame from a helper."""
    return ANSWER_HEAD.pack(len(body)) + body


def answer_size(head: bytes) -> int:
    """Return how long the answer is that follows. Raises ProtocolError."""
    size: int = ANSWER_HEAD.unpack(head)[0]
    if size > MAX_ANSWER_BYTES:
        raise ProtocolError(f"an answer of {size} bytes")
    return size


def encode(inspection: Inspection) -> bytes:
    """Return an inspection as JSON, cut down to what an answer may have, which is a fault of its own."""
    body = _json(inspection)
    attachments = inspection.attachments
    while len(body) > MAX_ANSWER_BYTES:
        attachments = attachments[: len(attachments) // 2]
        fault = Fault(FaultKind.EXCEEDED, "the names of the message's files are too long and too many")
        body = _json(replace(inspection, attachments=attachments, faults=(fault, *inspection.faults[:100])))
    return body


def _json(inspection: Inspection) -> bytes:
    attachments = [
        [
            one.part,
            list(one.names),
            one.kind.value,
            one.size_bytes,
            list(one.path),
            one.digest,
            one.encrypted,
            one.macro.value,
            one.macro_evidence,
        ]
        for one in inspection.attachments
    ]
    faults = [[fault.kind.value, fault.text, fault.part] for fault in inspection.faults]
    return json.dumps([inspection.parts, attachments, faults], separators=(",", ":")).encode()


def decode(body: bytes) -> Inspection:
    """Return the inspection that an answer holds. Raises ProtocolError."""
    try:
        parts, attachments, faults = json.loads(body)
        return Inspection(_number(parts), tuple(map(_attachment, attachments)), tuple(map(_fault, faults)))
    except (ValueError, TypeError, RecursionError) as error:
        raise ProtocolError(f"an answer that is none: {type(error).__name__}") from None


def _attachment(row: list[object]) -> Attachment:
    part, names, kind, size, path, digest, encrypted, macro, evidence = row
    return Attachment(
        _text(part),
        tuple(_texts(names)),
        FileKind(_text(kind)),
        _number(size),
        tuple(_texts(path)),
        _text(digest),
        bool(encrypted),
        Macro(_text(macro)),
        _text(evidence),
    )


def _fault(row: list[object]) -> Fault:
    kind, text, part = row
    return Fault(FaultKind(_text(kind)), _text(text), _text(part))


def _texts(value: object) -> Iterator[str]:
    if not isinstance(value, list):
        raise TypeError
    return map(_text, value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value
