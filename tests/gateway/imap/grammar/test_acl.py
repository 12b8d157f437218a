"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS."""

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.acl import DeleteAcl, GetAcl, ListRights, MyRights, SetAcl, deleteacl, getacl, listrights, myrights, setacl
from gateway.imap.grammar.store import StoreMode
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (b" inbox anyone lrs", SetAcl("INBOX", "anyone", StoreMode.REPLACE, "lrs")),
        (b' x user@acme.test "+w"', SetAcl("x", "user@acme.test", StoreMode.ADD, "w")),
        (b" x group:list@acme.test -w", SetAcl("x", "group:list@acme.test", StoreMode.REMOVE, "w")),
        (b' x anyone ""', SetAcl("x", "anyone", StoreMode.REPLACE, "")),
        (b' x "cos:B\xc3\xbcro" lr', SetAcl("x", "cos:Büro", StoreMode.REPLACE, "lr")),
        # Prepared: composed, a soft hyphen and a no-break space are not what they look like (RFC 4013 section 2).
        (b" x {12+}\r\ncos:Bu\xcc\x88\xc2\xadro lr", SetAcl("x", "cos:Büro", StoreMode.REPLACE, "lr")),
        (b' x "cos:a\xc2\xa0b" lr', SetAcl("x", "cos:a b", StoreMode.REPLACE, "lr")),
        (b' x "-anna" lr', SetAcl("x", "-anna", StoreMode.REPLACE, "lr")),
    ],
)
def test_setacl_is_read(arguments: bytes, value: SetAcl) -> None:
    assert read(setacl, arguments) == value


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" x",
        b" x y",
        b" x y LR",
        b" x y +-l",
        b' x "" l',
        b" x y l w",
        b' x "\xff" l',
        b' x "\xc2\xad" l',
        b' x "a\xe2\x80\xae" l',
        b' x "a\xd7\x90" l',
        b" x {3+}\r\na\x07b l",
        b" x " + b"y" * 513 + b" l",
    ],
)
def test_setacl_that_is_none_is_refused(arguments: bytes) -> None:
    refused(setacl, arguments)


def test_the_others_are_read() -> None:
    assert read(deleteacl, b" x anyone") == DeleteAcl("x", "anyone")
    assert read(listrights, b" x anyone") == ListRights("x", "anyone")
    assert read(getacl, b" x") == GetAcl("x")
    assert read(myrights, b' "Other Users/a/b"') == MyRights("Other Users/a/b")
    refused(deleteacl, b" x")
    refused(listrights, b" x")
    refused(getacl, b" x y")
    refused(myrights, b" x y")


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    for rule in (setacl, deleteacl, getacl, listrights, myrights):
        never_crashes(rule, found)
