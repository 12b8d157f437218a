"""As many replies as recipients. (The transcripts lmtp/session and lmtp/every-path have the rest.)"""

import pytest

from gateway.smtp.lmtp import HardenedLMTP
from gateway.smtp.terms import Intake
from tests.gateway.smtp.conftest import Serve


async def test_two_recipients_and_no_room(serve: Serve) -> None:
    async with serve("lmtp", intake=Intake(1_000)) as place:
        client = await place.connect()
        await client.ask("LHLO there", "MAIL FROM:<>", "RCPT TO:<a@acme.test>", "RCPT TO:<b@acme.test>", "DATA")
        client.send(b"x" * 2_000 + b"\r\n.\r\nNOOP\r\n")
        assert [(await client.reply())[:9] for _ in range(3)] == ["452 4.3.1", "452 4.3.1", "250 2.0.0"]


async def test_the_same_recipient_twice_has_two_replies(serve: Serve) -> None:
    async with serve("lmtp") as place:
        client = await place.connect()
        await client.ask("LHLO there", "MAIL FROM:<>", "RCPT TO:<a@acme.test>", "RCPT TO:<a@acme.test>", "DATA")
        client.send(b".\r\nNOOP\r\n")
        assert [(await client.reply()) for _ in range(3)] == ["250 2.0.0 q1 accepted", "250 2.0.0 q1 accepted", "250 2.0.0 ok"]


async def test_a_neighbour_may_ask_for_many_that_take_no_mail(serve: Serve) -> None:
    async with serve("lmtp") as place:
        client = await place.connect()
        await client.ask("LHLO there", "MAIL FROM:<>")
        client.send(b"RCPT TO:<nobody@acme.test>\r\n" * 200 + b"NOOP\r\n")
        assert {(await client.reply())[:3] for _ in range(200)} == {"550"}
        assert await client.reply() == "250 2.0.0 ok"


@pytest.mark.parametrize(
    ("status", "recipients", "expected"),
    [
        ("250 2.0.0 a", 1, ["250 2.0.0 a"]),
        ("250 2.0.0 a", 3, ["250 2.0.0 a"] * 3),
        ("250 2.0.0 a\r\n550 5.2.1 b", 2, ["250 2.0.0 a", "550 5.2.1 b"]),
        # A reply of several lines is one reply.
        ("550-5.7.1 a\r\n550 5.7.1 b", 1, ["550-5.7.1 a\r\n550 5.7.1 b"]),
        ("550-5.7.1 a\r\n550 5.7.1 b", 2, ["550-5.7.1 a\r\n550 5.7.1 b"] * 2),
        ("250 2.0.0 x\r\n550-5.7.1 a\r\n550 5.7.1 b", 2, ["250 2.0.0 x", "550-5.7.1 a\r\n550 5.7.1 b"]),
        ("250 2.0.0 a\r\n250 2.0.0 b", 3, ["451 4.3.0 something went wrong here, try again later"] * 3),
        ("", 2, ["451 4.3.0 something went wrong here, try again later"] * 2),
    ],
)
async def test_replies_are_counted(status: str, recipients: int, expected: list[str], serve: Serve) -> None:
    async with serve("lmtp") as place:
        await place.connect()
        (connection,) = place.house.here
        assert isinstance(connection, HardenedLMTP)
        assert connection.after_data(status, recipients) == expected
