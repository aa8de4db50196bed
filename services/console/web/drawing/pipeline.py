"""The pipeline as the README draws it, with live numbers (PURE).

Input: `Status`. Output: two pictures of the same words, one for wide windows, one for phones.
"""

from collections.abc import Mapping
from itertools import pairwise

from services.console.pulse.facts import Depth, Status
from services.console.web.drawing.shapes import Arrow, Box, Level, Look, Picture
from shared.broker.topology import Queue

# What a box says: its look, level, title and lines.
Words = tuple[Look, Level, str, tuple[str, ...]]
_RETRY = ".retry."
_UNKNOWN = "not known"


def pipeline_words(status: Status) -> dict[str, Words]:
    """Return what each box says, in the order of a mail's way."""
    live, rates = status.live, status.rates
    return {
        "outside": (Look.OUTSIDE, Level.CALM, "internet", (_count(live.sessions, "session"),)),
        "edge": _stage(status, "edge", _per_minute(rates.refused + rates.deferred, "refused")),
        "to content": _queue(status, "content", Queue.CONTENT, Queue.CONTENT_LARGE, Queue.CONTENT_SUSPECT),
        "content": _stage(status, "content", _per_minute(rates.quarantined, "held")),
        "to delivery": _queue(status, "delivery", Queue.DELIVERY, Queue.DELIVERY_AGAIN),
        "delivery": _stage(status, "delivery", _amount(live.under_way, "under way")),
        "server": (Look.OUTSIDE, Level.CALM, "your server", (_per_minute(rates.delivered, "taken"),)),
        "quarantine": (Look.QUEUE, _level_of(status.poison), "quarantine", (f"{status.held} held",)),
        "retry": _retry(status),
        "events": _queue(status, "events", Queue.EVENTS),
        "recorder": _stage(status, "recorder", "database away" if status.database_problem else "writes the trace"),
    }


def flow(status: Status) -> dict[str, str]:
    """Return what stands at the arrows."""
    rates = status.rates
    into, judged, out = (f"{number}/min" for number in (rates.received, rates.judged, rates.delivered))
    return {"in": into, "taken": into, "judged": judged, "out": out}


def wide(status: Status) -> Picture:
    """Return the picture for wide windows."""
    words, rate = pipeline_words(status), flow(status)
    stage, pill, outside, gap, top = 142, 96, 104, 58, 24
    widths = {"outside": outside, "edge": stage, "to content": pill, "content": stage}
    widths |= {"to delivery": pill, "delivery": stage, "server": outside}
    boxes: dict[str, Box] = {}
    x = 8
    for name, width in widths.items():
        height = 104 if words[name][0] is Look.STAGE else 72
        boxes[name] = _box(words, name, x, top + (104 - height) // 2, width, height)
        x += width + gap
    below = 236
    for name, above, width in (
        ("events", "edge", stage), ("recorder", "to content", 124), ("quarantine", "content", stage),
        ("retry", "delivery", stage),
    ):  # fmt: skip
        height = 88 if name == "recorder" else 72
        boxes[name] = _box(words, name, boxes[above].middle - width // 2, below + (88 - height) // 2, width, height)
    arrows = [*_along(boxes, rate), *_wide_sides(boxes)]
    return Picture(x - gap + 8, below + 88 + 16, tuple(boxes.values()), tuple(arrows))


def tall(status: Status) -> Picture:
    """Return the picture for phones: the same from top to bottom."""
    words, rate = pipeline_words(status), flow(status)
    boxes: dict[str, Box] = {}
    y, gap, width = 6, 38, 170
    for name in _WAY:
        height = 94 if words[name][0] is Look.STAGE else 62
        boxes[name] = _box(words, name, 6, y, width, height)
        y += height + gap
    side = 214
    for name, beside in (
        ("events", "edge"),
        ("recorder", "to content"),
        ("quarantine", "content"),
        ("retry", "delivery"),
    ):
        height = 94 if name == "recorder" else 62
        boxes[name] = _box(words, name, side, boxes[beside].centre - height // 2, 130, height)
    arrows: list[Arrow] = []
    for (before, after), label in zip(pairwise(_WAY), _LABELS, strict=True):
        points = ((boxes[before].middle, boxes[before].bottom), (boxes[after].middle, boxes[after].y))
        middle = (points[0][1] + points[1][1]) // 2 + 4
        arrows.append(Arrow(points, rate.get(label, ""), (points[0][0] + 10, middle), "start"))
    arrows += _tall_sides(boxes)
    return Picture(350, y - gap + 8, tuple(boxes.values()), tuple(arrows))


_WAY = ("outside", "edge", "to content", "content", "to delivery", "delivery", "server")
# At the arrow after each of them but the last.
_LABELS = ("in", "taken", "", "judged", "", "out")


def _along(boxes: Mapping[str, Box], rate: Mapping[str, str]) -> list[Arrow]:
    arrows = []
    for (before, after), label in zip(pairwise(_WAY), _LABELS, strict=True):
        one, other = boxes[before], boxes[after]
        y = one.centre
        arrows.append(Arrow(((one.right, y), (other.x, y)), rate.get(label, ""), ((one.right + other.x) // 2, y - 8)))
    return arrows


def _wide_sides(boxes: Mapping[str, Box]) -> list[Arrow]:
    edge, content, delivery = boxes["edge"], boxes["content"], boxes["delivery"]
    events, recorder, held, retry = boxes["events"], boxes["recorder"], boxes["quarantine"], boxes["retry"]
    queue = boxes["to delivery"]
    bend, out, back = edge.bottom + 34, content.x + 30, edge.right - 30
    verdict = ((out, content.bottom), (out, bend), (back, bend), (back, edge.bottom))
    again = ((retry.x, retry.centre), (queue.middle, retry.centre), (queue.middle, queue.bottom))
    return [
        Arrow(verdict, "verdict", ((out + back) // 2, bend - 7), side=True),
        _down(edge, events, "every stage"),
        Arrow(((events.right, events.centre), (recorder.x, events.centre)), side=True),
        Arrow(((held.x, held.centre), (recorder.right, held.centre)), side=True),
        _down(content, held),
        _down(delivery, retry, "later"),
        Arrow(again, "again", (queue.middle + 9, retry.centre - 10), "start", side=True),
    ]


def _down(above: Box, below: Box, label: str = "") -> Arrow:
    points = ((above.middle, above.bottom), (above.middle, below.y))
    return Arrow(points, label, (above.middle + 9, below.y - 26), "start", side=True)


def _tall_sides(boxes: Mapping[str, Box]) -> list[Arrow]:
    edge, content, delivery = boxes["edge"], boxes["content"], boxes["delivery"]
    events, recorder, held, retry = boxes["events"], boxes["recorder"], boxes["quarantine"], boxes["retry"]
    queue = boxes["to delivery"]
    return [
        Arrow(((edge.right, edge.centre), (events.x, events.centre)), side=True),
        Arrow(((events.middle, events.bottom), (recorder.middle, recorder.y)), side=True),
        Arrow(((content.right, content.centre), (held.x, held.centre)), side=True),
        Arrow(((held.middle, held.y), (recorder.middle, recorder.bottom)), side=True),
        Arrow(((delivery.right, delivery.centre), (retry.x, retry.centre)), side=True),
        Arrow(((retry.middle, retry.y), (retry.middle, queue.centre), (queue.right, queue.centre)), side=True),
    ]


def _box(words: Mapping[str, Words], name: str, x: int, y: int, width: int, height: int) -> Box:
    look, level, title, lines = words[name]
    return Box(x, y, width, height, look, level, title, lines)


def _stage(status: Status, name: str, second: str) -> Words:
    ready = next((one for one in status.services if one.service == name), None)
    if ready is None:
        return Look.STAGE, Level.CALM, name, (_UNKNOWN, second)
    said = "ready" if ready.ready else "NOT READY"
    if ready.ready and ready.policy_version is not None:
        said += f" · policy {ready.policy_version}"
    return Look.STAGE, Level.GOOD if ready.ready else Level.BAD, name, (said, second)


def _queue(status: Status, title: str, *queues: Queue) -> Words:
    found = [one for one in status.queues if one.queue in {queue.value for queue in queues}]
    if not found:
        return Look.QUEUE, Level.CALM, title, (_UNKNOWN,)
    growing = {growth.queue for growth in status.growing}
    level = Level.WARN if any(one.queue in growing or _is_left_alone(one) for one in found) else Level.CALM
    return Look.QUEUE, level, title, (f"{sum(one.ready for one in found)} waiting",)


def _is_left_alone(queue: Depth) -> bool:
    return bool(queue.ready) and not queue.consumers


def _retry(status: Status) -> Words:
    found = [one for one in status.queues if _RETRY in one.queue]
    line = f"{sum(one.ready for one in found)} waiting" if found else _UNKNOWN
    return Look.QUEUE, Level.CALM, "retry", (line,)


def _level_of(count: int) -> Level:
    return Level.WARN if count else Level.CALM


def _per_minute(count: int, what: str) -> str:
    return f"{count}/min {what}"


def _amount(count: int | None, what: str) -> str:
    return f"{count} {what}" if count is not None else f"{what}: ?"


def _count(count: int | None, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}" if count is not None else f"{what}s: ?"
