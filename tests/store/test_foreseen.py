"""What deeds are foreseen to ask: that it is what they ask, and what it saves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from policy.folders import SpecialUse
from policy.identity import AccountId, Address, FolderId
from store import folders, foreseen
from store.accounts import CreateAccount
from store.appending import AppendMessages, NewInFolder
from store.connect import connect
from store.copying import CopyMessages
from store.deeds import Audited
from store.domains import CreateDomain
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode, MarkSeen
from store.foreseen import Answers, Questions, at_once
from store.login import AdmitUnlessLocked
from store.model import Flag, QueueKind
from store.numbered import numbered, numbered_all
from store.owners import Owners
from store.port import Deed, Store
from store.postgres import PostgresWritingTx
from store.queue import AcceptMessage, Filing, IntoMailbox, OntoQueue
from store.statements import load
from store.writer import Bounds
from tests.live.counting import Counting
from tests.store.letters import letter

STATEMENTS = numbered_all(load("postgres"))
DELIVERY, STORE, EXPUNGE = 6, 5, 6


@pytest.fixture
async def counting(shared_url: str) -> AsyncIterator[Counting]:
    async with Counting(shared_url) as wire:
        yield wire


@pytest.fixture
async def store(counting: Counting, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await connect(counting.url, tmp_path / "data")
    await opened.do(CreateDomain("acme.test"))
    yield opened
    await opened.close()


async def account(store: Store, name: str) -> tuple[AccountId, FolderId]:
    number = await store.do(CreateAccount(Address(name, "acme.test")))
    async with store.snapshot() as snapshot:
        inbox = await snapshot.ask(folders.by_path, number, "/INBOX")
    assert inbox is not None
    return number, inbox.id


def mail(owner: AccountId, number: int) -> AcceptMessage:
    return AcceptMessage(f"key-{number}", (IntoMailbox(owner, letter(number), 1 << 30),))


async def cost(counting: Counting, store: Store, *several: Deed[Any]) -> list[str]:
    """What is asked for the last of them."""
    for deed in several:
        counting.forget()
        await store.do(deed)
    return counting.asked


async def test_what_deeds_ask_does_not_grow(store: Store, counting: Counting) -> None:
    anna, inbox = await account(store, "anna")
    asked = await cost(counting, store, *(mail(anna, number) for number in range(4)))
    assert len(asked) == DELIVERY, asked
    flags = [ChangeFlags(inbox, ((1, 2),), mode, Flag.FLAGGED) for mode in (FlagMode.ADD, FlagMode.REMOVE, FlagMode.ADD)]
    asked = await cost(counting, store, *flags)
    assert len(asked) == STORE, asked
    await store.do(ChangeFlags(inbox, ((1, 4),), FlagMode.ADD, Flag.DELETED))
    asked = await cost(counting, store, *(Expunge(inbox, ((number, number),)) for number in (1, 2, 3)))
    assert len(asked) == EXPUNGE, asked


async def test_what_a_group_shares_is_asked_once(counting: Counting, tmp_path: Path) -> None:
    # However slow the machine is: a group is not cut off.
    store = await connect(counting.url, tmp_path / "data", bounds=Bounds(seconds=60))
    try:
        await store.do(CreateDomain("acme.test"))
        anna, _ = await account(store, "anna")
        for start in (100, 200, 300):
            counting.forget()
            await asyncio.gather(*(store.do(mail(anna, number)) for number in range(start, start + 8)))
        # The first by itself, then seven in a group: each has its savepoint, what it asks, room, octets, rows.
        assert len(counting.asked) <= DELIVERY + 3 + 7 * 5, counting.asked
    finally:
        await store.close()


async def test_whatever_is_foreseen_is_asked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    anna, inbox = await account(store, "anna")
    bruno, other = await account(store, "bruno")
    left: list[tuple[Any, ...]] = []
    release = PostgresWritingTx.release

    def looked(tx: PostgresWritingTx) -> Any:
        left.extend(tx._answers._rows)
        return release(tx)

    monkeypatch.setattr(PostgresWritingTx, "release", looked)
    queued = OntoQueue(QueueKind.RELAY, "far@elsewhere.test", letter(8), "anna@acme.test", 1 << 60)
    several: list[Deed[Any]] = [
        mail(anna, 1),
        AcceptMessage("2", (IntoMailbox(anna, letter(2), 0), IntoMailbox(bruno, letter(2), 0), IntoMailbox(anna, letter(2), 0))),
        AcceptMessage("3", (), (queued,), (Filing(letter(8), anna, sender=True),)),
        AcceptMessage("4", (IntoMailbox(anna, letter(4), 0, SpecialUse.JUNK),)),
        AppendMessages(inbox, (NewInFolder(letter(5)),), 0, anna),
        ChangeFlags(inbox, ((1, 9),), FlagMode.ADD, Flag.DELETED),
        MarkSeen(inbox, ((1, 9),)),
        CopyMessages(inbox, other, ((1, 9),), 0),
        Audited(Expunge(inbox), ()),
    ]
    for deed in several:
        await store.do(deed)
        assert not left, f"{deed}: {left}"
    assert not await store.do(AdmitUnlessLocked(anna, "wrong", "192.0.2.1", forget=False))


async def test_two_of_one_group_see_each_other(store: Store) -> None:
    anna, inbox = await account(store, "anna")
    # One key, one message, one folder: what the second was foreseen to ask is asked after the first was done.
    first, second, _ = await asyncio.gather(store.do(mail(anna, 1)), store.do(mail(anna, 1)), store.do(mail(anna, 2)))
    assert (first.placed, first.repeated) == (second.placed, not second.repeated)
    async with store.snapshot() as snapshot:
        row = await snapshot.ask(folders.by_id, inbox)
    assert row is not None
    assert (row.exists, row.uidnext) == (2, 3)


def test_each_row_names_statements_and_their_parameters() -> None:
    copies = tuple(IntoMailbox(AccountId(number), letter(number), 0) for number in range(1, 40))
    owners = Owners()
    assert foreseen.foreseen(AppendMessages(FolderId(1), (), 0), owners) == [], "nobody knows whose the folder is"
    owners.remember(1, 7)
    for deed in (
        AcceptMessage("1", copies),
        AppendMessages(FolderId(1), (), 0),
        CopyMessages(FolderId(1), FolderId(1), (), 0),
        AdmitUnlessLocked(AccountId(1), "", "", forget=False),
    ):
        asked = foreseen.foreseen(deed, owners)
        assert 0 < len(asked) <= foreseen.MOST
        Questions([(STATEMENTS[name], parameters) for name, parameters in asked])
    assert foreseen.foreseen(CreateDomain("acme.test"), owners) == ()


def test_several_questions_are_one_statement() -> None:
    asked = Questions([(numbered("SELECT a FROM t WHERE b = :b"), {"b": 1}), (numbered("SELECT c FROM u WHERE d = :d"), {"d": 2})])
    assert asked.together("x", 1).sql == (
        "SELECT x, ARRAY(SELECT found0 FROM (SELECT a FROM t WHERE b = $2) AS found0),"
        " ARRAY(SELECT found1 FROM (SELECT c FROM u WHERE d = $3) AS found1)"
    )
    assert asked.arguments == [1, 2]
    assert at_once((), "x").sql == "SELECT x"


def test_an_answer_is_used_once() -> None:
    statement = numbered("SELECT a FROM t WHERE b = :b")
    answers = Answers(Questions([(statement, {"b": 1}), (statement, {"b": 1})]), [[(7,)]])
    assert answers.foresaw(statement, [1])
    assert not answers.foresaw(statement, [2])
    assert answers.take(statement, [1]) == [(7,)]
    assert not answers.foresaw(statement, [1])
