"""Hostile messages: each has an outcome, and the work grows no faster than the message."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from services.content.mime.caps import scan_caps
from services.content.mime.inspection import MAX_ATTACHMENTS, FaultKind, Inspection
from services.content.mime.strip import strip_parts
from services.content.mime.tree import MAX_PARTS
from services.content.mime.walk import inspect
from shared.auth.message import split_message

if TYPE_CHECKING:
    from types import FrameType

    from _typeshed import TraceFunction

TOP = b"From: a@a.test\r\n"
MIXED = TOP + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
FILE = TOP + b"Content-Disposition: attachment\r\nContent-Transfer-Encoding: "


def _repeated(start: bytes, piece: bytes, end: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: start + piece * (size // len(piece)) + end


def _nested_parts(size: int) -> bytes:
    opening = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
    return TOP + b"".join(opening % (number, number) for number in range(size // 60)) + b"\r\nx"


def _many_multiparts(size: int) -> bytes:
    opening = b"--b\r\nContent-Type: multipart/mixed; boundary=c%d\r\n\r\n"
    return MIXED + b"".join(opening % number for number in range(min(900, size // 60))) + b"--x\r\n" * (size // 5)


def _sections(size: int) -> bytes:
    sections = b"".join(b" name*%d*=%%41;" % number for number in range(size // 14))
    return TOP + b"Content-Type: text/plain;" + sections + b"\r\n\r\nx"


def _encoded_messages(size: int) -> bytes:
    field = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return TOP + (field + TOP) * 60 + b"A" * size


def _messages_in_messages(size: int) -> bytes:
    data = TOP + b"\r\n" + b"x" * (size // 50)
    while len(data) < size:
        encoded = base64.encodebytes(data).replace(b"\n", b"\r\n")
        data = TOP + b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded
    return data


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "nested parts": _nested_parts,
    "nested messages": _repeated(TOP, b"Content-Type: message/rfc822\r\n\r\n"),
    "messages encoded in messages": _messages_in_messages,
    "messages that are encoded and are not": _encoded_messages,
    "many parts": _repeated(MIXED, b"--b\r\n\r\n"),
    "many multiparts": _many_multiparts,
    "lines of hyphens": _repeated(MIXED, b"--\r\n"),
    "lines that may be boundaries": _repeated(MIXED, b"--bx\r\n"),
    "boundaries of hyphens": _repeated(TOP + b"Content-Type: multipart/mixed; boundary=-\r\n\r\n", b"--\r\n---\r\n"),
    "part headers without an end": _repeated(MIXED, b"--b\r\nX: " + b"y" * 60_000),
    "part headers of many lines": _repeated(MIXED, b"--b\r\n" + b"X:\r\n" * 100 + b"\r\n"),
    "part headers of lines of spaces": _repeated(MIXED, b"--b\r\nX: y\r\n" + b" \r\n" * 100 + b"\r\n"),
    "a quote without an end": _repeated(TOP + b'Content-Type: text/plain; name="', b"a", b"\r\n\r\nx"),
    "escapes without an end": _repeated(TOP + b'Content-Type: text/plain; name="', b'\\"', b"\r\n\r\nx"),
    "many quotes": _repeated(TOP + b"Content-Type: text/plain; ", b'a=";', b"\r\n\r\nx"),
    "many comments": _repeated(TOP + b"Content-Type: text/plain; ", b"(", b"\r\n\r\nx"),
    "spaces in a field": _repeated(TOP + b"Content-Type: text/plain; ", b" ", b"\r\n\r\nx"),
    "words without equals signs": _repeated(TOP + b"Content-Type: text/plain; ", b"a ", b"\r\n\r\nx"),
    "sections of RFC 2231": _sections,
    "encoded words": _repeated(TOP + b'Content-Disposition: x; filename="', b"=?utf-8?Q?a?= ", b'"\r\n\r\nx'),
    "encoded words without an end": _repeated(
        TOP + b'Content-Disposition: x; filename="', b"=?utf-8?Q?", b'"\r\n\r\nx'
    ),
    "percent signs": _repeated(TOP + b'Content-Disposition: x; filename="', b"%25", b'"\r\n\r\nx'),
    "characters that grow": _repeated(TOP + b'Content-Disposition: x; filename="', "\ufdfa".encode(), b'"\r\n\r\nx'),
    "padding in base64": _repeated(FILE + b"base64\r\n\r\n", b"QQ=="),
    "other characters in base64": _repeated(FILE + b"base64\r\n\r\n", b"Q!"),
    "equals signs": _repeated(FILE + b"quoted-printable\r\n\r\n", b"= "),
    "spaces in quoted-printable": _repeated(FILE + b"quoted-printable\r\n\r\n", b" ", b"x\r\n \r\n"),
    "an unknown encoding": _repeated(FILE + b"x-y\r\n\r\n", b"QQ=="),
    "uuencoded files": _repeated(TOP + b"\r\n", b"begin 644 a\r\n#86)C\r\n"),
    "beginnings of uuencoded files": _repeated(TOP + b"\r\n", b"begin 644 a\r\n"),
    "a uuencoded file": _repeated(TOP + b"\r\nbegin 644 a\r\n", b"M" + b"A" * 60 + b"\r\n"),
    "base64 outside parts": _repeated(MIXED, (b"A" * 76 + b"\r\n") * 3 + b"\r\n"),
    "nearly base64 outside parts": _repeated(MIXED, b"A" * 76 + b"\r\n" + b"A" * 59 + b"\r\n"),
    "a long line outside parts": _repeated(MIXED, b"A"),
    "attributes of a picture": _repeated(TOP + b"Content-Type: image/svg+xml; name=a.svg\r\n\r\n<svg ", b" onaaa"),
    "tags": _repeated(TOP + b"Content-Type: text/html; name=a.html\r\n\r\n", b"<"),
    "zero octets": _repeated(TOP + b"\r\n", b"\0"),
    "lone line ends": _repeated(TOP + b"\r\n", b"a\rb\n"),
    "line ends": _repeated(MIXED, b"\r\n"),
    "a header without an end": _repeated(b"", b"X:y\r\n"),
}


def examined(data: bytes) -> Inspection:
    message = split_message(data)
    scan_caps(data, message)
    return inspect(message)


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_messages_have_an_outcome_in_time(what: str) -> None:
    data = HOSTILE[what](1_000_000)
    before = time.process_time()
    inspection = examined(data)
    # What is quadratic takes minutes for a megabyte; the slowest of these takes a fifth of a second.
    assert time.process_time() - before < 4
    assert inspection.parts <= MAX_PARTS + 1
    assert len(inspection.attachments) <= MAX_ATTACHMENTS
    assert len(inspection.faults) <= 100


@pytest.mark.parametrize("what", HOSTILE)
def test_work_grows_no_faster_than_the_message(what: str) -> None:
    def lines_run(size: int) -> int:
        data = HOSTILE[what](size)
        count = 0

        def trace(_frame: FrameType, _event: str, _arg: object) -> TraceFunction:
            nonlocal count
            count += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            examined(data)
        finally:
            sys.settrace(before)
        return count

    assert lines_run(24_000) < lines_run(3_000) * 8 * 2 + 2_000


def test_parts_and_levels_beyond_the_bounds_are_exceeded() -> None:
    for what in ("nested parts", "nested messages", "many parts"):
        inspection = examined(HOSTILE[what](60_000))
        assert {fault.kind for fault in inspection.faults} == {FaultKind.EXCEEDED}


def test_hostile_messages_can_be_asked_to_be_stripped() -> None:
    for build in HOSTILE.values():
        data = build(20_000)
        for number in {one.part for one in examined(data).attachments if one.part}:
            try:
                strip_parts(data, [number], "gone")
            except ValueError:
                continue
