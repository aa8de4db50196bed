"""A gateway whose engines fail, as its clients and the two domains behind it see it (I/O: SMTP).

Owns: `House`, which sends mail of four kinds, knows what each must come to while all is well, and keeps the account of
what clients were told and what arrived. `sink.test` has all checks; `free.test` does without the engines, so that mail
to both is taken even while the engines are gone, and the copy for `sink.test` is held on the ladder.
"""

import asyncio
import base64
import smtplib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.content.examine import TIME_LIMIT_S
from shared.broker.topology import CONTENT_RUNGS_S
from tests.clamd import EICAR
from tests.gateway import Gateway
from tests.load.mail import SENDER, SENDER_DOMAIN, Kind, Mailbag
from tests.load.sink import Sink
from tests.packed import zipped
from tests.rspamd import GTUBE

CHECKED = "user@sink.test"
UNCHECKED = "user@free.test"
POLICY = (
    '[domains."free.test".checks.antivirus]\nenabled = false\n[domains."free.test".checks.antispam]\nenabled = false\n'
)
# What edge waits for a verdict at the most.
EDGE_DEADLINE_S = 20.0
# What a message takes beside its examination, on a busy machine.
_BESIDE_S = 3.0
_LATER_S = 15.0
_ARRIVE_S = 20.0
_POLL_S = 0.1


class What(StrEnum):
    """A kind of message; who finds it."""

    CLEAN = "clean"
    VIRUS = "virus"  # clamd
    SPAM = "spam"  # Rspamd and spamd
    EVIL = "evil"  # the ICAP service of the tests
    PACKED = "packed"  # clean, but a helper process must look into its archive
    PROGRAM = "program"  # the helper processes: an archive with a program


EVIL = b"What the second antivirus engine knows, and the first does not."
_LINES = {What.VIRUS: EICAR, What.SPAM: GTUBE.encode(), What.EVIL: EVIL}
_FILES = {What.PACKED: {"notes.txt": b"Nothing of interest."}, What.PROGRAM: {"run.exe": b"Nothing that runs."}}
_HARMLESS = (What.CLEAN, What.PACKED)
_PROSE = b"A line of a message that says nothing of interest to anybody at all, and says it again.\r\n" * 50


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client was told at the end of its message. message_id: the message's own."""

    what: What
    message_id: str
    code: int
    text: str
    took_s: float


class House:
    """One gateway with the servers behind it. kinds: what its engines can find."""

    def __init__(self, gateway: Gateway, sink: Sink, free: Sink, kinds: Sequence[What]) -> None:
        self.gateway = gateway
        self.sink = sink
        self.free = free
        self._kinds = tuple(kinds)
        self._bag = Mailbag(CHECKED)
        self._due: list[str] = []

    async def send(self, what: What, *recipients: str) -> Answer:
        """Send a message, to `sink.test` unless told otherwise."""
        message_id, text = self._write(what)
        answer = await asyncio.to_thread(_converse, self.gateway.port, recipients or (CHECKED,), text, what, message_id)
        assert answer.took_s < EDGE_DEADLINE_S, answer
        if what in _HARMLESS and answer.code == 250:
            self._due.append(message_id)
        return answer

    async def judges(self) -> None:
        """See that each kind of message is judged now, without a delay for its sender."""
        answers = await asyncio.gather(*(self.send(what) for what in (What.CLEAN, *self._kinds)))
        for answer in answers:
            assert answer.code == (250 if answer.what in _HARMLESS else 550), answer
        assert not await self.sink.has([a.message_id for a in answers if a.what in _HARMLESS], _ARRIVE_S)

    async def judges_nothing_that(self, blind: Sequence[What]) -> None:
        """See that without the engines that find `blind` neither that nor what is clean is taken, and nothing passes."""
        kinds = (What.CLEAN, What.CLEAN, *self._kinds)
        for answer in await asyncio.gather(*(self.send(what) for what in kinds)):
            # What another engine is certain of is refused for good.
            wanted = (451, "4.7.1") if answer.what in (What.CLEAN, *blind) else (550, "5.7.1")
            assert (answer.code, answer.text[:5]) == wanted, answer
            assert answer.took_s < TIME_LIMIT_S + _BESIDE_S, answer

    async def takes_and_holds(self, blind: Sequence[What]) -> list[Answer]:
        """Send mail to both domains: the one that does without engines has it, the other's copies are held."""
        answers = await asyncio.gather(*(self.send(what, CHECKED, UNCHECKED) for what in (What.CLEAN, *blind)))
        assert {answer.code for answer in answers} == {250}, answers
        ids = [answer.message_id for answer in answers]
        assert not await self.free.has(ids, _ARRIVE_S)
        assert not set(ids) & self.sink.arrivals.keys()
        return answers

    async def judges_what_it_held(self, held: Sequence[Answer]) -> None:
        """See that within one rung the clean is delivered, and the rest in quarantine."""
        clean = {answer.message_id for answer in held if answer.what is What.CLEAN}
        assert not await self.sink.has(clean, CONTENT_RUNGS_S[0] + _LATER_S)
        await self.quarantines({answer.message_id for answer in held} - clean)

    async def keeps_back(self, answer: Answer) -> None:
        """See that a message that was taken is kept for a person to look at."""
        assert answer.code == 250, answer
        await self.quarantines({answer.message_id})
        self._due = [message_id for message_id in self._due if message_id != answer.message_id]

    async def quarantines(self, message_ids: set[str]) -> None:
        """See that messages are stored in quarantine."""
        async with asyncio.timeout(_LATER_S):
            while not message_ids <= await asyncio.to_thread(self.gateway.quarantined):
                await asyncio.sleep(_POLL_S)

    async def close_books(self) -> None:
        """See that what was taken for good has arrived, once, and nothing else has."""
        assert not await self.sink.has(self._due, _ARRIVE_S)
        assert self.sink.arrivals.keys() == set(self._due)
        assert self.sink.duplicates == 0
        assert self.free.duplicates == 0

    def _write(self, what: What) -> tuple[str, bytes]:
        message_id, text = self._bag.write(Kind.PLAIN)
        head, _, _ = text.partition(b"Content-Type:")
        return message_id, head + _content(what)


def _content(what: What) -> bytes:
    if what in _FILES:
        archive = base64.encodebytes(zipped(_FILES[what])).replace(b"\n", b"\r\n")
        kind = b"Content-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n"
        return kind + b'Content-Disposition: attachment; filename="files.zip"\r\n\r\n' + archive
    # clamd knows EICAR at the beginning of a part alone.
    line = _LINES.get(what, b"Hello,")
    return b"Content-Type: text/plain\r\n\r\n" + line + b"\r\n" + _PROSE


def _converse(port: int, recipients: Sequence[str], text: bytes, what: What, message_id: str) -> Answer:
    with smtplib.SMTP("127.0.0.1", port, local_hostname=f"client.{SENDER_DOMAIN}", timeout=60) as client:
        client.ehlo()
        client.mail(SENDER)
        for recipient in recipients:
            code, reply = client.rcpt(recipient)
            assert code == 250, reply
        began = time.monotonic()
        code, reply = client.data(text)
        return Answer(what, message_id, code, reply.decode(), time.monotonic() - began)
