"""What delivery and the administrator did, in sentences (PURE)."""

from services.console.story.reasons import bounce, withheld
from services.console.story.told import Facts, clause, number, span, tables, word, words

_OUTCOMES = {"delivered": "took it", "deferred": "will not take it now", "temporary": "will not take it now",
             "failed": "refused it", "permanent": "refused it"}  # fmt: skip


def split(facts: Facts) -> list[str]:
    """A message that goes to several hops, each part with an id of its own."""
    parts = tables(facts, "into")
    shown = [f"{word(part, 'id')}: to {word(part, 'hop')} for {words(part, 'recipients')}" for part in parts]
    return [
        f"Split by next hop into {len(parts)} message{'' if len(parts) == 1 else 's'} with ids of their own:",
        *shown,
    ]


def attempt(facts: Facts) -> list[str]:
    """One transaction with a next hop and what it said per recipient."""
    peer = f" at {word(facts, 'peer')}" if facts.get("peer") else ""
    tls = f"with {word(facts, 'tls')}" if facts.get("tls") else "without TLS"
    took_ms = number(facts, "took_ms")
    took = "" if took_ms is None else f", {span(took_ms / 1000)}"
    outcomes = tables(facts, "outcomes")
    return [f"Tried {word(facts, 'hop')}{peer} ({tls}{took})" + (":" if outcomes else "."), *map(_outcome, outcomes)]


def delivered(facts: Facts) -> list[str]:
    """The next hop's 250: the mail is its own now."""
    return [f"Delivered to {word(facts, 'hop')} for {words(facts, 'recipients')}: {word(facts, 'reply')}"]


def failed(facts: Facts) -> list[str]:
    """Recipients given up for good."""
    reply = word(facts, "reply", "")
    said = [f"The last answer was: {reply}"] if reply else []
    kind = [f"That is: {bounce(clause(facts, 'bounce'))}."] if facts.get("bounce") else []
    return [f"Given up for {words(facts, 'recipients')}: {clause(facts, 'reason', 'no reason noted')}.", *said, *kind]


def dsn_sent(facts: Facts) -> list[str]:
    """A report to the sender."""
    return [f"A report ({word(facts, 'action')}) was sent to {word(facts, 'to')} as message {word(facts, 'dsn_id')}."]


def dsn_withheld(facts: Facts) -> list[str]:
    """A report that nobody got, so that no innocent's mailbox is hit."""
    return [f"No report was sent to the sender: {withheld(clause(facts, 'reason'))}."]


def released(facts: Facts) -> list[str]:
    """An administrator let it go, past some rules; or had it judged again, with these rules exempt."""
    who, rules = word(facts, "by"), words(facts, "rules") if facts.get("rules") else ""
    if facts.get("again"):
        exempt = f"letting it past {rules}" if rules else "with nothing exempt"
        return [f"{who} had it judged again by today's policy for {words(facts, 'recipients')}, {exempt}."]
    past = [f"It was let past {rules}, and past no other rule; it goes out whole."] if rules else []
    return [f"{who} released it from quarantine for {words(facts, 'recipients')}.", *past]


def deleted(facts: Facts) -> list[str]:
    """An administrator deleted it."""
    return [f"{word(facts, 'by')} deleted it from quarantine."]


def _outcome(outcome: Facts) -> str:
    status = word(outcome, "status")
    did = _OUTCOMES.get(status, f"answered ({status})")
    return f"for {word(outcome, 'recipient')} it {did}: {word(outcome, 'reply', 'no answer noted')}"
