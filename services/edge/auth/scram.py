"""The SASL mechanisms SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (PURE).

Input: a nonce, the keys of each login, and what the TLS connection can be bound by.
Standards: RFC 5802 (messages §5, channel binding §6, grammar §7), RFC 7677, RFC 5929 (types of binding).
On failure: MechanismError for what breaks the grammar or cannot be bound; a wrong proof is a `Proof` that says so.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.edge.auth.exchange import Exchange, Proof, invalid, malformed, prepared
from shared.scram import KEY_BYTES, ScramKeys

_MESSAGE_LIMIT = 8192
_NONCE = rb"[\x21-\x2b\x2d-\x7e]{1,1024}"
# Extensions that may be ignored stand behind; `m=`, which may not, stands in front and is not taken (RFC 5802 §5.1).
_CLIENT_FIRST = re.compile(
    rb"((n|y|p=[A-Za-z0-9.-]{1,64}),(?:a=([^,\0]+))?,)(n=([^,\0]+),r=(" + _NONCE + rb")(?:,[A-Za-z]=[^,\0]+)*)\Z"
)
_CLIENT_FINAL = re.compile(rb"(c=([A-Za-z0-9+/=]+),r=(" + _NONCE + rb")(?:,[A-Za-z]=[^,\0]+)*),p=([A-Za-z0-9+/=]+)\Z")
_ESCAPE = re.compile(rb"=(?:2C|3D)?")
_ESCAPED = {b"=2C": b",", b"=3D": b"="}


@dataclass(frozen=True, slots=True)
class Channel:
    """plus: whether the client chose the -PLUS form. plus_offered: whether it could. bindings: value by type."""

    plus: bool = False
    plus_offered: bool = False
    bindings: Mapping[str, bytes] = field(default_factory=dict)


def scram(
    initial: bytes | None, nonce: bytes, keys_of: Callable[[str], tuple[ScramKeys, bool]], channel: Channel
) -> Exchange:
    """Carry out SCRAM. nonce: ours, drawn anew. keys_of: the keys of a login, and whether it is one."""
    first = _matched(_CLIENT_FIRST, initial if initial is not None else (yield b""))
    header, flag, authorization, bare, name, client_nonce = first.groups()
    binding = _binding(flag, channel)
    login = _name(name)
    # RFC 5802 §5.1: acting for somebody else is not offered here.
    if authorization is not None and _name(authorization) != login:
        invalid()
    keys, known = keys_of(login)
    both = client_nonce + nonce
    salt = base64.b64encode(keys.salt)
    server_first = b"r=%b,s=%b,i=%d" % (both, salt, keys.iterations)
    final = _matched(_CLIENT_FINAL, (yield server_first))
    without_proof, bound, final_nonce, proof = final.groups()
    said = b",".join((bare, server_first, without_proof))
    # RFC 5802 §5.1: `c` repeats the header, so that nobody on the way has changed it, and ends with the binding.
    holds = (
        _is_proof(keys, said, _decoded(proof))
        & hmac.compare_digest(_decoded(bound), header + binding)
        & hmac.compare_digest(final_nonce, both)
        & known
    )
    signature = base64.b64encode(hmac.digest(keys.server_key, said, "sha256"))
    return Proof(login, holds, b"v=" + signature if holds else None)


def _binding(flag: bytes, channel: Channel) -> bytes:
    """Return what the channel is bound by, empty where it is not. Raises MechanismError."""
    kind = flag[2:].decode("ascii") if flag.startswith(b"p=") else None
    # RFC 5802 §6: a -PLUS mechanism comes with `p`, any other without it.
    if (kind is not None) != channel.plus:
        malformed("The channel binding does not fit the mechanism")
    if kind is not None:
        if kind not in channel.bindings:
            malformed("This type of channel binding cannot be had")
        return channel.bindings[kind]
    # RFC 5802 §6: a client that can bind, and thinks that we cannot, was shown another list than ours.
    if flag == b"y" and channel.plus_offered:
        invalid()
    return b""


def _is_proof(keys: ScramKeys, said: bytes, proof: bytes) -> bool:
    """RFC 5802 §3: what is left of the proof without the signature is the key whose hash we have."""
    if len(proof) != KEY_BYTES:
        return False
    signature = hmac.digest(keys.stored_key, said, "sha256")
    client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key)


def _matched(grammar: re.Pattern[bytes], message: bytes | None) -> re.Match[bytes]:
    assert message is not None
    matched = grammar.match(message) if len(message) <= _MESSAGE_LIMIT else None
    if matched is None:
        malformed("Not a message of SCRAM")
    return matched


def _name(text: bytes) -> str:
    # RFC 5802 §5.1: `=2C` and `=3D` stand for comma and equals sign, and an equals sign stands nowhere else.
    if any(found not in _ESCAPED for found in _ESCAPE.findall(text)):
        malformed("Not a name of SCRAM")
    return prepared(_ESCAPE.sub(lambda escape: _ESCAPED[escape[0]], text))


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        malformed("Not base64")
