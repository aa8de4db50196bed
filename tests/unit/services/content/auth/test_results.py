"""Results as our Authentication-Results field."""

import authres
import authres.arc
import authres.dkim_b
import authres.dmarc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.auth.results import (
    AuthResult,
    Disposition,
    DkimReason,
    DkimResult,
    DkimWord,
    DmarcResult,
    DmarcWord,
    IprevResult,
    results_field,
)
from shared.auth.iprev import ReverseWord
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord

FEATURES = authres.FeatureContext(authres.dkim_b, authres.dmarc, authres.arc)
DKIM = DkimResult(
    DkimWord.PASS, DkimReason.VERIFIED, "", "example.org", "s", "rsa-sha256", "joe@example.org", "jF+/4MYP", 2048
)
MAIL_FROM = SpfResult(SpfWord.SOFTFAIL, SpfIdentity.MAIL_FROM, "example.org", "")


@pytest.mark.parametrize(
    "result, written",
    [
        (MAIL_FROM, "spf=softfail smtp.mailfrom=example.org"),
        (SpfResult(SpfWord.PASS, SpfIdentity.HELO, "mx.example.org", ""), "spf=pass smtp.helo=mx.example.org"),
        (SpfResult(SpfWord.NONE, SpfIdentity.HELO, "", ""), "spf=none"),
        (DmarcResult(DmarcWord.PASS, "", "example.org"), "dmarc=pass header.from=example.org"),
        (
            DmarcResult(DmarcWord.FAIL, "", "example.org", disposition=Disposition.REJECT),
            "dmarc=fail header.from=example.org policy.dmarc=reject",
        ),
        (DmarcResult(DmarcWord.PERMERROR, ""), "dmarc=permerror"),
        (DkimResult(DkimWord.NONE, DkimReason.NO_SIGNATURE, ""), "dkim=none"),
        (ArcResult(ArcWord.NONE, ""), "arc=none"),
        (ArcResult(ArcWord.PASS, "", ("a.test", "b.test")), "arc=pass (sealed by a.test, b.test)"),
        (IprevResult(ReverseWord.PASS, "192.0.2.1"), "iprev=pass policy.iprev=192.0.2.1"),
        # RFC 8601 §2.2: a value with characters that no token has is quoted.
        (IprevResult(ReverseWord.PERMERROR, "2001:db8::1"), 'iprev=permerror policy.iprev="2001:db8::1"'),
    ],
)
def test_results_are_written_as_rfc_8601_has_them(result: AuthResult, written: str) -> None:
    assert results_field("mx.test", [result]) == f"mx.test;\r\n\t{written}"


def test_a_result_stands_on_a_line_of_its_own_which_is_folded_before_it_is_too_long() -> None:
    assert results_field("mx.test", [MAIL_FROM, DKIM]) == (
        "mx.test;\r\n"
        "\tspf=softfail smtp.mailfrom=example.org;\r\n"
        "\tdkim=pass header.d=example.org header.s=s header.a=rsa-sha256\r\n"
        '\theader.i=joe@example.org header.b="jF+/4MYP"'
    )


def test_without_results_it_says_none() -> None:
    assert results_field("mx.test", []) == "mx.test;\r\n\tnone"


def test_authres_reads_what_is_written() -> None:
    written = results_field("mx.test", [DKIM, MAIL_FROM, IprevResult(ReverseWord.FAIL, "2001:db8::1")])
    dkim, spf, iprev = FEATURES.parse_value(written.replace("\r\n", "")).results
    assert (dkim.header_d, dkim.header_i, dkim.header_b) == ("example.org", "joe@example.org", "jF+/4MYP")
    assert (spf.result, spf.smtp_mailfrom) == ("softfail", "example.org")
    assert iprev.policy_iprev == "2001:db8::1"


def test_a_hostile_identity_is_shown_without_its_local_part() -> None:
    hostile = DkimResult(DkimWord.PASS, DkimReason.VERIFIED, "", identity='"x; spf=pass"@example.org')
    assert results_field("mx.test", [hostile]) == "mx.test;\r\n\tdkim=pass header.i=@example.org"


NAMES = st.lists(st.text("abz09-_", min_size=1, max_size=63), min_size=1, max_size=4).map(".".join)
RESULTS = st.lists(
    st.builds(SpfResult, st.sampled_from(SpfWord), st.sampled_from(SpfIdentity), NAMES, st.just(""))
    | st.builds(
        DkimResult,
        st.sampled_from(DkimWord),
        st.sampled_from(DkimReason),
        st.just(""),
        NAMES,
        NAMES,
        st.sampled_from(["rsa-sha256", "ed25519-sha256"]),
        st.builds("{}@{}".format, st.text('ab;="\\( )@\r\n.', max_size=70), NAMES),
        st.text("aB+/=", max_size=8),
    )
    | st.builds(DmarcResult, st.sampled_from(DmarcWord), st.just(""), NAMES, disposition=st.sampled_from(Disposition))
    | st.builds(ArcResult, st.sampled_from(ArcWord), st.just(""), st.lists(NAMES, max_size=10).map(tuple))
    | st.builds(IprevResult, st.sampled_from(ReverseWord), st.ip_addresses().map(str)),
    max_size=12,
)


@settings(deadline=None, max_examples=200)
@given(RESULTS)
def test_whatever_the_results_are_the_field_says_them_and_no_more(results: list[AuthResult]) -> None:
    written = results_field("mx.test", results)
    read = FEATURES.parse_value(written.replace("\r\n", "")).results
    assert [one.result for one in read] == [result.word.value for result in results]
    for line in written.split("\r\n\t"):
        assert line.isascii()
        assert line.isprintable()
        # A line is longer only where a single word is.
        assert len(line) <= 70 or " " not in line or line.count(" ") == 1
