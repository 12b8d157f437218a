"""Comments, quoted strings and parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.lexis import MAX_PARAMETERS, comment_end, parameter, parameters, unquoted, without_comments


@pytest.mark.parametrize(
    ("value", "depth", "end"),
    [
        (b"()", None, 2),
        (b"(a(b)c)d", None, 7),
        (b"(a", None, -1),
        (b"(\\))", None, 4),
        (b"(a\\", None, -1),
        (b"((()))", 3, 6),
        (b"((()))", 2, -2),
    ],
)
def test_where_a_comment_ends(value: bytes, depth: int | None, end: int) -> None:
    assert comment_end(value, 0, depth) == end


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (b"a", b"a"),
        (b"a(b)c", b"a c"),
        (b'a"(b)"c', b'a"(b)"c'),
        (b"a(b", b"a "),
        (b'a"(b', b'a"(b'),
        (b"a\\(b(c)", b"a\\(b "),
        (b"(a(b)c)", b" "),
    ],
)
def test_comments_become_blanks(value: bytes, plain: bytes) -> None:
    assert without_comments(value) == plain


def test_quoted_pairs_and_folds_are_resolved() -> None:
    assert unquoted(b'a\\"b\\\\c\r\n d') == b'a"b\\c d'


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"; a=b", [(b"a", b"b")]),
        (b";A=b;C=D", [(b"a", b"b"), (b"c", b"D")]),
        (b'; a = "b;c" ; d="e\\"f"', [(b"a", b"b;c"), (b"d", b'e"f')]),
        (b"; a=b c; d=e", [(b"a", b"b"), (b"d", b"e")]),
        (b'; a="b', [(b"a", b"b")]),
        (b'; a="b\\', [(b"a", b"b")]),
        (b"; a; b=; =c; d=e=f", [(b"b", b""), (b"d", b"e=f")]),
        (b"", []),
        (b";;;", []),
    ],
)
def test_parameters(value: bytes, found: list[tuple[bytes, bytes]]) -> None:
    assert list(parameters(value)) == found


def test_the_number_of_parameters_is_bounded() -> None:
    assert len(parameters(b"; a=b" * 1000)) == MAX_PARAMETERS


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"n=x", b"x"),
        (b"n*=utf-8'de'%41b", b"Ab"),
        (b"n*0=a; n*1=b", b"ab"),
        (b"n*1=b; n*0=a", b"ab"),
        (b"n*0*=''%41; n*1=%41; n*2*=%42", b"A%41B"),
        (b"n*0=a; n*2=c", b"a"),
        (b"n=x; n*=''y", b"x"),
        (b"n*x=a", None),
        (b"m=a", None),
    ],
)
def test_one_parameter_with_its_pieces(value: bytes, found: bytes | None) -> None:
    assert parameter(parameters(value), b"n") == found


@given(st.binary(max_size=100) | st.text("a=;\"\\( )*0'%").map(str.encode))
def test_any_octets_have_parameters(value: bytes) -> None:
    found = parameters(without_comments(value))
    parameter(found, b"a")
    assert all(name for name, _ in found)
