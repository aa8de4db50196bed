"""MTA-STS: the record that announces a policy, and the policy (PURE).

Input: TXT records, the octets of a policy file. Output: an id; `StsPolicy`, and its form in the shared state.
Standards: RFC 8461 §3.1 (record), §3.2 (policy), §4.1 (which hosts).
On failure: no id; PolicyInvalid, which says what is wrong.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pydantic import TypeAdapter, ValidationError

from shared.address import AddressError, parse_domain

# RFC 8461 §3.2: at most about a year.
MAX_AGE_S = 31_557_600
_MX_LIMIT = 200
_VERSION = re.compile(r"v=STSv1[ \t]*(;|\Z)")
# RFC 8461 §3.1: sts-id, and other fields that a later version may add.
_FIELD = re.compile(r"[ \t]*([A-Za-z0-9][A-Za-z0-9_.-]{0,31})[ \t]*=[ \t]*([!-:<>-~]*)[ \t]*\Z")
_ID = re.compile(r"[A-Za-z0-9]{1,32}\Z")
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):[ \t]*(.*?)[ \t]*\Z")


class PolicyInvalid(ValueError):
    """What was fetched is no policy."""


class StsMode(StrEnum):
    """What a policy wants of hosts that do not meet it: no mail, mail and a report, or it wants nothing."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class StsPolicy:
    """A domain's policy. id: of the record it was fetched for. lines: for reports. fetched_at: Unix seconds."""

    id: str
    mode: StsMode
    mx: tuple[str, ...]
    max_age_s: int
    fetched_at: float
    lines: tuple[str, ...] = ()

    @property
    def expires_at(self) -> float:
        """Until when it holds."""
        return self.fetched_at + self.max_age_s

    def names(self, host: str) -> bool:
        """Whether it names a host as one of the domain's mail servers."""
        host = host.lower().removesuffix(".")
        # RFC 8461 §4.1: a wildcard stands for the whole leftmost label alone.
        return host in self.mx or f"*.{host.partition('.')[2]}" in self.mx


def announced_id(records: Iterable[bytes]) -> str | None:
    """Return the id of the policy that TXT records announce, None if they announce none."""
    texts = [record.decode("latin-1") for record in records]
    found = [text for text in texts if _VERSION.match(text)]
    # RFC 8461 §3.1: if there is not exactly one record, there is no policy.
    if len(found) != 1:
        return None
    fields: dict[str, str] = {}
    for part in found[0].split(";"):
        field = _FIELD.match(part)
        if field is None:
            if part.strip(" \t"):
                return None
            continue
        fields.setdefault(field[1], field[2])
    identifier = fields.get("id", "")
    return identifier if _ID.match(identifier) else None


def parse_policy_file(content: bytes, identifier: str, now: float) -> StsPolicy:
    """Return the policy of a file. Raises PolicyInvalid."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise PolicyInvalid("it is not UTF-8") from None
    lines = [line for line in text.replace("\r\n", "\n").split("\n") if line.strip()]
    values: dict[str, str] = {}
    mx: list[str] = []
    for line in lines:
        field = _LINE.match(line)
        if field is None:
            raise PolicyInvalid(f"{line[:80]!r} is not `key: value`")
        if field[1] == "mx":
            mx.append(_pattern(field[2]))
        else:
            # RFC 8461 §3.2: of a key that stands there twice, the first counts.
            values.setdefault(field[1], field[2])
    if values.get("version") != "STSv1":
        raise PolicyInvalid("its version is not STSv1")
    mode = _mode(values.get("mode", ""))
    if not mx and mode is not StsMode.NONE:
        raise PolicyInvalid("it names no mx")
    if len(mx) > _MX_LIMIT:
        raise PolicyInvalid(f"it names more than {_MX_LIMIT} mx")
    return StsPolicy(identifier, mode, tuple(mx), _max_age_s(values.get("max_age", "")), now, _told(mode, mx, values))


def _told(mode: StsMode, mx: Sequence[str], values: dict[str, str]) -> tuple[str, ...]:
    # RFC 8460 §4.4: the policy as it was applied.
    return ("version: STSv1", f"mode: {mode}", *(f"mx: {name}" for name in mx), f"max_age: {values['max_age']}")


def _mode(text: str) -> StsMode:
    try:
        return StsMode(text)
    except ValueError:
        raise PolicyInvalid(f"its mode, {text[:40]!r}, is none of enforce, testing, none") from None


def _max_age_s(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise PolicyInvalid(f"its max_age, {text[:40]!r}, is not a number of seconds")
    return min(int(text), MAX_AGE_S)


def _pattern(text: str) -> str:
    wildcard = "*." if text.startswith("*.") else ""
    try:
        return wildcard + parse_domain(text.removeprefix(wildcard).removesuffix("."))
    except AddressError:
        raise PolicyInvalid(f"mx: {text[:80]!r} is not a host's name or *.name") from None


_FORM = TypeAdapter(StsPolicy)


def encode_policy(policy: StsPolicy) -> str:
    """Return a policy as it is kept."""
    return _FORM.dump_json(policy).decode()


def decode_policy(text: str) -> StsPolicy | None:
    """Return a policy that was kept, None for what is none."""
    try:
        return _FORM.validate_json(text)
    except ValidationError:
        return None
