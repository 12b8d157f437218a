"""Every refusal at a door has a decision id: those of delegated acts are on record, all others are gathered here and kept for a while."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from gateway.decisions import new_decision
from gateway.gathering import Gathering
from gateway.sources import network_of
from policy.identity import Actor
from policy.reasons import Defer, Reason, Verdict
from store import refusals
from store.port import Store
from store.refusals import RecordRefusals, RefusalRow

TOGETHER: Final = 3600.0
"""Seconds for which what is alike has one id."""
OF_A_SOURCE: Final = 200
"""Ids of one network in that time; what it is refused beyond that shares one id for each kind of refusal."""
KNOWN: Final = 20_000
"""Ids in that time; beyond that all sources share one for each kind."""
WAITING: Final = 1000
"""Rows that wait to be written, and so at most in gathering.PAUSE seconds; beyond that likewise."""
AT_ONCE: Final = 250
"""In one deed."""
CHARACTERS: Final = 320
"""Kept of what a peer wrote."""
RECORDS: Final = 300
"""Refusals of one actor that go on record in RECORDS_IN; of more, only the id is kept, as of any other refusal."""
RECORDS_IN: Final = 600.0
"""Seconds."""
ACTORS: Final = 100_000

UNRECORDED: Final = "unrecorded"
"""In the place of the id of a delegated act that was refused and did not go on record any more: the door names it."""

_NO_DECISION: Final = frozenset({Reason.BUSY, Reason.DISK_FULL, Reason.SESSION_ENDED})
"""A fault of ours, and an end that was not asked for: nobody decided about a wish."""

_Key = tuple[str, ...]


class Refusals:
    """`wall_clock`: microseconds since 1970 UTC; `clock`: seconds; `others`: has what other processes have gathered written too.

    Nothing is waited for, and every refusal costs the same, so that its time tells nothing. What is alike has the same id: alike is what
    the peer asked and was told, never why it was told so. So an id tells a peer nothing, not even by being the same or another one.
    """

    def __init__(
        self,
        store: Store,
        *,
        wall_clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        clock: Callable[[], float] = time.monotonic,
        others: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._store = store
        self._others = others
        self._wall_clock = wall_clock
        self._clock = clock
        self._began = clock()
        self._known: dict[_Key, str] = {}
        self._of_source: dict[str, int] = {}
        self._gathering: Gathering[str, RefusalRow] = Gathering(store, "refusals", RecordRefusals, AT_ONCE)
        self._waiting = self._gathering.waiting

    def named(
        self, verdict: Verdict, protocol: str, source: str, actor: Actor | None = None, about: str = "", told_as: Reason | None = None
    ) -> Verdict:
        """The verdict with its id. `about`: what the peer named, an address or a folder; `told_as`: for which reason its words are, where
        they are those of another one."""
        if verdict.reason in _NO_DECISION or (verdict.decision and verdict.decision != UNRECORDED):
            return verdict
        asked = f"{about} {verdict.asked}"
        if len(asked) > CHARACTERS:
            # KNOWN ids are kept for an hour: of what is long only so much that it is known again.
            asked = blake2b(asked.encode(errors="backslashreplace"), digest_size=16).hexdigest()
        words = (told_as or verdict.reason, "later" if isinstance(verdict, Defer) else "never")
        decision = self._id(words, protocol, network_of(source), "" if actor is None else str(actor.account), asked)
        now = self._wall_clock()
        there = self._waiting.get(decision)
        self._waiting[decision] = RefusalRow(
            decision,
            now if there is None else there.first,
            now,
            1 if there is None else there.times + 1,
            protocol,
            source,
            None if actor is None else int(actor.account),
            "" if actor is None else str(actor.address),
            verdict.principal,
            # What was typed at a login may be a password in the wrong field.
            "" if verdict.because else about[:CHARACTERS],
            str(verdict.reason),
            isinstance(verdict, Defer),
            verdict.detail[:CHARACTERS],
            verdict.because[:CHARACTERS],
        )
        self._gathering.soon()
        return replace(verdict, decision=decision)

    def _id(self, words: tuple[str, ...], protocol: str, network: str, actor: str, asked: str) -> str:
        clock = self._clock()
        if clock - self._began >= TOGETHER:
            self._began = clock
            self._known.clear()
            self._of_source.clear()
        key: _Key = (*words, protocol, network, actor, asked)
        found = self._known.get(key)
        if found is not None and (found in self._waiting or len(self._waiting) < WAITING):
            return found
        if len(self._known) >= KNOWN or len(self._waiting) >= WAITING:
            key = (*words, protocol)
        elif self._of_source.get(network, 0) >= OF_A_SOURCE:
            key = (*words, protocol, network)
        else:
            self._of_source[network] = self._of_source.get(network, 0) + 1
        return self._known.setdefault(key, new_decision())

    async def write(self) -> None:
        """Everything so far is kept when it returns. Raises StoreError; what could not be written waits on."""
        await self._gathering.write()

    async def write_all(self) -> None:
        """As `write`, and what was gathered in other processes is kept too. Raises StoreError."""
        await self.write()
        if self._others is not None:
            await self._others()

    async def forget(self) -> None:
        """What has been kept long enough, a part of it. Raises StoreError."""
        await self._store.do(refusals.ForgetRefusals(), bulk=True)

    async def close(self) -> None:
        """For the end of the process: what is here is written now, or lost with a line in the log."""
        await self._gathering.close()


class Budget:
    """How many refusals of an actor go on record: who is refused all the time, by a broken client or on purpose, fills no disk."""

    __slots__ = ("_began", "_clock", "_spent")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._spent: dict[int, int] = {}

    def spend(self, actor: int) -> bool:
        """False: there were RECORDS of them in this time already."""
        clock = self._clock()
        if clock - self._began >= RECORDS_IN or len(self._spent) >= ACTORS:
            self._began = clock
            self._spent.clear()
        spent = self._spent.get(actor, 0) + 1
        self._spent[actor] = spent
        return spent <= RECORDS
