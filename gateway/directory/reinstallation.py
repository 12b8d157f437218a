"""A whole installation from a backup, into a directory of data that has nothing in it."""

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.directory.backups import spelled, threaded
from gateway.directory.faults import Code, Fault
from gateway.directory.premises import Told
from gateway.directory.records import Records
from store.backups import Backups, Contents, Damaged, Run, Watched
from store.connect import LOCK_FILE, RESTORING, connect, database_of, is_shared
from store.deeds import Several
from store.durable import write_whole
from store.errors import StoreError
from store.lock import Lock
from store.renewal import Renew, Renewed
from store.sqlite import inspected

_MOVING: Final = "moving"


@dataclass(frozen=True, slots=True)
class Reinstalled:
    """`renewed` None: the installation was only moved."""

    run: Run
    renewed: Renewed | None


async def reinstall(backup: Path, data: Path, url: str, told: Told, *, at: int | None = None, moved: bool = False) -> Reinstalled:
    """The newest backup, or that of `at` (microseconds) or before. Everything is compared with what was written; it is there whole,
    or nothing is there but a directory by which it is known that it was not finished.

    `moved`: nothing has happened since the backup, so UIDVALIDITYs stay and the queue goes on. Raises Fault.
    """
    if is_shared(url):
        raise Fault(
            Code.INVALID_REQUEST,
            "what is kept on PostgreSQL is restored by its own tools (pg_basebackup's copy and the log, pg_restore), then procura"
            " renew-uidvalidity; a backup of"
            " procura's own becomes a database of SQLite: restore it with the setting store as sqlite:///{data}/procura.db, then"
            " procura migrate-store",
        )
    backups = Backups(backup)
    draft = data / RESTORING
    try:
        database = database_of(url, data)
        await asyncio.to_thread(data.mkdir, mode=0o700, parents=True, exist_ok=True)
        with _alone(data):
            run = await asyncio.to_thread(backups.at, at)
            contents = await asyncio.to_thread(backups.contents, run)
            await asyncio.to_thread(_clear, data, database)
            try:
                await threaded(told, _unpacked, backups, run, contents, draft)
                told("bringing up to date", 0, 0)
                renewed = await _settled(run, draft, moved)
                await asyncio.to_thread(_moved_in, draft, data, database)
            except BaseException:
                await asyncio.to_thread(_clear, data, database)
                raise
    except (OSError, StoreError, Damaged) as error:
        raise spelled(error) from None
    return Reinstalled(run, renewed)


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    lock = Lock(data / LOCK_FILE)
    lock.take()
    try:
        yield
    finally:
        lock.release()


def _clear(data: Path, database: Path) -> None:
    """What a restore that did not end left behind goes; anything else stays, and is a Fault."""
    draft = data / RESTORING
    if draft.exists():
        # It began in an empty directory, and no server starts beside it: what it says it was moving is its own.
        listed = draft / _MOVING
        moving = json.loads(listed.read_text(encoding="utf-8")) if listed.exists() else []
        if listed.exists():
            for path in (database, *(database.with_name(database.name + end) for end in ("-wal", "-shm"))):
                path.unlink(missing_ok=True)
        for name in moving:
            left = data / name
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink(missing_ok=True)
        shutil.rmtree(draft)
    there = sorted(one.name for one in data.iterdir() if one.name != LOCK_FILE)
    if there:
        raise Fault(Code.INVALID_REQUEST, f"{data} is not empty ({', '.join(there[:5])}): restore into a new directory (--data DIR)")
    if database.exists():
        raise Fault(Code.INVALID_REQUEST, f"{database} is there already")


def _unpacked(watched: Watched, backups: Backups, run: Run, contents: Contents, draft: Path) -> None:
    draft.mkdir(mode=0o700)
    _sync(draft.parent)
    backups.database(run, contents, draft / "procura.db", watched)
    found = inspected(draft / "procura.db", lambda: watched("checking", 0, 0))
    if found.faults:
        raise Damaged(f"the database of {run.id} is damaged: {'; '.join(found.faults[:5])}")
    named = {(place, digest.hex()) for place, digest, _ in found.files}
    kept = {(one.name, one.hash) for one in contents.messages}
    if {place for place, _ in named - kept} - set(run.missing):
        raise Damaged(f"{run.id} lacks files of messages that its database names")
    messages = draft / "messages"
    messages.mkdir(mode=0o700)
    for number, one in enumerate(contents.messages):
        watched("messages", number, len(contents.messages))
        target = messages / one.name
        for shelf in reversed(target.relative_to(messages).parents[:-1]):
            (messages / shelf).mkdir(mode=0o700, exist_ok=True)
        _write(target, backups.octets(one.hash))
    for shelf in messages.rglob("*"):
        if shelf.is_dir():
            _sync(shelf)
    _sync(messages)
    others = draft / "files"
    others.mkdir(mode=0o700)
    for one in contents.others:
        _write(others / one.name, backups.octets(one.hash))


async def _settled(run: Run, draft: Path, moved: bool) -> Renewed | None:
    """The schema is brought up to date, the numbers are made new, and what happened goes on record."""
    store = await connect(f"sqlite:///{draft / 'procura.db'}", draft)
    try:
        records = Records(store)
        if moved:
            await records.do(Several(()), "installation moved", run.id)
            return None
        return await records.do(Renew(), "installation restored", run.id)
    finally:
        await store.close()


def _moved_in(draft: Path, data: Path, database: Path) -> None:
    others = sorted(one.name for one in (draft / "files").iterdir())
    left = [draft / f"procura.db{end}" for end in ("-wal",) if (draft / f"procura.db{end}").exists()]
    if any(one.stat().st_size for one in left):
        raise Damaged("the database could not be closed")
    # Whole or not there: whoever finds it relies on it.
    write_whole(draft / f"{_MOVING}.new", draft / _MOVING, json.dumps(["messages", *others]).encode())
    _sync(draft)
    (draft / "messages").rename(data / "messages")
    for name in others:
        (draft / "files" / name).rename(data / name)
    _place(draft / "procura.db", database)
    _sync(data)
    # With its name the mark goes at once: what is removed after that is nobody's mark any more.
    gone = data / f"{RESTORING}.done"
    draft.rename(gone)
    _sync(data)
    shutil.rmtree(gone)


def _place(source: Path, database: Path) -> None:
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        source.rename(database)
    except OSError:
        # On another file system.
        shutil.copyfile(source, database)
        database.chmod(0o600)
        with database.open("rb+") as file:
            os.fsync(file.fileno())
    _sync(database.parent)


def _write(target: Path, octets: bytes) -> None:
    with open(target, "xb", opener=_private) as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
