"""A story for somebody who is in charge of some domains (PURE): what is of others' recipients is left out.

Owns: which facts name recipients, and what of an event is left when some of them are not shown.
The sender of a message and its header stay: they are its recipients' to see, too. Who logged in with a sender's
address of these domains wrote the message, so that its recipients are no secret.
"""

from collections.abc import Callable, Mapping, Sequence

from services.console.story.told import Facts, Told, tables

Covers = Callable[[str], bool]
# Facts that are a recipient, or a list of them.
_NAMES = ("recipients", "recipient")
# Facts that are tables of which each names recipients under the key.
# Recipients in whose place others stand are a table under the name of recipients.
_TABLES = {"outcomes": "recipient", "into": "recipients", "recipients": "from"}


def concerns(events: Sequence[Told], covers: Covers) -> bool:
    """Whether a sender or a recipient of a story is of the domains."""
    return any(_is_covered(event, covers) for event in events)


def within(events: Sequence[Told], covers: Covers) -> tuple[list[Told], bool]:
    """Return what is to be seen of a story, and whether something was left out."""
    if any(_is_own(event.facts, covers) for event in events):
        return list(events), False
    strange = _strange(events, covers)
    shown = [None if event.id in strange else _shown(event, covers) for event in events]
    left = [event for event in shown if event is not None]
    return left, any(one is not event for one, event in zip(shown, events, strict=True))


def addresses(value: object) -> list[str]:
    """Return the addresses in a fact: a list, or one text with commas between."""
    if isinstance(value, str):
        return [part for part in value.split(", ") if part]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list | tuple) else []


def _is_covered(event: Told, covers: Covers) -> bool:
    facts = event.facts
    named = [*addresses(facts.get("sender")), *_named(facts)]
    named += [one for part in tables(facts, "into") for one in addresses(part.get("recipients"))]
    return any(map(covers, named))


def _named(facts: Facts) -> list[str]:
    return [one for name in _NAMES for one in addresses(facts.get(name))]


def _strange(events: Sequence[Told], covers: Covers) -> set[str]:
    """Return the ids, of parts and reports, all of whose recipients are others': what hops said of them is, too."""
    named: dict[str, list[str]] = {}
    for event in events:
        named.setdefault(event.id, []).extend(_named(event.facts))
        for part in tables(event.facts, "into"):
            named.setdefault(str(part.get("id")), []).extend(addresses(part.get("recipients")))
    return {name for name, found in named.items() if found and not any(map(covers, found))}


def _is_own(facts: Facts, covers: Covers) -> bool:
    sender = facts.get("sender")
    return bool(facts.get("login")) and isinstance(sender, str) and covers(sender)


def _shown(event: Told, covers: Covers) -> Told | None:
    """Return the event itself, less of it, or None where nothing is left."""
    facts: dict[str, object] = dict(event.facts)
    named = {name: addresses(facts[name]) for name in _NAMES if name in facts and not tables(facts, name)}
    kept = {name: [one for one in found if covers(one)] for name, found in named.items()}
    if any(named.values()) and not any(kept.values()):
        return None
    for name, found in kept.items():
        facts[name] = found if isinstance(facts[name], list | tuple) else ", ".join(found)
    for name, key in _TABLES.items():
        rows = tables(facts, name)
        some = [row for row in (_row(row, key, covers) for row in rows) if row is not None]
        if rows and not some:
            return None
        if rows:
            facts[name] = some
    verdicts = facts.get("verdicts")
    if isinstance(verdicts, Mapping):
        facts["verdicts"] = {domain: verdict for domain, verdict in verdicts.items() if covers(str(domain))}
    if facts == event.facts:
        return event
    return Told(event.id, event.at, event.stage, event.host, event.kind, facts)


def _row(row: Facts, key: str, covers: Covers) -> Facts | None:
    named = addresses(row.get(key))
    kept = [one for one in named if covers(one)]
    if not kept:
        return None
    return row if kept == named else {**row, key: kept}
