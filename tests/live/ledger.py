"""What clients did to a server, what of it was acknowledged, and whether a server that was killed still knows (robustness.md section 5)."""

from __future__ import annotations

import itertools
import re
import smtplib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.live.server import Server
from tests.live.talk import Talk


def is_gone(fault: BaseException) -> bool:
    """Whether a client noticed no more than that the server was killed. (smtplib's exceptions are all OSErrors.)"""
    if isinstance(fault, smtplib.SMTPException):
        return isinstance(fault, smtplib.SMTPServerDisconnected)
    return isinstance(fault, OSError | EOFError)


@dataclass
class Message:
    """One message on its way: an attempt was begun; `acknowledged` once the server said it has it."""

    number: str
    places: tuple[str, ...]
    """`user folder` for every mailbox that is to have it."""
    acknowledged: bool = False
    uid: int | None = None
    """As APPENDUID or COPYUID told."""


@dataclass
class Flags:
    """One message's flags: what was acknowledged last, and what was tried after that."""

    known: frozenset[str]
    tried: frozenset[str] | None = None


@dataclass
class Ledger:
    """Written by many clients at once."""

    messages: dict[str, Message] = field(default_factory=dict)
    flags: dict[tuple[str, str], Flags] = field(default_factory=dict)
    """(place, message) → flags."""
    moves: dict[str, tuple[frozenset[str], bool]] = field(default_factory=dict)
    """Message → the places it may be in, and whether it must be there (always, for a MOVE loses nothing)."""
    expunged: dict[str, set[int]] = field(default_factory=dict)
    """Place → UIDs whose expunging was acknowledged."""
    expunging: dict[str, set[int]] = field(default_factory=dict)
    seen: dict[str, dict[int, str]] = field(default_factory=dict)
    """Place → UID → message, over all observations: no UID ever names two."""
    validity: dict[str, str] = field(default_factory=dict)
    modseq: dict[str, int] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, *places: str) -> Message:
        with self._lock:
            message = Message(f"m{next(self._numbers)}", places)
            self.messages[message.number] = message
            for place in places:
                self.expunged.setdefault(place, set())
                self.expunging.setdefault(place, set())
            return message

    def named(self, place: str, uid: int, number: str) -> None:
        """A UID that was told or seen."""
        with self._lock:
            known = self.seen.setdefault(place, {}).setdefault(uid, number)
        assert known == number, f"UID {uid} of {place} was {known} and is {number}"

    @property
    def acknowledged(self) -> int:
        return sum(one.acknowledged for one in self.messages.values())


def octets(message: Message, sender: str) -> bytes:
    head = f"From: <{sender}>\r\nTo: <somebody@acme.test>\r\nSubject: {message.number}\r\nMessage-ID: <{message.number}@ledger.test>\r\n"
    return (head + f"\r\n{message.number}\r\n" + "what is not written down is soon forgotten\r\n" * 20).encode()


# --- what clients do


Work = Callable[[], None]
"""One action of a client, ever again until the server is gone."""


def submitting(server: Server, ledger: Ledger, user: str, recipients: tuple[str, ...], places: tuple[str, ...]) -> Work:
    client = server.smtp(user)

    def work() -> None:
        message = ledger.begin(*places)
        refused = client.sendmail(user, recipients, octets(message, user))
        message.acknowledged = not refused

    return work


def handing_in(server: Server, ledger: Ledger, recipient: str) -> Work:
    client = server.lmtp()
    client.ehlo()

    def work() -> None:
        message = ledger.begin(f"{recipient} INBOX")
        client.sendmail("stranger@elsewhere.test", [recipient], octets(message, "stranger@elsewhere.test"))
        message.acknowledged = True

    return work


def appending(server: Server, ledger: Ledger, user: str, folder: str) -> Work:
    talk = Talk(server.ports["imap"], user)

    def work() -> None:
        append(talk, ledger, user, folder)

    return work


def append(talk: Talk, ledger: Ledger, user: str, folder: str, flags: str = "") -> tuple[Message, int]:
    message = ledger.begin(f"{user} {folder}")
    answer = talk.ok(f"APPEND {folder} ({flags})", octets(message, user))
    found = re.search(r"\[APPENDUID (\d+) (\d+)\]", answer.tagged)
    assert found is not None, answer.tagged
    message.uid = int(found[2])
    message.acknowledged = True
    ledger.named(f"{user} {folder}", message.uid, message.number)
    return message, message.uid


def flagging(server: Server, ledger: Ledger, user: str, folder: str, uids: dict[str, int]) -> Work:
    """Sets the flags of one message after the other, every time others. `uids`: message → UID."""
    talk = Talk(server.ports["imap"], user)
    talk.ok(f"SELECT {folder}")
    kinds = itertools.cycle([{"\\Seen"}, {"\\Flagged", "\\Answered"}, set(), {"$Forwarded", "\\Draft"}, {"\\Seen", "Work"}])
    numbers = itertools.cycle(sorted(uids))

    def work() -> None:
        number = next(numbers)
        wanted = frozenset(next(kinds))
        entry = ledger.flags[f"{user} {folder}", number]
        entry.tried = wanted
        talk.ok(f"UID STORE {uids[number]} FLAGS.SILENT ({' '.join(sorted(wanted))})")
        entry.known, entry.tried = wanted, None

    return work


def moving(server: Server, ledger: Ledger, user: str, one: str, other: str) -> Work:
    """Moves messages there and back."""
    talk = Talk(server.ports["imap"], user)
    where = [one, other]

    def work() -> None:
        source, target = where
        talk.ok(f"SELECT {source}")
        found = contents(talk, source, selected=True)
        for uid, number in list(found.items())[:5]:
            ledger.moves[number] = (frozenset((f"{user} {source}", f"{user} {target}")), True)
            lines = talk.ok(f"UID MOVE {uid} {target}").lines
            told = re.search(rb"\[COPYUID \d+ (\d+) (\d+)\]", b"\n".join(lines))
            assert told is not None, lines
            assert int(told[1]) == uid
            ledger.named(f"{user} {target}", int(told[2]), number)
            ledger.moves[number] = (frozenset((f"{user} {target}",)), True)
        where.reverse()

    return work


def copying(server: Server, ledger: Ledger, user: str, source: str, target: str) -> Work:
    """Copies are told apart by their UIDs alone; how many there may be is counted."""
    talk = Talk(server.ports["imap"], user)
    talk.ok(f"SELECT {source}")
    found = contents(talk, source, selected=True)
    uid, number = next(iter(found.items()))

    def work() -> None:
        copy = ledger.begin(f"{user} {target}")
        copy.number, alias = number, copy.number
        answer = talk.ok(f"UID COPY {uid} {target}")
        told = re.search(r"\[COPYUID \d+ (\d+) (\d+)\]", answer.tagged)
        assert told is not None, answer.tagged
        ledger.named(f"{user} {target}", int(told[2]), number)
        ledger.messages[alias].uid = int(told[2])
        ledger.messages[alias].acknowledged = True

    return work


def expunging(server: Server, ledger: Ledger, user: str, folder: str) -> Work:
    """Appends and expunges the one before."""
    talk = Talk(server.ports["imap"], user)
    talk.ok(f"SELECT {folder}")
    place = f"{user} {folder}"
    before: list[int] = []

    def work() -> None:
        _, uid = append(talk, ledger, user, folder, "\\Deleted")
        if before:
            old = before.pop()
            ledger.expunging.setdefault(place, set()).add(old)
            talk.ok(f"UID EXPUNGE {old}")
            ledger.expunged.setdefault(place, set()).add(old)
        before.append(uid)

    return work


class Load:
    """Clients, each in a thread: all are logged in before the first begins."""

    def __init__(self, makers: list[Callable[[], Work]]) -> None:
        self._works = [made() for made in makers]
        self._go = threading.Event()
        self._stop = threading.Event()
        self.actions = 0
        self.faults: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(work,)) for work in self._works]
        for thread in self._threads:
            thread.start()

    def begin(self) -> None:
        self._go.set()

    def _run(self, work: Work) -> None:
        self._go.wait()
        while not self._stop.is_set():
            try:
                work()
            except Exception as fault:
                self.faults.append(fault)
                return
            self.actions += 1

    def end(self) -> None:
        self._stop.set()
        self._go.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client still waits for an answer"


# --- what the server still knows


def contents(talk: Talk, folder: str, *, first: int = 1, selected: bool = False) -> dict[int, str]:
    """UID → the number in the Message-ID, ascending."""
    if not selected:
        talk.ok(f"EXAMINE {folder}")
    found: dict[int, str] = {}
    for line in talk.ok(f"UID FETCH {first}:* (UID BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])").about("FETCH"):
        uid = re.search(rb"UID (\d+)", line)
        number = re.search(rb"<(m\d+)@ledger\.test>", line)
        assert uid is not None, line
        if int(uid[1]) >= first:
            assert int(uid[1]) > max(found, default=0), "UIDs ascend"
            found[int(uid[1])] = number[1].decode() if number else "?"
    return found


def check(server: Server, ledger: Ledger) -> int:
    """Compares every folder the ledger speaks of with what is there; how many messages there are. Raises AssertionError."""
    places = {place for message in ledger.messages.values() for place in message.places} | {
        place for where, _ in ledger.moves.values() for place in where
    }
    there: dict[str, dict[int, str]] = {}
    for user in sorted({place.split(" ")[0] for place in places}):
        with Talk(server.ports["imap"], user) as talk:
            for place in sorted(one for one in places if one.startswith(user + " ")):
                there[place] = _look(talk, ledger, place)
    _compare(ledger, there)
    return sum(map(len, there.values()))


def _look(talk: Talk, ledger: Ledger, place: str) -> dict[int, str]:
    folder = place.split(" ")[1]
    answer = talk.ok(f"EXAMINE {folder}")
    validity = answer.code("UIDVALIDITY")
    assert validity is not None
    assert ledger.validity.setdefault(place, validity) == validity, f"UIDVALIDITY of {place}"
    modseq = answer.code("HIGHESTMODSEQ")
    if modseq is not None:
        assert int(modseq) >= ledger.modseq.get(place, 0), f"HIGHESTMODSEQ of {place} fell"
        ledger.modseq[place] = int(modseq)
    found = contents(talk, folder, selected=True)
    for uid, number in found.items():
        ledger.named(place, uid, number)
    next_uid = answer.code("UIDNEXT")
    assert next_uid is not None
    assert int(next_uid) > max(ledger.seen.get(place, {0: ""}), default=0), f"UIDNEXT of {place} fell behind a UID that was told"
    expected = {number: entry for (where, number), entry in ledger.flags.items() if where == place}
    if expected:
        flags = talk.flags(folder)
        for uid, number in found.items():
            entry = expected.get(number)
            if entry is not None:
                may = {entry.known} | ({entry.tried} if entry.tried is not None else set())
                is_now = frozenset(flags[str(uid)])
                assert is_now in may, f"{number} in {place} has {sorted(is_now)}, not {sorted(map(sorted, may))}"
                entry.known, entry.tried = is_now, None
    return found


def _compare(ledger: Ledger, there: dict[str, dict[int, str]]) -> None:
    must: Counter[tuple[str, str]] = Counter()
    may: Counter[tuple[str, str]] = Counter()
    for message in ledger.messages.values():
        for place in message.places:
            gone = message.uid is not None and message.uid in ledger.expunging.get(place, ())
            if message.number in ledger.moves:
                continue
            may[place, message.number] += 1
            if message.acknowledged and not gone:
                must[place, message.number] += 1
    found = Counter((place, number) for place, uids in there.items() for number in uids.values())
    for (place, number), count in must.items():
        assert found[place, number] >= count, f"{number} was acknowledged and is {found[place, number]} times in {place}, not {count}"
    for (place, number), count in found.items():
        if number not in ledger.moves:
            assert count <= may[place, number], f"{number} is {count} times in {place}, {may[place, number]} attempts were made"
    for place, uids in ledger.expunged.items():
        assert not uids & there.get(place, {}).keys(), f"what was expunged from {place} is there again"
    for number, (where, _) in ledger.moves.items():
        times = [place for place, uids in there.items() for one in uids.values() if one == number]
        assert len(times) == 1, f"{number}, which was moved, is in {times}"
        assert times[0] in where, f"{number}, which was moved to {sorted(where)}, is in {times}"
