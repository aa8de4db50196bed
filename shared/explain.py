"""Words for what pydantic found wrong (PURE)."""

from pydantic import ValidationError


def explain(error: ValidationError) -> str:
    """Return what is wrong, key by key, on one line."""
    parts = []
    for item in error.errors(include_url=False):
        key = ".".join(str(step) for step in item["loc"]) or "document"
        said = "unknown key" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, ")
        parts.append(f"{key}: {said}")
    return "; ".join(parts)
