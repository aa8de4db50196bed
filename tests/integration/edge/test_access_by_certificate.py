"""Access rules by client certificate: they wait for TLS, and nobody escapes the rules behind them by doing without."""

from pathlib import Path

import pytest

from shared.policy.access import AccessRule
from shared.policy.client import Certificate, ClientFacts, Fit, plain_ip
from tests.certificates import Signed, written
from tests.integration.edge.gate import trusting
from tests.integration.edge.test_relay_rules import FINGERPRINT, LISTED, OTHERS, asking, certified

RULES = (
    f'[[access]]\naction = "allow"\ncertificates = ["sha256:{FINGERPRINT}"]\n[[access]]\naction = "deny"\n'
    '[relay]\nnetworks = ["127.0.0.0/8"]\n'
)


async def test_whom_a_rule_allows_by_certificate_gets_in(certificate: Path, tmp_path: Path) -> None:
    async with asking(certificate, tmp_path, RULES) as edge, certified(edge, "relay", LISTED, tmp_path) as client:
        assert (await client.say("MAIL FROM:<x@ours.test>")).startswith("250")


@pytest.mark.parametrize("own", [OTHERS, None])
async def test_without_the_certificate_the_next_rule_decides_once_tls_stands(
    certificate: Path, tmp_path: Path, own: Signed | None
) -> None:
    context = trusting()
    if own is not None:
        context.load_cert_chain(written(tmp_path / "client.pem", own))
    async with asking(certificate, tmp_path, RULES) as edge, edge.client("relay") as client:
        await client.hello()
        assert (await client.say("STARTTLS")).startswith("220")
        await client.writer.start_tls(context)
        assert (await client.say("EHLO client.test")).startswith("554 5.7.1 Access denied")


async def test_who_does_without_tls_is_judged_at_each_mail(certificate: Path, tmp_path: Path) -> None:
    async with asking(certificate, tmp_path, RULES) as edge, edge.client("relay") as client:
        assert (await client.hello()).startswith("250")
        for _ in range(2):
            assert (await client.say("MAIL FROM:<x@ours.test>")).startswith("554 5.7.1 Access denied")


def test_a_certificate_that_has_not_come_yet_decides_nothing() -> None:
    rule = AccessRule.model_validate({"action": "deny", "certificates": ["verified"], "networks": ["192.0.2.0/24"]})
    here = ClientFacts(plain_ip("192.0.2.1"))
    assert rule.fit(here) is Fit.UNKNOWN
    assert rule.fit(ClientFacts(plain_ip("198.51.100.1"))) is Fit.NO
    assert rule.fit(ClientFacts(plain_ip("192.0.2.1"), certificate=Certificate("ab", "CN=x"))) is Fit.YES
