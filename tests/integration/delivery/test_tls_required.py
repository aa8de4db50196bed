"""`TLS-Required: No`, from the queue to the hop: it goes in spite of what the domain publishes, and of a broken STARTTLS;
and what a notice about mail with REQUIRETLS is spared."""

import time
from pathlib import Path

import pytest

from services.delivery.tls.sts_policy import encode_policy, parse_policy_file
from shared.event import EventKind
from tests.integration.delivery.conftest import MakeStage
from tests.integration.delivery.parts import MESSAGE, Stage, envelope_for, route_policy
from tests.integration.delivery.tls_parts import HOST, Papers, papers
from tests.nexthop import NextHop

WAIVES = b"TLS-Required: No\r\n" + MESSAGE
ZONE = "$ORIGIN x.test.\n@ IN MX 10 mx\nmx IN A 127.0.0.1\n"
ENFORCED = b"version: STSv1\nmode: enforce\nmx: mx.x.test\nmax_age: 86400\n"
BROKEN = {"starttls": ["454 4.7.0 TLS is out of order"]}


@pytest.fixture
def kinds(tmp_path: Path) -> Papers:
    return papers(tmp_path)


def _attempts(stage: Stage) -> list[tuple[str, str]]:
    return [
        (attempt["outcomes"][0]["status"], str(attempt["security"]))  # type: ignore[index]
        for attempt in stage.events.of(EventKind.ATTEMPT)
    ]


async def _enforced(stage: MakeStage, folder: Path, port: int, rules: str = "") -> Stage:
    """Return a stage that has a policy of MTA-STS for `x.test` which the hop does not meet."""
    (folder / "x.test.zone").write_text(ZONE)
    policy = f"[delivery]\n{rules}" + route_policy("mx", "x.test")
    one = stage(policy, zone_files=(folder / "x.test.zone",), mx_port=port)
    await one.state.put("sts:x.test", encode_policy(parse_policy_file(ENFORCED, "1", time.time())), 3600)
    return one


async def test_it_goes_in_spite_of_mta_sts_and_no_other_mail_does(
    stage: MakeStage, kinds: Papers, tmp_path: Path
) -> None:
    async with NextHop(tls=True, certificate=kinds.of("self-signed")) as hop:
        one = await _enforced(stage, tmp_path, hop.port)
        await one.take(envelope_for("b@x.test"), WAIVES)
        # STARTTLS is used where it works; the session is no proof of what the domain asks for, so no report has it.
        assert _attempts(one) == [("delivered", "opportunistic")]
        assert (hop.mails[0].tls, one.seen) == (True, [])
        # Not even on the session that stands open.
        await one.take(envelope_for("b@x.test"))
        assert _attempts(one)[1] == ("deferred", "")
        assert (len(hop.mails), len(one.seen)) == (1, 1)


async def test_an_administrator_may_have_it_ignored(stage: MakeStage, kinds: Papers, tmp_path: Path) -> None:
    async with NextHop(tls=True, certificate=kinds.of("self-signed")) as hop:
        one = await _enforced(stage, tmp_path, hop.port, 'tls_required_no = "ignore"\n')
        await one.take(envelope_for("b@x.test"), WAIVES)
        assert _attempts(one) == [("deferred", "")]
        assert not hop.mails


async def test_a_starttls_that_fails_does_not_hold_it_up(stage: MakeStage, tmp_path: Path) -> None:
    async with NextHop(BROKEN, tls=True) as hop:
        one = await _enforced(stage, tmp_path, hop.port)
        await one.take(envelope_for("b@x.test"), WAIVES)
        assert _attempts(one) == [("delivered", "none")]
        assert (hop.mails[0].tls, hop.connections) == (False, 2)


async def test_tls_that_the_policy_demands_is_not_waived(stage: MakeStage) -> None:
    async with NextHop(BROKEN, tls=True) as hop:
        route = f"smtp://127.0.0.1:{hop.port}"
        one = stage(f'[destinations."{route}"]\ntls = "required"\n' + route_policy(route))
        await one.take(envelope_for(), WAIVES)
        assert _attempts(one) == [("deferred", "")]
        assert (hop.mails, hop.connections) == ([], 1)


@pytest.mark.parametrize("offered", [("REQUIRETLS",), ()], ids=["offered", "not offered"])
async def test_a_notice_keeps_requiretls_where_its_way_back_does_and_goes_without_it_elsewhere(
    offered: tuple[str, ...], stage: MakeStage, kinds: Papers
) -> None:
    verified = f'tls = "verified"\ntls_names = ["{HOST}"]\ntls_authority = "ca.pem"\n'
    async with NextHop(tls=True, certificate=kinds.of("good"), after_tls=offered) as hop:
        route = f"smtp://127.0.0.1:{hop.port}"
        one = stage(f'[destinations."{route}"]\n{verified}' + route_policy(route))
        await one.take(envelope_for(sender="", requiretls=True))
        assert _attempts(one) == [("delivered", "verified")]
        assert hop.mails[0].mail.endswith(" REQUIRETLS") is bool(offered)
