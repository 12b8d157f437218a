"""GETMETADATA, SETMETADATA."""

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.metadata import MAX_ENTRIES, GetMetadata, SetMetadata, entries, getmetadata, setmetadata
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused, spaced


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (b' "" /shared/comment', GetMetadata("", ("/shared/comment",))),
        (b" inbox /Private/Vendor/X", GetMetadata("INBOX", ("/private/vendor/x",))),
        (b' x (/shared/a "/shared/b c" /SHARED/A)', GetMetadata("x", ("/shared/a", "/shared/b c"))),
        (b" (MAXSIZE 1024) x /shared/a", GetMetadata("x", ("/shared/a",), 1024)),
        (b" (depth infinity maxsize 0) x (/private)", GetMetadata("x", ("/private",), 0, None)),
        (b" x (DEPTH 1) /private/a", GetMetadata("x", ("/private/a",), None, 1)),
        (b" x (DEPTH 0 MAXSIZE 5) (/private/a)", GetMetadata("x", ("/private/a",), 5, 0)),
        (b" x {9}\r\n/shared/a", GetMetadata("x", ("/shared/a",))),
        (b" x ({9}\r\n/shared/a /shared/b)", GetMetadata("x", ("/shared/a", "/shared/b"))),
    ],
)
def test_getmetadata_is_read(arguments: bytes, value: GetMetadata) -> None:
    assert read(getmetadata, arguments) == value


BAD_ENTRIES = [
    b"comment",
    b"/other/x",
    b"/shared//x",
    b"/shared/x/",
    b"/sharedx",
    b'"/shared/*"',
    b'"/shared/a%"',
    b'"/shared/\xc3\xa4"',
    b'""',
    b"/shared/" + b"x" * 256,
]


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" x",
        b" x ()",
        b" (MAXSIZE) x /shared/a",
        b" (DEPTH 2) x /shared/a",
        b" (DEPTH 1 DEPTH 1) x /shared/a",
        b" (SIZE 1) x /shared/a",
        b" (DEPTH 1) x (DEPTH 1) /shared/a",
        b" x /shared/a /shared/b",
        b" x (" + b" ".join(b"/shared/%d" % one for one in range(MAX_ENTRIES + 1)) + b")",
        *(b" x " + entry for entry in BAD_ENTRIES),
    ],
)
def test_getmetadata_that_is_none_is_refused(arguments: bytes) -> None:
    refused(getmetadata, arguments)


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        (b" x (/private/comment nil)", (("/private/comment", None),)),
        (b' x (/Shared/a "b c" /private/b {3}\r\nd\r\n)', (("/shared/a", b"b c"), ("/private/b", b"d\r\n"))),
        (b" x (/shared/a ~{2}\r\na\0)", (("/shared/a", b"a\0"),)),
        (b' x (/shared/a "")', (("/shared/a", b""),)),
    ],
)
def test_setmetadata_is_read(arguments: bytes, values: tuple[tuple[str, bytes | None], ...]) -> None:
    assert read(setmetadata, arguments) == SetMetadata("x", values)


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" x",
        b" x ()",
        b' x /shared/a "b"',
        b" x (/shared/a)",
        b" x (/shared/a b)",
        b' x (/shared "b")',
        b' x (/shared/a "b" /SHARED/a "c")',
        b" x (/shared/a {2}\r\na\0)",
        *(b" x (" + entry + b' "b")' for entry in BAD_ENTRIES),
    ],
)
def test_setmetadata_that_is_none_is_refused(arguments: bytes) -> None:
    refused(setmetadata, arguments)


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(getmetadata, found)
    never_crashes(setmetadata, found)
    never_crashes(spaced(entries), found)
