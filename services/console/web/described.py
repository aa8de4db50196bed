"""What the API's description says of every operation: who may ask, and how it answers what went wrong.

Standards: RFC 9457 (problem details), RFC 6750 (bearer tokens).
"""

from typing import Any

from fastapi import Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel, Field

PROBLEM_TYPE = "application/problem+json"


class Problem(BaseModel):
    """What went wrong. detail: for the person who looks into it; where it can be mended, how."""

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    detail: str


# Each operation asks who somebody is, and reads what was asked for before it does anything.
_MEANINGS = {
    400: "The body cannot be read.",
    401: "No token, or one that has ended.",
    403: "The token's role or domains do not allow it.",
    404: "What was named is not there.",
    409: "It cannot be done as things stand; the detail says why.",
    413: "Too much.",
    422: "What was asked for is not understood.",
    429: "Too often.",
    500: "Something unforeseen; the detail names the entry of the log.",
    503: "The broker, the database or another part that this needs is away; the detail names it.",
}
_SCHEMA = Problem.model_json_schema()
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": meaning, "content": {PROBLEM_TYPE: {"schema": _SCHEMA}}}
    for status, meaning in _MEANINGS.items()
}
# Described alone: who.py reads the token.
BY_TOKEN = Security(HTTPBearer(auto_error=False, description="A token, as `gatepost token add` makes it."))
