"""Texts of answers: tables, times."""

import pytest

from gateway.prov.answer import Answer, clock, moment, stamp, table

NOON = 1_800_014_400_000_000  # 2027-01-15T12:00:00Z


@pytest.fixture(autouse=True)
def in_utc(monkeypatch: pytest.MonkeyPatch) -> object:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_table_cuts_nothing_off() -> None:
    assert table((-4, 3, 0), [("a", "b", "c"), ("longer", "wide", "")]) == "   a  b    c\nlonger  wide\n"


def test_times_for_people_and_for_programs() -> None:
    assert moment(NOON) == "2027-01-15T12:00:00+00:00"
    assert stamp(NOON) == "2027-01-15T12:00:00Z"
    assert stamp(None) is None
    assert (moment(1 << 62), stamp(1 << 62)) == ("never", None)


def test_a_clock_shows_the_day_where_it_is_another() -> None:
    assert clock(NOON, NOON - 3600_000_000) == "12:00"
    assert clock(NOON, NOON - 86400_000_000) == "2027-01-15 12:00"


def test_an_answer_is_text_or_json() -> None:
    answer = Answer("ä\n", ["ä"])
    assert (answer.spelled(False), answer.spelled(True)) == ("ä\n", '["ä"]\n')
