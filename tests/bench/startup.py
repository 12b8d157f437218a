"""How long does it take from the command until the server greets?

    python -m tests.bench.startup [--record]

`procura serve` with its default settings, one process, on free ports of loopback; the clock ends with the first octet of IMAP's greeting.
On no store (which is made, with its keys and its certificate), and on stores of ten and of ten thousand accounts; asked in turn, medians
of rounds. Processor time is that of the server's processes until then.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from store.connect import connect
from tests.bench.comparison.peers import default_settings, tree
from tests.bench.population import Population, Sizes
from tests.bench.results import machine, sentence, told
from tests.live.ports import free_ports

ACCOUNTS: Final = (0, 10, 10_000)
"""0: no store yet."""
ROUNDS: Final = 5
PATIENCE: Final = 60.0


async def populate(data: Path, accounts: int) -> None:
    store = await connect("sqlite:///{data}/procura.db", data)
    try:
        population = Population(store)
        await population.begin()
        await population.grow(Sizes(accounts, 10, 200))
    finally:
        await store.close()


def start(directory: Path) -> tuple[float, float]:
    """Seconds until it greets, and processor seconds until then. It is ended again."""
    server = default_settings(directory)
    (port,) = free_ports(1)
    server.settings["listen.imap"] = [f"127.0.0.1:{port}"]
    directory.mkdir(parents=True, exist_ok=True)
    environment = {**server.environment, "PYTHONPATH": str(Path(__file__).parents[2])}
    with server.log.open("ab") as log:
        began = time.perf_counter()
        command = [*server.command, "serve"]
        process = subprocess.Popen(command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            while not greets(port):
                if process.poll() is not None or time.perf_counter() > began + PATIENCE:
                    raise RuntimeError(f"it did not start:\n{server.log.read_text()[-2000:]}")
                time.sleep(0.002)
            return time.perf_counter() - began, sum(tree([process.pid]).values())
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 5) as one:
            return bool(one.recv(1))
    except OSError:
        return False


def main() -> None:
    before = machine()
    found: dict[int, list[tuple[float, float]]] = {accounts: [] for accounts in ACCOUNTS}
    with tempfile.TemporaryDirectory() as scratch:
        for accounts in ACCOUNTS[1:]:
            asyncio.run(populate(Path(scratch) / f"of {accounts}" / "data", accounts))
            start(Path(scratch) / f"of {accounts}")
        for number in range(ROUNDS):
            for accounts in ACCOUNTS:
                found[accounts].append(start(Path(scratch) / (f"of {accounts}" if accounts else f"new {number}")))
    lines = [sentence(before), "", "| from the command to the greeting | ms | ms of processor time |", "|---|---:|---:|"]
    for accounts, rounds in found.items():
        wall, cpu = (statistics.median(one[which] for one in rounds) * 1000 for which in (0, 1))
        lines.append(f"| {f'{accounts:,} accounts' if accounts else 'no store yet'} | {wall:,.0f} | {cpu:,.0f} |")
    told("startup", "\n".join(lines), sys.argv[1:])


if __name__ == "__main__":
    main()
