"""Rules of what Rspamd is told besides the message."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.auth.results import Disposition, DkimReason, DkimResult, DkimWord, DmarcResult, DmarcWord
from services.content.engines.rspamd_request import MAX_RECIPIENTS, ascii_address, our_symbols, request_headers
from services.content.spam import SpamRequest
from shared.auth.spf_result import SpfIdentity, SpfResult, SpfWord
from shared.envelope import Client, Direction, Envelope, Recipient


def request(
    sender: str = "a@sender.test", recipients: tuple[str, ...] = ("b@gatepost.test",), client: Client | None = None
) -> SpamRequest:
    envelope = Envelope(
        id="06et",
        received_at=0,
        listener="mx",
        direction=Direction.INBOUND,
        client=client or Client("192.0.2.1", 25, "helo.test"),
        sender=sender,
        recipients=tuple(map(Recipient, recipients)),
        size_bytes=3,
    )
    return SpamRequest(envelope, b"x\r\n")


def spf(word: SpfWord) -> SpfResult:
    return SpfResult(word, SpfIdentity.MAIL_FROM, "sender.test", "", "-all")


def dkim(word: DkimWord, *, weak: bool = False) -> DkimResult:
    return DkimResult(word, DkimReason.VERIFIED, "", "sender.test", "s1", weak=weak)


def dmarc(word: DmarcWord, asked: Disposition = Disposition.NONE) -> DmarcResult:
    return DmarcResult(word, "", "sender.test", disposition=asked)


def test_envelope_and_client_are_told() -> None:
    client = Client("2001:db8::1", 25, "helo.test", name="mail.test", tls="TLSv1.3 TLS_AES_256_GCM_SHA384", login="al")
    fields = request_headers(request(recipients=("b@gatepost.test", "c@gatepost.test"), client=client), "gate.test")
    assert fields[:-1] == [
        ("Queue-Id", "06et"),
        ("MTA-Name", "gate.test"),
        ("IP", "2001:db8::1"),
        ("Helo", "helo.test"),
        ("Hostname", "mail.test"),
        ("User", "al"),
        ("TLS-Version", "TLSv1.3"),
        ("TLS-Cipher", "TLS_AES_256_GCM_SHA384"),
        ("From", "a@sender.test"),
        ("Rcpt", "b@gatepost.test"),
        ("Rcpt", "c@gatepost.test"),
        ("Pass", "all"),
    ]


def test_what_is_not_known_is_not_told() -> None:
    names = [name for name, _ in request_headers(request(), "gate.test")]
    assert not {"Hostname", "User", "TLS-Version", "TLS-Cipher"} & set(names)


def test_the_null_sender_is_told_as_such() -> None:
    assert ("From", "<>") in request_headers(request(sender=""), "gate.test")


def test_its_own_checks_are_switched_off_whether_or_not_we_have_results() -> None:
    [settings] = [value for name, value in request_headers(request(), "gate.test") if name == "Settings"]
    assert json.loads(settings) == {
        "groups_disabled": ["spf", "dkim", "dmarc", "arc"],
        "symbols_disabled": ["SPF_CHECK", "DKIM_CHECK", "DMARC_CHECK", "ARC_CHECK"],
        "symbols": {},
    }


def test_recipients_are_bounded() -> None:
    fields = request_headers(request(recipients=tuple(f"u{n}@gatepost.test" for n in range(1000))), "gate.test")
    assert sum(name == "Rcpt" for name, _ in fields) == MAX_RECIPIENTS


@pytest.mark.parametrize(
    ("word", "symbol"),
    [
        (SpfWord.PASS, "R_SPF_ALLOW"),
        (SpfWord.FAIL, "R_SPF_FAIL"),
        (SpfWord.SOFTFAIL, "R_SPF_SOFTFAIL"),
        (SpfWord.NEUTRAL, "R_SPF_NEUTRAL"),
        (SpfWord.NONE, "R_SPF_NA"),
        (SpfWord.TEMPERROR, "R_SPF_DNSFAIL"),
        (SpfWord.PERMERROR, "R_SPF_PERMFAIL"),
    ],
)
def test_spf_under_rspamds_name(word: SpfWord, symbol: str) -> None:
    found = our_symbols(SpamRequest(request().envelope, b"", spf=spf(word)))
    assert found == {symbol: {"options": ["sender.test", "-all"]}}


@pytest.mark.parametrize(
    ("results", "symbols"),
    [
        ((), set()),
        ((dkim(DkimWord.PASS),), {"R_DKIM_ALLOW"}),
        ((dkim(DkimWord.PASS, weak=True),), {"R_DKIM_PERMFAIL"}),
        ((dkim(DkimWord.FAIL),), {"R_DKIM_REJECT"}),
        ((dkim(DkimWord.TEMPERROR),), {"R_DKIM_TEMPFAIL"}),
        ((dkim(DkimWord.PERMERROR),), {"R_DKIM_PERMFAIL"}),
        ((dkim(DkimWord.POLICY),), {"R_DKIM_PERMFAIL"}),
        ((dkim(DkimWord.NEUTRAL),), {"R_DKIM_PERMFAIL"}),
        ((dkim(DkimWord.NONE),), {"R_DKIM_NA"}),
        ((dkim(DkimWord.PASS), dkim(DkimWord.FAIL)), {"R_DKIM_ALLOW", "R_DKIM_REJECT"}),
    ],
)
def test_dkim_under_rspamds_names(results: tuple[DkimResult, ...], symbols: set[str]) -> None:
    assert set(our_symbols(SpamRequest(request().envelope, b"", dkim=results))) == symbols


def test_several_signatures_stand_beside_one_symbol() -> None:
    found = our_symbols(SpamRequest(request().envelope, b"", dkim=(dkim(DkimWord.PASS), dkim(DkimWord.PASS))))
    assert found == {"R_DKIM_ALLOW": {"options": ["sender.test:s=s1", "sender.test:s=s1"]}}


@pytest.mark.parametrize(
    ("result", "symbol"),
    [
        (dmarc(DmarcWord.PASS), "DMARC_POLICY_ALLOW"),
        (dmarc(DmarcWord.NONE), "DMARC_NA"),
        (dmarc(DmarcWord.TEMPERROR), "DMARC_DNSFAIL"),
        (dmarc(DmarcWord.PERMERROR), "DMARC_BAD_POLICY"),
        (dmarc(DmarcWord.FAIL, Disposition.REJECT), "DMARC_POLICY_REJECT"),
        (dmarc(DmarcWord.FAIL, Disposition.QUARANTINE), "DMARC_POLICY_QUARANTINE"),
        (dmarc(DmarcWord.FAIL), "DMARC_POLICY_SOFTFAIL"),
    ],
)
def test_dmarc_under_rspamds_name(result: DmarcResult, symbol: str) -> None:
    assert our_symbols(SpamRequest(request().envelope, b"", dmarc=result)) == {symbol: {"options": ["sender.test"]}}


@pytest.mark.parametrize(
    ("word", "symbols"),
    [
        (ArcWord.NONE, {"ARC_NA"}),
        (ArcWord.FAIL, {"ARC_REJECT"}),
        (ArcWord.TEMPERROR, {"ARC_DNSFAIL"}),
        # Anybody can seal: points for it are for whom the policy trusts alone.
        (ArcWord.PASS, set()),
    ],
)
def test_arc_under_rspamds_name(word: ArcWord, symbols: set[str]) -> None:
    assert set(our_symbols(SpamRequest(request().envelope, b"", arc=ArcResult(word, "")))) == symbols


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("a.b+c@sender.test", "a.b+c@sender.test"),
        ("josé@müll.test", "jos?@xn--mll-hoa.test"),
        ('"a b"@sender.test', '"a b"@sender.test'),
        ("x\r\nIP: 1@sender.test", "x??IP??1@sender.test"),
        ("a@[192.0.2.1]", "a@[192.0.2.1]"),
    ],
)
def test_addresses_are_told_in_ascii(address: str, told: str) -> None:
    assert ascii_address(address) == told


@given(st.text(max_size=80), st.text(max_size=80), st.text(max_size=80))
def test_nothing_that_a_client_says_makes_a_second_line(sender: str, helo: str, login: str) -> None:
    client = Client("192.0.2.1", 25, helo, name=helo, tls=f"{helo} {login}", login=login)
    for name, value in request_headers(request(sender, (sender, helo), client), helo):
        assert re.fullmatch(r"[A-Za-z-]+", name)
        assert re.fullmatch(r"[ -~]+", value)


def test_what_somebody_only_tries_bears_the_name_by_which_rspamd_learns_nothing_and_is_not_logged() -> None:
    of_mail, of_trial = request_headers(request(), "gate"), request_headers(replace(request(), trial=True), "gate")
    assert [field for field in of_trial if field not in of_mail] == [("User-Agent", "rspamc"), ("Flags", "no_log")]
    assert [field for field in of_mail if field not in of_trial] == []
