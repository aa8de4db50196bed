"""Results as Authentication-Results and as evidence."""

import authres

from services.content.auth.results import (
    DkimReason,
    DkimResult,
    DkimWord,
    DmarcResult,
    DmarcWord,
    SpfIdentity,
    SpfResult,
    SpfWord,
    authentication_results,
    plain,
)

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


def test_evidence_is_printable_ascii_without_quotes_and_bounded() -> None:
    assert plain('a"b\\c\r\n\x1b[0m\u202eé ~') == "a?b?c???[0m?? ~"
    assert len(plain("x" * 1000)) == 300
