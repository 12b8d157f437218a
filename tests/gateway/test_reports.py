"""Delivery reports and notices, as every mail client must be able to read them."""

import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.reports import Failed, delivery_report, failed, notice, status_of
from policy.identity import Address
from policy.reasons import Defer, Reason, Refuse

NOW = 1_800_000_000 * 1_000_000
ANNA, BRUNO = Address("anna", "acme.test"), Address("bruno", "acme.test")
ORIGINAL = b"From: anna@acme.test\r\nSubject: hello\r\n\r\nsecret body\r\n"


def made(*some: Failed, original: bytes = ORIGINAL, delayed_until: int | None = None) -> bytes:
    return delivery_report(
        hostname="mx.acme.test", to=ANNA, failed=some, original=original, message_id="<1@mx>", now=NOW, delayed_until=delayed_until
    )


def read(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_failure_report() -> None:
    octets = made(Failed(BRUNO, "5.2.1", "the mailbox is disabled"), Failed(Address("x", "y.test"), "5.1.1", "550 gone"))
    assert b"\n" not in octets.replace(b"\r\n", b"")
    message = read(octets)
    assert message.get_content_type() == "multipart/report"
    assert message["To"] == "anna@acme.test"
    assert message["Auto-Submitted"] == "auto-replied"
    text, status, header = message.iter_parts()
    assert "bruno@acme.test" in text.get_content()
    about, first, second = status.get_payload()
    assert about["Reporting-MTA"] == "dns; mx.acme.test"
    assert (first["Final-Recipient"], first["Action"], first["Status"]) == ("rfc822; bruno@acme.test", "failed", "5.2.1")
    assert (second["Final-Recipient"], second["Diagnostic-Code"]) == ("rfc822; x@y.test", "smtp; 550 gone")
    assert header.get_content_type() == "text/rfc822-headers"
    assert "Subject: hello" in header.get_payload()
    assert b"secret body" not in octets


def test_a_warning_says_until_when() -> None:
    message = read(made(Failed(BRUNO, "4.4.1", "nobody answers"), delayed_until=NOW + 86_400_000_000))
    text, status, _ = message.iter_parts()
    assert "16 Jan 2027 08:00:00" in text.get_content()
    assert status.get_payload()[1]["Action"] == "delayed"


def test_an_address_beyond_ascii_is_reported_as_such() -> None:
    octets = made(Failed(Address("jürgen", "y.test"), "5.1.1", "gone"))
    assert "Final-Recipient: utf-8; jürgen@y.test".encode() in octets


def test_a_huge_header_is_cut() -> None:
    assert len(made(Failed(BRUNO, "5.1.1", "gone"), original=b"X: " + b"y" * 1_000_000 + b"\r\n\r\n")) < 80_000


@given(reply=st.text(max_size=200), original=st.binary(max_size=400))
def test_no_reply_and_no_original_can_break_out(reply: str, original: bytes) -> None:
    octets = made(Failed(BRUNO, "5.1.1", reply), original=original)
    message = read(octets)
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts[:2]] == ["text/plain", "message/delivery-status"]
    assert parts[2].get_content_type() in ("text/rfc822-headers", "message/global-headers")
    assert len(parts) == 3
    assert len(parts[1].get_payload()) == 2
    head = octets.partition(b"\r\n\r\n")[0]
    assert head.count(b"\r\nTo: ") == 1


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ("550 5.1.1 gone", "5.1.1"),
        ("550-5.7.26 long\n550 5.7.26 story", "5.7.26"),
        ("550 gone", "5.0.0"),
        ("550 5.1 gone", "5.0.0"),
        ("5.6.7 SMTPUTF8 is not supported", "5.6.7"),
        ("550 5.1.1", "5.1.1"),
        ("", "5.0.0"),
        ("connection reset", "5.0.0"),
        ("550 5.12345.1 x", "5.0.0"),
    ],
)
def test_the_status_of_a_reply(reply: str, status: str) -> None:
    assert status_of(reply) == status


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Refuse(Reason.RECIPIENT_CLOSED, "closed"), "5.2.1"),
        (Refuse(Reason.RECIPIENT_UNKNOWN), "5.1.1"),
        (Defer(Reason.RECIPIENT_OVER_QUOTA), "5.2.2"),
        (Refuse(Reason.POSTING_NOT_PERMITTED, "team@acme.test"), "5.7.1"),
        (Refuse(Reason.MAIL_LOOP), "5.4.6"),
        (Defer(Reason.BUSY), "4.3.0"),
    ],
)
def test_what_a_refusal_becomes(verdict: Refuse | Defer, status: str) -> None:
    one = failed(BRUNO, verdict)
    assert one.status == status
    assert one.reply
    assert verdict.detail in one.reply


def test_a_notice() -> None:
    octets = notice(
        hostname="mx.acme.test", to=ANNA, subject="über\r\nBcc: x@y.test", text="one\ntwo\r\nthree", message_id="<1@mx>", now=NOW
    )
    assert octets.partition(b"\r\n\r\n")[0].count(b"\r\n") == 8
    message = read(octets)
    assert message["Bcc"] is None
    assert message["Auto-Submitted"] == "auto-generated"
    assert octets.endswith(b"one\r\ntwo\r\nthree\r\n")


@pytest.mark.parametrize(
    ("header", "whole", "media_type"),
    [
        (b"Subject: x", False, "text/rfc822-headers"),
        (b"Subject: x", True, "message/rfc822"),
        ("Subject: ü".encode(), False, "message/global-headers"),
        ("Subject: ü".encode(), True, "message/global"),
        (b"Subject: \xfc", False, "text/rfc822-headers"),
        (b"Subject: \xfc", True, "message/rfc822"),
    ],
)
def test_what_comes_back_is_called_what_it_is(header: bytes, whole: bool, media_type: str) -> None:
    octets = delivery_report(
        hostname="mx.acme.test",
        to=BRUNO,
        failed=[Failed(BRUNO, "5.1.1", "gone")],
        original=header + b"\r\n\r\nthe body\r\n",
        message_id="<1@mx.acme.test>",
        now=0,
        mail=("RET=FULL",) if whole else (),
    )
    assert f"Content-Type: {media_type}\r\n".encode() in octets
    assert (b"the body" in octets) == whole
