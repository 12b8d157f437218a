"""Octets become whole commands, however they are cut; bad ones the one documented error."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.framing import Allowance, Frame, Framer, FramingError, Want, alone, carries_message, tag_of


def small(parts: tuple[bytes, ...]) -> Allowance:
    return Allowance(literal=50, total=200) if not carries_message(parts) else Allowance(literal=1000, total=2000)


def framer(max_line: int = 60, max_literals: int = 3) -> Framer:
    return Framer(max_line, small, max_literals)


Event = tuple[bytes, ...] | str


def events(pieces: list[bytes], max_line: int = 60, max_literals: int = 3) -> list[Event]:
    """What comes of these pieces: frames, `+` for a go-ahead, errors; ends after one that ends the connection."""
    found: list[Event] = []
    reader = framer(max_line, max_literals)
    for piece in pieces:
        reader.feed(piece)
        while True:
            try:
                got = reader.next_frame()
            except FramingError as error:
                found.append(f"{error.tag!r} {error.message} big={error.too_big} ends={error.ends}")
                if error.ends:
                    return found
                continue
            if got is Want.MORE:
                break
            found.append(got.parts if isinstance(got, Frame) else "+")
    return found


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        (b"a NOOP\r\n", [(b"a NOOP",)]),
        (b"a NOOP\r\nb NOOP\r\n", [(b"a NOOP",), (b"b NOOP",)]),
        (b"a LOGIN {1}\r\nu {2}\r\npw\r\n", ["+", "+", (b"a LOGIN ", b"u", b" ", b"pw", b"")]),
        (b"a LOGIN {1+}\r\nu {2+}\r\npw\r\n", [(b"a LOGIN ", b"u", b" ", b"pw", b"")]),
        (b"a X {0}\r\n\r\n", ["+", (b"a X ", b"", b"")]),
        (b"a X {007+}\r\n\r\n\0\n\r{1}\r\n", [(b"a X ", b"\r\n\0\n\r{1", b"}")]),
        (b"a APPEND x ~{3+}\r\n\0\0\0\r\n", [(b"a APPEND x ~", b"\0\0\0", b"")]),
        (b'a X "{3}" \r\n', [(b'a X "{3}" ',)]),
        (b"a X {3-}\r\n", [(b"a X {3-}",)]),
        (b"\r\n", [(b"",)]),
    ],
)
def test_what_is_whole_becomes_a_frame(octets: bytes, expected: list[Event]) -> None:
    assert events([octets]) == expected
    assert events([octets[at : at + 1] for at in range(len(octets))]) == expected


@pytest.mark.parametrize(
    ("octets", "tag", "too_big", "ends"),
    [
        (b"a NO\0OP\r\n", b"a", False, False),
        (b"a NO\rOP\r\n", b"a", False, False),
        (b"a NOOP\n", b"a", False, False),
        (b"a NOOP\r\r\n", b"a", False, False),
        (b"a NO\0OP {5+}\r\n", b"a", False, True),
        (b"a NOOP {5+}\n", b"a", False, True),
        (b"\xff\xff\n", None, False, False),
        (b"a " + b"x" * 60 + b"\r\n", b"a", True, False),
        (b"a " + b"x" * 60 + b"{5}\r\n", b"a", True, False),
        (b"a " + b"x" * 60 + b"{5+}\r\n", b"a", True, True),
        (b"a LOGIN {51}\r\n", b"a", True, False),
        (b"a LOGIN {51+}\r\n", b"a", True, True),
        (b"a LOGIN {4294967295}\r\n", b"a", True, False),
        (b"a LOGIN {" + b"9" * 40 + b"}\r\n", b"a", True, False),
        (b"a LOGIN {" + b"9" * 40 + b"+}\r\n", b"a", True, True),
        (b"a APPEND x {1001}\r\n", b"a", True, False),
        (b"a APPEND {51}\r\n", b"a", True, False),
    ],
)
def test_what_is_no_command_or_too_big_is_refused(octets: bytes, tag: bytes | None, too_big: bool, ends: bool) -> None:
    reader = framer()
    reader.feed(octets + b"z NOOP\r\n")
    with pytest.raises(FramingError) as caught:
        reader.next_frame()
    assert (caught.value.tag, caught.value.too_big, caught.value.ends) == (tag, too_big, ends)
    if not ends:
        assert reader.next_frame() == Frame((b"z NOOP",))


def test_a_literal_too_big_is_refused_without_a_go_ahead() -> None:
    assert "+" not in events([b"a LOGIN {51}\r\n"])


def test_only_the_message_of_an_append_has_the_big_allowance() -> None:
    assert carries_message((b"a APPEND x ",))
    assert carries_message((b"a append ", b"x", b" (\\Seen) "))
    assert carries_message((b"a UID REPLACE 4 x ",))
    assert not carries_message((b"a APPEND ",))
    assert not carries_message((b"a LOGIN ", b"x", b" "))
    assert events([b"a APPEND x {1000+}\r\n" + b"m" * 1000 + b"\r\n"]) == [(b"a APPEND x ", b"m" * 1000, b"")]


def test_with_literal_minus_only_small_literals_come_unasked() -> None:
    for octets, ends in ((b"a X {11+}\r\n", True), (b"a X {21}\r\n", False)):
        reader = Framer(60, lambda parts: Allowance(literal=20, total=200, unasked=10))
        reader.feed(octets)
        with pytest.raises(FramingError) as caught:
            reader.next_frame()
        assert caught.value.ends is ends
    reader = Framer(60, lambda parts: Allowance(literal=20, total=200, unasked=10))
    reader.feed(b"a X {20}\r\n" + b"x" * 20 + b" {10+}\r\n" + b"y" * 10 + b"\r\n")
    assert reader.next_frame() is Want.GO_AHEAD
    assert isinstance(reader.next_frame(), Frame)


def test_the_number_of_literals_and_the_whole_command_are_bounded() -> None:
    many = b"a X" + b" {1+}\r\nx" * 3
    assert events([many + b"\r\n"]) == [(b"a X ", b"x", b" ", b"x", b" ", b"x", b"")]
    assert events([many + b" {1}\r\n"])[0] == "b'a' a command may have 3 literals big=True ends=False"
    heavy = b"a X" + b" {50+}\r\n" + b"x" * 50 + b" {50+}\r\n" + b"x" * 50 + b" {50+}\r\n" + b"x" * 50
    assert "200 octets" in str(events([heavy + b"y" * 55 + b"\r\n"])[0])


def test_a_line_that_never_ends_ends_the_connection_and_is_not_kept() -> None:
    reader = framer()
    for _ in range(20):
        reader.feed(b"a" * 60)
        try:
            reader.next_frame()
        except FramingError as error:
            assert error.ends
            assert reader.pending == 0
            return
        assert reader.pending <= 180
    pytest.fail("never refused")


def test_lines_that_are_no_commands_are_read_in_between() -> None:
    reader = framer()
    reader.feed(b"a IDLE\r\nDO")
    assert reader.next_frame() == Frame((b"a IDLE",))
    assert reader.next_line() is Want.MORE
    reader.feed(b"NE\r\nb X {3}\r\n")
    assert reader.next_line() == b"DONE"
    assert reader.next_frame() is Want.GO_AHEAD
    assert reader.next_frame() is Want.MORE
    assert not reader.between_commands
    reader.feed(b"abc\r\n")
    assert reader.next_frame() == Frame((b"b X ", b"abc", b""))
    assert reader.between_commands
    reader.feed(b"AGFiYw== {3}\r\n")
    assert reader.next_line() == b"AGFiYw== {3}"


def test_octets_behind_starttls_are_seen_and_can_be_dropped() -> None:
    reader = framer()
    reader.feed(b"a STARTTLS\r\nb LOGIN x y\r\n")
    assert reader.next_frame() == Frame((b"a STARTTLS",))
    assert reader.pending == 13
    reader.clear()
    assert reader.pending == 0
    assert reader.next_frame() is Want.MORE


@pytest.mark.parametrize(("text", "tag"), [(b"a1 NOOP", b"a1"), (b"ZuzP-w X", b"ZuzP-w"), (b"a", b"a"), (b"+ X", None), (b"", None)])
def test_the_tag_is_read_where_there_is_one(text: bytes, tag: bytes | None) -> None:
    assert tag_of(text) == tag


snippets = st.sampled_from(
    [
        b"a NOOP\r\n",
        b"a X {3}\r\nabc\r\n",
        b"b Y {3+}\r\n",
        b"{0}\r\n",
        b"\r\n",
        b"\r",
        b"\n",
        b"\0",
        b"{",
        b"3}",
        b"x" * 30,
        b"\xff",
        b"~{2}\r\n",
    ]
)
octet_streams = st.lists(snippets | st.binary(max_size=12), max_size=12).map(b"".join)


@given(octet_streams, st.lists(st.integers(0, 200), max_size=8))
def test_octets_in_any_cut_give_the_same(octets: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    pieces = [octets[low:high] for low, high in itertools.pairwise(places)]
    whole = events([octets])
    assert events(pieces) == whole
    assert events([octets[at : at + 1] for at in range(len(octets))]) == whole


@pytest.mark.parametrize(
    ("octets", "whole"),
    [
        (b"a NOOP\r\n", True),
        (b"\r\n", True),
        (b"a" * 60 + b"\r\n", True),
        (b"a" * 61 + b"\r\n", False),
        (b"a NOOP", False),
        (b"a NOOP\r", False),
        (b"a NOOP\n", False),
        (b"\n", False),
        (b"", False),
        (b"a NO\rOP\r\n", False),
        (b"a NO\nOP\r\n", False),
        (b"a NO\0OP\r\n", False),
        (b"a NOOP\r\n\r\n", False),
        (b"a LOGIN {1}\r\n", False),
        (b"a LOGIN {1+}\r\nx y\r\n", False),
    ],
)
def test_a_command_that_comes_alone(octets: bytes, whole: bool) -> None:
    assert alone(octets, 60) == (Frame((octets[:-2],)) if whole else None)


@given(octet_streams)
def test_what_comes_alone_is_what_a_framer_makes_of_it(octets: bytes) -> None:
    found = alone(octets, 60)
    assert found is None or events([octets]) == [found.parts]


def test_a_batch_of_pipelined_commands_is_cut_quickly() -> None:
    reader = Framer(8192, small)
    reader.feed(b"a0001 NOOP\r\n" * 20000)
    started = time.process_time()
    count = 0
    while isinstance(reader.next_frame(), Frame):
        count += 1
    assert count == 20000
    assert time.process_time() - started < 1
