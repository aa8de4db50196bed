"""Rules of logs: one record a line, and nothing in it that turns a terminal or forges another."""

import json
import logging
from collections.abc import Iterator
from typing import cast

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.logs import configure_logs, escape, in_detail, take_levels
from shared.policy.log import LogLevel, LogRules
from shared.settings import LogSettings

HOSTILE = 'a\r\n{"event":"forged"}\x1b[2J\x7f\x9b\u202eb\u2028'


class Written:
    """What went to standard error."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def text(self) -> str:
        return self._capture.readouterr().err

    def records(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text().splitlines()]


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Iterator[Written]:
    """Standard error; all logging is as before afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield Written(capsys)
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain é 😀", "plain é 😀"),
        ("a\nb", r"a\u000ab"),
        ("\x1b[31m", r"\u001b[31m"),
        ("\x7f\x80\x9f", r"\u007f\u0080\u009f"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u200e\u200f\u061c\u2066\u2069", r"\u200e\u200f\u061c\u2066\u2069"),
        ("\u2028\u2029", r"\u2028\u2029"),
    ],
)
def test_control_and_bidi_characters_are_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped


@settings(max_examples=80)
@given(st.text(max_size=60))
def test_what_is_escaped_is_one_line_and_stays_as_it_is(text: str) -> None:
    assert len(escape(text).splitlines()) <= 1
    assert escape(escape(text)) == escape(text)


def test_a_record_is_one_json_line_with_service_level_and_time(written: Written) -> None:
    configure_logs("edge", LogSettings())
    structlog.get_logger().info("listening", port=25)
    (record,) = written.records()
    assert (record["service"], record["event"], record["level"], record["port"]) == ("edge", "listening", "info", 25)
    assert str(record["timestamp"]).endswith("Z")


def test_outside_text_is_escaped_however_deep(written: Written) -> None:
    configure_logs("edge", LogSettings())
    structlog.get_logger().info("x", top=HOSTILE, inner={"list": [HOSTILE, {"deep": (HOSTILE,)}]})
    text = written.text()
    record = json.loads(text)
    assert record["top"] == escape(HOSTILE)
    assert record["inner"] == {"list": [escape(HOSTILE), {"deep": [escape(HOSTILE)]}]}
    assert escape(text) == text.removesuffix("\n") + r"\u000a"


def test_an_errors_text_is_escaped_too(written: Written) -> None:
    configure_logs("edge", LogSettings())
    try:
        raise ValueError("\x1b[2J\u202e")
    except ValueError:
        structlog.get_logger().exception("failed")
    (record,) = written.records()
    assert r"ValueError: \u001b[2J\u202e" in str(record["exception"])


def test_records_below_the_level_are_not_written(written: Written) -> None:
    configure_logs("edge", LogSettings(level="warning"))
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [record["event"] for record in written.records()] == ["loud"]


def test_the_policy_changes_the_level_of_loggers_that_are_kept_and_its_absence_takes_it_back(written: Written) -> None:
    configure_logs("edge", LogSettings())
    log = structlog.get_logger()
    log.debug("one")
    take_levels(LogRules(edge=LogLevel.DEBUG, content=LogLevel.ERROR).of)
    log.debug("two")
    take_levels(LogRules(edge=LogLevel.ERROR).of)
    log.warning("three")
    logging.getLogger("mail.log").warning("quiet, too")
    take_levels(LogRules(content=LogLevel.DEBUG).of)
    log.debug("four")
    log.info("five")
    events = [record["event"] for record in written.records() if record["event"] != "log-level-changed"]
    assert events == ["two", "five"]


def test_detail_is_wanted_from_level_debug_on_and_while_the_policy_says_so(written: Written) -> None:
    configure_logs("edge", LogSettings())
    wanted = [in_detail()]
    take_levels(LogRules(edge=LogLevel.DEBUG).of)
    wanted.append(in_detail())
    take_levels(LogRules().of)
    assert [*wanted, in_detail()] == [False, True, False]
    assert len(written.records()) == 2


def test_libraries_never_say_more_than_warnings_for_they_may_quote_passwords(written: Written) -> None:
    configure_logs("edge", LogSettings())
    take_levels(LogRules(edge=LogLevel.DEBUG).of)
    logging.getLogger("mail.log").info("AUTH PLAIN …")
    assert [record["event"] for record in written.records()] == ["log-level-changed"]


def test_a_librarys_warning_takes_the_same_form(written: Written) -> None:
    configure_logs("edge", LogSettings())
    logging.getLogger("mail.log").warning("client said %r and %s", "x", HOSTILE)
    logging.getLogger("mail.log").info("not shown")
    (record,) = written.records()
    assert record["event"] == f"client said 'x' and {escape(HOSTILE)}"
    assert (record["service"], record["level"], record["logger"]) == ("edge", "warning", "mail.log")


def test_a_librarys_traceback_is_part_of_its_record(written: Written) -> None:
    configure_logs("edge", LogSettings())
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logging.getLogger("asyncio").exception("broken")
    (record,) = written.records()
    assert "ValueError" in cast("str", record["exception"])
    assert "\x1b" not in cast("str", record["exception"])


def test_text_for_people_is_one_safe_line(written: Written) -> None:
    configure_logs("edge", LogSettings(format="text"))
    structlog.get_logger().info("x", client=HOSTILE)
    text = written.text()
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
