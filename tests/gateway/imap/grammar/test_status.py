"""STATUS"""

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.status import STATUS_ITEMS, FolderStatus, status
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused


def test_status_is_read() -> None:
    assert read(status, b" inbox (messages UIDNEXT)") == FolderStatus("INBOX", (b"MESSAGES", b"UIDNEXT"))
    assert read(status, b" x (UNSEEN UNSEEN)") == FolderStatus("x", (b"UNSEEN",))


@pytest.mark.parametrize(
    "arguments", [b"", b" x", b" x ()", b" x MESSAGES", b" x (MESSAGES", b" x (MESSAGES )", b" x (FOO)", b" x (SIZES)"]
)
def test_status_that_is_none_is_refused(arguments: bytes) -> None:
    refused(status, arguments)


def test_an_extension_adds_an_item() -> None:
    assert read(lambda c: status(c, STATUS_ITEMS | {b"NEWS"}), b" x (NEWS)") == FolderStatus("x", (b"NEWS",))


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(status, found)
