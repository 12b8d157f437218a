"""Canonical forms, tag lists and the field itself; dkimpy says what is right where an RFC has no example."""

import re
from hashlib import sha256

import pytest
from dkim.canonicalization import Relaxed, Simple
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.message import dkim
from gateway.message.dkim import (
    BadSignature,
    Form,
    body_digest,
    canonical_body,
    forms,
    itself,
    names_to_sign,
    read_names,
    relaxed,
    selected,
    signed,
    signed_octets,
    tags,
    unsigned,
)
from gateway.message.split import read_header


def body(octets: bytes, form: Form) -> bytes:
    return b"".join(canonical_body(octets, 0, form))


# RFC 6376 section 3.4.5
@pytest.mark.parametrize(
    ("octets", "form", "expected"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", Form.RELAXED, b" C\r\nD E\r\n"),
        (b" C \r\nD \t E\r\n\r\n\r\n", Form.SIMPLE, b" C \r\nD \t E\r\n"),
        (b"", Form.SIMPLE, b"\r\n"),
        (b"", Form.RELAXED, b""),
        (b"\r\n\r\n", Form.SIMPLE, b"\r\n"),
        (b"\r\n \r\n\t\r\n", Form.RELAXED, b""),
        (b"no end", Form.RELAXED, b"no end\r\n"),
        (b"no end  ", Form.RELAXED, b"no end\r\n"),
        (b"a\r\n   ", Form.RELAXED, b"a\r\n"),
        (b"no end", Form.SIMPLE, b"no end\r\n"),
        (b"a\r\n\r\n \t\r\nb\r\n", Form.RELAXED, b"a\r\n\r\n\r\nb\r\n"),
        (b"a\r\n\r\nb\r\n\r\n", Form.SIMPLE, b"a\r\n\r\nb\r\n"),
        (b"a\r", Form.RELAXED, b"a\r\r\n"),
    ],
)
def test_bodies(octets: bytes, form: Form, expected: bytes) -> None:
    assert body(octets, form) == expected


def test_the_example_of_the_rfc_for_headers() -> None:
    octets = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n"
    header = read_header(octets)
    names = (b"a", b"b")
    pieces = b"".join(dkim.canonical_field(octets, one, Form.RELAXED) for one in selected(header, names))
    assert pieces == b"a:X\r\nb:Y Z\r\n"
    pieces = b"".join(dkim.canonical_field(octets, one, Form.SIMPLE) for one in selected(header, names))
    assert pieces == b"A: X\r\nB : Y\t\r\n\tZ  \r\n"


PIECES = st.lists(st.sampled_from([b" ", b"\t", b"\r\n", b"a", b"bc", b"  ", b" \r\n", b"\r\n\r\n", b"\xc3\xa4"]), max_size=40).map(
    b"".join
)


@given(PIECES, st.integers(1, 9))
@example(b"a" * 9 + b" " * 9 + b"\r\n" * 9, 3)
def test_pieces_of_any_size_make_the_same_body(octets: bytes, size: int) -> None:
    expected = {form: body(octets, form) for form in Form}
    whole, dkim.PIECE = dkim.PIECE, size  # type: ignore[misc]
    try:
        assert {form: body(octets, form) for form in Form} == expected
    finally:
        dkim.PIECE = whole  # type: ignore[misc]


@given(PIECES)
def test_bodies_are_those_of_dkimpy(octets: bytes) -> None:
    octets += b"\r\n"
    assert body(octets, Form.SIMPLE) == Simple.canonicalize_body(octets)
    expected = Relaxed.canonicalize_body(octets)
    if not expected.startswith(b" \r\n") and b"\r\n \r\n" not in expected:  # a line of blanks alone is not always empty to it
        assert body(octets, Form.RELAXED) == expected


@given(PIECES)
def test_fields_are_those_of_dkimpy(value: bytes) -> None:
    value = re.sub(rb"\r\n(?![ \t])", b"", value) + b"\r\n"
    ((name, expected),) = Relaxed.canonicalize_headers([(b"Subject", value)])
    assert relaxed(b"Subject", value) == name + b":" + expected


@pytest.mark.parametrize(
    "hostile", [b" " * 3_000_000 + b"x", b"\r\n" * 1_500_000 + b"x", b" \r\n" * 1_000_000, b"x" * 3_000_000, b"\t x" * 1_000_000]
)
def test_hostile_bodies_take_linear_time(hostile: bytes) -> None:
    """Minutes, if they did not: pytest's time limit is what fails."""
    for form in Form:
        body_digest(hostile, 0, form)


def test_a_body_may_be_signed_in_part() -> None:
    whole, more = body_digest(b"head\r\n\r\nabc\r\ndef\r\n", 8, Form.SIMPLE)
    assert (whole, more) == (sha256(b"abc\r\ndef\r\n").digest(), False)
    assert body_digest(b"abc\r\ndef\r\n", 0, Form.SIMPLE, 5) == (sha256(b"abc\r\n").digest(), True)
    assert body_digest(b"abc\r\n", 0, Form.SIMPLE, 5) == (sha256(b"abc\r\n").digest(), False)
    assert body_digest(b"abc\r\n", 0, Form.SIMPLE, 50)[1] is False


def test_fields_are_taken_from_the_last_one_upwards() -> None:
    octets = b"To: 1\r\nFrom: a\r\nTo: 2\r\n\r\n"
    header = read_header(octets)
    found = selected(header, (b"to", b"to", b"to", b"from", b"cc"))
    assert [octets[one.start : one.end] for one in found] == [b"To: 2\r\n", b"To: 1\r\n", b"From: a\r\n"]


def test_what_is_signed_is_named_once_more_than_it_is_there() -> None:
    header = read_header(b"From: a\r\nSubject: s\r\nList-Id: x\r\nReceived: y\r\nResent-To: a\r\nResent-To: b\r\nX: z\r\n\r\n")
    names = names_to_sign(header)
    assert {name: names.count(name) for name in (b"from", b"subject", b"sender", b"list-id", b"resent-to")} == {
        b"from": 2,
        b"subject": 2,
        b"sender": 1,
        b"list-id": 1,
        b"resent-to": 2,
    }
    assert not {b"received", b"x", b"return-path", b"bcc", b"list-unsubscribe"} & {*names}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" v=1; a = rsa-sha256 ;\r\n\tb=ab\r\n c=;", {b"v": b"1", b"a": b"rsa-sha256", b"b": b"ab\r\n c="}),
        (b"p=", {b"p": b""}),
        (b"", {}),
    ],
)
def test_tag_lists(value: bytes, expected: dict[bytes, bytes]) -> None:
    assert tags(value) == expected


@pytest.mark.parametrize("value", [b"v=1; v=1", b"v", b"=1", b"1v=1", b"v=1;;a=2", b"a b=c", b";".join([b"a%d=1" % n for n in range(99)])])
def test_what_is_no_tag_list(value: bytes) -> None:
    with pytest.raises(BadSignature):
        tags(value)


@pytest.mark.parametrize("value", [b"", b"from:", b":from", b"from::to", b":".join([b"to"] * 501)])
def test_what_is_no_list_of_names(value: bytes) -> None:
    with pytest.raises(BadSignature):
        read_names(value)


def test_forms_of_a_signature() -> None:
    assert forms(b"relaxed/simple") == (Form.RELAXED, Form.SIMPLE)
    assert forms(b"relaxed") == (Form.RELAXED, Form.SIMPLE)
    with pytest.raises(BadSignature):
        forms(b"nofws/simple")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b" v=1; b=abc\r\n\tdef; bh=xyz\r\n", b"dkim-signature:v=1; b=; bh=xyz"),
        (b"b=abc;a=1\r\n", b"dkim-signature:b=;a=1"),
        (b" bh=b=;\r\n\tb = abc\r\n", b"dkim-signature:bh=b=; b ="),
    ],
)
def test_a_signature_signs_itself_without_what_it_says(value: bytes, expected: bytes) -> None:
    assert itself(b"DKIM-Signature", value) == expected


def test_the_field_is_folded_and_reads_back() -> None:
    names = [name for name in dkim.OVERSIGNED for _ in range(3)]
    field = unsigned(b"DKIM-Signature", [(b"v", b"1"), (b"a", b"rsa-sha256"), (b"d", b"x" * 200), (b"t", b"1")], names, b"\0" * 32)
    whole = signed(field, b"\xff" * 256)
    assert whole.endswith(b"\r\n")
    assert not whole.endswith(b"\r\n\r\n")
    lines = whole.removesuffix(b"\r\n").split(b"\r\n")
    assert max(len(line) for line in lines if b"d=" not in line) <= 78
    assert all(line.startswith(b"\t") for line in lines[1:])
    said = tags(whole.partition(b":")[2])
    assert read_names(said[b"h"]) == tuple(names)
    assert itself(b"DKIM-Signature", whole.partition(b":")[2]) == itself(b"DKIM-Signature", field.partition(b":")[2])


@given(st.binary(max_size=300))
def test_whatever_a_field_holds_it_is_read_or_refused(value: bytes) -> None:
    for reading in (tags, read_names, forms):
        try:
            reading(value)
        except BadSignature:
            pass
    octets = b"DKIM-Signature:" + value.replace(b"\n", b"").replace(b"\r", b"") + b"\r\n\r\n"
    signed_octets(octets, read_header(octets), (b"from",), Form.SIMPLE, b"DKIM-Signature", value)
