"""Changing whole fields and nothing else."""

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message import headers
from gateway.message.headers import (
    REMOVED_FROM_SUBMISSIONS,
    authentication_results_of,
    date_field,
    field,
    fields_named,
    forged_results,
    from_field,
    mailbox_value,
    message_id_field,
    received_by,
    received_field,
    return_path_field,
    rewrite,
    sender_field,
    signatures_naming_others,
    signatures_over,
)
from gateway.message.originators import originators
from gateway.message.split import Field, Header, read_header, read_submitted_header

AT = datetime(2024, 3, 5, 7, 8, 9, tzinfo=UTC)
MESSAGE = b"From: A\r\n <a@b>\r\nBcc: x@y\r\nSENDER: c@d\r\nSubject:  odd \t\r\n\r\nFrom: body\r\n\x00\n"


def one(header: Header, name: bytes) -> Field:
    found = header.first(name)
    assert found is not None
    return found


def test_fields_are_removed_replaced_and_added_and_all_else_stays() -> None:
    header = read_header(MESSAGE)
    assert rewrite(
        MESSAGE,
        header,
        remove=fields_named(header, REMOVED_FROM_SUBMISSIONS),
        replace={one(header, b"sender"): b"Sender: u@b\r\n"},
        top=[b"Received: 1\r\n", b"X: 2\r\n"],
        bottom=[b"Date: 3\r\n"],
    ) == (b"Received: 1\r\nX: 2\r\nFrom: A\r\n <a@b>\r\nSender: u@b\r\nSubject:  odd \t\r\nDate: 3\r\n\r\nFrom: body\r\n\x00\n")
    assert rewrite(MESSAGE, header) == MESSAGE


@pytest.mark.parametrize(
    ("octets", "made"),
    [
        (b"", b"T: 1\r\nB: 2\r\n"),
        (b"A: b", b"T: 1\r\nA: b\r\nB: 2\r\n"),
        (b"\r\nbody", b"T: 1\r\nB: 2\r\n\r\nbody"),
        (b"A: b\n\nc", b"T: 1\r\nA: b\nB: 2\r\n\nc"),
    ],
)
def test_fields_can_be_added_to_any_header(octets: bytes, made: bytes) -> None:
    assert rewrite(octets, read_header(octets), top=[b"T: 1\r\n"], bottom=[b"B: 2\r\n"]) == made


@given(
    st.lists(st.sampled_from([b"A: b\r\n", b"Bcc: x\r\n y\r\n", b"From: a@b\r\n", b"C:\r\n", b"\tz\r\n"]), max_size=12),
    st.binary(max_size=30),
)
def test_removing_leaves_exactly_the_other_fields(lines: list[bytes], body: bytes) -> None:
    octets = b"X: y\r\n" + b"".join(lines) + b"\r\n" + body
    header = read_header(octets)
    made = rewrite(octets, header, remove=fields_named(header, {b"bcc"}))
    kept = b"".join(octets[one.start : one.end] for one in header.fields if one.name != b"bcc")
    assert made == kept + b"\r\n" + body


@pytest.mark.parametrize(
    ("name", "value"),
    [(b"A b", b"c"), (b"A:", b"c"), (b"", b"c"), (b"A", b"c\r\nB: d"), (b"A", b"c\n d"), (b"A", b"\x00"), (b"A", b"c\r\n")],
)
def test_a_field_that_would_be_two_is_not_made(name: bytes, value: bytes) -> None:
    with pytest.raises(ValueError, match="field"):
        field(name, value)


@pytest.mark.parametrize(
    ("display", "value"),
    [
        ("", b"a@b.test"),
        ("Anna Rossi", b"Anna Rossi <a@b.test>"),
        ("Rossi, Anna", b'"Rossi, Anna" <a@b.test>'),
        ('A "B" \\', b'"A \\"B\\" \\\\" <a@b.test>'),
        ("=?utf-8?q?x?=", b'"=?utf-8?q?x?=" <a@b.test>'),
        ("Annà", b"=?UTF-8?B?QW5uw6A=?= <a@b.test>"),
        ("A\r\nBcc: x", b'"A Bcc: x" <a@b.test>'),
        ("\x00", b"a@b.test"),
    ],
)
def test_mailbox_values(display: str, value: bytes) -> None:
    assert mailbox_value(display, "a@b.test") == value


@given(st.text(max_size=200))
def test_what_we_write_as_sender_our_own_strict_reading_takes_and_others_show(display: str) -> None:
    octets = b"From: x@y.test\r\n" + sender_field(display, "a@b.test") + b"\r\n"
    sender = originators(octets, read_submitted_header(octets)).sender
    assert sender is not None
    assert (sender.local, sender.domain) == ("a", "b.test")
    assert all(len(line) <= 76 for line in octets.split(b"\r\n") if line.startswith((b" =?", b"Sender: =?")))
    shown = email.message_from_bytes(octets, _class=EmailMessage, policy=email.policy.default)["Sender"].address
    assert shown.addr_spec == "a@b.test"


@pytest.mark.parametrize("address", ["a b@c", "a@b>", "<a@b", "a@b\r\nX: y", "a@b\x00"])
def test_an_address_that_would_end_its_field_is_not_written(address: str) -> None:
    with pytest.raises(ValueError, match="address"):
        from_field("x", address)


def test_trace_fields() -> None:
    assert date_field(AT) == b"Date: Tue, 05 Mar 2024 07:08:09 +0000\r\n"
    assert message_id_field("1.2", "b.test") == b"Message-ID: <1.2@b.test>\r\n"
    assert return_path_field("") == b"Return-Path: <>\r\n"
    assert headers.delivered_to_field("a@b") == b"Delivered-To: a@b\r\n"
    anonymous = received_field(by="mx.b.test", protocol="ESMTPSA", identifier="q1", at=AT)
    assert anonymous == b"Received: by mx.b.test with ESMTPSA id q1;\r\n\tTue, 05 Mar 2024 07:08:09 +0000\r\n"
    full = received_field(
        by="mx.b.test", protocol="LMTP", identifier="q1", at=AT, helo="evil (x)\r\nBcc: y", source="192.0.2.1", recipient="a@b"
    )
    assert full == (
        b"Received: from evil??x???Bcc:?y ([192.0.2.1])\r\n\tby mx.b.test with LMTP id q1\r\n"
        b"\tfor <a@b>;\r\n\tTue, 05 Mar 2024 07:08:09 +0000\r\n"
    )


def test_results_and_received_fields_that_claim_to_be_ours() -> None:
    octets = (
        b"Authentication-Results: mx.b.test; spf=pass\r\n"
        b"Authentication-Results: (c) MX.B.test 1; none\r\n"
        b'Authentication-Results:\r\n "mx.b.test"; none\r\n'
        b"Authentication-Results: mx.b.test.evil.test; none\r\n"
        b"Authentication-Results: other.test; x=mx.b.test\r\n"
        b"ARC-Authentication-Results: i=1; mx.b.test; none\r\n"
        b"Received: from x (by y) by mx.b.test (z) with SMTP; date\r\n"
        b"Received: from mx.b.test by other.test; date\r\n"
        b"Received: from standby mx.b.test; date\r\n\r\n"
    )
    header = read_header(octets)
    index = {one: number for number, one in enumerate(header.fields)}
    assert [index[one] for one in authentication_results_of(octets, header, ["mx.b.test"])] == [0, 1, 2, 5]
    assert [index[one] for one in received_by(octets, header, ["MX.b.test"])] == [6]
    assert [index[one] for one in forged_results(octets, header, ["mx.b.test"])] == [0, 1, 2]


@pytest.mark.parametrize(
    "spelled",
    [
        "xn--bcher-kva.test",
        "B\xfccher.test",
        "\xa0b\xfccher.test",
        "b\xfccher.test.",
        "b\xfccher.test/1",
        "b\xfccher.test\x0b1",
        "\x0bb\xfccher.test",
    ],
)
@pytest.mark.parametrize("ours", ["xn--bcher-kva.test", "b\xfccher.test", "XN--BCHER-KVA.test."])
def test_a_name_is_ours_however_it_is_spelled(spelled: str, ours: str) -> None:
    octets = f"Authentication-Results: {spelled}; none\r\nReceived: by {spelled.strip('/1')}; date\r\n\r\n".encode()
    header = read_header(octets)
    assert authentication_results_of(octets, header, [ours]) == header.fields[:1]
    assert received_by(octets, header, [ours]) == header.fields[1:]


def test_signatures_over_changed_fields() -> None:
    octets = (
        b"DKIM-Signature: v=1; a=x; h=From : To:\r\n\tSubject; bh=sender\r\n"
        b"DKIM-Signature: v=1; h=from:sender; b=x\r\nDKIM-Signature: none\r\n\r\n"
    )
    header = read_header(octets)
    assert signatures_over(octets, header, {b"sender"}) == (header.fields[1],)
    assert signatures_over(octets, header, {b"subject", b"sender"}) == header.fields[:2]


@pytest.mark.parametrize(
    ("identity", "goes"),
    [
        ("", False),
        ("; i=@acme.test", False),
        ("; i=owner@acme.test", False),
        ("; i=\r\n OWNER@acme.test", False),
        ("; i=delegate@acme.test", True),
        ("; i=owner=40acme.test@acme.test", True),
        ("; i=@acme.test; i=delegate@acme.test", True),
        ("; i=", True),
    ],
)
def test_signatures_that_name_somebody_else(identity: str, goes: bool) -> None:
    octets = f"DKIM-Signature: v=1; h=from{identity}; bi=x\r\nFrom: x\r\n\r\n".encode()
    header = read_header(octets)
    assert signatures_naming_others(octets, header, ["owner@acme.test"]) == ((header.fields[0],) if goes else ())
