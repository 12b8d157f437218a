"""Whatever a relay does, each recipient is handed over once, waits, or is reported to the sender: a ledger, fault by fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.queue import Queue, QueueRules
from gateway.relay import NextHop, Relay
from tests.gateway.house import House, letter, opened
from tests.gateway.test_queue import once
from tests.live.far import OFFERS, Far, far

RULES = QueueRules(retries=(60.0,), delay=0.0, concurrency=4)
HOUR = 3600.0
PLAIN = "250 far.test"
SILENT = (b"", b"250", b"450")
POINTS = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END")
FOR_NOW: dict[str, str | bytes | None] = {
    "closes": None,
    "421": "421 4.3.2 closing",
    "450": "450 4.2.1 later",
    "451, in several lines": "451-4.3.0 later\r\n451-4.3.0 much\r\n451 4.3.0 later",
    "no text": "450",
    "no end of line": b"450",
    "says nothing": b"",
    "garbage": b"\xff\xfe\x00\r\n",
    "a NUL in it": b"450 4.2.1 a\x00b\r\n",
    "bare line feeds": b"450 4.2.1 later\n",
    "http": b"HTTP/1.1 400 Bad Request\r\nServer: x\r\n\r\n",
    "a line without end": b"4" * 20_000,
    "a reply without end": b"450-x\r\n" * 20_000,
    "no such code": b"999 what\r\n",
    "two codes": b"450-4.2.1 a\r\n250 b\r\nxx\r\n",
    "a reply too few blanks": b"450xlater\r\n",
}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", relays=True) as house:
        yield house


class Ledger:
    """What became of each recipient of a message to a, b and c at far.test."""

    def __init__(self, house: House, there: Far, answer: str | bytes | None = "", reply_of: str = "") -> None:
        self.house = house
        self.there = there
        # Time only runs out where an answer never comes; a slow machine must not make it run out elsewhere.
        self.seconds = 0.7 if answer in SILENT else 20.0
        self.names = [f"{one}{reply_of}@far.test" for one in "abc"]

    def queue(self) -> Queue:
        relay = Relay(NextHop("127.0.0.1", self.there.port, implicit_tls=False, starttls=False), "mx.acme.test", self.seconds)
        return Queue(self.house.store, self.house.files, self.house.delivery, relay, RULES)

    async def attempt(self) -> dict[str, str]:
        await self.attempt_whatever_was_taken()
        return await self.fates()

    async def attempt_whatever_was_taken(self) -> None:
        queue = self.queue()
        await once(queue)
        assert queue._relay is not None
        await queue._relay.close()

    async def send(self, octets: bytes = letter(to="a@far.test")) -> dict[str, str]:
        """After the first attempt."""
        await self.house.submit("anna", "anna", self.names, octets)
        return await self.attempt()

    async def fates(self) -> dict[str, str]:
        handed = Counter(self.there.handed)
        waiting = {row.recipient for row in await self.house.queued() if row.state.value == "due"}
        assert {row.state.value for row in await self.house.queued()} <= {"due"}
        reports = b"".join(await self.house.mail("anna"))
        found = {}
        for name in self.names:
            bounced = reports.count(f"Final-Recipient: rfc822; {name}\r\nAction: failed".encode())
            ends = {"sent": handed[name], "waits": int(name in waiting), "bounced": bounced}
            assert sum(ends.values()) == 1, (name, ends)
            found[name] = next(end for end, count in ends.items() if count)
        return found

    async def heals(self) -> dict[str, str]:
        """The relay is as it should be, and time passes."""
        self.there.answers = {}
        self.seconds = 20.0
        self.house.clock.turn(HOUR)
        return await self.attempt()


@pytest.mark.parametrize("at", POINTS)
@pytest.mark.parametrize("offers", [OFFERS, PLAIN], ids=["pipelined", "one by one"])
async def test_what_may_pass_waits_and_is_handed_over_once(house: House, at: str, offers: str) -> None:
    for number, (fault, answer) in enumerate(FOR_NOW.items()):
        async with far(offers=offers) as there:
            ledger = Ledger(house, there, answer, reply_of=str(number))
            key = f"RCPT {ledger.names[1]}" if at == "RCPT" else at
            there.answers = {key: [answer], "HELO": [answer]}
            found = await ledger.send()
            # What is said properly of one recipient is about that one alone.
            alone = (
                at == "RCPT"
                and isinstance(answer, str | bytes)
                and fault in ("421", "450", "451, in several lines", "no text", "a NUL in it", "bare line feeds")
            )
            assert [*found.values()] == (["sent", "waits", "sent"] if alone else ["waits"] * 3), fault
            assert set((await ledger.heals()).values()) == {"sent"}, fault


@pytest.mark.parametrize("at", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("offers", [OFFERS, PLAIN], ids=["pipelined", "one by one"])
@pytest.mark.parametrize("answer", ["554 5.7.1 no", "550", "500 5.5.1 what?"])
async def test_what_is_refused_for_good_is_reported_once(house: House, at: str, offers: str, answer: str) -> None:
    async with far(offers=offers) as there:
        ledger = Ledger(house, there)
        there.answers = {f"RCPT {ledger.names[1]}" if at == "RCPT" else at: [answer]}
        found = await ledger.send()
        assert [*found.values()] == (["sent", "bounced", "sent"] if at == "RCPT" else ["bounced"] * 3)
        assert await ledger.heals() == found


@pytest.mark.parametrize("at", ["CONNECT", "EHLO"])
async def test_who_refuses_us_altogether_may_take_us_later(house: House, at: str) -> None:
    async with far() as there:
        ledger = Ledger(house, there)
        there.answers = {at: ["554 5.7.1 no"], "HELO": ["554 5.7.1 no"]}
        assert set((await ledger.send()).values()) == {"waits"}
        assert set((await ledger.heals()).values()) == {"sent"}


@pytest.mark.parametrize("offers", [OFFERS, PLAIN], ids=["pipelined", "one by one"])
@pytest.mark.parametrize(
    ("replies", "end", "fates"),
    [
        (["250", "450 4.2.1 x", "550 5.1.1 x"], "250 2.0.0 taken", ["sent", "waits", "bounced"]),
        (["450 4.2.1 x", "450 4.2.1 x", "550 5.1.1 x"], "250 2.0.0 taken", ["waits", "waits", "bounced"]),
        (["550 5.1.1 x", "550 5.1.1 x", "550 5.1.1 x"], "250 2.0.0 taken", ["bounced"] * 3),
        (["250", "452 4.5.3 many", "452 4.5.3 many"], "250 2.0.0 taken", ["sent"] * 3),
        (["250", "552 5.5.3 many", "550 5.1.1 x"], "250 2.0.0 taken", ["sent", "sent", "bounced"]),
        (["250", "450 4.2.1 x", "550 5.1.1 x"], "451 4.3.0 later", ["waits", "waits", "bounced"]),
        (["250", "450 4.2.1 x", "550 5.1.1 x"], "554 5.6.0 no", ["bounced", "waits", "bounced"]),
        (["251 2.1.5 forwards", "252 2.1.5 maybe", "299 2.0.0 yes"], "250 2.0.0 taken", ["sent"] * 3),
        (["354 what", "250", "250"], "250 2.0.0 taken", ["waits", "sent", "sent"]),
    ],
)
async def test_mixed_answers(house: House, offers: str, replies: list[str], end: str, fates: list[str]) -> None:
    async with far(offers=offers) as there:
        ledger = Ledger(house, there)
        there.answers = {f"RCPT {name}": [reply] for name, reply in zip(ledger.names, replies, strict=True)} | {"END": [end]}
        found = await ledger.send()
        assert [*found.values()] == fates
        assert [*(await ledger.heals()).values()] == ["bounced" if one == "bounced" else "sent" for one in fates]


GONE = "550 5.1.1 gone"


@pytest.mark.parametrize(
    ("replies", "cut", "fates"),
    [
        (["250", GONE, "250"], {"DATA": [None]}, ["waits", "bounced", "waits"]),
        (["250", GONE, "250"], {"DATA": [b""]}, ["waits", "bounced", "waits"]),
        (["250", GONE, "250"], {"DATA": ["nonsense"]}, ["waits", "bounced", "waits"]),
        (["250", GONE, "250"], {"END": [None]}, ["waits", "bounced", "waits"]),
        (["250", GONE, "250"], {"END": [b"garbage\r\n"]}, ["waits", "bounced", "waits"]),
        ([GONE, "250", None], {}, ["bounced", "waits", "waits"]),
        (["250", GONE, None], {}, ["waits", "bounced", "waits"]),
        (["550", None, "250"], {}, ["waits", "waits", "waits"]),  # no word about whom: maybe its last one
        (["550 5.7.1 blocked", None, "250"], {}, ["waits", "waits", "waits"]),
        (["550 5.7.1 not you", "250", None], {}, ["bounced", "waits", "waits"]),
        (["553 no such user", "250", "250"], {"DATA": [None]}, ["bounced", "waits", "waits"]),
        (["250", "250", "550 no such user"], {"DATA": [None]}, ["waits", "waits", "bounced"]),
        (["554 5.1.10 no mail there", "552 5.2.2 full", "250"], {"DATA": [None]}, ["bounced", "bounced", "waits"]),
        (["501 5.1.3 no address", "556 5.1.10 no mail there", "250"], {"DATA": [None]}, ["bounced", "bounced", "waits"]),
        (["503 5.5.1 sequence", "554 no", "250"], {"DATA": [None]}, ["waits", "waits", "waits"]),
        (["530 5.7.0 STARTTLS first", "554 5.7.1 errors", "250"], {"DATA": [None]}, ["waits", "waits", "waits"]),
        (["552 5.5.3 many", "552 too many recipients", "250"], {"DATA": [None]}, ["waits", "waits", "waits"]),
        (["421 4.3.2 bye", GONE, "250"], {"DATA": [None]}, ["waits", "bounced", "waits"]),
    ],
)
async def test_what_was_said_for_good_stays_said_where_the_dialogue_is_cut(
    house: House, replies: list[str | None], cut: dict[str, list[str | bytes | None]], fates: list[str]
) -> None:
    async with far(offers=PLAIN) as there:
        ledger = Ledger(house, there, b"" if b"" in cut.get("DATA", []) else "")
        there.answers = {f"RCPT {name}": [reply] for name, reply in zip(ledger.names, replies, strict=True)} | cut
        await house.submit("anna", "anna", ledger.names, letter(to="a@far.test"))
        await ledger.attempt_whatever_was_taken()
        if "END" in cut:  # nobody knows whether it was taken (RFC 1047)
            there.handed.clear()
        assert [*(await ledger.fates()).values()] == fates
        before = len(there.commands)
        assert [*(await ledger.heals()).values()] == ["bounced" if one == "bounced" else "sent" for one in fates]
        asked = [one for one in there.commands[before:] if one.startswith("RCPT")]
        assert len(asked) == fates.count("waits"), "who was refused is asked of no more"


async def test_answers_to_commands_that_went_together_are_nobodys_until_all_have_come(house: House) -> None:
    """Some throw away what comes while they answer: the one answer to three RCPT may be about any of them."""
    async with far() as there:
        ledger = Ledger(house, there)
        there.answers = {f"RCPT {ledger.names[0]}": [GONE], f"RCPT {ledger.names[1]}": [None]}
        assert [*(await ledger.send()).values()] == ["waits"] * 3
    async with far() as there:
        ledger = Ledger(house, there, reply_of="2")
        there.answers = {f"RCPT {ledger.names[0]}": [GONE], "END": [None]}
        await house.submit("anna", "anna", ledger.names, letter(to="a@far.test"))
        await ledger.attempt_whatever_was_taken()
        there.handed.clear()
        assert [*(await ledger.fates()).values()] == ["bounced", "waits", "waits"]


async def test_a_limit_on_recipients_in_the_middle_of_trouble(house: House) -> None:
    """The first transaction is done with, whatever happens to the second."""
    for number, answer in enumerate(("421 4.3.2 closing", None, b"", "451 4.3.0 later", b"garbage\r\n")):
        async with far() as there:
            ledger = Ledger(house, there, answer, reply_of=str(number))
            there.answers = {f"RCPT {one}": ["452 4.5.3 many"] for one in ledger.names[1:]} | {"MAIL": ["250 ok", answer, answer]}
            assert [*(await ledger.send()).values()] == ["sent", "waits", "waits"]
            assert set((await ledger.heals()).values()) == {"sent"}


@pytest.mark.parametrize("answer", [None, b"", "451 4.3.0 later", "421 4.3.2 bye", b"\xff\r\n"])
async def test_a_server_that_cannot_forget_is_left(house: House, answer: str | bytes | None) -> None:
    """RSET after a transaction that came to nothing; the next message goes by another connection."""
    async with far() as there:
        ledger = Ledger(house, there, answer)
        there.answers = {"DATA": ["451 4.3.0 later"], "RSET": [answer]}
        assert set((await ledger.send()).values()) == {"waits"}
        assert set((await ledger.heals()).values()) == {"sent"}
        assert there.connections == 2


async def test_the_window_in_which_nobody_can_know(house: House) -> None:
    """The relay has taken it, and the answer never came (RFC 1047): this is what may come twice, and it is never lost."""
    async with far(offers=PLAIN) as there:
        ledger = Ledger(house, there, b"250")
        there.answers = {"END": [b"250"]}  # it counts as taken there, and the line does not end
        await house.submit("anna", "anna", ledger.names, letter(to="a@far.test"))
        await once(ledger.queue())
        assert Counter(there.handed) == Counter(ledger.names)
        assert len(await house.queued()) == 3
        there.answers = {}
        house.clock.turn(HOUR)
        await once(ledger.queue())
        assert Counter(there.handed) == Counter(ledger.names * 2)
        assert await house.queued() == []


async def test_an_answer_that_comes_too_late_is_nobodys(house: House) -> None:
    async with far(offers=PLAIN) as there:
        ledger = Ledger(house, there, b"")
        there.answers = {"MAIL": [b""]}
        assert set((await ledger.send()).values()) == {"waits"}
        for writer in there.writers:
            writer.write(b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go\r\n250 2.0.0 taken\r\n")
        assert set((await ledger.heals()).values()) == {"sent"}
        assert len(there.taken) == 1


@pytest.mark.parametrize(
    ("offers", "octets", "status"),
    [
        ("250-far\r\n250 SIZE 100", letter(to="a@far.test", text="x" * 200), "5.3.4"),
        ("250-far\r\n250 8BITMIME", letter(to="a@far.test").replace(b"hello", "ü".encode()), ""),
        (PLAIN, letter(to="a@far.test").replace(b"hello", "ü".encode()), ""),
        (PLAIN, letter("anna@acme.test", "a@far.test", "Content-Transfer-Encoding: base64").replace(b"hello", "ü".encode()), "5.6.3"),
    ],
)
async def test_what_the_relay_cannot_take(house: House, offers: str, octets: bytes, status: str) -> None:
    async with far(offers=offers) as there:
        ledger = Ledger(house, there)
        found = await ledger.send(octets)
        assert set(found.values()) == {"bounced" if status else "sent"}
        assert f"\r\nStatus: {status}".encode() in b"".join(await house.mail("anna")) if status else there.taken
