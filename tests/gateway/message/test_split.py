"""Where headers end: lenient for what is stored, strict for what is submitted."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message.split import (
    Field,
    Header,
    MalformedHeader,
    Offence,
    end_of_header,
    fields_named,
    read_header,
    read_submitted_header,
    unfolded,
)


def names(header: Header) -> list[bytes]:
    return [field.name for field in header.fields]


def test_fields_are_spans_of_the_octets() -> None:
    octets = b"From: a@b\r\nSubject: x\r\n\ty\r\n\r\nbody\r\n"
    for header in (read_header(octets), read_submitted_header(octets)):
        assert header.fields == (Field(b"from", 0, 5, 11), Field(b"subject", 11, 19, 27))
        assert (header.start, header.end, header.body, header.complete) == (0, 27, 29, True)
        assert octets[header.body :] == b"body\r\n"
        assert unfolded(octets, header.fields[1]) == b"x\ty"


@pytest.mark.parametrize(
    ("octets", "found", "body"),
    [
        (b"", [], b""),
        (b"\r\nbody", [], b"body"),
        (b"\nbody", [], b"body"),
        (b"A: b\n\nbody", [b"a"], b"body"),
        (b"A: b\n\r\nbody", [b"a"], b"body"),
        (b"A: b\r\n\nbody", [b"a"], b"body"),
        (b"A: b", [b"a"], b""),
        (b"A: b\r\n", [b"a"], b""),
        (b"From x Mon Jan 1\r\nA: b\r\n\r\nbody", [b"a"], b"body"),
        (b" leading\r\nA : b\r\nC:\r\n\r\nbody", [b"a", b"c"], b"body"),
        (b"junk\r\nA: b\r\n more\r\n \r\nC: d\r\n\r\n", [b"a", b"c"], b""),
        (b"A: \x00\xff\rB: c\r\n\r\nx", [b"a"], b"x"),
        (b": x\r\nA: b\r\n\r\n", [b"a"], b""),
    ],
)
def test_the_lenient_reading_finds_what_there_is(octets: bytes, found: list[bytes], body: bytes) -> None:
    header = read_header(octets)
    assert names(header) == found
    assert octets[header.body :] == body


@pytest.mark.parametrize(
    ("octets", "offence", "field"),
    [
        (b"\r\nA: b\r\n\r\n", Offence.BLANK_FIRST_LINE, b""),
        (b"\nA: b\r\n\r\n", Offence.BLANK_FIRST_LINE, b""),
        (b" A: b\r\n\r\n", Offence.LEADING_CONTINUATION, b""),
        (b"\tA: b\r\n\r\n", Offence.LEADING_CONTINUATION, b""),
        (b"A: b\r\n \r\n\r\n", Offence.BLANK_CONTINUATION, b"a"),
        (b"A: b\r\n \t \r\nC: d\r\n\r\n", Offence.BLANK_CONTINUATION, b"a"),
        (b"A: b\r\n ", Offence.BLANK_CONTINUATION, b"a"),
        (b"A: b\r\nno colon\r\n\r\n", Offence.NO_COLON, b""),
        (b"A: b\r\nFrom : x@y\r\n\r\n", Offence.BLANK_BEFORE_COLON, b"from"),
        (b"A: b\r\nFrom\t: x@y\r\n\r\n", Offence.BLANK_BEFORE_COLON, b"from"),
        (b"From x@y Mon Jan 1 00:00:00\r\nA: b\r\n\r\n", Offence.BAD_NAME, b""),
        (b": x\r\n\r\n", Offence.BAD_NAME, b""),
        (b"Fr\xc3\xb6m: x\r\n\r\n", Offence.BAD_NAME, b""),
        (b"Fr om: x\r\n\r\n", Offence.BAD_NAME, b""),
        (b"A: b\rFrom: x@y\r\n\r\n", Offence.BARE_CR, b"a"),
        (b"A: b\nFrom: x@y\r\n\r\n", Offence.BARE_LF, b"a"),
        (b"A: b\n\nbody\r\n\r\n", Offence.BARE_LF, b"a"),
        (b"A: b\r\r\n\r\n", Offence.BARE_CR, b"a"),
        (b"A: b\x00\r\n\r\n", Offence.NUL, b"a"),
        (b"Subject: x\x0cFrom: b@e.org\r\n\r\n", Offence.CONTROL, b"subject"),
        (b"A: x\r\nSubject: x\xe2\x80\xa8From: b@e.org\r\n\r\n", Offence.LINE_SEPARATOR, b"subject"),
        (b"Subject: x\xc2\x85From: b@e.org\r\n\r\n", Offence.LINE_SEPARATOR, b"subject"),
    ],
)
def test_the_strict_reading_refuses_by_name(octets: bytes, offence: Offence, field: bytes) -> None:
    with pytest.raises(MalformedHeader) as refused:
        read_submitted_header(octets)
    assert (refused.value.offence, refused.value.field) == (offence, field)


@pytest.mark.parametrize("octets", [b"", b"A: b", b"A: b\r\n", b"A:\r\n\r\n", b"A: caf\xe9\r\n\r\n", b"A: b\r\n c\r\n\td\r\n\r\n\x00\r\n"])
def test_the_strict_reading_takes_what_is_plain(octets: bytes) -> None:
    assert read_submitted_header(octets) == read_header(octets)


def test_limits() -> None:
    octets = b"A: b\r\n" * 10 + b"\r\nbody"
    assert len(read_submitted_header(octets, max_octets=60, max_fields=10).fields) == 10
    for limits, offence in (({"max_octets": 59}, Offence.TOO_LARGE), ({"max_fields": 9}, Offence.TOO_MANY_FIELDS)):
        with pytest.raises(MalformedHeader) as refused:
            read_submitted_header(octets, **limits)
        assert refused.value.offence is offence
        lenient = read_header(octets, **limits)
        assert not lenient.complete
        assert octets[lenient.body :] == b"body"
    with pytest.raises(MalformedHeader):
        read_submitted_header(b"A: b\r\n" * 1000, max_octets=100)


@given(st.lists(st.sampled_from([b"A", b":", b" ", b"\r\n", b"\n", b"\r", b"\t", b"\x00", b"\xff", b"x"])).map(b"".join) | st.binary())
@settings(max_examples=300)
def test_both_readings_agree_where_both_read(octets: bytes) -> None:
    lenient = read_header(octets)
    end = 0
    for field in lenient.fields:
        assert end <= field.start < field.value <= field.end <= lenient.end
        end = field.end
    assert lenient.end <= lenient.body <= len(octets)
    try:
        strict = read_submitted_header(octets)
    except MalformedHeader:
        return
    assert strict == lenient
    # Nothing of a strict header is outside its fields.
    assert sum(field.end - field.start for field in strict.fields) == strict.end


@pytest.mark.parametrize(
    "octets", [b"\r\n" * 4_000_000, b"a" * 8_000_000, b"a\r\n" * 2_000_000, b"A: b\r\n " * 1_000_000, b"A:\r\n" * 2_000_000]
)
def test_bombs_take_little_time(octets: bytes) -> None:
    begin = time.process_time()
    read_header(octets)
    with pytest.raises(MalformedHeader):
        read_submitted_header(octets)
    assert time.process_time() - begin < 2


HEADER_LINES = (
    *(b"From: a\r\n", b"FROM : b\n", b" folded\r\n", b"\tfrom: c\r\n", b"Fro: d\r\n"),
    *(b"from-x: e\n", b"from\r\n", b":\r\n", b"To:\r\n"),
)
LINES = st.lists(st.sampled_from(HEADER_LINES), max_size=8)


@settings(max_examples=300)
@given(LINES, st.sampled_from([b"", b"\n", b"\r\n", b"\r\nfrom: body\r\n", b"To: open"]), st.binary(max_size=12))
def test_fields_by_name_are_those_that_the_whole_reading_has(lines: list[bytes], end: bytes, noise: bytes) -> None:
    octets = b"".join(lines[:4]) + noise + b"".join(lines[4:]) + end
    header = read_header(octets)
    at = end_of_header(octets)
    assert header.body == (len(octets) if at is None else at)
    for names in ({b"from"}, {b"from", b"to", b"fro"}, {b"from-x", b"subject"}):
        wanted = [(field.start, field.end) for field in header.fields if field.name in names]
        assert fields_named(octets[: header.body], names) == wanted
