"""This node among those that share a database: its lease, what the others changed, what all have to know, and who does what is done once.

What a group of deeds changed is a row of `wake`, written in its transaction. A NOTIFY says no more than "look": it may be lost, or come
twice. Every POLL seconds each node looks by itself. That look renews its lease, and confirms the version of the rights it has read.
"""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from store.errors import Busy
from store.numbered import Numbered
from store.port import EverythingChanged
from store.postgres_session import Server, Session, opened, translated
from store.wakes import read
from store.writer import Fault, Watchers

log = logging.getLogger(__name__)

POLL: Final = 2.0
"""Seconds: so late a change of another node is noticed at the latest, when no NOTIFY comes through."""
KEPT: Final = 600 * 1_000_000
"""Microseconds: how long what changed is kept for nodes that could not look."""
KEYS_KEPT: Final = 3600 * 1_000_000
"""Microseconds: far longer than it is looked for whether a group was done."""
TIDY_EVERY: Final = 60.0
DEAD: Final = 60 * 1_000_000
"""Microseconds after the end of its lease for which a node may still be handing on what it has claimed."""
CALL_SECONDS: Final = 5.0
"""How long the answers of other nodes are waited for."""
STALENESS: Final = 10.0

_JOIN: Final = Numbered("SELECT procura_join($1, $2, $3, $4, $5)", ())
_MARK: Final = Numbered("SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT)", ())
# One statement, and so one state: what is told to have been read is read.
_LOOK: Final = Numbered(
    "SELECT v.version, CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT),"
    " (SELECT id FROM node WHERE lease_until > procura_clock() AND candidate = 1 ORDER BY started, id LIMIT 1),"
    " EXISTS (SELECT 1 FROM node_call WHERE node = $2 AND answer IS NULL), w.id, w.events"
    " FROM policy_version v LEFT JOIN wake w ON w.xact >= CAST(CAST($1 AS TEXT) AS XID8) AND w.node <> $2 ORDER BY w.id",
    (),
)
_RENEW: Final = Numbered(
    "UPDATE node SET lease_until = procura_clock() + $2::BIGINT, confirmed = $3 WHERE id = $1 AND lease_until > procura_clock()", ()
)
_COUNT: Final = Numbered("UPDATE node SET counted = $2 WHERE id = $1", ())
_COUNTED: Final = Numbered(
    "SELECT counted FROM node WHERE split_part(place, '/', 1) <> $1 AND lease_until > procura_clock() AND counted <> '{}'", ()
)
_KEEP_KEY: Final = Numbered("INSERT INTO shared_key (name, fingerprint) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", ())
_KEY: Final = Numbered("SELECT fingerprint FROM shared_key WHERE name = $1", ())
_BEHIND: Final = Numbered("SELECT COUNT(*) FROM node WHERE id <> $1 AND confirmed < $2 AND lease_until > procura_clock()", ())
_OTHERS: Final = Numbered("SELECT id, name FROM node WHERE id <> $1 AND lease_until > procura_clock() ORDER BY started, id", ())
_LEASES: Final = Numbered(
    "SELECT id, name, lease_until FROM node WHERE id <> $1 AND lease_until > procura_clock() ORDER BY started, id", ()
)
_RING: Final = Numbered("SELECT pg_notify('procura_' || id, '') FROM node WHERE id <> $1 AND lease_until > procura_clock()", ())
_LEAVE: Final = Numbered("DELETE FROM node WHERE id = $1", ())
_TIDY: Final = (
    Numbered("DELETE FROM wake WHERE at < procura_clock() - $1::BIGINT", ()),
    Numbered("DELETE FROM node_call WHERE at < procura_clock() - $1::BIGINT", ()),
)
_BURY: Final = Numbered("DELETE FROM node WHERE lease_until < procura_clock() - $1::BIGINT", ())
_FORGET_KEYS: Final = Numbered(
    "DELETE FROM deed_group WHERE at BETWEEN 0 AND procura_clock() - $1::BIGINT OR at BETWEEN $1::BIGINT - procura_clock() AND -1", ()
)
_ASK: Final = Numbered(
    "INSERT INTO node_call (node, at, asked) SELECT id, procura_clock(), $2 FROM node WHERE id = $1 FOR KEY SHARE RETURNING id", ()
)
_ANSWERS: Final = Numbered("SELECT id, answer FROM node_call WHERE id = ANY (CAST($1 AS BIGINT[]))", ())
_DROP_CALLS: Final = Numbered("DELETE FROM node_call WHERE id = ANY (CAST($1 AS BIGINT[]))", ())
_ASKED: Final = Numbered("SELECT id, asked FROM node_call WHERE node = $1 AND answer IS NULL ORDER BY id", ())
_ANSWER: Final = Numbered("UPDATE node_call SET answer = $2 WHERE id = $1", ())


@dataclass(frozen=True, slots=True)
class Answered:
    """What another node said. `answer` None: nothing, in time."""

    node: str
    name: str
    answer: Any


Counting = Callable[[], Mapping[str, int]]
"""How many there are here of what."""

Answering = Callable[[Any], Awaitable[Any]]
"""Answers what another node asked; both are of what JSON knows."""


class Nodes:
    """`join` it. `server`: a name that no other server has; `process`: which of its processes this is, None where it is the one that may
    lead. `staleness`, seconds: the lease, and how long the rights last read count when the database is not heard of. `slot`: a number
    below 1000 that no other node of now has."""

    def __init__(self, where: Server, server: str, watchers: Watchers, staleness: float, process: int | None = None) -> None:
        self._server = server
        self._place = server if process is None else f"{server}/{process}"
        self._may_lead = process is None
        self.id = secrets.token_hex(8)
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.slot = 0
        self.leads = False
        self._where = where
        self._watchers = watchers
        self._lease = int(staleness * 1_000_000)
        self._staleness = staleness
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._mark = ""
        self._seen: frozenset[int] = frozenset()
        self._committed = 0
        self._known_everywhere = 0
        self._look_now = asyncio.Event()
        self._ring_now = asyncio.Event()
        self._tidied = self._loop.time()
        self._answering: dict[str, Answering] = {}
        self._counting: Counting | None = None
        self._counted = "{}"
        self._elsewhere: Counter[str] = Counter()
        self._listening: Session | None = None
        self._tasks: list[asyncio.Task[None]] = []
        # What is asked in between, one at a time.
        self._desk: Session | None = None
        self._at_desk = asyncio.Lock()

    @property
    def confirmed(self) -> bool:
        """Were the rights in force read lately enough?"""
        return self._loop.time() - self._heard < self._staleness

    async def join(self) -> None:
        """Raises Fault."""
        try:
            await self._listen()
            await self._look()
        except Exception as error:
            raise translated(error) from error
        self._tasks = [
            self._loop.create_task(self._follow(), name="store node"),
            self._loop.create_task(self._ring(), name="store bell"),
        ]

    async def close(self) -> None:
        """Leaves: what this node has leased is anybody's."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        try:
            await self._asked(_LEAVE, [self.id])
        except (Busy, OSError):
            log.debug("could not leave", exc_info=True)
        for session in (self._listening, self._desk):
            if session is not None:
                await session.close()

    def committed(self, version: int) -> None:
        """This node has changed something; `version`: of the rights, or 0."""
        self._committed = max(self._committed, version)
        self._ring_now.set()

    async def everywhere(self) -> None:
        """Returns when what this node has changed in the rights is known to every node that lives, or whose lease has not ended."""
        version = self._committed
        if version <= self._known_everywhere:
            return
        wait = 0.002
        ends = self._loop.time() + self._staleness
        while True:
            try:
                behind = await self._asked(_BEHIND, [self.id, version])
            except Fault:
                behind = None
                # Whoever has renewed its lease since the commit has read the version; whoever has not has stopped by now.
                if self._loop.time() > ends:
                    return
            if behind is not None and not behind[0][0]:
                self._known_everywhere = max(self._known_everywhere, version)
                return
            await asyncio.sleep(wait)
            wait = min(wait * 2, 0.25)

    def answers(self, what: str, answering: Answering) -> Callable[[], None]:
        """What other nodes ask under this name is answered so, also what they have asked already; returns the function that ends it."""
        self._answering[what] = answering
        self._look_now.set()

        def end() -> None:
            self._answering.pop(what, None)

        return end

    def counts(self, counting: Counting) -> None:
        """What the others are told at each look, so that they can add it to theirs."""
        self._counting = counting

    def elsewhere(self, key: str) -> int:
        """How many of it the nodes of other servers had when they last said so."""
        return self._elsewhere[key]

    async def fingerprint(self, key: str, own: bytes | None = None) -> bytes | None:
        """Of a key that all nodes must have: the one that was said first, perhaps just now. Raises Fault."""
        if own is not None:
            await self._asked(_KEEP_KEY, [key, own])
        rows = await self._asked(_KEY, [key])
        return bytes(rows[0][0]) if rows else None

    async def others(self) -> Mapping[str, int]:
        """The names of all other nodes whose lease has not ended, with when it ends (microseconds). Raises Fault."""
        return {f"{name} ({node[:8]})": until for node, name, until in await self._asked(_LEASES, [self.id])}

    async def ask(self, what: str, asked: Any, *, of: str | None = None) -> Sequence[Answered]:
        """Every other node that lives, or only that one; who leaves meanwhile, or is replaced, has nothing to say. Raises Fault."""
        others = [(node, name) for node, name in await self._asked(_OTHERS, [self.id]) if of in (None, node)]
        calls: dict[int, tuple[str, str]] = {}
        for node, name in others:
            for (number,) in await self._asked(_ASK, [node, json.dumps([what, asked])]):
                calls[number] = (node, name)
        self._ring_now.set()
        found: dict[int, str | None] = dict.fromkeys(calls)
        ends = self._loop.time() + CALL_SECONDS
        while None in found.values() and self._loop.time() < ends:
            await asyncio.sleep(0.02)
            # The calls of a node go with it.
            found = dict(await self._asked(_ANSWERS, [[*found]]))
        if found:
            await self._asked(_DROP_CALLS, [[*found]])
        return [Answered(*calls[number], None if text is None else json.loads(text)) for number, text in sorted(found.items())]

    # --- looking

    async def _follow(self) -> None:
        while True:
            # Not wait_for: before Python 3.12 it loses the cancellation that comes in the moment of waking.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(POLL, self._staleness / 4)):
                    await self._look_now.wait()
            self._look_now.clear()
            try:
                if self._listening is None:
                    await self._listen()
                    self._watchers.tell([EverythingChanged()])
                async with asyncio.timeout(self._staleness):
                    await self._look()
            except Exception as error:
                meant = translated(error, None if self._listening is None else self._listening.connection)
                log.warning("store", extra={"fields": {"outcome": "the database is not heard of", "reason": str(meant)}})
                self._forget()
                await asyncio.sleep(0.2)

    async def _listen(self) -> None:
        """On a new connection; nothing is known of what was told on the old one."""
        session = await opened(self._where)
        try:
            await session.connection.add_listener(f"procura_{self.id}", lambda *_: self._look_now.set())
            # Only what is committed from here on can be missed by who looks at the state afterwards.
            self._mark, self._seen = await session.value(_MARK, ()), frozenset()
            self.slot = await session.value(_JOIN, [self.id, self.name, self._lease, self._place, self._may_lead])
        except BaseException:
            session.discard()
            raise
        self._listening = session

    async def _look(self) -> None:
        session = self._listening
        assert session is not None
        began = self._loop.time()
        rows = await session.rows(_LOOK, [self._mark, self.id])
        version, mark, leader, called = rows[0][:4]
        fresh = [(number, events) for *_, number, events in rows if number is not None and number not in self._seen]
        self._mark = mark
        self._seen = frozenset(number for *_, number, _ in rows if number is not None)
        self._watchers.tell([event for _, events in fresh for event in read(events)])
        if not await session.changed(_RENEW, [self.id, self._lease, version]):
            # Our lease had ended: others may have gone on without us.
            self.slot = await session.value(_JOIN, [self.id, self.name, self._lease, self._place, self._may_lead])
            self._counted = "{}"
            self._watchers.tell([EverythingChanged()])
        self._heard = began
        self.leads = leader == self.id
        await self._add_up(session)
        if called:
            await self._answer(session)
        if self.leads and await session.changed(_BURY, [DEAD]):
            # What it had in hand is to be done by others.
            self._watchers.tell([EverythingChanged()])
        if self.leads and began - self._tidied > TIDY_EVERY:
            self._tidied = began
            for statement in _TIDY:
                await session.changed(statement, [KEPT])
            await session.changed(_FORGET_KEYS, [KEYS_KEPT])

    async def _add_up(self, session: Session) -> None:
        if self._counting is not None:
            counted = json.dumps(dict(self._counting()), separators=(",", ":"), sort_keys=True)
            if counted != self._counted:
                await session.changed(_COUNT, [self.id, counted])
                self._counted = counted
        found: Counter[str] = Counter()
        for (text,) in await session.rows(_COUNTED, [self._server]):
            found.update(json.loads(text))
        self._elsewhere = found

    async def _answer(self, session: Session) -> None:
        for number, text in await session.rows(_ASKED, [self.id]):
            what, asked = json.loads(text)
            answering = self._answering.get(what)
            if answering is None:  # not yet, or no more: it is about to leave
                continue
            try:
                answer = await answering(asked)
            except Exception:
                log.exception("another node was not answered")
                answer = None
            await session.changed(_ANSWER, [number, json.dumps(answer)])

    def _forget(self) -> None:
        if self._listening is not None:
            self._listening.discard()
            self._listening = None

    # --- telling

    async def _ring(self) -> None:
        """What comes while one NOTIFY is on its way goes with the next."""
        while True:
            await self._ring_now.wait()
            self._ring_now.clear()
            try:
                await self._asked(_RING, [self.id])
            except Fault as fault:
                # They will look by themselves.
                log.debug("nobody was told: %s", fault)

    async def _asked(self, statement: Numbered, arguments: Sequence[Any]) -> list[Any]:
        """In between, in a transaction of its own. Raises Fault."""
        async with self._at_desk:
            try:
                if self._desk is None or self._desk.connection.is_closed():
                    self._desk = await opened(self._where)
                return await self._desk.rows(statement, arguments)
            except Exception as error:
                if self._desk is not None:
                    self._desk.discard()
                    self._desk = None
                raise translated(error) from error
