"""MTA-STS as a domain publishes it: the record that announces a policy, and the policy (PURE).

Input: TXT records, the octets of a policy file. Output: an id; `PublishedPolicy`, as it stands there.
Standards: RFC 8461 §3.1 (record), §3.2 (policy), §4.1 (which hosts).
On failure: no id; PolicyInvalid, which says what is wrong.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from shared.address import AddressError, parse_domain

# RFC 8461 §3.2: at most about a year.
MAX_AGE_S = 31_557_600
_MX_LIMIT = 200
_VERSION = re.compile(rb"v=STSv1[ \t]*(?:;|\Z)")
# RFC 8461 §3.1: sts-id, and other fields that a later version may add.
_FIELD = re.compile(r"[ \t]*([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*=[ \t]*([!-:<>-~]*)[ \t]*\Z")
_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(.*?)[ \t]*\Z")


class PolicyInvalid(ValueError):
    """What stands there is no policy."""


class StsMode(StrEnum):
    """What a policy wants of hosts that do not meet it: no mail, mail and a report, or it wants nothing."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """A policy. mx: patterns, in lower case. max_age_s: as written, which may be more than `MAX_AGE_S`."""

    mode: StsMode
    mx: tuple[str, ...]
    max_age_s: int


def announcing(records: Iterable[bytes]) -> list[bytes]:
    """Return those of the TXT records that are for MTA-STS."""
    return [record for record in records if _VERSION.match(record)]


def announced_id(records: Iterable[bytes]) -> str | None:
    """Return the id of the policy that TXT records announce, None if they announce none."""
    found = announcing(records)
    # RFC 8461 §3.1: if there is not exactly one record, there is no policy.
    if len(found) != 1:
        return None
    fields: dict[str, str] = {}
    for part in found[0].decode("latin-1").split(";"):
        field = _FIELD.match(part)
        if field is None:
            if part.strip(" \t"):
                return None
            continue
        fields.setdefault(field[1], field[2])
    identifier = fields.get("id", "")
    return identifier if _ID.match(identifier) else None


def read_policy(content: bytes) -> PublishedPolicy:
    """Return the policy of a file. Raises PolicyInvalid."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise PolicyInvalid("it is not UTF-8") from None
    values: dict[str, str] = {}
    mx: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if not line.strip():
            continue
        field = _LINE.match(line)
        if field is None:
            raise PolicyInvalid(f"{line[:80]!r} is not `key: value`")
        if field[1] == "mx":
            mx.append(_pattern(field[2]))
        else:
            # RFC 8461 §3.2: of a key that stands there twice, the first counts.
            values.setdefault(field[1], field[2])
    if values.get("version") != "STSv1":
        raise PolicyInvalid("it lacks the line `version: STSv1`")
    mode = _mode(values.get("mode", ""))
    if not mx and mode is not StsMode.NONE:
        raise PolicyInvalid("it names no mx")
    if len(mx) > _MX_LIMIT:
        raise PolicyInvalid(f"it names more than {_MX_LIMIT} mx")
    return PublishedPolicy(mode, tuple(mx), _max_age_s(values.get("max_age", "")))


def names(mx: Iterable[str], host: str) -> bool:
    """Whether one of a policy's patterns is for a host."""
    host = host.lower().removesuffix(".")
    # RFC 8461 §4.1: a wildcard stands for the whole leftmost label alone.
    meant = (host, f"*.{host.partition('.')[2]}")
    return any(pattern in meant for pattern in mx)


def _mode(text: str) -> StsMode:
    try:
        return StsMode(text)
    except ValueError:
        raise PolicyInvalid(f"its mode is {text[:40]!r}, none of enforce, testing, none") from None


def _max_age_s(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise PolicyInvalid(f"its max_age, {text[:40]!r}, is not a number of seconds")
    return int(text)


def _pattern(text: str) -> str:
    wildcard = "*." if text.startswith("*.") else ""
    try:
        return wildcard + parse_domain(text.removeprefix(wildcard).removesuffix("."))
    except AddressError:
        raise PolicyInvalid(f"mx: {text[:80]!r} is not a host's name or *.name") from None
