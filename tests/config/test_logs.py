"""One line per event, the same names, nothing that a stranger wrote can look like an event of its own."""

from __future__ import annotations

import json
import logging
import logging.config
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.logs import JsonLine, TextLine, configuration
from config.settings import Log


def record(message: str, fields: object = None, level: int = logging.INFO) -> logging.LogRecord:
    made = logging.LogRecord("gateway.login", level, __file__, 1, message, None, None)
    made.created = 1_767_225_600.25
    made.fields = fields
    return made


def test_a_text_line_has_time_level_logger_event_and_fields_in_order() -> None:
    line = TextLine().format(record("login.refused", {"tries": 3, "reason": "bad credentials", "peer": "192.0.2.1", "account": None}))
    assert line == '2026-01-01T00:00:00.250Z INFO gateway.login login.refused peer=192.0.2.1 reason="bad credentials" tries=3'


def test_a_json_line_is_an_object() -> None:
    line = JsonLine().format(record("login.refused", {"peer": "192.0.2.1", "raw": b"x", "event": "forged"}))
    assert json.loads(line) == {
        "time": "2026-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "gateway.login",
        "event": "login.refused",
        "peer": "192.0.2.1",
        "raw": "b'x'",
    }


@given(st.one_of(st.text(), st.binary()))
def test_no_value_makes_a_second_line_or_a_second_field(value: str | bytes) -> None:
    for formatter in (TextLine(), JsonLine()):
        assert len(formatter.format(record("smtp.refused", {"sender": value})).splitlines()) == 1
    assert TextLine().format(record("smtp.refused", {"sender": value, "zeal": 1})).count(" zeal=") >= 1
    text = TextLine().format(record("smtp.refused", {"sender": value})).partition("sender=")[2]
    assert text.startswith('"') or (" " not in text and "=" not in text)


@given(st.text())
def test_no_message_makes_a_second_line(message: str) -> None:
    for formatter in (TextLine(), JsonLine()):
        assert len(formatter.format(record(message.replace("%", ""))).splitlines()) == 1


def test_an_exception_stays_on_its_line() -> None:
    made = record("session.failed", {"error_id": "x1"}, logging.ERROR)
    try:
        raise ValueError("a\nb")
    except ValueError as fault:
        made.exc_info = (type(fault), fault, fault.__traceback__)
    for formatter in (TextLine(), JsonLine()):
        line = formatter.format(made)
        assert len(line.splitlines()) == 1
        assert "ValueError" in line


@pytest.mark.parametrize(("form", "level", "lines"), [("text", "info", 1), ("json", "info", 1), ("text", "error", 0)])
def test_the_configuration_writes_to_standard_error(
    form: Literal["text", "json"], level: Literal["info", "error"], lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers, root_level = root.handlers[:], root.level
    rooms = {name: logging.getLogger(name).level for name in ("gateway", "store", "config")}
    try:
        logging.config.dictConfig(configuration(Log(format=form, level=level)))
        logging.getLogger("gateway.login").info("login.accepted", extra={"fields": {"account": "anna@acme.test"}})
        logging.getLogger("a.library").info("chatter")
    finally:
        root.handlers[:] = handlers
        root.setLevel(root_level)
        for name, before in rooms.items():
            logging.getLogger(name).setLevel(before)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == lines
    assert captured.err.count("anna@acme.test") == lines
