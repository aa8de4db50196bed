"""Who is a proved sender."""

import pytest

from services.content.auth.proof import Proof, proved_by, proves_sender
from services.content.auth.results import DkimWord, DmarcResult, DmarcWord
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord
from tests.unit.services.content.auth.test_dmarc import NO_SPF, dkim, spf
from tests.unit.services.content.auth.test_treewalk import dmarc_zone

NO_DMARC = DmarcResult(DmarcWord.NONE, "")
HELO_PASS = SpfResult(SpfWord.PASS, SpfIdentity.HELO, "example.org", "")


def dmarc_pass(domain: str) -> DmarcResult:
    return DmarcResult(DmarcWord.PASS, "", domain)


@pytest.mark.parametrize(
    "mail_from, mail_from_result, signed, dmarc, proof",
    [
        ("a@example.org", spf("example.org"), [], NO_DMARC, Proof.SPF),
        ("a@EXAMPLE.org", spf("example.org"), [dkim("example.org")], NO_DMARC, Proof.SPF),
        ("a@example.org", spf("example.org", SpfWord.SOFTFAIL), [], NO_DMARC, None),
        ("a@example.org", HELO_PASS, [], NO_DMARC, None),
        ("a@example.org", NO_SPF, [dkim("example.org")], NO_DMARC, Proof.DKIM),
        ("a@bounce.example.org", NO_SPF, [dkim("mail.example.org")], NO_DMARC, Proof.DKIM),
        ("a@example.org", NO_SPF, [dkim("example.org", weak=True)], NO_DMARC, None),
        ("a@example.org", NO_SPF, [dkim("example.org", DkimWord.FAIL)], NO_DMARC, None),
        ("a@example.org", NO_SPF, [], dmarc_pass("www.example.org"), Proof.DMARC),
        # From: x@attacker passes while the bounce would go elsewhere.
        (
            "victim@elsewhere.org",
            spf("attacker.org", SpfWord.FAIL),
            [dkim("attacker.org")],
            dmarc_pass("attacker.org"),
            None,
        ),
        ("", HELO_PASS, [dkim("example.org")], dmarc_pass("example.org"), None),
        ("postmaster", NO_SPF, [dkim("example.org")], NO_DMARC, None),
        ("a@[192.0.2.1]", NO_SPF, [dkim("example.org")], NO_DMARC, None),
    ],
)
def test_what_proves_the_domain_of_mail_from(
    mail_from: str, mail_from_result: SpfResult, signed: list[object], dmarc: DmarcResult, proof: Proof | None
) -> None:
    zone = dmarc_zone({"example.org": "v=DMARC1; p=none"})
    assert proved_by(mail_from, mail_from_result, signed, dmarc, zone) is proof  # type: ignore[arg-type]


def test_what_dns_cannot_say_proves_nothing() -> None:
    zone = dmarc_zone({"example.org": "v=DMARC1; p=none"})
    zone.broken = {("_dmarc.example.org", "TXT")}
    assert proved_by("a@bounce.example.org", NO_SPF, [dkim("mail.example.org")], NO_DMARC, zone) is None


@pytest.mark.parametrize(
    ("mail_from", "mail_from_result", "signed", "proved"),
    [
        ("a@example.org", spf("example.org"), [], True),
        ("a@EXAMPLE.org", NO_SPF, [dkim("example.org")], True),
        ("a@bounce.example.org", NO_SPF, [dkim("example.org")], True),
        ("a@example.org", NO_SPF, [dkim("example.org", weak=True)], False),
        ("a@example.org", NO_SPF, [dkim("example.org", DkimWord.FAIL)], False),
        ("a@example.org", HELO_PASS, [], False),
        # A customer with a subdomain signs for it, and is no voice of the domain above.
        ("boss@example.org", NO_SPF, [dkim("customer.example.org")], False),
        ("boss@mail.example.org", NO_SPF, [dkim("customer.example.org")], False),
        ("boss@example.org", NO_SPF, [dkim("org")], False),
        ("", HELO_PASS, [dkim("example.org")], False),
    ],
)
def test_an_exemption_trusts_the_domain_of_mail_from_alone_and_those_above_it(
    mail_from: str, mail_from_result: SpfResult, signed: list[object], *, proved: bool
) -> None:
    zone = dmarc_zone({"example.org": "v=DMARC1; p=none"})
    assert proves_sender(mail_from, mail_from_result, signed, zone) is proved  # type: ignore[arg-type]
