"""Words for what pydantic found wrong (PURE)."""

from pydantic import ValidationError


def explain(error: ValidationError) -> str:
    """Return what is wrong, key by key, on one line."""
    parts = []
    for item in error.errors(include_url=False):
        key = ".".join(str(step) for step in item["loc"]) or "document"
        parts.append(f"{key}: unknown key" if item["type"] == "extra_forbidden" else f"{key}: {item['msg']}")
    return "; ".join(parts)
