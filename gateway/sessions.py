"""The sessions that are open, and ending those whose account may no longer be logged in."""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from policy.identity import AccountId, Actor
from policy.reasons import Defer, Reason, Refuse
from store.errors import StoreError
from store.port import DIRECTORY, Event, PolicyChanged

log = logging.getLogger(__name__)

End = Callable[[Refuse | Defer], None]
"""Tells a session, on the loop and without waiting, that it is over and why."""

Confirm = Callable[[Actor], Awaitable[Refuse | Defer | None]]
"""Login.confirm: why this actor may not stay logged in, or None."""


@dataclass(eq=False, slots=True)
class _Open:
    actor: Actor
    protocol: str
    peer: str
    since: float
    end: End
    number: int = field(default=0)


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One open session as administrators see it. `seconds`: how long it has been open."""

    number: int
    account: str
    acting: str
    protocol: str
    peer: str
    seconds: int


class Sessions:
    """Every door adds its sessions after login. When what a login rests on changes, each of the accounts is looked at again."""

    def __init__(self, confirm: Confirm, per_account: int, exempt: Callable[[str], bool]) -> None:
        self._confirm = confirm
        self._per_account = per_account
        self._exempt = exempt
        self._open: dict[AccountId, set[_Open]] = {}
        self._numbers = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, actor: Actor, protocol: str, peer: str, end: End) -> Callable[[], None] | None:
        """Returns the function that takes it out again, or None: the account has as many sessions as it may."""
        if len(self._open.get(actor.account, ())) >= self._per_account and not self._exempt(peer):
            return None
        one = _Open(actor, protocol, peer, asyncio.get_running_loop().time(), end, next(self._numbers))
        accounts = {actor.account, actor.person}
        for account in accounts:
            self._open.setdefault(account, set()).add(one)
        # The account may have changed between the login's snapshot and this line.
        self._look_again((one,))

        def remove() -> None:
            for account in accounts:
                there = self._open.get(account)
                if there is not None:
                    there.discard(one)
                    if not there:
                        del self._open[account]

        return remove

    def told(self, events: Sequence[Event]) -> None:
        """A watcher of the store."""
        scopes: set[int] = set()
        for event in events:
            if isinstance(event, PolicyChanged):
                scopes |= event.scopes
        if not scopes:
            return
        if DIRECTORY in scopes:  # a domain's status, for instance: everybody may be concerned
            self._look_again({one for there in self._open.values() for one in there})
        else:
            self._look_again({one for scope in scopes for one in self._open.get(AccountId(scope), ())})

    def rows(self) -> list[SessionRow]:
        """The oldest first."""
        now = asyncio.get_running_loop().time()
        every = {one for there in self._open.values() for one in there}
        return [
            SessionRow(one.number, str(one.actor.address), str(one.actor.via_address or ""), one.protocol, one.peer, int(now - one.since))
            for one in sorted(every, key=lambda one: one.number)
        ]

    def end_all(self, verdict: Refuse | Defer) -> None:
        """For all of them the same reason."""
        for one in {one for there in self._open.values() for one in there}:
            one.end(verdict)

    async def idle(self) -> None:
        """Until everything that was started here has ended; for tests and for closing."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _look_again(self, some: Iterable[_Open]) -> None:
        waiting = list(some)
        if waiting:
            task = asyncio.get_running_loop().create_task(self._confirm_each(waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _confirm_each(self, some: Sequence[_Open]) -> None:
        verdicts: dict[Actor, Refuse | Defer | None] = {}
        for one in some:
            if one.actor not in verdicts:
                try:
                    verdicts[one.actor] = await self._confirm(one.actor)
                except StoreError as fault:
                    # Not known to be allowed any more: closed rather than left open.
                    log.error("session not confirmed", extra={"fields": {"account": str(one.actor.address), "reason": repr(fault)}})
                    verdicts[one.actor] = Defer(Reason.BUSY)
            verdict = verdicts[one.actor]
            if verdict is not None:
                one.end(verdict)
