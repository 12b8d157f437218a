import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.automatic import author, is_automatic_reply, is_never_answered
from gateway.message.split import read_header


def octets(*fields: str) -> bytes:
    return ("\r\n".join(["From: Anna <anna@acme.test>", *fields]) + "\r\n\r\nx\r\n").encode()


@pytest.mark.parametrize(
    ("field", "reply", "never"),
    [
        ("Subject: x", False, False),
        ("Auto-Submitted: no", False, False),
        ("Auto-Submitted: NO (really)", False, False),
        ("Auto-Submitted: auto-replied", True, True),
        ("AUTO-SUBMITTED:\r\n Auto-Replied; x=y", True, True),
        ("Auto-Submitted: auto-generated", False, True),
        ("Auto-Submitted: auto-notified", False, True),
        ("Precedence: list", False, True),
        ("Precedence: BULK", False, True),
        ("Precedence: junk", True, True),
        ("Precedence: auto_reply", True, True),
        ("Precedence: first-class", False, False),
        ("X-Autoreply: yes", True, True),
        ("X-Autorespond: whatever", True, True),
        ("X-Autoreply: no", False, False),
        ("List-Id: <a.b>", False, True),
        ("List-Unsubscribe: <mailto:a@b>", False, True),
        ("Content-Type: multipart/report; boundary=x", False, True),
        ("Content-Type: multipart/mixed; boundary=x", False, False),
    ],
)
def test_which_mail_is_a_machine_s(field: str, reply: bool, never: bool) -> None:
    mail = octets(field)
    header = read_header(mail)
    assert is_automatic_reply(mail, header) is reply
    assert is_never_answered(mail, header) is never


@pytest.mark.parametrize("name", ["MAILER-DAEMON", "postmaster"])
def test_daemons_are_not_answered(name: str) -> None:
    mail = f"From: <{name}@x.test>\r\n\r\n".encode()
    assert is_never_answered(mail, read_header(mail))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("anna@acme.test", b"anna@acme.test"),
        ('"Anna, x" <Anna@acme.test>', b"Anna@acme.test"),
        ("a@x.test, b@x.test", b""),
        ("group: a@x.test;", b""),
        ("", b""),
        ("nobody", b""),
    ],
)
def test_the_author_is_the_one_mailbox(value: str, found: bytes) -> None:
    mail = f"From: {value}\r\n\r\n".encode()
    assert author(mail, read_header(mail)) == found


def test_two_from_fields_are_nobody_s() -> None:
    mail = b"From: a@x.test\r\nFrom: a@x.test\r\n\r\n"
    assert author(mail, read_header(mail)) == b""


@given(st.binary(max_size=400))
def test_any_octets(mail: bytes) -> None:
    header = read_header(mail)
    assert isinstance(is_never_answered(mail, header), bool)
    if is_automatic_reply(mail, header):
        assert is_never_answered(mail, header)
