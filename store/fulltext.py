"""search.db: the folded texts of messages and their trigrams, which narrow and decide a search; a file that may be lost.

How it is used. A task of the gateway (gateway/indexing.py) reads blobs behind the `mark`, in the order of their ids, which is the order
in which they were committed, and adds their texts together with the new mark in one transaction of this file. It is never part of a
deed: a message is durable and can be found without it. A search asks for a `Reading`, which is one state of this file:

* blobs up to its mark are decided by their kept texts, and narrowed by the trigrams where what is looked for is long enough. Keeping a
  text is cheap, dividing it into trigrams takes four times as long: it comes after, and until then a text is looked into in any case;
* blobs behind the mark, and texts too large to be kept, are decided by the octets, as if there were no index.

So the index never decides what is in it: whatever it does not know is looked at. Blob ids are never given twice and octets never
change, so the two files need no common transaction. A blob that is gone leaves the index some time later: no folder names it any more,
and a search only looks at what its folder names.

An owner's texts have neighbouring ids, so that a query touches the owner's own postings only, here and in the engine: neither results
nor time depend on other people's mail. Whether a delegate's search may use the trigrams is the caller's to say (store/search.py).

Kept as they are, not packed: reading packed texts takes five times as long as looking into them. A position for each trigram
(`detail = full`) would let the trigrams decide alone, but takes seven times the room of `detail = none`, more than trigrams and texts
together, and twice the time to make.
"""

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import IntEnum
from json import dumps
from pathlib import Path
from typing import Any, Final

from store.migrate import statements_of, steps
from store.statements import DIRECTORY_OF_STATEMENTS, read

GRAM: Final = 3
"""Characters of a trigram: shorter texts are looked for in the kept texts."""
GRAMS: Final = 12
"""Trigrams of a text that are asked for, spread over it; more narrow hardly better, and cost."""

_BLOB_BITS: Final = 41
_OWNER_BITS: Final = 21
_PAGE: Final = 16384
IDLE: Final = 8
"""Connections kept for the next search."""
WRITER_PAGES: Final = 8 << 20
READER_PAGES: Final = 4 << 20
"""Octets of pages that a connection keeps."""
_STATEMENTS: Final = 32
_DAMAGED: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_SQL: Final = read("fulltext", (DIRECTORY_OF_STATEMENTS / "fulltext" / "fulltext.sql").read_text(encoding="utf-8"))


class Kind(IntEnum):
    """Which text of a message."""

    HEADER = 0
    BODY = 1


class Unreadable(Exception):
    """The file cannot be asked now: search without it."""


class Unwritable(Exception):
    """Nothing can be added now; what is there stays."""


class Damaged(Unwritable):
    """The file is worth nothing: `remake` it."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What is kept of one blob: UTF-8 without NUL, folded; None: the octets decide."""

    blob: int
    owner: int
    header: bytes | None
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the file has come: every blob up to `mark`, whose octets had this hash; (0, b"") in a new file."""

    mark: int
    hash: bytes


def has_room(owner: int, blob: int) -> bool:
    """Numbers beyond are not indexed: two million accounts, two million million blobs."""
    return 0 < owner < 1 << _OWNER_BITS and 0 < blob < 1 << _BLOB_BITS


def _id(owner: int, blob: int, kind: int) -> int:
    return owner << (_BLOB_BITS + 1) | blob << 1 | kind


def grams(needle: str) -> str | None:
    """A query for texts that may contain it, and surely for all that do; None: it is too short."""
    count = len(needle) - GRAM + 1
    if count < 1:
        return None
    places = range(count) if count <= GRAMS else [number * (count - 1) // (GRAMS - 1) for number in range(GRAMS)]
    quoted = ['"' + needle[place : place + GRAM].replace('"', '""') + '"' for place in places]
    return " AND ".join(dict.fromkeys(quoted))


class Reading:
    """One state of the file, in one thread. Every method raises Unreadable."""

    __slots__ = ("_connection", "_failed", "mark")

    def __init__(self, connection: sqlite3.Connection, mark: int, failed: Callable[[sqlite3.Error], Unreadable]) -> None:
        self._connection = connection
        self._failed = failed
        self.mark = mark

    def candidates(self, owner: int, kind: Kind | None, needle: str, most: int) -> list[int] | None:
        """Blobs of the owner's among which all are whose text of this kind (None: one of both) is kept and contains `needle`.
        None: it is too short, or there are more than `most`."""
        query = grams(needle)
        if query is None:
            return None
        found = self._all("candidates", grams=query, kind=None if kind is None else int(kind), most=most + 1, **_range(owner))
        return None if len(found) > most else [blob for (blob,) in found]

    def aside(self, owner: int) -> list[int]:
        """Blobs of the owner's up to the mark of which `candidates` knows nothing: a text is not kept, or not divided yet."""
        return [blob for (blob,) in self._all("aside", **_range(owner))]

    def texts(self, owner: int, kind: Kind, blobs: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """(blob, text) of those that are kept, one after the other."""
        mask = (1 << _BLOB_BITS) - 1
        first = _id(owner, 0, kind)
        try:
            for number, text in self._connection.execute(_SQL["fulltext.texts"], {"ids": dumps([first | blob << 1 for blob in blobs])}):
                if text is not None:
                    yield number >> 1 & mask, text
        except sqlite3.Error as error:
            raise self._failed(error) from error

    def _all(self, statement: str, **parameters: Any) -> list[Any]:
        try:
            return self._connection.execute(_SQL[f"fulltext.{statement}"], parameters).fetchall()
        except sqlite3.Error as error:
            raise self._failed(error) from error


def _range(owner: int) -> dict[str, int]:
    return {"low": _id(owner, 0, 0), "high": _id(owner + 1, 0, 0) - 1}


class FullText:
    """The file. Every method blocks: call it in a thread; those that write, in one at a time.

    `version`: of the form of the texts; a file with another one is made anew. `found_damaged` is told, in some thread, when a search has
    found that out.
    """

    def __init__(self, path: Path, version: str, found_damaged: Callable[[], None] | None = None) -> None:
        self._found_damaged = found_damaged
        self._path = path
        self._version = version
        self._writer: sqlite3.Connection | None = None
        self._readers: deque[sqlite3.Connection] = deque()
        self._generation = 0
        self._trusted = False
        self.damaged = False

    def faults(self) -> list[str]:
        """What is wrong with the file as it is, in words; nothing where there is none yet."""
        if not self._path.exists():
            return []
        try:
            connection = _connected(self._path, writes=False)
            try:
                return [said for (said,) in connection.execute("PRAGMA quick_check(20)") if said != "ok"]
            finally:
                connection.close()
        except sqlite3.Error as error:
            return [str(error)]

    # --- writing

    def open(self) -> Standing:
        """The file as it is, made where there is none that can be used. It is asked only once it is `trust`ed. Raises Unwritable."""
        try:
            return self._standing(self._write())
        except (sqlite3.Error, OSError, Damaged) as error:
            broken = self._broken(error)
            if not isinstance(broken, Damaged):
                raise broken from error
        self.remake()
        return Standing(0, b"")

    def trust(self) -> None:
        """It belongs to the database beside it: from now on searches ask it."""
        self._trusted = True

    def follow(self, *, trusted: bool) -> None:
        """Another process writes it, and has made it anew, or is about to. Searches under way go on in what they have."""
        self._trusted = False
        self._generation += 1
        self.close()
        self.damaged = False
        self._trusted = trusted

    def remake(self) -> None:
        """Throws everything away and begins anew. Searches under way go on in what they have. Raises Unwritable."""
        self._trusted = False
        self.close()
        self._generation += 1
        try:
            self._remove()
            self._write()
        except (sqlite3.Error, OSError) as error:
            raise self._broken(error) from error
        self.damaged = False

    def add(self, texts: Sequence[Texts], standing: Standing) -> None:
        """These, and that everything up to this mark is there, at once. Raises Unwritable, Damaged: nothing of it is there then."""
        rows = [
            (_id(one.owner, one.blob, kind), text)
            for one in sorted(texts, key=lambda one: (one.owner, one.blob))
            for kind, text in ((Kind.HEADER, one.header), (Kind.BODY, one.body))
        ]
        with self._transaction() as connection:
            connection.executemany(_SQL["fulltext.keep"], [{"id": number, "text": text} for number, text in rows])
            connection.executemany(_SQL["fulltext.leave"], [{"id": number} for number, text in rows if text])
            connection.execute(_SQL["fulltext.advance"], {"mark": standing.mark, "hash": standing.hash})

    def divide(self, most: int, octets: int) -> int:
        """Divides some of the kept texts into their trigrams, and tells how many; 0: all are. Raises Unwritable, Damaged."""
        with self._transaction() as connection:
            ids = []
            for number, length in connection.execute(_SQL["fulltext.undivided"], {"most": most}).fetchall():
                ids.append(number)
                octets -= length or 0
                if octets <= 0:
                    break
            if ids:
                connection.execute(_SQL["fulltext.divide"], {"last": ids[-1]})
                connection.execute(_SQL["fulltext.divided"], {"last": ids[-1]})
        return len(ids)

    def after(self, place: int, most: int) -> list[tuple[int, int, int]]:
        """(place, owner, blob) of what is there, from this place on (0: the first), for `forget`. Raises Unwritable, Damaged."""
        with self._transaction() as connection:
            found = connection.execute(_SQL["fulltext.ids"], {"after": place, "most": most}).fetchall()
        mask = (1 << _BLOB_BITS) - 1
        return [(number, number >> (_BLOB_BITS + 1), number >> 1 & mask) for (number,) in found]

    def forget(self, blobs: Sequence[tuple[int, int]]) -> None:
        """(owner, blob): what is gone for good. Raises Unwritable, Damaged."""
        with self._transaction() as connection:
            for owner, blob in sorted(blobs):
                ends = {"low": _id(owner, blob, 0), "high": _id(owner, blob, 1)}
                connection.execute(_SQL["fulltext.undivide"], ends)
                connection.execute(_SQL["fulltext.unleave"], ends)
                connection.execute(_SQL["fulltext.forget"], ends)

    def close(self) -> None:
        """Gives the connections back; the next call opens new ones."""
        writer, self._writer = self._writer, None
        if writer is not None:
            with suppress(sqlite3.Error):
                writer.close()
        while self._readers:
            with suppress(sqlite3.Error, IndexError):
                self._readers.popleft().close()

    # --- reading

    @contextmanager
    def reading(self) -> Iterator[Reading | None]:
        """One state of the file; None: there is nothing to be asked."""
        if not self._trusted or self.damaged:
            yield None
            return
        generation = self._generation
        connection: sqlite3.Connection | None = None
        try:
            try:
                connection = self._readers.popleft() if self._readers else _connected(self._path, writes=False)
                connection.execute("BEGIN")
                standing = self._standing(connection)
            except IndexError:  # another thread took the last one
                yield None
                return
            except (sqlite3.Error, Damaged) as error:
                self._unreadable(error)
                yield None
                return
            yield Reading(connection, standing.mark, self._unreadable)
        finally:
            if connection is not None:
                self._give_back(connection, generation)

    def _give_back(self, connection: sqlite3.Connection, generation: int) -> None:
        try:
            connection.execute("ROLLBACK")
            if generation == self._generation and not self.damaged and len(self._readers) < IDLE:
                self._readers.append(connection)
                return
        except sqlite3.Error:
            pass
        with suppress(sqlite3.Error):
            connection.close()

    def _unreadable(self, error: Exception) -> Unreadable:
        # A question that is refused is no damage: what is asked for comes from outside.
        if isinstance(self._broken(error), Damaged) and getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
            self.damaged = True
            if self._found_damaged is not None:
                self._found_damaged()
        return Unreadable(str(error))

    # --- pieces

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _write(self) -> sqlite3.Connection:
        if self._writer is None:
            if not self._path.exists():
                # A log that was left behind must not be played into a new file.
                self._remove()
            # SQLite gives its other files the mode of this one.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            connection = _connected(self._path, writes=True)
            try:
                if connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                    connection.execute("BEGIN IMMEDIATE")
                    for statement in statements_of(steps("fulltext")[0].script):
                        connection.execute(statement)
                    connection.execute(_SQL["fulltext.begin"], {"version": self._version})
                    connection.execute("COMMIT")
            except BaseException:
                connection.close()
                raise
            self._writer = connection
        return self._writer

    def _standing(self, connection: sqlite3.Connection) -> Standing:
        found = connection.execute(_SQL["fulltext.standing"]).fetchone()
        if found is None or found[0] != self._version:
            raise Damaged("of another version")
        return Standing(found[1], found[2])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._write()
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            # After a failed write this connection's view is worth nothing.
            writer, self._writer = self._writer, None
            if writer is not None:
                with suppress(sqlite3.Error):
                    writer.close()
            raise self._broken(error) from error

    @staticmethod
    def _broken(error: Exception) -> Unwritable:
        if isinstance(error, Unwritable):
            return error
        code = getattr(error, "sqlite_errorcode", None)
        damaged = isinstance(error, sqlite3.IntegrityError) or (code is not None and code & 0xFF in _DAMAGED)
        # A table that is not there is damage too; a mistake of ours would show as the same, and end in scans.
        damaged = damaged or (code is not None and code & 0xFF == sqlite3.SQLITE_ERROR)
        return (Damaged if damaged else Unwritable)(str(error))


def _connected(path: Path, *, writes: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
        timeout=5,
    )
    try:
        pragmas = ["mmap_size = 0", "trusted_schema = OFF", "temp_store = MEMORY"]
        if writes:
            # NORMAL: after a power cut the last batches are missing, and their mark with them.
            pragmas += [f"page_size = {_PAGE}", "journal_mode = WAL", "synchronous = NORMAL", f"cache_size = -{WRITER_PAGES >> 10}"]
            pragmas += [f"wal_autocheckpoint = {(8 << 20) // _PAGE}", f"journal_size_limit = {16 << 20}"]
        else:
            pragmas += ["query_only = ON", "wal_autocheckpoint = 0", f"cache_size = -{READER_PAGES >> 10}"]
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection
