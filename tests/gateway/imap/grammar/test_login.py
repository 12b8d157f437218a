"""Credentials in every spelling, and never in a repr."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadSyntax
from gateway.imap.grammar.login import Authenticate, Login, authenticate, login, sasl_answer
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused


@pytest.mark.parametrize(
    "arguments",
    [
        b' "delegate@acme.test" "pass.word"',
        b" delegate@acme.test pass.word",
        b" {18}\r\ndelegate@acme.test {9}\r\npass.word",
        b" {18+}\r\ndelegate@acme.test pass.word",
    ],
)
def test_login_is_read_in_every_spelling(arguments: bytes) -> None:
    assert read(login, arguments) == Login("delegate@acme.test", "pass.word")


@pytest.mark.parametrize("arguments", [b"", b" a", b" a b c", b" a  b", b' "a" "\xff"', b" (a) b", b' "a""b"'])
def test_login_that_is_none_is_refused(arguments: bytes) -> None:
    refused(login, arguments)


def test_secrets_have_no_repr_and_no_place_in_errors() -> None:
    assert "geheim" not in repr(read(login, b" a geheim"))
    assert "geheim" not in repr(read(authenticate, b" PLAIN Z2VoZWlt"))
    assert "geheim" not in refused(login, b" a geheim geheim").message


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (b" plain", Authenticate(b"PLAIN")),
        (b" PLAIN =", Authenticate(b"PLAIN", b"")),
        (b" PLAIN AGEAYg==", Authenticate(b"PLAIN", b"\0a\0b")),
        (b" SCRAM-SHA-256 biws", Authenticate(b"SCRAM-SHA-256", b"n,,")),
    ],
)
def test_authenticate_is_read(arguments: bytes, value: Authenticate) -> None:
    assert read(authenticate, arguments) == value


@pytest.mark.parametrize(
    "arguments", [b"", b" ", b" PLAIN AGEAYg", b" PLAIN !", b" PLAIN ==", b' "PLAIN"', b" PLAIN AGEAYg== x", b" PLAIN = "]
)
def test_authenticate_that_is_none_is_refused(arguments: bytes) -> None:
    refused(authenticate, arguments)


@given(st.binary(max_size=50))
def test_answers_come_back_from_base64(octets: bytes) -> None:
    assert sasl_answer(b64encode(octets)) == octets
    assert sasl_answer(b"*") is None


@given(st.binary(max_size=20))
def test_any_line_is_an_answer_or_refused(line: bytes) -> None:
    try:
        sasl_answer(line)
    except BadSyntax:
        pass


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(login, found)
    never_crashes(authenticate, found)
