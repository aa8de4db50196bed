"""Senders written anew for mail that is sent on, so that SPF holds and bounces find back (PURE).

Form: the Sender Rewriting Scheme as libsrs2 and its kin write it (no RFC):
`SRS0=proof=day=domain=local@ours`, and for a sender that a forwarder before us has written, `SRS1=proof=its.domain==…`,
which leads back to that forwarder alone. The proof and the day are ours alone to read.
Output: an address, or None where it would be too long for a path; backwards an address, or the `Flaw`.
"""

import re
from base64 import b32encode
from enum import StrEnum
from hmac import compare_digest

from shared.address import PATH_LIMIT, Address, AddressError, parse_address, parse_domain
from shared.rewriting.keys import RewritingKeys, Use
from shared.rewriting.local_part import content_of, written

_SRS = re.compile(r"SRS([01])[=+-]", re.IGNORECASE)
_DIGITS = "abcdefghijklmnopqrstuvwxyz234567"
_DAY_S = 86_400
# Two digits of base 32.
_DAYS = 1024
# 40 bits: nobody guesses them by asking.
_PROOF_LENGTH = 8


class Flaw(StrEnum):
    """Why an address leads nowhere. unreadable: it has not our form, another server may have made it."""

    NO_SECRET = "no secret"
    UNREADABLE = "unreadable"
    FORGED = "forged"
    EXPIRED = "expired"


def is_rewritten(local_part: str) -> bool:
    """Whether a local part has the form of SRS, whoever wrote it."""
    return _SRS.match(local_part.removeprefix('"')) is not None


def forward(sender: Address, domain: str, keys: RewritingKeys, now: float) -> Address | None:
    """Return the sender for mail that is sent on. domain: ours, to which bounces come. now: Unix seconds.

    None: it would be longer than a path may be, or the sender's domain is an address literal. There must be a secret.
    """
    if sender.is_literal:
        return None
    said = content_of(sender.local_part)
    local_part = written(
        _srs1(said, sender.domain, keys) if _SRS.match(said) else _srs0(said, sender.domain, keys, now)
    )
    made = Address(local_part, domain)
    # RFC 5321 §4.5.3.1.3: 256 octets with the brackets. §4.5.3.1.1 has a local part at 64, "to be avoided when
    # possible" beyond: deliberately not kept, as by all who write SRS, for senders of newsletters are long already.
    return made if len(str(made).encode()) + 2 <= PATH_LIMIT else None


def reverse(local_part: str, keys: RewritingKeys, now: float, bounces_s: float) -> Address | Flaw:
    """Return the address that a bounce is meant for. now: Unix seconds. bounces_s: for how long bounces are taken."""
    said = content_of(local_part)
    matched = _SRS.match(said)
    if matched is None:
        return Flaw.UNREADABLE
    if not keys:
        return Flaw.NO_SECRET
    rest = said[matched.end() :]
    return _from_srs1(rest, keys) if matched[1] == "1" else _from_srs0(rest, keys, now, bounces_s)


def _srs0(local: str, domain: str, keys: RewritingKeys, now: float) -> str:
    what = f"{_day_text(now)}={domain}={local}"
    return f"SRS0={_text(keys.make(Use.SRS0, what))}={what}"


def _srs1(said: str, domain: str, keys: RewritingKeys) -> str:
    """Return the sender for one that is SRS already. said: `SRS0=…` or `SRS1=…`."""
    rest = said[4:]
    if said[3] == "1":
        # The first forwarder is kept, those between it and us are not asked.
        _, _, beyond = rest[1:].partition("=")
        first, equals, opaque = beyond.partition("=")
        if equals and _is_domain(first):
            domain, rest = first.lower(), opaque
    what = f"{domain}={rest}"
    return f"SRS1={_text(keys.make(Use.SRS1, what))}={what}"


def _from_srs0(rest: str, keys: RewritingKeys, now: float, bounces_s: float) -> Address | Flaw:
    proof, _, what = rest.partition("=")
    day, _, beyond = what.partition("=")
    domain, equals, local = beyond.partition("=")
    if not equals or not local or len(day) != 2 or len(proof) != _PROOF_LENGTH:
        return Flaw.UNREADABLE
    if not _proves(proof, keys, Use.SRS0, what):
        return Flaw.FORGED
    age_days = (int(now // _DAY_S) - _day_of(day)) % _DAYS
    # A clock of another host may be a little ahead.
    if age_days != _DAYS - 1 and age_days * _DAY_S > bounces_s:
        return Flaw.EXPIRED
    return _address(local, domain)


def _from_srs1(rest: str, keys: RewritingKeys) -> Address | Flaw:
    proof, _, what = rest.partition("=")
    first, equals, opaque = what.partition("=")
    if not equals or not opaque or len(proof) != _PROOF_LENGTH:
        return Flaw.UNREADABLE
    if not _proves(proof, keys, Use.SRS1, what):
        return Flaw.FORGED
    # Its own day stands in what the first forwarder wrote, and is that one's to judge.
    return _address(f"SRS0{opaque}", first)


def _proves(proof: str, keys: RewritingKeys, use: Use, what: str) -> bool:
    given = proof.lower().encode("utf-8", "replace")
    return any(compare_digest(_text(made).encode(), given) for made in keys.all(use, what))


def _address(content: str, domain: str) -> Address | Flaw:
    try:
        return parse_address(f"{written(content)}@{domain}")
    except AddressError:
        return Flaw.UNREADABLE


def _is_domain(text: str) -> bool:
    try:
        parse_domain(text)
    except AddressError:
        return False
    return not text.startswith("[")


def _text(proof: bytes) -> str:
    return b32encode(proof)[:_PROOF_LENGTH].decode().lower()


def _day_text(now: float) -> str:
    day = int(now // _DAY_S) % _DAYS
    return _DIGITS[day // 32] + _DIGITS[day % 32]


def _day_of(text: str) -> int:
    high, low = (_DIGITS.find(digit) for digit in text.lower())
    return high * 32 + low
