"""What does this client believe about the selected folder, and what has it to be told?

A FolderState is what the process knows of one folder, shared by all its sessions; a View is what one client was told of it.
Message numbers exist only in views: they are places in an ascending array of UIDs.
"""

from __future__ import annotations  # array[int] is no expression before Python 3.12

from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import compress, islice
from typing import NamedTuple

from gateway.imap.grammar.numbers import STAR, SequenceSet
from gateway.imap.responses import Exists, Fetched, Flags, Recent, Response, expunged, spell_list
from gateway.imap.responses import vanished as vanished_responses

# Changes kept for views that have not heard of them; a view that is further behind compares the arrays instead. So a log longer than
# these is worth nothing: as many are kept as there are messages, between the two.
LOG_LEAST = 256
LOG_LIMIT = 65536
TOGETHER = 128
"""Changed messages told in one piece, in some 0.1 ms."""
SPELLED = 1024
"""Sets of flags of a folder that are kept as they are written."""
ANSWERS = 4
"""Answers to searches for flags that are kept of a folder as it is."""
LONGEST_QUESTION = 512
"""Characters of a question, as Python writes it, to which the answer is kept."""

_CHANGE, _SPELLED, _QUESTION = 200, 200, 4096
"""Octets that a change in the log takes besides its UIDs, and a set of flags that is spelled; measured. And the longest question."""

Span = tuple[int, int]
"""Places low..high of a view, high excluded, counted from 0: message numbers low+1..high."""


class BadSequence(Exception):
    """A message number that no message has: BAD (RFC 3501 section 9, "seq-number")."""


class _Change(NamedTuple):
    """Messages whose flags changed, in one deed."""

    modseq: int
    uids: array[int]


class FolderState:
    """What this process knows of a folder: UIDs, flags and mod-sequences as arrays side by side, and the modseq they stand for.

    Appends extend the arrays in place, so that views share them; an expunge makes new arrays, a new generation, and leaves the old
    UIDs to the views that still number by them. `names[bit]` is the flag that a bit stands for: system flags first, then keywords.
    `unclaimed`: the first UID that no session was told of as \\Recent. `read_at`: the moment of the last look (store/moved.py).

    Nothing here is raised or lost by hearing of a change twice: what `modseq` covers is left alone by who calls.
    """

    __slots__ = (
        "__weakref__",
        "_answered_at",
        "_answered_octets",
        "_answers",
        "_log",
        "_log_first",
        "_logged",
        "_newest",
        "_spelled",
        "flags",
        "generation",
        "modseq",
        "modseqs",
        "names",
        "read_at",
        "uids",
        "unclaimed",
    )

    def __init__(
        self,
        uids: Iterable[int] = (),
        flags: Iterable[int] = (),
        modseqs: Iterable[int] = (),
        *,
        modseq: int = 0,
        names: Sequence[bytes] = (b"\\Seen", b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Draft"),
        unclaimed: int = 1,
    ) -> None:
        self.uids = array("I", uids)
        self.flags = array("Q", flags)
        self.modseqs = array("Q", modseqs)
        if not len(self.uids) == len(self.flags) == len(self.modseqs):
            raise ValueError("UIDs, flags and mod-sequences of different length")
        self.modseq = modseq
        self._newest = self.uids[-1] if self.uids else 0
        self.generation = 0
        self.names = tuple(names)
        self.unclaimed = unclaimed
        self.read_at = 0
        self._log: deque[_Change] | None = None
        self._log_first = 0
        self._logged = 0
        self._spelled: dict[int, bytes] = {}
        self._answers: dict[Hashable, bytes] | None = None
        self._answered_at = self._answered_octets = 0

    def __len__(self) -> int:
        return len(self.uids)

    @property
    def octets(self) -> int:
        """Memory it takes, roughly; for the bound on all states together."""
        changes = 4 * self._logged + _CHANGE * len(self._log or ())
        return 20 * len(self.uids) + changes + _SPELLED * len(self._spelled) + self._answered_octets

    @property
    def log_end(self) -> int:
        """The place in the log behind its last change."""
        return self._log_first + len(self._log or ())

    def index(self, uid: int) -> int | None:
        """Where this message stands in the arrays, None if it is gone."""
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None

    def answer(self, question: Hashable) -> bytes | None:
        """What was answered to it of the folder as it is now; None: it has to be found."""
        return self._answers.get(question) if self._answers is not None and self._answered_at == self.modseq else None

    def answered(self, question: Hashable, answer: bytes) -> None:
        """To be said again to whoever asks before anything has changed; unless the question is a long one, which nobody asks again."""
        if len(repr(question)) > LONGEST_QUESTION:
            return
        if self._answers is None or self._answered_at != self.modseq or len(self._answers) >= ANSWERS:
            self._answers, self._answered_at, self._answered_octets = {}, self.modseq, 0
        self._answers[question] = answer
        self._answered_octets += _QUESTION + len(answer)

    def claimed_since(self, uid: int) -> int:
        """How many messages from this UID on some session was told of as \\Recent."""
        return max(0, bisect_left(self.uids, self.unclaimed) - bisect_left(self.uids, uid))

    def append(self, uids: Sequence[int], flags: Sequence[int], modseqs: Sequence[int]) -> None:
        """New messages, UIDs ascending and above all before. Raises ValueError otherwise."""
        fresh = array("I", uids)
        before = self._newest
        if not len(fresh) == len(flags) == len(modseqs) or any(high <= low for low, high in zip((before, *fresh[:-1]), fresh, strict=True)):
            raise ValueError("UIDs have to ascend, each with flags and a mod-sequence")
        if fresh:
            self._newest = fresh[-1]
        self.uids.extend(fresh)
        self.flags.extend(array("Q", flags))
        self.modseqs.extend(array("Q", modseqs))
        self.modseq = max(self.modseq, *modseqs) if modseqs else self.modseq

    def change(self, uids: Sequence[int], flags: Sequence[int], modseq: int) -> None:
        """The flags these messages have from `modseq` on; one call per deed. Messages that are gone are passed over."""
        touched = array("I")
        for uid, value in zip(uids, flags, strict=True):
            at = self.index(uid)
            if at is not None:
                self.flags[at] = value
                self.modseqs[at] = modseq
                touched.append(uid)
        self._have_changed(touched, modseq)

    def change_within(self, spans: Iterable[Span], keep: int, added: int, modseq: int) -> None:
        """The messages at these places have (flags & keep) | added from `modseq` on; those that have that already are left as they are."""
        touched = array("I")
        for first, end in spans:
            if end - first == 1:
                bits = self.flags[first]
                after = (bits & keep) | added
                if after != bits:
                    self.flags[first] = after
                    self.modseqs[first] = modseq
                    touched.append(self.uids[first])
                continue
            before = self.flags[first:end]
            # Few sets of flags are different.
            become = {bits: (bits & keep) | added for bits in set(before)}
            same = [bits for bits, after in become.items() if after == bits]
            if not same:
                alike = len(become) == 1
                self.flags[first:end] = array("Q", become.values()) * len(before) if alike else array("Q", map(become.__getitem__, before))
                self.modseqs[first:end] = array("Q", (modseq,)) * len(before)
                touched.extend(self.uids[first:end])
            elif len(same) < len(become):
                for at, bits in enumerate(before, first):
                    if bits not in same:
                        self.flags[at] = become[bits]
                        self.modseqs[at] = modseq
                        touched.append(self.uids[at])
        self._have_changed(touched, modseq)

    def _have_changed(self, touched: array[int], modseq: int) -> None:
        self.modseq = max(self.modseq, modseq)
        if touched:
            # A deque is 760 octets, and in most folders nothing changes while it is followed.
            log = self._log = deque() if self._log is None else self._log
            log.append(_Change(modseq, touched))
            self._logged += len(touched)
            most = min(max(LOG_LEAST, len(self.uids)), LOG_LIMIT)
            while self._logged > most or len(log) > most:
                self._logged -= len(log.popleft().uids)
                self._log_first += 1

    def expunge(self, uids: Iterable[int], modseq: int) -> None:
        """These messages are gone from `modseq` on. Messages that were gone before are passed over."""
        going = set(uids)
        if len(going) * 8 > len(self.uids):
            places = [at for at, uid in enumerate(self.uids) if uid in going]
        else:
            places = sorted(at for at in map(self.index, going) if at is not None)
        self.modseq = max(self.modseq, modseq)
        if not places:
            return
        self.uids = _without(self.uids, places)
        self.flags = _without(self.flags, places)
        self.modseqs = _without(self.modseqs, places)
        self.generation += 1

    def learn(self, names: Sequence[bytes]) -> None:
        """The folder's flag names by bit, when keywords were added to them."""
        if tuple(names) != self.names:
            self.names = tuple(names)
            self._spelled.clear()

    def changed_since(self, place: int) -> Iterator[tuple[int, array[int]]] | None:
        """(modseq, UIDs) of each change of flags from this place in the log on; None if the log no longer goes back so far."""
        if place < self._log_first:
            return None
        # From the right: what is new is short, and a deque is slow in its middle. In whatever order: the last flags count.
        return islice(reversed(self._log or ()), self.log_end - place)

    def one_since(self, place: int) -> int | None:
        """The modseq of the one change of flags since this place in the log; None: there are none, or several."""
        return self._log[-1].modseq if self._log and place == self.log_end - 1 else None

    def spell_flags(self, flags: int, *, recent: bool = False) -> bytes:
        """`FLAGS (...)` for a set of bits."""
        key = flags << 1 | recent
        spelled = self._spelled.get(key)
        if spelled is None:
            chosen = [name for bit, name in enumerate(self.names) if flags >> bit & 1]
            spelled = b"FLAGS " + spell_list([*chosen, b"\\Recent"] if recent else chosen)
            if len(self._spelled) >= SPELLED:
                self._spelled.clear()
            self._spelled[key] = spelled
        return spelled


def _without(values: array[int], places: Sequence[int]) -> array[int]:
    """A copy without these places (ascending): of what is left one by one where they are many, else of the runs between them."""
    if places[-1] - places[0] == len(places) - 1:
        return values[: places[0]] + values[places[-1] + 1 :]
    if len(places) * 16 > len(values):
        stays = bytearray(b"\1") * len(values)
        for place in places:
            stays[place] = 0
        return array(values.typecode, compress(values, stays))
    kept = array(values.typecode)
    start = 0
    for place in places:
        if place > start:
            kept.extend(values[start:place])
        start = place + 1
    kept.extend(values[start:])
    return kept


class View:
    """What one client was told of a folder.

    `uids[:exists]` are its messages in order. While nothing was expunged behind its back the array is the state's own; it has one
    of its own only from the moment it must tell of new messages before it may tell of expunged ones.

    `fresh`: from this place on the messages are those that the last announcement brought.
    `claims`: a read-write SELECT takes \\Recent away from later sessions, EXAMINE does not. `modseq`: everything up to it was told, so
    that a client that comes back with it misses nothing (RFC 7162 section 3.2: not what is above an EXPUNGE that is held back).
    `flags_told`: what the last FLAGS said.
    `tells_recent`: False for a client of IMAP4rev2, which has no \\Recent; for others the messages are recent no more all the same.
    """

    __slots__ = (
        "_place", "_recent", "_saved", "_told", "claims", "exists", "flags_told", "fresh", "modseq", "state", "tells_recent", "uids",
    )  # fmt: skip

    def __init__(self, state: FolderState, *, claims: bool = True, tells_recent: bool = True) -> None:
        self.state = state
        self.claims = claims
        self.tells_recent = tells_recent
        self.uids = state.uids
        self.exists = self.fresh = len(state.uids)
        self.modseq = state.modseq
        self._place = state.log_end
        self._told: set[int] | None = None
        self._saved: Sequence[tuple[int, int]] = ()
        self.flags_told = state.names
        self._recent: list[Span] | None = None
        self._claim(0)

    # What the client believes.

    def uid(self, number: int) -> int:
        """The UID of a message number. Raises BadSequence."""
        if not 1 <= number <= self.exists:
            raise BadSequence("no message has this number")
        return self.uids[number - 1]

    def number(self, uid: int) -> int | None:
        """The message number of a UID, None if the client was not told of it."""
        at = bisect_left(self.uids, uid, 0, self.exists)
        return at + 1 if at < self.exists and self.uids[at] == uid else None

    def numbered(self, uids: Sequence[int]) -> list[tuple[int, int]]:
        """(message number, UID) of those ascending UIDs that the client was told of."""
        exists = self.exists
        if not exists or not uids:
            return []
        first, last = self.uids[0], self.uids[exists - 1]
        if last - first + 1 == exists:
            return [(uid - first + 1, uid) for uid in uids if first <= uid <= last]
        if len(uids) * 16 < exists:
            return [(number, uid) for uid in uids if (number := self.number(uid)) is not None]
        numbers = dict(zip(self.uids[:exists], range(1, exists + 1), strict=True))
        return [(numbers[uid], uid) for uid in uids if uid in numbers]

    def named(self, uids: Sequence[int], *, by_uid: bool) -> list[int]:
        """The numbers, or UIDs, of those of these messages (ascending UIDs) that the client was told of."""
        if not self.exists or not uids:
            return []
        first, last = self.uids[0], self.uids[self.exists - 1]
        if last - first + 1 == self.exists:
            # Nothing is missing between them.
            below = 0 if by_uid else first - 1
            return [uid - below for uid in uids if first <= uid <= last]
        names: Sequence[int] = self.uids[: self.exists] if by_uid else range(1, self.exists + 1)
        if len(uids) * 16 < self.exists:
            known = ((bisect_left(self.uids, uid, 0, self.exists), uid) for uid in uids)
            return [names[at] for at, uid in known if at < self.exists and self.uids[at] == uid]
        return list(compress(names, map(frozenset(uids).__contains__, self.uids[: self.exists])))

    @property
    def current(self) -> bool:
        """True while places in this view are places in the state's arrays: flags may be sliced like UIDs."""
        return self.uids is self.state.uids

    def places(self, low: int, high: int) -> Sequence[int | None]:
        """Where the messages of a span stand in the state's arrays, None for those that are gone."""
        return range(low, high) if self.current else [self.state.index(uid) for uid in self.uids[low:high]]

    def spans(self, messages: SequenceSet, *, by_uid: bool, lenient: bool = False) -> list[Span]:
        """The places of a sequence set, ascending, merged; the cost follows the members and the answer, not the numbers named.

        RFC 3501 section 6.4.8 and 9: `*` is the last message, `4:*` contains it even when it is below 4; UIDs that are not there are
        passed over; a message number that is not there is BAD: raises BadSequence unless `lenient` (in SEARCH it matches nothing).
        `$` is never BAD: it is what was saved and is still there (RFC 5182 section 2.1).
        """
        exists = self.exists
        wanted: list[Span] = []
        if not messages.slices:
            found = ((bisect_left(self.uids, low, 0, exists), bisect_right(self.uids, high, 0, exists)) for low, high in self._saved)
            return _merged([span for span in found if span[0] < span[1]])
        if by_uid:
            uids = self.uids
            last = uids[exists - 1] if exists else 0
            for low, high in messages.slices:
                if low == STAR or high == STAR:
                    if not exists:
                        continue
                    low, high = low or last, high or last
                if low > high:
                    low, high = high, low
                begin = bisect_left(uids, low, 0, exists)
                end = bisect_right(uids, high, begin, exists)
                if begin < end:
                    wanted.append((begin, end))
        else:
            for low, high in messages.slices:
                low, high = low or exists, high or exists
                if low > high:
                    low, high = high, low
                if high > exists or not low:
                    if not lenient:
                        raise BadSequence("no message has this number")
                    high = min(high, exists)
                if 0 < low <= high:
                    wanted.append((low - 1, high))
        return _merged(wanted)

    def save(self, uids: Sequence[int]) -> None:
        """`$` means these messages from now on (RFC 5182): ascending, all of them told of. What is expunged leaves it."""
        saved: list[tuple[int, int]] = []
        following = -1
        for uid in uids:
            at = bisect_left(self.uids, uid, 0, self.exists)
            if saved and at == following:
                saved[-1] = (saved[-1][0], uid)
            else:
                saved.append((uid, uid))
            following = at + 1
        self._saved = saved

    def go_on(self, before: View) -> None:
        """This view takes the place of one on another state of the folder; what changed since is told by mod-sequences, as to a view
        that is behind the log, and what came or went as ever."""
        if before.uids[: before.exists] != self.uids[: self.exists]:
            self.uids = before.uids[: before.exists]
            self.exists = before.exists
        self.claims = before.claims
        self.modseq = before.modseq
        self._place = -1
        self.tells_recent = before.tells_recent
        self._told = before._told
        self.flags_told = before.flags_told
        self._recent = before._recent
        self._saved = before._saved
        self.fresh = self.exists

    def resolve(self, messages: SequenceSet, *, by_uid: bool, lenient: bool = False) -> array[int]:
        """The UIDs of a sequence set, ascending, each once. Raises BadSequence as `spans` does."""
        found = array("I")
        for low, high in self.spans(messages, by_uid=by_uid, lenient=lenient):
            found.extend(self.uids[low:high])
        return found

    def changed(self, spans: Iterable[Span], modseq: int) -> list[Span]:
        """Of these places those whose message has a higher mod-sequence (RFC 7162 section 3.1.4.1), ascending; what is gone has none."""
        modseqs = self.state.modseqs
        found: list[Span] = []
        for low, high in spans:
            if self.current:
                hits: Iterable[int] = [place for place, one in enumerate(modseqs[low:high], low) if one > modseq]
            else:
                places = enumerate(self.places(low, high), low)
                hits = [place for place, at in places if at is not None and modseqs[at] > modseq]
            for place in hits:
                if found and found[-1][1] == place:
                    found[-1] = (found[-1][0], place + 1)
                else:
                    found.append((place, place + 1))
        return found

    def unknown(self, runs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Runs of UIDs, both ends included, without the UIDs that the client believes in; ascending where the runs are."""
        uids, exists = self.uids, self.exists
        found: list[tuple[int, int]] = []
        for low, high in runs:
            at = bisect_left(uids, low, 0, exists)
            while at < exists and uids[at] <= high:
                if low < uids[at]:
                    found.append((low, uids[at] - 1))
                low = uids[at] + 1
                at += 1
            if low <= high:
                found.append((low, high))
        return found

    def is_recent(self, uid: int) -> bool:
        """Was this session the first to be told of the message (RFC 3501 section 2.3.2)?"""
        if self.tells_recent and self._recent:
            for low, high in self._recent:
                if low <= uid < high:
                    return True
        return False

    def all_recent(self, low: int, high: int) -> bool | None:
        """Are all messages of these places \\Recent, or none of them? None: some are."""
        uids = self.uids
        spans = self._recent or () if self.tells_recent else ()
        count = sum(bisect_left(uids, end, low, high) - bisect_left(uids, begin, low, high) for begin, end in spans)
        return None if 0 < count < high - low else bool(count)

    @property
    def has_claimed(self) -> bool:
        """Are there messages of which no later session is to be told as \\Recent?"""
        return self.claims and bool(self._recent)

    @property
    def recent(self) -> int:
        """How many messages are \\Recent in this session."""
        if not self.tells_recent or not self._recent:
            return 0
        return sum(bisect_left(self.uids, high, 0, self.exists) - bisect_left(self.uids, low, 0, self.exists) for low, high in self._recent)

    def _claim(self, told: int) -> int:
        """Messages from place `told` on are new to this client: which of them are recent? How many that is."""
        state = self.state
        if told >= self.exists:
            return 0
        low = max(state.unclaimed, self.uids[told])
        high = self.uids[self.exists - 1] + 1
        if low >= high:
            return 0
        if self.claims:
            state.unclaimed = high
        if not self._recent:
            self._recent = [(low, high)]
        elif self._recent[-1][1] == low:
            self._recent[-1] = (self._recent[-1][0], high)
        else:
            self._recent.append((low, high))
        return self.exists - bisect_left(self.uids, low, 0, self.exists)

    # What it has to be told.

    @property
    def pending(self) -> bool:
        """Is there anything to announce?"""
        state = self.state
        return self._place != state.log_end or not self.current or self.exists != len(state.uids) or self.flags_told is not state.names

    @property
    def withholds(self) -> bool:
        """Were messages expunged that the client still believes in?"""
        if self.current:
            return False
        alive = self.state.uids
        return bool(self.exists) and bisect_right(alive, self.uids[self.exists - 1]) < self.exists

    @property
    def counted(self) -> int:
        """Up to this mod-sequence it was told which messages there are, whatever it was told of their flags."""
        state = self.state
        return state.modseq if self.exists == len(state.uids) and not self.withholds else self.modseq

    def told(self, modseq: int) -> None:
        """The client knows which flags the messages have that this deed changed: it did so itself, and was answered or knew them before."""
        state = self.state
        if state.one_since(self._place) == modseq == state.modseq and self.exists == len(state.uids) and self.current:
            # Nothing else is to be told.
            self._place, self.modseq = state.log_end, modseq
            return
        if self._told is None:
            self._told = set()
        self._told.add(modseq)

    def new_flags(self) -> list[Response]:
        """FLAGS, if keywords were added that the client was not told of: to be said before a FETCH names them (RFC 3501 section
        7.2.6)."""
        names = self.state.names
        if self.flags_told is names or self.flags_told == names:
            return []
        self.flags_told = names
        return [Flags(names)]

    def gone(self) -> list[int]:
        """UIDs that the client believes in and that were expunged, ascending."""
        return [self.uids[place] for place in self._lost()]

    def _lost(self) -> list[int]:
        """The places of these, ascending."""
        if self.current:
            return []
        mine, alive, exists = self.uids, self.state.uids, self.exists
        kept = bisect_right(alive, mine[exists - 1]) if exists else 0
        lost = exists - kept
        if lost * 16 > exists:
            remaining = frozenset(alive)
            return [place for place, uid in enumerate(mine[:exists]) if uid not in remaining]
        # What is alive is a part of what was told, in the same order: behind the first that is gone, every place differs. So each
        # of the few that are gone is found by halving.
        found: list[int] = []
        place = 0
        while len(found) < lost:
            place = _first_difference(mine, alive, place, kept + len(found), len(found))
            found.append(place)
            place += 1
        return found

    def announce(
        self,
        *,
        expunge_allowed: bool,
        vanished: bool = False,
        flags_item: Callable[[int, int, int, bool], bytes] | None = None,
        uid_only: bool = False,
        messages: bool = True,
        flags: bool = True,
    ) -> Iterator[Response]:
        """What happened since the client was last told, as responses in an order in which every number is right: EXPUNGE from the
        highest number down, then EXISTS and RECENT, then FLAGS if keywords were added, then FETCH with the flags that changed.

        RFC 3501 section 7.4.1: no EXPUNGE while a command runs whose answer names message numbers (`expunge_allowed` False); what
        is held back is told later, and what is new meanwhile is told all the same. `vanished`: one VANISHED instead of EXPUNGEs
        (RFC 7162 section 3.2.10). `flags_item(uid, flags, modseq, recent)`: what a FETCH contains, when more is wanted than FLAGS.
        `uid_only`: UIDFETCH instead of FETCH (RFC 9586 section 3.6). `messages`, `flags`: whether the client wants to hear of new
        messages, and of changed flags (RFC 5465 section 3.1); what it does not hear of is told when it does again.

        All of it has to be taken; between two responses the folder may change: what happens then is told next time, or now and
        then again.
        """
        state = self.state
        modseq = state.modseq
        self.fresh = self.exists
        if not self.pending:
            self.modseq = modseq
            return
        changed = self._changed_uids() if flags else []
        # Behind the log: what changes unheard is found by its mod-sequence when it is asked for again.
        self._place = state.log_end if flags else -1
        self._told = None
        if not self.current and expunge_allowed:
            yield from self._expunge(vanished=vanished)
        before = self.fresh = self.exists
        if messages:
            self._grow()
        if self.exists != before:
            exists = self.exists
            is_new = self._claim(before) and self.tells_recent
            yield Exists(exists)
            if is_new:
                yield Recent(self.recent)
        yield from self.new_flags()
        self.flags_told = state.names
        for start in range(0, len(changed), TOGETHER):
            lines: list[tuple[int, bytes]] = []
            for uid in changed[start : start + TOGETHER]:
                at = state.index(uid)
                number = self.number(uid) if at is None or self.uids is not state.uids else at + 1
                # What is new is fetched by the client anyway; what is gone has no flags.
                if number is None or number > before or at is None:
                    continue
                bits, recent = state.flags[at], self.is_recent(uid) if self._recent else False
                items = state.spell_flags(bits, recent=recent) if flags_item is None else flags_item(uid, bits, state.modseqs[at], recent)
                lines.append((uid if uid_only else number, items))
            if lines:
                # What these name, and others may have come while the last ones went.
                yield from self.new_flags()
                yield Fetched(lines, uid_only)
        if flags and (messages or self.exists == len(self.uids)) and not self.withholds:
            self.modseq = modseq

    def _changed_uids(self) -> list[int]:
        state = self.state
        told = self._told or ()
        changes = state.changed_since(self._place)
        if changes is None:
            return [uid for uid, modseq in zip(state.uids, state.modseqs, strict=True) if modseq > self.modseq and modseq not in told]
        found: set[int] = set()
        for modseq, uids in changes:
            if modseq not in told:
                found.update(uids)
        return sorted(found)

    def _expunge(self, *, vanished: bool) -> Sequence[Response]:
        places = self._lost()
        lost = [self.uids[place] for place in places] if vanished else []
        self.exists -= len(places)
        # All that is left of what the client knows is the beginning of the state's array: new UIDs are above all old ones.
        self.uids = self.state.uids
        if self._recent:
            # Two sessions that take turns in being told first have a span for each turn: those of which nothing is left must go.
            self._recent = [(low, high) for low, high in self._recent if self._holds(low, high)]
        if vanished:
            return vanished_responses(neighbours(lost))
        return expunged([place + 1 for place in reversed(places)])

    def _holds(self, low: int, high: int) -> bool:
        """Does the client believe in any of these UIDs, `high` excluded?"""
        at = bisect_left(self.uids, low, 0, self.exists)
        return at < self.exists and self.uids[at] < high

    def _grow(self) -> None:
        state_uids = self.state.uids
        if self.current:
            self.exists = len(state_uids)
            return
        newest = self.uids[self.exists - 1] if self.exists else 0
        first = bisect_right(state_uids, newest)
        if first < len(state_uids):
            mine = self.uids[: self.exists]
            mine.extend(state_uids[first:])
            self.uids = mine
            self.exists = len(mine)


def neighbours(uids: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending UIDs as runs of neighbours."""
    found: list[tuple[int, int]] = []
    for uid in uids:
        if found and found[-1][1] == uid - 1:
            found[-1] = (found[-1][0], uid)
        else:
            found.append((uid, uid))
    return found


def _first_difference(mine: array[int], alive: array[int], low: int, high: int, shift: int) -> int:
    """The first place from `low` on where `mine` is not `alive` moved by `shift`; `high` if there is none."""
    while low < high:
        middle = (low + high) // 2
        if mine[middle] != alive[middle - shift]:
            high = middle
        else:
            low = middle + 1
    return low


def overlap(left: Sequence[Span], right: Sequence[Span]) -> list[Span]:
    """The places that are in both; each ascending and merged."""
    found: list[Span] = []
    here = there = 0
    while here < len(left) and there < len(right):
        low, high = max(left[here][0], right[there][0]), min(left[here][1], right[there][1])
        if low < high:
            found.append((low, high))
        if left[here][1] < right[there][1]:
            here += 1
        else:
            there += 1
    return found


def _merged(spans: list[Span]) -> list[Span]:
    """Overlapping and touching spans joined, ascending."""
    if len(spans) < 2:
        return spans
    spans.sort()
    merged = [spans[0]]
    for low, high in spans[1:]:
        last_low, last_high = merged[-1]
        if low <= last_high:
            if high > last_high:
                merged[-1] = (last_low, high)
        else:
            merged.append((low, high))
    return merged
