"""Owns the DKIM-Signature fields of a message: which fields are signed, and the bytes (PURE).

Input: the split message, the digest of its canonical body, the keys, the time. Output: the fields, to stand on top.
Standards: RFC 6376 §3.5, §3.7, §5.4; RFC 8301; RFC 8463.
"""

import base64
from collections import Counter
from collections.abc import Sequence

from services.delivery.outgoing.signing_key import SigningKey
from shared.auth.canon import relaxed_field
from shared.auth.message import Field, Message
from shared.dkim_keys import SIGNATURE_LIFE_S, KeyAlgorithm

# Signed once more than they are there (RFC 6376 §8.15): one that is added on the way breaks the signature, for it would
# change what a reader sees.
_OVERSIGNED = (
    *(b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"reply-to"),
    *(b"mime-version", b"content-type", b"content-transfer-encoding"),
)
# Signed so where they are there. Lists add most of these to mail that they hand on, which is no forgery.
_OVERSIGNED_IF_PRESENT = (
    *(b"sender", b"in-reply-to", b"references", b"content-disposition", b"content-id", b"content-description"),
    *(b"resent-from", b"resent-to", b"resent-cc", b"resent-sender", b"resent-date", b"resent-message-id"),
    *(b"list-id", b"list-help", b"list-unsubscribe", b"list-unsubscribe-post", b"list-post", b"list-owner"),
    *(b"list-archive", b"auto-submitted", b"autocrypt", b"openpgp", b"feedback-id"),
)
_LINE_BYTES = 74
_ALGORITHMS = {KeyAlgorithm.RSA: "rsa-sha256", KeyAlgorithm.ED25519: "ed25519-sha256"}
# A message with more fields of one name than any program writes is signed by the lowest ones of them.
_MOST_OF_A_NAME = 50


def signature_fields(message: Message, body_digest: bytes, keys: Sequence[SigningKey], now_s: float) -> bytes:
    """Return one DKIM-Signature field per key, CRLF included.

    body_digest: SHA-256 of the relaxed body. now_s: Unix seconds.
    """
    names = signed_names(message.fields)
    signed = _signed_fields(message.fields, names)
    return b"".join(_signature_field(names, signed, body_digest, key, int(now_s)) for key in keys)


def signed_names(fields: Sequence[Field]) -> list[bytes]:
    """Return what h= names."""
    present = Counter(field.key for field in fields)
    names: list[bytes] = []
    for name in _OVERSIGNED:
        names += [name] * (min(present[name], _MOST_OF_A_NAME) + 1)
    for name in _OVERSIGNED_IF_PRESENT:
        if present[name]:
            names += [name] * (min(present[name], _MOST_OF_A_NAME) + 1)
    return names


def _signed_fields(fields: Sequence[Field], names: Sequence[bytes]) -> bytes:
    remaining: dict[bytes, list[Field]] = {name: [] for name in names}
    for field in fields:
        if field.key in remaining:
            remaining[field.key].append(field)
    # RFC 6376 §5.4.2: instances are signed from the bottom up; one that does not exist counts as nothing.
    return b"".join(relaxed_field(remaining[name].pop()) + b"\r\n" for name in names if remaining[name])


def _signature_field(
    names: Sequence[bytes], signed: bytes, body_digest: bytes, key: SigningKey, signed_at_s: int
) -> bytes:
    expires_at_s = signed_at_s + SIGNATURE_LIFE_S
    if key.keep_until is not None:
        # No signature outlives the record of its key.
        expires_at_s = min(expires_at_s, int(key.keep_until))
    tags = (
        f" v=1; a={_ALGORITHMS[key.algorithm]}; c=relaxed/relaxed; d={key.domain};\r\n"
        f"\ts={key.selector}; t={signed_at_s}; x={expires_at_s};\r\n"
        f"\tbh={base64.b64encode(body_digest).decode()};\r\n"
    ).encode()
    value = tags + b"\th=" + _folded_names(names) + b";\r\n\tb="
    # RFC 6376 §3.7: the signature field comes last, its b= empty, without a trailing CRLF.
    own = relaxed_field(Field(b"dkim-signature", b"DKIM-Signature", value))
    return b"DKIM-Signature:" + value + _folded(key.sign(signed + own)) + b"\r\n"


def _folded_names(names: Sequence[bytes]) -> bytes:
    lines, length = [b""], 0
    for name in names:
        if length + len(name) > _LINE_BYTES:
            lines.append(b"")
            length = 0
        lines[-1] += name + b":"
        length += len(name) + 1
    return b"\r\n\t ".join(lines).removesuffix(b":")


def _folded(text: bytes) -> bytes:
    return b"\r\n\t ".join(text[start : start + _LINE_BYTES] for start in range(0, len(text), _LINE_BYTES))
