"""Owns the evaluation of a message's ARC chain. PURE over the answers of the look-up.

Input: the split message, the author domain, the BodyDigests that DKIM uses too, a look-up, the time. Output: ArcResult.
Standards: RFC 8617 §5.2; signatures, keys and their bounds are DKIM's (RFC 6376, RFC 8301, RFC 8463).
On failure: a DNS failure or an error of ours is temperror, anything wrong with the chain is a fail. Raises nothing
itself.
"""

import hashlib
from collections.abc import Sequence

from services.content.auth.arc_result import ArcResult, ArcWord
from services.content.auth.arcset import ArcSet, BrokenChain, arc_fields, chain_of
from services.content.auth.digests import BodyDigests
from services.content.auth.dkim import check_from, compare
from services.content.auth.dkimsignature import (
    Unusable,
    algorithm_of,
    check_times,
    octets_of,
    parse_tags,
    require,
    signer_of,
    without_b,
)
from services.content.auth.keylookup import fetch_key
from services.content.auth.results import DkimReason
from services.content.auth.sealedresults import says_dmarc_passed
from shared.auth.canon import relaxed_field
from shared.auth.message import Field, Message
from shared.auth.spf_result import plain
from shared.dns.answer import DnsTemporary
from shared.dns.replay import Lookup

NO_CHAIN = ArcResult(ArcWord.NONE, "the message has no ARC chain")


def evaluate_arc(
    message: Message, author_domain: str | None, digests: BodyDigests, lookup: Lookup, now_s: float
) -> ArcResult:
    """Validate the chain. author_domain: whose DMARC pass is looked for in the oldest set; None where it is in doubt.

    now_s: seconds since the epoch, for t= and x=.
    """
    fields = arc_fields(message)
    if not fields:
        return NO_CHAIN
    if message.fault:
        # Who reads such a header otherwise than we do sees another message than the one that was sealed.
        return ArcResult(ArcWord.FAIL, plain(f"not examined: {message.fault}"))
    try:
        chain = chain_of(fields)
        _verify_message(chain[-1], message.fields, digests, lookup, now_s)
        # RFC 8617 §5.2, step 5: every seal, the newest first.
        sealers = [_verify_seal(chain[:count], lookup) for count in range(len(chain), 0, -1)]
    except (BrokenChain, Unusable) as broken:
        return ArcResult(ArcWord.FAIL, plain(str(broken)))
    except DnsTemporary as error:
        return ArcResult(ArcWord.TEMPERROR, plain(f"a key of the chain could not be fetched: {error.cause}"))
    except Exception as error:  # an error of ours or of a library must not become a failed chain
        return ArcResult(ArcWord.TEMPERROR, f"internal error: {type(error).__name__}")
    sealers.reverse()
    evidence = f"the chain holds, sealed by {', '.join(sealers)}"
    passed = author_domain is not None and says_dmarc_passed(chain[0].results.value, author_domain)
    return ArcResult(ArcWord.PASS, plain(evidence), tuple(sealers), passed)


def _verify_message(
    newest: ArcSet, fields: Sequence[Field], digests: BodyDigests, lookup: Lookup, now_s: float
) -> None:
    """See that the message is as the newest handler left it. Raises Unusable, BrokenChain, DnsTemporary."""
    # RFC 8617 §4.1.2: as a DKIM-Signature, but without v=, and i= is the instance.
    signature = parse_tags(newest.message, newest.message_tags, identity=None)
    # RFC 8617 §4.1.2: a seal comes after the message signature and is never covered by it.
    if b"arc-seal" in signature.signed_names:
        raise BrokenChain("the message signature covers a seal")
    check_times(signature, now_s)
    check_from(signature, fields)
    key = fetch_key(signature.domain, signature.selector, signature.algorithm, lookup)
    _, reason, evidence = compare(signature, key, fields, digests)
    # What is not covered is anyone's, so that a part of the body is deliberately not enough.
    if reason is not DkimReason.VERIFIED:
        raise BrokenChain(f"set {newest.instance}: {evidence}")


def _verify_seal(chain: Sequence[ArcSet], lookup: Lookup) -> str:
    """Return who sealed the sets up to the last of these. Raises Unusable, BrokenChain, DnsTemporary."""
    newest = chain[-1]
    tags = newest.seal_tags
    require(tags, (b"a", b"b", b"d", b"s"))
    # RFC 8617 §4.1.3: a seal has no h=; one that has is a failure.
    if b"h" in tags:
        raise BrokenChain(f"seal {newest.instance} names fields (h=)")
    domain, selector = signer_of(tags)
    algorithm, signature = algorithm_of(tags), octets_of(tags, b"b")
    key = fetch_key(domain, selector, algorithm, lookup)
    data = _sealed_data(chain)
    if not key.verify(signature, data, hashlib.sha256(data).digest()):
        raise BrokenChain(f"seal {newest.instance}, of {domain}, is wrong")
    return domain


def _sealed_data(chain: Sequence[ArcSet]) -> bytes:
    # RFC 8617 §5.1.1: all sets in order, relaxed; the seal itself comes last, without what its b= holds.
    fields = [field for one in chain for field in one.fields]
    return b"\r\n".join(map(relaxed_field, [*fields[:-1], without_b(fields[-1])]))
