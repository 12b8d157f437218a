"""The sessions that are open, and ending those whose account may no longer be logged in."""

import asyncio
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from gateway.followers import Followers
from gateway.tallies import OwnTally, Tally
from policy.identity import AccountId, Actor
from policy.reasons import Defer, Reason, Refuse
from store.errors import Busy, StoreError
from store.port import DIRECTORY, Event, EverythingChanged, PolicyChanged

log = logging.getLogger(__name__)

End = Callable[[Refuse | Defer], None]
"""Tells a session, on the loop and without waiting, that it is over and why."""

ENDED_BY_ADMINISTRATOR: Final = Refuse(Reason.SESSION_ENDED, "ended by an administrator")

AT_ONCE: Final = 50
"""Sessions looked at in one snapshot, which has to be short; between two of them others get their turn."""
AGAIN: Final = (0.1, 0.3, 0.6)
"""Seconds before sessions are looked at again where the database could not be asked; then they end."""
LONGEST_WAIT: Final = 3600.0
"""Seconds until a right that ends by the clock is looked at again at the latest: the clock may be set meanwhile."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """`refusal`: why an actor may not stay logged in, or None; `valid_until`: as in Witness."""

    refusal: Refuse | Defer | None = None
    valid_until: int | None = None


Confirm = Callable[[Collection[Actor]], Awaitable[Mapping[Actor, Confirmed]]]
"""Login.confirm."""


@dataclass(frozen=True, slots=True)
class Doing:
    """What a session is doing just now. `client`: what the client calls itself, unproved (ID, EHLO); `folder`: the selected one, as
    `owner:path` where it is another's, "" for none."""

    client: str = ""
    folder: str = ""


Describe = Callable[[], Doing]


def _nothing_known() -> Doing:
    return Doing()


@dataclass(eq=False, slots=True)
class _Open:
    of: "Sessions"
    actor: Actor
    protocol: str
    peer: str
    since: float
    end: End
    number: int = field(default=0)
    describe: Describe = field(default=_nothing_known)
    open: bool = field(default=True)
    timer: asyncio.TimerHandle | None = field(default=None)

    def leave(self) -> None:
        """It is over."""
        self.of._remove(self)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One open session as administrators see it. `account`: whose it is; `acting`: who logged in as that account by loginAs, else "".

    `seconds`: how long it has been open; `since`: microseconds since 1970 UTC; `client` and `folder` as in Doing.
    """

    number: int
    account: str
    acting: str
    protocol: str
    peer: str
    seconds: int
    since: int = 0
    client: str = ""
    folder: str = ""


class Sessions:
    """Every door adds its sessions after login. When what a login rests on changes, each of the accounts is looked at again,
    and when the clock ends the right to act as another.

    What is to be looked at waits in one place and is looked at by one task: a thousand changes of the directory in a row cost
    no more than those that there is time for. `wall_clock`: microseconds since 1970 UTC. `tally`: how many there are of an account, in
    all processes; `number`: of the next session; `elsewhere`: how many an account has on other servers.
    """

    def __init__(
        self,
        confirm: Confirm,
        per_account: int,
        exempt: Callable[[str], bool],
        *,
        wall_clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        tally: Tally | None = None,
        number: Callable[[], int] | None = None,
        elsewhere: Callable[[AccountId], int] = lambda _: 0,
    ) -> None:
        self._confirm = confirm
        self._per_account = per_account
        self._exempt = exempt
        self._open: Followers[int, _Open] = Followers()
        self._elsewhere = elsewhere
        self._number = number or partial(next, itertools.count(1))
        self._tally = tally or OwnTally()
        self._wall_clock = wall_clock
        # Dictionaries for their order; those whom a change names come before those whom it may concern.
        self._pressing: dict[_Open, None] = {}
        self._pending: dict[_Open, None] = {}
        self._looking: asyncio.Task[None] | None = None
        self.heard = 0
        """How often anything was told of that sessions may rest on."""

    def add(
        self, actor: Actor, protocol: str, peer: str, end: End, describe: Describe = _nothing_known, *, heard: int | None = None
    ) -> Callable[[], None] | None:
        """Returns the function that takes it out again, or None: the account has as many sessions as it may. `heard`: what it was before
        the login was looked at, so that it need not be looked at again where nothing has changed since; None: not known."""
        accounts = {actor.account, actor.person}
        there_are = {account: self._tally.add(str(account)) for account in accounts}
        if there_are[actor.account] + self._elsewhere(actor.account) > self._per_account and not self._exempt(peer):
            for account in accounts:
                self._tally.take(str(account))
            return None
        one = _Open(self, actor, protocol, peer, asyncio.get_running_loop().time(), end, self._number(), describe)
        for account in accounts:
            self._open.add(account, one)
        # The account may have changed between the login's snapshot and this line: then it was told before, or will be. What else a login
        # rests on may end by the clock, which `confirm` looks at.
        if heard != self.heard or actor.via is not None or actor.until is not None or actor.scope is not None:
            self._look_again((one,), self._pressing)
        return one.leave

    def _remove(self, one: _Open) -> None:
        self._pressing.pop(one, None)
        self._pending.pop(one, None)
        self._watch_clock(one, None)
        if not one.open:
            return
        one.open = False
        for account in {one.actor.account, one.actor.person}:
            self._tally.take(str(account))
            self._open.discard(account, one)

    def told(self, events: Sequence[Event]) -> None:
        """A watcher of the store."""
        scopes: set[int] = set()
        for event in events:
            if isinstance(event, PolicyChanged):
                scopes |= event.scopes
            elif isinstance(event, EverythingChanged):
                scopes.add(DIRECTORY)
        if not scopes:
            return
        self.heard += 1
        if DIRECTORY in scopes:  # a domain's status, for instance: everybody may be concerned
            self._look_again(self._open.everyone(), self._pending)
        self._look_again((one for scope in scopes for one in self._open.of(scope)), self._pressing)

    def counts(self, least: int) -> dict[AccountId, int]:
        """How many there are of each account that has so many at least."""
        return {AccountId(account): count for account in self._open if (count := self._open.count(account)) >= least}

    def rows(self) -> list[SessionRow]:
        """The oldest first."""
        now, wall = asyncio.get_running_loop().time(), self._wall_clock()
        return [_row(one, now - one.since, wall) for one in sorted(self._open.everyone(), key=lambda one: one.number)]

    def end(self, numbers: Collection[int]) -> int:
        """Ends those of these that are open, now; returns how many. The account may come in again."""
        ending = {one for one in self._open.everyone() if one.number in numbers and one.open}
        for one in ending:
            one.end(ENDED_BY_ADMINISTRATOR)
        return len(ending)

    async def idle(self) -> None:
        """Until everything that was started here has ended; for tests and for closing."""
        while self._looking is not None:
            await asyncio.wait((self._looking,))

    def _look_again(self, some: Iterable[_Open], where: dict[_Open, None]) -> None:
        # What waits already waits for a snapshot that is still to be taken: it need not wait twice.
        where.update(dict.fromkeys(some))
        if where and self._looking is None:
            self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        try:
            while self._pressing or self._pending:
                await self._confirm_some(self._taken())
                await asyncio.sleep(0)
        finally:
            self._looking = None

    def _taken(self) -> list[_Open]:
        taken: list[_Open] = []
        for where in (self._pressing, self._pending):
            some = [*itertools.islice(where, AT_ONCE - len(taken))]
            for one in some:
                del where[one]
            taken += some
        return taken

    async def _confirm_some(self, some: Sequence[_Open]) -> None:
        confirmed: Mapping[Actor, Confirmed]
        try:
            confirmed = await self._confirmed({one.actor for one in some})
        except Exception as fault:
            # Not known to be allowed any more: closed rather than left open.
            log.error(
                "sessions not confirmed",
                exc_info=not isinstance(fault, StoreError),
                extra={"fields": {"outcome": f"{len(some)} ended", "reason": repr(fault)}},
            )
            confirmed = {one.actor: Confirmed(Defer(Reason.BUSY)) for one in some}
        for one in some:
            if not one.open:
                continue
            found = confirmed[one.actor]
            if found.refusal is not None:
                one.end(found.refusal)
            else:
                self._watch_clock(one, found.valid_until)

    async def _confirmed(self, actors: Collection[Actor]) -> Mapping[Actor, Confirmed]:
        """One connection that was lost is no reason to end every session; what is done meanwhile confirms its rights by itself."""
        for pause in AGAIN:
            try:
                return await self._confirm(actors)
            except Busy:
                await asyncio.sleep(pause)
        return await self._confirm(actors)

    def _watch_clock(self, one: _Open, valid_until: int | None) -> None:
        if one.timer is not None:
            one.timer.cancel()
            one.timer = None
        if valid_until is not None:
            wait = min(max(0.001, (valid_until - self._wall_clock()) / 1_000_000), LONGEST_WAIT)
            one.timer = asyncio.get_running_loop().call_later(wait, self._look_again, (one,), self._pressing)


def _row(one: _Open, seconds: float, wall: int) -> SessionRow:
    doing = one.describe()
    return SessionRow(
        one.number,
        str(one.actor.address),
        str(one.actor.via_address or ""),
        one.protocol,
        one.peer,
        int(seconds),
        wall - int(seconds * 1_000_000),
        doing.client,
        doing.folder,
    )
