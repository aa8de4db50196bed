"""DANE, with records in a zone that bind9 signs and validates, towards servers that match them or do not."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.delivery.client.session import HopUnreachable, Session
from services.delivery.client.target import Target
from services.delivery.mx import Exchangers
from services.delivery.outcome import Status
from services.delivery.tls.securing import Securing, TlsImpossible
from services.delivery.tls.sts import StsPolicies
from services.delivery.tls.sts_fetch import PolicyFetcher
from shared.dns.answer import DnsTemporary
from shared.dns.resolver import CachingResolver
from shared.policy.destination import DeliveryRules
from shared.state.memory import MemoryState
from shared.tls_seen import PolicyType, TlsResult
from tests.bind import MISSING, bind
from tests.certificates import Signed, signed, written
from tests.integration.delivery.tls_parts import send, session_with
from tests.nexthop import NextHop

pytestmark = pytest.mark.skipif(MISSING, reason="bind9 is not installed")

ZONE, PLAIN = "signed.test", "plain.test"
AUTHORITY = signed("an authority", authority=True)
LEAF = signed("a leaf", "leaf.test", days=-1)
OTHER = signed("another", "other.test")
BOGUS = "cc" * 32


def _der(pair: Signed) -> bytes:
    return pair[0].public_bytes(Encoding.DER)


def _key(pair: Signed) -> bytes:
    return pair[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _tlsa(usage: int, selector: int, matching: int, pair: Signed) -> str:
    octets = _key(pair) if selector else _der(pair)
    digest = {0: octets, 1: hashlib.sha256(octets).digest(), 2: hashlib.sha512(octets).digest()}[matching]
    return f"{usage} {selector} {matching} {digest.hex()}"


# Domain below the zone: the TLSA records of its host.
RECORDS = {
    "ee": [_tlsa(3, 1, 1, LEAF)],
    "ee-sha512": [_tlsa(3, 0, 2, LEAF)],
    "ee-whole": [_tlsa(3, 0, 0, LEAF)],
    "ee-other": [_tlsa(3, 1, 1, OTHER)],
    "rollover": [_tlsa(3, 1, 1, OTHER), _tlsa(3, 1, 1, LEAF)],
    "weak-digest": [_tlsa(3, 1, 2, OTHER), _tlsa(3, 1, 1, LEAF)],
    "ta": [_tlsa(2, 0, 1, AUTHORITY)],
    "ta-key": [_tlsa(2, 1, 2, AUTHORITY)],
    "ta-whole": [_tlsa(2, 0, 0, AUTHORITY)],
    "pkix": [_tlsa(1, 1, 1, OTHER), _tlsa(0, 1, 1, OTHER)],
    "unknown": ["3 1 9 abcd"],
    "none": [],
    "bogus": [f"3 1 1 {BOGUS}"],
}


def _zone() -> str:
    lines = []
    for domain, records in RECORDS.items():
        lines += [f"{domain} IN MX 10 mx.{domain}", f"mx.{domain} IN A 127.0.0.1"]
        lines += [f"_25._tcp.mx.{domain} IN TLSA {record}" for record in records]
    lines += [
        "aliased IN MX 10 alias",
        "alias IN CNAME mx.ee",
        f"_25._tcp.alias IN TLSA {_tlsa(3, 1, 1, OTHER)}",
        f"hosted IN MX 10 mx.{PLAIN}.",
        "half IN MX 10 outward",
        f"outward IN CNAME mx.{PLAIN}.",
        f"_25._tcp.outward IN TLSA {_tlsa(3, 1, 1, LEAF)}",
        "bare IN A 127.0.0.1",
        f"_25._tcp.bare IN TLSA {_tlsa(3, 1, 1, LEAF)}",
        f"_2500._tcp.smart IN TLSA {_tlsa(3, 1, 1, LEAF)}",
    ]
    return "\n".join(lines) + "\n"


PLAIN_ZONE = f"""@ IN MX 10 mx
mx IN A 127.0.0.1
_25._tcp.mx IN TLSA {_tlsa(3, 1, 1, OTHER)}
"""


@pytest.fixture(scope="module")
def nameserver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bind")
    zones = {ZONE: _zone(), PLAIN: PLAIN_ZONE}
    # The record that the signature is for has gone from the signed file: what stands there now is nobody's.
    with bind(folder, zones, signed=[ZONE], forge={BOGUS.upper()[:40]: "D" * 40}) as address:
        yield address


@dataclass
class Way:
    """From a domain to a session."""

    resolver: CachingResolver
    folder: Path

    async def target(self, domain: str, port: int = 25) -> Target:
        exchangers = Exchangers(self.resolver, "gate.test", allow_private=True, port=port)
        (target,) = await exchangers.targets(domain)
        return target

    async def open(self, domain: str, hop: NextHop, rules: DeliveryRules | None = None) -> Session:
        target = await self.target(domain, hop.port)
        sts = StsPolicies(self.resolver, MemoryState(), PolicyFetcher(self.resolver, lambda _: True))
        demand = await Securing(self.resolver, sts).demand_for(target, rules or DeliveryRules(), requiretls=False)
        await sts.close()
        return await session_with(target, demand, self.folder)


@pytest.fixture
async def way(nameserver: str, tmp_path: Path) -> AsyncIterator[Way]:
    resolver = CachingResolver([nameserver])
    yield Way(resolver, tmp_path)
    await resolver.close()


def _shown(folder: Path, *pairs: Signed) -> Path:
    return written(folder / "shown.pem", *pairs)


@pytest.mark.parametrize("domain", ["ee", "ee-sha512", "ee-whole", "rollover", "aliased", "half", "bare"])
async def test_a_certificate_that_a_record_names_is_the_right_one(domain: str, way: Way) -> None:
    # RFC 7672 §3.1.1: whatever its name, its dates, and who signed it.
    async with NextHop(tls=True, certificate=_shown(way.folder, LEAF)) as hop:
        session = await way.open(f"{domain}.{ZONE}", hop)
        assert session.security == "dane"
        assert session.seen is not None
        assert (session.seen.policy.kind, session.seen.result) == (PolicyType.TLSA, TlsResult.SUCCESS)
        assert (await send(session)).status is Status.DELIVERED
        assert hop.mails[0].tls


@pytest.mark.parametrize(("domain", "base"), [("ee", "mx.ee"), ("aliased", "mx.ee"), ("half", "outward")])
async def test_the_policy_of_a_report_is_that_of_the_name_at_which_the_records_stand(
    domain: str, base: str, way: Way
) -> None:
    async with NextHop(tls=True, certificate=_shown(way.folder, LEAF)) as hop:
        session = await way.open(f"{domain}.{ZONE}", hop)
        assert session.seen is not None
        assert session.seen.policy.domain == f"{base}.{ZONE}"
        session.wire.abort("done")


@pytest.mark.parametrize("domain", ["ee-other", "weak-digest", "ta"])
async def test_a_certificate_that_no_record_names_gets_nothing(domain: str, way: Way) -> None:
    async with NextHop(tls=True, certificate=_shown(way.folder, LEAF)) as hop:
        with pytest.raises(HopUnreachable) as caught:
            await way.open(f"{domain}.{ZONE}", hop)
        assert caught.value.seen is not None
        assert caught.value.seen.result is TlsResult.FAILED
        assert caught.value.seen.policy.strings
        assert not any(line.startswith("MAIL") for line in hop.said)


async def test_a_host_with_records_and_no_starttls_gets_nothing(way: Way) -> None:
    async with NextHop() as hop:
        with pytest.raises(HopUnreachable) as caught:
            await way.open(f"ee.{ZONE}", hop)
        assert caught.value.tls_failure is not None
        assert caught.value.tls_failure.result is TlsResult.STARTTLS_NOT_SUPPORTED


@pytest.mark.parametrize("domain", ["ta", "ta-key", "ta-whole"])
@pytest.mark.parametrize("named", ["host", "domain"])
async def test_a_certificate_by_the_authority_that_a_record_names_is_the_right_one(
    domain: str, named: str, way: Way
) -> None:
    name = f"mx.{domain}.{ZONE}" if named == "host" else f"{domain}.{ZONE}"
    chain = [signed("mx", name, by=AUTHORITY), *([] if domain == "ta-whole" else [AUTHORITY])]
    async with NextHop(tls=True, certificate=_shown(way.folder, *chain)) as hop:
        session = await way.open(f"{domain}.{ZONE}", hop)
        assert session.security == "dane"
        assert hop.asked_for == [f"mx.{domain}.{ZONE}"]
        session.wire.abort("done")


@pytest.mark.parametrize(
    ("chain", "result"),
    [
        ([signed("mx", "mx.away.test", by=AUTHORITY), AUTHORITY], TlsResult.HOST_MISMATCH),
        ([signed("mx", f"mx.ta.{ZONE}", by=AUTHORITY, days=-1), AUTHORITY], TlsResult.EXPIRED),
        # Shown beside it, but it has signed nothing here.
        ([signed("mx", f"mx.ta.{ZONE}"), AUTHORITY], TlsResult.FAILED),
        # A digest alone does not tell the authority's key.
        ([signed("mx", f"mx.ta.{ZONE}", by=AUTHORITY)], TlsResult.FAILED),
    ],
    ids=["wrong-name", "expired", "signed-by-another", "authority-not-shown"],
)
async def test_with_an_authority_name_dates_and_signatures_count(
    chain: list[Signed], result: TlsResult, way: Way
) -> None:
    async with NextHop(tls=True, certificate=_shown(way.folder, *chain)) as hop:
        with pytest.raises(HopUnreachable) as caught:
            await way.open(f"ta.{ZONE}", hop)
        assert caught.value.tls_failure is not None
        assert caught.value.tls_failure.result is result


@pytest.mark.parametrize("domain", ["pkix", "unknown"])
async def test_records_of_no_use_still_mean_no_plain_text(domain: str, way: Way) -> None:
    async with NextHop(tls=True, certificate=_shown(way.folder, LEAF)) as hop:
        session = await way.open(f"{domain}.{ZONE}", hop)
        assert session.security == "required"
        assert session.seen is not None
        assert session.seen.result is TlsResult.TLSA_INVALID
        session.wire.abort("done")
    async with NextHop() as hop:
        with pytest.raises(HopUnreachable):
            await way.open(f"{domain}.{ZONE}", hop)


async def test_records_that_are_forged_keep_the_mail_back(way: Way) -> None:
    async with NextHop(tls=True, certificate=_shown(way.folder, LEAF)) as hop:
        with pytest.raises(DnsTemporary):
            await way.open(f"bogus.{ZONE}", hop)
        assert not hop.connections


@pytest.mark.parametrize("domain", [f"none.{ZONE}", f"hosted.{ZONE}", PLAIN])
async def test_where_dnssec_proves_no_record_there_is_none(domain: str, way: Way) -> None:
    async with NextHop(tls=True, certificate=_shown(way.folder, LEAF)) as hop:
        session = await way.open(domain, hop)
        assert session.security == "opportunistic"
        session.wire.abort("done")


async def test_a_policy_that_wants_dane_uses_no_host_without(way: Way) -> None:
    rules = DeliveryRules.model_validate({"tls": "dane"})
    async with NextHop(tls=True, certificate=_shown(way.folder, LEAF)) as hop:
        session = await way.open(f"ee.{ZONE}", hop, rules)
        assert session.security == "dane"
        session.wire.abort("done")
        for domain in (f"none.{ZONE}", f"pkix.{ZONE}", PLAIN):
            with pytest.raises(TlsImpossible) as caught:
                await way.open(domain, hop, rules)
            assert caught.value.tls_failure.result is TlsResult.DANE_REQUIRED


async def test_dane_makes_a_policy_that_wants_an_authority_no_weaker(way: Way) -> None:
    rules = DeliveryRules.model_validate({"tls": "verified"})
    async with NextHop(tls=True, certificate=_shown(way.folder, LEAF)) as hop:
        with pytest.raises(HopUnreachable):
            await way.open(f"ee.{ZONE}", hop, rules)


async def test_dane_that_is_switched_off_is_not_asked_for(way: Way) -> None:
    async with NextHop() as hop:
        session = await way.open(f"ee-other.{ZONE}", hop, DeliveryRules.model_validate({"dane": False}))
        assert session.security == "none"
        session.wire.abort("done")


async def test_answers_say_what_is_proven(way: Way) -> None:
    signed_one, plain_one = await asyncio.gather(way.target(f"ee.{ZONE}"), way.target(PLAIN))
    assert (signed_one.named_securely, signed_one.secure) == (True, True)
    assert (plain_one.named_securely, plain_one.secure) == (False, False)
    mixed = await way.target(f"hosted.{ZONE}")
    assert (mixed.named_securely, mixed.secure) == (True, False)
