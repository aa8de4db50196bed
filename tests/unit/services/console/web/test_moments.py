"""Times as people type them."""

import pytest

from services.console.actions.desk import ActionError
from services.console.web.moments import read_moment


@pytest.mark.parametrize(
    "text, at",
    [
        ("", None),
        ("  ", None),
        ("1970-01-02", 86_400.0),
        ("1970-01-01 01:00", 3600.0),
        ("1970-01-01T01:00:01Z", 3601.0),
        ("2026-11-24 10:30:15", 1_795_516_215.0),
    ],
)
def test_a_time_is_utc_and_may_leave_its_end_away(text: str, at: float | None) -> None:
    assert read_moment(text) == at


@pytest.mark.parametrize("text", ["yesterday", "24.11.2026", "2026-13-01", "2026-11-24 25:00", "²026-11-24"])
def test_what_is_no_time_shows_the_form(text: str) -> None:
    with pytest.raises(ActionError, match="2026-11-24 10:30"):
        read_moment(text)
