"""Whether a certificate descends from an authority."""

import datetime as dt
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.x509.verification import Store

from services.delivery.tls.chain import chain_fault
from services.delivery.tls.demand import TlsDemand
from services.delivery.tls.failures import handshake_failure
from services.delivery.tls.peer import judge_peer
from shared.policy.destination import OutboundTls
from shared.tls_seen import TlsResult
from tests.certificates import Signed, signed

ROOT = signed("the root", authority=True)
MIDDLE = signed("in between", by=ROOT, authority=True)
LEAF = signed("mx", "mx.test", by=MIDDLE)
FALSE = signed("mx", "mx.test", by=signed("mx", "mx.test", by=ROOT))
NOW = dt.datetime.now(dt.UTC)


def _fault(chain: Sequence[Signed], trusted: Signed, *names: str, at: dt.datetime = NOW) -> str | None:
    certificates: list[x509.Certificate] = [pair[0] for pair in chain]
    return chain_fault(certificates, Store([trusted[0]]), names or ("mx.test",), at)


def test_a_chain_leads_to_its_authority() -> None:
    assert _fault([LEAF, MIDDLE, ROOT], ROOT) is None
    assert _fault([LEAF, MIDDLE], ROOT) is None
    # The authority that is trusted need not have signed itself.
    assert _fault([LEAF, MIDDLE], MIDDLE) is None
    assert _fault([LEAF], MIDDLE, "other.test", "mx.test") is None


@pytest.mark.parametrize(
    ("chain", "trusted", "name", "days"),
    [
        ([LEAF], ROOT, "mx.test", 0),
        ([LEAF, MIDDLE], signed("the root", authority=True), "mx.test", 0),
        ([LEAF, MIDDLE], ROOT, "other.test", 0),
        ([LEAF, MIDDLE], ROOT, "mx.test", 100),
        ([LEAF, MIDDLE], ROOT, "mx.test", -100),
        ([FALSE], ROOT, "mx.test", 0),
        ([signed("mx", by=ROOT)], ROOT, "mx.test", 0),
    ],
    ids=["gap", "same-name", "wrong-name", "too-late", "too-early", "not-signed-by-it", "no-name"],
)
def test_a_chain_that_does_not_says_why(chain: list[Signed], trusted: Signed, name: str, days: int) -> None:
    assert _fault(chain, trusted, name, at=NOW + dt.timedelta(days=days))


def test_who_is_no_authority_signs_nothing() -> None:
    impostor = signed("mx", "mx.test", by=ROOT)
    assert _fault([signed("mx", "victim.test", by=impostor), impostor], ROOT, "victim.test")


def test_without_a_name_there_is_no_proof() -> None:
    assert chain_fault([LEAF[0]], Store([MIDDLE[0]]), (), NOW)


def test_a_peer_that_shows_nothing_is_nobody() -> None:
    demand = TlsDemand(level=OutboundTls.VERIFIED, names=("mx.test",))
    assert judge_peer([], demand) is not None
    assert judge_peer([b"nonsense"], demand) is not None
    assert judge_peer([], TlsDemand()) is None


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (10, TlsResult.EXPIRED),
        (9, TlsResult.EXPIRED),
        (18, TlsResult.NOT_TRUSTED),
        (19, TlsResult.NOT_TRUSTED),
        (20, TlsResult.NOT_TRUSTED),
        (24, TlsResult.NOT_TRUSTED),
        (66, TlsResult.FAILED),
        (None, TlsResult.FAILED),
    ],
)
def test_the_librarys_codes_have_the_words_of_reports(code: int | None, result: TlsResult) -> None:
    error = OSError("no")
    if code is not None:
        error.verify_code = code  # type: ignore[attr-defined]
    assert handshake_failure(error).result is result
