"""What edge did, in sentences (PURE)."""

from services.console.story.reasons import refusal
from services.console.story.told import Facts, clause, client_of, moment, number, sender_of, size, span, word, words

_CLASSES = {
    "2": "It was taken: from here on Gatepost answers for it.",
    "4": "Temporary: the sender keeps the mail and its server tries again by itself.",
    "5": "Final: the sender keeps the mail, and its server reports the failure to its user.",
}


def session_refused(facts: Facts) -> list[str]:
    """A client that was not let in."""
    listener = word(facts, "listener")
    return [f"{client_of(facts)} connected to listener {listener} and was turned away: {_why(facts)}.", _told(facts)]


def banned(facts: Facts) -> list[str]:
    """An address that is kept out for a while."""
    count = number(facts, "count")
    again = f", for the {count:.0f}th time that is remembered" if count is not None and count > 3 else ""
    if count is not None and 1 < count <= 3:
        again = f", for the {('second', 'third')[int(count) - 2]} time that is remembered"
    why = refusal(clause(facts, "why", "no reason noted"))
    return [
        f"{client_of(facts)} failed so often that it is kept out until {moment(number(facts, 'until'))}{again}.",
        f"What it did last: {why.meaning} (rule: [bans]).",
    ]


def command_refused(facts: Facts) -> list[str]:
    """A command that was answered with 4xx or 5xx."""
    who = client_of(facts)
    if facts.get("helo"):
        who += f", which calls itself {word(facts, 'helo')},"
    if facts.get("login"):
        who += f" logged in as {word(facts, 'login')},"
    where = f"{word(facts, 'command')} on listener {word(facts, 'listener')}"
    lines = [f"{who} was refused at {where}: {_why(facts)}."]
    if facts.get("sender") is not None or facts.get("recipient"):
        lines.append(f"Sender {sender_of(facts)}, recipient {word(facts, 'recipient', 'not named yet')}.")
    return [*lines, _told(facts)]


def received(facts: Facts) -> list[str]:
    """A message that is complete and safe in the broker."""
    login = f", logged in as {word(facts, 'login')}" if facts.get("login") else ""
    tls = f"with {word(facts, 'tls')}" if facts.get("tls") else "without TLS"
    who = f"{client_of(facts)} ({word(facts, 'helo', 'no name given')}{login})"
    how_big = size(number(facts, "size_bytes"))
    return [
        f"A message {how_big} came from {who} on listener {word(facts, 'listener')} {tls}.",
        f"From {sender_of(facts)} to {words(facts, 'recipients')}.",
        f"Subject: {word(facts, 'subject', '(none)')} · Message-ID: {word(facts, 'message_id', '(none)')}",
    ]


def answered(facts: Facts) -> list[str]:
    """What the client was told at the end of the message."""
    verdict = word(facts, "verdict")
    waited = span(number(facts, "waited_s"))
    if verdict.startswith("none"):
        cause = verdict.removeprefix("none").strip(": ") or "no reason noted"
        why = f"There was no verdict: {cause}, {waited} after the message was complete"
    else:
        why = f"The verdict was {verdict}, {waited} after the message was complete"
    return [f"The client was told: {word(facts, 'reply')}", f"{why}.", *_meaning(facts)]


def _why(facts: Facts) -> str:
    words = refusal(clause(facts, "reason"))
    return f"{words.meaning} (rule: {words.rule})" if words.rule else words.meaning


def _told(facts: Facts) -> str:
    return " ".join([f"The client was told: {clause(facts, 'reply')}.", *_meaning(facts)])


def _meaning(facts: Facts) -> list[str]:
    meaning = _CLASSES.get(str(facts.get("reply", ""))[:1])
    return [meaning] if meaning else []
