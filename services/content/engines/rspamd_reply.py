"""What Rspamd's reply to /checkv2 says (PURE).

Input: the JSON body. Output: `SpamReport`.
On failure: SpamError for whatever is no such reply.
"""

import json
import re

from services.content.spam import Forced, SpamError, SpamReport, Symbol

ENGINE = "Rspamd"
MAX_SYMBOLS = 30
_MAX_OPTIONS = 5
_MAX_TEXT = 120
_MAX_SCORE = 1_000_000
_DECIMALS = 2
_UNSAFE = re.compile(r"[^ !#-\[\]-~]")


def read_reply(body: bytes) -> SpamReport:
    """Return Rspamd's word. Raises SpamError."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        raise SpamError(f"Rspamd's answer is no JSON: {plain(body[:80].decode('utf-8', 'replace'))}") from None
    if not isinstance(reply, dict):
        raise SpamError("Rspamd's answer is no JSON object")
    if "error" in reply:
        raise SpamError(f"Rspamd says: {plain(str(reply['error']))}")
    score, action, symbols = _number(reply.get("score")), reply.get("action"), reply.get("symbols")
    if score is None or not isinstance(action, str) or not isinstance(symbols, dict):
        raise SpamError("Rspamd's answer lacks a score, an action or symbols")
    found = sorted((_symbol(name, symbol) for name, symbol in symbols.items()), key=lambda s: (-abs(s.score), s.name))
    return SpamReport(ENGINE, score, tuple(found[:MAX_SYMBOLS]), _forced(action, score, reply))


def plain(text: str) -> str:
    """Return outside text as printable ASCII without quotes and backslashes, cut."""
    return _UNSAFE.sub("?", text[:_MAX_TEXT])


def _forced(action: str, score: float, reply: dict[str, object]) -> Forced | None:
    """Return what does not come from the score. Rspamd has no field for it.

    An action by score needs a score that reaches it; GTUBE and the like skip the other rules. Scores never bring about
    a soft reject or a discard. `greylist` and `quarantine` are no force: the policy has thresholds for that.
    """
    if action == "soft reject":
        return Forced.SOFT_REJECT
    required = _number(reply.get("required_score"))
    unreached = required is None or score < required or reply.get("is_skipped") is True
    if action == "discard" or (action == "reject" and unreached):
        return Forced.REJECT
    return None


def _symbol(name: str, symbol: object) -> Symbol:
    if not isinstance(symbol, dict):
        raise SpamError("Rspamd's answer has a symbol that is none")
    score, options = _number(symbol.get("score")), symbol.get("options", [])
    if score is None or not isinstance(options, list):
        raise SpamError(f"Rspamd's answer has no score for {plain(name)}")
    return Symbol(plain(name), score, plain(", ".join(str(option) for option in options[:_MAX_OPTIONS])))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # False for NaN, too.
    if not abs(value) <= _MAX_SCORE:
        return None
    # Rspamd adds up without rounding: -0.899999 is -0.9. What is shown is also what thresholds are compared with.
    return round(float(value), _DECIMALS)
