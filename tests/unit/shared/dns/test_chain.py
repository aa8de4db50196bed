"""Responses and chains: what counts as an answer, and what says nothing."""

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.message import QueryMessage
from hypothesis import given
from hypothesis import strategies as st

from shared.dns.answer import MX, Answer
from shared.dns.chain import MAX_ALIASES, Alias, Chase, Step, Unusable, step_in_response

SOA = "example.test. 600 IN SOA ns.test. h.test. 1 2 3 4 90"


def response(*answer: str, authority: tuple[str, ...] = (), rcode: int = 0, flags: int = 0, rdtype: str = "A") -> bytes:
    query = dns.message.make_query("www.example.test.", rdtype)
    reply = dns.message.make_response(query, recursion_available=True)
    for section, lines in ((reply.answer, answer), (reply.authority, authority)):
        for line in lines:
            owner, ttl, rdclass, kind, value = line.split(None, 4)
            section.append(dns.rrset.from_text(owner, int(ttl), rdclass, kind, value))
    reply.set_rcode(dns.rcode.Rcode(rcode))
    reply.flags |= flags
    return reply.to_wire()


def read(wire: bytes, *, rdtype: str = "A", trust_ad: bool = True, ours: str = "-") -> Step:
    message = dns.message.from_wire(wire)
    assert isinstance(message, QueryMessage)
    return step_in_response(
        message, "www.example.test", rdtype, trust_ad=trust_ad, is_ours=lambda name: name.endswith(ours)
    )


def test_records_come_with_their_ttl() -> None:
    step = read(response("www.example.test. 77 IN A 192.0.2.1"))
    assert step == Answer("www.example.test", "A", exists=True, records=("192.0.2.1",), ttl_s=77)


def test_exchanges_come_in_lower_case_without_trailing_dot() -> None:
    step = read(response("www.example.test. 77 IN MX 5 MX.Example.TEST.", rdtype="MX"), rdtype="MX")
    assert isinstance(step, Answer)
    assert step.mx() == (MX(5, "mx.example.test"),)


def test_aliases_inside_a_response_are_followed_and_the_shortest_ttl_counts() -> None:
    step = read(response("www.example.test. 9 IN CNAME a.test.", "a.test. 77 IN A 192.0.2.1"))
    assert step == Answer("www.example.test", "A", exists=True, records=("192.0.2.1",), ttl_s=9)


def test_a_negative_answer_lives_as_long_as_its_soa_says() -> None:
    # RFC 2308 §5: the minimum of the SOA's TTL and its last field.
    assert read(response(authority=(SOA,))) == Answer("www.example.test", "A", exists=True, ttl_s=90)
    nxdomain = read(response(authority=(SOA,), rcode=3))
    assert nxdomain == Answer("www.example.test", "A", exists=False, ttl_s=90)


def test_an_alias_to_nowhere_is_nxdomain() -> None:
    step = read(response("www.example.test. 9 IN CNAME a.example.test.", authority=(SOA,), rcode=3))
    assert step == Answer("www.example.test", "A", exists=False, ttl_s=9)


def test_a_chain_that_stops_half_way_is_to_be_continued() -> None:
    assert read(response("www.example.test. 9 IN CNAME A.test.")) == Alias("a.test", secure=False, ttl_s=9)


def test_an_alias_into_a_zone_file_is_answered_from_there_and_not_by_the_server() -> None:
    wire = response("www.example.test. 9 IN CNAME a.local.test.", "a.local.test. 77 IN A 198.51.100.66")
    assert read(wire, ours="local.test") == Alias("a.local.test", secure=False, ttl_s=9)


@pytest.mark.parametrize("trusted", [True, False])
def test_the_ad_bit_counts_only_from_a_trusted_server(trusted: bool) -> None:
    step = read(response("www.example.test. 77 IN A 192.0.2.1", flags=dns.flags.AD), trust_ad=trusted)
    assert step.secure is trusted


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "YXDOMAIN", "NOTAUTH"])
def test_an_error_code_is_never_no_record(rcode: str) -> None:
    with pytest.raises(Unusable, match=rcode):
        read(response(rcode=dns.rcode.from_text(rcode)))


def test_a_referral_is_never_no_record() -> None:
    with pytest.raises(Unusable, match="referral"):
        read(response(authority=("test. 60 IN NS ns.test.",)))


def test_an_alias_loop_is_never_no_record() -> None:
    with pytest.raises(Unusable, match="ChainTooLong"):
        read(response("www.example.test. 9 IN CNAME a.test.", "a.test. 9 IN CNAME www.example.test."))


def test_records_under_nxdomain_are_malformed() -> None:
    with pytest.raises(Unusable, match="malformed"):
        read(response("www.example.test. 77 IN A 192.0.2.1", rcode=3))


def test_records_of_another_name_are_no_answer() -> None:
    step = read(response("evil.test. 77 IN A 192.0.2.1", authority=(SOA,)))
    assert step == Answer("www.example.test", "A", exists=True, ttl_s=90)


def test_a_chase_is_as_secure_and_as_lasting_as_its_weakest_link() -> None:
    chase = Chase("a.test", "A")
    assert chase.take(Alias("B.test", secure=True, ttl_s=900)) is None
    assert chase.target == "b.test"
    assert chase.take(Alias("c.test", secure=False, ttl_s=30)) is None
    answer = chase.take(Answer("c.test", "A", exists=True, records=("192.0.2.1",), secure=True, ttl_s=60))
    assert answer == Answer("a.test", "A", exists=True, records=("192.0.2.1",), secure=False, ttl_s=30)


def test_a_chase_ends_after_ten_aliases() -> None:
    chase = Chase("a.test", "A")
    for _ in range(MAX_ALIASES):
        chase.take(Alias("a.test", secure=False, ttl_s=30))
    with pytest.raises(Unusable, match="aliases"):
        chase.take(Alias("a.test", secure=False, ttl_s=30))


def test_an_alias_to_no_usable_name_is_never_no_record() -> None:
    with pytest.raises(Unusable, match="no usable name"):
        Chase("a.test", "A").take(Alias("a\\.b.test", secure=False, ttl_s=30))


@given(
    st.sampled_from(
        [
            response("www.example.test. 9 IN CNAME a.test.", "a.test. 77 IN A 192.0.2.1"),
            response('www.example.test. 9 IN TXT "v=spf1" "x"', rdtype="TXT"),
            response(authority=(SOA,), rcode=3),
        ]
    ),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    st.integers(0, 20),
)
def test_a_mangled_response_is_an_answer_or_a_known_error(
    wire: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    mangled = bytearray(wire)
    for position, octet in changes:
        mangled[position % len(mangled)] = octet
    try:
        message = dns.message.from_wire(bytes(mangled[: len(mangled) - cut]))
        if isinstance(message, QueryMessage) and message.question:
            rdtype = message.question[0].rdtype.name
            step_in_response(message, "www.example.test", rdtype, trust_ad=True, is_ours=lambda _: False)
    except (Unusable, dns.exception.DNSException, ValueError):
        pass
