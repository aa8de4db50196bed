"""Owns finding the public key of a signature, DKIM's or ARC's. PURE over the answers of the look-up.

Input: who signed with what, a look-up. Output: a Key that may be used. Standards: RFC 6376 §3.6.2 and §6.1.2, RFC 8301.
On failure: Unusable says why there is none; DnsTemporary passes through.
"""

from collections.abc import Sequence

from services.content.auth.dkimkey import Key, KeyFault, parse_key
from services.content.auth.dkimsignature import Unusable
from services.content.auth.results import DkimReason, DkimWord
from shared.auth.spf_result import plain
from shared.dns.answer import BadName
from shared.dns.replay import Lookup

MAX_KEY_RECORDS = 5


def fetch_key(domain: str, selector: str, algorithm: str, lookup: Lookup) -> Key:
    """Return the key for signatures by that algorithm. Raises Unusable, DnsTemporary."""
    name = f"{selector}._domainkey.{domain}"
    try:
        records = lookup(name, "TXT").texts()
    except BadName:
        evidence = f"no key can stand at {plain(name, 80)}"
        raise Unusable(DkimWord.PERMERROR, DkimReason.NO_KEY, evidence) from None
    if not records:
        # RFC 6376 §6.1.2: no key record is a permanent failure.
        raise Unusable(DkimWord.PERMERROR, DkimReason.NO_KEY, f"there is no key at {name}")
    key = _first_key(records)
    if isinstance(key, KeyFault):
        # RFC 8301 §3.2: a signature with a key out of bounds is not examined, which RFC 8601 calls policy.
        word = DkimWord.POLICY if key.reason is DkimReason.KEY_SIZE else DkimWord.PERMERROR
        raise Unusable(word, key.reason, f"{key.text} at {name}")
    # RFC 6376 §6.1.2: the key's type must be the one that a= names.
    if not algorithm.startswith(f"{key.algorithm}-"):
        raise Unusable(DkimWord.PERMERROR, DkimReason.KEY_FORBIDS, "the key is of another type than the signature (k=)")
    return key


def _first_key(records: Sequence[bytes]) -> Key | KeyFault:
    # RFC 6376 §3.6.2.2: several records are undefined; the first that is a key counts.
    keys = [parse_key(record) for record in records[:MAX_KEY_RECORDS]]
    return next((key for key in keys if isinstance(key, Key)), keys[0])
