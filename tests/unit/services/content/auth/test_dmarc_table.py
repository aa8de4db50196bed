"""DMARC as the standard has it: a table over each tag, over each branch of the tree walk, and its examples.

The examples are those of RFC 9989 as its last draft had them: §4.4 (alignment), §4.10 (the walk), appendix B.
"""

from dataclasses import replace

import pytest

from services.content.auth.dmarc import evaluate_dmarc
from services.content.auth.dmarcrecord import Psd, Record, parse_record
from services.content.auth.results import Disposition, DkimResult, DkimWord, DmarcResult, DmarcWord, PublishedPolicy
from services.content.auth.treewalk import same_organization, tree_walk
from shared.auth.author import read_author
from shared.auth.message import split_message
from shared.auth.spf_result import SpfResult
from tests.unit.services.content.auth.test_dmarc import NO_SPF, author, dkim, spf
from tests.unit.services.content.auth.test_treewalk import asked, dmarc_zone
from tests.unit.shared.auth.zone import Zone

NONE, QUARANTINE, REJECT = Disposition.NONE, Disposition.QUARANTINE, Disposition.REJECT
BASE = Record(NONE)
RECORDS = dict[str, str | list[str]]


@pytest.mark.parametrize(
    "tag, value, expected",
    [
        # p: the three policies in any case; anything else counts as none at all.
        ("p", "none", Record(NONE)),
        ("p", "quarantine", Record(QUARANTINE)),
        ("p", "reject", Record(REJECT)),
        ("p", "REJECT", Record(REJECT)),
        ("p", "", Record(None)),
        ("p", "discard", Record(None)),
        # sp and np, apart from each other.
        ("sp", "none", replace(BASE, subdomain_policy=NONE)),
        ("sp", "quarantine", replace(BASE, subdomain_policy=QUARANTINE)),
        ("sp", "reject", replace(BASE, subdomain_policy=REJECT)),
        ("sp", "discard", Record(None)),
        ("np", "none", replace(BASE, nonexistent_policy=NONE)),
        ("np", "quarantine", replace(BASE, nonexistent_policy=QUARANTINE)),
        ("np", "reject", replace(BASE, nonexistent_policy=REJECT)),
        ("np", "discard", Record(None)),
        # Alignment: relaxed unless strict is asked for.
        ("adkim", "r", BASE),
        ("adkim", "s", replace(BASE, strict_dkim=True)),
        ("adkim", "x", BASE),
        ("aspf", "r", BASE),
        ("aspf", "s", replace(BASE, strict_spf=True)),
        ("aspf", "x", BASE),
        # Whose domain it is.
        ("psd", "y", replace(BASE, psd=Psd.YES)),
        ("psd", "n", replace(BASE, psd=Psd.NO)),
        ("psd", "u", BASE),
        ("psd", "x", BASE),
        # Testing.
        ("t", "y", replace(BASE, testing=True)),
        ("t", "n", BASE),
        ("t", "x", BASE),
        # Reports.
        ("rua", "mailto:a@b.test", replace(BASE, report_addresses=("mailto:a@b.test",))),
        ("rua", "mailto:A@b.test, https://c.test/x", replace(BASE, report_addresses=("mailto:A@b.test", "https://c.test/x"))),
        ("rua", "mailto:a@b.test!10m", replace(BASE, report_addresses=("mailto:a@b.test!10m",))),
        ("rua", "a@b.test", BASE),
        ("rua", "mailto:a b@b.test", BASE),
        ("rua", ",".join(f"mailto:{n}@b.test" for n in range(50)), replace(BASE, report_addresses=tuple(f"mailto:{n}@b.test" for n in range(10)))),
        ("ruf", "mailto:a@b.test", BASE),
        ("fo", "1:d:s", replace(BASE, failure_options="1:d:s")),
        ("fo", "0", BASE),
        ("fo", "nonsense", BASE),
        # Tags of the older standard, and unknown ones, are ignored.
        ("pct", "50", BASE),
        ("rf", "afrf", BASE),
        ("ri", "3600", BASE),
        ("x-new", "thing", BASE),
    ],
)  # fmt: skip
def test_each_tag(tag: str, value: str, expected: Record) -> None:
    own = "" if tag == "p" else "p=none; "
    assert parse_record(f"v=DMARC1; {own}{tag}={value}".encode()) == expected


@pytest.mark.parametrize("order", ["p=none; rua=mailto:a@b.test", "rua=mailto:a@b.test; p=none"])
def test_only_the_version_has_its_place(order: str) -> None:
    assert parse_record(f"v=DMARC1; {order}".encode()) == replace(BASE, report_addresses=("mailto:a@b.test",))


WALKED = "a.b.c.d.e.f.g.h.i.j.mail.example.com"
WALK = [
    WALKED,
    "g.h.i.j.mail.example.com",
    "h.i.j.mail.example.com",
    "i.j.mail.example.com",
    "j.mail.example.com",
    "mail.example.com",
    "example.com",
    "com",
]


def test_the_walk_of_a_long_name_is_that_of_the_standard() -> None:
    zone = dmarc_zone({})
    tree_walk(WALKED, zone)
    assert asked(zone) == WALK


@pytest.mark.parametrize("stop", WALK)
@pytest.mark.parametrize("psd", ["y", "n"])
def test_the_walk_ends_at_a_record_that_says_whose_domain_it_is(stop: str, psd: str) -> None:
    zone = dmarc_zone({stop: f"v=DMARC1; p=none; psd={psd}"})
    walk = tree_walk(WALKED, zone)
    assert asked(zone) == WALK[: WALK.index(stop) + 1]
    labels = WALKED.split(".")
    below = ".".join(labels[-(stop.count(".") + 2) :])
    assert walk.organizational_domain == (stop if psd == "n" or stop == WALKED else below)


@pytest.mark.parametrize("found", WALK)
def test_a_record_that_does_not_say_leaves_the_walk_going(found: str) -> None:
    zone = dmarc_zone({found: "v=DMARC1; p=none; psd=u"})
    assert tree_walk(WALKED, zone).organizational_domain == found
    assert asked(zone) == WALK


def test_a_record_between_that_the_walk_jumps_over_is_not_seen() -> None:
    zone = dmarc_zone({"f.g.h.i.j.mail.example.com": "v=DMARC1; p=reject", "example.com": "v=DMARC1; p=none"})
    result = evaluate_dmarc(author(WALKED), NO_SPF, [], zone)
    assert (result.policy_domain, result.published) == ("example.com", NONE)


# A bank's group with a public suffix of its own, as in the appendix: each bank below it is an organization.
BANKS: RECORDS = {
    "bank.example": "v=DMARC1; p=reject; psd=y; np=reject; sp=none; rua=mailto:reports@bank.example",
    "giant.bank.example": "v=DMARC1; p=quarantine",
    "mail.mega.bank.example": "v=DMARC1; p=reject",
}


@pytest.mark.parametrize(
    "domain, organizational, policy_domain, published",
    [
        ("giant.bank.example", "giant.bank.example", "giant.bank.example", QUARANTINE),
        ("mail.giant.bank.example", "giant.bank.example", "giant.bank.example", QUARANTINE),
        # No record of its own: that of the suffix, by its sp= where the name exists, np= where it does not.
        ("mega.bank.example", "mega.bank.example", "bank.example", NONE),
        ("fake.bank.example", "fake.bank.example", "bank.example", REJECT),
        ("mail.mega.bank.example", "mega.bank.example", "mail.mega.bank.example", REJECT),
        ("x.mail.mega.bank.example", "mega.bank.example", "bank.example", REJECT),
        ("bank.example", "bank.example", "bank.example", REJECT),
    ],
)
def test_organizations_below_a_public_suffix(
    domain: str, organizational: str, policy_domain: str, published: Disposition
) -> None:
    zone = dmarc_zone(BANKS)
    zone.records["www.mega.bank.example", "A"] = ("192.0.2.1",)
    assert tree_walk(domain, zone).organizational_domain == organizational
    result = evaluate_dmarc(author(domain), NO_SPF, [], zone)
    assert (result.policy_domain, result.published) == (policy_domain, published)


def test_one_bank_does_not_prove_another() -> None:
    zone = dmarc_zone(BANKS)
    assert not same_organization("giant.bank.example", "mega.bank.example", zone)
    assert not same_organization("giant.bank.example", "bank.example", zone)
    assert same_organization("a.giant.bank.example", "b.c.giant.bank.example", zone)


@pytest.mark.parametrize(
    "sender, from_domain, aspf, aligned",
    [
        ("example.com", "example.com", "s", True),
        ("example.com", "example.com", "r", True),
        ("child.example.com", "example.com", "r", True),
        ("child.example.com", "example.com", "s", False),
        ("example.com", "child.example.com", "r", True),
        ("example.net", "child.example.com", "r", False),
        ("one.child.example.com", "other.child.example.com", "r", True),
        ("badexample.com", "example.com", "r", False),
    ],
)
def test_the_standards_examples_of_alignment(sender: str, from_domain: str, aspf: str, aligned: bool) -> None:
    zone = dmarc_zone({"example.com": f"v=DMARC1; p=reject; aspf={aspf}; adkim={aspf}"})
    by_spf = evaluate_dmarc(author(from_domain), spf(sender), [], zone)
    by_dkim = evaluate_dmarc(author(from_domain), NO_SPF, [dkim(sender)], zone)
    assert (by_spf.word is DmarcWord.PASS, by_spf.spf_aligned, by_spf.dkim_aligned) == (aligned, aligned, False)
    assert (by_dkim.word is DmarcWord.PASS, by_dkim.spf_aligned, by_dkim.dkim_aligned) == (aligned, False, aligned)


@pytest.mark.parametrize("method", ["adkim", "aspf"])
def test_each_method_has_its_own_strictness(method: str) -> None:
    zone = dmarc_zone({"example.com": f"v=DMARC1; p=reject; {method}=s"})
    result = evaluate_dmarc(author("example.com"), spf("m.example.com"), [dkim("m.example.com")], zone)
    assert (result.spf_aligned, result.dkim_aligned) == (method == "adkim", method == "aspf")


@pytest.mark.parametrize("asked_for", [NONE, QUARANTINE, REJECT])
@pytest.mark.parametrize("testing", [False, True])
@pytest.mark.parametrize("kind", ["p", "sp", "np"])
def test_testing_asks_for_one_level_less(asked_for: Disposition, testing: bool, kind: str) -> None:
    others = {"p": "", "sp": "p=none; ", "np": "p=none; sp=none; "}[kind]
    zone = dmarc_zone({"example.com": f"v=DMARC1; {others}{kind}={asked_for}; t={'y' if testing else 'n'}"})
    zone.records["real.example.com", "A"] = ("192.0.2.1",)
    domain = {"p": "example.com", "sp": "real.example.com", "np": "fake.example.com"}[kind]
    result = evaluate_dmarc(author(domain), NO_SPF, [], zone)
    less = {REJECT: QUARANTINE, QUARANTINE: NONE, NONE: NONE}
    assert (result.published, result.disposition) == (asked_for, less[asked_for] if testing else asked_for)


@pytest.mark.parametrize(
    "field, word",
    [
        (b"From: a@example.com", DmarcWord.PASS),
        (b"From: a@example.com, b@example.com", DmarcWord.PASS),
        (b"From: a@example.com, b@example.net", DmarcWord.PERMERROR),
        (b"From: a@example.com\r\nFrom: a@example.com", DmarcWord.PERMERROR),
        (b"From: undisclosed:;", DmarcWord.PERMERROR),
        (b"From: <>", DmarcWord.PERMERROR),
        (b"To: a@example.com", DmarcWord.PERMERROR),
        (b"From: =?utf-8?q?a=40example=2Ecom?= <b@example.net>", DmarcWord.FAIL),
    ],
)
def test_the_author_is_beyond_doubt_or_nobody_is(field: bytes, word: DmarcWord) -> None:
    zone = dmarc_zone({"example.com": "v=DMARC1; p=reject", "example.net": "v=DMARC1; p=reject"})
    message = split_message(field + b"\r\n\r\nbody\r\n")
    assert evaluate_dmarc(read_author(message), spf("example.com"), [], zone).word is word


def report(zone: Zone, *signed: DkimResult, mail_from: str = "example.com", every: bool = True) -> DmarcResult:
    return evaluate_dmarc(author("example.com"), spf(mail_from), signed, zone, every=every)


def test_an_aggregate_report_learns_of_each_method_and_of_the_record() -> None:
    zone = dmarc_zone(
        {"example.com": "v=DMARC1; p=reject; sp=none; np=quarantine; adkim=s; fo=1; t=y; rua=mailto:r@example.com"}
    )
    result = report(zone, dkim("example.com"), mail_from="bounce.example.com")
    assert (result.dkim_aligned, result.spf_aligned) == (True, True)
    assert result.record == PublishedPolicy(
        "example.com", REJECT, NONE, QUARANTINE, "s", "r", "1", True, ("mailto:r@example.com",), "treewalk"
    )
    assert evaluate_dmarc(author("example.com"), NO_SPF, [], zone).record == result.record
    assert evaluate_dmarc(author("example.com"), NO_SPF, [], dmarc_zone({})).record is None


def test_looking_into_each_method_changes_no_outcome() -> None:
    zone = dmarc_zone({"example.com": "v=DMARC1; p=reject"})
    zone.broken = {("_dmarc.bounce.other.com", "TXT")}
    unasked = report(zone, dkim("example.com"), mail_from="bounce.other.com", every=False)
    result = report(zone, dkim("example.com"), mail_from="bounce.other.com")
    assert (result.word, result.spf_aligned) == (unasked.word, False) == (DmarcWord.PASS, False)


@pytest.mark.parametrize(
    "mail_from, signed, seen",
    [
        (NO_SPF, [], "neither SPF (no domain) nor DKIM (no signature) proves example.com; example.com asks for reject"),
        (spf("b.test"), [dkim("c.test")], "neither SPF (pass for b.test) nor DKIM (pass for c.test) proves"),
        (NO_SPF, [dkim("", DkimWord.NEUTRAL)], "nor DKIM (no signature that can be read)"),
        (NO_SPF, [dkim("example.com", weak=True)], "nor DKIM (part of the body only for example.com)"),
        (NO_SPF, [dkim(f"{n}.test") for n in range(5)], "nor DKIM (pass for 0.test, pass for 1.test, pass for 2.test, and 2 more)"),
    ],
)  # fmt: skip
def test_a_failure_says_what_both_methods_saw(mail_from: SpfResult, signed: list[DkimResult], seen: str) -> None:
    zone = dmarc_zone({"example.com": "v=DMARC1; p=reject"})
    assert seen in evaluate_dmarc(author("example.com"), mail_from, signed, zone).evidence
