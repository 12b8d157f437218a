"""Messages to store, and a bench on which deeds are done one by one on the real engine's transaction."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from policy.folders import SpecialUse
from policy.identity import AccountId, Address, FolderId
from store import deeds, folders
from store.accounts import CreateAccount
from store.appending import AppendMessages, NewInFolder
from store.domains import CreateDomain
from store.flags import NO_FLAGS
from store.model import Flag, FolderRow, NewMessage, Uid
from store.numbered import Numbered, numbered_all
from store.port import Deed, Event, Tx
from store.postgres import PostgresWritingTx
from store.postgres_session import Session
from store.sqlite import SqliteWritingTx
from store.statements import load
from store.switching import switched
from tests.store.behind import Behind, SharedBehind, waited
from tests.store.laid import in_memory

T = TypeVar("T")
P = ParamSpec("P")

START = 1_800_000_000_000_000
STATEMENTS = load()
SHARED = numbered_all(load("postgres"))
INSERTING = {name: Numbered(f"{one.sql} RETURNING id", one.names) for name, one in SHARED.items() if one.sql.startswith("INSERT")}


def letter(
    number: int = 1,
    size: int = 0,
    *,
    from_: str = "anna@acme.test",
    subject: str = "hello",
    message_id: str | None = None,
    sent: int = START,
) -> NewMessage:
    octets = b"Subject: %s\r\nMessage-ID: <%d@acme.test>\r\n\r\nbody %d\r\n" % (subject.encode("utf-8", "replace"), number, number)
    return NewMessage(
        octets=octets + b"x" * max(0, size - len(octets)),
        envelope=b"(envelope %d)" % number,
        structure=b"(structure %d)" % number,
        body=b"(body %d)" % number,
        rendering=1,
        from_=from_,
        to="bruno@acme.test",
        cc="",
        subject=subject,
        message_id=f"<{number}@acme.test>" if message_id is None else message_id,
        sent=sent,
    )


class Bench:
    """acme.test with anna and bruno; time stands still until `now` is set. Each deed is a transaction of its own."""

    def __init__(self) -> None:
        self._connection = in_memory()
        self.raw: Behind = self._connection
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._begin()

    def _begin(self) -> None:
        self.now = START
        self.events: Sequence[Event] = ()
        self.do(CreateDomain("acme.test"))
        self.anna: AccountId = self.do(CreateAccount(Address("anna", "acme.test")))
        self.bruno: AccountId = self.do(CreateAccount(Address("bruno", "acme.test")))

    def do(self, deed: Deed[T]) -> T:
        return self.within(deeds.perform, deed)

    def within(self, function: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        tx = SqliteWritingTx(self._connection, STATEMENTS, self.now)
        tx.savepoint()
        try:
            done = function(tx, *args, **kwargs)
            self.events = tx.release()
        except BaseException:
            tx.undo()
            raise
        finally:
            self._connection.execute("COMMIT")
        return done

    def ask(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return question(SqliteWritingTx(self._connection, STATEMENTS, self.now), *args, **kwargs)

    def folder(self, owner: AccountId, path: str = "/INBOX") -> FolderRow:
        found = self.ask(folders.by_path, owner, path)
        assert found is not None, path
        return found

    def inbox(self, owner: AccountId) -> FolderId:
        return self.folder(owner).id

    def special(self, owner: AccountId, use: SpecialUse) -> FolderRow:
        found = self.ask(folders.by_special_use, owner, use)
        assert found is not None
        return found

    def used(self, owner: AccountId) -> int:
        return int(self.raw.execute("SELECT used FROM account WHERE id = ?", (owner,)).fetchone()[0])

    def check(self) -> None:
        """The counters are what counting gives, and nothing points nowhere."""
        for folder, messages, unseen, deleted, size, uidnext, modseq in self.raw.execute(
            "SELECT id, messages, unseen, deleted, size, uidnext, modseq FROM folder"
        ).fetchall():
            low, high = folder << 32, (folder << 32) + (1 << 32) - 1
            counted = self.raw.execute(
                "SELECT count(*), count(CASE flags & 1 WHEN 0 THEN 1 END), count(CASE flags & 8 WHEN 8 THEN 1 END), coalesce(sum(size), 0),"
                " coalesce(max(key) & 4294967295, 0), coalesce(max(modseq), 0) FROM message WHERE key BETWEEN ? AND ?",
                (low, high),
            ).fetchone()
            assert counted[:4] == (messages, unseen, deleted, size)
            assert counted[4] < uidnext
            assert counted[5] <= modseq
            for table in ("wire", "head"):
                assert (messages,) == self.raw.execute(
                    f"SELECT count(*) FROM {table} JOIN message USING (blob) WHERE key BETWEEN ? AND ?", (low, high)
                ).fetchone()
        for table in ("wire", "head"):
            assert self.raw.execute(f"SELECT count(*) FROM {table} WHERE blob NOT IN (SELECT id FROM blob)").fetchone() == (0,), table
        for table in ("seen", "filed"):
            assert self.raw.execute(f"SELECT count(*) FROM {table} WHERE key NOT IN (SELECT key FROM message)").fetchone() == (0,), table
        for table in ("message", "queue"):
            assert self.raw.execute(f"SELECT count(*) FROM {table} WHERE blob NOT IN (SELECT id FROM blob)").fetchone() == (0,)
        used = dict(self.raw.execute("SELECT owner, sum(size) FROM folder GROUP BY owner").fetchall())
        assert dict(self.raw.execute("SELECT id, used FROM account").fetchall()) == {owner: used.get(owner, 0) for owner in self.owners()}

    def owners(self) -> list[int]:
        return [owner for (owner,) in self.raw.execute("SELECT id FROM account")]

    def flags(self, folder: FolderId) -> dict[int, int]:
        return {
            key & 0xFFFFFFFF: flags
            for key, flags in self.raw.execute("SELECT key, flags FROM message WHERE key >> 32 = ? ORDER BY key", (folder,))
        }


SEEN, DELETED, FLAGGED = Flag.SEEN, Flag.DELETED, Flag.FLAGGED


class SharedBench(Bench):
    """The same on PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.raw = behind = SharedBehind(url)
        self._session = Session(behind.connection)
        self._begin()

    def within(self, function: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        def whole() -> T:
            tx = PostgresWritingTx(self._session, SHARED, INSERTING, self.now, single=False, alone=True, raced=False, epochs={})
            tx.savepoint()
            try:
                done = function(tx, *args, **kwargs)
                self.events = tx.release()
            except BaseException:
                tx.undo()
                raise
            return done

        async def transaction() -> T:
            await self._session.plain("BEGIN")
            try:
                return await switched(whole)
            finally:
                await self._session.plain("COMMIT")

        return waited(transaction())

    def ask(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        tx = PostgresWritingTx(self._session, SHARED, INSERTING, self.now, single=False, alone=True, raced=False, epochs={})
        return waited(switched(partial(question, tx, *args, **kwargs)))


def put(bench: Bench, folder: FolderId, count: int = 1, flags: Flag = NO_FLAGS, keywords: tuple[str, ...] = ()) -> tuple[Uid, ...]:
    return bench.do(AppendMessages(folder, tuple(NewInFolder(letter(n), flags, keywords) for n in range(count)), 0)).uids


def uids(bench: Bench, folder: FolderId) -> list[int]:
    return list(bench.flags(folder))
