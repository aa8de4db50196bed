"""Codes of an authenticator app."""

import base64
import xml.etree.ElementTree as ET

import pytest

from services.console.identity.totp import app_address, matching_step, new_totp_secret, qr_code

# RFC 6238 appendix B: the secret of its test vectors, and the last six digits of its codes.
SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize("at, code", VECTORS)
def test_the_codes_are_those_of_the_standard(at: int, code: str) -> None:
    assert matching_step(SECRET, code, at, None) == at // 30


@pytest.mark.parametrize("late_s, taken", [(0, True), (30, True), (-30, True), (60, False), (-60, False)])
def test_a_code_is_good_one_step_before_and_behind(late_s: int, taken: bool) -> None:
    assert (matching_step(SECRET, "081804", 1111111109 + late_s, None) is not None) is taken


def test_no_code_is_taken_of_a_step_that_was_taken_or_of_an_earlier_one() -> None:
    step = matching_step(SECRET, "081804", 1111111109, None)
    assert step is not None
    assert matching_step(SECRET, "081804", 1111111109, step) is None
    assert matching_step(SECRET, "081804", 1111111109, step + 1) is None
    assert matching_step(SECRET, "081804", 1111111109, step - 1) == step


@pytest.mark.parametrize("code", ["", "08180", "0818040", "08180x", "٠٨١٨٠٤", "-81804", "081804\n7", "0x1804"])
def test_what_is_no_code_of_six_digits_is_wrong(code: str) -> None:
    assert matching_step(SECRET, code, 1111111109, None) is None


def test_spaces_that_apps_show_are_no_matter() -> None:
    assert matching_step(SECRET, "081 804", 1111111109, None) is not None


def test_a_new_secret_has_160_bits() -> None:
    assert len(base64.b32decode(new_totp_secret())) == 20


def test_the_qr_code_needs_no_style_and_says_what_it_is() -> None:
    text = qr_code(app_address(SECRET, "anna@example.org", "mx.example"), "QR <code>")
    assert "style" not in text
    picture = ET.fromstring(text)
    assert picture.tag == "svg"
    assert picture.findtext("title") == "QR <code>"
    assert {element.tag for element in picture.iter()} == {"svg", "title", "path"}
