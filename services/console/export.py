"""Rows as CSV and as JSON lines (PURE).

Standards: RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe: the rows hold what
strangers wrote, and whoever opens the file must not run it.
"""

import csv
import io
import json
from collections.abc import Sequence

# Also after spaces, which some programs skip.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")


def csv_line(cells: Sequence[object]) -> str:
    """Return one line with its end."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_cell(cell) for cell in cells])
    return out.getvalue()


def json_line(row: dict[str, object]) -> str:
    """Return one line with its end. Of what moves a terminal, JSON lets DEL alone stand as it is (RFC 8259 §7)."""
    return json.dumps(row, ensure_ascii=True, default=str).replace("\x7f", "\\u007f") + "\n"


def _cell(value: object) -> str:
    if value is None:
        return ""
    # A number is no formula, whatever its sign.
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return "'" + text if text.lstrip(" ").startswith(_FORMULA) else text
