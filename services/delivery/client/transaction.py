"""One mail transaction on an open session (I/O).

Owns: the order of commands, pipelined where the hop takes that, and whose reply decides which recipient's outcome.
Input: session, envelope, message. Output: an outcome per recipient, always.
Standards: RFC 5321 §3.3, RFC 2920 (PIPELINING), RFC 2033 §4.2 (LMTP: one reply per recipient after the data).
On failure: what had no reply is deferred. NotBegun if the session turned out dead before the hop said anything of this
message: it is safe to try at once on another.
"""

import asyncio
from collections.abc import Sequence

from services.delivery.client.lines import dot_stuffed, mail_line, obstacle, rcpt_line
from services.delivery.client.replies import HopReply
from services.delivery.client.session import STEP_S, Session, Speech
from services.delivery.client.wire import WireLost
from services.delivery.outcome import Outcome, Status, outcome_of, rcpt_outcome, same_for_all
from shared.envelope import Envelope, Recipient
from shared.reply import Reply

_RESET = b"RSET\r\n"
_DATA = b"DATA\r\n"
_END = b".\r\n"


class NotBegun(Exception):
    """The session is dead and has said nothing of this message."""


async def transact(session: Session, envelope: Envelope, message: bytes, deadline: float) -> tuple[Outcome, ...]:
    """Deliver a message on a session and return each recipient's outcome. Raises NotBegun. deadline: loop time."""
    refusal = obstacle(envelope, message, session.offered)
    if refusal is not None:
        return same_for_all(envelope.recipients, refusal)
    transaction = _Transaction(session, envelope, message, deadline)
    try:
        return await transaction.run()
    except WireLost as error:
        return transaction.broken(str(error))


class _Transaction:
    def __init__(self, session: Session, envelope: Envelope, message: bytes, deadline: float) -> None:
        self._session = session
        self._envelope = envelope
        self._message = message
        self._deadline = deadline
        self._taken: list[Recipient] = []
        self._outcomes: dict[Recipient, Outcome] = {}
        self._doing = "MAIL"
        self._begun = False

    async def run(self) -> tuple[Outcome, ...]:
        session = self._session
        if session.offered.pipelining:
            mail, rcpts, data = await self._pipelined()
        else:
            mail, rcpts, data = await self._step_by_step()
        session.transactions += 1
        self._settle_envelope(mail, rcpts)
        if data is None or data.code != 354:
            session.needs_reset = True
            self._settle_no_data(data)
        elif not self._taken:
            await self._empty_data()
        else:
            await self._send_message()
        return self._in_order()

    async def _pipelined(self) -> tuple[HopReply, list[HopReply], HopReply | None]:
        # RFC 2920 §3.1: MAIL, RCPT and RSET in one group, which DATA may end.
        session, envelope = self._session, self._envelope
        lines = [_RESET] if session.needs_reset else []
        lines.append(mail_line(envelope, self._message, session.offered))
        lines += [rcpt_line(to, session.offered) for to in envelope.recipients]
        lines.append(_DATA)
        self._say(b"".join(lines))
        await self._reset_reply()
        mail = (await self._hear(1))[0]
        self._doing = "RCPT"
        rcpts = await self._hear(len(envelope.recipients))
        self._doing = "DATA"
        return mail, rcpts, (await self._hear(1))[0]

    async def _step_by_step(self) -> tuple[HopReply, list[HopReply], HopReply | None]:
        session, envelope = self._session, self._envelope
        if session.needs_reset:
            self._say(_RESET)
            await self._reset_reply()
        self._say(mail_line(envelope, self._message, session.offered))
        mail = (await self._hear(1))[0]
        if mail.code >= 300:
            return mail, [mail] * len(envelope.recipients), None
        self._doing = "RCPT"
        rcpts = []
        for recipient in envelope.recipients:
            self._say(rcpt_line(recipient, session.offered))
            rcpts += await self._hear(1)
        if all(reply.code >= 300 for reply in rcpts):
            return mail, rcpts, None
        self._doing = "DATA"
        self._say(_DATA)
        return mail, rcpts, (await self._hear(1))[0]

    async def _reset_reply(self) -> None:
        if self._session.needs_reset:
            await self._session.wire.replies(1, self._step())
            self._session.needs_reset = False

    def _settle_envelope(self, mail: HopReply, rcpts: Sequence[HopReply]) -> None:
        envelope = self._envelope
        if not mail.code < 300:
            # Whatever RCPT was answered behind a refused MAIL (503, mostly), MAIL's reply is the reason.
            reply = mail.as_reply()
            for recipient in envelope.recipients:
                self._outcomes[recipient] = _refused(recipient, reply)
            return
        self._taken = [to for to, reply in zip(envelope.recipients, rcpts, strict=True) if reply.code < 300]
        for recipient, answer in zip(envelope.recipients, rcpts, strict=True):
            if answer.code >= 300:
                reply = answer.as_reply()
                self._outcomes[recipient] = rcpt_outcome(recipient, reply, others_taken=bool(self._taken))

    def _settle_no_data(self, data: HopReply | None) -> None:
        if data is None:
            return
        reply = data.as_reply()
        for recipient in self._taken:
            self._outcomes[recipient] = _refused(recipient, reply)
        if data.code < 300:
            self._session.wire.abort("DATA was answered with 2xx")

    async def _empty_data(self) -> None:
        if self._session.target.speech is Speech.LMTP:
            # RFC 2033 §4.2: DATA without a recipient must fail; this hop has lost step.
            self._session.wire.abort("DATA was taken for no recipient")
            return
        # RFC 2920 §3.1: a hop that took DATA though it refused every RCPT is sent nothing but the final dot.
        self._say(_END)
        await self._hear(1)

    async def _send_message(self) -> None:
        self._doing = "DATA"
        wire = self._session.wire
        wire.write(dot_stuffed(self._message), _END)
        await wire.drain(self._deadline)
        self._doing = "end of DATA"
        # A hop takes its time here (it scans); RFC 5321 §4.5.3.2.6 gives ten minutes, we give all that is left.
        if self._session.target.speech is Speech.LMTP:
            for recipient in self._taken:
                reply = (await wire.replies(1, self._deadline))[0].as_reply()
                self._outcomes[recipient] = outcome_of(recipient, reply)
            return
        reply = (await wire.replies(1, self._deadline))[0].as_reply()
        for recipient in self._taken:
            self._outcomes[recipient] = outcome_of(recipient, reply)

    def broken(self, reason: str) -> tuple[Outcome, ...]:
        """Return the outcomes of a transaction that the wire did not survive."""
        said = self._session.wire.rest()
        if self._doing == "MAIL" and not self._begun and self._session.transactions and not said:
            raise NotBegun(reason)
        # A hop that goes away says why (421 or 554, RFC 5321 §3.8), where the next reply was due.
        reply = said[-1].as_reply() if said and said[-1].code >= 400 else None
        if reply is not None and self._doing == "end of DATA" and reply.permanent:
            # Its answer to the message may stand before it, so that it is not known whom it is about.
            reply = None
        for recipient in self._envelope.recipients:
            if recipient in self._outcomes:
                continue
            if reply is not None:
                self._outcomes[recipient] = Outcome(recipient, Status.DEFERRED, reply)
            else:
                lost = Reply(451, "4.4.2", f"{reason} (in {self._doing})")
                self._outcomes[recipient] = outcome_of(recipient, lost, remote=False)
        return self._in_order()

    def _say(self, octets: bytes) -> None:
        self._session.wire.write(octets)

    async def _hear(self, count: int) -> list[HopReply]:
        replies = await self._session.wire.replies(count, self._step())
        if replies[0].code == 421 and not self._begun and self._session.transactions:
            # RFC 5321 §3.8: a kept session that the hop has just closed.
            self._session.wire.abort("closed by the next hop with 421")
            raise NotBegun("421")
        self._begun = True
        return replies

    def _step(self) -> float:
        return min(self._deadline, asyncio.get_running_loop().time() + STEP_S)

    def _in_order(self) -> tuple[Outcome, ...]:
        return tuple(self._outcomes[recipient] for recipient in self._envelope.recipients)


def _refused(recipient: Recipient, reply: Reply) -> Outcome:
    """Return the outcome by a reply that was no success: a 2xx or 3xx out of place is not known to mean anything."""
    outcome = outcome_of(recipient, reply)
    return outcome if outcome.status is not Status.DELIVERED else Outcome(recipient, Status.DEFERRED, reply)
