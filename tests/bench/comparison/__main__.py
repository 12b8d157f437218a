"""How fast is procura beside the mail servers that are installed here?

    python -m tests.bench.comparison [--rounds 3] [--cases submit-8,login] [--peers dovecot-mdbox,postfix] [--record]

Servers of its own in a temporary directory, on loopback. Each case runs on one server after the other, round by round (A B A B), so that
a busy minute of the machine falls on all of them; the table has medians, and the ratio to the peer that is better in that row, by time
and by the server's processor time (user and system, all of its processes). A wrong answer or a wrong number of answers is an error of
that row. What fell by more than a fifth against tests/bench/ratios.json is marked; --record writes that file, the table in RESULTS.md and
the picture beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import uvloop

from tests.bench.comparison import plot, ratios, table
from tests.bench.comparison.cases import CASES, ROWS, Bench, Case, Sizes
from tests.bench.comparison.load import Figure
from tests.bench.comparison.peers import Dovecot, Hibernating, Mdbox, Peer, Postfix, installed
from tests.bench.results import machine, record, sentence

HERE: Final = Path(__file__).resolve().parents[1]
RATIOS, PICTURE = HERE / "ratios.json", HERE / "comparison.png"
SCRATCH: Final = HERE.parents[1] / ".bench"
"""What a run leaves that records nothing."""
DEFAULTS: Final = Sizes()
MINUTES: Final = 5.0
TURN: Final = 150.0
"""Seconds that a case may take on one server, with what has to be made for it first."""
FILES: Final = 20_000
WATCHES: Final = 2_000
"""Idle sessions that a hibernating Dovecot watches by inotify: with fewer instances than sessions it asks every half minute."""


def arguments(given: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0] if __doc__ else None)
    names = [case.name for case in CASES]
    usual = [case.name for case in CASES if not case.rare]
    parser.add_argument("--cases", default=",".join(usual), help="only these: " + ", ".join(names))
    peers = [one.name for one in (Mdbox, Dovecot, Hibernating, Postfix)]
    parser.add_argument("--peers", default=",".join(peers), help="only these: " + ", ".join(peers) + "; none: procura alone")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="after which cases that are still to come have one round each")
    parser.add_argument("--seconds", type=float, default=DEFAULTS.seconds, help="of one turn of what is done again and again")
    parser.add_argument("--messages", type=int, default=DEFAULTS.messages, help="in the large folder")
    parser.add_argument("--idle", type=int, default=DEFAULTS.idle, help="connections that idle")
    parser.add_argument("--record", action="store_true", help="write ratios.json, the table in RESULTS.md, and its picture")
    options = parser.parse_args(given)
    if unknown := set(options.cases.split(",")) - set(names):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    if options.record and not is_comparable(options):
        parser.error("what is recorded has the sizes that every run has")
    return options


def is_comparable(options: argparse.Namespace) -> bool:
    """With what is recorded: the same things were done."""
    return (options.messages, options.idle) == (DEFAULTS.messages, DEFAULTS.idle)


async def turn(case: Case, bench: Bench) -> dict[str, Figure]:
    async with asyncio.timeout(TURN):
        return dict(await case.turn(bench))


def measured(cases: Sequence[Case], peers: Sequence[Peer], sizes: Sizes, rounds: int, seconds: float) -> list[ratios.Found]:
    """Every case on all servers that one of its rows names, as often as there are rounds; once each when it takes longer than `seconds`."""
    end = time.monotonic() + seconds
    benches = [Bench(peer, sizes) for peer in peers]
    founds: list[ratios.Found] = []
    for case in cases:
        concerned = [one for one in benches if one.peer.name in {ratios.OURS, *(name for row in case.rows for name in row.against)}]
        figures: dict[str, dict[str, list[Figure]]] = {row.key: {} for row in case.rows}
        faults: list[str] = []
        began = time.monotonic()
        for number in range(rounds):
            if number and time.monotonic() > end:
                print(f"  {case.name}: the time is up, {number} of {rounds} rounds", file=sys.stderr)
                break
            for bench in concerned:
                if any(fault.startswith(bench.peer.name) for fault in faults):
                    continue
                try:
                    for key, figure in uvloop.run(turn(case, bench)).items():
                        figures[key].setdefault(bench.peer.name, []).append(figure)
                except Exception as error:
                    why = error.exceptions[0] if isinstance(error, ExceptionGroup) else error
                    faults.append(f"{bench.peer.name}: {type(why).__name__} {why}"[:300])
                    if os.environ.get("BENCH_TRACEBACK"):
                        traceback.print_exc()
        founds += [ratios.compared(row, figures[row.key], faults) for row in case.rows]
        print(f"  {case.name}: {time.monotonic() - began:.1f} s", *faults, sep="; " if faults else "", file=sys.stderr, flush=True)
    return founds


def run(
    cases: Sequence[Case], names: Sequence[str], sizes: Sizes, rounds: int, seconds: float
) -> tuple[list[ratios.Found], dict[str, str]]:
    """What was found, and the versions of those that were compared."""
    directory = Path(tempfile.mkdtemp(prefix="procura-bench-"))
    directory.chmod(0o755)
    started: list[Peer] = []
    try:
        wanted = {name for case in cases for row in case.rows for name in row.against} & set(names)
        peers, missing = installed(directory, sorted(wanted))
        for peer in tuple(peers):
            started.append(peer)
            try:
                peer.start()
            except Exception as error:
                if peer.name == ratios.OURS:
                    raise
                missing[peer.name] = str(error)
                peers.remove(peer)
        for name, why in missing.items():
            print(f"without {name}: {why}")
        return measured(cases, peers, sizes, rounds, seconds), {peer.name: peer.version() for peer in peers}
    finally:
        for peer in reversed(started):
            try:
                peer.stop()
            except Exception as error:
                print(f"{peer.name} did not end as it should: {error}"[:400], file=sys.stderr)
        shutil.rmtree(directory, ignore_errors=True)


def prepared(sizes: Sizes) -> None:
    """Enough open files for those who idle; collections of this process' garbage only when there is a lot."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    watches = Path("/proc/sys/fs/inotify/max_user_instances")
    if watches.exists() and int(watches.read_text()) < min(WATCHES, sizes.idle):
        print(f"fs.inotify.max_user_instances is {watches.read_text().strip()}: a hibernating Dovecot will be late with what it tells")


def _stopped(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> None:
    signal.signal(signal.SIGTERM, _stopped)
    options = arguments(sys.argv[1:])
    sizes = Sizes(seconds=options.seconds, messages=options.messages, idle=options.idle)
    prepared(sizes)
    told = machine() | {"rounds": options.rounds}
    chosen = options.cases.split(",")
    began = time.monotonic()
    cases = [case for case in CASES if case.name in chosen]
    founds, versions = run(cases, options.peers.split(","), sizes, options.rounds, options.minutes * 60)
    told |= {"peers": versions}
    before = ratios.read(RATIOS) if is_comparable(options) else ratios.NOTHING
    print(f"\n{sentence(told)} Rounds: {options.rounds}; {time.monotonic() - began:.0f} s.")
    print("\n".join(versions.values()))
    print(f"recorded: {sentence(before.told) if before.told else 'nothing of this kind'}\n")
    print(table.text(founds, before))
    losses = sum(bool(before.lost(found)) for found in founds)
    print(f"\n{losses} of {len(founds)} rows lost more than {ratios.LOSS:.0%} of a recorded ratio." if before.ratios else "")
    if not any(found.wall is not None for found in founds):
        return
    SCRATCH.mkdir(exist_ok=True)
    kept, picture = (RATIOS, PICTURE) if options.record else (SCRATCH / RATIOS.name, SCRATCH / PICTURE.name)
    kept.write_text(ratios.written(told, founds, before if options.record else ratios.NOTHING))
    words, kinds = {row.key: row.words for row in ROWS}, {row.key: row.kind for row in ROWS}
    plot.draw(ratios.read(kept), words, kinds, picture)
    if options.record:
        record("comparison", table.page(ratios.read(kept), words, kinds))
    print(f"{kept} and {picture} are written.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; nothing is left running")
