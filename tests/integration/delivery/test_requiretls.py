"""REQUIRETLS outward: kept by the next host, or the message goes to none."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from services.delivery.client.session import HopUnreachable, Session
from services.delivery.client.target import Speech, Target
from services.delivery.outcome import Status
from services.delivery.tls.securing import Securing, TlsImpossible
from services.delivery.tls.sts import StsPolicies
from services.delivery.tls.sts_fetch import PolicyFetcher
from shared.dns.answer import Answer
from shared.policy.destination import DeliveryRules
from shared.state.memory import MemoryState
from tests.integration.delivery.tls_parts import Papers, at, papers, send, session_with
from tests.nexthop import NextHop


class Silence:
    """A DNS in which nothing exists."""

    async def lookup(self, name: str, rdtype: str) -> Answer:
        return Answer(name, rdtype, exists=False)

    def cached(self, name: str, rdtype: str) -> Answer | None:
        return Answer(name, rdtype, exists=False)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return papers(tmp_path_factory.mktemp("papers"))


async def _open(target: Target, kinds: Papers, *, tls: str = "opportunistic", requiretls: bool = True) -> Session:
    rules = DeliveryRules.model_validate({"tls": tls, "tls_authority": "ca.pem"})
    sts = StsPolicies(Silence(), MemoryState(), PolicyFetcher(Silence(), lambda _: True))
    demand = await Securing(Silence(), sts).demand_for(target, rules, requiretls=requiretls)
    return await session_with(target, demand, kinds.folder)


def hop_with(kinds: Papers, kind: str = "good", after_tls: Sequence[str] = ("REQUIRETLS",)) -> NextHop:
    return NextHop(tls=True, certificate=kinds.of(kind), after_tls=after_tls)


async def test_the_next_host_is_told_to_keep_it(kinds: Papers) -> None:
    async with hop_with(kinds) as hop:
        session = await _open(at(hop.port, named_securely=True), kinds)
        assert session.security == "verified"
        assert (await send(session, requiretls=True)).status is Status.DELIVERED
        assert hop.mails[0].mail.endswith(" REQUIRETLS")


async def test_a_host_that_does_not_offer_it_gets_nothing(kinds: Papers) -> None:
    async with hop_with(kinds, after_tls=()) as hop:
        with pytest.raises(HopUnreachable) as caught:
            await _open(at(hop.port, named_securely=True), kinds)
        assert str(caught.value.final).startswith("550 5.7.30 ")
        assert not any(line.startswith("MAIL") for line in hop.said)


@pytest.mark.parametrize("kind", ["expired", "wrong-name", "self-signed", "stranger"])
async def test_a_host_that_is_not_proven_gets_nothing(kind: str, kinds: Papers) -> None:
    async with hop_with(kinds, kind) as hop:
        with pytest.raises(HopUnreachable) as caught:
            await _open(at(hop.port, named_securely=True), kinds)
        assert str(caught.value.final).startswith("550 5.7.10 ")


@pytest.mark.parametrize(
    "script",
    [{}, {"starttls": ["502 5.5.1 what?"], "ehlo": ["250-hop.example\r\n250 STARTTLS"]}],
    ids=["none", "refused"],
)
async def test_a_host_without_tls_gets_nothing(script: dict[str, list[str]], kinds: Papers) -> None:
    async with NextHop(script) as hop:
        with pytest.raises(HopUnreachable) as caught:
            await _open(at(hop.port, named_securely=True), kinds)
        assert str(caught.value.final).startswith("550 5.7.10 ")


async def test_a_host_that_is_busy_may_do_better_later(kinds: Papers) -> None:
    async with NextHop({"greeting": ["421 4.3.2 busy"]}) as hop:
        with pytest.raises(HopUnreachable) as caught:
            await _open(at(hop.port, named_securely=True), kinds)
        assert caught.value.final is None
    async with NextHop({"starttls": ["454 4.7.0 not now"]}, tls=True) as hop:
        with pytest.raises(HopUnreachable) as caught:
            await _open(at(hop.port, named_securely=True), kinds)
        assert caught.value.final is None


async def test_a_host_that_only_an_unproven_mx_names_gets_nothing(kinds: Papers) -> None:
    with pytest.raises(TlsImpossible) as caught:
        await _open(at(25, domain="hop.test"), kinds)
    assert str(caught.value.final).startswith("550 5.7.10 ")


async def test_a_hop_without_tls_by_policy_gets_nothing(kinds: Papers) -> None:
    with pytest.raises(TlsImpossible) as caught:
        await _open(at(25, named_securely=True), kinds, tls="off")
    assert str(caught.value.final).startswith("550 5.7.10 ")


async def test_a_session_that_was_opened_without_it_does_not_carry_it(kinds: Papers) -> None:
    async with hop_with(kinds, "self-signed") as hop:
        session = await _open(at(hop.port, named_securely=True), kinds, requiretls=False)
        assert str((await send(session, requiretls=True)).reply).startswith("550 5.7.30 ")
        assert not hop.mails


async def test_a_socket_of_this_host_needs_no_tls(kinds: Papers, tmp_path: Path) -> None:
    async with NextHop(lmtp=True, path=str(tmp_path / "lmtp")) as hop:
        target = Target(Speech.LMTP, "localhost", path=hop.path, named_securely=True)
        session = await _open(target, kinds, tls="verified")
        assert (await send(session, requiretls=True)).status is Status.DELIVERED
        assert "REQUIRETLS" not in hop.mails[0].mail
