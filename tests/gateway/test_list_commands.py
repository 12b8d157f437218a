import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.list_commands import Command, Word, decision, request
from gateway.message.split import read_header

KEY = "abcdefghijklmnop"


def mail(subject: str, text: str = "") -> bytes:
    return f"Subject: {subject}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n".encode()


@pytest.mark.parametrize(
    ("subject", "text", "found"),
    [
        ("subscribe", "", Word.SUBSCRIBE),
        ("Re: AW: Unsubscribe", "", Word.UNSUBSCRIBE),
        ("", "join\r\n", Word.SUBSCRIBE),
        ("hello", "\r\n\r\nleave team\r\n", Word.UNSUBSCRIBE),
        ("subscribe", "unsubscribe", Word.SUBSCRIBE),
        ("Help!", "", Word.HELP),
        ("hello", "> subscribe\r\nthanks", None),
        ("hello", "hello\r\n-- \r\nsubscribe", None),
        ("Subscribe to our newsletter", "", None),
        ("subscribe you@there.test", "", None),
        ("subscriber", "", None),
        ("approve", "", None),
        ("confirm", "", None),
        ("", "", None),
    ],
)
def test_requests(subject: str, text: str, found: Word | None) -> None:
    octets = mail(subject, text)
    got = request(octets, read_header(octets))
    assert (None if got is None else got.word) == found


def test_a_key_may_stand_in_subject_or_text() -> None:
    for octets in (mail(f"Re: confirm {KEY.upper()}"), mail("x", f"confirm {KEY} thanks")):
        assert request(octets, read_header(octets)) == Command(Word.CONFIRM, KEY)


@pytest.mark.parametrize(
    ("subject", "text", "found"),
    [
        ("approve", "", Command(Word.APPROVE)),
        ("Re: A post", "Approve.\r\n", Command(Word.APPROVE)),
        ("Re: A post", "reject: not here\r\nreally\r\n> approve\r\n", Command(Word.REJECT, "not here\nreally")),
        ("reject", "because\r\n", Command(Word.REJECT, "because")),
        ("approve", "reject", Command(Word.REJECT)),
        ("Re: A post", "> approve\r\n", None),
        ("Re: A post", "I do not know\r\napprove\r\n", None),  # only the first line decides
        ("Re: approve of it?", "no", None),
        ("Out of office", "I am away.", None),
        ("approved", "", None),
        ("subscribe", "", None),
    ],
)
def test_decisions(subject: str, text: str, found: Command | None) -> None:
    octets = mail(subject, text)
    assert decision(octets, read_header(octets)) == found


def test_a_mail_without_text_asks_for_nothing() -> None:
    octets = b"Content-Type: text/html\r\n\r\n<p>subscribe"
    assert request(octets, read_header(octets)) is None
    assert decision(octets, read_header(octets)) is None


@given(st.binary(max_size=500))
def test_any_octets(octets: bytes) -> None:
    header = read_header(octets)
    request(octets, header)
    found = decision(octets, header)
    assert found is None or len(found.rest) <= 1000
