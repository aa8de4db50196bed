"""Tags on our senders, by which bounces are known to be ours (PURE).

Form: Bounce Address Tag Validation, `prvs=kdddpppppp=local@domain` (draft-levine-smtp-batv, §4): key number, the last
day on which bounces are taken, modulo 1000, and six digits of proof.
"""

import re
from dataclasses import dataclass
from hmac import compare_digest

from shared.address import LOCAL_PART_LIMIT, Address
from shared.rewriting.keys import RewritingKeys, Use
from shared.rewriting.local_part import content_of, written

_TAG = re.compile(r"prvs=([0-9])([0-9]{3})([0-9a-f]{6})=(.+)\Z", re.IGNORECASE | re.DOTALL)
_DAY_S = 86_400
_DAYS = 1000


@dataclass(frozen=True, slots=True)
class Tagged:
    """An address without its tag. proven: whether the tag is ours and of these days."""

    address: Address
    proven: bool


def tag(sender: Address, keys: RewritingKeys, now: float, bounces_s: float) -> Address | None:
    """Return the sender with a tag, or None where it would be too long. There must be a secret.

    now: Unix seconds. bounces_s: for how long bounces are taken; 999 days at most.
    """
    last_day = f"{(int(now // _DAY_S) + _lifetime_days(bounces_s)) % _DAYS:03}"
    proof = _proof(keys.make(Use.BATV, f"{last_day}={content_of(sender.local_part)}@{sender.domain}"))
    return _prefixed(f"prvs=0{last_day}{proof}=", sender)


def untag(address: Address, keys: RewritingKeys, now: float, bounces_s: float) -> Tagged | None:
    """Return an address without its tag, or None if it has none."""
    matched = _TAG.match(content_of(address.local_part))
    if matched is None:
        return None
    _, last_day, proof, local = matched.groups()
    # Without a tag on a tag: only we tag, and once.
    plain = Address(written(local), address.domain)
    left_days = (int(last_day) - int(now // _DAY_S)) % _DAYS
    # A clock of another host may be a little ahead.
    proven = left_days <= _lifetime_days(bounces_s) + 1 and any(
        compare_digest(_proof(made), proof.lower())
        for made in keys.all(Use.BATV, f"{last_day}={local}@{address.domain}")
    )
    return Tagged(plain, proven)


def can_be_tagged(sender: Address) -> bool:
    """Whether a sender with a tag is still as short as it must be; others go without, and get bounces without."""
    return _prefixed("prvs=0000000000=", sender) is not None


def _prefixed(prefix: str, sender: Address) -> Address | None:
    local_part = written(prefix + content_of(sender.local_part))
    # RFC 5321 §4.5.3.1.1: 64 octets.
    return Address(local_part, sender.domain) if len(local_part.encode()) <= LOCAL_PART_LIMIT else None


def _lifetime_days(bounces_s: float) -> int:
    return min(int(bounces_s // _DAY_S), _DAYS - 2)


def _proof(made: bytes) -> str:
    return made.hex()[:6]
