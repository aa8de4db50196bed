"""Whole stories, word for word: what an administrator reads who knows mail and has not seen the code.

To renew them after a change of words: `GATEPOST_WRITE_GOLDEN=1 pytest` on this file, then read the difference.
"""

import os
from pathlib import Path

import pytest

from services.console.story.advice import advice
from services.console.story.held import record, why_held
from services.console.story.tell import in_short, tell
from services.console.story.told import Told
from shared.policy import Checks
from shared.verdict import Action, CheckName, Reason, Verdict, verdict_facts
from tests.unit.shared.samples import RELEASED

GOLDEN = Path(__file__).parent / "golden"
DEMO = "demo@gatepost.test"

SPAM = Reason(
    CheckName.ANTISPAM,
    "scored",
    Action.REFUSE,
    "Rspamd gave it 17.2: URIBL_BLACK 7.5 (bad.test), BAYES_SPAM 5.1, FROM_NO_DN 2.",
    rule="checks.antispam.refuse_at",
    input="the whole message, 4,122 octets",
    score=17.2,
    threshold=15.0,
    change="a score below 15; the largest parts of it were URIBL_BLACK (7.5), BAYES_SPAM (5.1)",
)
BLOCKED = Reason(
    CheckName.ATTACHMENTS,
    "blocked",
    Action.REFUSE,
    "invoice.exe: fits *.exe.",
    rule='domains."gatepost.test".checks.attachments.blocked',
    input="2 files",
    change="the same message without invoice.exe, or with it sent as a link",
)
LOCKED = Reason(
    CheckName.ATTACHMENTS,
    "encrypted",
    Action.TAG,
    "b.zip cannot be looked into.",
    rule="checks.attachments.encrypted",
    input="1 file",
    change="the same file without encryption, or the same message without b.zip",
)
SPF = Reason(
    CheckName.SPF,
    "fail",
    Action.ACCEPT,
    "matched -all",
    rule="checks.spf.fail",
    input="client 192.0.2.7, MAIL FROM example.org",
)
FORWARDED = Reason(
    CheckName.DMARC,
    "fail",
    Action.ACCEPT,
    "Neither SPF nor DKIM passes for example.org, whose record says p=reject.",
    rule="checks.dmarc.reject",
    input="From example.org",
    exemption="partners: they forward for us",
)
CLEAN = Reason(CheckName.ANTIVIRUS, "clean", Action.ACCEPT, "ClamAV found nothing.", input="the message, 4122 octets")
NO_SCAN = Reason(
    CheckName.ANTIVIRUS,
    "error",
    Action.DEFER,
    "The antivirus engine gave no answer: connection refused.",
    change="an answer in time",
)


def told(at: float, kind: str, **facts: object) -> Told:
    return Told("a1", 1_800_000_000.0 + at, "content", "host1", kind, facts)


def judged(at: float = 1.0, /, **verdicts: Verdict) -> Told:
    named = {f"{name}.test": verdict_facts(verdict) for name, verdict in verdicts.items()}
    return told(at, "judged", verdicts=named, policy_version=3, took_ms=12.0)


def verdict(*reasons: Reason, strip: tuple[str, ...] = ()) -> Verdict:
    return Verdict(reasons[0].action, reasons, 3, strip=strip)


REFUSED = judged(gatepost=verdict(SPAM, BLOCKED, CLEAN, SPF, FORWARDED))
HELD = told(3.0, "quarantined", reason="refuse", check="antispam", evidence="Rspamd gave it 17.2.", recipients=[DEMO])
STORIES: dict[str, list[Told]] = {
    "refused": [
        told(
            0.0, "checked",
            findings=[{"check": "spf", "result": "fail", "evidence": "matched -all", "input": "client 192.0.2.7"}],
        ),
        REFUSED,
        told(2.0, "answered", reply="550 5.7.1 Message refused: classified as spam [a1]", waited_s=0.2,
             verdict="refuse"),
    ],
    "domains-differ": [
        judged(a=verdict(SPAM, CLEAN), b=verdict(CLEAN), c=verdict(SPAM, CLEAN), d=verdict(LOCKED, CLEAN)),
        told(2.0, "answered", reply="250 2.0.0 queued as a1", waited_s=0.2, verdict="accept"),
        HELD,
    ],
    "put-off": [
        judged(gatepost=verdict(NO_SCAN, SPF)),
        told(2.0, "answered", reply="451 4.7.1 Message cannot be examined now, try again later [a1]", waited_s=12.0,
             verdict="defer"),
    ],
    "stripped": [
        judged(gatepost=verdict(LOCKED, CLEAN, strip=("2", "3"))),
        told(2.0, "answered", reply="250 2.0.0 queued as a1", waited_s=0.2, verdict="tag"),
        told(3.0, "quarantined", reason="stripped", check="attachments", evidence=LOCKED.evidence, recipients=[DEMO]),
        told(4.0, "delivered", hop="smtp://192.0.2.25:25", recipients=[DEMO], reply="250 ok"),
    ],
    "released": [
        REFUSED,
        HELD,
        told(4.0, "released", by="ann", recipients=[DEMO], rules=["antispam.refuse_at", "attachments.blocked"],
             again=False),
    ],
    "released-again": [
        REFUSED,
        HELD,
        told(4.0, "released", by="ann", recipients=[DEMO], rules=["antispam.refuse_at"], again=True),
    ],
}  # fmt: skip


def check(name: str, lines: list[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("GATEPOST_WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", STORIES)
def test_the_story_is_told_in_these_words(name: str) -> None:
    lines = [f"  {line.text}" if line.detail else line.text for line in tell(STORIES[name])]
    check(name, [*lines, "", "In short", *(f"  {line}" for line in in_short(STORIES[name]))])


def test_a_held_mail_is_described_in_these_words() -> None:
    check("held", [*why_held("stripped", "attachments", "b.zip cannot be looked into."), *record(RELEASED)])


RULES = [
    (name, key)
    for name in Checks.model_fields
    for key, value in getattr(Checks(), name)
    if isinstance(value, Action) or key.endswith("_at")
]


@pytest.mark.parametrize(("name", "key"), [*RULES, ("brake", "braked")])
def test_every_rule_that_may_hold_mail_has_advice_for_the_sender(name: str, key: str) -> None:
    said = advice(name, key)
    assert said
    assert not said.endswith(".")
    assert said[0].islower()


def test_every_check_has_advice() -> None:
    assert all(advice(name, "of a later version") for name in CheckName)
    assert advice("horoscope", "bad") == ""
