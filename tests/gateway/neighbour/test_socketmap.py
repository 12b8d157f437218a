"""Netstrings: whole, cut anywhere, random octets → a lookup, patience, or BadFrame; nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.neighbour.socketmap import ANSWER, QUESTION, BadFrame, Lookup, TooLong, found, later, not_found, take


@pytest.mark.parametrize(
    ("octets", "lookup", "size"),
    [
        (b"28:sender_login anna@acme.test ,", Lookup("sender_login", "anna@acme.test "), 32),
        (b"6:domain,9:mailbox x,", Lookup("domain", ""), 9),
        (b"0:,", Lookup("", ""), 3),
        (b"8:alias \xff\xfe,", Lookup("alias", "\udcff\udcfe"), 11),
        (b"10:alias a b ,rest", Lookup("alias", "a b "), 14),
    ],
)
def test_a_question(octets: bytes, lookup: Lookup, size: int) -> None:
    assert take(octets) == (lookup, size)
    whole = octets[:size]
    assert [take(whole[:cut]) for cut in range(size)] == [None] * size
    assert take(bytearray(whole)) == (lookup, size)


@pytest.mark.parametrize(
    "octets", [b"05:alias,", b"5:alias;", b"5 :alias,", b"-1:,", b"1234567", b"99999999:", b"5x", b"10001:", b"00:,", b":,", b"\x00"]
)
def test_what_is_no_netstring(octets: bytes) -> None:
    with pytest.raises(BadFrame):
        take(octets)


def test_a_question_that_nobody_needs_is_refused_by_its_length_alone() -> None:
    assert take(b"%d:" % QUESTION) is None
    with pytest.raises(BadFrame):
        take(b"%d:" % (QUESTION + 1))


@given(st.binary(max_size=40) | st.from_regex(rb"[0-9]{1,3}:[a-z @,]{0,20},?", fullmatch=True))
def test_any_octets(octets: bytes) -> None:
    try:
        taken = take(octets)
    except BadFrame:
        return
    if taken is not None:
        assert 0 < taken[1] <= len(octets)
        assert octets[taken[1] - 1 : taken[1]] == b","


def test_answers() -> None:
    assert found("anna@acme.test") == b"17:OK anna@acme.test,"
    assert found("jörg@acme.test") == b"18:OK j\xc3\xb6rg@acme.test,"
    assert not_found() == b"9:NOTFOUND ,"
    assert later("not now") == b"12:TEMP not now,"
    assert b"?" in later("ü")


def test_no_answer_is_longer_than_postfix_takes() -> None:
    assert len(found("x" * (ANSWER - 3))) == ANSWER + 8
    with pytest.raises(TooLong):
        found("x" * (ANSWER - 2))
