"""One mail transaction on an open session (I/O).

Owns: the order of commands, pipelined where the hop takes that, and whose reply decides which recipient's outcome.
Input: session, envelope, message. Output: an outcome per recipient, always.
Standards: RFC 5321 §3.3, RFC 2920 (PIPELINING), RFC 2033 §4.2 (LMTP: one reply per recipient after the data).
On failure: what had no reply is deferred. NotBegun if the session turned out dead before the hop said anything of this
message: it is safe to try at once on another.
"""

import asyncio

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
    refusal = obstacle(envelope, message, session.offered, keeps_requiretls=session.keeps_requiretls)
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
        self._mail: HopReply | None = None
        self._rcpts: list[HopReply] = []

    async def run(self) -> tuple[Outcome, ...]:
        session = self._session
        data = await (self._pipelined() if session.offered.pipelining else self._step_by_step())
        session.transactions += 1
        self._settle_envelope()
        if data is None or data.code != 354:
            session.needs_reset = True
            self._settle_no_data(data)
        elif not self._taken:
            await self._empty_data()
        else:
            await self._send_message()
        return self._in_order()

    async def _pipelined(self) -> HopReply:
        # RFC 2920 §3.1: RSET, MAIL and RCPT in one group, which DATA may end.
        session, envelope = self._session, self._envelope
        lines = [_RESET] if session.needs_reset else []
        lines.append(mail_line(envelope, self._message, session.offered))
        lines += [rcpt_line(to, session.offered) for to in envelope.recipients]
        lines.append(_DATA)
        self._say(b"".join(lines))
        await self._reset_reply()
        self._mail = await self._hear()
        self._doing = "RCPT"
        for _ in envelope.recipients:
            self._rcpts.append(await self._hear())
        self._doing = "DATA"
        return await self._hear()

    async def _step_by_step(self) -> HopReply | None:
        session, envelope = self._session, self._envelope
        if session.needs_reset:
            self._say(_RESET)
            await self._reset_reply()
        self._say(mail_line(envelope, self._message, session.offered))
        self._mail = await self._hear()
        if self._mail.code >= 300:
            return None
        self._doing = "RCPT"
        for recipient in envelope.recipients:
            self._say(rcpt_line(recipient, session.offered))
            self._rcpts.append(await self._hear())
        if all(reply.code >= 300 for reply in self._rcpts):
            return None
        self._doing = "DATA"
        self._say(_DATA)
        return await self._hear()

    async def _reset_reply(self) -> None:
        if self._session.needs_reset:
            await self._session.wire.replies(1, self._step())
            self._session.needs_reset = False

    def _settle_envelope(self) -> None:
        """Note the refusals of MAIL and RCPT, as far as they were heard, and who was taken."""
        envelope = self._envelope
        if self._mail is not None and self._mail.code >= 300:
            # Whatever RCPT was answered behind a refused MAIL (503, mostly), MAIL's reply is the reason.
            reply = self._mail.as_reply()
            for recipient in envelope.recipients:
                self._outcomes[recipient] = _refused(recipient, reply)
            return
        answered = list(zip(envelope.recipients, self._rcpts, strict=False))
        self._taken = [to for to, answer in answered if answer.code < 300]
        for recipient, answer in answered:
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
        await self._hear()

    async def _send_message(self) -> None:
        wire = self._session.wire
        if wire.has_reply:
            await self._take_early_reply()
            return
        wire.write(dot_stuffed(self._message), _END)
        try:
            await wire.drain(self._deadline)
            self._doing = "end of DATA"
        except WireLost:
            # A hop may refuse in the midst of the data, and close; its reply then stands where the last one would.
            if not wire.has_reply:
                raise
        # A hop takes its time here (it scans); RFC 5321 §4.5.3.2.6 gives ten minutes, we give all that is left.
        if self._session.target.speech is Speech.LMTP:
            for recipient in self._taken:
                self._settle_message(recipient, (await wire.replies(1, self._deadline))[0].as_reply())
            return
        reply = (await wire.replies(1, self._deadline))[0].as_reply()
        for recipient in self._taken:
            self._settle_message(recipient, reply)
        if 300 <= reply.code < 400:
            wire.abort("the message was answered with 3xx")

    async def _take_early_reply(self) -> None:
        """Take what a hop said before it had anything of the message: a refusal counts, a 250 is no success."""
        wire = self._session.wire
        reply = (await wire.replies(1, self._deadline))[0].as_reply()
        wire.abort("a reply came before the message")
        if reply.code < 400:
            raise WireLost("a reply came before the message")
        for recipient in self._taken:
            self._settle_message(recipient, reply)

    def _settle_message(self, recipient: Recipient, reply: Reply) -> None:
        # A 2xx before all of the message was sent is no success.
        whole = self._doing == "end of DATA"
        self._outcomes[recipient] = outcome_of(recipient, reply) if whole else _refused(recipient, reply)

    def broken(self, reason: str) -> tuple[Outcome, ...]:
        """Return the outcomes of a transaction that the wire did not survive. Raises NotBegun."""
        said = self._session.wire.rest()
        if not self._begun and not said and self._session.transactions:
            raise NotBegun(reason)
        self._settle_envelope()
        # A hop that goes away says why (421, RFC 5321 §3.8) where the next reply was due.
        reply = said[-1].as_reply() if said and said[-1].code >= 400 else None
        lost = Reply(451, "4.4.2", f"{reason} (in {self._doing})")
        for recipient in self._envelope.recipients:
            if recipient not in self._outcomes:
                local = outcome_of(recipient, lost, remote=False)
                self._outcomes[recipient] = Outcome(recipient, Status.DEFERRED, reply) if reply else local
        return self._in_order()

    def _say(self, octets: bytes) -> None:
        self._session.wire.write(octets)

    async def _hear(self) -> HopReply:
        reply = (await self._session.wire.replies(1, self._step()))[0]
        if reply.code == 421 and not self._begun and self._session.transactions:
            # RFC 5321 §3.8: a kept session that the hop has just closed.
            self._session.wire.abort("closed by the next hop with 421")
            raise NotBegun("421")
        self._begun = True
        return reply

    def _step(self) -> float:
        return min(self._deadline, asyncio.get_running_loop().time() + STEP_S)

    def _in_order(self) -> tuple[Outcome, ...]:
        return tuple(self._outcomes[recipient] for recipient in self._envelope.recipients)


def _refused(recipient: Recipient, reply: Reply) -> Outcome:
    """Return the outcome by a reply that was no success: a 2xx or 3xx out of place is not known to mean anything."""
    outcome = outcome_of(recipient, reply)
    return outcome if outcome.status is not Status.DELIVERED else Outcome(recipient, Status.DEFERRED, reply)
