"""The story of a message, as a table of rules: a fact on the left, what a reader must find on the right."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.console.story.delivery import PASSED, UNSIGNED
from services.console.story.reasons import REFUSALS, WITHHELD
from services.console.story.tell import in_short, tell
from services.console.story.told import Told, moment, size, span
from services.delivery.outgoing.signing import Passed, Unsigned
from services.delivery.plan import Withheld
from services.edge.decide.refusal import RefusalReason
from shared.dkim_keys import RecordState
from shared.event import EventKind

DEMO = "demo@gatepost.test"


def told(kind: str, at: float = 1_800_000_000.0, id_: str = "a1", **facts: Any) -> Told:
    return Told(id_, at, "edge", "host1", kind, facts)


def text_of(*events: Told) -> str:
    return "\n".join(line.text for line in tell(events))


def judged(action: str, check: str, result: str, evidence: str, **more: Any) -> Told:
    rule = "" if action == "defer" else f"checks.{check}.reject"
    reason = {"check": check, "result": result, "action": action, "evidence": evidence, "rule": rule}
    verdicts = {"gatepost.test": {"action": action, "reasons": [reason]}}
    return told("judged", verdicts=verdicts, policy_version=7, took_ms=12.5, **more)


RULES: list[tuple[str, Told, list[str]]] = [
    (
        "a refused session names the client, the listener, the reason and the reply",
        told("session-refused", client="192.0.2.7", listener="mx", reply="554 5.7.1 No", reason="banned for an hour"),
        ["192.0.2.7", "listener mx", "banned for an hour", "554 5.7.1 No", "Final"],
    ),
    (
        "a refused command names what was asked and why not",
        told(
            "command-refused", client={"address": "192.0.2.7", "name": "mail.example.org"}, listener="mx",
            helo="mail", command="RCPT", sender="", recipient="x@else.test", reply="550 5.7.1 relaying denied [a1]",
            reason="else.test is not ours", login=None,
        ),
        ["192.0.2.7 (mail.example.org)", "RCPT", "else.test is not ours", "<>", "x@else.test", "relaying denied"],
    ),
    (
        "a temporary refusal says that the sender's server tries again",
        told("command-refused", client="192.0.2.7", command="MAIL", reply="452 4.3.1 Full", reason="no room"),
        ["452 4.3.1 Full", "tries again by itself"],
    ),
    (
        "a received message names its envelope, subject, Message-ID and protection",
        told(
            "received", client="192.0.2.7", listener="mx", helo="mail.example.org", tls="TLSv1.3", login="anna",
            sender="a@example.org", recipients=[DEMO, "b@gatepost.test"], size_bytes=1_500_000, subject="Hi",
            message_id="<1@x>",
        ),
        ["1.5 MB", "TLSv1.3", "logged in as anna", "a@example.org", f"{DEMO}, b@gatepost.test", "Hi", "<1@x>"],
    ),
    (
        "a refusal's code is told in words, with the rule",
        told("command-refused", client="192.0.2.7", command="RCPT", reply="550 5.7.1 no", reason="relay-denied"),
        ["domain is not ours", "[relay] networks"],
    ),
    (
        "a reason of quarantine is told in words",
        told("quarantined", reason="undeliverable", evidence="550 no", recipients=[DEMO]),
        ["its sender is not proved", "(undeliverable)"],
    ),
    ("mail without TLS is said to be so", told("received", client="192.0.2.7", tls=None), ["without TLS"]),
    (
        "the answer says the reply, the verdict and how long it took",
        told("answered", reply="250 2.0.0 queued as a1", waited_s=0.25, verdict="accept"),
        ["250 2.0.0 queued as a1", "accept", "250 ms", "Gatepost answers for it"],
    ),
    (
        "an answer without a verdict says why there was none",
        told("answered", reply="250 2.0.0 queued as a1", waited_s=20.0, verdict="none: no verdict in time"),
        ["no verdict: no verdict in time", "20 s after"],
    ),
    (
        "every check is told with its evidence",
        told("checked", findings=[{"check": "spf", "result": "pass", "evidence": "ip4:192.0.2.0/24"}]),
        ["1 check examined", "spf: pass. ip4:192.0.2.0/24"],
    ),
    (
        "a verdict names the policy version, the decisive check and its evidence",
        judged("refuse", "dmarc", "fail", "p=reject, neither aligned"),
        ["Policy version 7", "refuse", "the check dmarc says fail", "p=reject, neither aligned"],
    ),
    ("a dropped message is said to be still with the sender", told("dropped", reason="told 550"), ["still has it"]),
    ("a queued message names who takes it", told("queued", to="delivery", recipients=[DEMO]), ["delivery", DEMO]),
    (
        "each part of a split message is named by id, hop and recipients",
        told("split", into=[{"id": "b2", "hop": "smtp://one:25", "recipients": [DEMO]}, {"id": "c3", "hop": "mx"}]),
        ["2 messages", "b2: to smtp://one:25", DEMO, "c3: to mx"],
    ),
    (
        "a retry says when, why and how often",
        told("retry", attempts=2, not_before=1_800_000_060.0, reason="connection refused"),
        ["attempt 2", "connection refused", "2027-01-15 08:01:00 UTC"],
    ),
    (
        "an attempt gives each recipient the next hop's own words",
        told(
            "attempt", hop="smtp://one:25", peer="192.0.2.9", tls="TLSv1.2", took_ms=40,
            outcomes=[
                {"recipient": DEMO, "status": "delivered", "reply": "250 ok"},
                {"recipient": "b@gatepost.test", "status": "failed", "reply": "550 no such user"},
            ],
        ),
        ["smtp://one:25 at 192.0.2.9", "TLSv1.2", "it took it: 250 ok", "it refused it: 550 no such user"],
    ),
    (
        "an attempt with a signature names its domain, selectors and algorithms, and the keys that were passed over",
        told(
            "attempt", hop="mx:x.test",
            dkim={
                "domain": "gatepost.test",
                "by": [{"selector": "b-rsa", "algorithm": "rsa"}, {"selector": "a-ed", "algorithm": "ed25519"}],
                "passed": [{"selector": "b-ed", "why": "absent"}],
            },
        ),
        [
            "Signed with DKIM for gatepost.test by b-rsa (rsa) and a-ed (ed25519).",
            "Not by b-ed: DNS does not have its record yet.",
        ],
    ),
    (
        "an attempt without a signature says why there is none",
        told(
            "attempt", hop="mx:x.test",
            dkim={"domain": "gatepost.test", "unsigned": "unpublished", "passed": [{"selector": "a", "why": "other-key"}]},
        ),
        [
            "Not signed with DKIM: DNS does not have the records of the keys for gatepost.test (gatepost dkim check).",
            "Not by a: DNS has another key at its name",
        ],
    ),
    (
        "a domain without keys is told with the command that makes them",
        told("attempt", hop="mx:x.test", dkim={"unsigned": "no-keys"}),
        ["Not signed with DKIM: there are no keys that sign for its domain (gatepost dkim add)."],
    ),
    (
        "a reason that this version does not know is told as it is",
        told("attempt", hop="mx:x.test", dkim={"domain": "x", "unsigned": "{later}", "passed": [{"why": "late"}]}),
        ["Not signed with DKIM: {later}.", "Not by (unknown): late."],
    ),
    (
        "an expansion names who stands for whom, by which rule, and the new sender",
        told("expanded", recipients=[{"from": DEMO, "to": ["b@else.test"], "by": "alias"}], sender="SRS0=x@gatepost.test"),
        [f"{DEMO}: to b@else.test, by alias", "SRS0=x@gatepost.test"],
    ),
    (
        "an order names who gave it, what it did, where to and why",
        told("ordered", order="reroute", by="anna", why="moved", recipients=[DEMO], to="smtp://two:25"),
        ["anna sent it another way, to smtp://two:25", DEMO, "moved"],
    ),
    (
        "a cancelled message is said to be gone",
        told("ordered", order="cancel", by="anna", why="spam", recipients=[DEMO]),
        ["anna cancelled it", "nobody is told", "spam"],
    ),
    (
        "a hop's state is told with its cause and end",
        told("hop", hop="smtp://one:25", state="shut", cause="connection refused", until=1_800_000_060.0),
        ["smtp://one:25 is shut until 2027-01-15 08:01:00 UTC: connection refused"],
    ),
    ("a note for a TLS report names the domain", told("tls-seen", domain="a.test", result="success"), ["a.test: success"]),
    ("a delivery names the hop", told("delivered", hop="mx", recipients=[DEMO], reply="250 ok"), ["mx", DEMO, "250 ok"]),
    (
        "a failure names the reason and the last answer",
        told("failed", recipients=[DEMO], reply="550 no", reason="refused by the next hop"),
        ["refused by the next hop", "550 no"],
    ),
    ("a report names its own id", told("dsn-sent", dsn_id="d4", action="failed", to="a@x"), ["d4", "failed", "a@x"]),
    ("a withheld report says why", told("dsn-withheld", reason="the sender is not proved"), ["not proved"]),
    (
        "quarantine names check, reason and evidence",
        told("quarantined", reason="infected", check="antivirus", evidence="Eicar", recipients=[DEMO]),
        ["antivirus", "infected", "Eicar", DEMO],
    ),
    ("a release names the administrator", told("released", by="root", recipients=[DEMO]), ["root released", DEMO]),
    ("a deletion names the administrator", told("deleted", by="root"), ["root deleted"]),
    (
        "a ban names the address, its end, how often, and what was done last",
        told("banned", client="192.0.2.7", until=1_800_000_900.0, why="login-failed", count=2),
        ["192.0.2.7", "2027-01-15 08:15:00 UTC", "second time", "login or password is wrong", "[bans]"],
    ),
    (
        "a fourth ban is counted in figures, a first one not at all",
        told("banned", client="2001:db8::/64", until=1_800_000_900.0, why="early-talker", count=4),
        ["2001:db8::/64", "4th time", "spoke before"],
    ),
    (
        "a kind of a later version is told by its name and facts",
        told("teleported", to={"planet": "Mars"}),
        ["teleported", "no words", 'to: {"planet": "Mars"}'],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("event", "parts"), [rule[1:] for rule in RULES], ids=[rule[0] for rule in RULES])
def test_rule(event: Told, parts: list[str]) -> None:
    text = text_of(event)
    assert [part for part in parts if part not in text] == []


def test_every_reason_for_no_signature_and_for_passing_a_key_over_has_words() -> None:
    assert UNSIGNED.keys() == set(Unsigned)
    assert PASSED.keys() == set(Passed) | set(RecordState) - {RecordState.PUBLISHED}


def test_mail_that_is_not_ours_to_sign_is_told_without_a_word_of_signatures() -> None:
    assert "DKIM" not in text_of(told("attempt", hop="mx:x.test"))


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_kind_has_words_and_stands_without_its_facts(kind: EventKind) -> None:
    assert "no words" not in text_of(told(kind.value))


ENDINGS: list[tuple[str, list[Told], list[str]]] = [
    (
        "a refusal names rule, evidence and what the sender may do",
        [judged("refuse", "dmarc", "fail", "p=reject"), told("answered", 1_800_000_001.0, reply="550 5.7.1 no [a1]")],
        [
            '[checks.dmarc] reject = "refuse" (policy version 7) decided: the check dmarc says fail',
            "p=reject",
            "DKIM passes",
            "for good",
        ],
    ),
    (
        "a deferral says that nobody need do anything",
        [
            judged("defer", "antivirus", "temporary", "clamd: refused"),
            told("answered", 1_800_000_001.0, reply="451 4.7.1"),
        ],
        ["clamd: refused", "need not do anything", "tries again by itself"],
    ),
    (
        "a delivery is the end",
        [told("answered", reply="250"), told("delivered", hop="mx", recipients=[DEMO])],
        ["mx has it"],
    ),
    (
        "a ban says how it ends",
        [told("banned", client="192.0.2.7", until=1_800_000_900.0, why="bad-line", count=1)],
        ["2027-01-15 08:15:00 UTC", "gatepost ban remove 192.0.2.7", "[bans] never"],
    ),
    (
        "mail in quarantine names the commands",
        [
            told("answered", 1.0, reply="250 ok"),
            told("quarantined", 2.0, reason="infected", recipients=[DEMO]),
        ],
        ["held back", "gatepost quarantine show a1", "gatepost quarantine release a1"],
    ),
    (
        "one copy delivered and one held are both told",
        [
            told("quarantined", 1.0, reason="refused", recipients=["b@x.test"]),
            told("delivered", 2.0, hop="mx", recipients=[DEMO]),
        ],
        [f"mx has it for {DEMO}", "In quarantine for b@x.test"],
    ),
    (
        "recipients who fare differently are told apart",
        [
            told("delivered", 1.0, hop="mx", recipients=[DEMO]),
            told("failed", 2.0, recipients=["b@x.test"], reason="refused for good"),
        ],
        [f"mx has it for {DEMO}", "Not delivered to b@x.test: refused for good"],
    ),
    (
        "each copy in quarantine leaves it by itself",
        [
            told("quarantined", 1.0, reason="refuse", recipients=["a@x.test"]),
            told("quarantined", 2.0, reason="refuse", recipients=["b@x.test", "c@x.test"]),
            told("released", 3.0, by="ann", recipients=["a@x.test"]),
        ],
        ["released it", "In quarantine for b@x.test, c@x.test"],
    ),
    (
        "each part of a split message has its own end",
        [
            told("answered", 1.0, reply="250 ok"),
            told("split", 2.0, into=[{"id": "b2"}, {"id": "c3"}]),
            told("delivered", 3.0, "b2", hop="one", recipients=[DEMO]),
            told("retry", 4.0, "c3", not_before=1_800_000_060.0),
        ],
        ["b2: Delivered: one", "c3: It waits"],
    ),
    (
        "what was released is no longer said to be held",
        [told("quarantined", 1.0, reason="x"), told("released", 2.0, by="root")],
        ["released it"],
    ),
    ("waiting mail says when it is tried", [told("retry", not_before=1_800_000_060.0)], ["2027-01-15 08:01:00 UTC"]),
    ("nothing decided is said so", [told("received")], ["Nothing has been decided yet"]),
    (
        "a refused command says what its sender may do",
        [told("command-refused", command="RCPT", reply="550 5.7.1 no", reason="relay-denied")],
        ["logs in on a submission listener"],
    ),
    (
        "a refused command says who keeps the mail",
        [told("command-refused", command="RCPT", reply="550 5.1.1 unknown", reason="no such recipient")],
        ["550 5.1.1 unknown", "no such recipient", "keeps the mail"],
    ),
]


@pytest.mark.parametrize(("events", "parts"), [rule[1:] for rule in ENDINGS], ids=[rule[0] for rule in ENDINGS])
def test_ending(events: list[Told], parts: list[str]) -> None:
    text = "\n".join(in_short(events))
    assert [part for part in parts if part not in text] == []


def test_what_was_released_names_no_quarantine_command() -> None:
    text = "\n".join(in_short([told("quarantined", 1.0, reason="x"), told("released", 2.0, by="root")]))
    assert "gatepost quarantine" not in text


def test_the_story_is_in_the_order_of_time_whatever_the_order_of_arrival() -> None:
    events = [told("delivered", 3.0), told("received", 1.0), told("answered", 2.0)]
    assert [line.at for line in tell(events) if not line.detail] == [1.0, 2.0, 3.0]


def test_facts_of_one_moment_stand_in_the_order_of_the_way() -> None:
    lines = [line.text for line in tell([told("judged"), told("checked"), told("received")]) if not line.detail]
    assert [line.split()[0] for line in lines] == ["A", "The", "Policy"]


def test_strangers_text_can_neither_forge_a_line_nor_turn_the_terminal() -> None:
    text = text_of(told("received", subject="x\n00:00 edge all is well \x1b[2J \u202e", sender="a\rb"))
    assert not any(char in text.replace("\n", "") for char in "\r\x1b\u202e")
    assert "\\u000a00:00" in text


_json = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=True) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_names = st.sampled_from(
    [
        "client",
        "listener",
        "reply",
        "reason",
        "recipients",
        "findings",
        "verdicts",
        "into",
        "outcomes",
        "took_ms",
        "not_before",
        "attempts",
        "size_bytes",
    ]
)


@given(
    st.sampled_from([*map(str, EventKind), "other"]), st.dictionaries(_names | st.text(max_size=5), _json, max_size=6)
)
def test_no_facts_whatever_break_the_story(kind: str, facts: dict[str, Any]) -> None:
    event = Told("a1", 1.0, "edge", "h", kind, facts)
    assert all(line.text for line in tell([event]))
    assert in_short([event])


def test_figures_are_for_people() -> None:
    assert [span(0.0034), span(3.21), span(600), span(9000), span(None)] == [
        "3 ms",
        "3.21 s",
        "10 min",
        "2.5 h",
        "(unknown)",
    ]
    assert [size(512), size(40_960), size(None)] == ["of 512 octets", "of 41 kB", "of unknown size"]
    assert [moment(0), moment(1e30), moment(None)] == ["1970-01-01 00:00:00 UTC", "(unknown)", "(unknown)"]


def test_every_reason_of_the_stages_has_words() -> None:
    assert {reason.value for reason in RefusalReason} <= REFUSALS.keys()
    assert {reason.value for reason in Withheld} <= WITHHELD.keys()


def test_a_reason_that_is_new_is_shown_as_it_is() -> None:
    assert "full-moon" in text_of(told("command-refused", reason="full-moon"))


def test_what_an_order_ended_is_said_in_short() -> None:
    cancelled = told("ordered", order="cancel", by="anna", why="spam", recipients=[DEMO])
    assert in_short([told("queued", 1.0), cancelled]) == ["anna cancelled it: it is gone, and nobody was told."]
