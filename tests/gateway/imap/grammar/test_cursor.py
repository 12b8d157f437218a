"""Tag and name of a command, and how what is wrong is said."""

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadSyntax, Cursor, again, atom, command_name, nothing
from tests.gateway.imap.grammar.reading import frame, frames, read, refused


@pytest.mark.parametrize(
    ("octets", "tag", "name"),
    [
        (b"a NOOP", b"a", b"NOOP"),
        (b"00000000 noop", b"00000000", b"NOOP"),
        (b"ZuzP-w Select x", b"ZuzP-w", b"SELECT"),
        (b"a uid fetch 1 FLAGS", b"a", b"UID FETCH"),
        (b"a] X", b"a]", b"X"),
    ],
)
def test_tag_and_name_are_read(octets: bytes, tag: bytes, name: bytes) -> None:
    assert command_name(frame(octets))[:2] == (tag, name)


@pytest.mark.parametrize(
    ("octets", "tag"),
    [
        (b"", None),
        (b" NOOP", None),
        (b"+ NOOP", None),
        (b"a(b NOOP", None),
        (b"x" * 65 + b" NOOP", None),
        (b"a", b"a"),
        (b"a ", b"a"),
        (b"a  NOOP", b"a"),
        (b"a (NOOP)", b"a"),
        (b"a UID", b"a"),
        (b"a {4+}\r\nNOOP", b"a"),
        (b"a " + b"X" * 41, b"a"),
    ],
)
def test_what_has_no_tag_or_no_name_is_refused_with_the_tag_it_has(octets: bytes, tag: bytes | None) -> None:
    with pytest.raises(BadSyntax) as caught:
        command_name(frame(octets))
    assert caught.value.tag == tag


def test_a_command_has_to_end() -> None:
    read(nothing, b"")
    assert "end of the command" in refused(nothing, b" ").message
    assert "end of the command" in refused(nothing, b" x").message
    assert "end of the command" in refused(nothing, b"{1+}\r\nx").message


def test_what_was_wrong_is_said_with_its_place_and_without_the_octets() -> None:
    def two_atoms(c: Cursor) -> None:
        c.sp()
        atom(c)
        c.sp()
        atom(c, "another word")

    assert refused(two_atoms, b" secret (secret").message == "expected another word, at octet 11"


@given(frames)
def test_any_frame_has_a_name_or_the_documented_error(found: Frame) -> None:
    try:
        command_name(Frame((b"a" + found.parts[0], *found.parts[1:])))
    except BadSyntax as error:
        assert error.tag in (b"a", None)


def test_what_is_given_again_is_read_once() -> None:
    read: list[bytes] = []

    def word(c: Cursor) -> bytes:
        read.append(c.text)
        c.sp()
        return atom(c)

    rule = again(word)
    found = [Cursor(Frame((b" word",))).whole(rule) for _ in "abc"]
    assert (found, len(read)) == ([b"word"] * 3, 1)
    Cursor(Frame((b" word",)), utf8=True).whole(rule)
    assert len(read) == 2  # in UTF-8 it might be another


@pytest.mark.parametrize("parts", [(b" " + b"x" * 300,), (b" x {", b"1", b"")])
def test_what_is_long_or_has_literals_is_not_kept(parts: tuple[bytes, ...]) -> None:
    read: list[bytes] = []

    def word(c: Cursor) -> None:
        read.append(c.text)

    for _ in "ab":
        again(word)(Cursor(Frame(parts)))
    assert len(read) == 2


def test_what_is_wrong_is_said_with_its_place_and_tag_each_time() -> None:
    rule = again(lambda c: (c.sp(), atom(c)))
    for _ in "ab":
        _, _, cursor = command_name(Frame((b"a17 STATUS in(box",)))
        with pytest.raises(BadSyntax, match="expected the end of the command, at octet 13") as found:
            cursor.whole(rule)
        assert found.value.tag == b"a17"
