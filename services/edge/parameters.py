"""The parameters of MAIL and RCPT (PURE).

Input: the text after the command's keyword, `<path> KEY=VALUE …`. Output: the path's text, `MailParameters`,
`RcptParameters`.
Standards: RFC 5321 §4.1.2, RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 3461 (RET, ENVID, NOTIFY, ORCPT),
RFC 4954 §5 (AUTH), RFC 8689 §2 (REQUIRETLS).
On failure: ParameterError with the reply to give.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from shared.envelope import Body, Notify, Ret
from shared.reply import Reply

# A quoted local part may hold `>` and spaces.
_PATH = re.compile(r'(<(?:[^\s"<>]|"(?:[^"\\]|\\.)*")*>)(?: +(.*))?\Z', re.DOTALL)
# RFC 5321 §4.1.2: esmtp-keyword and esmtp-value.
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([\x21-\x3c\x3e-\x7e\u0080-\U0010ffff]+))?\Z")
# RFC 3461 §4: xchar and hexchar.
_XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})*\Z")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_ADDR_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*\Z")
# RFC 3461 §4.4 and §4.2.
_ENVID_LIMIT = 100
_ORCPT_LIMIT = 500
# RFC 1870 §6: at most 20 digits.
_SIZE = re.compile(r"[0-9]{1,20}\Z")


T = TypeVar("T")


class ParameterError(ValueError):
    """A parameter that cannot be taken. reply: what the client is told."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text)


@dataclass(frozen=True, slots=True)
class MailParameters:
    """What MAIL declared. size: octets, 0 if not said. envid: in xtext, as received."""

    size: int = 0
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    requiretls: bool = False
    ret: Ret | None = None
    envid: str | None = None


@dataclass(frozen=True, slots=True)
class RcptParameters:
    """What RCPT declared. orcpt: `type;xtext`, as received."""

    notify: tuple[Notify, ...] = ()
    orcpt: str | None = None


def split_path(text: str) -> tuple[str, str]:
    """Return the path with its brackets, and the text of the parameters. Raises ParameterError."""
    matched = _PATH.match(text)
    if matched is None:
        raise ParameterError(501, "5.5.2", "Syntax error: a path stands between < and >")
    return matched[1], matched[2] or ""


def decode_xtext(text: str) -> str:
    """Return what an xtext stands for. Raises ValueError. Standard: RFC 3461 §4."""
    if not _XTEXT.match(text):
        raise ValueError(f"{text[:40]!r} is not xtext")
    return _HEXCHAR.sub(lambda matched: chr(int(matched[1], 16)), text)


def parse_mail_parameters(text: str, *, dsn: bool, auth: bool, requiretls: bool = False) -> MailParameters:
    """Return what the parameters of MAIL declare. dsn, auth, requiretls: whether those extensions were offered."""
    if not text:
        return _NO_MAIL_PARAMETERS
    given = _split(text)
    size = _take(given, "SIZE", _size) or 0
    body = _take(given, "BODY", _body) or Body.SEVEN_BIT
    smtputf8 = _flag(given, "SMTPUTF8")
    # RFC 8689 §2: only within TLS, where it was offered; elsewhere it is a parameter like any unknown one.
    tls_required = requiretls and _flag(given, "REQUIRETLS")
    ret = _take(given, "RET", _ret) if dsn else None
    envid = _take(given, "ENVID", _envid) if dsn else None
    # RFC 4954 §5: AUTH= is taken where AUTH is offered; we trust nobody's word about it and pass none on.
    if auth:
        given.pop("AUTH", None)
    _none_left(given)
    return MailParameters(size, body, smtputf8, tls_required, ret, envid)


def parse_rcpt_parameters(text: str, *, dsn: bool) -> RcptParameters:
    """Return what the parameters of RCPT declare. dsn: whether DSN was offered."""
    if not text:
        return _NO_RCPT_PARAMETERS
    given = _split(text)
    notify = _take(given, "NOTIFY", _notify) if dsn else None
    orcpt = _take(given, "ORCPT", _orcpt) if dsn else None
    _none_left(given)
    return RcptParameters(notify or (), orcpt)


_NO_MAIL_PARAMETERS = MailParameters()
_NO_RCPT_PARAMETERS = RcptParameters()


def _split(text: str) -> dict[str, str | None]:
    given: dict[str, str | None] = {}
    # RFC 5321 §4.1.1.2: spaces part them, and nothing else that looks like one.
    for part in filter(None, text.split(" ")):
        matched = _PARAMETER.match(part)
        if matched is None:
            raise ParameterError(501, "5.5.4", "Syntax error in parameters")
        keyword = matched[1].upper()
        if keyword in given:
            raise ParameterError(501, "5.5.4", f"Parameter {keyword[:20]} given twice")
        given[keyword] = matched[2]
    return given


def _none_left(given: Mapping[str, str | None]) -> None:
    if given:
        # RFC 5321 §4.1.1.11: unknown parameters are 555.
        raise ParameterError(555, "5.5.4", f"Parameter {next(iter(given))[:40]} not recognized or not implemented")


def _flag(given: dict[str, str | None], keyword: str) -> bool:
    if keyword not in given:
        return False
    if given.pop(keyword) is not None:
        raise ParameterError(501, "5.5.4", f"{keyword} takes no value")
    return True


def _take(given: dict[str, str | None], keyword: str, read: Callable[[str], T]) -> T | None:
    if keyword not in given:
        return None
    value = given.pop(keyword)
    try:
        if value is None:
            raise ValueError("no value")
        return read(value)
    except ParameterError:
        raise
    except ValueError:
        raise ParameterError(501, "5.5.4", f"Parameter {keyword} has a value that is not allowed") from None


def _size(value: str) -> int:
    if not _SIZE.match(value):
        raise ValueError(value)
    return int(value)


def _body(value: str) -> Body:
    body = Body(value.upper())
    if body is Body.BINARY:
        # RFC 3030 §3: BINARYMIME is not offered, for no next hop may be able to take it.
        raise ParameterError(555, "5.5.4", "BODY=BINARYMIME is not offered")
    return body


def _ret(value: str) -> Ret:
    return Ret(value.upper())


def _envid(value: str) -> str:
    text = decode_xtext(value)
    # RFC 3461 §4.4: at most 100 characters, printable.
    if not text or len(text) > _ENVID_LIMIT or not text.isascii() or not text.isprintable():
        raise ValueError(value)
    return value


def _notify(value: str) -> tuple[Notify, ...]:
    events = tuple(Notify(part) for part in value.upper().split(","))
    # RFC 3461 §4.1: NEVER stands alone, and nothing is said twice.
    if len(set(events)) != len(events) or (Notify.NEVER in events and len(events) > 1):
        raise ValueError(value)
    return events


def _orcpt(value: str) -> str:
    kind, semicolon, address = value.partition(";")
    # RFC 3461 §4.2: at most 500 characters; RFC 6533 §3: type utf-8 has a form of its own, printable ASCII or UTF-8.
    if not semicolon or not address or len(value) > _ORCPT_LIMIT or not _ADDR_TYPE.match(kind):
        raise ValueError(value)
    if kind.lower() != "utf-8":
        text = decode_xtext(address)
        if not text.isascii() or not text.isprintable():
            raise ValueError(value)
    return value
