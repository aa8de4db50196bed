"""Alerts about the pipeline itself: services, queues, what waits, the policy, poison (PURE)."""

from collections.abc import Iterator

from services.console.pulse.alert import Alert, Severity
from services.console.pulse.facts import Status
from services.console.story.told import moment, span
from shared.broker.topology import Queue

WAITS_LONG_S = 900.0
WAITS_TOO_LONG_S = 4 * 3600.0
_RETRY = ".retry."
_HELD = frozenset({"retrying", "queued", "released"})


def of_pipeline(status: Status) -> Iterator[Alert]:
    """Yield the alerts."""
    yield from _services(status)
    yield from _unknown(status)
    yield from _queues(status)
    yield from _oldest(status)
    yield from _policy(status)
    yield from _poison(status)


_MEANWHILE = {
    "edge": "no new mail is taken meanwhile; senders try again by themselves",
    "content": "new mail waits in the queue, unexamined and undelivered",
    "delivery": "examined mail waits in its queue",
    "recorder": "the trace and this page fall behind; mail flows on",
}


def _services(status: Status) -> Iterator[Alert]:
    for one in status.services:
        if not one.ready:
            severity = Severity.WARNING if one.service == "recorder" else Severity.CRITICAL
            meanwhile = "; ".join(("", _MEANWHILE.get(one.service, "")))
            yield Alert(
                severity,
                f"service {one.service}",
                f"{one.service} is not ready: {one.said.removeprefix('not ready: ')}{meanwhile}.",
                f"Look at the log of {one.service} and start it if it is not running.",
            )


def _unknown(status: Status) -> Iterator[Alert]:
    if status.queues_problem:
        yield Alert(
            Severity.WARNING,
            "broker unknown",
            f"The broker cannot be asked: {status.queues_problem}.",
            "Start RabbitMQ and its management plugin, or correct [management] in the console's settings.",
        )
    if status.database_problem:
        yield Alert(
            Severity.CRITICAL,
            "database",
            f"The database does not answer: {status.database_problem}. Events wait in their queue meanwhile.",
            "Start the database, or correct [database] url.",
        )


def _queues(status: Status) -> Iterator[Alert]:
    for queue in status.queues:
        if not queue.consumers and queue.ready and _RETRY not in queue.queue and queue.queue != Queue.VERIFY:
            yield Alert(
                Severity.CRITICAL,
                f"no consumer {queue.queue}",
                f"{_short(queue.queue)}: {queue.ready} wait, and nobody takes them.",
                "Start the service that takes from it.",
                "/queues",
            )
        if 0 < queue.online < queue.members:
            has_quorum = queue.online > queue.members // 2
            yield Alert(
                Severity.WARNING if has_quorum else Severity.CRITICAL,
                f"quorum {queue.queue}",
                f"{_short(queue.queue)}: {queue.online} of {queue.members} nodes that keep it are up"
                + ("." if has_quorum else ", which is no majority: nothing can be put into it or taken out."),
                "Start the broker's nodes that are down.",
            )
    for growth in status.growing:
        yield Alert(
            Severity.WARNING,
            f"growing {growth.queue}",
            f"{_short(growth.queue)} grew from {growth.before} to {growth.now} within {span(growth.over_s)}.",
            "See which stage does not keep up: start more of it, or look at the engine or the hop that is slow.",
            "/queues",
        )


def _short(queue: str) -> str:
    return f"Queue {queue.removeprefix('gatepost.')}"


def _oldest(status: Status) -> Iterator[Alert]:
    if status.oldest is None:
        return
    message_id, state, since = status.oldest
    waits_s = status.at - since
    if waits_s < WAITS_LONG_S:
        return
    in_delivery = state in _HELD
    yield Alert(
        Severity.WARNING if waits_s > WAITS_TOO_LONG_S or not in_delivery else Severity.NOTICE,
        "oldest",
        f"The oldest mail on its way has waited for {span(waits_s)} ({message_id}, {state}).",
        "See what it waits for: the next hop's reply, or what holds it." if in_delivery
        else "It is not with delivery yet: see whether content keeps up and its engines answer.",
        f"/messages/{message_id}",
        since,
    )  # fmt: skip


def _policy(status: Status) -> Iterator[Alert]:
    policy = status.policy
    if policy is not None and policy.confirm_by is not None and policy.confirm_by > status.at:
        yield Alert(
            Severity.WARNING,
            "policy unconfirmed",
            f"Policy version {policy.version} by {policy.author} goes back by itself at {moment(policy.confirm_by)}, "
            f"in {span(policy.confirm_by - status.at)}, unless it is confirmed.",
            "Confirm it if all is well, or let it go back.",
            "/policy",
            policy.at,
        )
    refusing = [one for one in status.services if one.policy_refused]
    for one in refusing:
        yield Alert(
            Severity.WARNING,
            f"policy refused {one.service}",
            f"{one.service} could not use version {one.policy_refused} of the policy and goes on with "
            f"{one.policy_version or 'none'}.",
            "Its log names the key (policy-refused). Install the same version of Gatepost everywhere, then apply the "
            "policy again, or roll it back.",
            "/policy",
        )
    versions = {one.service: one.policy_version for one in status.services if one.policy_version is not None}
    # Who refused one is behind, and that is said already.
    if len(set(versions.values())) > 1 and not refusing:
        told = ", ".join(f"{service} {version}" for service, version in versions.items())
        yield Alert(
            Severity.WARNING,
            "policy differs",
            f"The stages do not run the same policy version: {told}.",
            "Wait a moment; if it stays so, look at the log of the one behind: it may have refused the version.",
            "/policy",
        )


def _poison(status: Status) -> Iterator[Alert]:
    if status.poison:
        what = "message is" if status.poison == 1 else "messages are"
        yield Alert(
            Severity.WARNING,
            "poison",
            f"{status.poison} {what} in quarantine because a stage died of it again and again.",
            "Look at the log of the stage for its id; release it once that is mended, or delete it.",
            "/quarantine?reason=poison",
        )
