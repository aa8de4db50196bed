"""A pool with addresses of both IP versions is warmed up by the address that each message leaves from."""

import datetime as dt
import socket
from pathlib import Path

import pytest

from shared.broker.topology import Exchange
from shared.event import EventKind
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.parts import envelope_for, route_policy
from tests.nexthop import NextHop

pytestmark = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this host has no IPv6")


def _policy(route: str, addresses: str) -> str:
    begin = dt.datetime.now(dt.UTC).date()
    return (
        f'[destinations."{route}"]\ninterface = "out"\n[interfaces.out]\naddresses = [{addresses}]\n'
        f"warm_up = {{ begin = {begin}, per_day = [1] }}\n" + route_policy(route, "x.test")
    )


async def test_an_address_that_no_host_of_the_hop_can_be_reached_from_bounds_nothing(stage: MakeStage) -> None:
    async with NextHop() as hop:
        route = f"smtp://127.0.0.1:{hop.port}"
        one = stage(_policy(route, '"127.0.0.5", "127.0.0.6", "::1"'))
        for _ in range(20):
            await one.take(envelope_for("b@x.test"))
        went = [attempt["source"] for attempt in one.events.of(EventKind.ATTEMPT)]
        assert sorted(map(str, went)) == ["127.0.0.5", "127.0.0.6"]
        assert len(one.publisher.to(Exchange.DELIVERY_RETRY)) == 18


async def test_a_host_is_reached_by_the_other_ip_version_where_one_has_had_its_share(
    stage: MakeStage, tmp_path: Path
) -> None:
    (tmp_path / "x.test.zone").write_text("$ORIGIN x.test.\nmx IN A 127.0.0.1\nmx IN AAAA ::1\n")
    first, second = NextHop(), NextHop(address="::1")
    async with first:
        second.port = first.port
        async with second:
            route = f"smtp://mx.x.test:{first.port}"
            one = stage(_policy(route, '"127.0.0.5", "::1"'), zone_files=(tmp_path / "x.test.zone",))
            for _ in range(3):
                await one.take(envelope_for("b@x.test"))
            assert (len(first.mails), len(second.mails)) == (1, 1)
            (waiting,) = one.publisher.to(Exchange.DELIVERY_RETRY)
            assert "no more than" in waiting.envelope.retry.last_reply
