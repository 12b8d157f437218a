"""CANCELUPDATE."""

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.contexts import CancelUpdate, cancelupdate
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.search import Update, search
from gateway.imap.grammar.sort import sort
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused


def test_tags_are_read() -> None:
    assert read(cancelupdate, b' "B01"') == CancelUpdate((b"B01",))
    assert read(cancelupdate, b' "B01" "a\\"b" "B01"') == CancelUpdate((b"B01", b'a"b'))


@pytest.mark.parametrize("arguments", [b"", b" ", b" B01", b' "B01" ', b' ("B01")', b' "B01', b" {1}\r\nx", b' "a"' * 300])
def test_what_is_no_tag_is_refused(arguments: bytes) -> None:
    if arguments.count(b'"a"') == 300:
        arguments = b"".join(b' "a%d"' % number for number in range(300))
    refused(cancelupdate, arguments)


def test_return_options() -> None:
    wanted = (Parameter(b"CONTEXT"), Update(b"UPDATE"), Parameter(b"COUNT"))
    found = read(lambda c: search(c, by_uid=True), b" RETURN (CONTEXT update COUNT) DELETED")
    assert found.returning == wanted
    assert found.returns(b"UPDATE")
    sorting = read(lambda c: sort(c, by_uid=True), b" RETURN (CONTEXT UPDATE COUNT) (DATE) UTF-8 ALL")
    assert sorting.returning == wanted
    assert sorting.returns(b"UPDATE")
    assert not sorting.returns(b"ALL")


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(cancelupdate, found)
