"""Can a stranger tell by time what no answer says? Times of many tries of each kind, in random order, compared as distributions:
`python -m tests.hostile.distributions [TRIES]`, some minutes, on a quiet machine; for SECURITY.md.

For two kinds it prints the chance that a try of the one takes longer than a try of the other: 0.5 where nobody can tell them apart by
any number of tries. Beside it stands what chance alone makes of so many tries (99.99 %, the Mann-Whitney test's normal approximation). Of
the pairs only those are printed that are told apart, or are the farthest from 0.5."""

from __future__ import annotations

import bisect
import math
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from config.settings import Settings
from tests.live.server import PASSWORD, Server
from tests.live.talk import Talk, unnamed

TRIES = 300
SIGMAS = 3.89
"""Of a normal distribution: 99.99 % lie within, so that one of a hundred pairs seldom stands out by chance."""
SHOWN = 5
SEED = 20261122

Try = Callable[[], tuple[float, str]]
"""Does it once: seconds, and the words of the answer."""


def dominance(one: Sequence[float], other: Sequence[float]) -> float:
    """The chance that a value of `one` is larger than a value of `other`; equal ones count half."""
    ordered = sorted(other)
    larger = sum(bisect.bisect_left(ordered, value) + bisect.bisect_right(ordered, value) for value in one)
    return larger / (2 * len(one) * len(ordered))


def by_chance(one: int, other: int) -> float:
    """How far from 0.5 so many values of one distribution are when they are divided into two."""
    return SIGMAS * math.sqrt((one + other + 1) / (12 * one * other))


def measured(kinds: Mapping[str, Try], tries: int) -> tuple[dict[str, list[float]], dict[str, set[str]]]:
    """Milliseconds, and the different answers, of each kind; all kinds in each round, in another order."""
    order, chance = list(kinds), random.Random(SEED)
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    words: dict[str, set[str]] = {kind: set() for kind in kinds}
    for turn in range(tries + 3):
        chance.shuffle(order)
        for kind in order:
            seconds, said = kinds[kind]()
            if turn >= 3:  # the first ones fill caches
                times[kind].append(seconds * 1000)
                words[kind].add(said)
    return times, words


def report(title: str, times: Mapping[str, Sequence[float]], words: Mapping[str, set[str]]) -> bool:
    """Prints the table; True where no two kinds are told apart."""
    print(f"\n{title}\n\n| kind | answers | 10 % | median | 90 % ms |\n|---|---|---:|---:|---:|")
    for kind, taken in times.items():
        tenths = statistics.quantiles(taken, n=10)
        print(f"| {kind} | {'; '.join(sorted(words[kind]))} | {tenths[0]:.2f} | {statistics.median(taken):.2f} | {tenths[8]:.2f} |")
    pairs = sorted(
        ((dominance(times[one], times[other]), one, other) for one, other in combinations(times, 2)),
        key=lambda pair: abs(pair[0] - 0.5),
        reverse=True,
    )
    band = by_chance(*(len(taken) for taken in list(times.values())[:2]))
    apart = sum(abs(chance - 0.5) > band for chance, _, _ in pairs)
    print(f"\n{len(pairs)} pairs, {apart} told apart; by chance alone 0.5 ± {band:.3f}\n")
    print("| one | other | chance that the one takes longer |\n|---|---|---:|")
    for chance, one, other in pairs[: max(SHOWN, apart)]:
        print(f"| {one} | {other} | {chance:.3f} |")
    return not apart


def login(port: int, name: str) -> Try:
    def act() -> tuple[float, str]:
        with Talk(port) as talk:
            start = time.perf_counter()
            answer = talk.do(f'LOGIN {name} "not the password"')
            return time.perf_counter() - start, unnamed(answer.tagged)

    return act


def select(talk: Talk, folder: str) -> Try:
    def act() -> tuple[float, str]:
        start = time.perf_counter()
        answer = talk.do(f'SELECT "{folder}"')
        return time.perf_counter() - start, unnamed(answer.tagged)

    return act


def main(tries: int) -> int:
    usual = Settings().password
    settings: dict[str, object] = {
        "password.memory": usual.memory,
        "password.passes": usual.passes,
        "password.scram_iterations": usual.scram_iterations,
    }
    with tempfile.TemporaryDirectory() as scratch:
        server = Server(Path(scratch), settings)
        with server:
            people = ("active", "locked", "closed", "pending", "maintenance", "owner", "guest")
            server.prov(
                "createDomain acme.test",
                *(f"createAccount {name}@acme.test '{PASSWORD}' lockoutMaxFailures 0" for name in people),
                *(f"modifyAccount {name}@acme.test status {name}" for name in people[1:5]),
                "createAccount bare@acme.test ''",
                "addAccountAlias active@acme.test alias@acme.test",
                "createDistributionList list@acme.test",
                *(f"selectMailbox owner@acme.test createFolder /{name}" for name in ("Shown", "Hidden")),
                "selectMailbox owner@acme.test modifyFolderGrant /Shown account guest@acme.test r",
            )
            names = {
                "active": "active@acme.test",
                "active, by an alias": "alias@acme.test",
                "locked": "locked@acme.test",
                "closed": "closed@acme.test",
                "pending": "pending@acme.test",
                "maintenance": "maintenance@acme.test",
                "without a password": "bare@acme.test",
                "a list": "list@acme.test",
                "no such account": "nobody@acme.test",
                "no such domain": "nobody@nowhere.test",
            }
            logins = {kind: login(server.ports["imap"], name) for kind, name in names.items()}
            alike = report(f"A wrong password, {tries} times each", *measured(logins, tries))
            with Talk(server.ports["imap"], "guest@acme.test") as talk:
                paths = {
                    "hidden": "Other Users/owner/Hidden",
                    "missing": "Other Users/owner/Missin",
                    "missing below a hidden one": "Other Users/owner/Hidden/a",
                    "of an account that shares nothing": "Other Users/active/INBOX",
                    "of no account": "Other Users/nobody/INBOX",
                }
                folders = {kind: select(talk, path) for kind, path in paths.items()}
                alike &= report(f"SELECT of a folder that may not be seen, {tries} times each", *measured(folders, tries))
    return 0 if alike else 1


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else TRIES))
