"""Several clients on the same two folders, and one naive model: whatever happens in whatever order, each client's picture comes out right.

Each client knows only what untagged responses told it (picture.py). The model is a dictionary by UID. The store is read after every deed
and has to be the model; every client that is up to date has to have the store's picture, to the flag and to the mod-sequence; a client that
comes back with what it knew (QRESYNC, CONDSTORE) has to end up with it too.

`PROCURA_MODEL_EXAMPLES` and `PROCURA_MODEL_STEPS` make it long (random then, not the same each time); with `PROCURA_MODEL_SHRINK` what
fails is made as short as it gets, which takes its time.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import sys
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from gateway.imap import view
from gateway.imap.handlers import watching
from policy.identity import AccountId, FolderId
from store import changes as log
from store import folders as stored
from store import messages
from store.flags import ChangeFlags, FlagMode
from store.model import Flag
from tests.gateway.imap.handlers.house import Client, House, Said, housed, message
from tests.gateway.imap.picture import COUNT, FETCH, FIGURES, LISTED, UID, VANISHED, Picture, Slot, numbers_of

PATIENCE = 10.0
"""Seconds until what has to be told is missed: a busy machine is no fault."""
T = TypeVar("T")

PEOPLE = ("anna", "bruno")
EVERYBODY = ""
MODES = {
    "plain": "",
    "rev2": "IMAP4rev2",
    "condstore": "CONDSTORE",
    "qresync": "QRESYNC",
    "uidonly": "UIDONLY",
    "uidonly, qresync": "UIDONLY QRESYNC",
}
MODSEQS = ("condstore", "qresync", "uidonly, qresync")
QUICK = ("qresync", "uidonly, qresync")
SYSTEM = ("\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft")
FLAGS = (*SYSTEM, "$Work", "$Junk")
RIGHTS = ("", "l", "lr", "lrs", "lrsw", "lrst", "lrwte", "lrsi", "lrste", "lrswite", "lrswite")
FETCHED = ("(FLAGS)", "(UID FLAGS RFC822.SIZE)", "BODY.PEEK[]", "BODY[TEXT]", "ENVELOPE", "(RFC822 FLAGS)")
KEYS = ("ALL", "SEEN", "UNSEEN", "DELETED", "NOT KEYWORD $Work", "KEYWORD $Work", "OR ANSWERED FLAGGED", "1:*", "1", "$")
DEEDS = ("mark", "seen", "expunge", "move", "append", "fetch", "noop")
FILTERS = ("", "personal", "inboxes", "mailboxes", "subtree")
SELECTED = ("", "selected", "selected-delayed", "selected-delayed")
NUMBERED = re.compile(r"(FETCH|STORE|SEARCH)")
LONG = int(os.environ.get("PROCURA_MODEL_EXAMPLES", "0"))
# What failed is shown with its dialogue; making it shorter takes minutes, and is done when asked for.
PHASES = (Phase.generate, Phase.shrink) if "PROCURA_MODEL_SHRINK" in os.environ else (Phase.generate,)
STEPS = int(os.environ.get("PROCURA_MODEL_STEPS", "40" if not LONG else "80"))

picks = st.lists(st.integers(0, 11), min_size=1, max_size=4)
flag_sets = st.lists(st.sampled_from(FLAGS), max_size=3, unique=True)
numbers = st.integers(0, 9)


@dataclass(slots=True)
class Kept:
    """A message as the model has it. `own`: whose own \\Seen counts where it is private."""

    flags: frozenset[str]
    own: dict[str, bool] = field(default_factory=dict)


@dataclass(slots=True)
class Truth:
    """A folder as the store shows it to one person."""

    highest: int
    uidnext: int
    messages: dict[int, tuple[frozenset[str], int]]

    @property
    def figures(self) -> dict[str, int]:
        unseen = sum("\\Seen" not in flags for flags, _ in self.messages.values())
        return {"MESSAGES": len(self.messages), "UIDNEXT": self.uidnext, "UNSEEN": unseen, "HIGHESTMODSEQ": self.highest}


@dataclass(slots=True)
class Box:
    """A folder, in the model's terms. `rights`: bruno's."""

    path: str
    id: FolderId
    private: bool
    rights: str = "lrswite"
    messages: dict[int, Kept] = field(default_factory=dict)
    truth: dict[str, Truth] = field(default_factory=dict)
    sealed: int = 0
    """UIDNEXT when bruno could last read it."""

    def plain(self, who: str) -> str:
        return self.path[1:] if who == "anna" else f"Other Users/anna{self.path}"

    def name(self, who: str) -> str:
        return f'"{self.plain(who)}"'

    def may(self, who: str, right: str) -> bool:
        return who == "anna" or right in self.rights

    def allowed(self, who: str, flag: str) -> bool:
        return self.may(who, {"\\Seen": "s", "\\Deleted": "t"}.get(flag, "w"))

    def seen_by(self, who: str, kept: Kept) -> frozenset[str]:
        if not self.private:
            return kept.flags
        seen = kept.own.get(who, "\\Seen" in kept.flags)
        return kept.flags - {"\\Seen"} | ({"\\Seen"} if seen else frozenset())

    def set(self, who: str, uid: int, flags: frozenset[str]) -> None:
        kept = self.messages[uid]
        if self.private:
            if ("\\Seen" in flags) != ("\\Seen" in self.seen_by(who, kept)):
                kept.own[who] = "\\Seen" in flags
            flags = flags - {"\\Seen"} | (kept.flags & {"\\Seen"})
        kept.flags = flags

    def add(self, who: str | None, uid: int, flags: Iterable[str]) -> None:
        wanted = frozenset(flags)
        kept = Kept(wanted - {"\\Seen"} if self.private else wanted)
        if self.private and who is not None and "\\Seen" in wanted:
            kept.own[who] = True
        assert uid > max(self.messages, default=0), "UIDs ascend"
        self.messages[uid] = kept


@dataclass(slots=True)
class Memory:
    """What a client keeps of a folder while it is away."""

    validity: int
    highest: int
    messages: dict[int, tuple[frozenset[str], int | None]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants to hear of: NOTIFY (RFC 5465). `events`: "new", "flags" of the selected folder, `beyond`: those and "name" of
    the folders of `filter`, which `names` are for. Nothing at all: NOTIFY NONE."""

    selected: str = ""
    events: frozenset[str] = frozenset()
    fetches: bool = False
    filter: str = ""
    names: tuple[str, ...] = ()
    beyond: frozenset[str] = frozenset()
    status: bool = False

    @property
    def always(self) -> bool:
        return bool(self.selected or self.filter)

    def spell(self, items: str) -> str:
        if not self.always:
            return "NOTIFY NONE"
        text = "NOTIFY SET" + " STATUS" * self.status
        if self.selected:
            text += f" ({self.selected} {self._events(self.events, f' {items}' * self.fetches)})"
        if self.filter:
            names = '" "'.join(self.names)
            text += f" ({self.filter}" + (f' ("{names}")' if names else "") + f" {self._events(self.beyond, '')})"
        return text

    @staticmethod
    def _events(events: frozenset[str], items: str) -> str:
        words = {"new": f"MessageNew{items} MessageExpunge", "flags": "FlagChange", "name": "MailboxName"}
        found = [words[one] for one in ("name", "new", "flags") if one in events]
        return f"({' '.join(found)})" if found else "NONE"


@dataclass(slots=True)
class Person:
    """One session of somebody."""

    who: str
    mode: str
    client: Client
    box: Box | None = None
    picture: Picture = field(default_factory=lambda: Picture(modseqs=False, vanishes=False))
    examined: bool = False
    idling: str | None = None
    saved: list[int] | None = None
    memories: dict[FolderId, Memory] = field(default_factory=dict)
    asked: Asked | None = None
    figures: dict[FolderId, dict[str, int]] = field(default_factory=dict)
    """Of folders beyond the selected one, as STATUS told them."""
    names: dict[str, bool] = field(default_factory=dict)
    """Is there a folder of this name, as LIST told?"""
    lost: set[FolderId] = field(default_factory=set)
    """Folders that it had to forget and may have again without being told so."""
    own: set[int] = field(default_factory=set)
    """What it put into the selected folder itself."""

    @property
    def uid_only(self) -> bool:
        return self.mode.startswith("uidonly")

    @property
    def by_uid(self) -> bool:
        """Numbers may change at any time (RFC 5465 section 6.1), or there are none."""
        return self.uid_only or self.at_once

    @property
    def at_once(self) -> bool:
        return self.asked is not None and self.asked.selected == "selected" and "new" in self.asked.events

    @property
    def always(self) -> bool:
        return self.asked is not None and self.asked.always

    @property
    def hears_messages(self) -> bool:
        return self.asked is None or "new" in self.asked.events

    @property
    def hears_flags(self) -> bool:
        return self.asked is None or "flags" in self.asked.events

    @property
    def fetches(self) -> bool:
        return self.asked is not None and self.asked.fetches and "new" in self.asked.events

    def follows(self, name: str) -> frozenset[str]:
        """The events of the folder of this name that it wants to hear of, selected or not."""
        if self.asked is None:
            return frozenset()
        match self.asked.filter:
            case "personal":
                covered = self.who == "anna"
            case "mailboxes":
                covered = name in self.asked.names
            case "subtree":
                covered = any(f"{name}/".startswith(f"{top}/") for top in self.asked.names)
            case _:
                covered = False
        return self.asked.beyond if covered else frozenset()

    @property
    def items(self) -> str:
        return "(UID FLAGS)" if self.mode not in MODSEQS else "(UID FLAGS MODSEQ)"


def picture_is_whole(person: Person) -> bool:
    """Right after SELECT everybody knows everything, whatever it wants to hear of later."""
    assert person.box is not None
    truth = person.box.truth[person.who].messages
    return [(slot.uid, slot.flags) for slot in person.picture.slots] == [(uid, flags) for uid, (flags, _) in truth.items()]


def spelled(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


class Mailboxes(RuleBasedStateMachine):
    """Bound to a house by `machine_for`."""

    runner: asyncio.Runner
    house: House
    port: int
    made = 0

    def __init__(self) -> None:
        super().__init__()
        self.boxes: list[Box] = []
        self.people: list[Person] = []
        self.mark = 0
        self.dialogue: list[str] = []
        self.named: dict[str, Box] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self.runner.run(work)
        except (AssertionError, TimeoutError) as error:
            error.add_note("\n".join(self.dialogue[-60:]))
            raise

    # --- beginning and end

    @initialize(
        modes=st.tuples(*[st.sampled_from(list(MODES))] * 3), third=st.sampled_from(PEOPLE), private=st.booleans(), count=st.integers(0, 6)
    )
    def furnish(self, modes: tuple[str, ...], third: str, private: bool, count: int) -> None:
        self.run(self._furnish(modes, third, private, count))

    async def _furnish(self, modes: tuple[str, ...], third: str, private: bool, count: int) -> None:
        type(self).made += 1
        for label in ("A", "B"):
            path = f"/{label}{type(self).made}"
            box = Box(path, await self.house.make("anna", path), private and label == "A")
            if box.private:
                await self.house.store.do(stored.SwitchFolder(box.id, seen_private=True))
            await self.house.share("anna", path, "bruno", box.rights, rfc=True)
            self.boxes.append(box)
            self._name(box)
        await self._deliver(self.boxes[0], count)
        for who, mode in zip((*PEOPLE, third), modes, strict=True):
            self.people.append(await self._arrive(who, mode))
            await self._select(self.people[-1], self.boxes[0])

    def _name(self, box: Box) -> None:
        for who in PEOPLE:
            self.named[box.plain(who)] = box

    async def _arrive(self, who: str, mode: str) -> Person:
        client = await self.house.client(self.port, who)
        if mode != "plain":
            assert (await client.do(f"ENABLE {MODES[mode]}")).ok
        return Person(who, mode, client)

    def teardown(self) -> None:
        try:
            if self.people:
                self.run(self._all_in_step())
        finally:
            for person in self.people:
                person.client.writer.close()
            for box in self.boxes:
                self.run(self.house.store.do(stored.DeleteFolder(box.id)))

    async def _all_in_step(self) -> None:
        for person in self.people:
            await self._end_idling(person)
            await self._beyond_in_step(person)
            if person.box is not None:
                await self._in_step(person)
            await self._beyond_in_step(person)

    # --- talking

    def _note(self, person: Person, side: str, line: bytes) -> None:
        self.dialogue.append(
            f"{self.people.index(person) if person in self.people else '-'} {person.who} {person.mode} {side}: {line.decode()[:300]}"
        )

    async def _say(self, person: Person, text: str, *literals: bytes) -> Said:
        await self._overhear(person)
        person.picture.begin()
        person.client._tag += 1
        tag = f"t{person.client._tag}"
        octets = text.encode()
        for literal in literals:
            octets = octets.replace(b"{}", b"{%d+}\r\n" % len(literal) + literal, 1)
        self._note(person, "C", tag.encode() + b" " + octets)
        person.client.send(tag.encode() + b" " + octets + b"\r\n")
        return await self._answered(person, tag, text)

    async def _answered(self, person: Person, tag: str, text: str) -> Said:
        kept = NUMBERED.match(text) is not None
        untagged: list[bytes] = []
        while True:
            line = await person.client.line()
            assert line, f"the connection ended at {text}: {untagged}"
            if line.startswith(tag.encode() + b" "):
                break
            untagged.append(line)
            self._note(person, "S", line)
            assert person.mode != "rev2" or (b"RECENT" not in line.upper())
            selecting = text.startswith(("SELECT", "EXAMINE"))
            if not selecting and not text.startswith(("NOTIFY", "IDLE")):
                own = text.startswith(("EXPUNGE", "UID EXPUNGE", "MOVE", "UID MOVE", "REPLACE", "UID REPLACE"))
                self._fits(person, line, own=own)
            person.picture.hear(line, numbers_kept=kept, selecting=selecting)
            self._hear_beyond(person, line, asked_for=selecting or text.startswith(("STATUS", "NOTIFY", "CLOSE", "UNSELECT")))
        self._note(person, "S", line)
        said = Said(untagged, line[len(tag) + 1 :])
        person.picture.hear_code(said.tagged)
        person.picture.settled()
        assert not said.tagged.startswith(b"BAD"), (text, said)
        assert b"internal error" not in said.tagged, (text, said)
        return said

    @staticmethod
    def _fits(person: Person, line: bytes, *, own: bool) -> None:
        """Nothing comes that was not asked for."""
        if (counted := COUNT.match(line)) and counted[2] != b"EXPUNGE":
            assert person.hears_messages, line
        elif (counted or VANISHED.match(line)) and b"EARLIER" not in line:
            assert person.hears_messages or own, line

    async def _idle(self, person: Person) -> str:
        """Who is told at any time may be told something before the server is ready for DONE."""
        return await person.client.idle(lambda line: self._outside(person, line))

    async def _overhear(self, person: Person) -> None:
        """What was said while no command ran."""
        while b"\n" in person.client.reader._buffer:  # type: ignore[attr-defined]
            self._outside(person, await person.client.line())

    def _outside(self, person: Person, line: bytes) -> None:
        self._note(person, "S", line)
        idling = person.idling is not None
        self._fits(person, line, own=False)
        if (counted := COUNT.match(line)) and counted[2] != b"EXPUNGE":
            assert person.always or idling, line
        elif counted or VANISHED.match(line):
            assert person.at_once or idling, line
        elif found := FETCH.match(line):
            assert person.always or idling, line
            assert person.hears_flags or person.fetches, line
            assert person.uid_only or not person.always or UID.search(found[3]), line
        person.picture.hear(line)
        self._hear_beyond(person, line)

    def _hear_beyond(self, person: Person, line: bytes, *, asked_for: bool = False) -> None:
        """STATUS and LIST of folders that are not selected."""
        if found := FIGURES.match(line):
            # Folders that nobody here is in are told of too.
            name = (found[1] or found[2]).decode()
            box = self.named.get(name)
            if box is None:
                return
            numbers = found[3].split()
            told = {item.decode(): int(value) for item, value in zip(numbers[::2], numbers[1::2], strict=True)}
            told.pop("UIDVALIDITY", None)
            if not asked_for:
                assert person.follows(name) & {"new", "flags"}, line
                assert "new" in person.follows(name) or told.keys() <= {"UNSEEN", "HIGHESTMODSEQ"}, line
                assert "flags" in person.follows(name) or "UNSEEN" not in told, line
                assert person.mode in MODSEQS or "HIGHESTMODSEQ" not in told, line
                assert person.box is not box, line
            assert box.may(person.who, "r") or told.get("UIDNEXT", 0) <= box.sealed, f"{line!r} of what may not be read"
            known = person.figures.setdefault(box.id, {}) if asked_for else person.figures.get(box.id, {})
            known.update(told)
        elif found := LISTED.match(line):
            name, old = (found[2] or found[3]).decode(), found[4] or found[5]
            there = b"\\NonExistent" not in found[1]
            if name not in self.named:
                return
            box = self.named[name]
            assert self.named[name].path == box.path or not there
            if not asked_for:
                assert person.asked is not None, line
                assert person.asked.beyond, line
                assert "name" in person.asked.beyond or old is None, line
            readable = there and b"\\NoAccess" not in found[1]
            if old is not None and person.names.pop(old.decode(), False):
                person.names[name] = True
            if not readable or not person.names.get(name, False):
                person.lost.add(box.id)
            person.names[name] = there

    async def _beyond_in_step(self, person: Person) -> None:
        """Who follows folders is told without asking, and then knows what there is."""
        if person.asked is None:
            return
        await self._overhear(person)
        for box in self.boxes:
            name, events, truth = box.plain(person.who), person.follows(box.plain(person.who)), box.truth[person.who]
            there = box.may(person.who, "l")
            if "name" in events:
                while person.names.get(name, False) is not there:
                    self._outside(person, await person.client.line(PATIENCE))
            if box is person.box or not events or not box.may(person.who, "r"):
                continue
            if box.id in person.lost:
                # It will be followed, but it may not have been told so.
                await asyncio.sleep(0.1)
                await self._overhear(person)
                person.lost.discard(box.id)
                person.figures.pop(box.id, None)
            await self._ask_figures(person)
            while True:
                now = {item: value for item, value in truth.figures.items() if self._is_told(person, item, events)}
                believed = person.figures[box.id]
                if {item: believed.get(item, value) for item, value in now.items()} == now:
                    break
                try:
                    line = await person.client.line(PATIENCE)
                except TimeoutError:
                    raise AssertionError(
                        f"{person.who} ({person.mode}, {person.asked}) believes {believed} of {name}, it has {now}"
                    ) from None
                assert line, "the connection ended"
                self._outside(person, line)

    @staticmethod
    def _is_told(person: Person, item: str, events: frozenset[str]) -> bool:
        if item == "HIGHESTMODSEQ":
            return person.mode in MODSEQS and events >= {"new", "flags"}
        return ("flags" if item == "UNSEEN" else "new") in events

    async def _ask_figures(self, person: Person) -> None:
        """Those that it cannot know."""
        for box in self.boxes:
            if box is person.box or not person.follows(box.plain(person.who)) or not box.may(person.who, "r") or box.id in person.figures:
                continue
            items = "MESSAGES UIDNEXT UNSEEN" + " HIGHESTMODSEQ" * (person.mode in MODSEQS)
            assert (await self._say(person, f"STATUS {box.name(person.who)} ({items})")).ok

    async def _brought(self, person: Person, box: Box, uids: Iterable[int]) -> None:
        """It put messages there itself, which is no news to it."""
        if box is person.box:
            person.own.update(uids)
        person.figures.pop(box.id, None)

    async def _learn(self, person: Person) -> None:
        """Every message that the client was told of, but not what it is."""
        for _ in range(5):
            slots = person.picture.slots
            unknown = [number for number, slot in enumerate(slots, 1) if slot.uid is None or slot.flags is None]
            if not unknown:
                return
            if person.by_uid:
                below = 0 if person.uid_only else max((slot.uid or 0 for slot in slots[: unknown[0] - 1]), default=0)
                await self._say(person, f"UID FETCH {below + 1}:* {person.items}")
                continue
            await self._say(person, f"FETCH {spelled(unknown)} {person.items}")

    async def _in_step(self, person: Person, how: str = "NOOP") -> None:
        """Up to date by any of the ways there are: then the picture is the truth."""
        if how == "IDLE":
            tag = await self._idle(person)
            person.client.send(b"DONE\r\n")
            await self._answered(person, tag, how)
        else:
            assert (await self._say(person, how)).ok
        await self._beyond_in_step(person)
        if not (person.hears_messages and person.hears_flags):
            # What it did not want to hear of it is told when it does again.
            assert person.asked is not None
            await self._ask(person, replace(person.asked, selected="selected-delayed", events=frozenset({"new", "flags"})))
        await self._learn(person)
        self._compare(person)
        await self._permanent(person)

    async def _ask(self, person: Person, asked: Asked) -> None:
        said = await self._say(person, asked.spell(person.items))
        assert said.ok, said
        person.asked = asked
        person.picture.deaf = not (person.hears_messages and person.hears_flags)
        person.figures, person.lost = {}, set()
        person.names = {box.plain(person.who): box.may(person.who, "l") for box in self.boxes}
        for line in said.untagged if asked.status else ():
            if found := FIGURES.match(line):
                # What was told before, to what it asked before, is of no account.
                box = self.named.get((found[1] or found[2]).decode())
                if box is not None:
                    person.figures.pop(box.id, None)
                self._hear_beyond(person, line, asked_for=True)
        for box in self.boxes:
            told = asked.status and box is not person.box and "new" in person.follows(box.plain(person.who)) and box.may(person.who, "r")
            assert box.id in person.figures or not told, (said, box.path)
            if not told:
                person.figures.pop(box.id, None)
            if told and "flags" not in person.follows(box.plain(person.who)):
                assert "UNSEEN" not in person.figures[box.id]
            elif told:
                assert person.figures[box.id] == box.truth[person.who].figures
        await self._ask_figures(person)

    def _compare(self, person: Person, *, told_only: bool = False) -> None:
        assert person.box is not None
        truth = person.box.truth[person.who]
        picture = person.picture
        exact = person.hears_messages and (not told_only or person.at_once or person.idling is not None)
        if not exact:
            known = {slot.uid: slot for slot in picture.slots if slot.uid is not None}
            if person.hears_messages:
                assert len(picture.slots) - len(known.keys() - truth.messages.keys()) >= len(truth.messages)
            pairs = [(slot, uid) for uid, slot in known.items() if uid in truth.messages and slot.flags is not None]
        elif person.uid_only:
            assert len(picture.slots) == len(truth.messages)
            pairs = [(slot, slot.uid) for slot in picture.slots if slot.uid is not None]
            assert told_only or len(pairs) == len(truth.messages)
            assert {uid for _, uid in pairs} <= truth.messages.keys()
        elif told_only:
            assert len(picture.slots) == len(truth.messages)
            pairs = [(slot, uid) for slot, uid in zip(picture.slots, truth.messages, strict=True) if slot.uid is not None]
        else:
            assert picture.uids == list(truth.messages)
            pairs = list(zip(picture.slots, truth.messages, strict=True))
        if exact and person.fetches and told_only:
            assert truth.messages.keys() - {uid for _, uid in pairs} <= person.own, "what is new is fetched"
        for slot, uid in pairs if person.hears_flags else ():
            flags, modseq = truth.messages[uid]
            assert slot.uid == uid
            assert slot.flags == flags, f"{person.who} ({person.mode}) believes {slot} of {uid}, it has {flags} at {modseq}"
            if person.mode in MODSEQS:
                assert slot.modseq == modseq, f"{person.who} ({person.mode}) believes {slot}, it changed at {modseq}"
        assert picture.highest <= truth.highest

    async def _permanent(self, person: Person) -> None:
        """What PERMANENTFLAGS and READ-ONLY said last is what the rights say."""
        box = person.box
        assert box is not None
        wanted = {flag for flag in SYSTEM if not person.examined and box.allowed(person.who, flag)}
        writing = any(box.may(person.who, right) for right in ("wite" if box.private else "wites")) and not person.examined
        while (person.picture.permanent & set(SYSTEM), person.picture.read_only) != (wanted, not writing):
            self._outside(person, await person.client.line(PATIENCE))

    # --- the store

    async def _look(self) -> None:
        """The store is the model; mod-sequences went up where something changed, and only there."""
        async with self.house.store.snapshot() as snapshot:
            for box in self.boxes:
                names = dict(await snapshot.ask(messages.keywords, box.id))
                row = await snapshot.ask(stored.by_id, box.id)
                assert row is not None
                for who in (*PEOPLE, EVERYBODY):
                    seen_of: AccountId | None = self.house.ids[who] if box.private and who != EVERYBODY else None
                    state = await snapshot.work(messages.state, box.id, seen_of)
                    found = {
                        uid: (self._names(bits, names), modseq)
                        for uid, bits, modseq in zip(state.uids, state.flags, state.modseqs, strict=True)
                    }
                    assert list(found) == sorted(found)
                    before = box.truth.get(who)
                    box.truth[who] = Truth(state.modseq, row.uidnext, found)
                    if before is not None:
                        self._forward(before, box.truth[who])

    @staticmethod
    def _names(bits: int, names: dict[int, str]) -> frozenset[str]:
        return frozenset(SYSTEM[bit] if bit < len(SYSTEM) else names[bit] for bit in range(63) if bits >> bit & 1)

    @staticmethod
    def _forward(before: Truth, now: Truth) -> None:
        assert now.highest >= before.highest
        for uid, (flags, modseq) in now.messages.items():
            assert modseq <= now.highest
            if uid in before.messages:
                flags_before, modseq_before = before.messages[uid]
                assert modseq == modseq_before or modseq > before.highest
                assert flags == flags_before or modseq > before.highest
            else:
                assert modseq > before.highest
                assert uid > max(before.messages, default=0)
        if set(before.messages) - set(now.messages):
            assert now.highest > before.highest

    async def _agree(self) -> None:
        await self._look()
        for box in self.boxes:
            for who in PEOPLE:
                wanted = {uid: box.seen_by(who, kept) for uid, kept in box.messages.items()}
                assert {uid: flags for uid, (flags, _) in box.truth[who].messages.items()} == wanted, (box.path, who)

    async def _adopt(self) -> None:
        """After deeds at the same time: the store says in which order they came."""
        await self._look()
        for box in self.boxes:
            there = box.truth[EVERYBODY].messages
            box.messages = {uid: Kept(flags) for uid, (flags, _) in there.items()}
            if box.private:
                for uid, kept in box.messages.items():
                    kept.own = {who: "\\Seen" in box.truth[who].messages[uid][0] for who in PEOPLE}

    @invariant()
    def who_idles_is_told(self) -> None:
        if any(person.idling or person.always for person in self.people):
            self.run(self._listeners())

    async def _listeners(self) -> None:
        for person in self.people:
            if person.box is None or (person.idling is None and not person.always):
                continue
            await self._overhear(person)
            while True:
                try:
                    self._compare(person, told_only=True)
                    break
                except AssertionError:
                    try:
                        line = await person.client.line(PATIENCE)
                    except TimeoutError:
                        line = b""
                    if not line:
                        raise
                    self._outside(person, line)

    # --- coming and going

    def _remember(self, person: Person) -> None:
        if person.box is None:
            return
        # Behind a message that it never asked about, a client cannot say what it missed.
        whole = itertools.takewhile(lambda slot: slot.uid is not None and slot.flags is not None, person.picture.slots)
        known = {slot.uid: (slot.flags, slot.modseq) for slot in whole if slot.uid is not None and slot.flags is not None}
        person.memories[person.box.id] = Memory(person.picture.validity, person.picture.highest, known)
        person.figures[person.box.id] = self._counted(person)
        person.box, person.saved, person.idling = None, None, None
        person.own = set()

    @staticmethod
    def _counted(person: Person) -> dict[str, int]:
        """The figures of the folder that it leaves, as far as it can tell; it has to be told if they are not right."""
        slots = person.picture.slots
        found = {"MESSAGES": len(slots)}
        flags = [slot.flags for slot in slots if slot.flags is not None]
        if len(flags) == len(slots):
            found["UNSEEN"] = sum("\\Seen" not in one for one in flags)
        return found

    async def _drop(self, person: Person) -> None:
        """The line is cut, and the same client comes again."""
        self._remember(person)
        person.client.writer.close()
        again = await self._arrive(person.who, person.mode)
        person.client = again.client
        person.asked = None

    async def _end_idling(self, person: Person) -> None:
        if person.idling is not None:
            tag, person.idling = person.idling, None
            person.client.send(b"DONE\r\n")
            await self._answered(person, tag, "IDLE")

    async def _ready(self, which: int) -> Person | None:
        """This person in a folder, all messages known; None: there is none to be in."""
        person = self.people[which % len(self.people)]
        await self._end_idling(person)
        if person.box is None and not await self._select(person, self.boxes[0]):
            return None
        await self._learn(person)
        return person

    async def _select(self, person: Person, box: Box, *, examine: bool = False, known: str = "all", matches: bool = False) -> bool:
        await self._end_idling(person)
        verb = "EXAMINE" if examine else "SELECT"
        if not box.may(person.who, "r"):
            await self._overhear(person)
            self._remember(person)
            said = await self._say(person, f"{verb} {box.name(person.who)}")
            assert said.tagged.startswith(b"NO"), said
            await self._ask_figures(person)
            return False
        await self._overhear(person)
        self._remember(person)
        memory = person.memories.get(box.id)
        parameters = ""
        if person.mode in QUICK and memory is not None and memory.highest:
            parameters = f" (QRESYNC ({memory.validity} {memory.highest}"
            uids = sorted(memory.messages)
            if uids and known != "omitted":
                parameters += f" {spelled(uids) if known == 'listed' else f'1:{uids[-1]}'}"
            if uids and known != "omitted" and matches and not person.uid_only:
                places = range(1, len(uids) + 1, 2)
                parameters += f" ({spelled(places)} {spelled(uids[place - 1] for place in places)})"
            parameters += "))"
        elif person.mode == "condstore":
            parameters = " (CONDSTORE)"
        person.picture = Picture(modseqs=person.mode in MODSEQS, vanishes=person.mode in QUICK or person.uid_only, uid_only=person.uid_only)
        person.picture.deaf = not (person.hears_messages and person.hears_flags)
        said = await self._say(person, f"{verb} {box.name(person.who)}{parameters}")
        assert said.ok, said
        person.box, person.examined = box, examine
        if "QRESYNC" in parameters:
            assert memory is not None
            await self._resumed(person, memory)
        elif memory is not None and memory.highest and person.mode == "condstore":
            await self._resumed_by_hand(person, memory)
        await self._learn(person)
        self._compare(person)
        assert picture_is_whole(person), (person.picture.uids, box.truth[person.who])
        await self._permanent(person)
        await self._ask_figures(person)
        return True

    async def _resumed(self, person: Person, memory: Memory) -> None:
        """RFC 7162 section 3.2.5: what is gone, what changed; what is new above what was known is fetched."""
        picture = person.picture
        for uid in picture.earlier:
            memory.messages.pop(uid, None)
        for uid, (_, slot) in picture.renewed.items():
            assert slot.flags is not None
            memory.messages[uid] = (slot.flags, slot.modseq)
        renewed = picture.renewed
        last = max(memory.messages.keys() - renewed.keys(), default=0)
        assert (await self._say(person, f"UID FETCH {last + 1}:* {person.items}")).ok
        self._put_in(person, memory)
        for uid, (number, _) in renewed.items() if not person.uid_only else ():
            assert picture.slots[number - 1].uid == uid

    async def _resumed_by_hand(self, person: Person, memory: Memory) -> None:
        """RFC 4549 section 4.3 and RFC 7162 section 6: CHANGEDSINCE, and UID SEARCH for what is gone."""
        if person.picture.slots:
            await self._say(person, f"{'UID ' * person.by_uid}FETCH 1:* (UID FLAGS) (CHANGEDSINCE {memory.highest})")
        for slot in person.picture.slots:
            if slot.uid is not None:
                assert slot.flags is not None
                memory.messages[slot.uid] = slot.flags, slot.modseq
        said = await self._say(person, "UID SEARCH ALL")
        (line,) = said.having("* SEARCH")
        there = {int(one) for one in line.split()[2:]}
        for uid in memory.messages.keys() - there:
            del memory.messages[uid]
        missing = sorted(there - memory.messages.keys())
        if missing:
            await self._say(person, f"UID FETCH {spelled(missing)} {person.items}")
        self._put_in(person, memory)

    @staticmethod
    def _put_in(person: Person, memory: Memory) -> None:
        for slot in person.picture.slots:
            if slot.uid is not None:
                assert slot.flags is not None
                memory.messages[slot.uid] = slot.flags, slot.modseq
        assert len(memory.messages) == len(person.picture.slots), (sorted(memory.messages), person.picture.uids)
        if person.uid_only:
            person.picture.slots = [Slot(uid, *memory.messages[uid]) for uid in sorted(memory.messages)]
            return
        for slot, uid in zip(person.picture.slots, sorted(memory.messages), strict=True):
            assert slot.uid in (None, uid)
            flags, modseq = memory.messages[uid]
            slot.uid, slot.flags, slot.modseq = uid, flags, modseq

    # --- naming messages

    def _chosen(self, person: Person, picked: list[int], form: int) -> tuple[str, str, list[int]] | None:
        """(prefix, set, UIDs) of some messages that the client believes in, by number or by UID, spelled in one of many ways."""
        slots = person.picture.slots
        if form == 9 and person.saved is not None:
            return "UID " * person.by_uid, "$", [uid for uid in person.saved if uid in person.picture.uids]
        if not slots:
            return None
        places = sorted({pick % len(slots) for pick in picked})
        if form in (2, 3):
            places = list(range(places[0], places[-1] + 1))
        if form in (4, 5):
            places = list(range(len(slots) - 1, len(slots)) if form == 4 else range(places[0], len(slots)))
        uids = [slots[place].uid for place in places]
        if any(uid is None for uid in uids):
            return None
        known = [uid for uid in uids if uid is not None]
        if person.by_uid and form == 4:
            return "UID ", "*", known
        if person.by_uid and form in (0, 2, 8, 9):
            form = 3 if form == 2 else 1
        match form:
            case 0 | 8 | 9:
                return "", spelled(place + 1 for place in places), known
            case 2:
                return "", f"{places[-1] + 1}:{places[0] + 1}", known
            case 3:
                return "UID ", f"{known[0]}:{known[-1]}", known
            case 4:
                return "", "*", known
            case 5:
                return "UID ", f"{known[0]}:*", known
            case _:
                return "UID ", spelled(known), known

    # --- deeds of others

    async def _deliver(self, box: Box, count: int) -> None:
        await self.house.put("anna", box.path, count)
        async with self.house.store.snapshot() as snapshot:
            row = await snapshot.ask(stored.by_id, box.id)
        assert row is not None
        for uid in range(row.uidnext - count, row.uidnext):
            box.add(None, uid, ())
        await self._agree()

    @rule(which=numbers, count=st.integers(1, 3))
    def mail_comes(self, which: int, count: int) -> None:
        self.run(self._deliver(self.boxes[which % 2], count))

    @rule(
        which=numbers,
        selected=st.sampled_from(SELECTED),
        events=st.sampled_from(("", "new", "new flags", "new flags")),
        fetches=st.booleans(),
        which_else=st.sampled_from(FILTERS),
        beyond=st.sampled_from(("name", "new", "new flags", "new flags", "name new flags", "name new flags")),
        status=st.booleans(),
    )
    def ask_to_be_told(self, which: int, selected: str, events: str, fetches: bool, which_else: str, beyond: str, status: bool) -> None:
        async def work() -> None:
            person = self.people[which % len(self.people)]
            names: tuple[str, ...] = ()
            if which_else in ("mailboxes", "subtree"):
                names = tuple(box.plain(person.who) for box in self.boxes)
            if which_else == "subtree" and person.who == "bruno":
                names = ("Other Users/anna",)
            asked = Asked(
                selected, frozenset(events.split()) if selected else frozenset(), fetches and "new" in events, which_else, names,
                frozenset(beyond.split()) if which_else else frozenset(), status,
            )  # fmt: skip
            await self._end_idling(person)
            if person.box is not None:
                await self._learn(person)
            await self._ask(person, asked)
            if person.box is not None:
                await self._learn(person)

        self.run(work())

    @precondition(lambda self: any(person.asked is not None and person.asked.filter for person in self.people))
    @rule()
    def who_follows_is_told(self) -> None:
        async def work() -> None:
            for person in self.people:
                if person.idling is None:
                    await self._beyond_in_step(person)

        self.run(work())

    @rule(which=numbers)
    def rename(self, which: int) -> None:
        self.run(self._rename(self.boxes[which % 2]))

    async def _rename(self, box: Box) -> None:
        type(self).made += 1
        box.path = f"/{box.path[1]}{type(self).made}"
        await self.house.store.do(stored.RenameFolder(box.id, box.path))
        self._name(box)
        for person in self.people:
            if person.asked is not None and person.asked.filter == "mailboxes":
                # Neither name of it is one that it follows now.
                person.figures.pop(box.id, None)
        await self._agree()

    @rule(which=numbers, rights=st.sampled_from(RIGHTS))
    def rights_change(self, which: int, rights: str) -> None:
        self.run(self._grant(self.boxes[which % 2], rights))

    async def _grant(self, box: Box, rights: str) -> None:
        if box.may("bruno", "r"):
            box.sealed = box.truth["bruno"].uidnext
        box.rights = rights
        await self.house.share("anna", box.path, "bruno", rights, rfc=True)
        for person in self.people:
            if person.who == "bruno" and person.always and person.follows(box.plain(person.who)):
                person.lost.add(box.id)
        for person in self.people:
            if person.who != "bruno" or person.box is not box:
                continue
            if "r" in rights:
                await self._permanent(person)
                continue
            heard = []
            while line := await person.client.line():
                heard.append(line)
                if not line.startswith(b"* BYE"):
                    self._outside(person, line)
            assert heard, "no BYE"
            assert heard[-1].startswith(b"* BYE"), heard
            await self._drop(person)

    @rule(picked=picks, flag=st.sampled_from(SYSTEM), mode=st.sampled_from("+-"), keep=st.integers(0, 5))
    def flags_change_beside(self, picked: list[int], flag: str, mode: str, keep: int) -> None:
        self.run(self._beside(self.boxes[0], picked, flag, mode, keep))

    async def _beside(self, box: Box, picked: list[int], flag: str, mode: str, keep: int) -> None:
        """By no session, so that nobody's state is renewed; and sometimes the log is cut behind it."""
        for pick in picked:
            uids = sorted(box.messages)
            if not uids:
                return
            uid = uids[pick % len(uids)]
            deed = ChangeFlags(
                box.id,
                ((uid, uid),),
                FlagMode.ADD if mode == "+" else FlagMode.REMOVE,
                Flag(1 << SYSTEM.index(flag)),
                seen_of=self.house.ids["anna"] if box.private else None,
            )
            await self.house.store.do(deed)
            box.set("anna", uid, self._stored(box.seen_by("anna", box.messages[uid]), mode, [flag], list(FLAGS)))
        if keep < 3:
            await self.house.store.do(log.PruneChanges(box.id, keep))
        await self._agree()

    @rule()
    def seen_becomes_private_or_shared(self) -> None:
        self.run(self._switch(self.boxes[0]))

    async def _switch(self, box: Box) -> None:
        box.private = not box.private
        await self.house.store.do(stored.SwitchFolder(box.id, seen_private=box.private))
        for kept in box.messages.values():
            kept.own.clear()
        await self._agree()
        for person in self.people:
            if person.box is box and person.who == "bruno":
                await self._permanent(person)

    # --- deeds of clients

    @rule(which=numbers, how=st.sampled_from(("NOOP", "CHECK", "IDLE")))
    def get_in_step(self, which: int, how: str) -> None:
        async def work() -> None:
            person = await self._ready(which)
            if person is not None:
                await self._in_step(person, how)

        self.run(work())

    @rule(which=numbers)
    def begin_to_idle(self, which: int) -> None:
        async def work() -> None:
            person = await self._ready(which)
            if person is not None:
                if person.hears_messages and person.hears_flags:
                    await self._in_step(person)
                person.idling = await self._idle(person)

        self.run(work())

    @rule(
        which=numbers,
        box=st.integers(0, 1),
        examine=st.integers(0, 4),
        known=st.sampled_from(("all", "listed", "omitted")),
        matches=st.booleans(),
        leave=st.sampled_from(("drop", "select", "unselect", "close")),
    )  # fmt: skip
    def go_elsewhere(self, which: int, box: int, examine: int, known: str, matches: bool, leave: str) -> None:
        self.run(self._go(which, box, examine == 0, known, matches, leave))

    async def _go(self, which: int, box: int, examine: bool, known: str, matches: bool, leave: str) -> None:
        person = self.people[which % len(self.people)]
        await self._end_idling(person)
        if leave == "drop":
            await self._drop(person)
        elif leave == "unselect" and person.box is not None:
            self._left(person, await self._say(person, "UNSELECT"))
            await self._ask_figures(person)
        elif leave == "close" and person.box is not None:
            await self._close(person)
        await self._select(person, self.boxes[box], examine=examine, known=known, matches=matches)

    def _left(self, person: Person, said: Said) -> None:
        """What it did not hear of the folder while it was there it hears when it goes."""
        assert said.ok, said
        self._remember(person)
        for line in said.untagged:
            self._hear_beyond(person, line, asked_for=True)

    async def _close(self, person: Person) -> None:
        box = person.box
        assert box is not None
        said = await self._say(person, "CLOSE")
        if box.may(person.who, "e") and not person.examined:
            box.messages = {uid: kept for uid, kept in box.messages.items() if "\\Deleted" not in kept.flags}
        self._left(person, said)
        await self._agree()
        await self._ask_figures(person)

    @rule(which=numbers, picked=picks, by_uid=st.booleans(), flag=st.sampled_from(FLAGS))
    def mark_in_silence(self, which: int, picked: list[int], by_uid: bool, flag: str) -> None:
        self.run(self._store(which, picked, int(by_uid), "+", [flag], True, 6))

    @rule(
        which=numbers,
        picked=picks,
        form=numbers,
        mode=st.sampled_from(("", "+", "-")),
        flags=flag_sets,
        silent=st.booleans(),
        since=st.integers(0, 6),
    )
    def store(self, which: int, picked: list[int], form: int, mode: str, flags: list[str], silent: bool, since: int) -> None:
        self.run(self._store(which, picked, form, mode, flags, silent, since))

    async def _store(self, which: int, picked: list[int], form: int, mode: str, flags: list[str], silent: bool, since: int) -> None:
        person = await self._ready(which)
        chosen = None if person is None else self._chosen(person, picked, form)
        if person is None or chosen is None or person.box is None:
            return
        box, who = person.box, person.who
        prefix, members, uids = chosen
        truth = box.truth[who]
        limit: int | None = None
        if person.mode in MODSEQS and since < 4:
            known = [slot.modseq for slot in person.picture.slots if slot.modseq is not None]
            limit = [person.picture.highest, 0, min(known, default=1), max(known, default=1)][since]
        modifier = "" if limit is None else f" (UNCHANGEDSINCE {limit})"
        said = await self._say(person, f"{prefix}STORE {members}{modifier} {mode}FLAGS{'.SILENT' if silent else ''} ({' '.join(flags)})")
        permitted = [flag for flag in FLAGS if box.allowed(who, flag)]
        meant = FLAGS if mode == "" else flags
        may = not person.examined and (any(flag in permitted for flag in meant) or (not meant and bool(permitted)))
        assert said.ok is (may or not uids) or (person.examined and not said.ok), (said, box.rights, flags)
        if not said.ok:
            await self._agree()
            return
        changed = [uid for uid in uids if uid in box.messages and (limit is None or truth.messages[uid][1] <= limit)]
        for uid in changed:
            old = box.seen_by(who, box.messages[uid])
            box.set(who, uid, self._stored(old, mode, flags, permitted))
        refused = {uid for uid in uids if uid in box.messages} - set(changed)
        if found := re.search(rb"\[MODIFIED ([\d:,]+)\]", said.tagged):
            named = numbers_of(found[1])
            before = named if prefix else [person.picture.slots[number - 1].uid for number in named]
            assert set(before) == refused, (said, refused)
        else:
            assert not refused, (said, refused)
        if silent:
            # What a client does: it knows which flags it may change, and the numbers it named are still the same.
            for slot in person.picture.slots:
                if slot.uid in changed and slot.flags is not None and not self._told_flags(said, person, slot):
                    slot.flags = self._stored(slot.flags, mode, flags, permitted)
        await self._agree()

    @staticmethod
    def _told_flags(said: Said, person: Person, slot: Slot) -> bool:
        if person.uid_only:
            return any(line.startswith(b"* %d UIDFETCH" % (slot.uid or 0)) and b"FLAGS (" in line for line in said.untagged)
        number = person.picture.slots.index(slot) + 1
        return any(line.startswith(b"* %d FETCH" % number) and b"FLAGS (" in line for line in said.untagged)

    @staticmethod
    def _stored(old: frozenset[str], mode: str, flags: list[str], permitted: list[str]) -> frozenset[str]:
        wanted = {flag for flag in flags if flag in permitted}
        match mode:
            case "+":
                return old | wanted
            case "-":
                return old - wanted
            case _:
                # Flags of other names than the model's do not come up here.
                return frozenset(flag for flag in old if flag not in permitted and (flag in SYSTEM or "$Work" not in permitted)) | wanted

    @rule(which=numbers, picked=picks, form=numbers, by_uid=st.booleans())
    def expunge(self, which: int, picked: list[int], form: int, by_uid: bool) -> None:
        self.run(self._expunge(which, picked, form, by_uid))

    async def _expunge(self, which: int, picked: list[int], form: int, by_uid: bool) -> None:
        person = await self._ready(which)
        if person is None or person.box is None:
            return
        box = person.box
        members: list[int] | None = None
        text = "EXPUNGE"
        if by_uid:
            chosen = self._chosen(person, picked, form if form in (1, 3, 5, 6, 7) else 1)
            if chosen is None:
                return
            members = chosen[2]
            text = f"UID EXPUNGE {chosen[1]}"
        said = await self._say(person, text)
        assert said.ok is (box.may(person.who, "e") and not person.examined), said
        if said.ok:
            box.messages = {
                uid: kept for uid, kept in box.messages.items()
                if "\\Deleted" not in kept.flags or (members is not None and uid not in members)
            }  # fmt: skip
        await self._agree()
        if said.ok:
            await self._learn(person)
            self._compare(person)
            self._knows_of_none_gone(person)

    @staticmethod
    def _knows_of_none_gone(person: Person) -> None:
        """What a client takes away itself it is told of, with what others took."""
        assert person.box is not None
        assert {uid for uid in person.picture.uids if uid is not None} <= person.box.truth[person.who].messages.keys()

    @rule(which=numbers, picked=picks, form=numbers, other=st.booleans(), moves=st.booleans())
    def transfer(self, which: int, picked: list[int], form: int, other: bool, moves: bool) -> None:
        self.run(self._transfer(which, picked, form, other, moves))

    async def _transfer(self, which: int, picked: list[int], form: int, other: bool, moves: bool) -> None:
        person = await self._ready(which)
        chosen = None if person is None else self._chosen(person, picked, form)
        if person is None or chosen is None or person.box is None:
            return
        box, who = person.box, person.who
        target = self.boxes[1 - self.boxes.index(box)] if other else box
        prefix, members, uids = chosen
        said = await self._say(person, f"{prefix}{'MOVE' if moves else 'COPY'} {members} {target.name(who)}")
        may = target.may(who, "i") and target.may(who, "l")
        if moves:
            may = may and not person.examined and box.may(who, "t") and box.may(who, "e")
        assert said.ok is may or not uids, (said, box.rights, target.rights)
        if said.ok and uids:
            there = [uid for uid in uids if uid in box.messages]
            found = re.search(rb"\[COPYUID \d+ ([\d:,]+) ([\d:,]+)\]", said.all)
            assert (found is not None) is bool(there), said
            if found is not None:
                assert numbers_of(found[1]) == there
                for uid, new in zip(there, numbers_of(found[2]), strict=True):
                    flags = {flag for flag in box.seen_by(who, box.messages[uid]) if target.allowed(who, flag)}
                    target.add(who, new, flags)
                    if moves:
                        del box.messages[uid]
                await self._brought(person, target, numbers_of(found[2]))
        await self._agree()
        await self._ask_figures(person)
        if said.ok and moves and uids:
            await self._learn(person)
            self._compare(person)
            self._knows_of_none_gone(person)

    @rule(which=numbers, box=st.integers(0, 1), flags=flag_sets, count=st.integers(1, 2))
    def append(self, which: int, box: int, flags: list[str], count: int) -> None:
        self.run(self._append(which, self.boxes[box], flags, count))

    async def _append(self, which: int, box: Box, flags: list[str], count: int) -> None:
        person = self.people[which % len(self.people)]
        await self._end_idling(person)
        parts = f" ({' '.join(flags)}) {{}}" * count
        said = await self._say(person, f"APPEND {box.name(person.who)}{parts}", *[message(number) for number in range(count)])
        assert said.ok is box.may(person.who, "i"), (said, box.rights)
        if said.ok:
            found = re.search(rb"\[APPENDUID \d+ ([\d:,]+)\]", said.tagged)
            assert found is not None
            for uid in numbers_of(found[1]):
                box.add(person.who, uid, [flag for flag in flags if box.allowed(person.who, flag)])
            await self._brought(person, box, numbers_of(found[1]))
        await self._agree()
        await self._ask_figures(person)

    @rule(which=numbers, picked=picks, form=st.sampled_from((0, 1, 4)), other=st.booleans(), flags=flag_sets)
    def replace(self, which: int, picked: list[int], form: int, other: bool, flags: list[str]) -> None:
        self.run(self._replace(which, picked[:1], form, other, flags))

    async def _replace(self, which: int, picked: list[int], form: int, other: bool, flags: list[str]) -> None:
        person = await self._ready(which)
        chosen = None if person is None else self._chosen(person, picked, form)
        if person is None or chosen is None or person.box is None:
            return
        box, who = person.box, person.who
        target = self.boxes[1 - self.boxes.index(box)] if other else box
        prefix, members, (uid,) = chosen
        said = await self._say(person, f"{prefix}REPLACE {members} {target.name(who)} ({' '.join(flags)}) {{}}", message(7))
        may = all(box.may(who, right) for right in "te") and target.may(who, "i") and not person.examined
        assert said.ok is (may and uid in box.messages), (said, box.rights, target.rights)
        if said.ok:
            found = re.search(rb"\[APPENDUID \d+ (\d+)\]", said.all)
            assert found is not None
            target.add(who, int(found[1]), [flag for flag in flags if target.allowed(who, flag)])
            del box.messages[uid]
            await self._brought(person, target, [int(found[1])])
        await self._agree()
        await self._ask_figures(person)

    @rule(
        which=numbers,
        picked=picks,
        form=numbers,
        items=st.sampled_from(("(FLAGS)", "(UID FLAGS RFC822.SIZE)", "BODY.PEEK[]", "BODY[TEXT]", "ENVELOPE", "(RFC822 FLAGS)")),
    )
    def fetch(self, which: int, picked: list[int], form: int, items: str) -> None:
        self.run(self._fetch(which, picked, form, items))

    async def _fetch(self, which: int, picked: list[int], form: int, items: str) -> None:
        person = await self._ready(which)
        chosen = None if person is None else self._chosen(person, picked, form)
        if person is None or chosen is None or person.box is None:
            return
        box = person.box
        prefix, members, uids = chosen
        said = await self._say(person, f"{prefix}FETCH {members} {items}")
        assert said.ok, said
        if items in ("BODY[TEXT]", "(RFC822 FLAGS)") and not person.examined and box.allowed(person.who, "\\Seen"):
            for uid in uids:
                if uid in box.messages:
                    box.set(person.who, uid, box.seen_by(person.who, box.messages[uid]) | {"\\Seen"})
        await self._agree()

    @rule(which=numbers, vanished=st.booleans())
    def fetch_what_changed(self, which: int, vanished: bool) -> None:
        self.run(self._fetch_changed(which, vanished))

    async def _fetch_changed(self, which: int, vanished: bool) -> None:
        person = await self._ready(which)
        if person is None or person.box is None or person.mode not in MODSEQS or not person.picture.highest:
            return
        vanished = vanished and person.mode in QUICK
        said = await self._say(person, f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {person.picture.highest}{' VANISHED' * vanished})")
        assert said.ok
        # What the client still believes in is told without EARLIER, and only so are its numbers changed.
        assert not set(person.picture.earlier) & set(person.picture.uids), said

    @rule(
        which=numbers,
        by_uid=st.booleans(),
        key=st.sampled_from(KEYS),
        options=st.sampled_from((None, "ALL", "COUNT", "MIN", "MAX", "MIN MAX", "SAVE", "SAVE ALL COUNT")),
    )  # fmt: skip
    def search(self, which: int, by_uid: bool, key: str, options: str | None) -> None:
        self.run(self._search(which, by_uid, key, options))

    async def _search(self, which: int, by_uid: bool, key: str, options: str | None) -> None:
        person = await self._ready(which)
        if person is None or person.box is None or (key == "$" and person.saved is None):
            return
        picture, box = person.picture, person.box
        if person.by_uid and key in ("1", "1:*"):
            return
        by_uid = by_uid or person.by_uid
        known = picture.uids
        returning = "" if options is None else f"RETURN ({options}) "
        said = await self._say(person, f"{'UID ' * by_uid}SEARCH {returning}{key}")
        assert said.ok, said
        # What was told as one more message and is gone before the client asked which: nobody can say.
        sure = {uid for uid in known if uid is not None and uid in box.messages}
        wanted = [uid for place, uid in enumerate(known) if uid in sure and self._matches(person, key, uid, place)]

        def meant(numbers: list[int]) -> list[int]:
            uids = numbers if by_uid else [known[number - 1] for number in numbers]
            return [uid for uid in uids if uid in sure]

        if options is None and person.mode == "rev2":
            # RFC 9051 section 6.4.4: always ESEARCH, with ALL where nothing else was asked for.
            assert not said.having("* SEARCH")
            options = "ALL"
        if options is None:
            (line,) = said.having("* SEARCH")
            assert meant([int(one) for one in line.partition(b"(")[0].split()[2:]]) == wanted, (said, wanted)
        elif found := re.search(rb" ALL ([\d:,]+)", said.all):
            assert meant(numbers_of(found[1])) == wanted, (said, wanted)
        elif "ALL" in options.split():
            assert not wanted, (said, wanted)
        elif options == "SAVE" or not sure.issuperset(known):
            pass  # what is gone may have been counted
        elif options == "COUNT":
            assert re.search(rb"COUNT %d\b" % len(wanted), said.all), (said, wanted)
        else:
            ends = {"MIN": wanted[:1], "MAX": wanted[-1:], "MIN MAX": wanted[:1] + wanted[-1:]}[options]
            named = [int(one) for one in re.findall(rb" (?:MIN|MAX) (\d+)", said.all)]
            assert meant(named) == ends, (said, wanted)
        if options is not None and "SAVE" in options:
            person.saved = wanted

    def _matches(self, person: Person, key: str, uid: int, place: int) -> bool:
        assert person.box is not None
        flags = person.box.seen_by(person.who, person.box.messages[uid])
        match key:
            case "ALL" | "1:*":
                return True
            case "1":
                return place == 0
            case "$":
                return uid in (person.saved or ())
            case "SEEN":
                return "\\Seen" in flags
            case "UNSEEN":
                return "\\Seen" not in flags
            case "DELETED":
                return "\\Deleted" in flags
            case "KEYWORD $Work":
                return "$Work" in flags
            case "NOT KEYWORD $Work":
                return "$Work" not in flags
            case _:
                return bool(flags & {"\\Answered", "\\Flagged"})

    @rule(which=numbers, box=st.integers(0, 1))
    def status(self, which: int, box: int) -> None:
        self.run(self._status(which, self.boxes[box]))

    async def _status(self, which: int, box: Box) -> None:
        person = self.people[which % len(self.people)]
        await self._end_idling(person)
        asked = "MESSAGES UNSEEN DELETED UIDNEXT" + (" HIGHESTMODSEQ" if person.mode in MODSEQS else "")
        said = await self._say(person, f"STATUS {box.name(person.who)} ({asked})")
        assert said.ok is box.may(person.who, "r"), said
        if not said.ok:
            return
        found = {
            name.decode(): int(value) for name, value in re.findall(rb"([A-Z]+) (\d+)", said.having("DELETED ")[0].rpartition(b"(")[2])
        }
        flags = [box.seen_by(person.who, kept) for kept in box.messages.values()]
        assert found["MESSAGES"] == len(flags)
        assert found["UNSEEN"] == sum("\\Seen" not in one for one in flags)
        assert found["DELETED"] == sum("\\Deleted" in one for one in flags)
        assert found["UIDNEXT"] > max(box.messages, default=0)
        if person.mode in MODSEQS:
            assert found["HIGHESTMODSEQ"] == box.truth[person.who].highest

    @precondition(lambda self: self.mark < 20)
    @rule(
        deeds=st.lists(
            st.tuples(numbers, st.sampled_from(DEEDS), picks),
            min_size=2,
            max_size=4,
        )
    )
    def all_at_once(self, deeds: list[tuple[int, str, list[int]]]) -> None:
        self.run(self._race(deeds))

    async def _race(self, deeds: list[tuple[int, str, list[int]]]) -> None:
        """Commands of several clients on the wire at the same moment: in whatever order they are done, each does what its client meant by
        the numbers it knew."""
        ready = [(await self._ready(which), deed, picked) for which, deed, picked in deeds]
        sent: list[tuple[Person, str, str]] = []
        marked: list[tuple[Person, str, str, set[int]]] = []
        told_apart: set[int] = set()
        for person, deed, picked in ready:
            if person is None or person.box is None:
                continue
            box = person.box
            # A second command of the same client in the same flight names UIDs: numbers may not be used then (RFC 3501 section 5.5).
            chosen = self._chosen(person, picked, 1 if id(person) in told_apart or person.by_uid else 0)
            if chosen is None:
                continue
            told_apart.add(id(person))
            prefix, members, uids = chosen
            keyword = ""
            match deed:
                case "mark":
                    self.mark += 1
                    keyword = f"$Mark{self.mark}"
                    text = f"{prefix}STORE {members} +FLAGS ({keyword})"
                case "seen":
                    text = f"{prefix}FETCH {members} (UID BODY[TEXT])"
                case "expunge":
                    text = "EXPUNGE"
                case "move":
                    text = f"{prefix}MOVE {members} {self.boxes[1 - self.boxes.index(box)].name(person.who)}"
                case "append":
                    octets = message(3)
                    text = f"APPEND {box.name(person.who)} {{{len(octets)}+}}\r\n{octets.decode()}"
                case "fetch":
                    text = f"{prefix}FETCH {members} {person.items}"
                case _:
                    text = "NOOP"
            person.client._tag += 1
            tag = f"t{person.client._tag}"
            await self._overhear(person)
            self._note(person, "C", f"{tag} {text}".encode())
            person.client.send(f"{tag} {text}\r\n".encode())
            sent.append((person, tag, text))
            if keyword:
                marked.append((person, tag, keyword, set(uids)))
        answers = {(id(person), tag): await self._answered(person, tag, text) for person, tag, text in sent}
        await self._adopt()
        for person, _, text in sent:
            if text.startswith("APPEND"):
                await self._learn(person)
            if person.asked is not None:
                person.figures = {}
                await self._ask_figures(person)
        for person, tag, keyword, meant in marked:
            assert person.box is not None
            may = person.box.allowed(person.who, keyword) and not person.examined
            holders = {uid for uid, (flags, _) in person.box.truth["anna"].messages.items() if keyword in flags}
            assert holders == (meant & person.box.messages.keys() if may else set()), (keyword, holders, meant)
            # Where all of them were gone nothing was refused either.
            assert answers[id(person), tag].ok is may or not meant & person.box.messages.keys()


def machine_for(runner: asyncio.Runner, house: House, port: int) -> type[Mailboxes]:
    return type("MailboxesOfAHouse", (Mailboxes,), {"runner": runner, "house": house, "port": port})


def test_what_is_told_while_a_client_begins_to_idle_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest after a look ends just when IDLE is on its way: STATUS comes before the server is ready for DONE."""
    monkeypatch.setattr(watching, "REST", 0.2)
    monkeypatch.setattr(sys.modules[__name__], "PATIENCE", 2.0)
    with asyncio.Runner() as runner:
        stack = housed(tmp_path)
        house = runner.run(stack.__aenter__())
        try:
            machine = machine_for(runner, house, runner.run(house.listen()))()
            machine.furnish(modes=("rev2", "rev2", "uidonly"), third="bruno", private=False, count=3)
            machine.ask_to_be_told(which=2, selected="selected-delayed", events="new flags", fetches=True, which_else="mailboxes",
                                   beyond="new flags", status=True)  # fmt: skip
            runner.run(asyncio.sleep(0.5))
            machine.mark_in_silence(which=1, picked=[0], by_uid=True, flag="\\Flagged")
            machine.who_idles_is_told()
            machine.replace(which=1, picked=[1], form=4, other=True, flags=[])
            # The loop stands still until the rest is over.
            time.sleep(0.4)
            machine.get_in_step(which=2, how="IDLE")
            machine.teardown()
        finally:
            runner.run(stack.__aexit__(None, None, None))


@pytest.mark.timeout(0 if LONG else 120)
@pytest.mark.parametrize("tight", [False, True], ids=["as it is", "with short memories"])
def test_every_picture_comes_out_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tight: bool) -> None:
    # Who follows folders is told at most so often.
    monkeypatch.setattr(watching, "REST", 0.01)
    if tight:
        # What is otherwise met only after tens of thousands of changes: views that are behind the log, runs that are spelled roughly.
        monkeypatch.setattr(view, "LOG_LIMIT", 2)
        monkeypatch.setattr(log, "MOST_RUNS", 1)
    with asyncio.Runner() as runner:
        stack = housed(tmp_path)
        house = runner.run(stack.__aenter__())
        try:
            port = runner.run(house.listen())
            run_state_machine_as_test(
                machine_for(runner, house, port),
                settings=settings(
                    max_examples=LONG or 75,
                    stateful_step_count=STEPS,
                    derandomize=not LONG,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                    print_blob=False,
                    phases=PHASES,
                ),
            )
        finally:
            runner.run(stack.__aexit__(None, None, None))
