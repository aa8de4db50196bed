"""The DNS tree walk and policy records."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.content.auth.dmarcrecord import Psd, Record, parse_record
from services.content.auth.results import Disposition
from services.content.auth.treewalk import MAX_QUERIES, record_at, same_organization, tree_walk
from shared.dns.answer import DnsTemporary
from tests.unit.shared.auth.zone import Zone, spf_zone

NONE, QUARANTINE, REJECT = Disposition.NONE, Disposition.QUARANTINE, Disposition.REJECT
RUA = ("mailto:a@b.example",)


def dmarc_zone(records: dict[str, str | list[str]]) -> Zone:
    return spf_zone({f"_dmarc.{name} TXT": text for name, text in records.items()})


def asked(zone: Zone) -> list[str]:
    return [name.removeprefix("_dmarc.") for name, _ in zone.asked]


@pytest.mark.parametrize(
    "text, record",
    [
        ("v=DMARC1; p=reject", Record(REJECT)),
        ("v=DMARC1;p=reject;", Record(REJECT)),
        ("v = DMARC1 ; p = Quarantine", Record(QUARANTINE)),
        ("v=DMARC1; adkim=s; p=none", Record(NONE, strict_dkim=True)),
        ("v=DMARC1; p=none; aspf=s; adkim=r", Record(NONE, strict_spf=True)),
        ("v=DMARC1; p=none; aspf=nonsense; t=maybe; psd=x", Record(NONE)),
        ("v=DMARC1; p=reject; sp=quarantine; np=none", Record(REJECT, QUARANTINE, NONE)),
        ("v=DMARC1; p=reject; t=y", Record(REJECT, testing=True)),
        ("v=DMARC1; p=reject; psd=y", Record(REJECT, psd=Psd.YES)),
        ("v=DMARC1; p=reject; psd=n", Record(REJECT, psd=Psd.NO)),
        ("v=DMARC1; p=reject; pct=10; rf=afrf; ri=1; new=thing; ;nonsense", Record(REJECT)),
        ("v=DMARC1; p=reject; p=none", Record(REJECT)),
        ("v=DMARC1", Record(None)),
        ("v=DMARC1; p=bogus", Record(None)),
        ("v=DMARC1; rua=mailto:a@b.example", Record(NONE, report_addresses=RUA)),
        ("v=DMARC1; p=bogus; sp=reject; rua=mailto:a@b.example", Record(NONE, report_addresses=RUA)),
        ("v=DMARC1; p=reject; sp=bogus; rua=mailto:a@b.example", Record(NONE, report_addresses=RUA)),
        ("v=DMARC1; p=reject; np=bogus", Record(None)),
        ("v=DMARC1; p=bogus; rua=nonsense", Record(None)),
        ("v=DMARC1; p=reject; \xe9=1", Record(REJECT)),
        ("v=dmarc1; p=reject", None),
        ("v=DMARC2; p=reject", None),
        ("v=DMARC1p=reject", None),
        ("V=DMARC1; p=reject", None),
        ("p=reject; v=DMARC1", None),
        (" v=DMARC1; p=reject", None),
        ("v=spf1 -all", None),
        ("v=DMARC1; p=reject; x=" + "y" * 5000, None),
    ],
)
def test_records(text: str, record: Record | None) -> None:
    assert parse_record(text.encode()) == record


@settings(deadline=None)
@given(
    st.binary(max_size=80) | st.text("vDMARC1;=pst nyrejct", max_size=60).map(lambda text: b"v=DMARC1;" + text.encode())
)
def test_any_text_is_a_record_or_not(text: bytes) -> None:
    record = parse_record(text)
    assert record is None or text.startswith(b"v")


def test_exactly_one_policy_record_counts() -> None:
    zone = dmarc_zone(
        {"a.example": ["v=DMARC1; p=none", "other"], "b.example": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}
    )
    assert record_at("a.example", zone) == Record(NONE)
    assert record_at("b.example", zone) is None


@pytest.mark.parametrize(
    "domain, walked",
    [
        ("example", ["example"]),
        ("a.b.example", ["a.b.example", "b.example", "example"]),
        ("a.b.c.d.e.f.example", [".".join("abcdef"[n:]) + ".example" for n in range(6)] + ["example"]),
        (
            "a.b.c.d.e.f.g.example",
            ["a.b.c.d.e.f.g.example"] + [".".join("bcdefg"[n:]) + ".example" for n in range(6)] + ["example"],
        ),
        (
            "x.y.z.a.b.c.d.e.f.g.example",
            ["x.y.z.a.b.c.d.e.f.g.example"] + [".".join("bcdefg"[n:]) + ".example" for n in range(6)] + ["example"],
        ),
    ],
)
def test_the_walk_asks_at_most_eight_names(domain: str, walked: list[str]) -> None:
    zone = dmarc_zone({})
    assert tree_walk(domain, zone).organizational_domain == domain
    assert asked(zone) == walked
    assert len(walked) <= MAX_QUERIES


@pytest.mark.parametrize(
    "records, domain, organizational",
    [
        # No record anywhere: the domain itself.
        ({}, "a.mail.example.com", "a.mail.example.com"),
        # The record with the fewest labels.
        ({"example.com": "v=DMARC1; p=none"}, "a.mail.example.com", "example.com"),
        ({"mail.example.com": "v=DMARC1; p=none"}, "a.mail.example.com", "mail.example.com"),
        (
            {"mail.example.com": "v=DMARC1; p=none", "example.com": "v=DMARC1; p=none"},
            "a.mail.example.com",
            "example.com",
        ),
        ({"com": "v=DMARC1; p=none"}, "example.com", "com"),
        # psd=n ends the walk at the organizational domain.
        (
            {"mail.example.com": "v=DMARC1; p=none; psd=n", "example.com": "v=DMARC1; p=none"},
            "a.mail.example.com",
            "mail.example.com",
        ),
        ({"mail.example.com": "v=DMARC1; p=none; psd=n"}, "mail.example.com", "mail.example.com"),
        # psd=y ends it one label above it.
        ({"com": "v=DMARC1; p=none; psd=y"}, "a.mail.example.com", "example.com"),
        ({"com": "v=DMARC1; psd=y"}, "example.com", "example.com"),
        (
            {"a.example.com": "v=DMARC1; p=none", "example.com": "v=DMARC1; p=none; psd=y"},
            "x.a.example.com",
            "a.example.com",
        ),
        # psd=y at the start does not point below itself.
        ({"gov.example": "v=DMARC1; p=none; psd=y", "example": "v=DMARC1; p=none"}, "gov.example", "gov.example"),
        # After a jump the label below the suffix is counted in the domain itself.
        ({"f.example": "v=DMARC1; p=none; psd=y"}, "1.2.3.4.5.6.7.8.e.f.example", "e.f.example"),
    ],
)
def test_the_organizational_domain(records: dict[str, str | list[str]], domain: str, organizational: str) -> None:
    assert tree_walk(domain, dmarc_zone(records)).organizational_domain == organizational


def test_the_walk_stops_at_psd() -> None:
    for value in "yn":
        zone = dmarc_zone({"b.c.example": f"v=DMARC1; p=none; psd={value}"})
        tree_walk("a.b.c.example", zone)
        assert asked(zone) == ["a.b.c.example", "b.c.example"]


def test_names_of_one_organization_share_its_domain() -> None:
    zone = dmarc_zone({"example.com": "v=DMARC1; p=none", "host.com": "v=DMARC1; p=none; psd=y"})
    assert same_organization("a.example.com", "b.c.example.com", zone)
    assert not same_organization("one.host.com", "two.host.com", zone)
    assert same_organization("www.one.host.com", "one.host.com", zone)
    # Nobody above publishes: each is its own organizational domain.
    assert not same_organization("a.example.net", "example.net", zone)


def test_equal_names_and_other_top_level_domains_ask_nothing() -> None:
    zone = dmarc_zone({})
    assert same_organization("a.example", "a.example", zone)
    assert not same_organization("a.example", "a.test", zone)
    assert not zone.asked


def test_a_hole_in_the_walk_passes_through() -> None:
    zone = Zone(broken={("_dmarc.example.com", "TXT")})
    with pytest.raises(DnsTemporary):
        tree_walk("a.example.com", zone)
