"""DMARC over given results and DNS answers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.content.auth.dmarc import evaluate_dmarc
from services.content.auth.results import Disposition, DkimReason, DkimResult, DkimWord, DmarcResult, DmarcWord
from shared.auth.author import Author
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord
from shared.dns.replay import NeedLookup
from tests.unit.services.content.auth.test_treewalk import dmarc_zone
from tests.unit.shared.auth.zone import Zone

NO_SPF = SpfResult(SpfWord.NONE, SpfIdentity.MAIL_FROM, "", "")


def spf(domain: str, word: SpfWord = SpfWord.PASS) -> SpfResult:
    return SpfResult(word, SpfIdentity.MAIL_FROM, domain, "")


def dkim(domain: str, word: DkimWord = DkimWord.PASS, *, weak: bool = False) -> DkimResult:
    return DkimResult(word, DkimReason.VERIFIED, "", domain, weak=weak)


def author(*domains: str, fields: int = 1, fault: str = "") -> Author:
    return Author(domains, fields, fault)


def evaluate(zone: Zone, domain: str, *passes: DkimResult, mail_from: SpfResult = NO_SPF) -> DmarcResult:
    return evaluate_dmarc(author(domain), mail_from, passes, zone)


REJECT: dict[str, str | list[str]] = {"example.org": "v=DMARC1; p=reject"}


@pytest.mark.parametrize(
    "policy, domain, passes, mail_from, aligned",
    [
        ("p=reject", "example.org", [dkim("example.org")], NO_SPF, ("dkim:example.org",)),
        ("p=reject", "example.org", [], spf("example.org"), ("spf:example.org",)),
        ("p=reject", "example.org", [dkim("example.org")], spf("example.org"), ("dkim:example.org", "spf:example.org")),
        ("p=reject", "example.org", [dkim("mail.example.org")], NO_SPF, ("dkim:mail.example.org",)),
        ("p=reject", "a.example.org", [dkim("b.example.org")], NO_SPF, ("dkim:b.example.org",)),
        ("p=reject", "a.example.org", [dkim("example.org")], NO_SPF, ("dkim:example.org",)),
        ("p=reject", "example.org", [], spf("bounce.example.org"), ("spf:bounce.example.org",)),
        ("p=reject; adkim=s", "example.org", [dkim("example.org")], NO_SPF, ("dkim:example.org",)),
        ("p=reject; adkim=s", "example.org", [dkim("mail.example.org")], NO_SPF, ()),
        ("p=reject; aspf=s", "example.org", [], spf("mail.example.org"), ()),
        ("p=reject; aspf=s", "example.org", [dkim("m.example.org")], spf("m.example.org"), ("dkim:m.example.org",)),
        ("p=reject", "example.org", [dkim("example.net")], spf("example.com"), ()),
        ("p=reject", "example.org", [dkim("notexample.org")], NO_SPF, ()),
        ("p=reject", "example.org", [dkim("org")], NO_SPF, ()),
        ("p=reject", "example.org", [dkim("example.org", weak=True)], NO_SPF, ()),
        ("p=reject", "example.org", [dkim("example.org", DkimWord.FAIL)], spf("example.org", SpfWord.SOFTFAIL), ()),
        ("p=reject", "example.org", [dkim("example.org", DkimWord.POLICY)], spf("example.org", SpfWord.NEUTRAL), ()),
        ("p=reject", "example.org", [], NO_SPF, ()),
    ],
)
def test_alignment(
    policy: str, domain: str, passes: list[DkimResult], mail_from: SpfResult, aligned: tuple[str, ...]
) -> None:
    result = evaluate(dmarc_zone({"example.org": f"v=DMARC1; {policy}"}), domain, *passes, mail_from=mail_from)
    assert result.aligned == aligned
    assert result.word is (DmarcWord.PASS if aligned else DmarcWord.FAIL)
    assert result.disposition is (Disposition.NONE if aligned else Disposition.REJECT)
    assert result.policy_domain == "example.org"


@pytest.mark.parametrize(
    "records, domain, published, disposition, policy_domain",
    [
        ({"example.org": "v=DMARC1; p=none"}, "example.org", "none", "none", "example.org"),
        ({"example.org": "v=DMARC1; p=reject; sp=none"}, "example.org", "reject", "reject", "example.org"),
        ({"example.org": "v=DMARC1; p=reject; sp=quarantine"}, "real.example.org", "quarantine", "quarantine", "example.org"),
        ({"example.org": "v=DMARC1; p=reject"}, "real.example.org", "reject", "reject", "example.org"),
        ({"example.org": "v=DMARC1; p=none; sp=none; np=reject"}, "real.example.org", "none", "none", "example.org"),
        ({"example.org": "v=DMARC1; p=none; sp=none; np=reject"}, "fake.example.org", "reject", "reject", "example.org"),
        ({"example.org": "v=DMARC1; p=none; np=quarantine"}, "fake.example.org", "quarantine", "quarantine", "example.org"),
        ({"example.org": "v=DMARC1; p=none; sp=reject"}, "fake.example.org", "reject", "reject", "example.org"),
        ({"example.org": "v=DMARC1; p=reject; t=y"}, "example.org", "reject", "quarantine", "example.org"),
        ({"example.org": "v=DMARC1; p=quarantine; t=y"}, "example.org", "quarantine", "none", "example.org"),
        ({"example.org": "v=DMARC1; p=none; t=y"}, "example.org", "none", "none", "example.org"),
        ({"example.org": "v=DMARC1; p=reject; pct=0"}, "example.org", "reject", "reject", "example.org"),
        # The author domain's own record comes before its organization's.
        (
            {"real.example.org": "v=DMARC1; p=none", "example.org": "v=DMARC1; p=reject"},
            "real.example.org", "none", "none", "real.example.org",
        ),
        # One in between does not count.
        (
            {"real.example.org": "v=DMARC1; p=none", "example.org": "v=DMARC1; p=reject"},
            "x.real.example.org", "reject", "reject", "example.org",
        ),
        # A public suffix's policy counts where the organization has none.
        ({"org": "v=DMARC1; p=none; sp=quarantine; psd=y"}, "real.example.org", "quarantine", "quarantine", "org"),
        ({"org": "v=DMARC1; p=none; np=reject; psd=y"}, "fake.org", "reject", "reject", "org"),
        # Only reports are asked for.
        ({"example.org": "v=DMARC1; rua=mailto:a@example.org"}, "example.org", "none", "none", "example.org"),
    ],
)  # fmt: skip
def test_the_policy_for_a_message_that_fails(
    records: dict[str, str | list[str]], domain: str, published: str, disposition: str, policy_domain: str
) -> None:
    zone = dmarc_zone(records)
    zone.records["www.real.example.org", "A"] = ("192.0.2.1",)
    result = evaluate(zone, domain)
    assert result.word is DmarcWord.FAIL
    assert (result.published, result.disposition, result.policy_domain) == (published, disposition, policy_domain)
    assert result.disposition in result.evidence


@pytest.mark.parametrize("records", [{}, {"example.org": "v=DMARC1"}, {"example.org": ["v=DMARC1; p=none"] * 2}])
def test_without_a_policy_dmarc_does_not_apply(records: dict[str, str | list[str]]) -> None:
    result = evaluate(dmarc_zone(records), "example.org", dkim("example.org"))
    assert (result.word, result.disposition) == (DmarcWord.NONE, Disposition.NONE)


@pytest.mark.parametrize(
    "unsure",
    [
        author("example.org", "example.net"),
        author("example.org", fields=2, fault="there are 2 From fields"),
        author(fields=0, fault="there is no From field"),
        author("example.org", fault="From has an open quote"),
    ],
)
def test_an_author_in_doubt_is_a_permerror_and_asks_nothing(unsure: Author) -> None:
    zone = dmarc_zone(REJECT)
    result = evaluate_dmarc(unsure, spf("example.org"), [dkim("example.org")], zone)
    assert result.word is DmarcWord.PERMERROR
    assert result.evidence
    assert not zone.asked


def test_several_addresses_of_one_domain_are_one_author() -> None:
    assert evaluate_dmarc(author("example.org"), spf("example.org"), [], dmarc_zone(REJECT)).word is DmarcWord.PASS


@pytest.mark.parametrize("broken", ["example.org", "org"])
def test_a_policy_that_cannot_be_fetched_is_a_temperror(broken: str) -> None:
    result = evaluate(Zone(broken={(f"_dmarc.{broken}", "TXT")}), "example.org", dkim("example.org"))
    assert (result.word, result.author_domain) == (DmarcWord.TEMPERROR, "example.org")


@pytest.mark.parametrize(
    "passes, mail_from",
    [
        ([dkim("example.org", DkimWord.TEMPERROR)], NO_SPF),
        ([dkim("mail.example.org", DkimWord.TEMPERROR)], NO_SPF),
        ([], spf("example.org", SpfWord.TEMPERROR)),
    ],
)
def test_a_proof_that_dns_withholds_is_a_temperror_and_never_a_fail(
    passes: list[DkimResult], mail_from: SpfResult
) -> None:
    assert evaluate(dmarc_zone(REJECT), "example.org", *passes, mail_from=mail_from).word is DmarcWord.TEMPERROR


def test_a_temperror_of_another_domain_changes_nothing() -> None:
    zone = dmarc_zone(REJECT)
    assert evaluate(zone, "example.org", dkim("example.net", DkimWord.TEMPERROR)).word is DmarcWord.FAIL
    assert evaluate(zone, "example.org", dkim("example.org"), mail_from=spf("x.org", SpfWord.TEMPERROR)).word is (
        DmarcWord.PASS
    )


def test_a_walk_that_breaks_leaves_the_outcome_open_only_if_it_hangs_on_it() -> None:
    zone = dmarc_zone(REJECT)
    zone.broken = {("_dmarc.bounce.other.org", "TXT")}
    assert evaluate(zone, "example.org", mail_from=spf("bounce.other.org")).word is DmarcWord.TEMPERROR
    assert evaluate(zone, "example.org", dkim("example.org"), mail_from=spf("bounce.other.org")).word is DmarcWord.PASS


def test_a_withheld_proof_whose_walk_breaks_too_is_a_temperror() -> None:
    zone = dmarc_zone(REJECT)
    zone.broken = {("_dmarc.signer.org", "TXT")}
    assert evaluate(zone, "example.org", dkim("signer.org", DkimWord.TEMPERROR)).word is DmarcWord.TEMPERROR


def test_whether_a_subdomain_exists_is_a_temperror_if_dns_cannot_say() -> None:
    zone = dmarc_zone({"example.org": "v=DMARC1; p=none; np=reject"})
    zone.broken = {("fake.example.org", "A")}
    assert evaluate(zone, "fake.example.org").word is DmarcWord.TEMPERROR


def test_an_exact_pass_costs_one_question() -> None:
    zone = dmarc_zone(REJECT)
    evaluate(zone, "example.org", dkim("example.org"), mail_from=spf("bounce.sender.org"))
    assert sum(zone.asked.values()) == 1


def test_the_questions_are_bounded_whatever_the_signatures_say() -> None:
    zone = dmarc_zone({"1.2.3.4.5.6.7.8.9.org": "v=DMARC1; p=reject"})
    signed = [dkim(f"s{n}.a{n}.b{n}.c{n}.d{n}.e{n}.f{n}.g{n}.h{n}.org") for n in range(5)]
    evaluate(zone, "1.2.3.4.5.6.7.8.9.org", *signed, mail_from=spf("m.1.2.3.4.5.6.7.8.org"))
    assert len(zone.asked) <= 7 * 8


def test_a_missing_lookup_flies_through() -> None:
    zone = Zone(missing={("_dmarc.org", "TXT")})
    with pytest.raises(NeedLookup):
        evaluate(zone, "example.org")


DOMAINS = st.sampled_from(["example.org", "a.example.org", "org", "x.test", "1.2.3.4.5.6.7.8.9.example.org"])


@settings(deadline=None)
@given(
    DOMAINS,
    st.lists(st.builds(dkim, DOMAINS, st.sampled_from(DkimWord), weak=st.booleans()), max_size=5),
    st.builds(spf, DOMAINS, st.sampled_from(SpfWord)),
    st.dictionaries(DOMAINS, st.text("pstjnyu=; rejctquanio", max_size=30).map(lambda tags: "v=DMARC1;" + tags)),
)
def test_nothing_makes_it_raise_and_only_a_fail_has_a_disposition(
    domain: str, passes: list[DkimResult], mail_from: SpfResult, records: dict[str, str | list[str]]
) -> None:
    result = evaluate(dmarc_zone(records), domain, *passes, mail_from=mail_from)
    assert result.disposition is Disposition.NONE or result.word is DmarcWord.FAIL
    assert (result.word is DmarcWord.PASS) is bool(result.aligned)
