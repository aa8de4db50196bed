"""Which DKIM keys a process that begins has in force when it takes its first message."""

import asyncio

from services.delivery.outgoing.keyring import Keyring
from shared.broker.connect import Link
from shared.broker.publish import Publisher
from shared.broker.topology import Exchange, Key
from shared.dkim_keys import KeyBook, KeyState, encode_keys
from tests.rabbit import Rabbit
from tests.unit.services.delivery.outgoing.keys import key_of

BOOKS = 300


async def test_what_was_said_last_counts_however_many_books_the_stream_holds(rabbit: Rabbit) -> None:
    # The first ones say that nobody signs: a process that believed them would let mail leave unsigned.
    waiting, signing = key_of("s", state=KeyState.PENDING), key_of("s")
    console = Link(rabbit.settings("console"), "test-console")
    console.start()
    publisher = Publisher(console)
    try:
        for version in range(1, BOOKS + 1):
            book = KeyBook(version, (signing if version == BOOKS else waiting,))
            await publisher.publish(Exchange.KEYS.value, Key.KEYS.value, encode_keys(book), message_type="t")
    finally:
        await console.close()
    delivery = Link(rabbit.settings("delivery"), "test-keys")
    keyring = Keyring(delivery)
    delivery.start()
    try:
        await keyring.wait_read(20)
        assert keyring.version == BOOKS
        assert keyring.sign
    finally:
        await delivery.close()


async def test_a_stream_without_a_book_keeps_nobody_waiting(rabbit: Rabbit) -> None:
    link = Link(rabbit.settings("delivery"), "test-keys")
    keyring = Keyring(link)
    link.start()
    try:
        async with asyncio.timeout(10):
            await keyring.wait_read(20)
        assert not keyring.sign
    finally:
        await link.close()
