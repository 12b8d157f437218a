"""Flags in any case, keywords as sent."""

import pytest

from gateway.imap.grammar.flags import MAX_FLAGS, flag_list, store_flags
from tests.gateway.imap.grammar.reading import read, refused, spaced


@pytest.mark.parametrize(
    ("octets", "flags"),
    [
        (b"()", ()),
        (b"(\\Seen)", (b"\\Seen",)),
        (b"(\\sEEN \\DELETED $Todo Old k0)", (b"\\Seen", b"\\Deleted", b"$Todo", b"Old", b"k0")),
        (b"(a[b)", (b"a[b",)),
    ],
)
def test_lists_are_read(octets: bytes, flags: tuple[bytes, ...]) -> None:
    assert read(spaced(flag_list), b" " + octets) == flags
    assert read(spaced(store_flags), b" " + octets) == flags


def test_store_takes_flags_without_parentheses() -> None:
    assert read(spaced(store_flags), b" \\Seen x") == (b"\\Seen", b"x")
    refused(spaced(flag_list), b" \\Seen")


@pytest.mark.parametrize(
    "octets",
    [
        b"(\\Recent)",
        b"(\\*)",
        b"(\\Foo)",
        b"( \\Seen)",
        b"(\\Seen )",
        b"(\\Seen",
        b"(a  b)",
        b"(a]b)",
        b"(\xc3\xa4)",
        b"(\\)",
        b"(" + b"x" * 129 + b")",
        b'("a")',
        b"(" + b" ".join([b"x"] * (MAX_FLAGS + 1)) + b")",
    ],
)
def test_what_is_no_flag_is_refused(octets: bytes) -> None:
    refused(spaced(flag_list), b" " + octets)
