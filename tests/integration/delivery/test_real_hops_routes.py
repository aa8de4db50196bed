"""Routes, orders, aliases and MX through the whole service, from the text of the policy to the hop."""

from pathlib import Path

import pytest

from infra.local.ports import free_ports
from shared.event import EventKind
from shared.order import OrderKind
from tests.dnsserver import DnsServer, Records
from tests.integration.delivery.real_hops import Line, domain, quick_retries
from tests.nexthop import NextHop
from tests.rabbit import Rabbit

LATER = {"rcpt": ["451 4.3.0 later"]}


def _route(hop: NextHop) -> str:
    return f"smtp://127.0.0.1:{hop.port}"


async def test_a_dead_route_gives_way_to_the_next_in_the_same_attempt(rabbit: Rabbit, tmp_path: Path) -> None:
    (dead,) = free_ports(1)
    async with NextHop() as second, Line(rabbit, tmp_path) as line:
        routes = f'["smtp://127.0.0.1:{dead}", "{_route(second)}"]'
        await line.apply(f'[domains."a.test"]\nroute = {routes}\nrecipients = "any"\n')
        one = await line.send("x@a.test")
        await line.until(lambda: line.ends(one) == {"x@a.test": "delivered"})
        hops = [event.facts["hop"] for event in line.told(one, EventKind.ATTEMPT)]
        assert hops == [f"smtp://127.0.0.1:{dead}", _route(second)]
        assert not line.told(one, EventKind.RETRY)


async def test_routes_of_one_priority_share_by_weight(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as heavy, NextHop() as light, Line(rabbit, tmp_path) as line:
        routes = f'[{{ to = "{_route(heavy)}", weight = 4 }}, {{ to = "{_route(light)}" }}]'
        await line.apply(f'[domains."a.test"]\nroute = {routes}\nrecipients = "any"\n')
        ids = [await line.send("x@a.test") for _ in range(80)]
        await line.until(lambda: all(line.ends(one) for one in ids))
        assert len(heavy.mails) + len(light.mails) == 80
        assert len(heavy.mails) > len(light.mails) > 0


async def test_orders_by_id_domain_and_all_concern_what_waits(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop(LATER) as hop, NextHop() as other, NextHop() as senders, Line(rabbit, tmp_path) as line:
        names = ("cancel.test", "bounce.test", "reroute.test", "rest.test")
        tables = "".join(domain(name, _route(hop)) for name in names)
        await line.apply(quick_retries() + tables + domain("client.example", _route(senders)))
        ids = {name: await line.send(f"x@{name}") for name in names}
        await line.until(lambda: all(line.told(one, EventKind.RETRY) for one in ids.values()))
        await line.order(OrderKind.CANCEL, ids["cancel.test"])
        await line.order(OrderKind.BOUNCE, "bounce.test", why="moved")
        await line.order(OrderKind.REROUTE, "reroute.test", _route(other))
        ordered = ("cancel.test", "bounce.test", "reroute.test")
        await line.until(lambda: all(line.told(ids[name], EventKind.ORDERED) for name in ordered))
        await line.until(lambda: bool(senders.mails and other.mails))
        assert line.ends(ids["cancel.test"]) == {}
        assert line.ends(ids["bounce.test"]) == {"x@bounce.test": "failed"}
        assert line.ends(ids["reroute.test"]) == {"x@reroute.test": "delivered"}
        await line.order(OrderKind.BOUNCE, "all")
        await line.until(lambda: len(senders.mails) == 2)
        assert line.ends(ids["rest.test"]) == {"x@rest.test": "failed"}
        assert not line.told(ids["cancel.test"], EventKind.DSN_SENT)
        assert b"moved" in senders.mails[0].message


async def test_a_retry_is_tried_when_it_comes_by_before_its_time(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop({"rcpt": ["451 4.3.0 later", "250 ok"]}) as hop, Line(rabbit, tmp_path) as line:
        await line.apply("[retry]\nsteps_s = [12]\n" + domain("a.test", _route(hop)))
        one = await line.send("x@a.test")
        await line.until(lambda: bool(line.told(one, EventKind.RETRY)))
        await line.order(OrderKind.RETRY, one)
        await line.until(lambda: line.ends(one) == {"x@a.test": "delivered"})
        (told,) = line.told(one, EventKind.ORDERED)
        assert told.facts["order"] == "retry"
        # It waits on the rung of 5 s, and comes by there.
        (waiting,) = line.told(one, EventKind.RETRY)
        not_before = waiting.facts["not_before"]
        assert isinstance(not_before, float)
        assert told.at < not_before


async def test_a_suspended_hop_gets_nothing_until_it_is_resumed(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as hop, NextHop() as spare, Line(rabbit, tmp_path) as line:
        await line.order(OrderKind.SUSPEND, _route(hop))
        routes = f'["{_route(hop)}", "{_route(spare)}"]'
        await line.apply(
            f'[domains."two.test"]\nroute = {routes}\nrecipients = "any"\n' + domain("one.test", _route(hop))
        )
        two, one = await line.send("x@two.test"), await line.send("x@one.test")
        await line.until(lambda: bool(line.ends(two)) and bool(line.told(one, EventKind.RETRY)))
        assert (hop.connections, len(spare.mails)) == (0, 1)
        assert "suspended" in str(line.told(one, EventKind.RETRY)[0].facts["reason"])
        assert not line.told(one, EventKind.ATTEMPT)
        await line.order(OrderKind.RESUME, _route(hop))
        # Orders come on a stream of their own, and may be behind what is sent after them.
        after: list[str] = []
        while not hop.mails:
            after.append(await line.send("x@one.test"))
            await line.until(lambda: bool(line.ends(after[-1]) or line.told(after[-1], EventKind.RETRY)))
        assert line.ends(after[-1]) == {"x@one.test": "delivered"}


@pytest.mark.slow
async def test_what_waited_for_a_suspended_hop_goes_there_once_it_is_resumed(rabbit: Rabbit, tmp_path: Path) -> None:
    async with NextHop() as hop, Line(rabbit, tmp_path) as line:
        await line.order(OrderKind.SUSPEND, _route(hop))
        await line.apply(domain("one.test", _route(hop)))
        one = await line.send("x@one.test")
        await line.until(lambda: bool(line.told(one, EventKind.RETRY)))
        await line.order(OrderKind.RESUME, _route(hop))
        # It looks again after a minute.
        await line.until(lambda: line.ends(one) == {"x@one.test": "delivered"}, 120)
        assert len(hop.mails) == 1


async def test_forwarded_mail_leaves_by_srs_and_its_bounce_comes_back(rabbit: Rabbit, tmp_path: Path) -> None:
    zone = {
        "elsewhere.test": {"MX": "10 mx.elsewhere.test."},
        "mx.elsewhere.test": {"A": "127.0.0.2"},
        "client.example": {"A": "127.0.0.3"},
    }
    (port,) = free_ports(1)
    elsewhere = NextHop({"rcpt": ["250 ok", "550 5.1.1 gone"]}, address="127.0.0.2", port=port)
    senders = NextHop(address="127.0.0.3", port=port)
    async with DnsServer(zone) as dns, elsewhere as hop, senders, NextHop() as ours:
        settings = {"dns": {"nameservers": [dns.address]}, "allow_private_mx": True, "mx_port": port}
        async with Line(rabbit, tmp_path, **settings) as line:
            await line.apply(
                f'[domains."ours.test"]\nroute = "{_route(ours)}"\nrecipients = ["anna"]\n'
                'aliases.press = "agency@elsewhere.test"\ncatch_all = "anna"\n'
            )
            forwarded = await line.send("press@ours.test", "nobody@ours.test")
            await line.until(lambda: len(line.ends(forwarded)) == 2)
            assert line.ends(forwarded) == {"agency@elsewhere.test": "delivered", "anna@ours.test": "delivered"}
            sender = hop.mails[0].mail.partition("<")[2].partition(">")[0]
            assert sender.lower().startswith("srs0=")
            assert sender.endswith("@ours.test")
            # The bounce of a later refusal there, as edge takes it.
            await line.send(sender, sender="", proved=None)
            await senders.until(lambda: len(senders.mails) == 1)
            assert senders.mails[0].rcpts == ["RCPT TO:<a@client.example>"]
            # Refused at once.
            await line.send("press@ours.test")
            await senders.until(lambda: len(senders.mails) == 2)
            assert senders.mails[1].rcpts[0].startswith("RCPT TO:<a@client.example>")
            assert b"5.1.1" in senders.mails[1].message


_ZONE: Records = {
    "order.test": {"MX": ["10 dead.test.", "20 two.test."]},
    "equal.test": {"MX": ["10 two.test.", "10 three.test."]},
    "implicit.test": {"A": "127.0.0.2"},
    "six.test": {"MX": "10 mx6.test."},
    "mx6.test": {"AAAA": "::1"},
    "null.test": {"MX": "0 ."},
    "loop.test": {"MX": ["10 gate.example.", "20 two.test."]},
    "dead.test": {"A": "127.0.0.9"},
    "two.test": {"A": "127.0.0.2"},
    "three.test": {"A": "127.0.0.3"},
}


async def test_mx_is_followed_as_the_standards_say(rabbit: Rabbit, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with (
        DnsServer(_ZONE) as dns,
        NextHop(address="127.0.0.2", port=port) as two,
        NextHop(address="127.0.0.3", port=port) as three,
        NextHop(address="::1", port=port) as six,
        NextHop() as senders,
        Line(rabbit, tmp_path, dns={"nameservers": [dns.address]}, allow_private_mx=True, mx_port=port) as line,
    ):
        await line.apply("[delivery]\nmessages_per_connection = 1\n" + domain("client.example", _route(senders)))
        names = ("order.test", "implicit.test", "six.test", "null.test", "loop.test")
        ids = {name: await line.send(f"x@{name}") for name in names}
        equal = [await line.send("x@equal.test") for _ in range(30)]
        await line.until(lambda: all(line.ends(one) for one in (*ids.values(), *equal)))
        ends = {name: line.ends(one)[f"x@{name}"] for name, one in ids.items()}
        assert ends == dict.fromkeys(names[:3], "delivered") | dict.fromkeys(names[3:], "failed")
        assert [len(six.mails), len(two.mails) + len(three.mails)] == [1, 32]
        assert len(two.mails) > 2
        assert three.mails
        await senders.until(lambda: len(senders.mails) == 2)
        told = b"".join(mail.message for mail in senders.mails)
        assert all(code in told for code in (b"5.1.10", b"5.4.6"))


async def test_dns_leads_no_mail_to_private_hosts(rabbit: Rabbit, tmp_path: Path) -> None:
    async with DnsServer(_ZONE) as dns, NextHop(address="127.0.0.2") as two, NextHop() as senders:
        settings = {"dns": {"nameservers": [dns.address]}, "mx_port": two.port}
        async with Line(rabbit, tmp_path, **settings) as line:
            await line.apply(domain("client.example", _route(senders)))
            one = await line.send("x@implicit.test")
            await senders.until(lambda: len(senders.mails) == 1)
            await line.until(lambda: bool(line.ends(one)))
            assert line.ends(one) == {"x@implicit.test": "failed"}
            assert (two.connections, b"5.4.4" in senders.mails[0].message) == (0, True)
