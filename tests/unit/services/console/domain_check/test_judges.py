"""What each judge makes of what DNS says."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from services.console.domain_check import block_lists
from services.console.domain_check.check import Check, Level
from services.console.domain_check.dkim import KnownKey, judge_dkim
from services.console.domain_check.dmarc import judge_dmarc
from services.console.domain_check.mta_sts import FetchedPolicy, judge_mta_sts
from services.console.domain_check.mx import judge_mx
from services.console.domain_check.reverse import judge_reverse
from services.console.domain_check.spf import judge_spf
from services.console.domain_check.subject import Subject, subject_of
from services.console.domain_check.tls_rpt import judge_tls_rpt
from shared.dkim_keys import KeyState
from shared.policy import parse_policy
from shared.policy.names import DnsList, DnsListRules
from tests.dnsserver import Records
from tests.unit.services.console.domain_check.zone import lookup_in

OURS = "192.0.2.25"
HELO = "gate.example"
OK, WARN, WRONG, UNKNOWN = Level.OK, Level.WARN, Level.WRONG, Level.UNKNOWN
HOSTS: Records = {"mx.example": {"A": OURS}, "other.example": {"A": "198.51.100.1"}}
POLICY = f"""
[gateway]
names = ["mx.example"]
addresses = ["{OURS}"]
[domains."a.test"]
route = "smtp://127.0.0.1:25"
recipients = ["anna"]
"""


def subject(text: str = POLICY) -> Subject:
    return subject_of("a.test", parse_policy(text))


def the_only(checks: list[Check]) -> Check:
    assert len(checks) == 1, checks
    assert (checks[0].level is Level.OK) == (not checks[0].mend)
    return checks[0]


@pytest.mark.parametrize(
    ("records", "level", "words"),
    [
        ({"a.test": {"MX": "10 mx.example."}}, OK, "10 mx.example"),
        ({"a.test": {"TXT": "x"}}, WRONG, "no MX record"),
        ({"a.test": {"A": "192.0.2.80"}}, WRONG, "web server"),
        ({}, WRONG, "does not exist"),
        ({"a.test": {"MX": "0 ."}}, WRONG, "null MX"),
        ({"a.test": {"MX": ["0 .", "10 mx.example."]}}, WRONG, "null MX beside others"),
        ({"a.test": {"MX": "10 other.example."}}, WRONG, "does not come here"),
        ({"a.test": {"MX": ["10 mx.example.", "20 other.example."]}}, WARN, "20 other.example"),
        ({"a.test": {"MX": ["10 mx.example.", "20 gone.example."]}}, WRONG, "gone.example has no address"),
        ({"a.test": {"MX": ["10 mx.example.", "20 192.0.2.25."]}}, WRONG, "is an address"),
    ],
)
def test_the_mx_records_lead_here(records: Records, level: Level, words: str, tmp_path: Path) -> None:
    checks = judge_mx(subject(), lookup_in(tmp_path, {**HOSTS, **records}))
    assert checks[0].level is level, checks
    assert words in checks[0].text


def test_an_mx_that_is_an_alias_is_wrong_and_its_target_named(tmp_path: Path) -> None:
    zone = {**HOSTS, "a.test": {"MX": "10 alias.example."}, "alias.example": {"CNAME": "mx.example."}}
    found = judge_mx(subject(), lookup_in(tmp_path, zone))[0]
    assert (found.level, "alias (CNAME) of mx.example" in found.text) == (WRONG, True)
    assert found.mend.startswith("let the MX be mx.example")


def test_a_null_mx_is_right_where_nobody_lives(tmp_path: Path) -> None:
    text = POLICY.replace('["anna"]', "[]")
    assert the_only(judge_mx(subject(text), lookup_in(tmp_path, {"a.test": {"MX": "0 ."}}))).level is OK


def test_whose_an_mx_is_stays_unknown_while_the_policy_does_not_say(tmp_path: Path) -> None:
    text = POLICY.replace('names = ["mx.example"]', "")
    found = the_only(judge_mx(subject(text), lookup_in(tmp_path, {**HOSTS, "a.test": {"MX": "10 mx.example."}})))
    assert (found.level, "[gateway] names" in found.mend) == (UNKNOWN, True)


@pytest.mark.parametrize(
    ("texts", "level", "words"),
    [
        ([f"v=spf1 ip4:{OURS} -all"], OK, "may send"),
        (["v=spf1 mx -all"], OK, "may send"),
        ([f"V=SPF1 ip4:{OURS} ~all", "another text"], OK, "may send"),
        (["another text"], WRONG, "no SPF record"),
        (["v=spf1 ip4:198.51.100.1 -all"], WRONG, f"from {OURS} does not pass: fail"),
        (["v=spf1 ip4:198.51.100.1 ~all"], WRONG, "does not pass: softfail"),
        ([f"v=spf1 ip4:{OURS} -all", "v=spf1 mx -all"], WRONG, "2 SPF records"),
        ([f"v=spf1 ip4:{OURS} +all"], WRONG, "lets everybody pass"),
        ([f"v=spf1 ip4:{OURS} ip4:0.0.0.0/0 -all"], WRONG, "lets everybody pass"),
        ([f"v=spf1 ip4:{OURS}"], WARN, "nothing of other senders"),
        ([f"v=spf1 ip4:{OURS} ?all"], WARN, "nothing of other senders"),
        ([f"v=spf1 ipv4:{OURS} -all"], WRONG, "in error"),
        ([f"v=spf1 ip4:{OURS} {' '.join(f'a:h{number}.example' for number in range(11))} -all"], WRONG, "in error"),
    ],
)
def test_the_spf_record_lets_our_mail_pass_and_no_other(
    texts: list[str], level: Level, words: str, tmp_path: Path
) -> None:
    hosts: Records = {f"h{number}.example": {"A": "198.51.100.9"} for number in range(11)}
    zone = {**HOSTS, **hosts, "a.test": {"TXT": texts, "MX": "10 mx.example."}}
    found = the_only(judge_spf(subject(), HELO, lookup_in(tmp_path, zone)))
    assert (found.level, words in found.text) == (level, True), found


def test_the_spf_record_that_is_proposed_passes(tmp_path: Path) -> None:
    two = POLICY.replace(f'["{OURS}"]', f'["{OURS}", "2001:db8::25"]')
    proposal = the_only(judge_spf(subject(two), HELO, lookup_in(tmp_path, {}))).mend.partition('TXT "')[2].rstrip('"')
    assert the_only(judge_spf(subject(two), HELO, lookup_in(tmp_path, {"a.test": {"TXT": proposal}}))).level is OK


KEY = KnownKey("s1", "rsa", "v=DKIM1; k=rsa; p=AAAA", KeyState.ACTIVE)
PENDING = KnownKey("s2", "ed25519", "v=DKIM1; k=ed25519; p=BBBB", KeyState.PENDING)
KEPT = KnownKey("s0", "rsa", "v=DKIM1; k=rsa; p=CCCC", KeyState.RETIRED, keep_until=200.0)


@pytest.mark.parametrize(
    ("texts", "level", "words"),
    [
        (["v=DKIM1; k=rsa; p=AAAA"], OK, "published"),
        (["k=rsa;p=AA AA"], OK, "published"),
        (["p=AAAA"], OK, "published"),
        ([], WRONG, "has no record"),
        (["v=DKIM1; k=rsa; p=AAAB"], WRONG, "another key"),
        (["v=DKIM1; k=ed25519; p=AAAA"], WRONG, "another key"),
        (["v=DKIM1; p="], WRONG, "revoked"),
        (["v=DKIM1; k=rsa; t=y; p=AAAA"], WARN, "testing"),
        (["v=DKIM1; k=rsa; p=AAAA", "other"], WRONG, "2 records"),
        (["what is this"], WRONG, "cannot be read"),
    ],
)
def test_a_key_in_use_is_in_dns(texts: list[str], level: Level, words: str, tmp_path: Path) -> None:
    zone: Records = {"s1._domainkey.a.test": {"TXT": texts}} if texts else {}
    found = the_only(judge_dkim("a.test", (KEY,), 100.0, lookup_in(tmp_path, zone)))
    assert (found.level, words in found.text) == (level, True), found


def test_keys_that_do_not_sign_yet_or_any_more_are_warned_of_while_they_are_wanted(tmp_path: Path) -> None:
    lookup = lookup_in(tmp_path, {"s1._domainkey.a.test": {"TXT": KEY.record}})
    levels = [one.level for one in judge_dkim("a.test", (KEY, PENDING, KEPT), 100.0, lookup)]
    assert levels == [OK, WARN, WARN]
    assert [one.level for one in judge_dkim("a.test", (KEY, KEPT), 300.0, lookup)] == [OK]


def test_mail_that_is_not_signed_is_warned_of(tmp_path: Path) -> None:
    lookup = lookup_in(tmp_path, {})
    assert the_only(judge_dkim("a.test", (), 100.0, lookup)).mend == "gatepost dkim add a.test"
    assert "gatepost dkim switch" in judge_dkim("a.test", (PENDING,), 100.0, lookup)[0].mend


@pytest.mark.parametrize(
    ("zone", "level", "words"),
    [
        ({"_dmarc.a.test": {"TXT": "v=DMARC1; p=reject; rua=mailto:x@a.test"}}, OK, "p=reject"),
        ({"_dmarc.a.test": {"TXT": "v=DMARC1; p=none; rua=mailto:x@sub.a.test!10m; pct=50; fo=1"}}, OK, "p=none"),
        ({}, WARN, "no DMARC record"),
        ({"_dmarc.a.test": {"TXT": "v=dmarc1; p=none"}}, WRONG, "which is no DMARC record"),
        ({"_dmarc.a.test": {"TXT": "v=DMARC1, p=none"}}, WRONG, "which is no DMARC record"),
        ({"_dmarc.a.test": {"TXT": "DMARC1; p=none"}}, WRONG, "which is no DMARC record"),
        ({"_dmarc.a.test": {"TXT": "v=DMARC1; p none"}}, WRONG, "tag=value"),
        ({"_dmarc.a.test": {"TXT": "v=DMARC1; p=rejct"}}, WRONG, "p=rejct"),
        ({"_dmarc.a.test": {"TXT": "v=DMARC1; p=none; sp=no"}}, WRONG, "sp=no"),
        ({"_dmarc.a.test": {"TXT": "v=DMARC1; rua=mailto:x@a.test"}}, WRONG, "no p="),
        ({"_dmarc.a.test": {"TXT": "v=DMARC1; p=none; ruo=mailto:x@a.test"}}, WARN, "ruo means nothing"),
        ({"_dmarc.a.test": {"TXT": "v=DMARC1; p=none; rua=x@a.test"}}, WRONG, "no report can go"),
        ({"_dmarc.a.test": {"TXT": "v=DMARC1; p=none; rua=mailto:x@b.test"}}, WARN, "b.test has not agreed"),
        (
            {
                "_dmarc.a.test": {"TXT": "v=DMARC1; p=none; rua=mailto:x@b.test"},
                "a.test._report._dmarc.b.test": {"TXT": "v=DMARC1"},
            },
            OK,
            "p=none",
        ),
        ({"_dmarc.a.test": {"TXT": ["v=DMARC1; p=none", "v=DMARC1; p=reject"]}}, WRONG, "2 DMARC records"),
    ],
)
def test_the_dmarc_record_can_be_read_and_its_reports_arrive(
    zone: Records, level: Level, words: str, tmp_path: Path
) -> None:
    found = the_only(judge_dmarc("a.test", lookup_in(tmp_path, zone)))
    assert (found.level, words in found.text) == (level, True), found


def test_the_record_of_the_organization_holds_for_its_subdomains(tmp_path: Path) -> None:
    lookup = lookup_in(tmp_path, {"_dmarc.a.test": {"TXT": "v=DMARC1; p=reject"}})
    assert "that of a.test holds" in the_only(judge_dmarc("mail.a.test", lookup)).text


STS = b"version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 2592000\n"
STS_RECORD = "v=STSv1; id=20260101"


@pytest.mark.parametrize(
    ("record", "fetched", "level", "words"),
    [
        (STS_RECORD, FetchedPolicy(STS), OK, "mode enforce"),
        (
            STS_RECORD,
            FetchedPolicy(STS.replace(b"\n", b"\r\n").replace(b"mx.example", b"*.example")),
            OK,
            "mode enforce",
        ),
        ("", None, OK, "does not use it"),
        (STS_RECORD, FetchedPolicy(STS.replace(b"mx.example", b"old.example")), WRONG, "do not deliver"),
        (
            STS_RECORD,
            FetchedPolicy(STS.replace(b"mx.example", b"*.mx.example")),
            WRONG,
            "does not name the MX mx.example",
        ),
        (STS_RECORD, FetchedPolicy(STS.replace(b"enforce", b"testing").replace(b"mx.e", b"old.e")), WRONG, "report it"),
        (STS_RECORD, FetchedPolicy(STS + b"mx: second.example\n"), WARN, "second.example"),
        (STS_RECORD, FetchedPolicy(STS.replace(b"2592000", b"600")), WARN, "600 s"),
        (STS_RECORD, FetchedPolicy(problem="it answers 404"), WRONG, "it answers 404"),
        (STS_RECORD, FetchedPolicy(b"<html>"), WRONG, "not `key: value`"),
        (STS_RECORD, FetchedPolicy(STS.replace(b"STSv1", b"STSv2")), WRONG, "version: STSv1"),
        (STS_RECORD, FetchedPolicy(STS.replace(b"enforce", b"on")), WRONG, "mode is 'on'"),
        (STS_RECORD, FetchedPolicy(STS.replace(b"max_age: 2592000", b"")), WRONG, "max_age"),
        (STS_RECORD, FetchedPolicy(STS.replace(b"2592000", b"40000000")), WRONG, "a year is the most"),
        (STS_RECORD, FetchedPolicy(b"\xff" + STS), WRONG, "not UTF-8"),
        (STS_RECORD, FetchedPolicy(b"version: STSv1\nmode: none\nmax_age: 86400\n"), OK, "mode: none"),
        ("v=STSv1; id=2026-01-01", FetchedPolicy(STS), WRONG, "not as it must be"),
    ],
)
def test_the_mta_sts_policy_names_our_exchanges(
    record: str, fetched: FetchedPolicy | None, level: Level, words: str, tmp_path: Path
) -> None:
    zone: Records = {"a.test": {"MX": "10 mx.example."}, **({"_mta-sts.a.test": {"TXT": record}} if record else {})}
    found = the_only(judge_mta_sts("a.test", fetched, lookup_in(tmp_path, zone)))
    assert (found.level, words in found.text) == (level, True), found


@pytest.mark.parametrize(
    ("zone", "level"),
    [
        ({}, OK),
        ({"_mta-sts.a.test": {"TXT": STS_RECORD}}, WARN),
        ({"_smtp._tls.a.test": {"TXT": "v=TLSRPTv1; rua=mailto:x@a.test,https://b.test/r"}}, OK),
        ({"_smtp._tls.a.test": {"TXT": "v=TLSRPTv1; rua=x@a.test"}}, WRONG),
        ({"_smtp._tls.a.test": {"TXT": "v=TLSRPTv1;"}}, WRONG),
        ({"_smtp._tls.a.test": {"TXT": ["v=TLSRPTv1; rua=mailto:x@a.test", "v=TLSRPTv1; rua=mailto:y@a.test"]}}, WRONG),
    ],
)
def test_reports_on_tls_have_somewhere_to_go(zone: Records, level: Level, tmp_path: Path) -> None:
    assert the_only(judge_tls_rpt("a.test", lookup_in(tmp_path, zone))).level is level


PTR = "25.2.0.192.in-addr.arpa"


@pytest.mark.parametrize(
    ("zone", "level", "words"),
    [
        ({PTR: {"PTR": "gate.example."}, HELO: {"A": OURS}}, OK, "is gate.example"),
        ({PTR: {"PTR": "mx.example."}, HELO: {"A": OURS}, "mx.example": {"A": OURS}}, OK, "is mx.example"),
        ({}, WRONG, "no PTR record"),
        ({PTR: {"PTR": "gate.example."}, HELO: {"A": "198.51.100.1"}}, WRONG, "does not have that address"),
        ({PTR: {"PTR": "mx.example."}, "mx.example": {"A": OURS}}, WARN, "greets as gate.example"),
    ],
)
def test_a_sending_address_has_a_name_that_leads_back(zone: Records, level: Level, words: str, tmp_path: Path) -> None:
    found = the_only(judge_reverse(ip_address(OURS), HELO, lookup_in(tmp_path, zone)))
    assert (found.level, words in found.text) == (level, True), found


LIST = block_lists.BlockList(DnsList(zone="bl.test"), "https://bl.test/out")
ALIVE: Records = {"2.0.0.127.bl.test": {"A": "127.0.0.2"}}
LISTED_NAME = "25.2.0.192.bl.test"


@pytest.mark.parametrize(
    ("zone", "word"),
    [
        (ALIVE, block_lists.Word.CLEAN),
        ({**ALIVE, LISTED_NAME: {"A": "127.0.0.4", "TXT": "spam seen"}}, block_lists.Word.LISTED),
        ({**ALIVE, LISTED_NAME: {"A": "127.255.255.254"}}, block_lists.Word.DEAD),
        ({**ALIVE, LISTED_NAME: {"A": "203.0.113.9"}}, block_lists.Word.DEAD),
        ({}, block_lists.Word.DEAD),
    ],
)
def test_an_error_of_a_block_list_is_no_listing(zone: Records, word: block_lists.Word, tmp_path: Path) -> None:
    assert block_lists.look_up(ip_address(OURS), LIST, lookup_in(tmp_path, zone)).word is word


def test_a_listing_tells_its_reason_and_the_page_for_removal(tmp_path: Path) -> None:
    zone: Records = {**ALIVE, LISTED_NAME: {"A": "127.0.0.4", "TXT": "spam seen"}}
    listing = block_lists.look_up(ip_address(OURS), LIST, lookup_in(tmp_path, zone))
    found = the_only(block_lists.judge_listings(ip_address(OURS), [listing]))
    assert (found.level, found.text) == (WRONG, f"{OURS} is on bl.test: spam seen")
    assert found.mend.endswith("https://bl.test/out")


def test_lists_of_the_policy_that_speak_for_an_address_are_not_asked() -> None:
    rules = DnsListRules(lists=[DnsList(zone="allow.test", score=-3), DnsList(zone="bl.spamcop.net", score=3)])
    asked = block_lists.lists_to_ask(rules)
    assert [one.rules.zone for one in asked].count("bl.spamcop.net") == 1
    assert asked[0].removal == "https://www.spamcop.net/bl.shtml"
    assert "allow.test" not in {one.rules.zone for one in asked}


@pytest.mark.parametrize(
    ("judge", "silent"),
    [
        (lambda lookup: judge_mx(subject(), lookup), "a.test"),
        (lambda lookup: judge_spf(subject(), HELO, lookup), "a.test"),
        (lambda lookup: judge_dkim("a.test", (KEY,), 1.0, lookup), "s1._domainkey.a.test"),
        (lambda lookup: judge_dmarc("a.test", lookup), "_dmarc.a.test"),
        (lambda lookup: judge_mta_sts("a.test", None, lookup), "_mta-sts.a.test"),
        (lambda lookup: judge_tls_rpt("a.test", lookup), "_smtp._tls.a.test"),
        (lambda lookup: judge_reverse(ip_address(OURS), HELO, lookup), PTR),
    ],
)
def test_dns_that_fails_is_unknown_and_never_wrong(judge, silent: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert the_only(judge(lookup_in(tmp_path, {}, silent))).level is UNKNOWN


def test_the_addresses_that_the_world_sees_are_checked() -> None:
    text = (
        '[gateway]\naddresses = ["192.0.2.1"]\n[delivery]\ninterface = "main"\n'
        '[interfaces.main]\naddresses = ["{main}"]\nhostname = "out.example"\n'
        '[interfaces.other]\naddresses = ["192.0.2.7"]\nsenders = ["@b.test"]\n'
        '[domains."a.test"]\nroute = "mx"\nrecipients = "any"\n'
    )
    public = subject(text.replace("{main}", "192.0.2.6")).sendings
    assert [(str(one.address), one.name) for one in public] == [("192.0.2.6", "out.example")]
    inside = subject(text.replace("{main}", "10.0.0.6")).sendings
    assert [str(one.address) for one in inside] == ["192.0.2.1"]
