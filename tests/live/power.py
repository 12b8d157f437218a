"""What a disk may hold after the power went at any moment, from the record of all that was done to it (robustness.md section 5, F5).

Kept is what was synchronised: the octets of a file by an fsync of the file, a name by an fsync of its directory, each as far as it was
done before that fsync began. Of the rest anything may be there: each write whole, not at all, or some of its sectors; names in any
choice. The order in which things were done binds nobody between two synchronisations, and what was pending when an fsync failed stays
uncertain for good, for the system takes it for written. (Journalling file systems promise more. None promises less.)
"""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_HEAD: Final = struct.Struct("<ciiqII")
_NAMES: Final = b"RLUM"

PAGE: Final = 4096
ATOMS: Final = (512, PAGE)
"""Octets that reach the disk together: a sector, a page."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the record. `kind`: see disk.c."""

    kind: bytes
    process: int
    descriptor: int
    number: int
    first: bytes
    second: bytes


def read(record: Path) -> list[Entry]:
    octets = record.read_bytes()
    found, at = [], 0
    while at < len(octets):
        kind, process, descriptor, number, first, second = _HEAD.unpack_from(octets, at)
        at += _HEAD.size
        found.append(Entry(kind, process, descriptor, number, octets[at : at + first], octets[at + first : at + first + second]))
        at += first + second
    assert at == len(octets), "the record ends in the middle of a line"
    return found


class Node:
    """A file or a directory as it is, as it is on the disk for sure, and what lies between."""


@dataclass(eq=False)
class File(Node):
    """`pending`: (offset, octets), or (size, None) for a cut, in the order in which they were done. `lost`: pages that the system takes
    for written since an fsync of them failed; they are written when they are changed again."""

    now: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)

    def change(self, offset: int, octets: bytes | None) -> None:
        _put(self.now, offset, octets)
        self.pending.append((offset, octets))

    def sync(self, count: int, _: random.Random) -> None:
        for offset, octets in self.pending[:count]:
            _put(self.durable, offset, octets)
            if self.lost and octets is not None:
                for page in self.lost.intersection(range(offset // PAGE, (offset + len(octets) - 1) // PAGE + 1)):
                    _put(self.durable, page * PAGE, bytes(self.now[page * PAGE : (page + 1) * PAGE]))
                    self.lost.discard(page)
        del self.pending[:count]

    def fail(self, count: int, draw: random.Random) -> None:
        for offset, octets in self.pending[:count]:
            for piece in [(offset, octets)] if octets is None else _atoms(offset, octets, PAGE):
                if octets is None or draw.random() < 0.5:
                    _put(self.durable, *piece)
                else:
                    self.lost.add(piece[0] // PAGE)
        del self.pending[:count]


@dataclass(eq=False)
class Directory(Node):
    """`pending`: {name: node or None} each, done together."""

    now: dict[str, Node] = field(default_factory=dict)
    durable: dict[str, Node] = field(default_factory=dict)
    pending: list[dict[str, Node | None]] = field(default_factory=list)

    def change(self, names: dict[str, Node | None]) -> None:
        _rename(self.now, names)
        self.pending.append(names)

    def sync(self, count: int, _: random.Random) -> None:
        for names in self.pending[:count]:
            _rename(self.durable, names)
        del self.pending[:count]

    def fail(self, count: int, draw: random.Random) -> None:
        """They stay pending: a name is written again with the next one."""


def _put(content: bytearray, offset: int, octets: bytes | None) -> None:
    if octets is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(octets)] = octets


def _rename(entries: dict[str, Node], names: dict[str, Node | None]) -> None:
    for name, node in names.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


class Disk:
    """Plays the record entry by entry; `heard` is told what was said to a peer, with its port."""

    def __init__(self, top: Path, heard: Callable[[int, bytes], None] = lambda *_: None) -> None:
        self._top = top
        self._root = Directory()
        self._open: dict[tuple[int, int], Node] = {}
        self._begun: dict[tuple[int, int], list[int]] = {}
        self._heard = heard
        self._draw = random.Random(1)

    def play(self, one: Entry) -> None:
        at = (one.process, one.descriptor)
        match one.kind:
            case b"A":
                self._heard(one.number, one.first)
            case b"O":
                self._opened(at, self._parts(one.first), one.number)
            case b"C":
                self._open.pop(at, None)
            case b"W":
                self._file(at).change(one.number, one.first)
            case b"T":
                self._file(at).change(one.number, None)
            case b"S":
                self._begun.setdefault(at, []).append(len(self._pending(at)))
            case b"D":
                self._synced(at, "sync")
            case b"E":
                self._synced(at, "fail")
            case _:
                self._renamed(one)

    def _file(self, at: tuple[int, int]) -> File:
        node = self._open[at]
        assert isinstance(node, File)
        return node

    def _pending(self, at: tuple[int, int]) -> Sequence[object]:
        node = self._open[at]
        assert isinstance(node, File | Directory)
        return node.pending

    def _synced(self, at: tuple[int, int], how: str) -> None:
        node, count = self._open[at], self._begun[at].pop()
        before = len(self._pending(at))
        getattr(node, how)(count, self._draw)
        gone = before - len(self._pending(at))
        # Another descriptor may have begun to synchronise the same file.
        for other, counts in self._begun.items():
            if other in self._open and self._open[other] is node:
                counts[:] = [max(0, one - gone) for one in counts]

    def _parts(self, path: bytes) -> tuple[str, ...]:
        return Path(os.fsdecode(path)).relative_to(self._top).parts

    def _above(self, parts: Sequence[str]) -> Directory:
        node: Node = self._root
        for name in parts[:-1]:
            assert isinstance(node, Directory)
            node = node.now[name]
        assert isinstance(node, Directory)
        return node

    def _opened(self, at: tuple[int, int], parts: Sequence[str], flags: int) -> None:
        if not parts:
            self._open[at] = self._root
            return
        above = self._above(parts)
        node = above.now.get(parts[-1])
        if node is None:
            node = File()
            above.change({parts[-1]: node})
        elif flags & os.O_TRUNC and isinstance(node, File):
            node.change(0, None)
        self._open[at] = node

    def _renamed(self, one: Entry) -> None:
        parts = self._parts(one.first)
        above, name = self._above(parts), parts[-1]
        if one.kind == b"M":
            above.change({name: Directory()})
        elif one.kind == b"U":
            above.change({name: None})
        else:
            target = self._parts(one.second)
            there, node = self._above(target), above.now[name]
            gone: dict[str, Node | None] = {name: None} if one.kind == b"R" else {}
            if there is above:
                above.change({**gone, target[-1]: node})
            else:
                there.change({target[-1]: node})
                above.change(gone)

    def leave(self, into: Path, draw: random.Random, likely: float) -> None:
        """What may be there, as files in `into`. `likely`: how much of what was not synchronised is, 0 to 1."""
        atom = draw.choice(ATOMS)

        def written(directory: Directory, place: Path) -> None:
            place.mkdir(mode=0o700)
            entries = dict(directory.durable)
            for names in directory.pending:
                if draw.random() < likely:
                    _rename(entries, names)
            for name, node in entries.items():
                if isinstance(node, Directory):
                    written(node, place / name)
                elif isinstance(node, File) and not name.endswith("-shm"):
                    # (What processes share is memory, and made anew by the first one.)
                    (place / name).touch(mode=0o600)
                    (place / name).write_bytes(content(node))

        def content(file: File) -> bytes:
            octets = bytearray(file.durable)
            for offset, piece in file.pending:
                if piece is None or len(piece) <= atom:
                    if draw.random() < likely:
                        _put(octets, offset, piece)
                    continue
                for part in _atoms(offset, piece, atom):
                    if draw.random() < likely:
                        _put(octets, *part)
            return bytes(octets)

        written(self._root, into)


@dataclass(frozen=True, slots=True)
class State:
    """What may be on the disk (`place`) when the power went after so many entries (`at`)."""

    at: int
    likely: float
    place: Path


def left_after(top: Path, entries: Sequence[Entry], cuts: Iterable[int], draw: random.Random, scratch: Path) -> Iterator[State]:
    """One for each of these cuts, gone when the next is asked for."""
    disk = Disk(top)
    played = 0
    for number, at in enumerate(sorted(min(one, len(entries)) for one in cuts)):
        for one in entries[played:at]:
            disk.play(one)
        played = max(played, at)
        left = State(at, draw.choice((0.0, 0.0, 1.0, 0.5, draw.random())), scratch / f"state-{number}")
        disk.leave(left.place, draw, left.likely)
        yield left
        shutil.rmtree(left.place)


def without(entries: Sequence[Entry], top: Path, of: Callable[[str], bool]) -> Iterator[Entry]:
    """The same, on a disk that does nothing when these are synchronised. (Whoever does not ask for it leaves the same record.)"""
    paths: dict[tuple[int, int], str] = {}
    for one in entries:
        at = (one.process, one.descriptor)
        if one.kind == b"O":
            paths[at] = os.fsdecode(one.first)[len(f"{top}/") :]
        if one.kind in (b"S", b"D") and of(paths[at]):
            # As many entries as before, so that moments stay what they are.
            yield Entry(b"A", one.process, one.descriptor, 0, b"", b"")
        else:
            yield one


def _atoms(offset: int, octets: bytes, atom: int) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(octets):
        count = atom - (offset + at) % atom
        yield offset + at, octets[at : at + count]
        at += count
