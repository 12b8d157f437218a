"""Is everything that is kept whole: the database, the octets of every message, the search index, the record of decisions?"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from gateway.directory.premises import Premises, Told
from gateway.directory.records import Records
from policy.identity import AccountId, FolderId
from store import audit, blobs, verify
from store.errors import Busy, StoreError
from store.port import Snapshot, Store, Tx
from store.verify import Counted, Finding, InFile

T = TypeVar("T")

MOST: Final = 1000
"""Findings that are told one by one; a database that is torn has them without end."""
YOUNG: Final = 2 * 3600 * 1_000_000
"""Microseconds: a file that no row names is put away by then (gateway/housekeeping.py)."""
NAMED: Final = 20
"""Files that no row names, told one by one."""


@dataclass(frozen=True, slots=True)
class Verified:
    """`findings`: at most MOST of `found`; `repaired`: folders and accounts whose counts were made anew; the rest is how much there was."""

    findings: Sequence[Finding]
    found: int
    repaired: int
    folders: int
    messages: int
    blobs: int
    records: int

    @property
    def is_whole(self) -> bool:
        """Nothing grave."""
        return not any(one.grave for one in self.findings)


class _Findings:
    def __init__(self) -> None:
        self.all: list[Finding] = []
        self.count = 0

    def add(self, some: Iterable[Finding]) -> None:
        for one in some:
            self.count += 1
            # What is grave is never crowded out by notes.
            if len(self.all) < MOST:
                self.all.append(one)
            elif one.grave and (note := next((at for at, other in enumerate(self.all) if not other.grave), None)) is not None:
                self.all[note] = one


class Verification:
    """Looks, a piece at a time, while everything goes on. Raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records, premises: Premises) -> None:
        self._store = store
        self._records = records
        self._premises = premises

    async def verify(self, told: Told, *, repair: bool = False) -> Verified:
        """`repair`: counts that can be made anew of what they count are; nothing else is touched."""
        await self._records.only_operator("verified")
        found = _Findings()
        tables = await self._piece(found, "the database", verify.tables) or []
        for number, table in enumerate(tables):
            told("database", number, len(tables))
            found.add(await self._piece(found, f"table {table}", verify.damage, table) or ())
        folders, messages, count = await self._piece(found, "the database", verify.amounts) or (0, 0, 0)
        wrong_folders: list[FolderId] = []
        wrong_accounts: list[AccountId] = []
        await self._pages(found, told, "folders", folders, verify.folders, wrong_folders if repair else None)
        await self._pages(found, told, "accounts", 0, verify.used, wrong_accounts if repair else None)
        await self._pages(found, told, "messages", messages, verify.messages)
        found.add(await self._piece(found, "the database", verify.strays) or ())
        await self._octets(found, told, count)
        await self._files(found, told)
        records = await self._record(found, told)
        told("search index", 0, 0)
        said = await asyncio.to_thread(self._premises.index_faults)
        hint = "it may be deleted while nothing runs, and is made again"
        found.add(Finding("search.db", f"{one}: {hint}", grave=False) for one in said)
        repaired = 0
        for folder in dict.fromkeys(wrong_folders):
            repaired += await self._records.do(verify.Recount(folder), "counts repaired", f"folder {folder}", matter=None)
        # What an account has used is the sum of its folders: they come first.
        for account in dict.fromkeys(wrong_accounts) if not wrong_folders else await self._off():
            repaired += await self._records.do(
                verify.Reweigh(account), "counts repaired", f"account {account}", matter=None, principal=account
            )
        return Verified(found.all, found.count, repaired, folders, messages, count, records)

    async def _off(self) -> list[AccountId]:
        """Accounts whose sum is wrong, once the folders are right."""
        wrong: list[AccountId] = []
        await self._pages(_Findings(), lambda *_: None, "accounts", 0, verify.used, wrong)
        return wrong

    async def _piece(self, found: _Findings, where: str, question: Callable[..., T], *arguments: Any) -> T | None:
        """One look, in a snapshot of its own. None: the database could not answer, which is a finding."""
        try:
            async with self._store.snapshot() as snapshot:
                # That something is large, or the server busy, is no damage.
                await snapshot.take_time()
                return await _asked(snapshot, question, *arguments)
        except StoreError as error:
            found.add([Finding(where, f"it cannot be read: {error}")])
            return None

    async def _pages(
        self,
        found: _Findings,
        told: Told,
        what: str,
        total: int,
        question: Callable[[Tx, int], Counted],
        wrong: "list[Any] | None" = None,
    ) -> None:
        after: int | None = 0
        done = 0
        while after is not None:
            page = await self._piece(found, what, question, after)
            if page is None:
                return
            found.add(page.findings)
            if wrong is not None:
                wrong += [one.number for one in page.findings]
            done += page.looked_at
            after = page.after
            told(what, done, total)

    async def _octets(self, found: _Findings, told: Told, total: int) -> None:
        after: int | None = 0
        done = 0
        while after is not None:
            piece = await self._piece(found, "octets", verify.octets, after)
            if piece is None:
                return
            page, files = piece
            found.add(page.findings)
            for one in files:
                await self._file(found, one)
            done += page.looked_at
            after = page.after
            told("octets", done, total)

    async def _file(self, found: _Findings, one: InFile) -> None:
        said = await verify.in_file(self._premises.files, one)
        if said is None:
            return
        # It may have gone, as it should, while we came to look at it.
        if await self._piece(found, "octets", verify.still_named, one) is not False:
            found.add([Finding(f"file {one.place} (blob {one.blob})", said)])

    async def _files(self, found: _Findings, told: Told) -> None:
        told("files", 0, 0)
        async with self._store.snapshot() as snapshot:
            now = snapshot.now
        orphans: list[str] = []
        try:
            async for aged in self._premises.files.aged_pages(now - YOUNG):
                orphans += await self._piece(found, "files", blobs.orphans, aged) or []
        except OSError as error:
            found.add([Finding("the directory of messages", f"it cannot be read: {error.strerror}")])
            return
        except Busy as error:
            found.add([Finding("the object store", str(error))])
            return
        found.add(Finding(f"file {place}", "no row names it", grave=False) for place in orphans[:NAMED])
        if len(orphans) > NAMED:
            found.add([Finding("files", f"{len(orphans) - NAMED} more that no row names", grave=False)])

    async def _record(self, found: _Findings, told: Told) -> int:
        told("record of decisions", 0, 0)
        head = await self._piece(found, "the record of decisions", audit.head)
        broken = await self._piece(found, "the record of decisions", audit.verify)
        if broken is not None:
            found.add([Finding(f"record {broken.number} of the audit", broken.what)])
        return 0 if head is None else head.number


async def _asked(snapshot: Snapshot, question: Callable[..., T], *arguments: Any) -> T:
    try:
        return await snapshot.work(question, *arguments)
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        # A row that is damaged without the engine's noticing may hold anything.
        raise Busy(f"a row is not as it should be ({error})") from error
