"""What happened to a message while it waited, and to its next hops, in sentences (PURE)."""

from services.console.story.told import Facts, clause, moment, number, tables, word, words

_ORDERED = {
    "retry": "had it tried at once",
    "cancel": "cancelled it: it is thrown away, and nobody is told",
    "bounce": "had it given up",
    "reroute": "sent it another way",
}


def expanded(facts: Facts) -> list[str]:
    """Recipients in whose place others stand now."""
    recipients = [
        f"{word(one, 'from')}: to {words(one, 'to')}, by {word(one, 'by', 'a rule of its domain')}"
        for one in tables(facts, "recipients")
    ]
    sender = [f"It goes on with the sender {word(facts, 'sender')}."] if facts.get("sender") else []
    return [f"Others stand in the place of some of its recipients{':' if recipients else '.'}", *recipients, *sender]


def ordered(facts: Facts) -> list[str]:
    """An administrator's order was followed."""
    kind = word(facts, "order")
    to = f", to {_route(facts)}" if facts.get("to") else ""
    why = [f"Because: {clause(facts, 'why')}."] if facts.get("why") else []
    did = _ORDERED.get(kind, f"ordered {kind}")
    return [f"{word(facts, 'by')} {did}{to}, for {words(facts, 'recipients')}.", *why]


def hop(facts: Facts) -> list[str]:
    """How a next hop is; the recorder keeps it apart, so that no trace has it."""
    until = number(facts, "until")
    lasts = f" until {moment(until)}" if until is not None else ""
    cause = f": {clause(facts, 'cause')}" if facts.get("cause") else ""
    return [f"The next hop {word(facts, 'hop')} is {word(facts, 'state')}{lasts}{cause}."]


def tls_seen(facts: Facts) -> list[str]:
    """What will stand in a report on TLS; the recorder keeps it apart, so that no trace has it."""
    return [f"Noted for the TLS report to {word(facts, 'domain')}: {word(facts, 'result')}."]


def _route(facts: Facts) -> str:
    to = word(facts, "to")
    return "where the policy says" if to == "policy" else to
