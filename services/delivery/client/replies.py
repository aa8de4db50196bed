"""Replies of a next hop, parsed from whatever pieces the network brings (PURE).

Input: octets as received. Output: `HopReply`, and from it a `Reply`.
Standards: RFC 5321 §4.2 and §4.2.1 (multi-line replies), RFC 2034 (enhanced status codes).
On failure: ReplyError for what is no reply, or is longer than any honest one; the connection is of no use then.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.reply import Reply

# RFC 5321 §4.5.3.1.5 gives 512 octets; real servers write more, so the bounds are wide, but they are bounds.
LINE_LIMIT = 4096
LINES_LIMIT = 200
TEXT_LIMIT = 1000

_LINE = re.compile(rb"([2-5][0-9]{2})(?![0-9])([ -]?)")
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|\Z)")


class ReplyError(ValueError):
    """What the next hop sent is not an SMTP reply. before: the replies that it completed before."""

    def __init__(self, text: str, before: Sequence["HopReply"] = ()) -> None:
        super().__init__(text)
        self.before = tuple(before)


@dataclass(frozen=True, slots=True)
class HopReply:
    """One reply. lines: the text of each line, without its code."""

    code: int
    lines: tuple[bytes, ...]

    def as_reply(self) -> Reply:
        """Return it as a Reply; an enhanced code that contradicts the reply code is left in the text."""
        texts = [line.decode("utf-8", "replace") for line in self.lines]
        found = _ENHANCED.match(texts[0])
        # RFC 2034 §3: the classes must agree.
        if found is None or found[1][0] != str(self.code)[0]:
            return Reply(self.code, "", " ".join(texts)[:TEXT_LIMIT])
        # RFC 2034 §3: each line of a multi-line reply repeats the enhanced code.
        rest = [text.removeprefix(found[1]).lstrip() for text in texts]
        return Reply(self.code, found[1], " ".join(rest)[:TEXT_LIMIT])


class ReplyReader:
    """Puts replies together."""

    def __init__(self) -> None:
        self._pending = b""
        self._code = 0
        self._lines: list[bytes] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing of a further reply has come yet."""
        return not self._pending and not self._lines

    def feed(self, data: bytes) -> list[HopReply]:
        """Return the replies that these octets complete. Raises ReplyError, which has those before the fault."""
        *lines, self._pending = (self._pending + data if self._pending else data).split(b"\n")
        replies: list[HopReply] = []
        try:
            for line in lines:
                reply = self._take(line)
                if reply is not None:
                    replies.append(reply)
        except ReplyError as error:
            raise ReplyError(str(error), replies) from None
        if len(self._pending) > LINE_LIMIT:
            raise ReplyError(f"a reply line of more than {LINE_LIMIT} octets", replies)
        return replies

    def _take(self, line: bytes) -> HopReply | None:
        matched = _LINE.match(line)
        if matched is None or len(line) > LINE_LIMIT:
            raise ReplyError(f"not a reply line: {line[:80]!r}")
        code = int(matched[1])
        # RFC 5321 §4.2.1: the code is the same on every line.
        if self._lines and code != self._code:
            raise ReplyError(f"a reply whose lines begin with {self._code} and {code}")
        self._code = code
        self._lines.append(line[matched.end() :].rstrip(b"\r"))
        if len(self._lines) > LINES_LIMIT:
            raise ReplyError(f"a reply of more than {LINES_LIMIT} lines")
        if matched[2] == b"-":
            return None
        reply, self._lines = HopReply(code, tuple(self._lines)), []
        return reply
