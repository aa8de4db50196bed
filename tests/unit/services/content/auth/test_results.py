"""Results as fields of Authentication-Results."""

import authres

from services.content.auth.results import (
    DkimReason,
    DkimResult,
    DkimWord,
    DmarcResult,
    DmarcWord,
    authentication_results,
)
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord

DKIM = DkimResult(
    DkimWord.PASS, DkimReason.VERIFIED, "", "example.org", "s", "rsa-sha256", "joe@example.org", "jF+/4MYP", 2048
)


def test_results_are_written_as_rfc_8601_has_them() -> None:
    spf = SpfResult(SpfWord.SOFTFAIL, SpfIdentity.MAIL_FROM, "example.org", "")
    assert authentication_results(spf) == "spf=softfail smtp.mailfrom=example.org"
    helo = SpfResult(SpfWord.NONE, SpfIdentity.HELO, "", "")
    assert authentication_results(helo) == "spf=none"
    dmarc = DmarcResult(DmarcWord.FAIL, "", "example.org")
    assert authentication_results(dmarc) == "dmarc=fail header.from=example.org"
    assert authentication_results(DKIM) == (
        'dkim=pass header.d=example.org header.s=s header.a=rsa-sha256 header.i=joe@example.org header.b="jF+/4MYP"'
    )


def test_authres_reads_what_is_written() -> None:
    header = authres.AuthenticationResultsHeader.parse(
        f"Authentication-Results: mx.example.com; {authentication_results(DKIM)}"
    )
    assert header.results[0].header_d == "example.org"


def test_a_hostile_identity_is_shown_without_its_local_part() -> None:
    hostile = DkimResult(DkimWord.PASS, DkimReason.VERIFIED, "", identity='"x; spf=pass"@example.org')
    assert authentication_results(hostile) == "dkim=pass header.i=@example.org"
