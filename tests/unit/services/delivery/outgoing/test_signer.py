"""Whose mail is signed, with which keys, and that no key signs which DNS was not seen to have."""

import re
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from services.delivery.outgoing.keyring import Keys
from services.delivery.outgoing.publication import PROOF_HOLDS_S
from services.delivery.outgoing.signer import WAIT_FOR_DNS_S, CannotSignNow, Signer
from shared.dkim_keys import DkimKey, KeyAlgorithm, KeyBook, KeyState
from shared.dns.answer import Answer, DnsTemporary
from shared.envelope import Direction, Envelope, Proof
from shared.event import Facts
from tests.unit.services.delivery.envelopes import NOW, envelope_of
from tests.unit.services.delivery.outgoing.keys import key_of, record

MESSAGE = b"From: Joe <joe@example.org>\r\nTo: amy@example.net\r\n\r\nHello\r\n"
DAY_S = 86_400


class FakeDns:
    """Records by name; None does not answer."""

    def __init__(self, keys: Sequence[DkimKey] = ()) -> None:
        self.texts: dict[str, str | None] = {key.name: record(key) for key in keys}
        self.lookups = 0

    def cached(self, name: str, rdtype: str) -> Answer | None:
        return None

    async def lookup(self, name: str, rdtype: str) -> Answer:
        self.lookups += 1
        text = self.texts.get(name, "")
        if text is None:
            raise DnsTemporary(name, rdtype, "no answer")
        return Answer(name, rdtype, exists=bool(text), records=(text.encode(),) if text else ())


class House:
    """A signer with its keys, DNS and clock."""

    def __init__(self, *keys: DkimKey) -> None:
        self.dns = FakeDns(keys)
        self.keys = Keys()
        self.keys.take(KeyBook(1, keys))
        self.now = NOW
        self.signer = Signer(self.keys, self.dns, clock=lambda: self.now, monotonic=lambda: self.now)

    async def facts(self, message: bytes = MESSAGE, **changes: object) -> Facts | None:
        """Return what the trace is told."""
        signing = (await self.signer.sign(envelope(**changes), message)).signing
        return signing.facts() if signing is not None else None

    async def selectors(self, message: bytes = MESSAGE, **changes: object) -> list[str]:
        """Return the selectors that signed, and see that nothing else became of the message."""
        signed = (await self.signer.sign(envelope(**changes), message)).message
        assert signed.endswith(message)
        return [
            found.decode()
            for found in re.findall(rb" s=([^;]+);", signed.removesuffix(message).replace(b"\r\n\t", b" "))
        ]


def envelope(**changes: object) -> Envelope:
    return envelope_of(**({"direction": Direction.OUTBOUND, "proved": Proof.LOGIN} | changes))


@pytest.mark.parametrize(
    ("proved", "is_signed"),
    [
        (Proof.LOGIN, True),
        (Proof.RELAY_LIST, True),
        (Proof.CLIENT_CERTIFICATE, True),
        (Proof.GATEWAY, True),
        (Proof.SPF, False),
        (Proof.DKIM, False),
        (Proof.DMARC, False),
        (None, False),
    ],
)
async def test_only_mail_that_we_vouch_for_is_signed(proved: Proof | None, is_signed: bool) -> None:
    assert bool(await House(key_of("s")).selectors(proved=proved)) is is_signed


@pytest.mark.parametrize(
    ("header", "is_signed"),
    [
        (b"From: joe@example.org", True),
        (b"From: joe@EXAMPLE.org, amy@example.org", True),
        (b"From: joe@mail.example.org", True),
        (b"From: joe@example.net", False),
        (b"From: joe@example.org, eve@example.net", False),
        (b"From: joe@example.org\r\nFrom: joe@example.org", False),
        (b"From: joe@example.org <joe@example.net>", False),
        (b"From: joe", False),
        (b"To: joe@example.org", False),
        (b"From: joe@example.org\r\nno field", False),
    ],
)
async def test_only_a_plain_author_of_a_domain_with_keys_is_signed_for(header: bytes, is_signed: bool) -> None:
    assert bool(await House(key_of("s")).selectors(header + b"\r\n\r\nHello\r\n")) is is_signed


async def test_both_algorithms_sign_together() -> None:
    assert await House(key_of("ed"), key_of("rsa", KeyAlgorithm.RSA)).selectors() == ["rsa", "ed"]


async def test_without_keys_nothing_is_asked() -> None:
    house = House()
    assert await house.selectors() == []
    assert not house.dns.lookups


async def test_a_key_whose_record_is_absent_or_another_does_not_sign() -> None:
    house = House(key_of("ed"), key_of("rsa", KeyAlgorithm.RSA))
    house.dns.texts["rsa._domainkey.example.org"] = record(key_of("ed"))
    with capture_logs() as logs:
        assert await house.selectors() == ["ed"]
        assert await house.selectors() == ["ed"]
    told = [(line["name"], line["found"]) for line in logs if line["event"] == "dkim-key-not-published"]
    assert told == [("rsa._domainkey.example.org", "other-key")]
    house.dns.texts["ed._domainkey.example.org"] = ""
    assert await house.selectors() == []


async def test_a_retired_key_signs_while_the_record_of_the_new_one_is_not_there_yet() -> None:
    old = key_of("old", state=KeyState.RETIRED, keep_until=NOW + DAY_S)
    new = key_of("new")
    house = House(old, new)
    house.dns.texts[new.name] = ""
    assert await house.selectors() == ["old"]
    house.dns.texts[new.name] = record(new)
    assert await house.selectors() == ["new"]


async def test_a_retired_key_whose_record_is_about_to_go_signs_no_more() -> None:
    old = key_of("old", state=KeyState.RETIRED, keep_until=NOW + DAY_S)
    house = House(old, key_of("new"))
    house.dns.texts["new._domainkey.example.org"] = ""
    house.now = NOW + DAY_S - 1800
    assert await house.selectors() == []


async def test_while_dns_does_not_answer_the_last_proof_holds_for_a_day() -> None:
    house = House(key_of("s"))
    assert await house.selectors() == ["s"]
    house.dns.texts["s._domainkey.example.org"] = None
    house.now += PROOF_HOLDS_S
    assert await house.selectors() == ["s"]
    house.now += 1
    with pytest.raises(CannotSignNow, match="no answer"):
        await house.selectors(received_at=house.now)


async def test_what_was_disproved_is_not_proved_by_an_older_answer() -> None:
    house = House(key_of("s"))
    assert await house.selectors() == ["s"]
    house.dns.texts["s._domainkey.example.org"] = ""
    assert await house.selectors() == []
    house.dns.texts["s._domainkey.example.org"] = None
    with pytest.raises(CannotSignNow):
        await house.selectors()


async def test_mail_whose_keys_nobody_can_prove_waits_an_hour_and_then_leaves_unsigned() -> None:
    house = House(key_of("s"))
    house.dns.texts["s._domainkey.example.org"] = None
    with pytest.raises(CannotSignNow) as caught:
        await house.selectors(received_at=NOW - WAIT_FOR_DNS_S + 1)
    assert caught.value.reply.code == 451
    assert await house.selectors(received_at=NOW - WAIT_FOR_DNS_S) == []


async def test_one_algorithm_that_is_proved_is_enough() -> None:
    house = House(key_of("ed"), key_of("rsa", KeyAlgorithm.RSA))
    house.dns.texts["rsa._domainkey.example.org"] = None
    assert await house.selectors() == ["ed"]


async def test_a_new_key_of_the_same_name_needs_a_proof_of_its_own() -> None:
    house = House(key_of("s"))
    assert await house.selectors() == ["s"]
    house.keys.take(KeyBook(2, (key_of("s", KeyAlgorithm.RSA),)))
    assert await house.selectors() == []


async def test_a_large_body_is_hashed_apart_and_gives_the_same_digest() -> None:
    house = House(key_of("s"))
    large = MESSAGE + b"A line of  text \t\r\n" * 20_000
    signed = (await house.signer.sign(envelope(), large)).message
    small = (await house.signer.sign(envelope(), MESSAGE + b"A line of text\r\n" * 20_000)).message
    assert re.findall(rb"bh=[^;]+", signed) == re.findall(rb"bh=[^;]+", small)


# -- what the trace is told


async def test_the_trace_has_domain_selectors_and_algorithms() -> None:
    house = House(key_of("ed"), key_of("rsa", KeyAlgorithm.RSA))
    by = [{"selector": "rsa", "algorithm": "rsa"}, {"selector": "ed", "algorithm": "ed25519"}]
    below = b"From: joe@mail.example.org\r\n\r\nHello\r\n"
    assert await house.facts(below) == {"domain": "example.org", "by": by}


async def test_the_trace_says_which_keys_were_passed_over_and_why() -> None:
    new, other, old = (
        key_of("new"),
        key_of("other", KeyAlgorithm.RSA),
        key_of("old", state=KeyState.RETIRED, keep_until=NOW + DAY_S),
    )
    house = House(new, other, old)
    house.dns.texts |= {new.name: None, other.name: record(new)}
    assert await house.facts() == {
        "domain": "example.org",
        "by": [{"selector": "old", "algorithm": "ed25519"}],
        "passed": [{"selector": "other", "why": "other-key"}, {"selector": "new", "why": "no-answer"}],
    }
    house.dns.texts[new.name] = ""
    house.now += DAY_S - 1800
    passed = [("other", "other-key"), ("new", "absent"), ("old", "ending")]
    assert await house.facts() == {
        "domain": "example.org",
        "passed": [{"selector": selector, "why": why} for selector, why in passed],
        "unsigned": "unpublished",
    }


async def test_the_trace_says_why_mail_of_ours_is_not_signed() -> None:
    house = House(key_of("s"))
    author = b"From: joe\r\n\r\nHello\r\n"
    assert await house.facts(author) == {"unsigned": "author"}
    no_field = MESSAGE.replace(b"\r\n\r\n", b"\r\nno field\r\n\r\n")
    assert await house.facts(no_field) == {"unsigned": "header"}
    assert await house.facts(MESSAGE.replace(b"example.org", b"example.net")) == {
        "domain": "example.net",
        "unsigned": "no-keys",
    }
    assert await House().facts() == {"unsigned": "no-keys"}
    house.dns.texts["s._domainkey.example.org"] = None
    told = await house.facts(received_at=NOW - WAIT_FOR_DNS_S)
    assert told is not None
    assert told["unsigned"] == "no-answer"


async def test_the_trace_says_nothing_of_mail_that_is_not_ours_to_sign() -> None:
    assert await House(key_of("s")).facts(proved=Proof.SPF) is None
