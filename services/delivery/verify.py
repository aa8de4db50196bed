"""Questions about routes (I/O: consumes `gatepost.verify`, publishes answers).

Input: `gatepost.verify.v1`, edge's question whether a route takes a recipient; `gatepost.route-check.v1`, the console's
what there is on the routes of a domain. Output: `gatepost.verified.v1` to the process that asked, within `PROBE_S`, and
`gatepost.route-checked.v1`, within `ROUTE_CHECK_S`.
Decided here: only recipients of domains that the policy has verified are asked for, so that a forged question cannot
make delivery probe anybody else's server. Questions and answers are transient: who hears nothing asks again.
On failure: nothing is handed back; a question that cannot be read, or an answer that cannot be sent, is logged.
"""

import structlog

from services.delivery import metrics
from services.delivery.judge_probe import Probed, unknown
from services.delivery.ports import AnswerPublisher, Delivered
from services.delivery.prober import Prober
from services.delivery.route import hop_of
from services.delivery.route_check import RouteChecker
from shared.address import AddressError, parse_address
from shared.broker.ports import PolicyPort
from shared.broker.publish import PublishError
from shared.broker.topology import Exchange
from shared.wire import WireError
from shared.wire_route_check import (
    ROUTE_CHECK_TYPE,
    ROUTE_CHECKED_TYPE,
    decode_route_question,
    encode_route_answer,
)
from shared.wire_verify import (
    REPLY_LIMIT,
    VERIFIED_TYPE,
    VerifyAnswer,
    VerifyQuestion,
    decode_question,
    encode_answer,
)

_log = structlog.get_logger()
# Few enough that questions never crowd out mail, enough that two slow hops do not hold all of them.
PREFETCH = 40
_SEND_S = 2.0


class VerifyConsumer:
    """Answers each question; `handle` is the broker consumer's handler."""

    def __init__(
        self, prober: Prober, route_checker: RouteChecker, publisher: AnswerPublisher, in_force: PolicyPort
    ) -> None:
        self._prober = prober
        self._route_checker = route_checker
        self._publisher = publisher
        self._in_force = in_force

    async def handle(self, delivery: Delivered) -> None:
        """See a question through."""
        if delivery.stale:
            return
        try:
            if delivery.message_type == ROUTE_CHECK_TYPE:
                await self._check_routes(delivery)
            else:
                await self._answer(decode_question(delivery.message_type, delivery.body))
        except WireError as error:
            _log.error("question-unreadable", cause=str(error))
        await delivery.ack()

    async def _check_routes(self, delivery: Delivered) -> None:
        question = decode_route_question(delivery.message_type, delivery.body)
        answer = await self._route_checker.check(question, self._in_force.policy)
        _log.info("routes-checked", domain=question.domain, problem=answer.problem)
        await self._send(question.reply_key, encode_route_answer(answer), ROUTE_CHECKED_TYPE, question.domain)

    async def _answer(self, question: VerifyQuestion) -> None:
        probed = await self._find_out(question.recipient)
        metrics.PROBES.labels(probed.result.value).inc()
        _log.info("recipient-probed", recipient=question.recipient, result=probed.result.value, reply=probed.reply)
        answer = VerifyAnswer(question.id, question.recipient, probed.result, probed.reply[:REPLY_LIMIT])
        await self._send(question.reply_key, encode_answer(answer), VERIFIED_TYPE, question.recipient)

    async def _send(self, reply_key: str, body: bytes, message_type: str, about: str) -> None:
        try:
            await self._publisher.send(
                Exchange.VERIFIED.value, reply_key, body, message_type=message_type, deadline_s=_SEND_S
            )
        except PublishError as error:
            _log.warning("answer-not-sent", about=about, cause=error.reason)

    async def _find_out(self, recipient: str) -> Probed:
        policy = self._in_force.policy
        try:
            address = parse_address(recipient)
        except AddressError as error:
            return unknown(str(error))
        rules = policy.domains.get(address.domain)
        if rules is None or rules.recipients != "verified":
            return unknown("the policy has no such domain whose recipients are verified")
        return await self._prober.probe(hop_of(address.domain, policy), str(address), policy)
