"""Answers that are told again: whatever happened in between, they are what would be made anew."""

import contextlib
import random
from array import array

import pytest

import gateway.imap.handlers.fetch
from gateway.imap.told import LARGEST, Stretch, Told
from store.flags import ChangeFlags, FlagMode
from tests.gateway.imap.handlers.house import Client, House, message

ASKED = [
    "FETCH 1:* (UID FLAGS)",
    "FETCH 1:* (UID FLAGS MODSEQ)",
    "UID FETCH 1:* (FLAGS)",
    "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
    "FETCH 1:* (BODYSTRUCTURE)",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])",
    "FETCH 1:* (UID BODY.PEEK[HEADER])",
    "FETCH 2:36 (FLAGS PREVIEW)",
]


def stretch(low: int = 0, high: int = 3, what: str = "a", flags: tuple[int, ...] = (1, 0, 2)) -> Stretch:
    return Stretch(what, low, high, array("I", range(low + 1, high + 1)), array("Q", flags), (b"\\Seen",), None)


def test_what_was_told_is_told_again_as_long_as_nothing_differs() -> None:
    told = Told()
    told.keep(stretch(), b"answer")
    assert told.again(stretch()) == b"answer"
    assert told.again(stretch(flags=(1, 0, 3))) is None
    assert told.again(stretch(what="b")) is None
    assert told.again(stretch(low=1, high=4)) is None
    other_names = Stretch("a", 0, 3, array("I", (1, 2, 3)), array("Q", (1, 0, 2)), (b"\\Seen", b"later"), None)
    assert told.again(other_names) is None
    other_uids = Stretch("a", 0, 3, array("I", (1, 2, 4)), array("Q", (1, 0, 2)), (b"\\Seen",), None)
    assert told.again(other_uids) is None


def test_memory_is_bounded_and_what_was_asked_last_stays() -> None:
    told = Told(limit=5_000)
    for number in range(50):
        told.keep(stretch(what=str(number)), b"x" * 500)
        told.again(stretch(what="0"))
        assert told.octets <= 5_000
    assert told.again(stretch(what="0")) == b"x" * 500
    assert told.again(stretch(what="49")) == b"x" * 500
    assert told.again(stretch(what="1")) is None
    told.keep(stretch(what="49"), b"x" * (LARGEST + 1))
    assert told.again(stretch(what="49")) is None


@pytest.mark.parametrize("seed", range(4))
async def test_told_again_is_what_is_made_anew(house: House, anna: Client, bruno: Client, seed: int) -> None:
    """One listener keeps what it told, the other makes everything anew: whatever changes, they say the same."""
    chance = random.Random(seed)
    anew = await house.client(await house.listen(), "anna")
    house.listeners[-1].services.states.told = Told(limit=0)
    inbox = await house.folder("anna")
    await house.share("anna", "/INBOX", "bruno", "rwidx")
    for _ in range(40):
        await anna.do("APPEND INBOX {}", message(chance.randrange(1000)))
    for client in (anna, anew):
        assert (await client.do("ENABLE CONDSTORE")).ok
        # Who comes second is told of nothing recent.
        await client.do("SELECT INBOX")
        await client.do("SELECT INBOX")
    kept = house.listeners[0].services.states.told
    for turn in range(12):
        for client in (anna, anew):
            assert (await client.do("NOOP")).ok
        for command in ASKED:
            again, fresh = await anna.do(command), await anew.do(command)
            assert again.having(" FETCH (") == fresh.having(" FETCH ("), (turn, command)
            assert len(again.having(" FETCH (")) >= 34
        match chance.randrange(5):
            case 0:
                await anew.do(f"STORE {chance.randrange(1, 35)} +FLAGS (\\Seen $Keyword{chance.randrange(4)})")
            case 1:
                await anew.do(f"STORE {chance.randrange(1, 35)} FLAGS ()")
            case 2:
                number = chance.randrange(1, 35)
                await anew.do(f"STORE {number} +FLAGS (\\Deleted)")
                await anew.do("EXPUNGE")
                await anew.do("APPEND INBOX {}", message(2000 + turn))
            case 3:
                await anew.do("APPEND INBOX (\\Flagged) {}", message(1000 + turn))
            case _:
                assert await house.store.do(ChangeFlags(inbox, ((3, 9),), FlagMode.ADD, keywords=("other",)))
    assert kept.octets > 0


async def test_a_second_question_reads_nothing(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(40):
        await anna.do("APPEND INBOX {}", message(number))
    await anna.do("SELECT INBOX")
    await anna.do("SELECT INBOX")
    first = await anna.do(ASKED[3])

    def refuse(*_: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(gateway.imap.handlers.fetch, "_spell_prepared", refuse)
    assert (await anna.do(ASKED[3])).having(" FETCH (") == first.having(" FETCH (")


async def test_a_delegate_is_told_nothing_again_once_the_right_is_gone(house: House, anna: Client, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "r")
    for number in range(40):
        await anna.do("APPEND INBOX {}", message(number))
    for _ in range(2):
        assert (await bruno.do('SELECT "Other Users/anna/INBOX"')).ok
    for command in ASKED:
        assert len((await bruno.do(command)).having(" FETCH (")) >= 35
    bruno.send(b"last " + ASKED[0].encode() + b"\r\n")
    assert (await bruno.until("last")).ok
    await house.unshare("anna", "/INBOX", "bruno")
    bruno.send(b"gone " + ASKED[0].encode() + b"\r\n")
    heard = b""
    with contextlib.suppress(ConnectionError):
        while octets := await bruno.reader.read(65_536):
            heard += octets
    assert b" FETCH (" not in heard
