"""DKIM over messages that dkimpy signed."""

import base64
import re
import time
from itertools import product

import dkim as dkimpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.content.auth import dkim as module
from services.content.auth.digests import BodyDigests
from services.content.auth.dkim import evaluate_dkim
from services.content.auth.dkimkey import Key, KeyFault, parse_key
from services.content.auth.dkimsignature import MAX_FIELD_BYTES
from services.content.auth.results import DkimReason, DkimResult, DkimWord
from shared.auth.message import split_message
from shared.dns.replay import NeedLookup
from tests.unit.services.content.auth.signing import MESSAGE, ed25519_keys, rsa_keys, sign
from tests.unit.shared.auth.zone import Zone

NAME = ("s._domainkey.example.org", "TXT")
SPLIT = len(MESSAGE.partition(b"\r\n\r\n")[0]) + 4


def zone_for(*records: bytes) -> Zone:
    return Zone({NAME: records})


def verify(message: bytes, zone: Zone | None = None, now_s: float | None = None) -> tuple[DkimResult, ...]:
    split = split_message(message)
    return evaluate_dkim(split, BodyDigests(split.body), zone or zone_for(rsa_keys()[1]), now_s or time.time())


def verify_one(message: bytes, zone: Zone | None = None, now_s: float | None = None) -> DkimResult:
    (result,) = verify(message, zone, now_s)
    return result


def with_tag(message: bytes, name: bytes, value: bytes | None) -> bytes:
    """Return the message with one tag of its signature replaced, added, or removed (None)."""
    field, end, rest = message.partition(b"\r\nReceived:")
    tags = [tag for tag in field.split(b";") if tag.partition(b"=")[0].split(b":")[-1].strip() != name]
    new = b"" if value is None else b" %b=%b;" % (name, value)
    first = b"DKIM-Signature:"
    return first + new + b";".join(tags).removeprefix(first) + end + rest


FORMS = list(product((b"relaxed", b"simple"), repeat=2))


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
@pytest.mark.parametrize("canonicalize", FORMS)
@pytest.mark.parametrize("body", [b"", b"x", b"\r\n", b" \r\n", b"a  b \r\n\r\n\r\n", b"no end"])
def test_what_dkimpy_signs_passes(kind: str, canonicalize: tuple[bytes, bytes], body: bytes) -> None:
    record = rsa_keys()[1] if kind == "rsa" else ed25519_keys()[1]
    result = verify_one(sign(MESSAGE[:SPLIT] + body, kind=kind, canonicalize=canonicalize), zone_for(record))
    assert (result.word, result.reason) == (DkimWord.PASS, DkimReason.VERIFIED)
    assert (result.domain, result.selector, result.algorithm) == ("example.org", "s", f"{kind}-sha256")
    assert result.identity == "@example.org"
    assert result.proves_domain


@pytest.mark.parametrize("canonicalize", FORMS)
@pytest.mark.parametrize(
    "old, new, reason",
    [
        (b"Hello  Amy", b"Hello  Eve", DkimReason.BODY_CHANGED),
        (b"it.\t", b"it.\r\nP.S.", DkimReason.BODY_CHANGED),
        (b"Subject: a", b"Subject: b", DkimReason.SIGNATURE_WRONG),
        (b"joe@example.org", b"eve@example.org", DkimReason.SIGNATURE_WRONG),
        (b"i=@example.org", b"i=@sub.example.org", DkimReason.SIGNATURE_WRONG),
    ],
)
def test_what_was_changed_fails(canonicalize: tuple[bytes, bytes], old: bytes, new: bytes, reason: DkimReason) -> None:
    signed = sign(canonicalize=canonicalize)
    assert old in signed
    result = verify_one(signed.replace(old, new, 1))
    assert (result.word, result.reason) == (DkimWord.FAIL, reason)


def test_relaxed_forgives_white_space_and_simple_does_not() -> None:
    spaced = (b"Hello  Amy, \r\n", b"Hello Amy,\r\n"), (b"Subject: a \t folded", b"subject:a folded")
    for old, new in spaced:
        assert verify_one(sign().replace(old, new)).word is DkimWord.PASS
        assert verify_one(sign(canonicalize=(b"simple", b"simple")).replace(old, new)).word is DkimWord.FAIL


def test_a_field_above_the_signed_ones_does_not_matter_but_a_second_from_does() -> None:
    assert verify_one(b"Received: from c.example\r\n" + sign()).word is DkimWord.PASS
    # dkimpy signs From once more than it is there, so that one more breaks the signature.
    assert verify_one(b"From: eve@evil.example\r\n" + sign()).word is DkimWord.FAIL
    once = sign(include_headers=[b"from", b"subject"])
    assert verify_one(once).word is DkimWord.PASS
    result = verify_one(b"From: eve@evil.example\r\n" + once)
    assert (result.word, result.reason) == (DkimWord.POLICY, DkimReason.SEVERAL_FROM)


def test_an_unsigned_message_is_none() -> None:
    assert verify_one(MESSAGE).word is DkimWord.NONE


def test_every_signature_has_its_result_topmost_first() -> None:
    twice = sign(sign(), domain=b"example.net")
    first, second = verify(twice, Zone({NAME: (rsa_keys()[1],)}))
    assert (first.domain, first.reason) == ("example.net", DkimReason.NO_KEY)
    assert (second.domain, second.word) == ("example.org", DkimWord.PASS)


def test_no_more_than_five_signatures_are_examined() -> None:
    signature = sign()[: -len(MESSAGE)]
    zone = zone_for(rsa_keys()[1])
    results = verify(signature * 100 + MESSAGE, zone)
    assert [result.word for result in results] == [DkimWord.PASS] * 5 + [DkimWord.POLICY]
    assert results[-1].evidence == "95 more signatures were not examined"
    assert zone.asked[NAME] == 5


def test_the_body_is_hashed_once_for_all_signatures_and_all_runs() -> None:
    split = split_message(sign(sign()))
    digests = BodyDigests(split.body)
    zone = Zone({NAME: (rsa_keys()[1],)}, missing={NAME})
    with pytest.raises(NeedLookup):
        evaluate_dkim(split, digests, zone, time.time())
    zone.missing.clear()
    for _ in range(3):
        assert {result.word for result in evaluate_dkim(split, digests, zone, time.time())} == {DkimWord.PASS}
    assert digests.hashed_bytes == digests.size_bytes(relaxed=True)


def test_a_partial_body_passes_but_proves_nothing() -> None:
    signed = sign(length=True)
    whole = verify_one(signed)
    assert (whole.reason, whole.proves_domain) == (DkimReason.VERIFIED, True)
    longer = verify_one(signed + b"<p>buy this</p>\r\n")
    assert (longer.word, longer.reason, longer.proves_domain) == (DkimWord.PASS, DkimReason.PARTIAL_BODY, False)
    shorter = verify_one(signed[: SPLIT - len(MESSAGE)] + b"Hello\r\n")
    assert (shorter.word, shorter.reason) == (DkimWord.FAIL, DkimReason.BODY_SHORTER)


@pytest.mark.parametrize(
    "name, value, word, reason",
    [
        (b"v", b"2", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"v", None, DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"bh", None, DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"bh", b"!", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"b", b"abc", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"d", b"exa mple.org", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"d", b"<b>.org", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"s", b"..", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"c", b"nowsp", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"q", b"http", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"l", b"-1", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"l", b"9" * 77, DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"l", b"9" * 76, DkimWord.FAIL, DkimReason.BODY_SHORTER),
        (b"t", b"soon", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"x", b"1", DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"t", b"99999999999", DkimWord.PERMERROR, DkimReason.FUTURE),
        (b"h", b"from:" * 513, DkimWord.NEUTRAL, DkimReason.SYNTAX),
        (b"h", b"to : subject", DkimWord.PERMERROR, DkimReason.FROM_UNSIGNED),
        (b"a", b"rsa-sha1", DkimWord.POLICY, DkimReason.ALGORITHM),
        (b"a", b"rsa-md5", DkimWord.NEUTRAL, DkimReason.ALGORITHM),
        (b"a", b"ed25519-sha256", DkimWord.PERMERROR, DkimReason.KEY_FORBIDS),
        (b"i", b"joe@example.com", DkimWord.PERMERROR, DkimReason.IDENTITY),
        (b"i", b"joe@notexample.org", DkimWord.PERMERROR, DkimReason.IDENTITY),
    ],
)
def test_tags_out_of_bounds(name: bytes, value: bytes | None, word: DkimWord, reason: DkimReason) -> None:
    result = verify_one(with_tag(sign(), name, value))
    assert (result.word, result.reason) == (word, reason), result.evidence


def test_a_repeated_tag_is_a_syntax_error() -> None:
    assert verify_one(sign().replace(b"v=1;", b"v=1; v=1;")).reason is DkimReason.SYNTAX


def test_an_expired_signature_proves_nothing() -> None:
    now_s = 1_700_000_000
    expired = with_tag(with_tag(sign(), b"t", b"%d" % (now_s - 10)), b"x", b"%d" % (now_s - 1))
    result = verify_one(expired, now_s=now_s)
    assert (result.word, result.reason) == (DkimWord.PERMERROR, DkimReason.EXPIRED)


def test_a_key_that_dns_cannot_give_now_is_a_temperror() -> None:
    result = verify_one(sign(), Zone(broken={NAME}))
    assert (result.word, result.reason, result.domain) == (DkimWord.TEMPERROR, DkimReason.DNS, "example.org")


def test_a_missing_lookup_flies_through() -> None:
    with pytest.raises(NeedLookup):
        verify(sign(), Zone(missing={NAME}))


@pytest.mark.parametrize(
    "change, word, reason",
    [
        (lambda record: b"", DkimWord.PERMERROR, DkimReason.KEY_SYNTAX),
        (lambda record: b"v=spf1 -all", DkimWord.PERMERROR, DkimReason.KEY_SYNTAX),
        (lambda record: b"v=DKIM1; p=", DkimWord.PERMERROR, DkimReason.KEY_REVOKED),
        (lambda record: record[:-20], DkimWord.PERMERROR, DkimReason.KEY_SYNTAX),
        (lambda record: b"v=DKIM1; p=" + b"A" * 5000, DkimWord.PERMERROR, DkimReason.KEY_SYNTAX),
        (lambda record: b"k=rsa; " + record, DkimWord.PERMERROR, DkimReason.KEY_SYNTAX),
        (lambda record: record.replace(b"DKIM1", b"DKIM2"), DkimWord.PERMERROR, DkimReason.KEY_SYNTAX),
        (lambda record: record.replace(b"k=rsa", b"k=dsa"), DkimWord.PERMERROR, DkimReason.KEY_SYNTAX),
        (lambda record: record.replace(b"k=rsa", b"k=ed25519"), DkimWord.PERMERROR, DkimReason.KEY_SYNTAX),
        (lambda record: record.replace(b"k=rsa", b"h=sha1"), DkimWord.PERMERROR, DkimReason.KEY_FORBIDS),
        (lambda record: record.replace(b"k=rsa", b"s=tlsrpt"), DkimWord.PERMERROR, DkimReason.KEY_FORBIDS),
        (
            lambda record: record.replace(b"k=rsa", b"h=sha1:sha256; s=email:x; n=a note"),
            DkimWord.PASS,
            DkimReason.VERIFIED,
        ),
        (lambda record: record.removeprefix(b"v=DKIM1; k=rsa; "), DkimWord.PASS, DkimReason.VERIFIED),
        (lambda record: record.replace(b"k=rsa", b"t=y"), DkimWord.PASS, DkimReason.VERIFIED),
        (lambda record: record.replace(b"k=rsa", b"t=s"), DkimWord.PASS, DkimReason.VERIFIED),
    ],
)
def test_key_records(change: object, word: DkimWord, reason: DkimReason) -> None:
    assert callable(change)
    result = verify_one(sign(), zone_for(change(rsa_keys()[1])))
    assert (result.word, result.reason) == (word, reason), result.evidence


def test_a_key_marked_s_allows_no_subdomain_in_the_identity() -> None:
    signed = sign(identity=b"joe@sub.example.org")
    assert verify_one(signed).identity == "joe@sub.example.org"
    strict = rsa_keys()[1].replace(b"k=rsa", b"t=y:s")
    assert verify_one(signed, zone_for(strict)).reason is DkimReason.KEY_FORBIDS


def test_a_testing_domains_wrong_signature_is_neutral() -> None:
    testing = zone_for(rsa_keys()[1].replace(b"k=rsa", b"t=y"))
    assert verify_one(sign().replace(b"Hello  Amy", b"Hello  Eve"), testing).word is DkimWord.NEUTRAL


def test_of_several_records_the_first_that_is_a_key_counts() -> None:
    assert verify_one(sign(), zone_for(b"v=spf1 -all", b"p=", rsa_keys()[1])).word is DkimWord.PASS


def der(tag: int, content: bytes) -> bytes:
    size = len(content).to_bytes(4, "big")
    return bytes((tag, 0x84)) + size + content


def rsa_record(modulus: int, exponent: int = 65537) -> bytes:
    numbers = (number.to_bytes(number.bit_length() // 8 + 1, "big") for number in (modulus, exponent))
    return b"v=DKIM1; p=" + base64.b64encode(der(0x30, b"".join(der(2, number) for number in numbers)))


@pytest.mark.parametrize(
    "bits, usable", [(512, False), (1023, False), (1024, True), (8192, True), (8193, False), (16384, False)]
)
def test_rsa_keys_are_bounded_before_any_work_with_them(bits: int, usable: bool) -> None:
    record = rsa_record((1 << (bits - 1)) + 12345)
    key = parse_key(record)
    assert isinstance(key, Key) is usable, key
    if not usable:
        result = verify_one(sign(), zone_for(record))
        assert (result.word, result.reason) == (DkimWord.POLICY, DkimReason.KEY_SIZE)


def test_a_huge_exponent_is_refused() -> None:
    fault = parse_key(rsa_record((1 << 2047) + 12345, (1 << 2000) + 1))
    assert isinstance(fault, KeyFault)
    assert fault.reason is DkimReason.KEY_SIZE


@pytest.mark.parametrize("exponent", [0, 1, 2, 4])
def test_a_senseless_exponent_is_refused(exponent: int) -> None:
    assert isinstance(parse_key(rsa_record((1 << 2047) + 12345, exponent)), KeyFault)


def test_a_faulty_header_is_not_verified() -> None:
    result = verify_one(b"broken line\r\n" + sign())
    assert (result.word, result.reason) == (DkimWord.PERMERROR, DkimReason.HEADER_MALFORMED)


def test_a_huge_signature_field_is_not_parsed() -> None:
    result = verify_one(b"DKIM-Signature: v=1; x=" + b"a" * MAX_FIELD_BYTES + b"\r\n" + MESSAGE)
    assert result.reason is DkimReason.SYNTAX


def test_a_body_of_spaces_is_no_work() -> None:
    body = b"x" + b" " * 1_000_000 + b"y\r\n"
    signed = sign(MESSAGE[:SPLIT] + b"x y\r\n")
    assert verify_one(signed[: -len(b"x y\r\n")] + body).word is DkimWord.PASS


def test_an_error_of_ours_is_a_temperror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "signed_data", lambda *_: 1 / 0)
    result = verify_one(sign())
    assert (result.word, result.reason) == (DkimWord.TEMPERROR, DkimReason.INTERNAL)


# RFC 8463 Appendix A.
RFC8463_KEYS = {
    ("brisbane._domainkey.football.example.com", "TXT"): (
        b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    ),
    ("test._domainkey.football.example.com", "TXT"): (
        (
            b"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"
            b"Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kry"
            b"OTIKT+l/K4w3QIDAQAB"
        ),
    ),
}
RFC8463_MESSAGE = b"""\
DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
""".replace(b"\n", b"\r\n")


def test_the_example_of_rfc_8463_passes() -> None:
    results = verify(RFC8463_MESSAGE, Zone(RFC8463_KEYS))  # type: ignore[arg-type]
    assert [(result.algorithm, result.word) for result in results] == [
        ("ed25519-sha256", DkimWord.PASS),
        ("rsa-sha256", DkimWord.PASS),
    ]


HEADER_PIECES = st.sampled_from([b" ", b"\t", b"\r\n ", b"a", b"B", b":", b";", b"=", b"x=y"])
BODY_PIECES = st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"\x00", b"."])


@settings(deadline=None)
@given(
    st.lists(HEADER_PIECES, max_size=15).map(b"".join),
    st.lists(BODY_PIECES, max_size=25).map(b"".join),
    st.sampled_from(FORMS),
)
def test_we_agree_with_dkimpy(subject: bytes, body: bytes, canonicalize: tuple[bytes, bytes]) -> None:
    message = b"From: joe@example.org\r\nSubject:" + subject + b"\r\n\r\n" + body
    _secret, record = ed25519_keys()
    signed = sign(message, kind="ed25519", canonicalize=canonicalize)
    assert dkimpy.verify(signed, dnsfunc=lambda *_, **__: record)
    assert verify_one(signed, zone_for(record)).word is DkimWord.PASS


TAGS = [
    b"v=1",
    b"a=rsa-sha256",
    b"b=AAAA",
    b"bh=AAAA",
    b"d=example.org",
    b"h=from",
    b"s=s",
    b"c=relaxed",
    b"l=1",
    b"t=0",
]


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(TAGS) | st.binary(max_size=12), max_size=14).map(b";".join) | st.binary(max_size=120),
    st.binary(max_size=60)
    | st.lists(st.sampled_from([b"v=DKIM1", b"p=MAA=", b"p=MIGf", b"k=rsa", b"k=ed25519"])).map(b";".join),
)
def test_no_signature_and_no_key_makes_it_raise(value: bytes, record: bytes) -> None:
    for result in verify(b"DKIM-Signature: " + value + b"\r\n" + MESSAGE, zone_for(record)):
        assert result.word is not DkimWord.PASS
        assert result.reason is not DkimReason.INTERNAL
        assert result.evidence.isascii()
        assert result.evidence.isprintable()
        assert re.fullmatch(r"[a-z0-9_.-]*", result.domain)
