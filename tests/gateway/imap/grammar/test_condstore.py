"""Mod-sequences in SELECT, FETCH and STORE; in SEARCH they are in test_search.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.grammar.condstore import Resync, Selecting, Since, fetch_modifiers, select_parameters, store_modifiers
from gateway.imap.grammar.cursor import BadSyntax, Cursor
from gateway.imap.grammar.numbers import SequenceSet
from gateway.imap.grammar.parameters import Parameter, parameters
from tests.gateway.imap.grammar.reading import read, spaced


def given_in(octets: bytes) -> tuple[Parameter, ...]:
    def rule(c: Cursor) -> tuple[Parameter, ...]:
        return parameters(c, "something")

    return read(spaced(rule), b" " + octets)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"(CONDSTORE)", Selecting(True)),
        (b"(qresync (67890007 20050715194045000))", Selecting(False, Resync(67890007, 20050715194045000))),
        (b"(QRESYNC (1 2 4:2,7))", Selecting(False, Resync(1, 2, SequenceSet(((2, 4), (7, 7)))))),
        (b"(QRESYNC (1 2 5:9 (1:2,4 5:6,9)))", Selecting(False, Resync(1, 2, SequenceSet(((5, 9),)), ((1, 5), (2, 6), (4, 9))))),
        (b"(QRESYNC (1 2 (1,3 5:6)))", Selecting(False, Resync(1, 2, None, ((1, 5), (3, 6))))),
        (b"(CONDSTORE QRESYNC (1 0))", Selecting(True, Resync(1, 0))),
    ],
)
def test_parameters_of_select_are_read(octets: bytes, value: Selecting) -> None:
    assert select_parameters(given_in(octets)) == value


@pytest.mark.parametrize(
    "octets",
    [
        b"(NOSUCH)",
        b"(CONDSTORE 1)",
        b"(QRESYNC)",
        b"(QRESYNC 1)",
        b"(QRESYNC (1))",
        b"(QRESYNC (0 1))",
        b"(QRESYNC (1 x))",
        b"(QRESYNC (1 99999999999999999999))",
        b"(QRESYNC (1 2 1:*))",
        b"(QRESYNC (1 2 x))",
        b"(QRESYNC (1 2 $))",
        b"(QRESYNC (1 2 1:4 5))",
        b"(QRESYNC (1 2 1:4 (1)))",
        b"(QRESYNC (1 2 1:4 (1 1:2)))",
        b"(QRESYNC (1 2 1:4 (2,1 1:2)))",
        b"(QRESYNC (1 2 1:4 (1:4294967295 1:4294967295)))",
        b"(QRESYNC (1 2 1:4 (1 1) 5))",
        b"(QRESYNC (1 2 ((1) 1)))",
    ],
)
def test_parameters_of_select_that_are_none(octets: bytes) -> None:
    with pytest.raises(BadSyntax):
        select_parameters(given_in(octets))


@pytest.mark.parametrize(
    ("octets", "by_uid", "value"),
    [
        (b"(CHANGEDSINCE 12345)", False, Since(12345)),
        (b"(changedsince 1 vanished)", True, Since(1, True)),
        (b"(VANISHED CHANGEDSINCE 1)", True, Since(1, True)),
        (b"(VANISHED CHANGEDSINCE 1)", False, None),
        (b"(VANISHED)", True, None),
        (b"(CHANGEDSINCE)", True, None),
        (b"(CHANGEDSINCE (1))", True, None),
        (b"(CHANGEDSINCE -1)", True, None),
        (b"(CHANGEDSINCE 1:2)", True, None),
        (b"(NOSUCH)", True, None),
    ],
)
def test_modifiers_of_fetch(octets: bytes, by_uid: bool, value: Since | None) -> None:
    if value is None:
        with pytest.raises(BadSyntax):
            fetch_modifiers(given_in(octets), by_uid=by_uid)
    else:
        assert fetch_modifiers(given_in(octets), by_uid=by_uid) == value


def test_no_modifier_asks_for_nothing() -> None:
    assert fetch_modifiers((), by_uid=True) is None
    assert store_modifiers(()) is None
    assert select_parameters(()) == Selecting()


def test_modifiers_of_store() -> None:
    assert store_modifiers(given_in(b"(UNCHANGEDSINCE 0)")) == 0
    assert store_modifiers(given_in(b"(unchangedsince 9223372036854775807)")) == (1 << 63) - 1
    for octets in (b"(UNCHANGEDSINCE)", b"(UNCHANGEDSINCE x)", b"(CHANGEDSINCE 1)", b"(UNCHANGEDSINCE 9223372036854775808)"):
        with pytest.raises(BadSyntax):
            store_modifiers(given_in(octets))


_VALUES = st.recursive(
    st.binary(max_size=6) | st.sampled_from([b"1", b"2:3", b"1:4294967295", b"*"]), lambda inner: st.lists(inner, max_size=5).map(tuple)
)


@given(value=st.none() | _VALUES, name=st.sampled_from([b"QRESYNC", b"CONDSTORE", b"CHANGEDSINCE", b"VANISHED", b"UNCHANGEDSINCE"]))
def test_any_value_is_read_or_refused(value: object, name: bytes) -> None:
    found = (Parameter(name, value),)  # type: ignore[arg-type]
    for rule in (select_parameters, store_modifiers, lambda one: fetch_modifiers(one, by_uid=True)):
        try:
            rule(found)
        except BadSyntax as error:
            assert error.message
