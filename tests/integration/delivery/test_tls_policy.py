"""What a policy says of TLS, from the queue to the hop: who gets the mail, who does not, and what is told of it."""

from pathlib import Path

import pytest

from shared.event import EventKind
from shared.tls_seen import TlsResult
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.parts import Stage, envelope_for, route_policy
from tests.integration.delivery.tls_parts import HOST, Papers, papers
from tests.nexthop import NextHop

ZONE = """$ORIGIN x.test.
@ IN MX 10 first
@ IN MX 20 second
first IN A 127.0.0.1
second IN A 127.0.0.2
both IN A 127.0.0.1
both IN A 127.0.0.2
"""
VERIFIED = f'tls = "verified"\ntls_names = ["{HOST}"]\ntls_authority = "ca.pem"\n'


@pytest.fixture
def kinds(tmp_path: Path) -> Papers:
    return papers(tmp_path)


def _statuses(stage: Stage) -> list[str]:
    return [outcome["status"] for attempt in stage.events.of(EventKind.ATTEMPT) for outcome in attempt["outcomes"]]  # type: ignore[attr-defined]


def _by_mx(stage: MakeStage, folder: Path, port: int, more: str = "") -> Stage:
    (folder / "x.test.zone").write_text(ZONE)
    policy = f'[destinations."x.test"]\n{more or VERIFIED}' + route_policy("mx", "x.test")
    return stage(policy, zone_files=(folder / "x.test.zone",), mx_port=port)


@pytest.mark.parametrize(("kind", "status"), [("good", "delivered"), ("expired", "deferred"), ("stranger", "deferred")])
async def test_a_route_is_held_to_what_its_destination_says(
    kind: str, status: str, stage: MakeStage, kinds: Papers
) -> None:
    async with NextHop(tls=True, certificate=kinds.of(kind)) as hop:
        route = f"smtp://127.0.0.1:{hop.port}"
        one = stage(f'[destinations."{route}"]\n{VERIFIED}' + route_policy(route))
        await one.take(envelope_for())
        assert _statuses(one) == [status]
        (attempt,) = one.events.of(EventKind.ATTEMPT)
        if status == "delivered":
            assert attempt["security"] == "verified"
        else:
            assert "certificate" in str(attempt["outcomes"])
            assert not any(line.startswith("MAIL") for line in hop.said)


@pytest.mark.parametrize("kind", ["expired", "wrong-name", "self-signed", ""])
async def test_a_host_that_does_not_meet_the_demand_is_passed_over(
    kind: str, stage: MakeStage, kinds: Papers, tmp_path: Path
) -> None:
    first = NextHop(tls=bool(kind), certificate=kinds.of(kind) if kind else None)
    second = NextHop(tls=True, certificate=kinds.of("good"), address="127.0.0.2")
    async with first:
        second.port = first.port
        async with second:
            one = _by_mx(stage, tmp_path, first.port)
            await one.take(envelope_for("b@x.test"))
            assert _statuses(one) == ["delivered"]
            assert (len(first.mails), len(second.mails)) == (0, 1)
            assert not any(line.startswith("MAIL") for line in first.said)
            assert [seen.mx_host for seen in one.seen] == ["first.x.test", "second.x.test"]
            assert one.seen[0].result is not TlsResult.SUCCESS
            assert one.seen[1].result is TlsResult.SUCCESS


async def test_what_asks_for_requiretls_is_returned_where_no_host_keeps_it(stage: MakeStage, kinds: Papers) -> None:
    async with NextHop(tls=True, certificate=kinds.of("good")) as hop:
        route = f"smtp://127.0.0.1:{hop.port}"
        one = stage(f'[destinations."{route}"]\n{VERIFIED}' + route_policy(route))
        await one.take(envelope_for(requiretls=True))
        assert _statuses(one) == ["failed"]
        assert "5.7.30" in str(one.events.of(EventKind.FAILED)[0]["reply"])
        # A message that asks for less goes out.
        await one.take(envelope_for())
        assert _statuses(one) == ["failed", "delivered"]


async def test_a_kept_session_is_not_used_for_what_it_cannot_keep(stage: MakeStage, kinds: Papers) -> None:
    async with NextHop(tls=True, certificate=kinds.of("good"), after_tls=["REQUIRETLS"]) as hop:
        route = f"smtp://127.0.0.1:{hop.port}"
        more = 'tls_authority = "ca.pem"\n'
        one = stage(f'[destinations."{route}"]\n{more}' + route_policy(route))
        await one.take(envelope_for())
        await one.take(envelope_for(requiretls=True))
        # By an address, the certificate is for nobody: the first message did not ask.
        assert _statuses(one) == ["delivered", "failed"]
        assert hop.connections == 2


async def test_one_host_that_may_do_better_later_keeps_requiretls_waiting(
    stage: MakeStage, kinds: Papers, tmp_path: Path
) -> None:
    (tmp_path / "x.test.zone").write_text(ZONE)
    first = NextHop({"greeting": ["421 4.3.2 busy"]})
    second = NextHop(tls=True, certificate=kinds.of("good"), address="127.0.0.2")
    async with first:
        second.port = first.port
        async with second:
            route = f"smtp://both.x.test:{first.port}"
            one = stage(
                f'[destinations."{route}"]\n{VERIFIED}' + route_policy(route, "x.test"),
                zone_files=(tmp_path / "x.test.zone",),
            )
            await one.take(envelope_for("b@x.test", requiretls=True))
            assert _statuses(one) == ["deferred"]
            assert not second.mails


@pytest.mark.parametrize("more", ['tls = "off"\n', "dane = false\nmta_sts = false\n"])
async def test_nothing_is_told_of_a_domain_whose_own_policy_is_not_looked_for(
    more: str, stage: MakeStage, kinds: Papers, tmp_path: Path
) -> None:
    async with NextHop(tls=True, certificate=kinds.of("good")) as hop:
        one = _by_mx(stage, tmp_path, hop.port, more)
        await one.take(envelope_for("b@x.test"))
        assert (_statuses(one), one.seen) == (["delivered"], [])
