"""What does each thing that happens all the time cost, in stores of ten to a hundred thousand accounts and up to a million messages?

    python -m tests.bench.growth make DIRECTORY       stores of every size (kept, and passed over when they are there)
    python -m tests.bench.growth index DIRECTORY      fills their indexes of texts, which takes longest
    python -m tests.bench.growth measure DIRECTORY    servers on all of them, asked in turn; writes DIRECTORY/growth.json
    python -m tests.bench.growth draw DIRECTORY [PNG] a table, and a picture (needs requirements/bench.txt)

Every store has the same small corner (tests/bench/population.py), which is all that is asked about. Each round asks every server in turn,
so that a busy minute of the machine falls on all of them; medians of the rounds. Processor time is the server process's own.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import socket
import sqlite3
import statistics
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from gateway.passwords import PasswordCost, Passwords
from store.connect import connect
from store.queue import ClaimDue
from tests.bench.big_folder import Client
from tests.bench.population import Population, Sizes, letter
from tests.live.server import PASSWORD, Server

URL: Final = "sqlite:///{data}/procura.db"
ROUNDS: Final = 5
SECONDS: Final = 0.25
"""Of processor time in one round of one operation: the system counts it in hundredths of a second."""
LETTER: Final = 3_200
"""Octets of text that make a message of four kilobytes."""

SMALL, MIDDLE, LARGE = 10, 1_000, 100_000
FEW_MESSAGES, SOME_MESSAGES, MANY_MESSAGES = 10_000, 100_000, 1_000_000
FEW_GRANTS, MANY_GRANTS = 10, 10_000

CHAINS: Final[Sequence[Sequence[Sizes]]] = (
    (
        Sizes(SMALL, FEW_GRANTS, FEW_MESSAGES),
        Sizes(MIDDLE, FEW_GRANTS, FEW_MESSAGES),
        Sizes(MIDDLE, MANY_GRANTS, FEW_MESSAGES),
    ),
    (Sizes(MIDDLE, FEW_GRANTS, FEW_MESSAGES), Sizes(MIDDLE, FEW_GRANTS, SOME_MESSAGES), Sizes(MIDDLE, FEW_GRANTS, MANY_MESSAGES)),
    (Sizes(LARGE, FEW_GRANTS, FEW_MESSAGES), Sizes(LARGE, MANY_GRANTS, MANY_MESSAGES)),
)
"""Each is made of the one before it."""


def name_of(sizes: Sizes) -> str:
    return f"{sizes.accounts}-{sizes.grants}-{sizes.messages}"


def every() -> list[Sizes]:
    return sorted({sizes for chain in CHAINS for sizes in chain}, key=lambda one: (one.accounts, one.messages, one.grants))


# --- making them


async def make(directory: Path) -> None:
    for chain in CHAINS:
        if all((directory / name_of(one) / "data").exists() for one in chain):
            continue
        growing = directory / "growing"
        shutil.rmtree(growing, ignore_errors=True)
        store = await connect(URL, growing)
        passwords = Passwords(PasswordCost(memory=8192 * 8, time=1, scram_iterations=4096), b"key")
        population = Population(store, passwords.verifiers_now(PASSWORD), lambda said: print(f"    {said}", flush=True))
        try:
            await population.begin()
            for sizes in chain:
                print(name_of(sizes), flush=True)
                await population.grow(sizes)
                target = directory / name_of(sizes) / "data"
                if not target.exists():
                    target.mkdir(parents=True)
                    await store.copy(target / "procura.db", lambda left, total: None)
        finally:
            passwords.close()
            await store.close()
            shutil.rmtree(growing, ignore_errors=True)


def index(directory: Path) -> None:
    """By each server itself, so that it does not do so while it is measured."""
    for sizes in every():
        server = Server(directory / name_of(sizes))
        before = time.monotonic()
        with server:
            while undivided(server.data) or server.cpu < 1:
                time.sleep(1)
        print(f"{name_of(sizes)}: texts indexed in {time.monotonic() - before:.0f} s", flush=True)


def undivided(data: Path) -> bool:
    """Is there still something that search.db does not know?"""
    try:
        with (
            closing(sqlite3.connect(f"file:{data}/search.db?mode=ro", uri=True)) as search,
            closing(sqlite3.connect(f"file:{data}/procura.db?mode=ro", uri=True)) as main,
        ):
            (newest,) = main.execute("SELECT coalesce(max(id), 0) FROM blob").fetchone()
            return search.execute("SELECT 1 FROM standing WHERE mark < ?", (newest,)).fetchone() is not None or (
                search.execute("SELECT 1 FROM undivided LIMIT 1").fetchone() is not None
            )
    except sqlite3.Error:
        return True


# --- asking them


class Lines:
    """SMTP and LMTP, with no more in between than has to be."""

    def __init__(self, port: int, greeting: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self.replies(1)
        self.ask(greeting, 1)

    def ask(self, octets: bytes, replies: int) -> list[bytes]:
        self._socket.sendall(octets)
        return self.replies(replies)

    def replies(self, count: int) -> list[bytes]:
        found = []
        while len(found) < count:
            line = self._file.readline()
            assert line, "the server closed"
            if line[3:4] != b"-":
                assert line[:1] in b"23", line
                found.append(line)
        return found


class Asked:
    """One server, and what is asked of it."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._owner = Client(server.ports["imap"], "owner@acme.test")
        self._helper = Client(server.ports["imap"], "helper@acme.test")
        self._reader = Client(server.ports["imap"], "owner@acme.test")
        self._reader.do("SELECT INBOX")
        self._lmtp = Lines(server.ports["lmtp"], b"LHLO bench\r\n")
        self._smtp = Lines(server.ports["submission"], b"EHLO bench\r\n")
        plain = b"\0helper@acme.test\0" + PASSWORD.encode()
        self._smtp.ask(b"AUTH PLAIN " + b64encode(plain) + b"\r\n", 1)
        self._number = 50_000_000 + int(time.time()) % 10_000_000

    def delivery(self) -> None:
        self._number += 1
        self._lmtp.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<owner@acme.test>\r\nDATA\r\n", 3)
        self._lmtp.ask(letter(self._number, LETTER) + b"\r\n.\r\n", 1)

    def select(self) -> None:
        self._owner.do("SELECT INBOX")
        self._owner.do("UNSELECT")

    def fetch(self) -> None:
        self._reader.do("FETCH 1:20 (UID FLAGS ENVELOPE BODY.PEEK[])")

    def list(self) -> None:
        self._helper.do('LIST "" "*"')

    def folder_right(self) -> None:
        self._helper.do('MYRIGHTS "Other Users/owner/Posta"')

    def send_as(self) -> None:
        self._number += 1
        self._smtp.ask(b"MAIL FROM:<support@acme.test>\r\n", 1)
        self._smtp.ask(b"RCPT TO:<stranger@acme.test>\r\n", 1)
        self._smtp.ask(b"DATA\r\n", 1)
        head = f"From: support@acme.test\r\nTo: stranger@acme.test\r\nSubject: {self._number}\r\n\r\n".encode()
        self._smtp.ask(head + b"As it was agreed.\r\n.\r\n", 1)

    def login(self) -> None:
        one = Client(self.server.ports["imap"], "owner@acme.test")
        one.do("LOGOUT")
        one.socket.close()

    def search(self) -> None:
        assert b"SEARCH" in self._reader.do('UID SEARCH SUBJECT "00000007"')

    def search_text(self) -> None:
        assert b"SEARCH" in self._reader.do('UID SEARCH TEXT "minutes 00000007"')


OPERATIONS: Final[Sequence[tuple[str, str]]] = (
    ("delivery", "delivery by LMTP, 4 KB"),
    ("select", "SELECT of 200 messages, UNSELECT"),
    ("fetch", "FETCH of 20 whole messages"),
    ("list", "LIST of all, with what is shared"),
    ("folder_right", "MYRIGHTS on a shared folder"),
    ("send_as", "submission in another's name, recorded"),
    ("login", "LOGIN, LOGOUT"),
    ("search", "SEARCH SUBJECT"),
    ("search_text", "SEARCH TEXT"),
)
CLAIM: Final = ("claim", "claim from the queue (50 wait)")


def batch(asked: Asked, act: Callable[[], None], times: int) -> tuple[float, float]:
    """(processor seconds of the server, seconds) for one."""
    cpu, began = asked.server.cpu, time.perf_counter()
    for _ in range(times):
        act()
    wall = time.perf_counter() - began
    return (asked.server.cpu - cpu) / times, wall / times


def calibrated(asked: Asked, act: Callable[[], None]) -> int:
    times = 10
    while True:
        cpu, _ = batch(asked, act, times)
        if cpu * times >= SECONDS / 4:
            return max(10, int(SECONDS / cpu))
        times *= 2


async def claims(directory: Path) -> dict[str, list[tuple[float, float]]]:
    """Without servers, for the queue has no door of its own. Also the processor time of the statements' thread."""
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(ROUNDS):
        for sizes in every():
            store = await connect(URL, directory / name_of(sizes) / "data")
            try:
                for times in (50, 500):
                    cpu, began = time.process_time(), time.perf_counter()
                    for number in range(times):
                        await store.do(ClaimDue(f"lease {number}", 1 << 61, each=5))
                    spent = ((time.process_time() - cpu) / times, (time.perf_counter() - began) / times)
                found.setdefault(name_of(sizes), []).append(spent)
            finally:
                await store.close()
    return found


def measure(directory: Path) -> None:
    """What was measured already is kept: take growth.json away to begin anew."""
    kept = directory / "growth.json"
    result: dict[str, Any] = json.loads(kept.read_text()) if kept.exists() else {"spent": {}}
    rows: dict[str, Any] = result["spent"]
    if CLAIM[0] not in rows:
        rows[CLAIM[0]] = asyncio.run(claims(directory))
    with ExitStack() as servers:
        asked = {name_of(sizes): Asked(servers.enter_context(Server(directory / name_of(sizes)))) for sizes in every()}
        for operation, words in OPERATIONS:
            if operation in rows:
                continue
            first = next(iter(asked.values()))
            times = calibrated(first, getattr(first, operation))
            found: dict[str, list[tuple[float, float]]] = {}
            for number in range(-1, ROUNDS):
                for name, one in asked.items():
                    spent = batch(one, getattr(one, operation), times if number >= 0 else max(5, times // 5))
                    if number >= 0:
                        found.setdefault(name, []).append(spent)
            rows[operation] = found
            print(words, {name: round(statistics.median(cpu for cpu, _ in all_of) * 1e6) for name, all_of in found.items()}, flush=True)
            kept.write_text(json.dumps({**described(directory), "spent": rows}))


def described(directory: Path) -> dict[str, Any]:
    """When and on what it was measured."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "load": os.getloadavg(),
        "rounds": ROUNDS,
        "octets": {
            name_of(sizes): sum(file.stat().st_size for file in (directory / name_of(sizes) / "data").glob("*.db")) for sizes in every()
        },
    }


# --- telling it


def median(rows: Sequence[Sequence[float]], which: int) -> float:
    """Microseconds."""
    return statistics.median(row[which] for row in rows) * 1e6


def table(result: dict[str, Any]) -> str:
    heads = [f"{one.accounts:,} / {one.grants:,} / {one.messages:,}" for one in every()]
    lines = ["| µs of processor time (µs until it is answered) | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for operation, words in (*OPERATIONS, CLAIM):
        cells = [
            f"{median(found, 0):,.0f} ({median(found, 1):,.0f})" for one in every() for found in (result["spent"][operation][name_of(one)],)
        ]
        lines.append(f"| {words} | " + " | ".join(cells) + " |")
    sizes = [f"{result['octets'][name_of(one)] / 1e6:,.0f} MB" for one in every()]
    lines.append("| procura.db and search.db | " + " | ".join(sizes) + " |")
    return "\n".join(lines)


def draw(result: dict[str, Any], target: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    axes_of = (
        ("accounts", [one for one in every() if one.messages == FEW_MESSAGES and one.grants == FEW_GRANTS], lambda one: one.accounts),
        ("messages", [one for one in every() if one.accounts == MIDDLE and one.grants == FEW_GRANTS], lambda one: one.messages),
        ("grants", [one for one in every() if one.accounts == MIDDLE and one.messages == FEW_MESSAGES], lambda one: one.grants),
    )
    figure, panels = pyplot.subplots(1, 3, figsize=(13, 6), sharey=True)
    for panel, (what, points, value) in zip(panels, axes_of, strict=True):
        for operation, words in (*OPERATIONS, CLAIM):
            costs = [median(result["spent"][operation][name_of(one)], 0) for one in points]
            panel.plot([value(one) for one in points], costs, marker="o", label=words)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xlabel(f"{what} in the store")
        panel.grid(visible=True, which="major", alpha=0.3)
    panels[0].set_title(f"{FEW_GRANTS} grants, {FEW_MESSAGES:,} messages", fontsize=10)
    panels[1].set_title(f"{MIDDLE:,} accounts, {FEW_GRANTS} grants", fontsize=10)
    panels[2].set_title(f"{MIDDLE:,} accounts, {FEW_MESSAGES:,} messages", fontsize=10)
    panels[0].set_ylabel("µs of processor time for one")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncol=5, fontsize=8, frameon=False)
    figure.suptitle(
        f"What it costs as the store grows ({result['date']}; {result['machine']}; medians of {result['rounds']} rounds)", fontsize=11
    )
    figure.subplots_adjust(left=0.06, right=0.98, top=0.87, bottom=0.2, wspace=0.06)
    figure.savefig(target, dpi=90)


def main() -> None:
    match sys.argv[1:]:
        case ["make", directory]:
            asyncio.run(make(Path(directory)))
        case ["index", directory]:
            index(Path(directory))
        case ["measure", directory]:
            measure(Path(directory))
        case ["draw", directory, *target]:
            result = json.loads((Path(directory) / "growth.json").read_text())
            print(f"{result['date']}; {result['machine']}; load {result['load']}\n\n{table(result)}")
            if target:
                draw(result, Path(target[0]))
        case _:
            print(__doc__)


if __name__ == "__main__":
    main()
