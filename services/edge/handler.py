"""What edge decides about commands and messages.

Owns: applying the rules of `decide/` by the policy in force, and asking those who know more: counts, recipients, the
greylist. Whether a client gets a session at all is `admission`'s.
Output: the reply of a refusal, or None; for a whole message always the final reply.
"""

import time
from collections.abc import Callable

import structlog

from services.edge.auth.authenticator import Authenticator
from services.edge.data import LONGEST_LINE, STEP_BYTES, Content
from services.edge.decide.author import judge_author
from services.edge.decide.loop import judge_loop
from services.edge.decide.recipient import NOT_VERIFIED, complete, judge_known, judge_recipient, size_limit
from services.edge.decide.refusal import Refusal, RefusalReason, refuse
from services.edge.decide.requiretls import judge_requiretls
from services.edge.decide.sender import judge_client, judge_sender
from services.edge.decide.size import judge_declared_size, refusal_of
from services.edge.defences import Defences
from services.edge.handover import Handover, Message
from services.edge.header import HeaderFacts, read_authors, read_header
from services.edge.limits import ByteBudget, Share
from services.edge.session import Session, Transaction
from services.edge.trace import head
from shared.address import Address
from shared.bans import subject_of
from shared.broker.ports import PolicyPort
from shared.envelope import Proof
from shared.ids import new_id
from shared.policy import Listener, Policy, Purpose
from shared.policy.client import in_networks, plain_ip
from shared.policy.domain import is_always_taken
from shared.reply import Reply
from shared.rewriting.keys import RewritingKeys
from shared.rewriting.resolve import Ask, Resolution, resolve
from shared.wire import EnvelopeTooLarge

_log = structlog.get_logger()
_NO_BROKER = refuse(RefusalReason.BROKER_UNAVAILABLE, 421, "4.3.2", "Service not available, try again later")
_NO_BROKER_NOW = refuse(RefusalReason.BROKER_UNAVAILABLE, 451, "4.3.2", "Service not available, try again later")
_ENVELOPE_TOO_LARGE = refuse(RefusalReason.ENVELOPE_TOO_LARGE, 452, "4.5.3", "Too many recipients for one message")


class EdgeHandler:
    """The hooks of all sessions of this process. keys: of SRS and BATV, the same as delivery's."""

    def __init__(
        self,
        *,
        hostname: str,
        loop_key: bytes,
        policy: PolicyPort,
        handover: Handover,
        defences: Defences,
        authenticator: Authenticator,
        budget: ByteBudget,
        broker_takes: Callable[[], bool],
        keys: RewritingKeys,
    ) -> None:
        self.hostname = hostname
        self.authenticator = authenticator
        self.admission = defences.admission
        self.refuse = defences.refusals.of_command
        self.refuse_session = defences.refusals.of_session
        self._defences = defences
        self._loop_key = loop_key
        self._policy = policy
        self._handover = handover
        self._budget = budget
        self._broker_takes = broker_takes
        self._keys = keys

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._policy.policy

    # ---- sessions

    def rules_of(self, listener: str) -> Listener | None:
        """Return a listener's rules, or None if the policy no longer has it: its socket is being closed."""
        return self.policy.listeners.get(listener)

    def is_proxy(self, rules: Listener, address: str) -> bool:
        """Whether connections from an address must begin with a PROXY header."""
        return in_networks(rules.proxy_from, plain_ip(address))

    def why_no_session(self) -> Refusal | None:
        """Return why no session can be begun now, whoever comes."""
        return None if self._broker_takes() else _NO_BROKER

    # ---- commands

    async def handle_MAIL(self, session: Session, sender: str, declared_size: int) -> Reply | None:  # noqa: N802
        """Return why MAIL is refused, or None, by the policy in force now."""
        policy = self.policy
        _follow(session, policy)
        if session.account is not None:
            # A session may last an hour; an account that is disabled must not go on sending for so long.
            session.account = self.authenticator.current(session.account)
        # RFC 6409 §4.3: on a submission listener nothing but the login counts.
        listed = session.rules.purpose is not Purpose.SUBMISSION or session.account is not None
        session.relay_proof = policy.relay.proof(session.client, sender) if listed else None
        refusal = (
            (None if self._broker_takes() else _NO_BROKER_NOW)
            or self.admission.at_mail(session)
            or judge_client(session)
            or judge_sender(session, sender)
            or judge_declared_size(declared_size, session.limits.message_size_bytes, self._budget.room)
            or await self._defences.counting.at_mail(session, sender, declared_size, policy)
        )
        return self.refuse(session, "MAIL", refusal, sender=sender) if refusal else None

    async def handle_RCPT(  # noqa: N802
        self, session: Session, tx: Transaction, address: Address
    ) -> tuple[Address, Reply | None]:
        """Return the recipient with its domain, and why it is refused, if it is."""
        policy = self.policy
        address = complete(address, policy, self.hostname)
        refusal = await self._judge_recipient(session, policy, tx, address)
        if refusal is None:
            return address, None
        return address, self.refuse(session, "RCPT", refusal, sender=tx.sender or "", recipient=str(address))

    async def _judge_recipient(
        self, session: Session, policy: Policy, tx: Transaction, address: Address
    ) -> Refusal | None:
        sender, defences = tx.sender or "", self._defences
        resolution = resolve(address, policy, self._keys, null_sender=not tx.sender, now=time.time())
        refusal = judge_recipient(session, policy, tx, address, resolution)
        if refusal is not None and refusal is not NOT_VERIFIED:
            if refusal.reason is RefusalReason.NO_REWRITING_SECRET:
                _log.error("rewriting-secrets-missing", recipient=str(address), cause="none in the settings of edge")
            return refusal
        # An access rule may have let the client in only after its name, or its HELO, was known.
        held = None if session.trusted or session.may_relay else session.held_against
        if held is not None and not is_always_taken(address.local_part):
            return held
        # RFC 8689 §5: a notice is not lost for it.
        if tx.requiretls and sender and (not_kept := judge_requiretls(address.domain, policy)):
            return not_kept
        return (
            await defences.counting.at_rcpt(session, sender, str(address), policy)
            or await defences.greylist.judge(session, sender, str(address), policy)
            # The dearest question last; it is asked for nobody who will not get in.
            or await self._judge_known(session, policy, resolution)
        )

    async def _judge_known(self, session: Session, policy: Policy, resolution: Resolution) -> Refusal | None:
        if not isinstance(resolution, Ask):
            return None
        rules = policy.domains[resolution.address.domain]
        return judge_known(await self._defences.recipients.knows(session, rules, resolution.address))

    # ---- messages

    def open_message(self, session: Session, tx: Transaction) -> Message:
        """Begin to receive a message: it has its id and our trace fields from here on."""
        message_id, received_at = new_id(), time.time()
        fields = head(message_id, self.hostname, session, tx, received_at=received_at, loop_key=self._loop_key)
        longest_line = LONGEST_LINE if session.limits.long_lines == "refuse" else None
        limit = size_limit(tx, self.policy, session.limits.message_size_bytes)
        content = Content(fields, limit, self._budget_of(session), longest_line)
        return Message(message_id, received_at, content)

    def _budget_of(self, session: Session) -> ByteBudget | Share:
        """Return what its messages are held in: for hosts of ours all of it, for all others their part."""
        if (
            not session.counted
            or session.trusted
            or session.relay_proof in (Proof.RELAY_LIST, Proof.CLIENT_CERTIFICATE)
        ):
            return self._budget
        holder = f"login {session.account.login}" if session.account else subject_of(session.address)
        # One message of the largest size, with the steps in which memory is taken.
        return self._budget.share_of(holder, session.limits.message_size_bytes + 2 * STEP_BYTES)

    async def handle_DATA(self, session: Session, tx: Transaction, message: Message) -> Reply:  # noqa: N802
        """Take a whole message, or say why not. Returns the final reply."""
        policy, content = self.policy, message.content
        try:
            facts = read_header(content.octets, content.head_size)
            refusal = self._judge_message(session, tx, message, facts) or await self._defences.counting.at_end(
                session, tx, len(content.octets) - content.head_size, policy
            )
            if refusal is not None:
                return self._refuse_message(session, tx, message, refusal)
            try:
                answer = await self._handover.hand_on(session, tx, message, facts)
            except EnvelopeTooLarge:
                return self._refuse_message(session, tx, message, _ENVELOPE_TOO_LARGE)
        finally:
            content.close()
        addresses = [recipient.address for recipient in tx.recipients]
        self._defences.greylist.learn(session, tx.sender or "", addresses, answer.action, policy)
        return answer.reply

    def _judge_message(self, session: Session, tx: Transaction, message: Message, facts: HeaderFacts) -> Refusal | None:
        if message.content.flaw is not None:
            return refusal_of(message.content.flaw)
        # VU#244112: who logs in is bound to the addresses that readers see, too.
        if session.account is not None and session.rules.from_owned:
            authors = read_authors(message.content.octets, message.content.head_size)
            if refusal := judge_author(session.account, authors):
                return refusal
        recipients = [recipient.address for recipient in tx.recipients]
        return judge_loop(facts, recipients, session.limits.received_fields, self._loop_key)

    def _refuse_message(self, session: Session, tx: Transaction, message: Message, refusal: Refusal) -> Reply:
        return self.refuse(
            session,
            "DATA",
            refusal,
            refusal_id=message.id,
            sender=tx.sender or "",
            recipient=", ".join(recipient.address for recipient in tx.recipients[:10]),
        )


def _follow(session: Session, policy: Policy) -> None:
    """Have a session go by a policy that has changed since it began."""
    rules = policy.listeners.get(session.listener, session.rules)
    if rules is not session.rules:
        was_tightened = session.limits is session.rules.limits.tightened
        session.rules, session.limits = rules, rules.limits.tightened if was_tightened else rules.limits
