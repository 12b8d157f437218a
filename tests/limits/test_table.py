"""The table of limits is true: its values are the code's, every bound of the code that has a name of one is in it, and each has a test."""

from __future__ import annotations

import dataclasses
import importlib
import re
import tomllib
from pathlib import Path

import pytest

from config.limits import FIXED, SETTINGS, page
from config.settings import names
from tests.conformance.table import exists

ROOT = Path(__file__).parents[2]
COVERED: dict[str, list[str]] = tomllib.loads((Path(__file__).parent / "covered.toml").read_text())

# Bounds on what is said, kept for speed, or answered by an administrator; and those of a row that says them all. None of them is a
# limit that somebody else meets.
ELSEWHERE = {
    "gateway/imap/grammar/search.py:MAX_ATTRIBUTES": "as notify's, of the same list",
    "gateway/imap/names.py:MAX_NORMALIZED": "a name longer than MAX_NAME_OCTETS in any form",
    "gateway/message/bounce.py:MOST_OCTETS": "of a report that came back, looked at for addresses",
    "gateway/message/bounce.py:MOST_RECIPIENTS": "of a report that came back",
    "gateway/message/calendar.py:MAX_ANSWER_OCTETS": "an answer that is larger is refused: tests/gateway/message/test_calendar.py",
    "gateway/message/calendar.py:MAX_CALENDARS": "a message with more is refused: tests/gateway/message/test_calendar.py",
    "gateway/message/dkim.py:MOST_NAMES": "of a signature that is judged",
    "gateway/message/dkim.py:MOST_TAGS": "of a signature that is judged",
    "gateway/message/itip.py:MAX_OCTETS_THAT_MATTER": "of a calendar that is judged",
    "gateway/message/kept.py:MAX_KEPT": "text that is kept to search faster",
    "gateway/message/preview.py:MAX_CHARACTERS": "what is said",
    "gateway/message/results.py:MOST": "fields of another server that go into a seal",
}


def test_the_settings_that_bound_something_are_all_there() -> None:
    settings = names()
    assert [name for name in SETTINGS if name not in settings] == []
    assert [name for name in settings if name.startswith("limits.") and name not in SETTINGS] == []


def test_each_limit_has_a_name_of_its_own_and_tests_and_nothing_else_has() -> None:
    rows = [*SETTINGS, *(one.name for one in FIXED)]
    assert len(rows) == len(set(rows))
    assert [name for name in rows if not COVERED.get(name)] == [], "limits without a test"
    assert [name for name in COVERED if name not in rows] == [], "tests of no limit"


@pytest.mark.parametrize("name", COVERED)
def test_its_tests_exist(name: str) -> None:
    assert [place for place in COVERED[name] if not exists(place)] == []


@pytest.mark.parametrize("row", FIXED, ids=lambda row: row.name)
def test_the_value_is_the_codes(row: object) -> None:
    assert dataclasses.is_dataclass(row)
    file, _, name = row.where.partition(":")  # type: ignore[attr-defined]
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    holder, _, last = name.rpartition(".")
    if holder:
        defaults = {field.name: field.default for field in dataclasses.fields(getattr(module, holder))}
        assert row.value == defaults[last]  # type: ignore[attr-defined]
    else:
        assert row.value == getattr(module, name)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_is_kept_where_it_is_said_to_be(name: str) -> None:
    assert exists(SETTINGS[name][0])


def test_no_bound_of_a_grammar_or_of_a_message_is_missing() -> None:
    said = {one.where for one in FIXED} | ELSEWHERE.keys()
    missing = []
    for room in ("gateway/imap/grammar", "gateway/imap/names.py", "gateway/message", "policy/filters.py"):
        place = ROOT / room
        for path in [place] if place.is_file() else sorted(place.glob("*.py")):
            for found in re.finditer(r"^((?:MAX|MOST)\w*)(?:: Final)? =", path.read_text(), re.MULTILINE):
                where = f"{path.relative_to(ROOT)}:{found[1]}"
                if where not in said:
                    missing.append(where)
    assert missing == []


def test_what_is_said_to_be_elsewhere_exists() -> None:
    for where in ELSEWHERE:
        file, _, name = where.partition(":")
        assert hasattr(importlib.import_module(file.removesuffix(".py").replace("/", ".")), name), where


def test_the_page_is_made_from_the_table() -> None:
    assert (ROOT / "config" / "LIMITS.md").read_text() == "\n".join(page()) + "\n", "python -m config.limits > config/LIMITS.md"
