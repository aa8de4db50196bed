"""Looking at the routes of a domain: what each kind of server shows, and that it gets no mail for it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from services.delivery import route_check
from services.delivery.client.session import Session, Speech, Target, open_session
from services.delivery.client.terms import SessionTerms, Source
from services.delivery.mx import NoHost
from services.delivery.route import Hop
from services.delivery.route_check import RouteChecker
from services.delivery.secrets import Secrets
from services.delivery.tls.demand import TlsDemand
from shared.dns.answer import DnsTemporary
from shared.policy import DeliveryRules, parse_policy
from shared.reply import Reply
from shared.wire_route_check import HostSeen, Reached, RouteAnswer, RouteQuestion
from shared.wire_verify import VerifyResult
from tests.integration.delivery.parts import route_policy
from tests.integration.delivery.tls_parts import HOST, papers
from tests.nexthop import DISCONNECT, HANG, NextHop, Step

QUESTION = RouteQuestion("id", "key", "example.org")


def checker(folder: Path, *targets: Target, failure: Exception | None = None) -> RouteChecker:
    """Return one whose hops have these targets."""

    async def found(_hop: Hop) -> list[Target]:
        if failure is not None:
            raise failure
        return list(targets)

    async def opened(_hop: Hop, target: Target, rules: DeliveryRules) -> Session:
        demand = TlsDemand(rules.tls, names=(target.host,), authority=rules.tls_authority)
        terms = SessionTerms(Source("gate.example"), rules.connect_timeout_s, demand, rules.auth)
        return await open_session(target, terms, 1e12, Secrets(folder))

    return RouteChecker("gate.example", folder, found, opened)


def target_of(hop: NextHop, host: str = HOST) -> Target:
    if hop.path:
        return Target(Speech.LMTP, "localhost", path=hop.path)
    return Target(Speech.SMTP, host, "127.0.0.1", hop.port)


async def seen(folder: Path, hop: NextHop, more: str = "") -> HostSeen:
    policy = parse_policy(route_policy("smtp://mx.hop.test:25", more=more))
    (route,) = (await checker(folder, target_of(hop)).check(QUESTION, policy)).routes
    (host,) = route.hosts
    return host


async def test_a_host_that_is_well_shows_its_tls_its_certificate_and_its_postmaster(tmp_path: Path) -> None:
    files = papers(tmp_path)
    async with NextHop(tls=True, certificate=files.of("good")) as hop:
        host = await seen(tmp_path, hop, '[delivery]\ntls = "verified"\ntls_authority = "ca.pem"\n')
        assert (host.reached, host.postmaster, host.names) == (Reached.YES, VerifyResult.TAKEN, (HOST,))
        assert host.tls.startswith("TLSv1.")
        assert host.security == "verified"
        assert host.certificate is not None
        assert host.certificate.names == (HOST,)
        assert hop.said[-4:-1] == ["MAIL FROM:<>", "RCPT TO:<postmaster@example.org>", "RSET"]
        assert not hop.mails


async def test_an_expired_certificate_is_shown_though_it_keeps_mail_away(tmp_path: Path) -> None:
    files = papers(tmp_path)
    async with NextHop(tls=True, certificate=files.of("expired")) as hop:
        host = await seen(tmp_path, hop, '[delivery]\ntls = "verified"\ntls_authority = "ca.pem"\n')
        assert host.reached is Reached.NO
        assert "expired" in host.cause
        assert host.certificate is not None
        assert host.certificate.not_after < host.certificate.not_before + 2 * 86_400
        assert not any(line.startswith("MAIL") for line in hop.said)


@pytest.mark.parametrize(
    ("script", "reached", "postmaster", "words"),
    [
        ({"rcpt": ["550 5.1.1 no such user"]}, Reached.YES, VerifyResult.REFUSED, "no such user"),
        ({"rcpt": ["450 4.2.1 later"]}, Reached.YES, VerifyResult.UNKNOWN, "later"),
        ({"mail": ["550 5.7.1 no null sender"]}, Reached.YES, VerifyResult.UNKNOWN, "no null sender"),
        ({"mail": [DISCONNECT]}, Reached.YES, VerifyResult.UNKNOWN, "closed"),
        ({"greeting": ["554 5.3.2 not you"]}, Reached.REFUSED, VerifyResult.UNKNOWN, "not you"),
        ({"greeting": [DISCONNECT]}, Reached.NO, VerifyResult.UNKNOWN, "closed"),
        ({"greeting": [HANG]}, Reached.NO, VerifyResult.UNKNOWN, "no answer within"),
    ],
)
async def test_what_a_host_says_is_told(
    script: dict[str, Sequence[Step]],
    reached: Reached,
    postmaster: VerifyResult,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if script == {"greeting": [HANG]}:
        monkeypatch.setattr(route_check, "_HOST_S", 0.3)
        monkeypatch.setattr(route_check, "_LOOK_S", 0.3)
    async with NextHop(script) as hop:
        host = await seen(tmp_path, hop)
        assert (host.reached, host.postmaster) == (reached, postmaster)
        assert words in host.cause + host.reply


async def test_a_socket_is_spoken_to_in_lmtp(tmp_path: Path) -> None:
    async with NextHop(lmtp=True, path=str(tmp_path / "lmtp")) as hop:
        assert (await seen(tmp_path, hop)).postmaster is VerifyResult.TAKEN
        assert hop.said[0].startswith("LHLO")


async def test_each_host_of_a_route_is_told(tmp_path: Path) -> None:
    async with NextHop() as first, NextHop({"greeting": ["421 4.3.2 later"]}) as second:
        policy = parse_policy(route_policy("mx"))
        answer = await checker(tmp_path, target_of(first), target_of(second)).check(QUESTION, policy)
        assert [host.reached for host in answer.routes[0].hosts] == [Reached.YES, Reached.REFUSED]
        assert answer.our_name == "gate.example"


async def test_a_login_that_fails_keeps_us_from_the_host_and_the_look_gives_no_secret_away(tmp_path: Path) -> None:
    files = papers(tmp_path)
    (tmp_path / "password").write_text("secret")
    (tmp_path / "password").chmod(0o600)
    login = '[delivery]\ntls = "verified"\ntls_authority = "ca.pem"\nauth = { login = "us", secret = "password" }\n'
    async with NextHop(tls=True, certificate=files.of("good")) as hop:
        host = await seen(tmp_path, hop, login)
        assert host.reached is not Reached.YES
        assert host.certificate is not None
        assert not any(line.startswith("AUTH") for line in hop.said)


@pytest.mark.parametrize(
    ("failure", "temporary", "words"),
    [
        (DnsTemporary("example.org", "MX", "SERVFAIL"), True, "SERVFAIL"),
        (NoHost(Reply(556, "5.1.10", "null MX")), False, "null MX"),
        (RuntimeError("odd"), True, "odd"),
    ],
)
async def test_a_route_that_leads_to_no_host_says_why(
    failure: Exception, temporary: bool, words: str, tmp_path: Path
) -> None:
    answer = await checker(tmp_path, failure=failure).check(QUESTION, parse_policy(route_policy("mx")))
    assert (answer.routes[0].temporary, words in answer.routes[0].problem) == (temporary, True)


async def test_a_maildir_is_looked_at_where_it_would_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    async def look(path: str) -> RouteAnswer:
        return await checker(tmp_path).check(QUESTION, parse_policy(route_policy(f"maildir:{path}")))

    assert (await look("mail/deep")).routes[0].problem == ""
    assert "no folder" in (await look("file/deep")).routes[0].problem


async def test_a_domain_that_is_not_ours_leads_to_nobody(tmp_path: Path) -> None:
    async with NextHop() as hop:
        policy = parse_policy(route_policy("mx", domain="other.example"))
        answer = await checker(tmp_path, target_of(hop)).check(QUESTION, policy)
        assert (answer.routes, bool(answer.problem), hop.connections) == ((), True, 0)
