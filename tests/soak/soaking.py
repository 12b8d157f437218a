"""A house under mixed load for so many minutes, in which processes die and rights change; what was wrong at its end, and a report."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.ha.clients import Client, Load, appending, expunging, handing_in, relaying, submitting
from tests.live import ledger as books
from tests.live.ledger import Ledger, Message
from tests.soak import house, samples
from tests.soak.killing import Killer
from tests.soak.relay import Relay
from tests.soak.rights import Statuses, Taken, delegating, granting, idling, logging_in, visiting
from tests.soak.samples import Sampler
from tests.soak.tidying import Folder, tidying

CALM: Final = 0.5
"""From this share of the time on nobody is killed: a process that is new every minute cannot grow."""
WARM: Final = 0.6
"""From this share on growth is measured."""
DOUBLES_OF_A_KILL: Final = 10
"""Mails to others that may be on their way when the writer is killed (queue.destination_concurrency): each may go out once more."""
EMPTIED: Final = 90.0
"""Seconds in which the queue has to be empty when the next hop behaves."""
ENDED: Final = 60.0


@dataclass
class Report:
    """`wrong`: what did not hold; empty is well."""

    seed: int
    minutes: float
    wrong: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def spelled(self) -> str:
        """Table and text."""
        end = [f"WRONG: {one}" for one in self.wrong] or ["nothing was lost or doubled, nothing grew, nothing was left behind"]
        return "\n".join([f"soak: {self.minutes:g} min, seed {self.seed}", *self.told, *end])


@dataclass
class Soak:
    """`pace`: seconds each client rests behind an action."""

    directory: Path
    minutes: float
    seed: int
    pace: float = 0.1
    ledger: Ledger = field(default_factory=Ledger)
    refused: set[str] = field(default_factory=set)
    sent: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.report = Report(self.seed, self.minutes)
        self.seconds = self.minutes * 60
        self.relay = Relay(self.chance("relay"))
        self.server = house.made(self.directory, self.relay.port)
        self.stop = threading.Event()
        self.calm = threading.Event()
        self.guest = Taken("a folder")
        self.fickle = Taken("an account")
        inbox, team = Folder(house.SINK, "INBOX"), Folder(house.BOSS, "Team")
        self.folders = [inbox, team, *(Folder(house.WORKER, name) for name in ("Appended", "Copies", "Expunged"))]

    def chance(self, whose: str) -> random.Random:
        """By the seed, of its own, so that who comes first does not change the others'."""
        return random.Random(f"{self.seed} {whose}")

    def clients(self, flagged: dict[str, int]) -> list[Client]:
        """Everybody who does something all the time."""
        server, ledger, refused = self.server, self.ledger, self.refused
        whatever: list[tuple[str, Callable[[], Callable[[], None]]]] = [
            ("submits", submitting(server, ledger, refused, house.SENDER, house.SINK)),
            ("submits to the fickle", submitting(server, ledger, refused, house.SENDER, house.FICKLE)),
            ("hands in", handing_in(server, ledger, refused, house.SINK)),
            ("hands in too", handing_in(server, ledger, refused, house.SINK)),
            ("relays", relaying(server, ledger, refused, house.SENDER, self.sent)),
            ("sends as the boss", self._sending_as),
            ("appends", appending(server, ledger, refused, house.WORKER, "Appended")),
            ("expunges", expunging(server, ledger, house.WORKER, "Expunged")),
            ("flags", lambda: books.flagging(server, ledger, house.WORKER, "Flagged", flagged)),
            ("moves", lambda: books.moving(server, ledger, house.WORKER, "Here", "There")),
            ("copies", lambda: books.copying(server, ledger, house.WORKER, "Source", "Copies")),
            ("files for the boss", delegating(server, ledger, refused, house.COLLEAGUE)),
            *((f"tidies {one.place}", tidying(server, ledger, one)) for one in self.folders),
            ("idles", idling(server, house.SINK, "INBOX")),
            ("idles at the boss's", idling(server, house.COLLEAGUE, '"Other Users/boss/Team"')),
            ("grants", granting(server, self.guest, self.chance("grants"), self.stop)),
            ("visits", visiting(server, self.guest)),
            ("visits too", visiting(server, self.guest)),
            ("logs in", logging_in(server, self.fickle)),
        ]
        return [Client(name, make) for name, make in whatever]

    def _sending_as(self) -> Callable[[], None]:
        client = self.server.smtp(house.COLLEAGUE)

        def work() -> None:
            message = self.ledger.begin(f"{house.SINK} INBOX")
            client.sendmail(house.BOSS, [house.SINK], books.octets(message, house.BOSS))
            message.acknowledged = True

        return work

    # --- the whole

    def run(self) -> Report:
        """Never raises for what the server did: that is in the report."""
        try:
            self.server.start()
            self._under_load(house.furnished(self.server, self.ledger))
            self._afterwards()
        finally:
            self._ended()
            self.relay.close()
        return self.report

    def _under_load(self, flagged: dict[str, int]) -> None:
        sampler = Sampler(self.server, max(0.25, self.seconds / 240), self.stop)
        # A process that ends again within ten seconds is waited with: in a short run they die closer together, but not all the time.
        pause = (4.0, 15.0) if self.seconds > 120 else (self.seconds / 10, self.seconds / 6)
        killer = Killer(self.server, self.chance("kills"), self.calm, pause)
        statuses = Statuses(self.server, self.fickle, self.chance("statuses"), self.stop)
        clients = self.clients(flagged)
        load = Load(clients, self.pace)
        with load:
            for thread in (sampler, killer, statuses):
                thread.start()
            time.sleep(self.seconds * CALM)
            self.calm.set()
            killer.join()
            time.sleep(self.seconds * (1 - CALM))
            self.stop.set()
            for thread in (sampler, statuses):
                thread.join()
        statuses.set("active")
        warm = self.seconds * WARM
        wrong = self.report.wrong
        wrong += [f"{one.name}: {said}" for one in clients for said in one.wrong[:5]]
        wrong += [
            f"{one.name} waited 20 s for an answer, {one.put_off['TimeoutError']} times" for one in clients if one.put_off["TimeoutError"]
        ]
        wrong += [f"{one.name} did nothing" for one in clients if not one.done]
        wrong += [*killer.wrong, *sampler.wrong, *statuses.wrong, *self.guest.wrong[:5], *self.fickle.wrong[:5]]
        wrong += samples.growing(samples.settled(sampler.samples, warm))
        wrong += [said for one in self.folders for said in one.doubled[:5]]
        told = self.report.told
        told += samples.table(sampler.samples, warm)
        told.append(f"slopes are those behind {warm:.0f} s; the last kill was before {self.seconds * CALM:.0f} s")
        told.append("actions: " + ", ".join(f"{one.name} {len(one.done)}" for one in clients))
        put_off = sum((one.put_off for one in clients), Counter[str]())
        told.append(
            "cut off or put off, and done again: " + (", ".join(f"{count} {how}" for how, count in put_off.most_common()) or "none")
        )
        killed = ", ".join(f"{count} {name}" for name, count in sorted(killer.killed.items())) or "nobody"
        told.append(f"kill -9: {killed}; whole again after {killer.slowest:.1f} s at most")
        for one in (self.guest, self.fickle):
            told.append(
                f"{one.what} was taken {one.times} times, {one.tried} tries, {one.refused} in vain, the last got it {one.late:.2f} s after"
            )
        told.append("the next hop: " + ", ".join(f"{count} {way}" for way, count in sorted(self.relay.ways.items())))
        self._writers_killed = killer.killed["keeper"]

    def _afterwards(self) -> None:
        self.relay.behave()
        end = time.monotonic() + EMPTIED
        while (waiting := self._waiting()) and time.monotonic() < end:
            time.sleep(0.2)
        if waiting:
            self.report.wrong.append(f"{waiting} wait in the queue {EMPTIED:.0f} s after the next hop began to behave")
        self._relayed()
        try:
            there = books.check(self.server, self.ledger)
        except AssertionError as fault:
            self.report.wrong.append(f"the ledger: {fault}")
            there = -1
        seen = {number for uids in self.ledger.seen.values() for number in uids.values()}
        if self.refused & seen:
            self.report.wrong.append(f"what was refused is there: {sorted(self.refused & seen)[:5]}")
        self.report.told.append(
            f"{self.ledger.acknowledged} messages acknowledged of {len(self.ledger.messages)} begun, "
            f"{sum(one.expunged for one in self.folders)} read and expunged, {there} there at the end"
        )
        done = self.server.run("verify", check=False)
        if done.returncode:
            self.report.wrong.append(f"procura verify: {done.stdout[-1000:]}{done.stderr[-500:]}")

    def _waiting(self) -> int:
        with closing(sqlite3.connect(f"file:{self.server.data}/procura.db?mode=ro", uri=True, timeout=5)) as database:
            (count,) = database.execute("SELECT count(*) FROM queue").fetchone()
        return int(count)

    def _relayed(self) -> None:
        taken = self.relay.taken
        lost = [one.number for one in self.sent if one.acknowledged and not taken[one.number]]
        if lost:
            self.report.wrong.append(f"{len(lost)} mails to others were acknowledged and never sent: {lost[:5]}")
        doubles = sum(count - 1 for count in taken.values())
        if doubles > self._writers_killed * DOUBLES_OF_A_KILL:
            self.report.wrong.append(f"{doubles} mails were sent twice, the writer was killed {self._writers_killed} times")
        self.report.told.append(f"to others: {len(taken)} taken, {doubles} of them twice")

    def _ended(self) -> None:
        server = self.server
        assert server.process is not None
        there = samples.pids(server) if server.process.poll() is None else []
        code = server.stop(ENDED)
        end = time.monotonic() + 5
        while (left := [pid for pid in there if Path(f"/proc/{pid}").exists()]) and time.monotonic() < end:
            time.sleep(0.05)
        if code or not there:
            self.report.wrong.append(f"the server ended with {code}")
        if left:
            self.report.wrong.append(f"processes are left: {left}")
        log = server.log.read_text()
        if "Traceback" in log:
            at = log.index("Traceback")
            self.report.wrong.append(f"{log.count('Traceback')} tracebacks in the log, the first: {log[max(0, at - 300) : at + 2500]}")
