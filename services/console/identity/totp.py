"""Codes of an authenticator app (PURE but for randomness).

Standards: RFC 6238 (SHA-1, 30 s, 6 digits: what every app takes), RFC 4226 §5.3.
A step's code is taken once, and so is none of an earlier step: who reads one over a shoulder comes too late.
"""

import hmac
import io

import pyotp
import segno

_STEP_S = 30
# RFC 6238 §5.2: one step of delay and clock drift.
_DRIFT_STEPS = 1
_ISSUER = "Gatepost"


def new_totp_secret() -> str:
    """Return a new secret in base32. RFC 4226 §4: 160 bits."""
    return pyotp.random_base32(32)


def matching_step(secret: str, code: str, now: float, last_step: int | None) -> int | None:
    """Return the time step that a code is of, or None: wrong, or of a step that was taken already.

    last_step: the last that was taken.
    """
    digits = code.replace(" ", "")
    if len(digits) != 6 or not (digits.isascii() and digits.isdigit()):
        return None
    generator = pyotp.TOTP(secret)
    present = int(now // _STEP_S)
    found = None
    for step in range(present - _DRIFT_STEPS, present + _DRIFT_STEPS + 1):
        # All are compared, so that the time tells nothing.
        if hmac.compare_digest(generator.generate_otp(step), digits) and (last_step is None or step > last_step):
            found = step
    return found


def app_address(secret: str, user: str, host: str) -> str:
    """Return the address that an app reads from the QR code. host: tells apart several consoles."""
    return pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name=f"{_ISSUER} {host}")


def qr_code(text: str, title: str) -> str:
    """Return a QR code as SVG for a page: without style, dark on light in both themes."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(
        out,
        kind="svg",
        scale=1,
        border=4,
        dark="#000000",
        light="#ffffff",
        xmldecl=False,
        svgns=False,
        nl=False,
        omitsize=True,
        title=title,
        svgclass="qr",
        lineclass=None,
    )
    return out.getvalue().decode()
