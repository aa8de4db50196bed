"""What is made of delivery's answer."""

import pytest

from services.console.domain_check.check import Check, Level
from services.console.domain_check.route import judge_routes
from shared.wire_route_check import CertificateSeen, HostSeen, Reached, RouteAnswer, RouteSeen
from shared.wire_verify import VerifyResult

NOW = 1_800_000_000.0
DAY = 86_400.0
TAKEN = VerifyResult.TAKEN


def certificate(*names: str, begins: float = NOW - DAY, ends: float = NOW + 90 * DAY) -> CertificateSeen:
    return CertificateSeen("CN=mail.a.test", "CN=authority", names, begins, ends, "ab" * 32, self_signed=False)


def seen(host: HostSeen, tls: str = "opportunistic") -> RouteAnswer:
    return RouteAnswer("id", "a.test", "gate.example", (RouteSeen("smtp://mail.a.test:25", tls, (host,)),))


def the_first(answer: RouteAnswer) -> Check:
    return judge_routes(answer, NOW)[0]


def of(**facts: object) -> HostSeen:
    values: dict[str, object] = {"reached": Reached.YES, "postmaster": TAKEN, "names": ("mail.a.test",)}
    return HostSeen("mail.a.test [192.0.2.1]:25", **(values | facts))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("host", "tls", "level", "words"),
    [
        (of(), "opportunistic", Level.OK, "plain text"),
        (of(tls="TLSv1.3", certificate=certificate("mail.a.test")), "verified", Level.OK, "certificate until"),
        (of(tls="TLSv1.3", certificate=certificate("*.a.test")), "verified", Level.OK, "TLSv1.3"),
        (of(tls="TLSv1.3", certificate=certificate("other.test")), "opportunistic", Level.OK, "TLSv1.3"),
        (of(certificate=certificate("other.test")), "verified", Level.WRONG, "is for other.test, not for mail.a.test"),
        (of(certificate=certificate("*.mail.a.test")), "verified", Level.WRONG, "not for mail.a.test"),
        (of(certificate=certificate(ends=NOW - 1)), "opportunistic", Level.WRONG, "has expired on 2027-01-15"),
        (of(certificate=certificate(begins=NOW + 1)), "opportunistic", Level.WRONG, "valid only from"),
        (of(certificate=certificate(ends=NOW + 3 * DAY)), "opportunistic", Level.WARN, "in 3 days"),
        (of(postmaster=VerifyResult.REFUSED, reply="550 no"), "opportunistic", Level.WARN, "does not know postmaster"),
        (of(postmaster=VerifyResult.UNKNOWN, reply="450 later"), "opportunistic", Level.WARN, "450 later"),
        (of(reached=Reached.NO, cause="cannot connect"), "opportunistic", Level.WRONG, "cannot be reached"),
        (of(reached=Reached.REFUSED, cause="greeting answered 554"), "off", Level.WRONG, "refuses us: greeting"),
    ],
)
def test_a_host_of_a_route(host: HostSeen, tls: str, level: Level, words: str) -> None:
    found = the_first(seen(host, tls))
    assert (found.level, words in found.text) == (level, True), found
    assert (level is Level.OK) == (not found.mend)


def test_a_host_that_cannot_be_spoken_to_for_its_certificate_tells_what_is_wrong_with_that() -> None:
    host = of(reached=Reached.NO, cause="TLS failed", certificate=certificate(ends=NOW - DAY))
    assert [one.level for one in judge_routes(seen(host, "verified"), NOW)] == [Level.WRONG, Level.WRONG]


@pytest.mark.parametrize(
    ("route", "level"),
    [
        (RouteSeen("maildir:mail"), Level.OK),
        (RouteSeen("maildir:mail", problem="may not write"), Level.WRONG),
        (RouteSeen("smtp://gone.test:25", problem="DNS: gone.test", temporary=True), Level.UNKNOWN),
    ],
)
def test_a_route_without_hosts(route: RouteSeen, level: Level) -> None:
    assert the_first(RouteAnswer("id", "a.test", routes=(route,))).level is level


def test_a_delivery_that_does_not_answer_is_unknown() -> None:
    assert the_first(RouteAnswer("id", "a.test", problem="nobody answered within 34 s")).level is Level.UNKNOWN
