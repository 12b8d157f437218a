"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE."""

from functools import partial

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadSyntax
from gateway.imap.grammar.folders import Create, Delete, Rename, Subscribe, create, create_uses, delete, rename, subscribe
from gateway.imap.grammar.parameters import Parameter
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused


def test_they_are_read() -> None:
    assert read(create, b" a/b/") == Create("a/b/")
    assert read(create, b" a (USE (\\Sent))") == Create("a", (Parameter(b"USE", (b"\\Sent",)),))
    assert read(delete, b' "&AOQ-"') == Delete("ä")
    assert read(rename, b" inbox {1+}\r\nb") == Rename("INBOX", "b")
    assert read(partial(subscribe, subscribed=True), b" a") == Subscribe("a", True)
    assert read(partial(subscribe, subscribed=False), b" a") == Subscribe("a", False)


@pytest.mark.parametrize("arguments", [b"", b" ", b" a ", b" a  b", b" a b c", b" (", b" a\xff"])
def test_what_is_none_is_refused(arguments: bytes) -> None:
    for rule in (create, delete, rename, partial(subscribe, subscribed=True)):
        refused(rule, arguments)


@pytest.mark.parametrize(
    ("arguments", "uses"),
    [
        (b" a", ()),
        (b" a (USE ())", ()),
        (b" a (use (\\sent))", (b"\\Sent",)),
        (b" a (USE (\\Sent \\SENT \\All))", (b"\\Sent", b"\\All")),
        (b" a (USE)", None),
        (b" a (USE \\Sent)", None),
        (b" a (USE (Sent))", None),
        (b" a (USE ((\\Sent)))", None),
        (b" a (FOO (\\Sent))", None),
    ],
)
def test_what_a_folder_is_made_for(arguments: bytes, uses: tuple[bytes, ...] | None) -> None:
    try:
        assert create_uses(read(create, arguments).parameters) == uses
    except BadSyntax:
        assert uses is None


def test_a_nul_in_a_name_is_refused() -> None:
    refused(create, b" {3+}\r\na\0b")


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    for rule in (create, delete, rename, partial(subscribe, subscribed=True)):
        never_crashes(rule, found)
