"""Zone files: what a master file says about a name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dns.answer import MX, TLSA, Answer, Record
from shared.dns.chain import Alias, step_in_zone
from shared.dns.zonefile import Zone, ZoneError, parse_zone

TEXT = """
$TTL 600
@           SOA   ns hostmaster 1 3600 600 86400 120
@           NS    ns
@           MX    10 mx
@           MX    20 MX2.Other.test.
@           TXT   "v=spf1 " "mx -all"
ns          A     192.0.2.53
mx    60    A     192.0.2.1
mx          A     192.0.2.2
mx          AAAA  2001:db8::1
_25._tcp.mx TLSA  3 1 0 00FF
null        MX    0 .
www         CNAME mx
out         CNAME mx.other.test.
*.wild      TXT   "any"
*.wild      MX    5 mx
host.wild   A     192.0.2.7
a.b.c       A     192.0.2.8
a.*.empty   TXT   "below a wildcard that holds nothing itself"
*.alias     CNAME mx
1           PTR   Mx.gatepost.test.
quoted      TXT   "a;b \\"c\\" \\255"
"""
ZONE = parse_zone(TEXT, "gatepost.test.zone")

YES, NODATA, NXDOMAIN = True, True, False
TABLE: list[tuple[str, str, bool, tuple[Record, ...]]] = [
    ("gatepost.test", "MX", YES, (MX(10, "mx.gatepost.test"), MX(20, "mx2.other.test"))),
    ("gatepost.test", "TXT", YES, (b"v=spf1 mx -all",)),
    ("gatepost.test", "NS", YES, ("ns.gatepost.test",)),
    ("gatepost.test", "SOA", YES, ("ns.gatepost.test",)),
    ("gatepost.test", "A", NODATA, ()),
    ("mx.gatepost.test", "A", YES, ("192.0.2.1", "192.0.2.2")),
    ("mx.gatepost.test", "AAAA", YES, ("2001:db8::1",)),
    ("mx.gatepost.test", "TXT", NODATA, ()),
    ("_25._tcp.mx.gatepost.test", "TLSA", YES, (TLSA(3, 1, 0, b"\x00\xff"),)),
    ("null.gatepost.test", "MX", YES, (MX(0, ""),)),
    ("1.gatepost.test", "PTR", YES, ("mx.gatepost.test",)),
    ("quoted.gatepost.test", "TXT", YES, (b'a;b "c" \xff',)),
    ("www.gatepost.test", "CNAME", YES, ("mx.gatepost.test",)),
    ("nothing.gatepost.test", "A", NXDOMAIN, ()),
    ("below.mx.gatepost.test", "A", NXDOMAIN, ()),
    # RFC 8020: a name with names below it exists.
    ("c.gatepost.test", "A", NODATA, ()),
    ("b.c.gatepost.test", "A", NODATA, ()),
    ("_tcp.mx.gatepost.test", "A", NODATA, ()),
    ("x.b.c.gatepost.test", "A", NXDOMAIN, ()),
    # RFC 4592: a wildcard stands for what does not exist, at any depth, but not for what exists or lies below it.
    ("x.wild.gatepost.test", "TXT", YES, (b"any",)),
    ("y.x.wild.gatepost.test", "TXT", YES, (b"any",)),
    ("x.wild.gatepost.test", "A", NODATA, ()),
    ("wild.gatepost.test", "TXT", NODATA, ()),
    ("host.wild.gatepost.test", "TXT", NODATA, ()),
    ("x.host.wild.gatepost.test", "TXT", NXDOMAIN, ()),
    ("*.wild.gatepost.test", "TXT", YES, (b"any",)),
    ("x.empty.gatepost.test", "TXT", NODATA, ()),
]


@pytest.mark.parametrize(("name", "rdtype", "exists", "records"), TABLE)
def test_a_zone_answers_as_its_file_says(name: str, rdtype: str, exists: bool, records: tuple[Record, ...]) -> None:
    step = step_in_zone(ZONE, name, rdtype)
    assert isinstance(step, Answer)
    assert (step.exists, set(step.records)) == (exists, set(records))
    assert not step.secure


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("www.gatepost.test", "mx.gatepost.test"),
        ("out.gatepost.test", "mx.other.test"),
        ("any.alias.gatepost.test", "mx.gatepost.test"),
    ],
)
def test_an_alias_is_handed_on_for_every_type_but_its_own(name: str, target: str) -> None:
    assert step_in_zone(ZONE, name, "A") == Alias(target, secure=False, ttl_s=600)


@pytest.mark.parametrize(
    ("name", "ttl_s"),
    [("gatepost.test", 600), ("mx.gatepost.test", 60), ("nothing.gatepost.test", 120)],
)
def test_ttls_come_from_the_record_and_from_the_soa(name: str, ttl_s: int) -> None:
    rdtype = "A" if name.startswith("mx") else "MX"
    assert step_in_zone(ZONE, name, rdtype).ttl_s == ttl_s


def test_origin_comes_from_the_first_origin_line_or_else_the_file_name() -> None:
    assert parse_zone("@ TXT x\n", "Example.test.zone").origin == "example.test"
    assert parse_zone("; comment\n$ORIGIN Other.test.\n@ TXT x\n", "Example.test.zone").origin == "other.test"


def test_a_zone_needs_neither_soa_nor_ttl() -> None:
    step = step_in_zone(parse_zone("a TXT x\n", "example.test.zone"), "a.example.test", "TXT")
    assert isinstance(step, Answer)
    assert step.texts() == (b"x",)
    assert step.ttl_s == 300


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a TXT x\na TXT\n", "ended unexpectedly"),
        ("a CNAME b\na TXT x\n", "CNAME"),
        ("a A 192.0.2.256\n", "malformed"),
        ("$INCLUDE /etc/passwd\n", "INCLUDE"),
        ("$ORIGIN a.test.\n@ TXT x\n$ORIGIN b.test.\n@ TXT y\n", "b.test"),
        ("sub SOA ns hostmaster 1 2 3 4 5\n", "SOA"),
        ("$ORIGIN a..test.\n@ TXT x\n", "not a domain name"),
    ],
)
def test_a_broken_zone_is_refused_with_file_and_reason(text: str, why: str) -> None:
    with pytest.raises(ZoneError) as error:
        parse_zone(text, "example.test.zone")
    assert "example.test.zone" in str(error.value)
    assert why in str(error.value)


LABEL = st.sampled_from(["a", "b", "c", "*"])
OWNERS = st.lists(st.lists(LABEL, min_size=1, max_size=4).map(".".join), max_size=6)


@given(OWNERS, st.lists(st.sampled_from(["a", "b", "c", "x"]), min_size=1, max_size=5).map(".".join))
def test_a_name_exists_exactly_when_an_owner_or_a_wildcard_covers_it(owners: list[str], name: str) -> None:
    zone = parse_zone("".join(f"{owner} TXT x\n" for owner in owners), "zone.test.zone")
    assert zone.find(f"{name}.zone.test", "TXT").exists == _exists(name, set(owners))


def _exists(name: str, owners: set[str]) -> bool:
    """RFC 4592 §2.2 and §3.3, said another way than the code does: with sets of label tuples."""
    nodes: set[tuple[str, ...]] = {()}
    for owner in owners:
        labels = tuple(reversed(owner.split(".")))
        nodes |= {labels[:depth] for depth in range(1, len(labels) + 1)}
    wanted = tuple(reversed(name.split(".")))
    closest = max((depth for depth in range(len(wanted) + 1) if wanted[:depth] in nodes), default=0)
    return wanted in nodes or (*wanted[:closest], "*") in nodes


@given(st.binary(max_size=600))
def test_any_text_survives_a_zone_file(text: bytes) -> None:
    pieces = [text[start : start + 255] for start in range(0, len(text), 255)] or [b""]
    quoted = " ".join('"' + "".join(f"\\{octet:03d}" for octet in piece) + '"' for piece in pieces)
    step = step_in_zone(parse_zone(f"@ TXT {quoted}\n", "example.test.zone"), "example.test", "TXT")
    assert isinstance(step, Answer)
    assert step.texts() == (text,)


@given(st.text(max_size=200))
def test_any_file_is_a_zone_or_a_zone_error(text: str) -> None:
    try:
        zone = parse_zone(text, "example.test.zone")
    except ZoneError:
        return
    assert isinstance(zone, Zone)
