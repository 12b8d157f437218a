"""What does a decision cost, among ten grants and among ten thousand?

    python -m tests.bench.decisions [--record]

By the services that decide, in this process, on two stores that differ in nothing else (tests/bench/population.py: a quarter of the grants
each on the folder, on the account in whose name is sent, and on a list); asked in turn, medians of rounds. Processor time of this
process, the threads of its statements included. Nothing is written and nothing recorded by what is asked here.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from gateway.folders import Place
from gateway.message.canonical import read_address
from gateway.passwords import Passwords
from policy.folders import FolderOp
from policy.grants import FolderEntry, Grantee, GranteeKind
from policy.identity import AccountId
from policy.rights import Right
from policy.submission import EnvelopeVerdict
from store.blobs import Files
from store.connect import connect
from tests.bench.population import Population, Sizes
from tests.bench.results import machine, sentence, told
from tests.gateway.house import CHEAP, Clock, House

GRANTS: Final = (10, 10_000)
ROUNDS: Final = 7
SECONDS: Final = 0.3
"""Of one question in one round."""


class Asked:
    """One store, and what is asked of it."""

    def __init__(self, house: House, grants: int) -> None:
        self._house = house
        self._helper, self._stranger = house.actor("helper"), house.actor("stranger")
        self._posta, self._support = Place("owner@acme.test", "/Posta"), read_address("support@acme.test")
        self._many = tuple(FolderEntry(Grantee(GranteeKind.ACCOUNT, 1_000_000 + one), Right.LOOKUP | Right.READ) for one in range(grants))

    async def may(self) -> None:
        assert (await self._house.folders.may(self._helper, FolderOp.READ, self._posta)).allowed

    async def may_not(self) -> None:
        assert not (await self._house.folders.may(self._stranger, FolderOp.READ, self._posta)).allowed

    async def send_as(self) -> None:
        async with self._house.store.snapshot() as snapshot:
            assert isinstance(await self._house.submission.envelope_in(snapshot, self._helper, self._support), EnvelopeVerdict)

    async def send_as_not(self) -> None:
        async with self._house.store.snapshot() as snapshot:
            assert not isinstance(await self._house.submission.envelope_in(snapshot, self._stranger, self._support), EnvelopeVerdict)

    async def judged(self) -> Callable[[], object]:
        """The rules alone, on what the store hands them."""
        async with self._house.store.snapshot() as snapshot:
            stand = await self._house.folders._judging.stand(snapshot, self._helper, self._posta)
            assert stand is not None
            now = snapshot.now
        return lambda: stand.judge(FolderOp.READ, now)

    async def judged_all(self) -> Callable[[], object]:
        """The rules alone, were they handed every grant."""
        async with self._house.store.snapshot() as snapshot:
            stand = await self._house.folders._judging.stand(snapshot, self._helper, self._posta)
            assert stand is not None
            now = snapshot.now
        first, *others = stand.facts.levels
        crowded = replace(stand, facts=replace(stand.facts, levels=(replace(first, entries=(*self._many, *first.entries)), *others)))
        assert crowded.judge(FolderOp.READ, now).allowed
        return lambda: crowded.judge(FolderOp.READ, now)


WITH_STORE: Final = (
    ("may", "may the delegate read this folder: yes"),
    ("may_not", "... a stranger: no"),
    ("send_as", "may the delegate send as this account: yes"),
    ("send_as_not", "... a stranger: no"),
)
ALONE: Final = (
    ("judged", "the rules alone, on what the store hands them"),
    ("judged_all", "... were they handed every grant"),
)


async def among(directory: Path, grants: int) -> House:
    passwords = Passwords(CHEAP, b"key")
    store = await connect("sqlite:///{data}/procura.db", directory)
    population = Population(store, passwords.verifiers_now("correct horse 7"))
    passwords.close()
    await population.begin()
    await population.grow(Sizes(grants, grants, 20))
    house = House(store, Files(directory / "messages"), Clock(), relays=False)
    house.ids.update({name: AccountId(number) for name, number in population.corner.items()})
    return house


async def batch(act: Callable[[], Awaitable[object]]) -> float:
    """Microseconds of processor time for one."""
    count, began, end = 0, time.process_time(), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        for _ in range(20):
            await act()
        count += 20
    return (time.process_time() - began) / count * 1e6


async def measured(directory: Path) -> dict[str, list[float]]:
    houses = [await among(directory / str(grants), grants) for grants in GRANTS]
    asked = [Asked(house, grants) for house, grants in zip(houses, GRANTS, strict=True)]
    acts: dict[str, list[Callable[[], Awaitable[object]]]] = {name: [getattr(one, name) for one in asked] for name, _ in WITH_STORE}
    for name, _ in ALONE:
        acts[name] = [_awaited(await getattr(one, name)()) for one in asked]
    found: dict[str, list[list[float]]] = {name: [[] for _ in GRANTS] for name in acts}
    for _ in range(ROUNDS):
        for name, pair in acts.items():
            for number, act in enumerate(pair):
                found[name][number].append(await batch(act))
    for house in houses:
        await house.folders.close()
        await house.store.close()
    return {name: [statistics.median(rounds) for rounds in pair] for name, pair in found.items()}


def _awaited(act: Callable[[], object]) -> Callable[[], Awaitable[object]]:
    async def one() -> object:
        return act()

    return one


def main() -> None:
    before = machine()
    with tempfile.TemporaryDirectory() as scratch:
        found = asyncio.run(measured(Path(scratch)))
    heads = " | ".join(f"{grants:,} grants" for grants in GRANTS)
    lines = [sentence(before), "", f"| µs of processor time | {heads} |", "|---|" + "---:|" * len(GRANTS)]
    lines += [f"| {words} | " + " | ".join(f"{value:,.0f}" for value in found[name]) + " |" for name, words in (*WITH_STORE, *ALONE)]
    told("decisions", "\n".join(lines), sys.argv[1:])


if __name__ == "__main__":
    main()
