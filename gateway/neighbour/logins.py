"""Which logins may use this address as envelope sender? (Postfix's smtpd_sender_login_maps; delegation.md section 5.6)"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.submission import Submission
from policy.grants import SendRight, earliest, next_change
from policy.identity import AccountId, Actor, Address
from policy.submission import EnvelopeVerdict
from store import accounts, addresses, domains, grants
from store.addresses import ObjectKind
from store.port import Event, EverythingChanged, PolicyChanged, Snapshot, Store

CANDIDATES: Final = 4_000
"""Accounts that are asked about for one address: as many names of 24 octets as an answer of socketmap has room for."""
OCTETS: Final = 99_000
"""Of an answer (gateway.neighbour.socketmap.ANSWER), for the same reason."""
AT_ONCE: Final = 20
"""Accounts judged in one snapshot, some milliseconds; then others have their turn."""
SIDE_BY_SIDE: Final = 2
REMEMBERED: Final = 10_000
"""Addresses whose logins are kept, until anything changes that policy rests on."""
_PARTS: Final = frozenset(", \t\r\n")


class TooMany(Exception):
    """More logins than an answer has room for: only a question about one of them can be answered."""


@dataclass(frozen=True, slots=True)
class _Known:
    """`valid_until`: microseconds since 1970 UTC, None: no clock alone changes it."""

    logins: Sequence[str]
    valid_until: int | None


class Logins:
    """Asks `Submission.envelope_in` about everybody whom a grant could mean: what is listed is what would be allowed.

    Every change of a grant, status, membership, class of service, alias or domain forgets all that is remembered (`told`), so that
    nothing is laxer than asking anew.
    """

    def __init__(self, store: Store, submission: Submission, *, candidates: int = CANDIDATES) -> None:
        self._store = store
        self._submission = submission
        self._candidates = candidates
        self._known: OrderedDict[Address, _Known] = OrderedDict()
        self._changes = 0
        self._turns = asyncio.Semaphore(SIDE_BY_SIDE)

    def told(self, events: Sequence[Event]) -> None:
        """What the store has to tell after each commit (store.port.Store.watch)."""
        if any(isinstance(event, PolicyChanged | EverythingChanged) for event in events):
            self._known.clear()
            self._changes += 1

    async def of(self, address: Address) -> Sequence[str]:
        """Every address by which somebody who may send from `address` could log in; empty: nobody may.

        Raises TooMany, StoreError.
        """
        known = await self._remembered(address)
        if known is not None:
            return known
        async with self._turns:
            known = await self._remembered(address)
            if known is not None:
                return known
            began = self._changes
            found = await self._found(address)
            if began == self._changes:
                self._known[address] = found
                while len(self._known) > REMEMBERED:
                    self._known.popitem(last=False)
            return found.logins

    async def _remembered(self, address: Address) -> Sequence[str] | None:
        known = self._known.get(address)
        if known is None:
            return None
        if known.valid_until is not None:
            async with self._store.snapshot() as snapshot:
                if known.valid_until <= snapshot.now:
                    return None
        return known.logins

    async def _found(self, address: Address) -> _Known:
        async with self._store.snapshot() as snapshot:
            candidates, valid_until = await self._whom_to_ask(snapshot, address)
        logins: list[str] = []
        octets = 0
        for start in range(0, len(candidates), AT_ONCE):
            async with self._store.snapshot() as snapshot:
                for account in candidates[start : start + AT_ONCE]:
                    names = await self._names(snapshot, account)
                    if not names:
                        continue
                    verdict = await self._submission.envelope_in(snapshot, Actor(account, names[0]), address)
                    if isinstance(verdict, EnvelopeVerdict):
                        spelled = await self._spelled(snapshot, names)
                        octets += sum(len(one.encode()) + 1 for one in spelled)
                        logins += spelled
            if octets > OCTETS:
                raise TooMany
            await asyncio.sleep(0)
        return _Known(tuple(logins), valid_until)

    async def _whom_to_ask(self, snapshot: Snapshot, address: Address) -> tuple[Sequence[AccountId], int | None]:
        """The account that it is and everybody whom a grant on it names, in force or not; who may use a foreign one. With it, when
        the first of the grants begins or ends."""
        asked: dict[AccountId, None] = {}
        valid_until: int | None = None
        found = await snapshot.ask(addresses.resolve, address)
        if found is None:
            if await snapshot.ask(domains.serving, address.domain) is None:
                asked.update(dict.fromkeys(await snapshot.work(accounts.allowed_from, address, self._candidates + 1)))
        else:
            if found.kind is ObjectKind.ACCOUNT:
                asked[AccountId(found.id)] = None
            for right in (SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF):
                for grant in await snapshot.ask(grants.send_grants_on, found.id, right):
                    valid_until = earliest((valid_until, next_change(grant, snapshot.now)))
                    if not grant.deny:
                        matching = await snapshot.work(grants.accounts_matching, grant.grantee, self._candidates + 1)
                        asked.update(dict.fromkeys(matching))
        if len(asked) > self._candidates:
            raise TooMany
        return [*asked], valid_until

    async def _names(self, snapshot: Snapshot, account: AccountId) -> Sequence[Address]:
        """Primary address first; those that would read as two are left out."""
        return [one for one in await snapshot.ask(addresses.of, account) if _PARTS.isdisjoint(one.local)]

    async def _spelled(self, snapshot: Snapshot, names: Sequence[Address]) -> Sequence[str]:
        """In alias domains too: who logs in may spell it so."""
        spelled = []
        for name in names:
            spelled.append(str(name))
            serving = await snapshot.ask(domains.serving, name.domain)
            if serving is not None:
                spelled += [str(Address(name.local, alias)) for alias in await snapshot.ask(domains.aliases_of, serving.id)]
        return spelled
