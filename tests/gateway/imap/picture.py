"""What an IMAP client believes of a folder, made of untagged responses alone, and the rules that such responses have to keep."""

from __future__ import annotations

import re
from dataclasses import dataclass

FETCH = re.compile(rb"\* (\d+) (UID)?FETCH \((.*)\)\Z", re.DOTALL)
UID = re.compile(rb"(?:\A|[ (])UID (\d+)")
FLAGS = re.compile(rb"(?:\A|[ (])FLAGS \(([^)]*)\)")
MODSEQ = re.compile(rb"(?:\A|[ (])MODSEQ \((\d+)\)")
COUNT = re.compile(rb"\* (\d+) (EXISTS|RECENT|EXPUNGE)\Z")
VANISHED = re.compile(rb"\* VANISHED( \(EARLIER\))? ([\d:,]+)\Z")
HIGHEST = re.compile(rb"\[HIGHESTMODSEQ (\d+)\]")
PERMANENT = re.compile(rb"\[PERMANENTFLAGS \(([^)]*)\)\]")
VALIDITY = re.compile(rb"\[UIDVALIDITY (\d+)\]")
FIGURES = re.compile(rb'\* STATUS (?:"([^"]*)"|(\S+)) \(([^()]*)\)\Z')
LISTED = re.compile(rb'\* LIST \(([^)]*)\) "/" (?:"([^"]*)"|(\S+))(?: \("OLDNAME" \((?:"([^"]*)"|(\S+))\)\))?\Z')


@dataclass(slots=True)
class Slot:
    """One message as the client knows it; None: it was not told yet."""

    uid: int | None = None
    flags: frozenset[str] | None = None
    modseq: int | None = None


def numbers_of(text: bytes) -> list[int]:
    """A sequence set without `*`, counted out."""
    found: list[int] = []
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        found.extend(range(int(low), int(high or low) + 1))
    return found


def flags_of(text: bytes) -> frozenset[str]:
    """Without \\Recent, which is each session's own."""
    return frozenset(one for one in text.decode().split() if one != "\\Recent")


class Picture:
    """Slots by message number. Every response is checked against what RFC 3501 section 7.4.1 and RFC 7162 section 3.2 let a server say."""

    def __init__(self, *, modseqs: bool, vanishes: bool, uid_only: bool = False) -> None:
        self.slots: list[Slot] = []
        """Where there are no numbers (RFC 9586): those known by UID first, ascending, then those that were only counted."""
        self.uid_only = uid_only
        self.deaf = False
        """Not told of everything: what it is told says nothing of what else there was."""
        self.modseqs = modseqs
        self.vanishes = vanishes
        self.validity = 0
        self.permanent: frozenset[str] = frozenset()
        self.read_only = False
        self.highest = 0
        """Up to where the client needs to ask no more when it comes back."""
        self.earlier: list[int] = []
        """What VANISHED (EARLIER) named, for who asked for it."""
        self.renewed: dict[int, tuple[int, Slot]] = {}
        """By UID: number and slot, as SELECT (QRESYNC ...) tells them."""
        self._told: int | None = None
        self._named: int | None = None

    @property
    def uids(self) -> list[int | None]:
        return [slot.uid for slot in self.slots]

    def begin(self) -> None:
        """A command is sent."""
        self.earlier = []
        self.renewed = {}

    def hear(self, line: bytes, *, numbers_kept: bool = False, selecting: bool = False) -> None:
        """One untagged response. `numbers_kept`: to FETCH, STORE or SEARCH, while which no number may change."""
        if counted := COUNT.match(line):
            number, kind = int(counted[1]), counted[2]
            if kind == b"EXISTS":
                assert selecting or number >= len(self.slots), f"EXISTS shrinks {len(self.slots)} to {number}"
                self.slots.extend(Slot() for _ in range(number - len(self.slots)))
            elif kind == b"EXPUNGE":
                assert not numbers_kept, f"{line!r} while numbers are in use"
                assert not self.vanishes, f"{line!r} where VANISHED was asked for"
                assert 1 <= number <= len(self.slots), f"{line!r} of {len(self.slots)}"
                del self.slots[number - 1]
        elif found := VANISHED.match(line):
            assert self.vanishes, f"{line!r} without QRESYNC"
            if found[1]:
                self.earlier.extend(numbers_of(found[2]))
                return
            assert not numbers_kept, f"{line!r} while numbers are in use"
            for uid in numbers_of(found[2]):
                self._vanish(uid)
        elif found := FETCH.match(line):
            assert bool(found[2]) is self.uid_only, line
            if self.uid_only:
                self._fetched_by_uid(int(found[1]), found[3], selecting=selecting)
            else:
                self._fetched(int(found[1]), found[3], by_uid=selecting)
        else:
            self.hear_code(line)

    def hear_code(self, line: bytes) -> None:
        """The response code of a status response, tagged or not."""
        if found := HIGHEST.search(line):
            self._named = int(found[1])
        if found := PERMANENT.search(line):
            self.permanent = flags_of(found[1])
        if found := VALIDITY.search(line):
            self.validity = int(found[1])
        if b"[READ-ONLY]" in line:
            self.read_only = True
        if b"[READ-WRITE]" in line:
            self.read_only = False

    def settled(self) -> None:
        """The tagged answer came: up to where is everything known? What the server names counts, else the highest that was told."""
        if self._named is not None:
            assert self._named >= self.highest, f"HIGHESTMODSEQ goes back from {self.highest} to {self._named}"
            self.highest = self._named
        elif self._told is not None and not self.deaf:
            self.highest = max(self.highest, self._told)
        self._named = self._told = None

    def _vanish(self, uid: int) -> None:
        for place, slot in enumerate(self.slots):
            if slot.uid == uid:
                del self.slots[place]
                return
        if self.uid_only:
            assert self.slots, f"VANISHED {uid} of none"
            assert self.slots[-1].uid is None, f"VANISHED {uid}, of which the client was never told: {self.uids}"
            del self.slots[-1]
            return
        below = max((at for at, slot in enumerate(self.slots) if slot.uid is not None and slot.uid < uid), default=-1)
        above = min((at for at, slot in enumerate(self.slots) if slot.uid is not None and slot.uid > uid), default=len(self.slots))
        assert below + 1 < above, f"VANISHED {uid}, of which the client was never told: {self.uids}"
        del self.slots[below + 1]

    def _fetched(self, number: int, items: bytes, *, by_uid: bool) -> None:
        assert 1 <= number <= len(self.slots), f"FETCH {number} of {len(self.slots)}"
        slot = Slot() if by_uid else self.slots[number - 1]
        if uid := UID.search(items):
            if by_uid:
                self.renewed[int(uid[1])] = number, slot
            assert slot.uid in (None, int(uid[1])), f"number {number} was UID {slot.uid}, is {int(uid[1])}"
            slot.uid = int(uid[1])
            known = [one.uid for one in self.slots if one.uid is not None]
            assert known == sorted(set(known)), f"UIDs do not ascend: {known}"
        self._items(slot, items)

    def _fetched_by_uid(self, uid: int, items: bytes, *, selecting: bool) -> None:
        slot = next((one for one in self.slots if one.uid == uid), None)
        if selecting:
            slot = Slot(uid)
            self.renewed[uid] = 0, slot
        elif slot is None:
            slot = next((one for one in self.slots if one.uid is None), None)
            assert slot is not None, f"UIDFETCH {uid} of {self.uids}"
            slot.uid = uid
            self.slots.sort(key=lambda one: (one.uid is None, one.uid))
        found = UID.search(items)
        assert found is None or int(found[1]) == uid
        self._items(slot, items)

    def _items(self, slot: Slot, items: bytes) -> None:
        if flags := FLAGS.search(items):
            slot.flags = flags_of(flags[1])
        if modseq := MODSEQ.search(items):
            assert self.modseqs, f"MODSEQ was not asked for: {items!r}"
            # With the flags or without: what was told before is of an earlier moment.
            assert slot.modseq is None or int(modseq[1]) >= slot.modseq, f"MODSEQ of {slot} goes back to {modseq[1]!r}"
            slot.modseq = int(modseq[1])
            self._told = max(self._told or 0, slot.modseq)
