"""STORE"""

from functools import partial

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.numbers import SequenceSet
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.store import Store, StoreMode, store
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused

TWO = SequenceSet(((2, 2),))


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (b" 2 FLAGS (\\Deleted \\Seen)", Store(TWO, StoreMode.REPLACE, (b"\\Deleted", b"\\Seen"), False, True)),
        (b" 2 +Flags (\\Flagged)", Store(TWO, StoreMode.ADD, (b"\\Flagged",), False, True)),
        (b" 2 -flags.silent \\Seen k0", Store(TWO, StoreMode.REMOVE, (b"\\Seen", b"k0"), True, True)),
        (b" 2 FLAGS ()", Store(TWO, StoreMode.REPLACE, (), False, True)),
        (
            b" 2 (UNCHANGEDSINCE 5) +FLAGS.SILENT (x)",
            Store(TWO, StoreMode.ADD, (b"x",), True, True, (Parameter(b"UNCHANGEDSINCE", b"5"),)),
        ),
    ],
)
def test_store_is_read(arguments: bytes, value: Store) -> None:
    assert read(partial(store, by_uid=True), arguments) == value


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" 2",
        b" 2 FLAGS",
        b" 2 FLAGS ",
        b" 2 *FLAGS (a)",
        b" 2 FLAGS.LOUD (a)",
        b" x FLAGS (a)",
        b" 2 () FLAGS (a)",
        b" 2 +FLAGS(a)",
        b" 2 FLAGS (\\Recent)",
    ],
)
def test_store_that_is_none_is_refused(arguments: bytes) -> None:
    refused(partial(store, by_uid=False), arguments)


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(partial(store, by_uid=False), found)
