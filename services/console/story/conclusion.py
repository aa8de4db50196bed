"""How a story ended or stands, and what can be done (PURE)."""

from collections.abc import Sequence

from services.console.story.decision import decisions
from services.console.story.reasons import bounce, quarantine, refusal
from services.console.story.told import Told, clause, client_of, moment, number, show, word, words

_IDS_SHOWN = 20
_ENDINGS = frozenset(
    [
        "session-refused",
        "command-refused",
        "banned",
        "answered",
        "delivered",
        "failed",
        "retry",
        "quarantined",
        "deleted",
        "released",
        "queued",
        "split",
        "ordered",
    ]
)


def conclude(events: Sequence[Told]) -> list[str]:
    """Return the end of a story, or where it stands. events: in the order of time."""
    endings = [*_endings(events), *_left_in_quarantine(events)]
    return [*_decision(events), *endings] or ["Nothing has been decided yet."]


def _decision(events: Sequence[Told]) -> list[str]:
    judged = next((event for event in reversed(events) if event.kind == "judged"), None)
    return decisions(judged.facts) if judged else []


def _endings(events: Sequence[Told]) -> list[str]:
    groups: dict[str, list[Told]] = {}
    for event in events:
        groups.setdefault(event.id, []).append(event)
    lines = []
    for message_id, group in list(groups.items())[:_IDS_SHOWN]:
        name = f"{show(message_id)}: " if len(groups) > 1 else ""
        lines += [name + line for line in _endings_of_one(group)]
    return lines


def _endings_of_one(events: Sequence[Told]) -> list[str]:
    """What became of each recipient of one id, and where it stands."""
    last = next((event for event in reversed(events) if event.kind in _ENDINGS), None)
    if last is None or last.kind == "split":
        return []
    # Recipients may fare differently at one hop, so every delivery and failure counts, not only the last.
    per_recipient = [event for event in events if event.kind in ("delivered", "failed") and event is not last]
    return list(dict.fromkeys(line for event in (*per_recipient, last) for line in _ending(event)))


def _ending(event: Told) -> list[str]:
    facts = event.facts
    match event.kind:
        case "session-refused" | "command-refused" | "answered":
            return _refusal(event)
        case "banned":
            client = client_of(facts)
            return [
                f"{client} is refused until {moment(number(facts, 'until'))}; the ban ends by itself.",
                f"An administrator lifts it with `gatepost ban remove {client}`, or puts it into [bans] never.",
            ]
        case "delivered":
            return [f"Delivered: {word(facts, 'hop')} has it for {words(facts, 'recipients')}."]
        case "failed":
            kind = f" That is: {bounce(clause(facts, 'bounce'))}." if facts.get("bounce") else ""
            reason = clause(facts, "reason", "no reason noted")
            return [f"Not delivered to {words(facts, 'recipients')}: {reason}.{kind}"]
        case "retry":
            when = moment(number(facts, "not_before"))
            return [f"It waits and is tried again by itself, next at {when}. Nobody need do anything."]
        case "quarantined":
            return ["It was taken, and is held back instead of being delivered; its sender was not told."]
        case "ordered":
            return _ordered(event)
        case "deleted" if number(facts, "days") is not None:
            return ["It was held for as long as the policy keeps such mail ([retention] quarantine_days); it is gone."]
        case "deleted":
            return ["An administrator deleted it; it is gone."]
        case "released":
            way = "through the checks once more" if facts.get("again") else "to delivery"
            return [f"An administrator released it; it is on its way {way}."]
        case "queued":
            return ["It waits for delivery."]
        case _:
            return []


def _ordered(event: Told) -> list[str]:
    match event.facts.get("order"):
        case "cancel":
            return [f"{word(event.facts, 'by')} cancelled it: it is gone, and nobody was told."]
        case "bounce":
            return [f"{word(event.facts, 'by')} had it given up."]
        case _:
            return [f"It is under way again by order of {word(event.facts, 'by')}."]


def _refusal(event: Told) -> list[str]:
    reply = word(event.facts, "reply")
    why = refusal(clause(event.facts, "reason")) if event.facts.get("reason") else None
    reason = f" Reason: {why.meaning}." if why else ""
    advice = [why.advice] if why and why.advice else []
    match reply[:1]:
        case "5":
            ends = "its server reports that to its user, who may mend the cause and send again."
            return [f"Refused for good ({reply}).{reason} The sender keeps the mail; {ends}", *advice]
        case "4":
            return [
                f"Refused for now ({reply}).{reason} The sender keeps the mail and its server tries again by itself."
            ]
        case "2":
            return ["It was taken and is under way."]
        case _:
            return []


def _left_in_quarantine(events: Sequence[Told]) -> list[str]:
    """Copies that are still held, whatever became of the others."""
    held: list[Told] = []
    for event in events:
        if event.kind == "quarantined":
            held.append(event)
        elif event.kind in ("released", "deleted"):
            gone = _recipients(event)
            held = [other for other in held if other.id != event.id or (gone and _recipients(other) != gone)]
    lines = []
    for event in held:
        who, why = words(event.facts, "recipients"), quarantine(clause(event.facts, "reason"))
        lines.append(
            f"In quarantine for {who}, because {why}: look with `gatepost quarantine show {show(event.id)}`, "
            f"let it go with `gatepost quarantine release {show(event.id)}`."
        )
    return list(dict.fromkeys(lines))


def _recipients(event: Told) -> frozenset[str]:
    """Return whom a copy is for, by which the copies of one id are told apart; nobody where the event does not say."""
    value = event.facts.get("recipients")
    found = value.split(", ") if isinstance(value, str) else value if isinstance(value, list) else []
    return frozenset(map(str, found))
