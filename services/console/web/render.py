"""Pages from templates (Jinja2).

What strangers wrote is text wherever it stands: HTML is escaped by the template engine, and control and bidi characters
of every value are shown as escapes, here, so that no template can forget it. `| lines` keeps line ends.
"""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from services.console.identity.rights import Right
from services.console.story.told import moment, size, span
from shared.logs import escape as escape_controls

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
_HTML = "text/html; charset=utf-8"


def render(
    request: Request,
    template: str,
    *,
    status_code: int = 200,
    headers: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """Return a page. What every template may use: request, Right, and the filters and functions below."""
    context = {"caller": None, "csrf": "", "now": 0.0} | context
    text = environment().get_template(template).render(request=request, Right=Right, **context)
    return Response(text, status_code, dict(headers or {}), _HTML)


@cache
def environment() -> Environment:
    """Return the engine."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"moment": moment, "span": span, "octets": size, "lines": _lines, "ago": ago, "iso": iso}
    made.globals |= {"static": static_url}
    return made


@cache
def static_url(name: str) -> str:
    """Return the address of a file of ours; it changes with the file's content, so it may be kept for long."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def ago(at: float | None, now: float) -> str:
    """Return how long ago something was, in the largest whole unit."""
    if at is None:
        return "never"
    seconds = now - at
    if seconds < 0:
        return f"in {_whole(-seconds)}"
    return "just now" if seconds < 5 else f"{_whole(seconds)} ago"


def iso(at: float) -> str:
    """Return a time as a machine reads it, for `<time datetime>`."""
    return moment(at).removesuffix(" UTC").replace(" ", "T") + "Z"


def _whole(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _shown(value: object) -> object:
    """Return a value as a template prints it: nothing for None, and no character that moves others."""
    if value is None:
        return ""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return escape_controls(value)


def _lines(text: str) -> Markup:
    """Return text of several lines for `<pre>`, everything odd in it escaped, with its line ends."""
    return Markup("\n").join(escape(escape_controls(line)) for line in text.replace("\r\n", "\n").split("\n"))
