"""Rules of the names in RabbitMQ: nothing is dropped silently, and nobody may write or read what is not his."""

import re

import pytest

from shared.broker.topology import (
    BROKER_POLICIES,
    CONTENT_RUNGS_S,
    DELIVERY_LIMIT,
    DELIVERY_RUNGS_S,
    EXCHANGE_TYPES,
    LARGE_BYTES,
    QUEUES,
    REPLY_PREFIX,
    RIGHTS,
    Exchange,
    Key,
    Queue,
    QueueSpec,
    content_key,
    retry_queue,
    rung_for,
)

BY_NAME = {spec.name: spec for spec in QUEUES}
LADDERS = [(Queue.CONTENT, CONTENT_RUNGS_S), (Queue.DELIVERY, DELIVERY_RUNGS_S)]
QUORUM = [spec for spec in QUEUES if spec.arguments["x-queue-type"] == "quorum"]


@pytest.mark.parametrize(
    ("wait_s", "rung"),
    [
        (-5, 10),
        (0, 10),
        (9.9, 10),
        (10, 10),
        (59.9, 10),
        (60, 60),
        (299, 60),
        (300, 300),
        (899, 300),
        (900, 900),
        (1e9, 900),
    ],
)
def test_a_wait_takes_the_longest_rung_that_is_not_longer_else_the_shortest(wait_s: float, rung: int) -> None:
    assert rung_for(wait_s, (10, 60, 300, 900)) == rung
    assert rung_for(wait_s, (900, 300, 60, 10)) == rung


@pytest.mark.parametrize(("stage", "rungs_s"), LADDERS)
def test_no_rung_is_longer_than_15_minutes_and_each_exists(stage: Queue, rungs_s: tuple[int, ...]) -> None:
    assert max(rungs_s) <= 900
    for rung_s in rungs_s:
        spec = BY_NAME[retry_queue(stage, rung_s)]
        assert spec.arguments["x-message-ttl"] == rung_s * 1000


def test_the_ladders_have_no_other_rungs() -> None:
    expected = {retry_queue(stage, rung_s) for stage, rungs_s in LADDERS for rung_s in rungs_s}
    assert {spec.name for spec in QUEUES if ".retry." in spec.name} == expected


@pytest.mark.parametrize(("stage", "rungs_s"), LADDERS)
def test_a_rung_is_reached_by_its_name_and_leads_back_to_its_stage(stage: Queue, rungs_s: tuple[int, ...]) -> None:
    for rung_s in rungs_s:
        spec = BY_NAME[retry_queue(stage, rung_s)]
        assert [key for _, key in spec.bindings] == [spec.name]
        back = spec.arguments["x-dead-letter-exchange"], spec.arguments["x-dead-letter-routing-key"]
        returns_to = Queue.DELIVERY_AGAIN if stage is Queue.DELIVERY else stage
        assert back in BY_NAME[returns_to].bindings


def test_every_queue_is_a_known_one_and_stands_once() -> None:
    names = [spec.name for spec in QUEUES]
    assert len(names) == len(set(names))
    assert {name for name in names if ".retry." not in name} == set(Queue)


def test_a_dead_letter_has_a_bound_target_that_is_declared_before_it_is_needed() -> None:
    bound: set[tuple[str, str]] = set()
    for spec in QUEUES:
        if "x-dead-letter-exchange" in spec.arguments:
            target = str(spec.arguments["x-dead-letter-exchange"]), str(spec.arguments["x-dead-letter-routing-key"])
            assert target in bound, spec.name
        bound |= {(exchange.value, str(key)) for exchange, key in spec.bindings}


@pytest.mark.parametrize("spec", [spec for spec in QUORUM if "x-dead-letter-exchange" in spec.arguments], ids=str)
def test_dead_lettering_is_at_least_once(spec: QueueSpec) -> None:
    assert spec.arguments["x-dead-letter-strategy"] == "at-least-once"
    assert spec.arguments["x-overflow"] == "reject-publish"


@pytest.mark.parametrize("name", [Queue.CONTENT, Queue.CONTENT_LARGE, Queue.CONTENT_SUSPECT, Queue.DELIVERY])
def test_a_poisoned_message_goes_to_quarantine_after_fifty_deliveries(name: Queue) -> None:
    arguments = BY_NAME[name].arguments
    assert arguments["x-delivery-limit"] == DELIVERY_LIMIT == 50
    assert (arguments["x-dead-letter-exchange"], arguments["x-dead-letter-routing-key"]) == (
        Exchange.QUARANTINE,
        Key.POISON,
    )


@pytest.mark.parametrize("name", [Queue.QUARANTINE, Queue.EVENTS])
def test_a_recorder_that_crashes_costs_no_message(name: Queue) -> None:
    # RabbitMQ 4.x drops after 20 deliveries unless told otherwise.
    assert int(BY_NAME[name].arguments["x-delivery-limit"]) >= 1_000_000
    assert "x-dead-letter-exchange" not in BY_NAME[name].arguments


def test_only_the_content_queues_and_the_events_are_limited_in_size() -> None:
    limited = {policy.name: {q for q in BY_NAME if re.search(policy.pattern, q)} for policy in BROKER_POLICIES}
    assert limited == {
        "gatepost-content": {Queue.CONTENT, Queue.CONTENT_LARGE},
        "gatepost-events": {Queue.EVENTS},
    }
    assert all(set(policy.definition) == {"max-length-bytes"} for policy in BROKER_POLICIES)


@pytest.mark.parametrize("name", [Queue.POLICY, Queue.ACCOUNTS, Queue.ORDERS])
def test_what_is_in_force_is_a_small_stream(name: Queue) -> None:
    arguments = BY_NAME[name].arguments
    assert arguments["x-queue-type"] == "stream"
    assert int(arguments["x-max-length-bytes"]) <= 20_000_000


@pytest.mark.parametrize(
    ("size_bytes", "key"),
    [(0, Key.CONTENT), (LARGE_BYTES, Key.CONTENT), (LARGE_BYTES + 1, Key.LARGE), (10**8, Key.LARGE)],
)
def test_a_large_message_has_a_queue_of_its_own(size_bytes: int, key: Key) -> None:
    assert content_key(size_bytes) is key


def test_every_exchange_is_named_apart_from_every_queue() -> None:
    assert not {exchange.value for exchange in Exchange} & set(BY_NAME)
    assert set(EXCHANGE_TYPES) == set(Exchange)


# Written out, not computed: DESIGN §1, last column. Reading an exchange means binding a reply queue to it.
WRITES = {
    "edge": {"to.content", "to.said", "to.verify", "to.events"},
    "content": {
        *("to.content", "to.content-retry", "to.delivery", "to.quarantine", "to.verdict", "to.heartbeat", "to.events"),
        "to.tried",
    },
    "delivery": {"to.delivery", "to.delivery-retry", "to.quarantine", "to.verified", "to.events"},
    "console": {
        *("to.policy", "to.accounts", "to.orders", "to.keys", "to.delivery", "to.content", "to.events", "to.verify"),
        "to.trial",
    },
}
READS = {
    "edge": {"to.verdict", "to.heartbeat", "to.verified", "policy", "accounts"},
    "content": {"to.said", "content", "content.large", "content.suspect", "policy", "trial"},
    "delivery": {"delivery", "delivery.again", "verify", "policy", "orders", "keys"},
    "console": {"events", "quarantine", "policy", "orders", "to.verified", "to.tried"},
}
STRANGERS = [
    *("", "amq.default", "amq.direct", "amq.gen-x", "gatepost", "gatepost.", "other", "xgatepost.to.content"),
    *("gatepost.to.contentx", "gatepostXtoXcontent", "gatepost.to.content\ngatepost.to.delivery"),
]
EVERYTHING = [*(exchange.value for exchange in Exchange), *BY_NAME, *STRANGERS]
USERS = sorted(RIGHTS)


def allowed(pattern: str) -> set[str]:
    return {name.removeprefix("gatepost.") for name in EVERYTHING if re.search(pattern, name)}


def test_there_are_four_users() -> None:
    assert set(USERS) == set(WRITES) == set(READS)


@pytest.mark.parametrize("user", USERS)
def test_a_user_writes_and_reads_what_the_table_says_and_declares_nothing(user: str) -> None:
    assert allowed(RIGHTS[user].write) == WRITES[user]
    assert allowed(RIGHTS[user].read) == READS[user]
    assert allowed(RIGHTS[user].configure) == set()


@pytest.mark.parametrize("user", USERS)
def test_a_user_has_reply_queues_of_its_own_name_alone(user: str) -> None:
    rights = RIGHTS[user]
    for pattern in (rights.configure, rights.write, rights.read):
        assert re.search(pattern, f"{REPLY_PREFIX}{user}.0123456789abcdef")
        for name in (
            f"{REPLY_PREFIX}{user}",
            f"{REPLY_PREFIX}{user}.",
            f"{REPLY_PREFIX}{user}.a.b",
            f"x{REPLY_PREFIX}{user}.a",
        ):
            assert not re.search(pattern, name)
        for other in USERS:
            assert other == user or not re.search(pattern, f"{REPLY_PREFIX}{other}.0123456789abcdef")


def test_the_accounts_are_read_by_edge_alone_and_keys_by_delivery_alone() -> None:
    assert [user for user in USERS if "accounts" in allowed(RIGHTS[user].read)] == ["edge"]
    assert [user for user in USERS if "keys" in allowed(RIGHTS[user].read)] == ["delivery"]


def test_edge_cannot_hand_mail_past_the_content_stage() -> None:
    assert not allowed(RIGHTS["edge"].write) & {
        "to.delivery",
        "to.quarantine",
        "to.delivery-retry",
        "to.policy",
        "delivery",
    }
