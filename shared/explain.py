"""Words for what pydantic found wrong (PURE)."""

import re
from dataclasses import dataclass

from pydantic import ValidationError

# What pydantic puts into a path: the kinds of value that a key may have, and `[key]` for a table's key itself.
_KIND = re.compile(r"(?:function-\w+|lax-or-strict|nullable|list|dict|tuple|literal)\[")
_MUST_BE = "Input should be "
_MODEL = re.compile(r" or instance of \w+\Z")


@dataclass(frozen=True, slots=True)
class _Wrong:
    """One complaint. of_kind: about a value that may be of other kinds, too. of_type: that its type is wrong."""

    said: str
    of_kind: bool
    of_type: bool


def explain(error: ValidationError) -> str:
    """Return what is wrong, key by key, on one line."""
    told: dict[str, list[_Wrong]] = {}
    for item in error.errors(include_url=False):
        steps = [str(step) for step in item["loc"] if step != "[key]"]
        said = "unknown key" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
        key = ".".join(step for step in steps if not _KIND.match(step)) or "document"
        of_kind = bool(steps) and _KIND.match(steps[-1]) is not None
        wrong = _Wrong(_MODEL.sub("", said), of_kind, item["type"].endswith("_type"))
        told.setdefault(key, []).append(wrong)
    return "; ".join(f"{key}: {_why(found)}" for key, found in told.items() if not _is_of_another_kind(key, told))


def _is_of_another_kind(key: str, told: dict[str, list[_Wrong]]) -> bool:
    """Whether a value is of the kind within which something is wrong, so that what the others say is no matter."""
    return all(one.of_kind for one in told[key]) and any(other.startswith(f"{key}.") for other in told)


def _why(found: list[_Wrong]) -> str:
    """Return why a value is of none of the kinds that it may be of."""
    told = dict.fromkeys([one.said for one in found if not one.of_type] or [one.said for one in found])
    first, *others = told
    return " or ".join([first, *(said.removeprefix(_MUST_BE) for said in others)])
