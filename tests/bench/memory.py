"""How much memory does a server take that does nothing: when it has started, and when a hundred sessions have come and gone?

    python -m tests.bench.memory [--record]

PSS of the whole process tree (what processes share counts once), of `procura serve` with its default settings on a store of a thousand
accounts: with one process, and with two workers (four processes). A session logs in, lists its folders, selects INBOX with 200 messages,
fetches all of their envelopes and twenty whole messages, searches, and logs out; then a message is submitted and one delivered.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from base64 import b64encode
from pathlib import Path
from typing import Final

from gateway.passwords import PasswordCost, Passwords
from store.connect import connect
from tests.bench.big_folder import Client
from tests.bench.comparison.peers import default_settings, resident, tree
from tests.bench.growth import Lines
from tests.bench.population import Population, Sizes, letter
from tests.bench.results import machine, sentence, told
from tests.live.server import PASSWORD, Server

WORKERS: Final = (1, 2)
SESSIONS: Final = 100
AT_ONCE: Final = 10
ROUNDS: Final = 3
REST: Final = 3.0
"""Seconds after which nothing goes on any more that was begun."""


async def populate(data: Path) -> None:
    passwords = Passwords(PasswordCost(), b"key")
    store = await connect("sqlite:///{data}/procura.db", data)
    try:
        population = Population(store, passwords.verifiers_now(PASSWORD))
        await population.begin()
        await population.grow(Sizes(1_000, 10, 1_000))
    finally:
        passwords.close()
        await store.close()


def sessions(server: Server) -> None:
    """Some at once, as often as it takes."""
    for _ in range(SESSIONS // AT_ONCE):
        clients = [Client(server.ports["imap"], "owner@acme.test") for _ in range(AT_ONCE)]
        for command in ('LIST "" "*"', "SELECT INBOX", "FETCH 1:* (UID FLAGS ENVELOPE)", "FETCH 1:20 (BODY.PEEK[])", "SEARCH TEXT minutes"):
            for client in clients:
                client.do(command)
        for client in clients:
            client.do("LOGOUT")
            client.socket.close()
    smtp = Lines(server.ports["submission"], b"EHLO bench\r\n")
    smtp.ask(b"AUTH PLAIN " + b64encode(b"\0owner@acme.test\0" + PASSWORD.encode()) + b"\r\n", 1)
    smtp.ask(b"MAIL FROM:<owner@acme.test>\r\nRCPT TO:<stranger@acme.test>\r\nDATA\r\n", 3)
    smtp.ask(b"From: owner@acme.test\r\nTo: stranger@acme.test\r\nSubject: memory\r\n\r\nHello.\r\n.\r\n", 1)
    lmtp = Lines(server.ports["lmtp"], b"LHLO bench\r\n")
    lmtp.ask(b"MAIL FROM:<a@far.test>\r\nRCPT TO:<owner@acme.test>\r\nDATA\r\n", 3)
    lmtp.ask(letter(int(time.time()) % 90_000_000) + b"\r\n.\r\n", 1)


def measured(directory: Path, workers: int) -> tuple[int, int, int]:
    """KiB after the start, KiB after the sessions, processes."""
    server = default_settings(directory)
    server.settings["workers"] = workers
    with server:
        assert server.process is not None
        time.sleep(REST)
        started = resident([server.process.pid])
        sessions(server)
        time.sleep(REST)
        return started, resident([server.process.pid]), len(tree([server.process.pid]))


def main() -> None:
    before = machine()
    found: dict[int, list[tuple[int, int, int]]] = {workers: [] for workers in WORKERS}
    with tempfile.TemporaryDirectory() as scratch:
        asyncio.run(populate(Path(scratch) / "data"))
        for _ in range(ROUNDS):
            for workers in WORKERS:
                found[workers].append(measured(Path(scratch), workers))
    lines = [sentence(before), "", f"| MiB (PSS) | processes | after the start | after {SESSIONS} sessions |", "|---|---:|---:|---:|"]
    for workers, rounds in found.items():
        started, rested = (statistics.median(one[which] for one in rounds) / 1024 for which in (0, 1))
        words = "one process" if workers == 1 else f"workers = {workers}"
        lines.append(f"| {words} | {rounds[0][2]} | {started:.1f} | {rested:.1f} |")
    told("memory", "\n".join(lines), sys.argv[1:])


if __name__ == "__main__":
    main()
