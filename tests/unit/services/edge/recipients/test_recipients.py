"""Who is asked for which domain, in which form, and how often one network may make us ask."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.edge.decide.recipient import Known
from services.edge.recipients.recipients import QUESTION_RATE, Recipients
from services.edge.session import Session
from shared.address import Address
from shared.policy import Listener, Purpose, parse_policy
from shared.state.memory import MemoryState

POLICY = parse_policy(
    """
[domains."route.test"]
route = "smtp://127.0.0.1:2500"
recipients = "verified"
[domains."directory.test"]
route = "smtp://127.0.0.1:2500"
recipients = "ldap"
"""
)
ROUTE, DIRECTORY = POLICY.domains["route.test"], POLICY.domains["directory.test"]
SESSION = Session("mx", Listener(purpose=Purpose.INBOUND), "192.0.2.1", 1)


class Both:
    """A route and a directory that know `bob`."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.looked_up: list[str] = []

    async def ask(self, recipient: str) -> Known:
        self.asked.append(recipient)
        return Known.YES if recipient.startswith("bob@") else Known.NO

    async def has_recipient(self, address: str) -> bool:
        self.looked_up.append(address)
        return address.startswith("bob@")


@pytest.fixture
def both() -> Both:
    return Both()


@pytest.fixture
async def recipients(both: Both) -> AsyncIterator[Recipients]:
    made = Recipients(both, both, MemoryState())
    yield made
    await made.close()


async def test_each_domain_asks_whom_its_rules_name(recipients: Recipients, both: Both) -> None:
    assert await recipients.knows(SESSION, ROUTE, Address("bob", "route.test")) is Known.YES
    assert await recipients.knows(SESSION, DIRECTORY, Address("eve", "directory.test")) is Known.NO
    assert both.asked == ["bob@route.test"]
    assert both.looked_up == ["eve@directory.test"]


async def test_all_spellings_are_one_question(recipients: Recipients, both: Both) -> None:
    for spelling in ("bob", "BOB", '"bob"', '"b\\ob"'):
        assert await recipients.knows(SESSION, ROUTE, Address(spelling, "route.test")) is Known.YES
    assert both.asked == ["bob@route.test"]


async def test_one_network_may_make_so_many_questions(recipients: Recipients, both: Both) -> None:
    for number in range(QUESTION_RATE.count):
        session = replace(SESSION, address=f"192.0.2.{number}")
        assert await recipients.knows(session, ROUTE, Address(f"u{number}", "route.test")) is Known.NO
    assert await recipients.knows(SESSION, ROUTE, Address("bob", "route.test")) is Known.UNSURE
    # What is known costs no question, and others are not concerned.
    assert await recipients.knows(SESSION, ROUTE, Address("u1", "route.test")) is Known.NO
    assert await recipients.knows(replace(SESSION, address="198.51.100.1"), ROUTE, Address("bob", "route.test")) is (
        Known.YES
    )
    assert await recipients.knows(SESSION, ROUTE, Address("bob", "route.test")) is Known.YES


async def test_networks_that_are_exempt_are_not_counted(recipients: Recipients, both: Both) -> None:
    session = replace(SESSION, counted=False)
    for number in range(QUESTION_RATE.count + 1):
        assert await recipients.knows(session, ROUTE, Address(f"u{number}", "route.test")) is Known.NO


async def test_without_a_directory_nobody_is_refused(both: Both) -> None:
    recipients = Recipients(both, None, MemoryState())
    assert await recipients.knows(SESSION, DIRECTORY, Address("bob", "directory.test")) is Known.UNSURE
    await recipients.close()


async def test_a_new_policy_asks_again_for_the_refused(recipients: Recipients, both: Both) -> None:
    for _ in range(2):
        await recipients.knows(SESSION, ROUTE, Address("eve", "route.test"))
    recipients.follow_policy()
    await recipients.knows(SESSION, ROUTE, Address("eve", "route.test"))
    assert both.asked == ["eve@route.test"] * 2
