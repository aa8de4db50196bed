"""All names in RabbitMQ: exchanges, queues, bindings, and the rights of each service's broker user (PURE).

Owns: what `gatepost topology apply` declares, services verify passively, and `doctor` compares.
Every rule that decides about loss (type, TTL, dead-lettering, overflow, delivery limit) is a queue argument, for only
one broker policy applies to a queue and another's `.*` would displace ours. Only size limits are broker policies.
"""

from dataclasses import dataclass, field
from enum import StrEnum

Argument = str | int | bool


class Exchange(StrEnum):
    """Where each kind of thing is published; never the default exchange, which would reach every queue."""

    CONTENT = "gatepost.to.content"
    CONTENT_RETRY = "gatepost.to.content-retry"
    DELIVERY = "gatepost.to.delivery"
    DELIVERY_RETRY = "gatepost.to.delivery-retry"
    QUARANTINE = "gatepost.to.quarantine"
    EVENTS = "gatepost.to.events"
    VERDICT = "gatepost.to.verdict"
    SAID = "gatepost.to.said"
    HEARTBEAT = "gatepost.to.heartbeat"
    POLICY = "gatepost.to.policy"
    ACCOUNTS = "gatepost.to.accounts"
    ORDERS = "gatepost.to.orders"
    KEYS = "gatepost.to.keys"
    VERIFY = "gatepost.to.verify"
    VERIFIED = "gatepost.to.verified"
    TRIAL = "gatepost.to.trial"
    TRIED = "gatepost.to.tried"


class Queue(StrEnum):
    """The durable queues and streams."""

    CONTENT = "gatepost.content"
    CONTENT_LARGE = "gatepost.content.large"
    CONTENT_SUSPECT = "gatepost.content.suspect"
    DELIVERY = "gatepost.delivery"
    DELIVERY_AGAIN = "gatepost.delivery.again"
    QUARANTINE = "gatepost.quarantine"
    EVENTS = "gatepost.events"
    POLICY = "gatepost.policy"
    ACCOUNTS = "gatepost.accounts"
    ORDERS = "gatepost.orders"
    KEYS = "gatepost.keys"
    VERIFY = "gatepost.verify"
    TRIAL = "gatepost.trial"


class Key(StrEnum):
    """Routing keys of the content and delivery exchanges."""

    CONTENT = "content"
    LARGE = "large"
    SUSPECT = "suspect"
    DELIVERY = "delivery"
    AGAIN = "again"
    QUARANTINE = "quarantine"
    POISON = "poison"
    EVENTS = "events"
    POLICY = "policy"
    ACCOUNTS = "accounts"
    ORDERS = "orders"
    KEYS = "keys"
    VERIFY = "verify"
    TRIAL = "trial"


# Larger messages take `gatepost.content.large`, whose prefetch is small (prefetch counts messages, not bytes).
LARGE_BYTES = 1_000_000
DELIVERY_LIMIT = 50
SUSPECT_AFTER_REDELIVERIES = 2
# No rung over 15 minutes, so that an administrator's order is seen within one.
CONTENT_RUNGS_S = (10, 60, 300, 900)
# Many for delivery, so that 100,000 messages for a dead hop come by evenly over a quarter of an hour, in no burst.
DELIVERY_RUNGS_S = (5, 15, 30, *range(60, 901, 60))
VERIFY_TTL_MS = 10_000
# Nobody waits longer for a free content process to try a message; and no more than these are ever held for it.
TRIAL_TTL_MS = 5_000
TRIALS_WAITING = 4
TRIALS_WAITING_BYTES = 40_000_000
CONTENT_LIMIT_BYTES = 4_000_000_000
STREAM_LIMIT_BYTES = 20_000_000
STREAM_SEGMENT_BYTES = 1_000_000
REPLY_PREFIX = "gatepost.reply."


@dataclass(frozen=True, slots=True)
class QueueSpec:
    """A queue to declare. bindings: (exchange, routing key)."""

    name: str
    arguments: dict[str, Argument]
    bindings: tuple[tuple[Exchange, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Rights:
    """The three expressions of a RabbitMQ user in the vhost, anchored."""

    configure: str
    write: str
    read: str


@dataclass(frozen=True, slots=True)
class BrokerPolicy:
    """A size limit, changeable by an administrator without declaring anew."""

    name: str
    pattern: str
    definition: dict[str, Argument] = field(default_factory=dict)


def retry_queue(stage_queue: Queue, rung_s: int) -> str:
    """Return the name of a rung of a stage's retry ladder; it is the routing key, too."""
    return f"{stage_queue}.retry.{rung_s}s"


def rung_for(wait_s: float, rungs_s: tuple[int, ...]) -> int:
    """Return the rung to wait on: the longest that is not longer than the wait, else the shortest."""
    return max((rung for rung in rungs_s if rung <= wait_s), default=min(rungs_s))


def _quorum(**arguments: Argument) -> dict[str, Argument]:
    common: dict[str, Argument] = {
        "x-queue-type": "quorum",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    return common | {f"x-{name.replace('_', '-')}": value for name, value in arguments.items()}


def _work(name: Queue, exchange: Exchange, *keys: str) -> QueueSpec:
    arguments = _quorum(
        delivery_limit=DELIVERY_LIMIT,
        dead_letter_exchange=Exchange.QUARANTINE.value,
        dead_letter_routing_key=Key.POISON.value,
    )
    return QueueSpec(name.value, arguments, tuple((exchange, key) for key in keys))


def _rung(stage_queue: Queue, back_to: Exchange, key: Key, exchange: Exchange, rung_s: int) -> QueueSpec:
    name = retry_queue(stage_queue, rung_s)
    arguments = _quorum(
        message_ttl=rung_s * 1000, dead_letter_exchange=back_to.value, dead_letter_routing_key=key.value
    )
    return QueueSpec(name, arguments, ((exchange, name),))


def _stream(name: Queue, exchange: Exchange, key: Key) -> QueueSpec:
    arguments: dict[str, Argument] = {
        "x-queue-type": "stream",
        "x-max-length-bytes": STREAM_LIMIT_BYTES,
        "x-stream-max-segment-size-bytes": STREAM_SEGMENT_BYTES,
    }
    return QueueSpec(name.value, arguments, ((exchange, key.value),))


EXCHANGE_TYPES: dict[Exchange, str] = {
    exchange: "fanout" if exchange is Exchange.HEARTBEAT else "direct" for exchange in Exchange
}

QUEUES: tuple[QueueSpec, ...] = (
    # The quarantine and the work queues first: a ladder's dead-letter target must exist, or mail is dropped silently.
    # Quarantine and events have no delivery limit: a recorder that crashes may not cost a message. (RabbitMQ 4.x
    # would set 20 by itself; -1 switches that off there, and 3.10 refuses it, so the number is merely high.)
    QueueSpec(
        Queue.QUARANTINE.value,
        {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000},
        ((Exchange.QUARANTINE, Key.QUARANTINE), (Exchange.QUARANTINE, Key.POISON)),
    ),
    QueueSpec(
        Queue.EVENTS.value, {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000}, ((Exchange.EVENTS, Key.EVENTS),)
    ),
    _work(Queue.CONTENT, Exchange.CONTENT, Key.CONTENT),
    _work(Queue.CONTENT_LARGE, Exchange.CONTENT, Key.LARGE),
    _work(Queue.CONTENT_SUSPECT, Exchange.CONTENT, Key.SUSPECT),
    _work(Queue.DELIVERY, Exchange.DELIVERY, Key.DELIVERY),
    # What comes back from the ladder stands apart: 100,000 messages for a dead hop are not in the way of new ones.
    _work(Queue.DELIVERY_AGAIN, Exchange.DELIVERY, Key.AGAIN),
    *(_rung(Queue.CONTENT, Exchange.CONTENT, Key.CONTENT, Exchange.CONTENT_RETRY, rung) for rung in CONTENT_RUNGS_S),
    *(_rung(Queue.DELIVERY, Exchange.DELIVERY, Key.AGAIN, Exchange.DELIVERY_RETRY, rung) for rung in DELIVERY_RUNGS_S),
    _stream(Queue.POLICY, Exchange.POLICY, Key.POLICY),
    _stream(Queue.ACCOUNTS, Exchange.ACCOUNTS, Key.ACCOUNTS),
    _stream(Queue.ORDERS, Exchange.ORDERS, Key.ORDERS),
    _stream(Queue.KEYS, Exchange.KEYS, Key.KEYS),
    QueueSpec(
        Queue.VERIFY.value,
        {"x-queue-type": "classic", "x-message-ttl": VERIFY_TTL_MS},
        ((Exchange.VERIFY, Key.VERIFY),),
    ),
    # What an administrator wants judged and delivered to nobody. It has a queue of its own, so that a content process
    # that does not know of trials never takes one for mail; unlike mail, a trial is dropped when it is late.
    QueueSpec(
        Queue.TRIAL.value,
        {
            "x-queue-type": "classic",
            "x-message-ttl": TRIAL_TTL_MS,
            "x-max-length": TRIALS_WAITING,
            "x-max-length-bytes": TRIALS_WAITING_BYTES,
            "x-overflow": "reject-publish",
        },
        ((Exchange.TRIAL, Key.TRIAL),),
    ),
)

BROKER_POLICIES: tuple[BrokerPolicy, ...] = (
    # The only admission limit of the pipeline: a full content queue refuses the publish, and edge says 452.
    BrokerPolicy("gatepost-content", r"^gatepost\.content(\.large)?$", {"max-length-bytes": CONTENT_LIMIT_BYTES}),
    BrokerPolicy("gatepost-events", r"^gatepost\.events$", {"max-length-bytes": 1_000_000_000}),
)


def _any_of(*names: str) -> str:
    alternatives = "|".join(name.replace(".", r"\.") for name in names)
    return f"^({alternatives})$" if names else "^$"


def _service(name: str, writes: tuple[str, ...], reads: tuple[str, ...]) -> Rights:
    replies = f"{REPLY_PREFIX}{name}." + "@"  # `@` stands for the random rest, see below
    pattern = replies.replace(".", r"\.").replace("@", "[a-z0-9]+")
    return Rights(
        configure=f"^{pattern}$",
        write=_any_of(*writes)[:-2] + f"|{pattern})$",
        read=_any_of(*reads)[:-2] + f"|{pattern})$",
    )


# DESIGN §1, last column. To bind a reply queue, its user writes the queue and reads the exchange.
RIGHTS: dict[str, Rights] = {
    "edge": _service(
        "edge",
        writes=(Exchange.CONTENT, Exchange.SAID, Exchange.VERIFY, Exchange.EVENTS),
        reads=(Exchange.VERDICT, Exchange.HEARTBEAT, Exchange.VERIFIED, Queue.POLICY, Queue.ACCOUNTS),
    ),
    "content": _service(
        "content",
        writes=(
            *(Exchange.CONTENT, Exchange.CONTENT_RETRY, Exchange.DELIVERY, Exchange.QUARANTINE),
            *(Exchange.VERDICT, Exchange.HEARTBEAT, Exchange.EVENTS, Exchange.TRIED),
        ),
        reads=(Exchange.SAID, Queue.CONTENT, Queue.CONTENT_LARGE, Queue.CONTENT_SUSPECT, Queue.TRIAL, Queue.POLICY),
    ),
    "delivery": _service(
        "delivery",
        writes=(
            *(Exchange.DELIVERY, Exchange.DELIVERY_RETRY, Exchange.QUARANTINE),
            *(Exchange.VERIFIED, Exchange.EVENTS),
        ),
        reads=(Queue.DELIVERY, Queue.DELIVERY_AGAIN, Queue.VERIFY, Queue.POLICY, Queue.ORDERS, Queue.KEYS),
    ),
    "console": _service(
        "console",
        writes=(
            *(Exchange.POLICY, Exchange.ACCOUNTS, Exchange.ORDERS, Exchange.KEYS),
            *(Exchange.DELIVERY, Exchange.CONTENT, Exchange.EVENTS, Exchange.VERIFY, Exchange.TRIAL),
        ),
        # The rights of DESIGN §1 let nobody but edge read the accounts; the console keeps its own copy in SQL. So it is
        # with DKIM keys, which delivery alone reads.
        reads=(
            *(Queue.EVENTS, Queue.QUARANTINE, Queue.POLICY, Queue.ORDERS),
            *(Exchange.VERIFIED, Exchange.TRIED),
        ),
    ),
}

# Who may name rules that a mail is let past: whoever releases it, and content, when it puts such a mail off.
MAY_RELEASE = frozenset({"console", "content"})


def content_key(size_bytes: int) -> Key:
    """Return the routing key of a new message by its size."""
    return Key.LARGE if size_bytes > LARGE_BYTES else Key.CONTENT
