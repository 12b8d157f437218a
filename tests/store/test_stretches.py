"""By the stretch comes out what comes out message by message, in a few statements."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from policy.identity import FolderId
from store import stretches
from store.appending import AppendMessages, NewInFolder
from store.copying import CopyMessages, MoveMessages
from store.expunging import Expunge
from store.flags import EVERY_FLAG, ChangeFlags, FlagMode
from store.folders import CreateFolder
from store.model import Flag
from store.sqlite import SqliteWritingTx
from tests.store.letters import Bench, letter

TABLES = {
    "message": "key, blob, size, received, saved, flags, modseq",
    "wire": "blob, envelope, structure, body",
    "head": "blob, subject, message_id, sender",
    "folder": "id, uidnext, modseq, messages, unseen, deleted, size",
    "account": "id, used",
    "change": "folder, modseq, kind, low, high",
}


def filled(seed: int) -> tuple[Bench, FolderId, FolderId]:
    chance = random.Random(seed)
    bench = Bench()
    inbox = bench.inbox(bench.anna)
    bench.do(CreateFolder(bench.anna, "/Elsewhere"))
    target = bench.folder(bench.anna, "/Elsewhere").id
    bench.do(AppendMessages(target, (NewInFolder(letter(900)),), 0))
    flags = [Flag(chance.randrange(32)) for _ in range(40)]
    keywords = [("word",) if chance.random() < 0.2 and seed % 3 == 0 else () for _ in flags]
    items = tuple(
        NewInFolder(letter(number, 60 + number), one, words) for number, (one, words) in enumerate(zip(flags, keywords, strict=True), 1)
    )
    bench.do(AppendMessages(inbox, items, 0))
    # Holes, some of them where a run begins.
    for uid in chance.sample(range(1, 41), 6):
        bench.do(ChangeFlags(inbox, ((uid, uid),), FlagMode.ADD, Flag.DELETED))
    bench.do(Expunge(inbox))
    return bench, inbox, target


def dump(bench: Bench) -> dict[str, list[object]]:
    return {table: bench.raw.execute(f"SELECT {columns} FROM {table} ORDER BY {columns}").fetchall() for table, columns in TABLES.items()}


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", [CopyMessages, MoveMessages])
def test_the_tables_are_the_same_however_it_is_done(
    seed: int, kind: type[CopyMessages] | type[MoveMessages], monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    bounds = sorted(chance.sample(range(1, 45), 6))
    runs = tuple((bounds[at], bounds[at + 1]) for at in range(0, 6, 2))
    mask = chance.choice([EVERY_FLAG, int(Flag.FLAGGED), EVERY_FLAG - Flag.SEEN, EVERY_FLAG - Flag.DELETED])
    outcomes = []
    for several in (stretches.SEVERAL, 0):
        bench, inbox, target = filled(seed)
        monkeypatch.setattr(stretches, "SEVERAL", several)
        there = target if seed % 4 else inbox
        done = bench.do(kind(inbox, there, runs, 0, mask))
        bench.check()
        events = bench.events
        again = bench.do(kind(there, inbox, ((1, 10_000),), 0))
        bench.check()
        outcomes.append((done, events, again, dump(bench)))
    assert outcomes[0] == outcomes[1]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows statements were run for."""
    count = [0]
    for name in ("run", "insert", "one", "all"):
        method = getattr(SqliteWritingTx, name)

        def counting(*arguments: object, method: object = method, **named: object) -> object:
            count[0] += 1
            return method(*arguments, **named)  # type: ignore[operator]

        monkeypatch.setattr(SqliteWritingTx, name, counting)
    many = SqliteWritingTx.many

    def counting_many(tx: SqliteWritingTx, statement: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        count[0] += len(rows)
        many(tx, statement, rows)

    monkeypatch.setattr(SqliteWritingTx, "many", counting_many)
    return count


def test_how_many_statements_it_takes_does_not_follow_the_messages(counted: list[int]) -> None:
    bench = Bench()
    inbox = bench.inbox(bench.anna)
    bench.do(CreateFolder(bench.anna, "/Elsewhere"))
    target = bench.folder(bench.anna, "/Elsewhere").id
    bench.do(AppendMessages(inbox, tuple(NewInFolder(letter(number)) for number in range(1, 301)), 0))
    for deed in (
        CopyMessages(inbox, target, ((1, 300),), 0),
        MoveMessages(target, inbox, ((1, 300),), 0),
        ChangeFlags(inbox, ((1, 600),), FlagMode.ADD, Flag.DELETED),
        Expunge(inbox),
    ):
        counted[0] = 0
        bench.do(deed)
        assert 0 < counted[0] < 30, (type(deed).__name__, counted[0])
    assert bench.folder(bench.anna).exists == 0


def test_what_is_moved_within_an_owners_folders_is_not_looked_at_by_the_sweep(counted: list[int]) -> None:
    """Its octets have as many users as before; those of what is expunged have one less."""
    bench = Bench()
    inbox = bench.inbox(bench.anna)
    bench.do(CreateFolder(bench.anna, "/Elsewhere"))
    target = bench.folder(bench.anna, "/Elsewhere").id
    bench.do(AppendMessages(inbox, tuple(NewInFolder(letter(number)) for number in range(1, 11)), 0))
    bench.do(MoveMessages(inbox, target, ((1, 10),), 0))
    assert bench.raw.execute("SELECT count(*) FROM loose").fetchone() == (0,)
    bench.do(ChangeFlags(target, ((1, 4),), FlagMode.ADD, Flag.DELETED))
    bench.do(Expunge(target))
    assert bench.raw.execute("SELECT count(*) FROM loose").fetchone() == (4,)
