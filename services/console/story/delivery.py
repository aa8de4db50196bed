"""What delivery and the administrator did, in sentences (PURE)."""

from collections.abc import Mapping

from services.console.story.reasons import bounce, withheld
from services.console.story.told import UNKNOWN, Facts, clause, number, span, tables, word, words

# services/delivery/outgoing/signing.py: why mail of ours is not signed.
UNSIGNED: dict[str, str] = {
    "no-keys": "there are no keys that sign for {domain} (gatepost dkim add)",
    "author": "its From field does not name one domain beyond doubt",
    "header": "its header can be read in more than one way",
    "unpublished": "DNS does not have the records of the keys for {domain} (gatepost dkim check)",
    "no-answer": "DNS does not say whether it has the records of the keys for {domain}",
}
# The same, and RecordState: why a key is passed over.
PASSED: dict[str, str] = {
    "absent": "DNS does not have its record yet",
    "other-key": "DNS has another key at its name, or one that is of no use",
    "several-records": "DNS has several records at its name",
    "no-answer": "DNS does not say whether it has its record",
    "ending": "it is retired, and its record may go soon",
}
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
    tried = f"Tried {word(facts, 'hop')}{peer} ({tls}{took})" + (":" if outcomes else ".")
    return [tried, *map(_outcome, outcomes), *_signature(facts)]


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
    """An administrator deleted it, or it was held for as long as the policy says."""
    days = number(facts, "days")
    if days is not None:
        return [f"It was deleted from quarantine after {days:.0f} days (rule: [retention] quarantine_days)."]
    return [f"{word(facts, 'by')} deleted it from quarantine."]


def _outcome(outcome: Facts) -> str:
    status = word(outcome, "status")
    did = _OUTCOMES.get(status, f"answered ({status})")
    return f"for {word(outcome, 'recipient')} it {did}: {word(outcome, 'reply', 'no answer noted')}"


def _signature(facts: Facts) -> list[str]:
    """Whether it was signed; nothing of mail that is not ours to sign, or of which no host heard."""
    dkim = facts.get("dkim")
    if not isinstance(dkim, Mapping):
        return []
    domain = word(dkim, "domain", "its domain")
    if dkim.get("unsigned"):
        code = word(dkim, "unsigned")
        said = f"Not signed with DKIM: {UNSIGNED.get(code, code).replace('{domain}', domain)}"
    else:
        by = [f"{word(key, 'selector')} ({word(key, 'algorithm')})" for key in tables(dkim, "by")]
        said = f"Signed with DKIM for {domain} by {' and '.join(by) or UNKNOWN}"
    return [f"{said}.", *(f"Not by {word(key, 'selector')}: {_passed(key)}." for key in tables(dkim, "passed"))]


def _passed(key: Facts) -> str:
    code = word(key, "why")
    return PASSED.get(code, code)
