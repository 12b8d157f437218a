"""SASLprep: the examples of RFC 4013 section 3, and what a password must not have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scramp.utils import saslprep as other_saslprep

from gateway.sasl.prepare import Unprepared, saslprep


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("a\u3000b", "a b"),
        ("größe", "größe"),
        ("gro\u0308ße", "größe"),
        ("\u0627\u0628", "\u0627\u0628"),
        ("\u0627 1\u0628", "\u0627 1\u0628"),
        ("", ""),
        ("\u00ad", ""),
        ("x y", "x y"),
    ],
)
def test_prepared(text: str, prepared: str) -> None:
    assert saslprep(text, stored=True) == prepared
    assert saslprep(text, stored=False) == prepared


@pytest.mark.parametrize(
    "text", ["\x07", "a\x7f", "\x85", "\ue000", "\ufffe", "\ufffd", "\u2ff0", "\u202a", "\U000e0001", "\u06271", "a\u0627"]
)
def test_prohibited(text: str) -> None:
    for stored in (True, False):
        with pytest.raises(Unprepared):
            saslprep(text, stored=stored)


def test_what_unicode_did_not_know_then_is_asked_for_but_not_kept() -> None:
    emoji = "\U0001f600"
    assert saslprep(emoji, stored=False) == emoji
    with pytest.raises(Unprepared):
        saslprep(emoji, stored=True)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_it_agrees_with_another_implementation_and_is_stable(text: str) -> None:
    try:
        theirs: str | None = other_saslprep(text)
    except Exception:
        theirs = None
    try:
        ours: str | None = saslprep(text, stored=True)
    except Unprepared:
        ours = None
    assert ours == theirs
    if ours:
        assert saslprep(ours, stored=True) == ours
