"""Parameters and modifiers of extensions."""

from functools import partial

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.parameters import MAX_DEPTH, Parameter, parameters
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused, spaced


@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (b"(CONDSTORE)", (Parameter(b"CONDSTORE"),)),
        (b"(condstore x)", (Parameter(b"CONDSTORE"), Parameter(b"X"))),
        (b"(CHANGEDSINCE 12345 VANISHED)", (Parameter(b"CHANGEDSINCE", b"12345"), Parameter(b"VANISHED"))),
        (
            b"(QRESYNC (67890007 90060115194045000 41,43:211,214:541))",
            (Parameter(b"QRESYNC", (b"67890007", b"90060115194045000", b"41,43:211,214:541")),),
        ),
        (b"(QRESYNC (1 2 1:* (1,2 3,4)))", (Parameter(b"QRESYNC", (b"1", b"2", b"1:*", (b"1,2", b"3,4"))),)),
        (b"(USE (\\Sent \\Trash))", (Parameter(b"USE", (b"\\Sent", b"\\Trash")),)),
        (b'(X ("a b" c) Y {2+}\r\nde)', (Parameter(b"X", (b"a b", b"c")), Parameter(b"Y", b"de"))),
        (b"(X ())", (Parameter(b"X", ()),)),
        (b"(PARTIAL -1:-100)", (Parameter(b"PARTIAL", b"-1:-100"),)),
    ],
)
def test_parameters_are_read(octets: bytes, found: tuple[Parameter, ...]) -> None:
    assert read(spaced(partial(parameters, wanted="one")), b" " + octets) == found


@pytest.mark.parametrize(
    "octets", [b"()", b"(X", b"(X )", b"(X  Y)", b"(X X)", b"(1)", b"(X (1)", b"(X (1))) ", b"(X (1 ))", b"(X " + b"(" * 20000]
)
def test_what_is_none_is_refused(octets: bytes) -> None:
    refused(spaced(partial(parameters, wanted="one")), b" " + octets)


def test_depth_and_number_are_bounded() -> None:
    read(spaced(partial(parameters, wanted="one")), b" (X " + b"(" * MAX_DEPTH + b"1" + b")" * MAX_DEPTH + b")")
    assert "parentheses" in refused(spaced(partial(parameters, wanted="one")), b" (X " + b"(" * (MAX_DEPTH + 1) + b"1").message
    assert "values" in refused(spaced(partial(parameters, wanted="one")), b" (X (" + b"1 " * 2000).message
    assert "parameters" in refused(spaced(partial(parameters, wanted="one")), b" (" + b" ".join(b"X%d" % at for at in range(40))).message


@given(frames)
def test_any_frame_is_parameters_or_refused(found: Frame) -> None:
    never_crashes(spaced(partial(parameters, wanted="one")), found)
