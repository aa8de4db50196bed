"""How the installer compares a broker with the topology."""

from dataclasses import replace

import pytest

from services.console.installer import differences
from services.console.management import Present, PresentBinding, PresentExchange, PresentQueue, PresentRights
from shared.broker.topology import EXCHANGE_TYPES, QUEUES, RIGHTS

COMPLETE = Present(
    exchanges=tuple(PresentExchange(name.value, kind, durable=True) for name, kind in EXCHANGE_TYPES.items()),
    queues=tuple(PresentQueue(spec.name, durable=True, arguments=dict(spec.arguments)) for spec in QUEUES),
    bindings=tuple(
        PresentBinding(exchange.value, spec.name, str(key)) for spec in QUEUES for exchange, key in spec.bindings
    ),
    rights=tuple(PresentRights(user, rights.configure, rights.write, rights.read) for user, rights in RIGHTS.items()),
)
CONTENT = next(queue for queue in COMPLETE.queues if queue.name == "gatepost.content")


def with_content(queue: PresentQueue) -> Present:
    return replace(COMPLETE, queues=tuple(queue if there is CONTENT else there for there in COMPLETE.queues))


def test_a_complete_broker_has_no_differences() -> None:
    assert differences(COMPLETE) == ()


def test_other_queues_bindings_and_users_are_nobody_s_business() -> None:
    more = replace(
        COMPLETE,
        queues=(*COMPLETE.queues, PresentQueue("theirs", durable=False, arguments={})),
        bindings=(*COMPLETE.bindings, PresentBinding("", "theirs", "theirs")),
        rights=(*COMPLETE.rights, PresentRights("admin", ".*", ".*", ".*")),
    )
    assert differences(more) == ()


def test_a_reply_queue_on_an_exchange_is_as_it_should_be() -> None:
    reply = PresentBinding("gatepost.to.verdict", "gatepost.reply.edge.0123456789abcdef", "key")
    assert differences(replace(COMPLETE, bindings=(*COMPLETE.bindings, reply))) == ()


@pytest.mark.parametrize(
    ("present", "said"),
    [
        (replace(COMPLETE, exchanges=COMPLETE.exchanges[1:]), "exchange gatepost.to.content is missing"),
        (replace(COMPLETE, queues=COMPLETE.queues[1:]), "queue gatepost.quarantine is missing"),
        (
            with_content(replace(CONTENT, arguments=CONTENT.arguments | {"x-delivery-limit": 20})),
            "queue gatepost.content: x-delivery-limit is 20, expected 50",
        ),
        (
            with_content(replace(CONTENT, arguments=CONTENT.arguments | {"x-max-length": 5})),
            "queue gatepost.content: x-max-length is 5, expected not set",
        ),
        (with_content(replace(CONTENT, durable=False)), "queue gatepost.content is transient"),
        (replace(COMPLETE, bindings=COMPLETE.bindings[1:]), "gatepost.to.quarantine does not feed"),
        (
            replace(COMPLETE, bindings=(*COMPLETE.bindings, PresentBinding("gatepost.to.content", "spy", "content"))),
            "gatepost.to.content also feeds spy",
        ),
        (replace(COMPLETE, rights=COMPLETE.rights[1:]), "user edge has no rights"),
        (
            replace(COMPLETE, rights=(replace(COMPLETE.rights[0], write=".*"), *COMPLETE.rights[1:])),
            "user edge has other rights",
        ),
    ],
)
def test_a_difference_is_said_in_words(present: Present, said: str) -> None:
    assert any(said in difference for difference in differences(present)), differences(present)
