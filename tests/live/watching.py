"""An IMAP session that keeps a picture of its mailbox from nothing but what it is told, and finds what cannot be so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

from tests.live.talk import Answer, Talk

_NUMBERED = re.compile(rb"\* (\d+) (EXISTS|EXPUNGE|FETCH|UIDFETCH)\b")
_FLAGS = re.compile(rb"(?<![A-Z])FLAGS \(([^)]*)\)")
_UID = re.compile(rb"[( ]UID (\d+)")
_MODSEQ = re.compile(rb"MODSEQ \((\d+)\)")
_HIGHEST = re.compile(r"\[HIGHESTMODSEQ (\d+)")
_MODIFIED = re.compile(r"\[MODIFIED ([0-9,:]+)")
_VANISHED = re.compile(rb"\* VANISHED (\(EARLIER\) )?([0-9,:]+)\Z")

Flags = frozenset[str]
Shown = dict[int, tuple[Flags, int | None]]
"""UID → flags and, where it is told, MODSEQ."""


def members(numbers: str) -> set[int]:
    """What a set of numbers, without a star, consists of."""
    found: set[int] = set()
    for part in numbers.split(","):
        first, _, last = part.partition(":")
        low, high = sorted((int(first), int(last or first)))
        found.update(range(low, high + 1))
    return found


@dataclass
class Seen:
    """A message, as far as it was told of."""

    uid: int | None = None
    flags: Flags | None = None
    modseq: int | None = None


class Watching(Talk):
    """`enabled`: what it says to ENABLE, after login."""

    def __init__(self, port: int, user: str, folder: str, enabled: Sequence[str] = ()) -> None:
        super().__init__(port, user)
        self.folder = folder
        self.enabled = enabled
        self.by_uid = "UIDONLY" in enabled
        self.messages: list[Seen] = []
        self.keywords: set[str] = set()
        self.highest = 0
        self.faults: list[str] = []
        self.history: list[str] = []
        self.noticing = False
        self.keeps_numbers = False
        if enabled:
            self.ok("ENABLE " + " ".join(enabled))

    def __enter__(self) -> Self:
        return self

    # --- what it says

    def run(self, command: str, literal: bytes | None = None, effect: Callable[[set[int]], None] | None = None) -> Answer:
        """`effect`: what the command does without being told, given the numbers that were MODIFIED."""
        self.history.append(f"C {command}")
        return self.took(self.finish(self.start(command, literal)), effect)

    def took(self, answer: Answer, effect: Callable[[set[int]], None] | None = None) -> Answer:
        modified = _MODIFIED.search(answer.tagged)
        if effect is not None and answer.kind.startswith("OK"):
            effect(members(modified[1]) if modified else set())
        for line in answer.lines:
            self.told(line)
        self.history.append(f"S {answer.tagged}")
        if answer.kind.startswith("BAD"):
            self.fault(f"BAD: {answer.tagged}")
        self._is_highest(answer.tagged)
        return answer

    def select(self, more: str = "") -> Answer:
        self.messages, self.keywords = [], set()
        answer = self.run(f"SELECT {self.folder}{more}")
        assert answer.kind.startswith("OK"), answer.tagged
        if not more:
            self.learn()
        return answer

    def learn(self) -> None:
        """Asks for those messages that it knows nothing of but that they are there."""
        items = "(UID FLAGS MODSEQ)" if self.enabled else "(UID FLAGS)"
        if self.by_uid or self.noticing:
            # Numbers may change at any time.
            first = next((at for at, one in enumerate(self.messages) if one.uid is None), None)
            if first is not None:
                before = 0 if self.by_uid or not first else self.messages[first - 1].uid or 0
                self.run(f"UID FETCH {before + 1}:* {items}")
            for one in [one for one in self.messages if one.flags is None and one.uid is not None]:
                self.run(f"UID FETCH {one.uid} {items}")
            return
        unknown = [number for number, one in enumerate(self.messages, 1) if one.uid is None or one.flags is None]
        if unknown:
            self.keeps_numbers = True
            self.run(f"FETCH {','.join(map(str, unknown))} {items}")
            self.keeps_numbers = False

    # --- what it is told

    def fault(self, what: str) -> None:
        self.faults.append(what + "\n  " + "\n  ".join(self.history[-60:]))

    def told(self, line: bytes) -> None:
        self.history.append(f"S {line[:300].decode('latin-1')}")
        self._is_highest(line[:200].decode("latin-1"))
        if line.startswith(b"* FLAGS ("):
            self.keywords = set(line[9:-1].decode().split())
        elif (vanished := _VANISHED.match(line)) is not None:
            self._vanish(members(vanished[2].decode()), earlier=vanished[1] is not None)
        elif (found := _NUMBERED.match(line)) is not None:
            number, kind = int(found[1]), found[2]
            if kind == b"EXISTS":
                if number < len(self.messages):
                    self.fault(f"EXISTS {number} where {len(self.messages)} are known")
                self.messages += [Seen() for _ in range(number - len(self.messages))]
            elif kind == b"UIDFETCH":
                self._of_uid(number, line)
            elif not 1 <= number <= len(self.messages):
                self.fault(f"out of range of {len(self.messages)}: {line[:100]!r}")
            elif kind == b"EXPUNGE":
                if self.keeps_numbers or "QRESYNC" in self.enabled or self.by_uid:
                    self.fault("EXPUNGE where it may not be told")
                del self.messages[number - 1]
            else:
                self._fetched(self.messages[number - 1], line)

    def _is_highest(self, text: str) -> None:
        found = _HIGHEST.search(text)
        if found is not None:
            if int(found[1]) < self.highest:
                self.fault(f"HIGHESTMODSEQ {found[1]} behind {self.highest}")
            self.highest = int(found[1])

    def _vanish(self, uids: set[int], *, earlier: bool) -> None:
        if not earlier and self.keeps_numbers:
            self.fault("VANISHED where it may not be told")
        for uid in sorted(uids):
            at = next((at for at, one in enumerate(self.messages) if one.uid == uid), None)
            if at is None and not earlier:
                at = self._unknown(uid)
                if at is None:
                    self.fault(f"VANISHED {uid}, which is not there")
            if at is not None:
                del self.messages[at]

    def _unknown(self, uid: int) -> int | None:
        """A message of unknown UID that may have this one, by its neighbours: of those there are it is no matter which."""
        low = max((at for at, one in enumerate(self.messages) if one.uid is not None and one.uid < uid), default=-1)
        return next((at for at, one in enumerate(self.messages) if at > low and one.uid is None), None)

    def _of_uid(self, uid: int, line: bytes) -> None:
        one = next((one for one in self.messages if one.uid == uid), None)
        if one is None:
            one = next((one for one in self.messages if one.uid is None), None)
            if one is None:
                self.fault(f"UIDFETCH of a message too many: {line[:100]!r}")
                return
            one.uid = uid
        self._fetched(one, line)

    def _fetched(self, one: Seen, line: bytes) -> None:
        uid, flags, modseq = _UID.search(line), _FLAGS.search(line), _MODSEQ.search(line)
        if uid is not None:
            if one.uid not in {None, int(uid[1])}:
                self.fault(f"UID {uid[1]!r} where {one.uid} is: {line[:100]!r}")
            one.uid = int(uid[1])
        elif "QRESYNC" in self.enabled and not self.by_uid and b"BODY[" not in line:
            self.fault(f"no UID told: {line[:100]!r}")
        if flags is not None:
            said = set(flags[1].decode().split()) - {"\\Recent"}
            if not said <= self.keywords:
                self.fault(f"not in FLAGS: {said - self.keywords}")
            one.flags = frozenset(said)
        if modseq is not None:
            if one.modseq is not None and int(modseq[1]) < one.modseq:
                self.fault(f"MODSEQ {modseq[1]!r} behind {one.modseq}")
            one.modseq = int(modseq[1])

    # --- what it knows

    def uids(self) -> list[int]:
        return [one.uid for one in self.messages if one.uid is not None]

    def picture(self) -> Shown:
        uids = self.uids()
        if not self.by_uid and uids != sorted(set(uids)):
            self.fault(f"UIDs out of order: {uids}")
        if len(uids) < len(self.messages):
            self.fault("messages of which nothing is told")
        return {one.uid: (one.flags or frozenset(), one.modseq) for one in self.messages if one.uid is not None}

    def expects(self, which: Iterable[Seen], change: Callable[[Flags], Flags]) -> None:
        """Changes that it is not told, as it made them itself."""
        for one in which:
            if one.flags is not None:
                one.flags = change(one.flags)


@dataclass
class Point:
    """What a fresh session saw at a quiet point."""

    validity: int
    highest: int
    shown: Shown = field(default_factory=dict)


def fresh(port: int, user: str, folder: str) -> Point:
    with Watching(port, user, folder, ["CONDSTORE"]) as session:
        answer = session.select()
        validity, highest = answer.code("UIDVALIDITY"), answer.code("HIGHESTMODSEQ")
        assert validity is not None
        assert highest is not None
        assert not session.faults, session.faults
        return Point(int(validity), int(highest), session.picture())


def resynchronized(port: int, user: str, folder: str, since: Point) -> Point:
    """What is known at an earlier point and told by QRESYNC since."""
    with Watching(port, user, folder, ["QRESYNC"]) as session:
        known = dict(since.shown)
        answer = session.ok(f"SELECT {folder} (QRESYNC ({since.validity} {since.highest}))")
        for line in answer.lines:
            vanished, uid, flags, modseq = _VANISHED.match(line), _UID.search(line), _FLAGS.search(line), _MODSEQ.search(line)
            if vanished is not None:
                for gone in members(vanished[2].decode()):
                    known.pop(gone, None)
            elif b" FETCH " in line and uid is not None and flags is not None and modseq is not None:
                known[int(uid[1])] = (frozenset(flags[1].decode().split()) - {"\\Recent"}, int(modseq[1]))
        highest = answer.code("HIGHESTMODSEQ")
        assert highest is not None
        return Point(since.validity, int(highest), known)
