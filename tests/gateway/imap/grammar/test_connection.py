"""CAPABILITY, NOOP, LOGOUT, STARTTLS, IDLE, NAMESPACE, ENABLE, ID."""

from collections.abc import Callable

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar import connection
from gateway.imap.grammar.connection import Compress, Enable, Identify, compress, enable, id_command
from gateway.imap.grammar.cursor import Cursor
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused


@pytest.mark.parametrize(
    ("rule", "kind"),
    [
        (connection.capability, connection.Capability),
        (connection.noop, connection.Noop),
        (connection.logout, connection.Logout),
        (connection.starttls, connection.StartTls),
        (connection.unauthenticate, connection.Unauthenticate),
        (connection.idle, connection.Idle),
        (connection.namespace, connection.NamespaceQuery),
    ],
)
def test_commands_without_arguments_have_none(rule: Callable[[Cursor], object], kind: type) -> None:
    assert read(rule, b"") == kind()
    refused(rule, b" x")


def test_enable_takes_names_nobody_knows() -> None:
    assert read(enable, b" UTF8=ACCEPT condstore X-Y") == Enable((b"UTF8=ACCEPT", b"CONDSTORE", b"X-Y"))


@pytest.mark.parametrize("arguments", [b"", b" ", b" A ", b" A  B", b' "A"', b" (A)", b" X" * 65])
def test_enable_without_names_is_refused(arguments: bytes) -> None:
    refused(enable, arguments)


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (b" NIL", ()),
        (b" ()", ()),
        (b' ("name" "imapflow")', (("name", "imapflow"),)),
        (b' ("name" NIL "vendor" {2+}\r\nxy)', (("name", None), ("vendor", "xy"))),
    ],
)
def test_id_is_read(arguments: bytes, fields: tuple[tuple[str, str | None], ...]) -> None:
    assert read(id_command, arguments) == Identify(fields)


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" x",
        b' ("a")',
        b' ("a" "b" "c")',
        b' ("a" "b"',
        b" (a b)",
        b' ("a" "\xff")',
        b' ("' + b"x" * 31 + b'" "b")',
        b' ("a" "' + b"x" * 1025 + b'")',
        b" (" + b" ".join([b'"a" "b"'] * 31) + b")",
    ],
)
def test_id_that_is_none_is_refused(arguments: bytes) -> None:
    refused(id_command, arguments)


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(enable, found)
    never_crashes(id_command, found)


def test_compress_is_read() -> None:
    assert read(compress, b" deflate") == Compress(b"DEFLATE")


@pytest.mark.parametrize("arguments", [b"", b" ", b" GZIP", b" DEFLATE DEFLATE", b' "DEFLATE"', b" DEFLATE=1", b" {7+}\r\nDEFLATE"])
def test_compress_that_is_none_is_refused(arguments: bytes) -> None:
    refused(compress, arguments)
