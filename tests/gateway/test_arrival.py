"""Every message can be stored, whatever it is; what is asked of it later is read out once."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.arrival import arrived

MAIL = (
    b"From: Anna <anna@acme.test>\r\nTo: bruno@acme.test\r\nCc: c@x.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Sun, 1 Nov 2026 23:30:00 -0500\r\nMessage-ID: <1@x>\r\n\r\nbody\r\n"
)


def test_what_is_read_out() -> None:
    message = arrived(MAIL)
    assert message.octets == MAIL
    assert (message.from_, message.to, message.cc) == ("anna <anna@acme.test>", "bruno@acme.test", "c@x.test")
    assert message.subject == "grüsse"
    assert message.message_id == "<1@x>"
    assert message.envelope.startswith(b'("Sun, 1 Nov 2026 23:30:00 -0500"')
    assert message.structure.startswith(b'("TEXT" "PLAIN"') or message.structure.startswith(b'("text" "plain"')
    assert message.size == len(MAIL)


def test_the_day_is_the_senders_and_the_moment_is_utc() -> None:
    message = arrived(MAIL)
    assert message.sent == int(datetime(2026, 11, 2, 4, 30, tzinfo=UTC).timestamp()) * 1_000_000
    assert message.sent_day == (datetime(2026, 11, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days


def test_without_a_readable_date_there_is_none() -> None:
    for octets in (b"", b"Date: whenever\r\n\r\n", b"Subject: x\r\n\r\n"):
        message = arrived(octets)
        assert (message.sent, message.sent_day) == (None, None)


def test_no_message_id() -> None:
    assert arrived(b"Message-ID: nonsense\r\n\r\n").message_id == ""


@given(st.binary(max_size=2000))
def test_any_octets(octets: bytes) -> None:
    message = arrived(octets)
    assert message.octets == octets
    message.message_id.encode()


PIECES = [b"Date: ", b"Message-ID: <", b">", b"\xff", b"\r\n", b"1 Jan 0001 00:00 +9999", b"9999", b" ", b":"]


@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test_pieces_of_headers(pieces: list[bytes]) -> None:
    message = arrived(b"".join(pieces))
    message.message_id.encode()
    assert message.sent is None or abs(message.sent) < 1 << 62
