"""How events are written: one line each on standard error, the same field names everywhere."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from config.settings import Log

# An event is logged as `log.info("login.refused", extra={"fields": {"account": ..., "peer": ..., "reason": ...}})`.
# These names come first and in this order, so that lines can be read in columns; others follow as they were given.
FIELDS: Final = (
    "listener",
    "peer",
    "session",
    "actor",
    "account",
    "folder",
    "sender",
    "recipient",
    "queue_id",
    "reason",
    "seconds",
    "error_id",
)

_WORD: Final = re.compile(r'[^ "=\\]+')
_PLAIN: Final = re.compile(r"[!#-<>-\[\]-~]+")
"""A word of ASCII: next to everything that is logged."""


class TextLine(logging.Formatter):
    """``2026-01-31T12:00:00.000Z INFO gateway.login login.refused peer=192.0.2.1 account=anna@acme.test reason=bad-credentials``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; octets of strangers are quoted, so that no event can look like two."""
        pairs = [f"{name}={_quoted(value)}" for name, value in _fields(record).items()]
        return " ".join([_time(record), record.levelname, record.name, _printable(record.getMessage()), *pairs])


class JsonLine(logging.Formatter):
    """One JSON object (RFC 8259) with time, level, logger, event and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; values that JSON lacks are written as their text."""
        head = {"time": _time(record), "level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
        return json.dumps({**{name: value for name, value in _fields(record).items() if name not in head}, **head}, default=str)


def configuration(log: Log) -> dict[str, Any]:
    """What `logging.config.dictConfig` takes. Loggers of libraries are heard from warning upward."""
    line = JsonLine if log.format == "json" else TextLine
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"()": line}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "stream": "ext://sys.stderr"}},
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {room: {"level": log.level.upper()} for room in ("gateway", "store", "config")},
    }


def leave_out_places() -> None:
    """No line says where in the source or in which thread it was written: that need not be found out (Python's "Logging HOWTO",
    Optimization)."""
    logging._srcfile = None
    logging.logThreads = logging.logMultiprocessing = logging.logProcesses = False


def _fields(record: logging.LogRecord) -> dict[str, object]:
    given = getattr(record, "fields", None)
    found: Mapping[str, object] = given if isinstance(given, Mapping) else {}
    ordered = {name: found[name] for name in _order(tuple(found)) if found[name] is not None}
    if record.exc_info and record.exc_info[0] is not None:
        ordered["exception"] = "".join(traceback.format_exception(*record.exc_info))
    return ordered


@lru_cache(maxsize=256)
def _order(names: tuple[str, ...]) -> tuple[str, ...]:
    return (*(name for name in FIELDS if name in names), *(name for name in names if name not in FIELDS))


def _time(record: logging.LogRecord) -> str:
    at, rest = divmod(int(record.created * 1000), 1000)
    return f"{_second(at)}.{rest:03d}Z"


@lru_cache(maxsize=1)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").removesuffix("+00:00")


def _printable(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)


def _quoted(value: object) -> str:
    text = value.decode("ascii", "backslashreplace") if isinstance(value, bytes) else str(value)
    if _PLAIN.fullmatch(text):
        return text
    # isprintable() is false for every control, line and paragraph separator and bidirectional mark.
    if text.isprintable() and _WORD.fullmatch(text):
        return text
    return json.dumps(text)
