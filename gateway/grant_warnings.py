"""Who hears by mail, and when, that something granted is going to end?"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from gateway.delivery import Delivery
from gateway.directory import names
from policy.cos import DEFAULTS
from policy.grantees import Grantee, GranteeKind
from policy.grants import FolderEntry, SendGrant
from policy.identity import AccountId, Address, ListId
from policy.rights import spell_letters
from policy.tenure import MOST, announced_at
from store import accounts, grants, lists, tenure
from store.deeds import Several
from store.errors import Conflict, StoreError
from store.port import Deed, Event, EverythingChanged, PolicyChanged, Snapshot, Store
from store.tenure import GrantsWarned, Tenure

log = logging.getLogger(__name__)

EVERY: Final = 3600.0
"""Seconds between two looks at the latest: ends further away than that are found by then."""
PAUSE: Final = 1.0
"""Seconds between two looks at least, and twenty times as long as a look took: who changes grants by the thousand is not slowed down."""
AGAIN: Final = 60_000_000
"""Microseconds until what could not be written is tried again; any change of grants comes first."""
AT_ONCE: Final = 20_000
"""Grants of each kind that are looked at, those that end first."""
TOLD: Final = 500
"""Members of a group that are told; those of larger ones, of domains and classes are not, only the owner is."""

LEADING: Final = 60.0
"""Seconds after which a node looks whether it is the one by now."""

_Key = tuple[int, Grantee, int]
"""What is announced in one mail: grants on one owner, to one grantee, that end at one time."""


class GrantWarnings:
    """`run` is a task of the application, `told` a watcher of the store. A mail and the mark that it was written are one transaction."""

    def __init__(self, store: Store, delivery: Delivery, *, pause: float = PAUSE) -> None:
        self._store = store
        self._delivery = delivery
        self._pause = pause
        self._wake = asyncio.Event()

    def told(self, events: Sequence[Event]) -> None:
        """A watcher of the store."""
        if any(isinstance(event, PolicyChanged | EverythingChanged) for event in events):
            self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled. What cannot be written is tried again at the next look."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            began = loop.time()
            wait = EVERY
            try:
                # Of several nodes one does it; which one that is may change.
                wait = await self.look() if self._store.leads else LEADING
            except StoreError as fault:
                wait = AGAIN / 1_000_000
                log.warning("grant warnings", extra={"fields": {"outcome": "put off", "reason": repr(fault)}})
            except Exception:
                log.exception("grant warnings failed")
            await asyncio.sleep(max(self._pause, 20 * (loop.time() - began)))
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def look(self) -> float:
        """Announces what is due; seconds until the next one is, EVERY at most. Raises StoreError."""
        async with self._store.snapshot() as snapshot:
            now = snapshot.now
            found = await snapshot.work(tenure.expiring, now + MOST * 1_000_000, AT_ONCE)
            befores = await _befores(snapshot, frozenset(one.target for one in found if one.warned is None))
        due: defaultdict[_Key, list[Tenure]] = defaultdict(list)
        following: int | None = None
        for one in found:
            granted = one.granted
            if one.warned is not None or not _gives(granted):
                continue
            assert granted.expires is not None
            at = announced_at(one.given, granted.not_before, granted.expires, befores[one.target])
            if at is None:
                continue
            if at <= now:
                due[one.target, granted.grantee, granted.expires].append(one)
            else:
                following = at if following is None else min(following, at)
        for (target, grantee, expires), some in due.items():
            try:
                await self._announce(target, grantee, expires, some)
            except Conflict:
                continue  # somebody changed it meanwhile: that wakes us
            except StoreError as fault:
                log.warning("grant warning", extra={"fields": {"principal": target, "outcome": "not written", "reason": repr(fault)}})
                following = now + AGAIN if following is None else min(following, now + AGAIN)
        return EVERY if following is None else min(EVERY, (following - now) / 1_000_000)

    async def _announce(self, target: int, grantee: Grantee, expires: int, some: Sequence[Tenure]) -> None:
        async with self._store.snapshot() as snapshot:
            owner = await snapshot.ask(names.name_of, Grantee(GranteeKind.ACCOUNT, target))
            call = names.caller(await snapshot.ask(names.names_of, frozenset([grantee])))
            whom = call(grantee)
            deeds: list[Deed[Any]] = [GrantsWarned(tuple(some))]
            keepers = await _keepers(snapshot, target)
            for address in keepers:
                subject = f"What {whom} may do for {owner} ends soon"
                deeds.append(await self._delivery.notice(snapshot, address, subject, _text(owner, whom, expires, some, to_owner=True)))
            for address in await _delegates(snapshot, grantee):
                if address not in keepers:
                    subject = f"What you may do for {owner} ends soon"
                    text = _text(owner, "you", expires, some, to_owner=False)
                    deeds.append(await self._delivery.notice(snapshot, address, subject, text))
        await self._store.do(Several(tuple(deeds)), bulk=True)
        fields = {"principal": target, "grantee": str(grantee), "outcome": f"{len(deeds) - 1} mails"}
        log.info("grant warning", extra={"fields": fields})


def _gives(granted: FolderEntry | SendGrant) -> bool:
    return not granted.deny if isinstance(granted, SendGrant) else bool(granted.rights)


async def _befores(snapshot: Snapshot, targets: frozenset[int]) -> Mapping[int, int]:
    """Seconds before the end, by the owner's own setting; a list has the usual one."""
    found = {}
    for target in targets:
        row = await snapshot.ask(accounts.by_id, AccountId(target))
        found[target] = (DEFAULTS if row is None else row.values).grant_warn_before
    return found


async def _keepers(snapshot: Snapshot, target: int) -> list[Address]:
    """The account itself, or the owners of the list."""
    row = await snapshot.ask(accounts.by_id, AccountId(target))
    if row is not None:
        return [row.address]
    group = await snapshot.ask(lists.by_id, ListId(target))
    rows = [await snapshot.ask(accounts.by_id, one) for one in ([] if group is None else group.owners)]
    return [one.address for one in rows if one is not None]


async def _delegates(snapshot: Snapshot, grantee: Grantee) -> list[Address]:
    if grantee.kind not in (GranteeKind.ACCOUNT, GranteeKind.GROUP):
        return []
    members = await snapshot.work(grants.accounts_matching, grantee, TOLD + 1)
    if len(members) > TOLD:
        return []
    rows = [await snapshot.ask(accounts.by_id, one) for one in members]
    return [one.address for one in rows if one is not None]


def _text(owner: str, whom: str, expires: int, some: Sequence[Tenure], *, to_owner: bool) -> str:
    until = datetime.fromtimestamp(expires / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    told = [f"On {until} this ends by itself, in open mail programs too:", ""]
    for one in some:
        granted = one.granted
        if isinstance(granted, SendGrant):
            told.append(f"    {whom} may {granted.right} on {owner}{_noted(granted.note)}")
        else:
            told.append(f"    {whom} may use {one.path} of {owner} ({spell_letters(granted.rights)}){_noted(granted.note)}")
    told.append("")
    told.append(
        "If it is to go on, give it a later end (grantRight, modifyFolderGrant, or your administrator)."
        if to_owner
        else f"If you need it longer, ask {owner} or your administrator."
    )
    return "\n".join(told)


def _noted(note: str) -> str:
    return f": {note}" if note else ""
