"""SPF over given DNS answers."""

from ipaddress import ip_address, ip_network

import pytest
import spf
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.auth.spf import MAX_EXPLANATION_CHARACTERS, evaluate_spf
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord
from shared.dns.replay import NeedLookup
from tests.unit.shared.auth.zone import Zone, spf_zone

IP4, IP6 = "192.0.2.9", "2001:db8::9"
DOMAIN: dict[str, str | list[str]] = {
    "a.example A": ["192.0.2.9"],
    "a.example AAAA": ["2001:db8::9"],
    "m.example MX": ["20 other.example", "10 a.example"],
    "other.example A": "198.51.100.1",
    "_i.example TXT": "v=spf1 ip4:192.0.2.0/24 -all",
    "9.2.0.192.in-addr.arpa PTR": ["host.p.example", "liar.example"],
    "host.p.example A": IP4,
    "liar.example A": "203.0.113.1",
    "joe.on.s.example A": "127.0.0.2",
}


def check(record: str, ip: str = IP4, sender: str = "joe@s.example", **more: str) -> SpfResult:
    return evaluate_spf(ip, sender, "helo.example", spf_zone({**DOMAIN, **more, "s.example TXT": record}))


@pytest.mark.parametrize(
    "record, ip, word",
    [
        ("v=spf1 -all", IP4, "fail"),
        ("v=spf1 ~all", IP4, "softfail"),
        ("v=spf1 ?all", IP4, "neutral"),
        ("v=spf1", IP4, "neutral"),
        ("v=spf1 +all", IP4, "pass"),
        ("v=spf10 -all", IP4, "none"),
        ("V=SPF1 -ALL", IP4, "fail"),
        ("v=spf1 ip4:192.0.2.0/24 -all", IP4, "pass"),
        ("v=spf1 ip4:192.0.2.0/29 -all", IP4, "fail"),
        ("v=spf1 ip4:192.0.2.0/24 -all", "::ffff:192.0.2.9", "pass"),
        ("v=spf1 ip4:192.0.2.0/24 -all", IP6, "fail"),
        ("v=spf1 ip6:2001:db8::/32 -all", IP6, "pass"),
        ("v=spf1 a:a.example -all", IP4, "pass"),
        ("v=spf1 a:a.example -all", IP6, "pass"),
        ("v=spf1 a:a.example//64 -all", "2001:db8::1", "pass"),
        ("v=spf1 mx:m.example -all", IP4, "pass"),
        ("v=spf1 ptr:p.example -all", IP4, "pass"),
        ("v=spf1 ptr:liar.example -all", IP4, "fail"),
        ("v=spf1 include:_i.example -all", IP4, "pass"),
        ("v=spf1 include:_i.example ~all", "10.0.0.1", "softfail"),
        ("v=spf1 include:nothing.example -all", IP4, "permerror"),
        ("v=spf1 redirect=_i.example", "10.0.0.1", "fail"),
        ("v=spf1 redirect=nothing.example", IP4, "permerror"),
        ("v=spf1 exists:%{l}.on.%{d} -all", IP4, "pass"),
        ("v=spf1 exists:%{l}.off.%{d} -all", IP4, "fail"),
        ("v=spf1 nonsense -all", IP4, "permerror"),
        ("v=spf1 a:%{x}.example -all", IP4, "permerror"),
        ("v=spf1 ip4:1.2.3 -all", IP4, "permerror"),
    ],
)
def test_mechanisms(record: str, ip: str, word: str) -> None:
    assert check(record, ip).word == word


def test_the_evidence_names_the_term_the_domain_and_the_address() -> None:
    result = check("v=spf1 include:_i.example -all")
    assert result.mechanism == "include:_i.example"
    assert result.evidence == "s.example allows 192.0.2.9 to send (include:_i.example)"


def test_a_host_with_many_addresses_is_compared_with_each() -> None:
    many = [f"10.{high}.{low}.1" for high in range(8) for low in range(256)]
    assert check("v=spf1 a -all", **{"s.example A": [*many, IP4]}).word is SpfWord.PASS  # type: ignore[arg-type]
    assert check("v=spf1 a -all", **{"s.example A": many}).word is SpfWord.FAIL  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", [0, 1, 8, 31, 32])
@pytest.mark.parametrize("address", ["192.0.2.9", "192.0.2.8", "193.0.2.9", "10.0.0.1"])
def test_networks_match_as_ipaddress_has_them(prefix: int, address: str) -> None:
    inside = ip_address(IP4) in ip_network(f"{address}/{prefix}", strict=False)
    assert check(f"v=spf1 ip4:{address}/{prefix} -all").word is (SpfWord.PASS if inside else SpfWord.FAIL)


def test_two_records_are_a_permerror() -> None:
    zone = spf_zone({"s.example TXT": ["v=spf1 -all", "v=spf1 +all", "unrelated"]})
    assert evaluate_spf(IP4, "a@s.example", "h.example", zone).word is SpfWord.PERMERROR


def test_the_eleventh_term_that_asks_dns_is_a_permerror() -> None:
    assert check("v=spf1 " + "a:other.example " * 10 + "-all").word is SpfWord.FAIL
    assert check("v=spf1 " + "a:other.example " * 11 + "-all").word is SpfWord.PERMERROR


def test_include_and_redirect_loops_end_in_a_permerror() -> None:
    zone = spf_zone({"s.example TXT": "v=spf1 include:t.example -all", "t.example TXT": "v=spf1 redirect=s.example"})
    assert evaluate_spf(IP4, "a@s.example", "h.example", zone).word is SpfWord.PERMERROR
    assert sum(zone.asked.values()) <= 12


def test_the_third_void_lookup_is_a_permerror() -> None:
    assert check("v=spf1 a:v1.example a:v2.example -all").word is SpfWord.FAIL
    assert check("v=spf1 a:v1.example a:v2.example a:v3.example -all").word is SpfWord.PERMERROR


def test_more_than_ten_mail_exchanges_are_a_permerror() -> None:
    exchanges = [f"{n} m{n}.example" for n in range(11)]
    assert check("v=spf1 mx -all", **{"s.example MX": exchanges}).word is SpfWord.PERMERROR  # type: ignore[arg-type]


@pytest.mark.parametrize("key", [("s.example", "TXT"), ("_i.example", "TXT"), ("a.example", "A")])
def test_a_dns_failure_is_a_temperror(key: tuple[str, str]) -> None:
    records = {**DOMAIN, "s.example TXT": "v=spf1 a:a.example include:_i.example -all"}
    zone = spf_zone(records, broken={key})
    result = evaluate_spf("192.0.2.200" if key[1] == "TXT" else IP4, "a@s.example", "h.example", zone)
    assert result.word is SpfWord.TEMPERROR
    assert "SERVFAIL" in result.evidence


def test_a_dns_failure_in_ptr_is_no_match() -> None:
    zone = spf_zone(
        {**DOMAIN, "s.example TXT": "v=spf1 ptr:p.example -all"}, broken={("9.2.0.192.in-addr.arpa", "PTR")}
    )
    assert evaluate_spf(IP4, "a@s.example", "h.example", zone).word is SpfWord.FAIL
    zone = spf_zone({**DOMAIN, "s.example TXT": "v=spf1 ptr:p.example -all"}, broken={("liar.example", "A")})
    assert evaluate_spf(IP4, "a@s.example", "h.example", zone).word is SpfWord.PASS


def test_the_null_sender_is_checked_by_its_helo_name() -> None:
    zone = spf_zone({"helo.example TXT": "v=spf1 ip4:192.0.2.9 -all"})
    result = evaluate_spf(IP4, "", "helo.example", zone)
    assert (result.word, result.identity, result.domain) == (SpfWord.PASS, SpfIdentity.HELO, "helo.example")


@pytest.mark.parametrize(
    "helo", ["[192.0.2.1]", "192.0.2.1", "localhost", "", "bad name", "x..y", "l" * 64 + ".example"]
)
def test_a_name_that_is_no_domain_gives_none_without_asking(helo: str) -> None:
    zone = Zone()
    assert evaluate_spf(IP4, "", helo, zone).word is SpfWord.NONE
    assert not zone.asked


def test_a_quoted_local_part_does_not_hide_the_domain() -> None:
    zone = spf_zone({"s.example TXT": "v=spf1 -all", "evil.example TXT": "v=spf1 +all"})
    result = evaluate_spf(IP4, '"x@evil.example"@s.example', "h.example", zone)
    assert (result.word, result.domain) == (SpfWord.FAIL, "s.example")


def test_the_explanation_is_made_safe_and_fetched_only_for_a_fail() -> None:
    text = 'see "%{i}"\r\n\x1b[31m' + "x" * 220
    zone = spf_zone({"s.example TXT": "v=spf1 ip4:10.0.0.1 -all exp=e.example", "e.example TXT": text})
    result = evaluate_spf(IP4, "a@s.example", "h.example", zone)
    assert result.explanation.startswith("see ?192.0.2.9????[31m")
    assert len(result.explanation) == MAX_EXPLANATION_CHARACTERS
    zone.asked.clear()
    assert evaluate_spf("10.0.0.1", "a@s.example", "h.example", zone).word is SpfWord.PASS
    assert ("e.example", "TXT") not in zone.asked


def test_a_failing_explanation_is_left_out() -> None:
    zone = spf_zone({"s.example TXT": "v=spf1 -all exp=e.example"}, broken={("e.example", "TXT")})
    result = evaluate_spf(IP4, "a@s.example", "h.example", zone)
    assert (result.word, result.explanation) == (SpfWord.FAIL, "")


@pytest.mark.parametrize(
    "missing", [("s.example", "TXT"), ("e.example", "TXT"), ("p.example", "A"), ("9.2.0.192.in-addr.arpa", "PTR")]
)
def test_a_missing_lookup_flies_through_pyspf(missing: tuple[str, str]) -> None:
    records = {
        **DOMAIN,
        "s.example TXT": "v=spf1 ptr:none.example a:p.example -all exp=e.example",
        "p.example A": "10.0.0.1",
    }
    with pytest.raises(NeedLookup) as caught:
        evaluate_spf(IP4, "a@s.example", "h.example", spf_zone(records, missing={missing}))
    assert (caught.value.name, caught.value.rdtype) == missing


def test_any_other_error_is_a_temperror_that_names_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spf.query, "check0", lambda *_: 1 / 0)
    result = check("v=spf1 -all")
    assert (result.word, result.evidence) == (SpfWord.TEMPERROR, "internal error: ZeroDivisionError")


def test_pyspf_never_asks_the_network_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spf, "DNSLookup", None)
    assert check("v=spf1 ptr mx a include:_i.example -all").word is SpfWord.PASS


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 " + "ip4:10.0.0.1 " * 2_000 + "-all",
        "v=spf1 a:" + "a." * 4_000 + "example -all",
        "v=spf1 exists:" + "%{d}" * 2_000 + ".example -all",
        "v=spf1 a:%{l" + "9" * 5_000 + "}.example -all",
        "v=spf1 x=%{d}" + ".a" * 65 + " -all",
    ],
)
def test_a_huge_record_is_a_permerror_before_any_work(record: str) -> None:
    zone = spf_zone({"s.example TXT": record})
    assert evaluate_spf(IP4, "a@s.example", "h.example", zone).word is SpfWord.PERMERROR
    assert sum(zone.asked.values()) == 1


PIECES = [
    "a",
    "mx",
    "ptr",
    "exists:",
    "include:",
    "ip4:",
    "redirect=",
    "exp=",
    "%{",
    "}",
    "l",
    "9",
    "r",
    "-",
    ".",
    "/",
    " ",
    "s.example",
    "all",
    ":",
    "é",
    "\x00",
]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=60),
    st.text(max_size=30) | st.just("a@s.example"),
    st.text(max_size=30),
)
def test_no_record_and_no_sender_makes_it_raise(record: str, sender: str, helo: str) -> None:
    zone = spf_zone({**DOMAIN, "s.example TXT": "v=spf1 " + record.encode("utf-8", "replace").decode()})
    result = evaluate_spf(IP4, sender, helo, zone)
    assert result.word in SpfWord
    assert result.evidence.isprintable()
    assert result.evidence.isascii()
