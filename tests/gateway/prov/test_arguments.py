"""What was typed: words of a line, options, times, pairs."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory.faults import Fault
from gateway.prov.answer import Usage
from gateway.prov.arguments import moment, options, pairs, words

NOW = 1_800_000_000_000_000


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("   \t ", []),
        ("# a comment", []),
        ("  # a comment", []),
        ("gad # the rest", ["gad"]),
        ("ca a@b.test pass#word", ["ca", "a@b.test", "pass#word"]),
        ("ca a@b.test '#'", ["ca", "a@b.test", "#"]),
        ("ca a@b.test ''", ["ca", "a@b.test", ""]),
        ("ma a note 'two words'", ["ma", "a", "note", "two words"]),
        ('ma a note "it\'s \\"so\\""', ["ma", "a", "note", 'it\'s "so"']),
        (r"ma a note two\ words", ["ma", "a", "note", "two words"]),
        (r'"a\nb"', [r"a\nb"]),
        ("a'b'\"c\"d", ["abcd"]),
        ("grr account o@x usr d@x -sendAs", ["grr", "account", "o@x", "usr", "d@x", "-sendAs"]),
    ],
)
def test_a_line_is_parted_as_a_shell_would(line: str, expected: list[str]) -> None:
    assert words(line) == expected


@pytest.mark.parametrize("line", ["'", '"', '"a', "a 'b", 'a "b\\"', "a\\"])
def test_a_quotation_that_does_not_end_is_refused(line: str) -> None:
    with pytest.raises(Fault, match="no closing quotation"):
        words(line)


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\0"))))
def test_what_a_shell_quotes_reads_back(texts: list[str]) -> None:
    assert words(shlex.join(texts)) == texts


@given(st.text())
def test_any_line_is_words_or_a_fault(line: str) -> None:
    try:
        words(line)
    except Fault:
        pass


def test_options_may_stand_anywhere_but_only_those_of_the_verb() -> None:
    read = options(["a", "--until", "7d", "--block", "-b", "--note=x y", "c"], ("--block",), ("--until", "--note"))
    assert (read.flags, read.values, read.rest) == ({"--block"}, {"--until": "7d", "--note": "x y"}, ("a", "-b", "c"))
    assert options(["--", "--until"], valued=("--until",)).rest == ("--until",)
    with pytest.raises(Usage, match="no option --untl"):
        options(["--untl", "7d"], valued=("--until",))
    with pytest.raises(Usage, match="--until needs a value"):
        options(["--until"], valued=("--until",))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-12-24T18:00+01:00", 1798131600),
        ("2026-12-24T17:00Z", 1798131600),
        ("20261224170000Z", 1798131600),
        ("+90m", 1_800_000_000 + 5400),
        ("12h", 1_800_000_000 + 43200),
        ("7d", 1_800_000_000 + 604800),
        ("2w", 1_800_000_000 + 1209600),
    ],
)
def test_a_time_is_read(text: str, seconds: int) -> None:
    assert moment(text, NOW) == seconds * 1_000_000


def test_a_time_without_zone_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Etc/GMT-2")  # two hours ahead of UTC
    time.tzset()
    try:
        assert moment("2026-12-24T19:00", NOW) == 1798131600 * 1_000_000
        assert moment("2026-12-24", NOW) == (1798131600 - 19 * 3600) * 1_000_000
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["", "soon", "7", "7y", "2026-13-01", "2026-12-24T25:00", "-7d", "99999999999999Z"])
def test_what_is_no_time_is_refused_by_name(text: str) -> None:
    with pytest.raises(Fault, match="no time"):
        moment(text, NOW)


def test_pairs_need_a_value_each() -> None:
    assert pairs(["a", "1", "b", ""]) == [("a", "1"), ("b", "")]
    with pytest.raises(Usage, match="no value for the attribute b"):
        pairs(["a", "1", "b"])
