"""Each service's broker user can do its own part and nothing else (DESIGN §1, last column), tried on a real node."""

from collections.abc import Awaitable, Callable

import pytest
from aio_pika.abc import AbstractConnection
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused
from pamqp import commands

from shared.broker.connect import open_connection
from shared.broker.topology import QUEUES, REPLY_PREFIX, Exchange, Queue
from tests.rabbit import Rabbit

# Written out, not computed from RIGHTS: this is the table that RIGHTS has to come to.
PUBLISHES = {
    "edge": {Exchange.CONTENT, Exchange.SAID, Exchange.VERIFY, Exchange.EVENTS},
    "content": {
        *(Exchange.CONTENT, Exchange.CONTENT_RETRY, Exchange.DELIVERY, Exchange.QUARANTINE),
        *(Exchange.VERDICT, Exchange.HEARTBEAT, Exchange.EVENTS, Exchange.TRIED),
    },
    "delivery": {
        *(Exchange.DELIVERY, Exchange.DELIVERY_RETRY, Exchange.QUARANTINE, Exchange.VERIFIED, Exchange.EVENTS),
    },
    "console": {
        *(Exchange.POLICY, Exchange.ACCOUNTS, Exchange.ORDERS, Exchange.KEYS),
        *(Exchange.DELIVERY, Exchange.CONTENT, Exchange.EVENTS, Exchange.VERIFY, Exchange.TRIAL),
    },
}
CONSUMES = {
    "edge": {Queue.POLICY, Queue.ACCOUNTS},
    "content": {Queue.CONTENT, Queue.CONTENT_LARGE, Queue.CONTENT_SUSPECT, Queue.TRIAL, Queue.POLICY},
    "delivery": {Queue.DELIVERY, Queue.DELIVERY_AGAIN, Queue.VERIFY, Queue.POLICY, Queue.ORDERS, Queue.KEYS},
    "console": {Queue.EVENTS, Queue.QUARANTINE, Queue.POLICY, Queue.ORDERS},
}
BINDS = {
    "edge": {Exchange.VERDICT, Exchange.HEARTBEAT, Exchange.VERIFIED},
    "content": {Exchange.SAID},
    "delivery": set[Exchange](),
    "console": {Exchange.VERIFIED, Exchange.TRIED},
}
USERS = sorted(PUBLISHES)
Operation = Callable[[AbstractChannel], Awaitable[object]]


async def is_allowed(connection: AbstractConnection, operation: Operation) -> bool:
    """Whether the broker lets the operation through; a refusal closes the channel, so each has its own."""
    opened = await connection.channel(publisher_confirms=True, on_return_raises=False)
    try:
        await operation(await opened.get_underlay_channel())
    except ChannelAccessRefused:
        return False
    await opened.close()
    return True


async def allowed(rabbit: Rabbit, user: str, operations: dict[str, Operation]) -> set[str]:
    async with await open_connection(rabbit.settings(user), f"rights-{user}") as connection:
        return {name for name, operation in operations.items() if await is_allowed(connection, operation)}


def publish_to(exchange: str, key: str = "nobody") -> Operation:
    return lambda channel: channel.basic_publish(b"x", exchange=exchange, routing_key=key, mandatory=True)


def consume(queue: str) -> Operation:
    async def operation(channel: AbstractChannel) -> None:
        await channel.basic_qos(prefetch_count=1)
        await channel.basic_consume(queue, _ignore)

    return operation


async def _ignore(_message: object) -> None:
    return None


def bind_reply(user: str, exchange: str) -> Operation:
    async def operation(channel: AbstractChannel) -> None:
        name = f"{REPLY_PREFIX}{user}.0123456789abcdef"
        await channel.queue_declare(name, exclusive=True, auto_delete=True)
        try:
            await channel.queue_bind(name, exchange, "key")
        finally:
            if not channel.is_closed:
                await channel.queue_delete(name)

    return operation


@pytest.mark.parametrize("user", USERS)
async def test_a_user_publishes_to_its_own_exchanges_alone(rabbit: Rabbit, user: str) -> None:
    operations = {exchange.value: publish_to(exchange.value) for exchange in Exchange}
    assert await allowed(rabbit, user, operations) == PUBLISHES[user]


@pytest.mark.parametrize("user", USERS)
async def test_a_user_consumes_its_own_queues_alone(rabbit: Rabbit, user: str) -> None:
    operations = {spec.name: consume(spec.name) for spec in QUEUES}
    assert await allowed(rabbit, user, operations) == CONSUMES[user]


@pytest.mark.parametrize("user", USERS)
async def test_a_user_binds_its_reply_queue_to_its_own_exchanges_alone(rabbit: Rabbit, user: str) -> None:
    operations = {exchange.value: bind_reply(user, exchange.value) for exchange in Exchange}
    assert await allowed(rabbit, user, operations) == BINDS[user]


@pytest.mark.parametrize("user", USERS)
async def test_no_user_reaches_a_queue_by_the_default_exchange(rabbit: Rabbit, user: str) -> None:
    operations = {spec.name: publish_to("", spec.name) for spec in QUEUES}
    assert await allowed(rabbit, user, operations) == set()


@pytest.mark.parametrize("user", USERS)
async def test_no_user_changes_what_is_declared(rabbit: Rabbit, user: str) -> None:
    stranger = next(other for other in USERS if other != user)
    operations: dict[str, Operation] = {
        "declare a queue": lambda channel: channel.queue_declare("gatepost.mine", durable=True),
        "declare another's reply queue": lambda channel: channel.queue_declare(f"{REPLY_PREFIX}{stranger}.abc"),
        "declare an exchange": lambda channel: channel.exchange_declare("gatepost.to.mine"),
        "delete an exchange": lambda channel: channel.exchange_delete(Exchange.CONTENT.value),
        "bind a work queue elsewhere": lambda channel: channel.queue_bind(
            Queue.DELIVERY.value, Exchange.CONTENT.value, "content"
        ),
        "unbind a work queue": lambda channel: channel.queue_unbind(
            Queue.CONTENT.value, Exchange.CONTENT.value, "content"
        ),
        **{f"delete {spec.name}": _delete(spec.name) for spec in QUEUES},
    }
    assert await allowed(rabbit, user, operations) == set()


def _delete(queue: str) -> Operation:
    return lambda channel: channel.queue_delete(queue)


@pytest.mark.parametrize("user", USERS)
async def test_a_user_empties_no_queue_that_it_may_not_read(rabbit: Rabbit, user: str) -> None:
    others = [spec.name for spec in QUEUES if spec.name not in CONSUMES[user]]
    assert await allowed(rabbit, user, {name: _purge(name) for name in others}) == set()


def _purge(queue: str) -> Operation:
    async def operation(channel: AbstractChannel) -> commands.Queue.PurgeOk:
        return await channel.queue_purge(queue)

    return operation
