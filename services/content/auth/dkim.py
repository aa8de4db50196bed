"""Owns the evaluation of a message's DKIM signatures. PURE over the answers of the look-up.

Input: the split message, its BodyDigests (made once, outside, so that a re-run after a missing look-up hashes nothing
again), a look-up, the time. Output: one DkimResult per signature examined, topmost first; never an empty tuple.
Standards: RFC 6376 §6.1, RFC 8301, RFC 8463, RFC 8601 §2.7.1.
On failure: a DNS failure or an error of ours is that signature's temperror, never a fail. Raises nothing itself.
"""

import hashlib
from collections.abc import Sequence

from services.content.auth.digests import BodyDigests
from services.content.auth.dkimkey import Key
from services.content.auth.dkimsignature import (
    Signature,
    Unusable,
    check_times,
    parse_signature,
    signed_data,
    tags_of,
)
from services.content.auth.keylookup import fetch_key
from services.content.auth.results import DkimReason, DkimResult, DkimWord
from shared.auth.domain import host_name_of
from shared.auth.message import Field, Message
from shared.auth.spf_result import plain
from shared.dns.answer import DnsTemporary
from shared.dns.replay import Lookup

# Each costs a look-up and a verification; real messages have one to three.
MAX_SIGNATURES = 5


def evaluate_dkim(message: Message, digests: BodyDigests, lookup: Lookup, now_s: float) -> tuple[DkimResult, ...]:
    """Verify up to MAX_SIGNATURES signatures; one more result stands for those not examined.

    now_s: seconds since the epoch, for t= and x=.
    """
    signatures = [field for field in message.fields if field.key == b"dkim-signature"]
    if not signatures:
        return (DkimResult(DkimWord.NONE, DkimReason.NO_SIGNATURE, "the message is not signed"),)
    if message.fault:
        # Who reads such a header otherwise than we do sees another message than the one that was signed.
        return (DkimResult(DkimWord.PERMERROR, DkimReason.HEADER_MALFORMED, f"not examined: {message.fault}"),)
    results = [_examine(field, message.fields, digests, lookup, now_s) for field in signatures[:MAX_SIGNATURES]]
    unexamined = len(signatures) - len(results)
    if unexamined:
        evidence = f"{unexamined} more signatures were not examined"
        results.append(DkimResult(DkimWord.POLICY, DkimReason.TOO_MANY, evidence))
    return tuple(results)


def _examine(field: Field, fields: Sequence[Field], digests: BodyDigests, lookup: Lookup, now_s: float) -> DkimResult:
    tags: dict[bytes, bytes] = {}
    try:
        tags = tags_of(field)
        signature = parse_signature(field, tags)
        check_times(signature, now_s)
        check_from(signature, fields)
        return _verify(signature, fields, digests, lookup)
    except Unusable as unusable:
        return _result(unusable.word, unusable.reason, unusable.evidence, tags)
    except DnsTemporary as error:
        return _result(DkimWord.TEMPERROR, DkimReason.DNS, f"the key could not be fetched: {error.cause}", tags)
    except Exception as error:  # an error of ours or of a library must not become a failed signature
        evidence = f"internal error: {type(error).__name__}"
        return _result(DkimWord.TEMPERROR, DkimReason.INTERNAL, evidence, tags)


def _result(word: DkimWord, reason: DkimReason, evidence: str, tags: dict[bytes, bytes]) -> DkimResult:
    domain, selector = (host_name_of(tags.get(name, b"")) or "" for name in (b"d", b"s"))
    return DkimResult(word, reason, plain(evidence), domain, selector)


def check_from(signature: Signature, fields: Sequence[Field]) -> None:
    """See that every From there is was signed. Raises Unusable."""
    # RFC 6376 §8.15: a From beyond those signed can be added to a message without breaking its signature.
    present = sum(field.key == b"from" for field in fields)
    if present > signature.signed_names.count(b"from"):
        evidence = f"the message has {present} From fields, the signature covers fewer"
        raise Unusable(DkimWord.POLICY, DkimReason.SEVERAL_FROM, evidence)


def _verify(signature: Signature, fields: Sequence[Field], digests: BodyDigests, lookup: Lookup) -> DkimResult:
    key = fetch_key(signature.domain, signature.selector, signature.algorithm, lookup)
    _check_identity(signature, key)
    word, reason, evidence = compare(signature, key, fields, digests)
    if key.testing:
        # RFC 6376 §3.6.1: a testing domain's failed signature counts as none. That its passing ones should not count
        # either is deliberately not followed: t=y is left behind in many records, and every large receiver counts them.
        word = DkimWord.NEUTRAL if word is DkimWord.FAIL else word
        evidence += "; the domain is testing (t=y)"
    return DkimResult(
        word,
        reason,
        evidence,
        signature.domain,
        signature.selector,
        signature.algorithm,
        signature.identity,
        signature.mark,
        key.bits,
        weak=reason is DkimReason.PARTIAL_BODY,
    )


def compare(
    signature: Signature, key: Key, fields: Sequence[Field], digests: BodyDigests
) -> tuple[DkimWord, DkimReason, str]:
    """Return whether the signature is that of this body and these fields, why, and a sentence."""
    relaxed, length = signature.relaxed_body, signature.body_length
    size = digests.size_bytes(relaxed=relaxed)
    # RFC 6376 §3.5: l= must not be greater than the canonical body.
    if length is not None and length > size:
        return DkimWord.FAIL, DkimReason.BODY_SHORTER, "the body is shorter than was signed (l=)"
    if digests.sha256(relaxed=relaxed, length=length) != signature.body_hash:
        return DkimWord.FAIL, DkimReason.BODY_CHANGED, "the body is not the one that was signed"
    data = signed_data(signature, fields)
    if not key.verify(signature.signature, data, hashlib.sha256(data).digest()):
        return DkimWord.FAIL, DkimReason.SIGNATURE_WRONG, f"the signature of {signature.domain} is wrong"
    # RFC 6376 §8.2: what stands after l= bytes is anyone's.
    if length is not None and length < size:
        evidence = f"signed by {signature.domain}, but only {length} of {size} bytes of the body"
        return DkimWord.PASS, DkimReason.PARTIAL_BODY, evidence
    return DkimWord.PASS, DkimReason.VERIFIED, f"signed by {signature.domain} with a {key.bits} bit {key.algorithm} key"


def _check_identity(signature: Signature, key: Key) -> None:
    # RFC 6376 §3.6.1: with t=s the domain of i= must be d= itself.
    if key.strict and signature.identity_domain != signature.domain:
        raise Unusable(DkimWord.PERMERROR, DkimReason.KEY_FORBIDS, "the key allows no subdomain in i= (t=s)")
