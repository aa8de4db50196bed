"""Browsers in which a user was logged in before (PURE): their failures count by themselves.

Else whoever knows a user's name could keep them out by failing in it, four times an hour. A browser that is known
keeps a mark, bound to the name by the console's secret; a mark that was stolen gives its thief no more tries than a
stranger has.
"""

import hashlib
import hmac

from services.console.identity.secret import digest_of, new_secret

_LIMIT = 200


def new_mark(secret: str, name: str) -> str:
    """Return a mark for a browser of a user. secret: of every console alike."""
    nonce = new_secret()
    return f"{nonce}.{_seal(secret, name, nonce)}"


def is_mark_of(secret: str, name: str, mark: str) -> bool:
    """Whether a mark is one of ours, for this user."""
    nonce, dot, seal = mark.partition(".")
    if not dot or len(mark) > _LIMIT:
        return False
    return hmac.compare_digest(seal.encode("utf-8", "surrogatepass"), _seal(secret, name, nonce).encode())


def browser_subject(mark: str) -> str:
    """Return what failures in a browser that is known are counted by."""
    return f"browser {digest_of(mark)}"


def _seal(secret: str, name: str, nonce: str) -> str:
    text = f"known browser {nonce} {name}".encode("utf-8", "surrogatepass")
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
