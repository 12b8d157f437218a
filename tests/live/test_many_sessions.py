"""Many sessions in one mailbox, of its owner and of delegates, that do at random whatever they may: what each was told is what is there.

PROCURA_SOAK=1: for minutes.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.live.server import Server, compose
from tests.live.talk import Answer
from tests.live.watching import Flags, Point, Seen, Watching, fresh, resynchronized

LONG = os.environ.get("PROCURA_SOAK") == "1"
ROUNDS = int(os.environ.get("MANY_ROUNDS", "90" if LONG else "9"))
DEEDS = (25 if LONG else 12, 2, 1)
"""Of each session, between two quiet points, in turn: after few, what got lost is not told by what comes next."""
SEED = int(os.environ.get("MANY_SEED", "7"))
"""Of what each does; what comes between is the machine's."""

OWNER = "owner@acme.test"
RIGHTS = {"full": "lrswikxte", "marker": "lrsw", "reader": "lrs", "looker": "lr", "remover": "lrte", "filer": "lri"}
SYSTEM = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted")
WORDS = tuple(f"word{number}" for number in range(66))
"""More than a folder takes (58)."""
MESSAGE = compose("a@elsewhere.test", OWNER, "one")
HOUSEHOLD = 24
"""Messages that it has about."""

# Who, what it enables, how it lives.
SESSIONS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("owner", (), "polls"),
    ("owner", ("CONDSTORE",), "polls"),
    ("owner", ("QRESYNC",), "polls"),
    ("owner", (), "never polls"),
    ("owner", (), "idles"),
    ("owner", ("QRESYNC",), "is notified"),
    ("full", (), "polls"),
    ("full", ("QRESYNC",), "idles"),
    ("full", ("UIDONLY", "CONDSTORE"), "polls"),
    ("full", ("CONDSTORE",), "never polls"),
    ("full", (), "is notified"),
    ("marker", ("QRESYNC",), "polls"),
    ("reader", (), "polls"),
    ("looker", ("CONDSTORE",), "idles"),
    ("remover", (), "polls"),
    ("filer", ("QRESYNC",), "never polls"),
)


class Doer:
    """A session, what it does, and its own dice."""

    def __init__(self, port: int, who: str, enabled: tuple[str, ...], way: str, folder: str, seed: int) -> None:
        self.who, self.way = who, way
        self.user = f"{who}@acme.test"
        self.whole = who in {"owner", "full"}
        self.dice = random.Random(seed)
        prefix = "" if who == "owner" else "Other Users/owner/"
        self.folder, self.aside = f'"{prefix}{folder}"', f'"{prefix}aside"'
        self.session = Watching(port, self.user, self.folder, enabled)
        self.did: Counter[str] = Counter()
        self.session.select()
        if way == "is notified":
            items = "(UID FLAGS MODSEQ)" if enabled else "(UID FLAGS)"
            self.session.noticing = True
            self.session.run(f"NOTIFY SET (SELECTED (MessageNew {items} MessageExpunge FlagChange))")

    # --- deeds

    def deeds(self) -> list[Callable[[], Answer | None]]:
        found: list[Callable[[], Answer | None]] = [self.store] * 6 + [self.fetch] * 2 + [self.read] * 2
        if self.way == "never polls":
            return found
        found += [self.poll] * 2 + [self.append] * (2 if len(self.session.messages) < HOUSEHOLD else 1)
        if self.who in {"owner", "full", "remover"}:
            found += [self.expunge, self.uid_expunge]
        if self.whole:
            found += [self.copy, self.move] * (2 if len(self.session.messages) > 4 else 0)
        return [*found, self.reselect]

    def act(self) -> None:
        if self.way == "idles" and self.dice.random() < 0.6:
            self.idle(self.dice.random() * 0.05)
        else:
            deed = self.dice.choice(self.deeds())
            answer = deed()
            if answer is not None:
                self.did[f"{deed.__name__} {answer.kind}"] += 1
        if self.way != "never polls":
            self.session.learn()

    def some(self) -> tuple[str, str, list[Seen]]:
        """The command's prefix, a set, and which messages it means."""
        there = [one for one in self.session.messages if one.uid is not None]
        chosen = self.dice.sample(there, min(len(there), self.dice.choice((1, 1, 1, 2, 3, 9))))
        if self.session.by_uid or self.session.noticing or (self.way != "never polls" and self.dice.random() < 0.4):
            return "UID ", ",".join(str(one.uid) for one in chosen), chosen
        numbers = {id(one): number for number, one in enumerate(self.session.messages, 1)}
        return "", ",".join(str(numbers[id(one)]) for one in chosen), chosen

    def said(self, prefix: str, command: str, effect: Callable[[set[int]], None] | None = None) -> Answer:
        """FETCH and STORE: while they name numbers, none may change."""
        self.session.keeps_numbers = not prefix
        try:
            return self.session.run(prefix + command, effect=effect)
        finally:
            self.session.keeps_numbers = False

    def store(self) -> Answer | None:
        prefix, numbers, chosen = self.some()
        if not chosen:
            return None
        words = frozenset(self.dice.sample([*SYSTEM, *SYSTEM, *WORDS], self.dice.choice((1, 1, 2, 3))))
        sign = self.dice.choice("+++--=") if self.whole else self.dice.choice("+-")
        silent = self.whole and self.dice.random() < 0.4
        since = ""
        if self.session.enabled and self.dice.random() < 0.4:
            behind = self.dice.choice((0, 0, 3, 10))
            since = f" (UNCHANGEDSINCE {max(0, max(one.modseq or 0 for one in chosen) - behind)})"
        by = {one.uid if prefix else self.session.messages.index(one) + 1: one for one in chosen}

        def changed(flags: Flags) -> Flags:
            return flags | words if sign == "+" else flags - words if sign == "-" else words

        def effect(modified: set[int]) -> None:
            self.session.expects([one for number, one in by.items() if number not in modified], changed)

        mode = sign.replace("=", "") + "FLAGS" + (".SILENT" if silent else "")
        answer = self.said(prefix, f"STORE {numbers}{since} {mode} ({' '.join(sorted(words))})", effect if silent else None)
        if silent and answer.kind not in {"OK", "OK MODIFIED", "NO LIMIT"} and (since or answer.kind != "OK EXPUNGEISSUED"):
            # What of it was done it has to ask.
            for one in chosen:
                one.flags = None
        return answer

    def fetch(self) -> Answer | None:
        prefix, numbers, chosen = self.some()
        return self.said(prefix, f"FETCH {numbers} (UID FLAGS)") if chosen else None

    def read(self) -> Answer | None:
        prefix, numbers, chosen = self.some()
        return self.said(prefix, f"FETCH {numbers} (BODY[])") if chosen else None

    def poll(self) -> Answer:
        return self.session.run("NOOP")

    def append(self) -> Answer:
        flags = " ".join(self.dice.sample([*SYSTEM, *WORDS], 2))
        return self.session.run(f"APPEND {self.folder} ({flags})", MESSAGE)

    def expunge(self) -> Answer | None:
        if self.dice.random() < 0.5:
            return None
        return self.session.run("EXPUNGE")

    def uid_expunge(self) -> Answer | None:
        chosen = [one for one in self.session.messages if one.uid is not None and "\\Deleted" in (one.flags or ())][:3]
        return self.session.run(f"UID EXPUNGE {','.join(str(one.uid) for one in chosen)}") if chosen else None

    def copy(self) -> Answer | None:
        prefix, numbers, chosen = self.some()
        few = len(self.session.messages) < HOUSEHOLD
        return self.session.run(f"{prefix}COPY {numbers} {self.folder if few else self.aside}") if chosen else None

    def move(self) -> Answer | None:
        prefix, numbers, chosen = self.some()
        where = self.dice.choice((self.folder, self.aside)) if len(self.session.messages) < HOUSEHOLD else self.aside
        return self.session.run(f"{prefix}MOVE {numbers} {where}") if chosen else None

    def reselect(self) -> Answer | None:
        if self.dice.random() < 0.7 or self.session.noticing:
            return None
        self.session.run(self.dice.choice(("CLOSE", "UNSELECT")))
        return self.session.select()

    def idle(self, seconds: float) -> None:
        self.session.history.append("C IDLE")
        tag = self.session.start("IDLE")
        while not (line := self.session.line()).startswith(b"+"):
            self.session.told(line)
        try:
            while True:
                self.session.told(self.session.line(seconds))
        except TimeoutError:
            self.session.history.append("C DONE")
        self.session.took(self.session.done(tag))

    # --- quiet points

    def settle(self) -> None:
        """Whoever idles is told by that; the others ask."""
        if self.way == "idles":
            self.idle(0.25)
        else:
            self.session.run("NOOP")
        self.session.learn()

    def compare(self, there: Point) -> None:
        mine = self.session.picture()
        told = self.session.enabled
        wanted = {uid: (flags, modseq if told else None) for uid, (flags, modseq) in there.shown.items()}
        shown = {uid: (flags, modseq if told else None) for uid, (flags, modseq) in mine.items()}
        if shown != wanted:
            other = {uid: (shown.get(uid), wanted.get(uid)) for uid in shown.keys() | wanted.keys() if shown.get(uid) != wanted.get(uid)}
            self.session.fault(f"told and there: {other}")


def each(doers: list[Doer], do: Callable[[Doer], None]) -> None:
    """All at once; what they raise is found afterwards."""

    def guarded(doer: Doer) -> None:
        try:
            do(doer)
        except Exception as error:
            doer.session.fault(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=guarded, args=(doer,)) for doer in doers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
        assert not thread.is_alive(), "a session hangs"


def live(doer: Doer, turn: int) -> None:
    deeds = DEEDS[turn % len(DEEDS)]
    for _ in range(deeds):
        if deeds < 3 and doer.dice.random() < 0.7:
            doer.store()
        else:
            doer.act()


def played(server: Server, seen: str, seed: int) -> Counter[str]:
    """Rounds in a folder whose \\Seen is shared or private; what was done."""
    folder = f"common {seen} {seed}"
    did: Counter[str] = Counter()
    port = server.ports["imap"]
    with Watching(port, OWNER, folder) as owner:
        owner.ok(f'CREATE "{folder}"')
        owner.do('CREATE "aside"')
        for name, rights in RIGHTS.items():
            owner.ok(f'SETACL "{folder}" {name}@acme.test {rights}')
            owner.ok(f'SETACL "aside" {name}@acme.test {rights}')
        for _ in range(HOUSEHOLD):
            owner.ok(f'APPEND "{folder}"', MESSAGE)
    server.prov(f"selectMailbox {OWNER} modifyFolder '/{folder}' seen {seen}")
    dice = random.Random(seed)
    points: dict[str, list[Point]] = {}
    with ExitStack() as stack:
        doers = [Doer(port, *row, folder, seed * 100 + number) for number, row in enumerate(SESSIONS)]
        for doer in doers:
            stack.enter_context(doer.session)
        folders = {doer.user: doer.folder for doer in doers}
        for turn in range(ROUNDS):
            each(doers, partial(live, turn=turn))
            each(doers, Doer.settle)
            there = {user: fresh(port, user, where) for user, where in folders.items()}
            for doer in doers:
                doer.compare(there[doer.user])
            faults = [
                f"{doer.who} {doer.session.enabled} {doer.way}, {seen}, seed {seed}, turn {turn}: {fault}"
                for doer in doers
                for fault in doer.session.faults[:2]
            ]
            assert not faults, "\n".join(faults)
            for user, now in there.items():
                earlier = points.setdefault(user, [])
                assert not earlier or earlier[-1].highest <= now.highest
                earlier.append(now)
                since = dice.choice(earlier)
                assert resynchronized(port, user, folders[user], since) == now, (user, since, now)
        for doer in doers:
            did.update(doer.did)
    return did


@pytest.mark.timeout(1200 if LONG else 120)
@pytest.mark.parametrize("seen", ["shared", "private"])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_each_was_told_is_what_is_there(tmp_path: Path, workers: int, seen: str) -> None:
    with Server(tmp_path, {"workers": workers, "limits.connections_per_source": 200}) as server:
        server.people("owner", *RIGHTS)
        did = played(server, seen, SEED)
    kinds = {name.split(" ")[0] for name, count in did.items() if name.split(" ")[1] == "OK" and count}
    assert {"store", "fetch", "read", "append", "copy", "move", "poll"} <= kinds


CROSSING_SECONDS = 60.0 if LONG else 4.0


def test_what_is_notified_crosses_silent_changes(tmp_path: Path) -> None:
    """Of the same messages, at the same time: whoever says .SILENT and is told of another's change knows both."""
    with Server(tmp_path) as server, ExitStack() as stack:
        server.people("owner")
        port = server.ports["imap"]
        sessions = [stack.enter_context(Watching(port, OWNER, "INBOX", enabled)) for enabled in ((), ("CONDSTORE",), ("QRESYNC",), (), ())]
        for _ in range(3):
            sessions[0].ok("APPEND INBOX", MESSAGE)
        for number, session in enumerate(sessions):
            session.select()
            if number < 3:
                session.noticing = True
                session.run("NOTIFY SET (SELECTED (MessageNew (UID FLAGS) MessageExpunge FlagChange))")
        end, turn = time.monotonic() + CROSSING_SECONDS, 0
        while time.monotonic() < end:
            turn += 1
            threads = [threading.Thread(target=_crossing, args=(session, f"of{number}", turn)) for number, session in enumerate(sessions)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
            for session in sessions:
                session.run("NOOP")
            there = {uid: flags for uid, (flags, _) in fresh(port, OWNER, "INBOX").shown.items()}
            for session in sessions:
                told = {uid: flags for uid, (flags, _) in session.picture().items()}
                assert (told, session.faults) == (there, []), "\n".join([f"turn {turn}", *session.history[-40:]])


def _crossing(session: Watching, word: str, turn: int) -> None:
    dice = random.Random(f"{turn} {word}")
    for _ in range(6):
        one, chosen, sign = dice.choice(session.messages[:2]), frozenset({f"{word}{dice.randrange(2)}"}), dice.choice("+-")
        if not session.noticing:
            session.run(f"UID STORE 1:{one.uid} {sign}FLAGS ({' '.join(chosen)})")
            continue

        def effect(_: set[int], one: Seen = one, chosen: Flags = chosen, sign: str = sign) -> None:
            session.expects([one], lambda flags: flags | chosen if sign == "+" else flags - chosen)

        session.run(f"UID STORE {one.uid} {sign}FLAGS.SILENT ({' '.join(chosen)})", effect=effect)
