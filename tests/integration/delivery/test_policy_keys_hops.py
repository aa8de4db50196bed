"""Each key about hops: another value, and another thing that a real hop sees. The rest of them: test_auth, test_dane."""

import asyncio
import datetime as dt
import hashlib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from shared.broker.topology import Exchange
from shared.event import EventKind
from shared.tls_seen import PolicyType, TlsResult
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.parts import Stage, delivery_of, envelope_for, route_policy
from tests.integration.delivery.tls_parts import HOST, Papers, papers
from tests.nexthop import HANG, NextHop

VERIFIED = f'tls = "verified"\ntls_names = ["{HOST}"]\n'
ZONE = '$ORIGIN x.test.\n@ MX 10 mx\nmx A 127.0.0.1\nmta-sts A 127.0.0.1\n_mta-sts TXT "v=STSv1; id=1;"\n'


def _policy(hop: NextHop, keys: str, more: str = "", kind: str = "smtp") -> str:
    route = f"{kind}://127.0.0.1:{hop.port}"
    return f'[destinations."{route}"]\n{keys}\n{more}' + route_policy(route)


def _waiting(one: Stage) -> list[str]:
    return [message.envelope.retry.last_reply for message in one.publisher.to(Exchange.DELIVERY_RETRY)]


def _statuses(one: Stage) -> list[str]:
    return [outcome["status"] for attempt in one.events.of(EventKind.ATTEMPT) for outcome in attempt["outcomes"]]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return papers(tmp_path_factory.mktemp("papers"))


@pytest.mark.parametrize("limit", [1, 2])
async def test_connections_per_hop(limit: int, stage: MakeStage) -> None:
    async with NextHop({"message": [HANG]}) as hop:
        one = stage(_policy(hop, f"connections_per_hop = {limit}"))
        handling = [asyncio.create_task(one.consumer.handle(delivery_of(envelope_for()))) for _ in range(2)]
        await hop.until(lambda: len(hop.mails) == limit)
        if limit == 1:
            await asyncio.wait(handling, return_when=asyncio.FIRST_COMPLETED)
            assert "waiting" in _waiting(one)[0]
        assert hop.connections == limit
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)


@pytest.mark.parametrize(("limit", "connections"), [(1, 3), (2, 2), (100, 1)])
async def test_messages_per_connection(limit: int, connections: int, stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(_policy(hop, f"messages_per_connection = {limit}"))
        for _ in range(3):
            await one.take(envelope_for())
        assert (len(hop.mails), hop.connections) == (3, connections)


@pytest.mark.parametrize(("limit", "parts"), [(1, [1, 1, 1]), (2, [2, 1]), (3, [])])
async def test_recipients_per_transaction(limit: int, parts: list[int], stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(_policy(hop, f"recipients_per_transaction = {limit}"))
        await one.take(envelope_for("a@example.org", "b@example.org", "c@example.org"))
        assert [len(part.envelope.recipients) for part in one.publisher.to(Exchange.DELIVERY)] == parts
        assert [len(mail.rcpts) for mail in hop.mails] == ([] if parts else [3])


@pytest.mark.parametrize(("rate", "taken"), [("1/h", 1), ("2/h", 2), ("unlimited", 3)])
async def test_rate(rate: str, taken: int, stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage('[delivery]\nrate = "1/h"\n' + _policy(hop, f'rate = "{rate}"'))
        for _ in range(3):
            await one.take(envelope_for())
        assert len(hop.mails) == taken
        assert _waiting(one) == [f"waiting for its turn: no more than {rate} go there"] * (3 - taken)


@pytest.mark.parametrize("timeout_s", [0.1, 0.4])
async def test_connect_timeout_s(timeout_s: float, stage: MakeStage) -> None:
    # A host that speaks no TLS waits for our greeting, and we for its handshake.
    async with NextHop({"greeting": [HANG]}) as hop:
        one = stage(_policy(hop, f"connect_timeout_s = {timeout_s}", kind="smtps"))
        await one.take(envelope_for())
        assert f"no connection within {timeout_s:g} s" in _waiting(one)[0]


@pytest.mark.parametrize(("idle_s", "connections"), [(0, 2), (0.05, 2), (60, 1)])
async def test_idle_timeout_s(idle_s: float, connections: int, stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(_policy(hop, f"idle_timeout_s = {idle_s}"))
        await one.take(envelope_for())
        if connections == 2:
            await hop.until(lambda: hop.said[-1] == "QUIT")
        await one.take(envelope_for())
        assert hop.connections == connections


def _fingerprint(file: Path) -> str:
    octets = x509.load_pem_x509_certificate(file.read_bytes()).public_bytes(Encoding.DER)
    return hashlib.sha256(octets).hexdigest()


@pytest.mark.parametrize(
    ("keys", "kind", "security"),
    [
        ('tls = "off"', "good", "none"),
        ('tls = "opportunistic"', "", "none"),
        ('tls = "opportunistic"', "self-signed", "opportunistic"),
        ('tls = "required"', "self-signed", "required"),
        ('tls = "required"', "", None),
        (VERIFIED + 'tls_authority = "ca.pem"', "good", "verified"),
        (VERIFIED + 'tls_authority = "stranger.pem"', "good", None),
        (VERIFIED.replace(HOST, "other.test") + 'tls_authority = "ca.pem"', "good", None),
        (VERIFIED, "good", None),
        ('tls = "fingerprint"\ntls_fingerprints = ["good"]', "good", "fingerprint"),
        ('tls = "fingerprint"\ntls_fingerprints = ["wildcard", "good"]', "good", "fingerprint"),
        ('tls = "fingerprint"\ntls_fingerprints = ["wildcard"]', "good", None),
    ],
)  # fmt: skip
async def test_tls_and_what_goes_with_it(
    keys: str, kind: str, security: str | None, stage: MakeStage, kinds: Papers
) -> None:
    for name in ("good", "wildcard"):
        keys = keys.replace(f'"{name}"', f'"{_fingerprint(kinds.of(name))}"')
    async with NextHop(tls=bool(kind), certificate=kinds.of(kind) if kind else None) as hop:
        one = stage(_policy(hop, keys), secrets=kinds.folder)
        await one.take(envelope_for())
        assert _statuses(one) == (["deferred"] if security is None else ["delivered"])
        if security is not None:
            assert one.events.of(EventKind.ATTEMPT)[0]["security"] == security


@pytest.mark.parametrize(
    ("keys", "names"), [("", []), ('client_certificate = "client.pem"', ["Tests", "client.gate.test"])]
)
async def test_client_certificate(keys: str, names: list[str], stage: MakeStage, kinds: Papers) -> None:
    async with NextHop(tls=True, certificate=kinds.of("good"), clients=kinds.of("ca")) as hop:
        one = stage(_policy(hop, keys), secrets=kinds.folder)
        await one.take(envelope_for())
        assert hop.client_names == names
        assert _statuses(one) == (["delivered"] if names else ["deferred"])


@pytest.mark.parametrize(
    ("keys", "status", "published"),
    [
        ("", "delivered", PolicyType.STS),
        ("mta_sts = false", "delivered", PolicyType.NONE),
        ('tls = "dane"', "deferred", PolicyType.NONE),
    ],
)
async def test_what_a_domain_publishes(
    keys: str, status: str, published: PolicyType, stage: MakeStage, tmp_path: Path
) -> None:
    """Here a record that says that there is a policy, which nobody serves; and no TLSA record."""
    zone = tmp_path / "x.test.zone"
    zone.write_text(ZONE)
    async with NextHop(tls=True) as hop:
        one = stage(f'[destinations."x.test"]\n{keys}\n', zone_files=(zone,), mx_port=hop.port)
        await one.take(envelope_for("b@x.test"))
        assert _statuses(one) == [status]
        (seen,) = one.seen
        assert seen.policy.kind is published
        # A host that is not even spoken to is told of all the same.
        assert (seen.result is TlsResult.DANE_REQUIRED) is (status == "deferred")


OUT = '[interfaces.out]\naddresses = ["127.0.0.5"]\nhostname = "out.test"\n'


@pytest.mark.parametrize(
    ("keys", "more", "source", "name"),
    [
        ("", "", "", "gate.example"),
        ('interface = "out"', OUT, "127.0.0.5", "out.test"),
        ('interface = "out"', OUT.replace("127.0.0.5", "127.0.0.6"), "127.0.0.6", "out.test"),
        ('interface = "out"', OUT.replace('hostname = "out.test"\n', ""), "127.0.0.5", "gate.example"),
        ("", OUT + 'senders = ["@client.example"]\n', "127.0.0.5", "out.test"),
        ("", OUT + 'senders = ["a@client.example"]\n', "127.0.0.5", "out.test"),
        ("", OUT + 'senders = ["b@client.example"]\n', "", "gate.example"),
    ],
)  # fmt: skip
async def test_interfaces(keys: str, more: str, source: str, name: str, stage: MakeStage) -> None:
    async with NextHop() as hop:
        one = stage(_policy(hop, keys, more))
        await one.take(envelope_for())
        assert hop.said[0] == f"EHLO {name}"
        assert one.events.of(EventKind.ATTEMPT)[0]["source"] == source


@pytest.mark.parametrize(
    ("begun_days_ago", "per_day", "taken"),
    [(0, [1, 2], 1), (1, [1, 2], 2), (2, [1, 2], 3), (-5, [1, 2], 1), (0, [2], 2)],
)
async def test_a_new_address_is_warmed_up(
    begun_days_ago: int, per_day: list[int], taken: int, stage: MakeStage
) -> None:
    begin = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=begun_days_ago)
    async with NextHop() as hop:
        warm_up = f"warm_up = {{ begin = {begin}, per_day = {per_day} }}\n"
        one = stage(_policy(hop, 'interface = "out"', OUT + warm_up))
        for _ in range(3):
            await one.take(envelope_for())
        assert (len(hop.mails), len(_waiting(one))) == (taken, 3 - taken)


@pytest.mark.parametrize(
    ("lifetime_s", "notice_s", "told"),
    [(3600, 600, EventKind.FAILED), (7200, 600, EventKind.RETRY), (7200, 7200, EventKind.RETRY)],
)
async def test_the_times_of_retry(lifetime_s: int, notice_s: int, told: EventKind, stage: MakeStage) -> None:
    async with NextHop({"rcpt": ["451 4.3.0 later"]}) as hop:
        retry = f"[retry]\nlifetime_s = {lifetime_s}\ndelay_notice_after_s = {notice_s}\n"
        one = stage(_policy(hop, "", retry))
        await one.take(envelope_for(received_at=dt.datetime.now(dt.UTC).timestamp() - 5000))
        assert len(one.events.of(told)) == 1
        actions = [sent["action"] for sent in one.events.of(EventKind.DSN_SENT)]
        assert actions == (["failed"] if lifetime_s == 3600 else ["delayed"] if notice_s == 600 else [])


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
async def test_the_lowest_priority_is_tried_first(first: int, second: int, stage: MakeStage) -> None:
    async with NextHop() as one_hop, NextHop() as other_hop:
        routes = ", ".join(
            f'{{ to = "smtp://127.0.0.1:{hop.port}", priority = {priority} }}'
            for hop, priority in ((one_hop, first), (other_hop, second))
        )
        one = stage(f'[domains."example.org"]\nroute = [{routes}]\nrecipients = "any"\n')
        for _ in range(3):
            await one.take(envelope_for())
        assert [len(one_hop.mails), len(other_hop.mails)] == ([3, 0] if first < second else [0, 3])


async def test_a_group_has_the_keys_of_its_domains(stage: MakeStage) -> None:
    async with NextHop() as common, NextHop() as own:
        one = stage(
            f'[groups.some]\nroute = "smtp://127.0.0.1:{common.port}"\nrecipients = "any"\naliases.a = "b"\n'
            '[domains."example.org"]\ngroup = "some"\n'
            f'[domains."own.test"]\ngroup = "some"\nroute = "smtp://127.0.0.1:{own.port}"\n'
        )
        for recipient in ("a@example.org", "a@own.test"):
            await one.take(envelope_for(recipient))
        assert [mail.rcpts for mail in common.mails] == [["RCPT TO:<b@example.org>"]]
        assert [mail.rcpts for mail in own.mails] == [["RCPT TO:<b@own.test>"]]
