"""What delivery's settings, and keys of the policy that only the whole service obeys, change for a message."""

from pathlib import Path

import pytest

from infra.local.ports import free_ports
from shared.broker.topology import Key, Queue
from shared.event import EventKind
from tests.dnsserver import DnsServer, Records
from tests.integration.console.test_recorder import waiting
from tests.integration.delivery.real_hops import Line, domain
from tests.nexthop import HANG, NextHop
from tests.rabbit import Rabbit

_ZONE: Records = {"two.test": {"A": "127.0.0.2"}, "three.test": {"A": "127.0.0.3"}}
_FORWARDS = '[domains."ours.test"]\nroute = "maildir:mail"\nrecipients = ["anna"]\naliases.eve = "eve@three.test"\n'


def _route(hop: NextHop) -> str:
    return f"smtp://127.0.0.1:{hop.port}"


@pytest.mark.parametrize("own", [True, False])
async def test_addresses_secrets_and_folders_are_those_of_the_settings(
    own: bool, rabbit: Rabbit, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    settings: dict[str, object] = {"allow_private_mx": True, "mx_port": port}
    if own:
        settings |= {"own_addresses": ["127.0.0.2"], "source_address": "127.0.0.7", "rewriting_secrets": []}
        settings |= {"data_dir": tmp_path / "data"}
    async with (
        DnsServer(_ZONE) as dns,
        NextHop(address="127.0.0.2", port=port) as two,
        NextHop(address="127.0.0.3", port=port) as three,
        Line(rabbit, tmp_path, dns={"nameservers": [dns.address]}, **settings) as line,
    ):
        await line.apply(_FORWARDS)
        to = ("x@two.test", "x@three.test", "anna@ours.test", "eve@ours.test")
        near, direct, kept, forwarded = [await line.send(recipient) for recipient in to]
        await line.until(lambda: all(line.ends(one) for one in (near, direct, kept)))
        await line.until(lambda: bool(line.ends(forwarded) or line.told(forwarded, EventKind.RETRY)))
        assert line.ends(near)["x@two.test"] == ("failed" if own else "delivered")
        assert line.told(direct, EventKind.ATTEMPT)[0].facts["source"] == ("127.0.0.7" if own else "")
        assert len(list((tmp_path / ("data" if own else "") / "mail/ours.test/anna/new").iterdir())) == 1
        assert [len(two.mails), len(three.mails)] == ([0, 1] if own else [1, 2])
        if own:
            assert "5.4.6" in str(line.told(near, EventKind.FAILED)[0].facts["reply"])
            assert "rewriting_secrets" in str(line.told(forwarded, EventKind.RETRY)[0].facts["reason"])
        else:
            assert any("<SRS0=" in mail.mail for mail in three.mails)


@pytest.mark.parametrize("enabled", ["true", "false"])
async def test_what_tls_was_like_is_told_where_reports_are_on(enabled: str, rabbit: Rabbit, tmp_path: Path) -> None:
    async with DnsServer(_ZONE) as dns, NextHop(address="127.0.0.2") as two:
        settings = {"dns": {"nameservers": [dns.address]}, "allow_private_mx": True, "mx_port": two.port}
        async with Line(rabbit, tmp_path, **settings) as line:
            await line.apply(f"tls_reports.enabled = {enabled}\n")
            one = await line.send("x@two.test")
            await line.until(lambda: bool(line.ends(one)))
            seen = [event.facts["domain"] for event in line.events if event.kind is EventKind.TLS_SEEN]
            assert seen == (["two.test"] if enabled == "true" else [])


@pytest.mark.parametrize(("key", "queue"), [(Key.DELIVERY, Queue.DELIVERY), (Key.AGAIN, Queue.DELIVERY_AGAIN)])
async def test_so_many_messages_are_under_way_as_the_settings_say(
    key: Key, queue: Queue, rabbit: Rabbit, tmp_path: Path
) -> None:
    """One that has waited does not take the place of a new one, nor a new one that of one that has waited."""
    settings = {"prefetch": 1, "again_prefetch": 1}
    # The hops go first, so that nothing is under way when the service ends.
    async with Line(rabbit, tmp_path, **settings) as line, NextHop({"message": [HANG]}) as slow, NextHop() as quick:
        await line.apply(domain("slow.test", _route(slow)) + domain("quick.test", _route(quick)))
        await line.send("x@slow.test", key=key)
        await slow.until(lambda: len(slow.mails) == 1)
        held = await line.send("x@quick.test", key=key)
        other = Key.AGAIN if key is Key.DELIVERY else Key.DELIVERY
        passes = await line.send("x@quick.test", key=other)
        await line.until(lambda: line.ends(passes) == {"x@quick.test": "delivered"})
        assert (await waiting(rabbit, queue), len(quick.mails), line.told(held)) == (1, 1, [])


@pytest.mark.parametrize(("memory_bytes", "waits"), [(1_048_576, True), (2_097_152, False)])
async def test_so_many_octets_are_under_way_as_the_settings_say(
    memory_bytes: int, waits: bool, rabbit: Rabbit, tmp_path: Path
) -> None:
    large = b"a: b\r\n\r\n" + (b"x" * 70 + b"\r\n") * 12_500
    settings = {"memory_bytes": memory_bytes}
    async with Line(rabbit, tmp_path, **settings) as line, NextHop({"message": [HANG]}) as slow, NextHop() as quick:
        await line.apply(domain("slow.test", _route(slow)) + domain("quick.test", _route(quick)))
        await line.send("x@slow.test", message=large)
        await slow.until(lambda: len(slow.mails) == 1)
        second = await line.send("x@quick.test", message=large)
        await line.until(lambda: bool(line.told(second, EventKind.RETRY, EventKind.DELIVERED)))
        assert bool(line.told(second, EventKind.RETRY)) is waits
