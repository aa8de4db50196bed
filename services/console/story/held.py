"""What is known of a held mail, in plain words (PURE): why, who brought it, what was seen on receipt, what decided."""

from services.console.story.reasons import quarantine
from services.console.story.told import moment, show
from services.console.story.verdict import MEANINGS, verdict_lines
from shared.envelope import Envelope
from shared.verdict import verdict_facts


def why_held(reason: str, check: str, evidence: str) -> list[str]:
    """Return why it is in quarantine. reason, check, evidence: of its note."""
    by = f" by the check {show(check)}" if check else ""
    return [f"Held{by}: {quarantine(show(reason))}", f"Evidence: {show(evidence, 'none noted')}"]


def record(envelope: Envelope) -> list[str]:
    """Return what stands in its envelope: who brought it and how, the results on receipt, the whole verdict."""
    client, sender = envelope.client, envelope.sender or "<> (no return address)"
    recipients = ", ".join(recipient.address for recipient in envelope.recipients)
    return [
        f"Received: {moment(envelope.received_at)}, {envelope.direction.value}, on listener {show(envelope.listener)}",
        f"Envelope: from {show(sender)} to {show(recipients)}",
        f"Client: {show(client.address)} port {client.port}, name in DNS: {show(client.name, 'none confirmed')}",
        f"HELO: {show(client.helo, 'none given')}",
        f"TLS: {show(client.tls, 'none')}",
        *([f"Login: {show(client.login)}"] if client.login else []),
        f"Sender proved: {f'yes, by {envelope.proved.value}' if envelope.proved else 'no'}",
        f"Authentication results on receipt: {show(envelope.results, 'none beside the message')}",
        *_verdict(envelope),
    ]


def _verdict(envelope: Envelope) -> list[str]:
    verdict = envelope.verdict
    if verdict is None:
        return ["Verdict: none; no check has examined it"]
    action = MEANINGS[verdict.action.value]
    lines = [f"  {line}" for line in verdict_lines(verdict_facts(verdict))]
    return [f"Verdict by policy version {verdict.policy_version}: {action}", *lines]
