"""ARC over chains that dkimpy sealed."""

import base64
import re
import time
from collections.abc import Callable

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given, settings
from hypothesis import strategies as st

from services.content.auth import arc as module
from services.content.auth.arc import evaluate_arc
from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.auth.arcset import MAX_SETS
from services.content.auth.digests import BodyDigests
from shared.auth.canon import relaxed_field
from shared.auth.message import split_message
from shared.dns.replay import NeedLookup
from tests.cpu_time import least_cpu_s
from tests.unit.services.content.auth.signing import MESSAGE, rsa_keys, seal, sealed, sign
from tests.unit.shared.auth.zone import Zone

DOMAINS = ("one.test", "two.test", "three.test")
SPLIT = len(MESSAGE.partition(b"\r\n\r\n")[0]) + 4


def key_at(domain: str) -> tuple[str, str]:
    return f"s._domainkey.{domain}", "TXT"


def zone_for(*domains: str) -> Zone:
    return Zone({key_at(domain): (rsa_keys()[1],) for domain in domains or DOMAINS})


def verify(message: bytes, zone: Zone | None = None, author: str | None = "example.org") -> ArcResult:
    split = split_message(message)
    return evaluate_arc(split, author, BodyDigests(split.body), zone or zone_for(), time.time())


def dkimpys_word(message: bytes) -> str:
    # None stands for a chain that has ended, which is a failed one.
    cv, _, _ = dkimpy.arc_verify(message, dnsfunc=lambda name, timeout=5: rsa_keys()[1])
    return (cv or b"fail").decode()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_chain_that_dkimpy_sealed_passes(count: int) -> None:
    message = sealed(*DOMAINS[:count])
    result = verify(message)
    assert (result.word, result.sealers) == (ArcWord.PASS, DOMAINS[:count]), result.evidence
    assert result.dmarc_passed
    assert dkimpys_word(message) == "pass"


def test_without_arc_fields_nothing_is_asked() -> None:
    zone = zone_for()
    assert verify(sign(), zone).word is ArcWord.NONE
    assert not zone.asked


def test_a_message_whose_dkim_broke_on_the_way_keeps_its_chain() -> None:
    # A list that adds a footer and seals what it made of the message.
    changed = sign().replace(b"this is it", b"this is it, says the list")
    assert verify(seal(changed, results="dkim=pass; dmarc=pass header.from=example.org")).dmarc_passed


CHAIN = sealed(*DOMAINS)


def without(kind: bytes, instance: int, message: bytes = CHAIN) -> bytes:
    return re.sub(rb"(?im)^%b: ?i=%d;.*?\r\n(?![ \t])" % (kind, instance), b"", message, count=1, flags=re.DOTALL)


def replaced(old: bytes, new: bytes, message: bytes = CHAIN) -> bytes:
    assert old in message
    return message.replace(old, new, 1)


TAMPERED: dict[str, Callable[[], bytes]] = {
    "a changed body": lambda: replaced(b"Hello  Amy", b"Hello  Eve"),
    "a changed signed field": lambda: replaced(b"Subject: a", b"Subject: b"),
    "a second From": lambda: b"From: eve@evil.test\r\n" + CHAIN,
    "changed results of the oldest": lambda: replaced(b"dmarc=pass header.from=example.org", b"dmarc=pass header.from=evil.test"),
    "changed results of the newest": lambda: replaced(b"arc=pass", b"arc=none"),
    "no results": lambda: without(b"ARC-Authentication-Results", 1),
    "no message signature": lambda: without(b"ARC-Message-Signature", 2),
    "no seal": lambda: without(b"ARC-Seal", 2),
    "no newest set": lambda: without(b"ARC-Seal", 3, without(b"ARC-Message-Signature", 3, without(b"ARC-Authentication-Results", 3))) + b"more\r\n",
    "no set in the middle": lambda: without(b"ARC-Seal", 2, without(b"ARC-Message-Signature", 2, without(b"ARC-Authentication-Results", 2))),
    "a doubled seal": lambda: CHAIN[: CHAIN.index(b"ARC-Message-Signature")] + CHAIN,
    "a changed seal": lambda: re.sub(rb"(ARC-Seal: i=1;.*?b=)...", rb"\1AAA", CHAIN, count=1, flags=re.DOTALL),
    "a seal of another": lambda: re.sub(rb"(ARC-Seal: i=2;.*?d=)two.test", rb"\1one.test", CHAIN, count=1, flags=re.DOTALL),
    "a first set with cv=pass": lambda: replaced(b"cv=none", b"cv=pass"),
    "a later set with cv=none": lambda: replaced(b"cv=pass", b"cv=none"),
    "a newest set with cv=fail": lambda: replaced(b"cv=pass", b"cv=fail"),
    "an instance of nought": lambda: replaced(b"ARC-Seal: i=3", b"ARC-Seal: i=0"),
    "no instance": lambda: replaced(b"ARC-Seal: i=3;", b"ARC-Seal:"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_a_chain_that_was_tampered_with_fails_as_dkimpy_says_too(name: str) -> None:
    message = TAMPERED[name]()
    assert message != CHAIN
    result = verify(message)
    assert (result.word, result.sealers, result.dmarc_passed) == (ArcWord.FAIL, (), False)
    if name not in ("an instance of nought", "no instance"):  # dkimpy leaves such fields out, or dies of them
        assert dkimpys_word(message) == "fail"


def test_a_handler_who_saw_a_failed_chain_ends_it() -> None:
    message = seal(sealed("one.test").replace(b"Hello  Amy", b"Hello  Eve"), domain="two.test", results="arc=fail")
    result = verify(message)
    assert (result.word, result.evidence) == (ArcWord.FAIL, "the chain had failed when set 2 was added")


def test_dns_that_fails_is_a_temperror_whichever_key_is_asked_for() -> None:
    for domain in DOMAINS:
        zone = zone_for()
        zone.broken = {key_at(domain)}
        assert verify(CHAIN, zone).word is ArcWord.TEMPERROR


def test_a_missing_lookup_flies_through() -> None:
    with pytest.raises(NeedLookup):
        verify(CHAIN, Zone(missing={key_at("three.test")}))


@pytest.mark.parametrize(
    "records", [(), (b"v=DKIM1; p=",), (b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",)]
)
def test_a_sealer_without_a_usable_key_breaks_the_chain(records: tuple[bytes, ...]) -> None:
    zone = zone_for()
    zone.records[key_at("two.test")] = records
    assert verify(CHAIN, zone).word is ArcWord.FAIL


def test_no_more_than_ten_sets_are_examined() -> None:
    domains = [f"d{number}.test" for number in range(MAX_SETS + 1)]
    zone = zone_for(*domains)
    assert verify(sealed(*domains[:-1]), zone).word is ArcWord.PASS
    zone.asked.clear()
    assert verify(sealed(*domains), zone).word is ArcWord.FAIL
    assert not zone.asked


@pytest.mark.parametrize("filler", [b"\t \t" * 70_000, b"a  " * 70_000, b"\r\n " * 70_000])
def test_huge_fields_in_a_long_chain_are_little_work(filler: bytes) -> None:
    domains = [f"d{number}.test" for number in range(MAX_SETS)]
    chain = sealed(*domains).replace(b"dmarc=pass header", b"dmarc=pass " + filler + b"header", 1)
    # All of it is one turn of the event loop, or several while keys are missing.
    assert least_cpu_s(lambda: verify(chain, zone_for(*domains))) < 0.1


def resealed(message: bytes, cv: bytes) -> bytes:
    """Return a message of one set, with that set sealed anew by its own key, but with another word of the chain."""
    split = split_message(message)
    seal_of, message_of, results_of = split.fields[:3]
    tags = re.sub(rb"cv=[a-z]+", b"cv=" + cv, seal_of.value[: seal_of.value.rindex(b"b=") + 2])
    bare = seal_of._replace(value=tags)
    key = load_pem_private_key(rsa_keys()[0], None)
    assert isinstance(key, RSAPrivateKey)
    data = b"\r\n".join(map(relaxed_field, (results_of, message_of, bare)))
    signature = base64.b64encode(key.sign(data, PKCS1v15(), SHA256()))
    return b"ARC-Seal:" + tags + signature + message[message.index(b"\r\nARC-Message-Signature") :]


@pytest.mark.parametrize(
    "cv, word", [(b"none", ArcWord.PASS), (b"pass", ArcWord.FAIL), (b"fail", ArcWord.FAIL), (b"x", ArcWord.FAIL)]
)
def test_the_first_set_says_none_of_the_chain_before_it_however_well_it_is_sealed(cv: bytes, word: ArcWord) -> None:
    assert verify(resealed(seal(), cv)).word is word


def test_a_message_signature_covers_no_seal() -> None:
    covering = seal(sealed("one.test"), domain="two.test", results="arc=pass", include_headers=[b"from", b"arc-seal"])
    assert "covers a seal" in verify(covering).evidence


def test_a_from_that_was_not_sealed_breaks_the_chain() -> None:
    once = seal(include_headers=[b"from"])
    assert verify(once).word is ArcWord.PASS
    assert verify(b"From: eve@evil.test\r\n" + once).word is ArcWord.FAIL


def test_a_chain_that_is_dated_in_the_future_fails() -> None:
    assert verify(seal(timestamp=int(time.time()) + 100_000)).word is ArcWord.FAIL


def test_a_seal_that_names_fields_fails() -> None:
    assert "names fields" in verify(replaced(b"ARC-Seal: i=3;", b"ARC-Seal: i=3; h=from;")).evidence


def test_a_part_of_the_body_is_not_enough() -> None:
    # Whoever sealed with l= would let anyone add to the message.
    signature = replaced(b"ARC-Message-Signature: i=3;", b"ARC-Message-Signature: i=3; l=1;")
    assert verify(signature).word is ArcWord.FAIL


def test_a_header_that_cannot_be_read_is_not_verified() -> None:
    assert verify(b"broken line\r\n" + CHAIN).evidence.startswith("not examined")


def test_an_error_of_ours_is_a_temperror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "relaxed_field", lambda _: 1 / 0)
    assert verify(CHAIN).word is ArcWord.TEMPERROR


def test_a_dmarc_pass_counts_for_the_author_alone() -> None:
    assert not verify(CHAIN, author="other.test").dmarc_passed
    assert not verify(CHAIN, author=None).dmarc_passed
    # What a later handler saw is not what the author's domain gave away.
    assert not verify(seal(seal(results="dmarc=fail header.from=example.org"), domain="two.test", results="arc=pass; dmarc=pass header.from=example.org")).dmarc_passed  # fmt: skip


def essence(message: bytes) -> list[bytes]:
    """Return what a chain vouches for in the header: relaxed fields, and what the newest seal's base64 stands for."""
    newest, *others = [field for field in split_message(message).fields if field.key.startswith(b"arc-")]
    value = re.search(rb"[;\s]b\s*=([^;]*)", newest.value)
    assert value is not None
    return [
        relaxed_field(newest._replace(value=newest.value.replace(value[1], b""))),
        base64.b64decode(re.sub(rb"\s", b"", value[1])),
        *map(relaxed_field, others),
    ]


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(CHAIN) - len(MESSAGE) - 1), st.binary(max_size=3))
def test_nothing_makes_it_raise_and_no_change_of_what_is_sealed_passes(at: int, new: bytes) -> None:
    changed = CHAIN[:at] + new + CHAIN[at + 1 :]
    if verify(changed).word is ArcWord.PASS:
        assert essence(changed) == essence(CHAIN)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"]),
            st.text("i=123; cv=nopassfail b=d=s=h=:", max_size=60),
        ),
        max_size=9,
    )
)
def test_any_fields_give_a_result(fields: list[tuple[bytes, str]]) -> None:
    message = b"".join(b"%b: %b\r\n" % (name, value.encode()) for name, value in fields) + MESSAGE
    assert verify(message).word is (ArcWord.FAIL if fields else ArcWord.NONE)
