"""A directory of backups: octets once per content, and for each run a list of what it consists of. It knows no database but its file.

    procura-backups           says that the directory is ours, and of which format
    objects/ab/<SHA-256>      message files, pieces of database files, keys: whoever has the name can tell whether the octets are right
    runs/<time>/manifest      what the run is, JSON; `contents` in it is the SHA-256 of the list, `digest` that of everything else
    runs/<time>/contents      the list: pieces of the database in order, files of messages, files of keys
    runs/<time>.unfinished/   a run that is under way, or was killed: the next one removes it

A run is whole when its directory has its name: that is the last thing that is done, after everything it names is on disk. Octets are
written under another name first, never over anything, so that whatever happens to a run, those before it stay as they are.
"""

import json
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from store.away import Lost
from store.durable import make_directory, private, sync_directory, write_whole
from store.errors import NotFound, Unusable
from store.lock import Lock

PIECE: Final = 128 * 1024
"""Octets of a piece of the database: what did not change between two runs is kept once, in pieces of this size."""
FORMAT: Final = 1

_MARK: Final = "procura-backups"
_UNFINISHED: Final = ".unfinished"
_ID: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z")
_LINE: Final = re.compile(
    r"database (?P<piece>[0-9a-f]{64})"
    r"|message (?P<message>[0-9a-f]{64}) (?P<octets>\d{1,15}) "
    r"(?P<place>[0-9a-f]{2}/[0-9a-f]{32}|object/[0-9a-f]{16}/[0-9a-f]{2}/[0-9a-f]{64}-[0-9a-f]{16})"
    r"|file (?P<file>[0-9a-f]{64}) (?P<size>\d{1,15}) (?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]{0,100})",
    re.ASCII,
)

Watched = Callable[[str, int, int], None]
"""What is done, how much of it, out of how much. Called in the thread that works; may raise, which ends the work."""


class Damaged(Exception):
    """What a backup says is there is not there, or is something else; the message names it."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file in a backup. `name`: its place below the directory of octets, or its name in the directory of data."""

    name: str
    hash: str
    size: int


@dataclass(frozen=True, slots=True)
class Run:
    """One backup. `at`: microseconds since 1970, the moment whose state it has; `missing`: files of messages that were not as the
    database says when they were to be copied; `added`: octets that the backups before it did not have."""

    id: str
    at: int
    version: str
    schema: int
    database: int
    piece: int
    messages: int
    octets: int
    added: int
    missing: tuple[str, ...]
    contents: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a run consists of: the pieces of its database in order, the files of its messages, the other files."""

    pieces: Sequence[str]
    messages: Sequence[Kept]
    others: Sequence[Kept]

    def hashes(self) -> set[str]:
        """Every object that the run needs."""
        return {*self.pieces, *(one.hash for one in self.messages), *(one.hash for one in self.others)}


@dataclass(slots=True)
class Draft:
    """A run under way; `at`: the moment whose state it has, by which it will be called."""

    at: int
    place: Path
    pieces: list[str] = field(default_factory=list)
    messages: list[Kept] = field(default_factory=list)
    others: list[Kept] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    added: int = 0
    shelves: set[Path] = field(default_factory=set)


def is_name(text: str) -> bool:
    """Can a file of the directory of data be kept under this name?"""
    return read_contents(f"file {'0' * 64} 0 {text}".encode("utf-8", "surrogateescape")) is not None and "\n" not in text


def read_contents(octets: bytes) -> Contents | None:
    """None: it cannot be. What is restored is written where the list says, so that no name leads elsewhere."""
    pieces: list[str] = []
    messages: list[Kept] = []
    others: list[Kept] = []
    for line in octets.decode("latin-1").split("\n"):
        read = _LINE.fullmatch(line)
        if read is None:
            if line:
                return None
        elif read["piece"]:
            pieces.append(read["piece"])
        elif read["place"]:
            messages.append(Kept(read["place"], read["message"], int(read["octets"])))
        else:
            others.append(Kept(read["name"], read["file"], int(read["size"])))
    return Contents(pieces, messages, others)


class Backups:
    """The directory. Every method blocks: call it in a thread. Raises OSError besides what is said."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._objects = directory / "objects"
        self._runs = directory / "runs"

    # --- reading

    def check(self) -> None:
        """Raises Unusable: it is no directory of backups, or one of another version."""
        try:
            said = json.loads((self.directory / _MARK).read_text(encoding="ascii"))
            known = said["format"] == FORMAT
        except FileNotFoundError:
            raise Unusable(f"{self.directory} is no directory of backups") from None
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise Unusable(f"{self.directory} has backups of another version, or its file {_MARK} is damaged")

    def runs(self) -> list[Run]:
        """The whole ones, oldest first. Raises Unusable; Damaged where a run's own words are not what was written."""
        self.check()
        return [self.run(name) for name in self.names()]

    def names(self) -> list[str]:
        """Of the whole runs, oldest first."""
        return sorted(one.name for one in self._runs.iterdir() if _ID.fullmatch(one.name)) if self._runs.is_dir() else []

    def unfinished(self) -> list[str]:
        """Runs that were begun and did not end, or that are under way."""
        return sorted(one.name for one in self._runs.iterdir() if one.name.endswith(_UNFINISHED)) if self._runs.is_dir() else []

    def run(self, name: str) -> Run:
        """Raises NotFound, Damaged."""
        if not _ID.fullmatch(name):
            raise NotFound(f"backup {name}")
        try:
            said = json.loads((self._runs / name / "manifest").read_bytes())
            digest = said.pop("digest")
            if digest != _digest(said) or said["id"] != name or said.pop("format") != FORMAT:
                raise ValueError
            return Run(**{**said, "missing": tuple(said["missing"])})
        except FileNotFoundError:
            raise NotFound(f"backup {name}") from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Damaged(f"the manifest of {name} is not what was written") from None

    def at(self, moment: int | None) -> Run:
        """The newest run that has the state of this moment or of one before; None: the newest. A whole second lasts until its end.
        Raises NotFound, Damaged, Unusable."""
        self.check()
        until = None if moment is None else moment + 999_999 if moment % 1_000_000 == 0 else moment
        for name in reversed(self.names()):
            run = self.run(name)
            if until is None or run.at <= until:
                return run
        raise NotFound(f"no backup in {self.directory}" + ("" if moment is None else f" of {_stamp(moment)} or before"))

    def contents(self, run: Run) -> Contents:
        """Raises Damaged."""
        try:
            octets = (self._runs / run.id / "contents").read_bytes()
        except FileNotFoundError:
            raise Damaged(f"the list of {run.id} is gone") from None
        if sha256(octets).hexdigest() != run.contents:
            raise Damaged(f"the list of {run.id} is not what was written")
        found = read_contents(octets)
        if found is None:
            raise Damaged(f"the list of {run.id} has a line that cannot be")
        return found

    def octets(self, digest: str) -> bytes:
        """Raises Damaged."""
        try:
            found = self._object(digest).read_bytes()
        except FileNotFoundError:
            raise Damaged(f"object {digest} is gone") from None
        if sha256(found).hexdigest() != digest:
            raise Damaged(f"object {digest} is not what was written")
        return found

    def database(self, run: Run, contents: Contents, target: Path, watched: Watched) -> None:
        """The database as it was, in one file that is durable. Raises Damaged, FileExistsError."""
        size = 0
        with open(target, "xb", opener=private) as file:
            for number, digest in enumerate(contents.pieces):
                watched("database", number, len(contents.pieces))
                size += file.write(self.octets(digest))
            file.flush()
            os.fsync(file.fileno())
        if size != run.database:
            raise Damaged(f"the database of {run.id} has {size} octets, there were {run.database}")

    def faults(self, names: Sequence[str], watched: Watched) -> list[str]:
        """What is wrong with these runs, in words: everything they name is read."""
        said: list[str] = []
        wanted: dict[str, str] = {}
        for name in names:
            try:
                for digest in self.contents(self.run(name)).hashes():
                    wanted.setdefault(digest, name)
            except (Damaged, NotFound) as error:
                said.append(str(error))
        for number, (digest, name) in enumerate(sorted(wanted.items())):
            watched("objects", number, len(wanted))
            try:
                self.octets(digest)
            except (Damaged, OSError) as error:
                said.append(f"{error} (of {name})")
        return said

    # --- writing

    @contextmanager
    def held(self) -> Iterator[None]:
        """Made where it is not there yet, and nobody else's meanwhile. Raises Unusable, InUse."""
        make_directory(self.directory)
        lock = Lock(self.directory / "lock")
        if not (self.directory / _MARK).exists() and any(one.name != "lock" for one in self.directory.iterdir()):
            raise Unusable(f"{self.directory} has other things in it: give a directory for backups alone")
        lock.take()
        try:
            if not (self.directory / _MARK).exists():
                self._objects.mkdir(mode=0o700, exist_ok=True)
                self._runs.mkdir(mode=0o700, exist_ok=True)
                _write(self.directory / _MARK, json.dumps({"format": FORMAT}).encode("ascii"))
                sync_directory(self.directory)
            self.check()
            yield
        finally:
            lock.release()

    def begin(self, at: int) -> Draft:
        """While `held`. What was left of runs that did not end goes."""
        for name in self.unfinished():
            shutil.rmtree(self._runs / name)
        name = _stamp(at)
        place = self._runs / (name + _UNFINISHED)
        place.mkdir(mode=0o700)
        return Draft(at, place)

    def keep(self, draft: Draft, octets: bytes) -> str:
        """These octets, once; returns their name."""
        digest = sha256(octets).hexdigest()
        target = self._object(digest)
        # One that is there is perhaps of a run that was killed before its name was on the disk.
        draft.shelves.add(target.parent)
        # One that is there with another size was torn by whoever copied the directory about.
        if not target.exists() or target.stat().st_size != len(octets):
            target.parent.mkdir(mode=0o700, exist_ok=True)
            _write(target, octets)
            draft.added += len(octets)
        return digest

    def keep_database(self, draft: Draft, file: Path, watched: Watched) -> int:
        """A database file in its pieces; returns its size."""
        total = file.stat().st_size
        size = 0
        with file.open("rb") as octets:
            while piece := octets.read(PIECE):
                draft.pieces.append(self.keep(draft, piece))
                size += len(piece)
                watched("database", size, total)
        return size

    def keep_message(self, draft: Draft, read: Callable[[], bytes], kept: Kept) -> None:
        """A message's octets, which are read where they are not kept yet. Where they are not what the database says, or `read` raises
        NotFound or Lost, the draft says so. Raises what else `read` raises."""
        target = self._object(kept.hash)
        try:
            if not target.exists() or target.stat().st_size != kept.size:
                octets = read()
                if sha256(octets).hexdigest() != kept.hash:
                    draft.missing.append(kept.name)
                    return
                self.keep(draft, octets)
            draft.shelves.add(target.parent)
        except (NotFound, Lost):
            draft.missing.append(kept.name)
            return
        draft.messages.append(kept)

    def keep_other(self, draft: Draft, source: Path) -> None:
        """A small file of the directory of data."""
        octets = source.read_bytes()
        draft.others.append(Kept(source.name, self.keep(draft, octets), len(octets)))

    def finish(self, draft: Draft, *, version: str, schema: int, database: int) -> Run:
        """From now on it is a backup."""
        listed = [f"database {one}" for one in draft.pieces]
        listed += [f"message {one.hash} {one.size} {one.name}" for one in draft.messages]
        listed += [f"file {one.hash} {one.size} {one.name}" for one in draft.others]
        contents = "".join(f"{line}\n" for line in listed).encode("ascii")
        name = _stamp(draft.at)
        said: dict[str, Any] = {
            "id": name,
            "at": draft.at,
            "version": version,
            "schema": schema,
            "database": database,
            "piece": PIECE,
            "messages": len(draft.messages),
            "octets": database + sum(one.size for one in (*draft.messages, *draft.others)),
            "added": draft.added,
            "missing": sorted(draft.missing),
            "contents": sha256(contents).hexdigest(),
        }
        for shelf in draft.shelves:
            sync_directory(shelf)
        sync_directory(self._objects)
        _write(draft.place / "contents", contents)
        said["format"] = FORMAT
        _write(draft.place / "manifest", json.dumps({**said, "digest": _digest(said)}, indent=1).encode("ascii"))
        sync_directory(draft.place)
        draft.place.rename(self._runs / name)
        sync_directory(self._runs)
        return self.run(name)

    def abandon(self, draft: Draft) -> None:
        """What it has written goes, as far as nothing else names it; raises nothing."""
        with suppress(OSError):
            shutil.rmtree(draft.place)

    def prune(self, keep: int) -> list[str]:
        """Only the newest `keep` runs stay, and the objects that they name. While `held`. Returns the runs that went. Raises Damaged:
        what a run that stays names cannot be known, so nothing goes."""
        names = self.names()
        going = names[:-keep] if keep else names
        wanted: set[str] = set()
        for name in names[len(going) :]:
            wanted |= self.contents(self.run(name)).hashes()
        for name in going:
            leaving = self._runs / (name + _UNFINISHED)
            (self._runs / name).rename(leaving)
        sync_directory(self._runs)
        for name in going:
            shutil.rmtree(self._runs / (name + _UNFINISHED))
        for shelf in self._objects.iterdir():
            for one in shelf.iterdir():
                if one.name not in wanted:
                    one.unlink()
        return going

    def _object(self, digest: str) -> Path:
        return self._objects / digest[:2] / digest


def _digest(said: dict[str, Any]) -> str:
    return sha256(json.dumps(said, sort_keys=True).encode("ascii")).hexdigest()


def _stamp(moment: int) -> str:
    seconds, rest = divmod(moment, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%S}.{rest:06}Z"


def _write(target: Path, octets: bytes) -> None:
    """Whole or not at all."""
    write_whole(target.with_name(f"{target.name}.{secrets.token_hex(4)}.part"), target, octets)
