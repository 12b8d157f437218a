"""Deleted accounts: which there are, restoring one as it was last or as a backup has it, taking one away for good."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gateway.arrival import arrived
from gateway.directory import names
from gateway.directory.accounts import free
from gateway.directory.authority import Matter
from gateway.directory.backups import spelled, threaded
from gateway.directory.faults import Code, Fault
from gateway.directory.premises import Premises, Told
from gateway.directory.records import Records
from gateway.message.canonical import read_address
from policy.folders import SpecialUse
from policy.identity import AccountId, Address, BadAddress, CosId, FolderId, ListId
from policy.roles import Operation
from policy.status import AccountStatus
from store import accounts, cos, deleted, domains, folders, messages
from store.accounts import CreateAccount, DeleteAccount, ModifyAccount, SetAccountStatus
from store.appending import AppendMessages, NewInFolder
from store.backups import Backups, Contents, Damaged, Run, Watched
from store.blobs import Files
from store.connect import connect
from store.deleted import OTHERS, Bind, Binding, DeletedRow, Facts, PurgeDeleted, RestoreDeleted
from store.errors import Conflict, LimitReached, NotFound, StoreError
from store.flags import SYSTEM_FLAGS
from store.folders import INBOX, ROOT, CreateFolder, DeleteFolder, SetSpecialUse, SwitchFolder
from store.model import AccountRow, Flag, FolderRow, MessageRow
from store.port import Snapshot, Store

UNDER_WAY: Final = "(a restore is under way)"
"""The note of an account that is being made of a backup: if that is killed, the next attempt begins it anew."""
BATCH: Final = 100
BATCH_OCTETS: Final = 8 << 20
_LOOKED_INTO: Final = ".backup-"


@dataclass(frozen=True, slots=True)
class RestoredAccount:
    """`bindings`: what tied it to others, and what became of it. `notified`: the address that was told, if one was to be and could be.
    `run`: the backup it is from; None: it is as it was when it was deleted."""

    id: AccountId
    address: Address
    bindings: Sequence[Binding]
    folders: int
    messages: int
    run: Run | None
    notified: str | None


class DeletedAccounts:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records, premises: Premises) -> None:
        self._store = store
        self._records = records
        self._premises = premises
        self._one_backup = asyncio.Lock()

    async def all(self) -> AsyncIterator[DeletedRow]:
        """By number; a page per snapshot."""
        after = 0
        while True:
            async with self._store.snapshot() as snapshot:
                rows = await snapshot.work(deleted.page, after)
                seen = [row for row in rows if await self._records.sees(snapshot, await _listing(snapshot, row))]
            for row in seen:
                yield row
            if len(rows) < deleted.PAGE:
                return
            after = rows[-1].id

    async def purge(self, wanted: Sequence[str]) -> int:
        """These, by address or number, go for good; none named: those whose time is over. Returns how many. The operator alone."""
        await self._records.only_operator("deleted account purged")
        if wanted:
            async with self._store.snapshot() as snapshot:
                going = [(await _deleted(snapshot, one)).id for one in wanted]
        else:
            async with self._store.snapshot() as snapshot:
                going = await snapshot.ask(deleted.overdue)
        for account in dict.fromkeys(going):
            async with self._store.snapshot() as snapshot:
                row = await snapshot.ask(deleted.by_id, account)
            about = "" if row is None else str(row.address)
            done = await self._records.do(PurgeDeleted(account), "deleted account purged", about, matter=None, principal=account)
            while not done:
                try:
                    done = await self._store.do(PurgeDeleted(account), bulk=True)
                except StoreError as error:
                    raise Fault(Code.TEMPORARILY_UNAVAILABLE, error) from None
        return len(dict.fromkeys(going))

    async def restore(self, name: str, *, to: str | None = None, rebind: bool = False, notify: str | None = None) -> RestoredAccount:
        """As it was when it was deleted, under its number: with folders, messages, flags, UIDs, preferences and password. `name`: its
        address (the one deleted last) or number; `to`: another address; `notify`: who is told by mail."""
        told = _notified(notify)
        async with self._store.snapshot() as snapshot:
            row = await _deleted(snapshot, name)
            address = row.address if to is None else names.new_address(to)
            matter = Matter(Operation.RESTORE_ACCOUNT, deleted=(row.id,), made=(row.address, address, *row.facts.aliases))
            await self._records.allow(snapshot, matter, str(address))
            left = await self._left(snapshot, row.facts)
            await free(snapshot, address, Code.ACCOUNT_EXISTS)
        if rebind:
            await self._records.only_operator("grants rebound", str(address))
        bindings = await self._records.do(
            RestoreDeleted(row.id, address, rebind, left),
            "account restored",
            str(address),
            matter=matter,
            principal=row.id,
            detail=f"as of {row.deleted}, was {row.address}" + (", grants bound" if rebind else ""),
            words={
                NotFound: Fault(Code.NO_SUCH_ACCOUNT, name),
                Conflict: Fault(Code.ACCOUNT_EXISTS, names.shown(address)),
                LimitReached: Fault(Code.TOO_MANY_ACCOUNTS, names.shown_domain(address.domain)),
            },
        )
        return await self._settled(row.id, await self._told(bindings), None, told)

    async def restore_from(
        self,
        name: str,
        backup: Path,
        told: Told,
        *,
        at: int | None = None,
        to: str | None = None,
        rebind: bool = False,
        notify: str | None = None,
    ) -> RestoredAccount:
        """As the newest backup has it, or that of `at` (microseconds) or before: a new account with the folders, messages, flags,
        preferences and password of that moment (no password where a second factor guarded it). Its UIDs and its number are new. It
        takes no mail before it is whole: mail waits."""
        await self._records.only_operator("account restored from a backup", name)
        notified = _notified(notify)
        async with self._looked_into(backup, at, told) as (past, run, files):
            async with past.snapshot() as then:
                number = await _of_backup(then, name)
                facts = await then.work(deleted.facts_of, number)
            if facts is None:
                raise Fault(Code.NO_SUCH_ACCOUNT, f"{name} (in {run.id})")
            address = facts.address if to is None else names.new_address(to)
            account = await self._begun(facts, address)
            try:
                mapping = await self._copied(past, facts, account, files, told)
                bindings = await self._records.do(
                    Bind(account, facts, mapping, rebind),
                    "account restored",
                    str(address),
                    matter=None,
                    principal=account,
                    detail=f"from {run.id}, was {facts.address} #{facts.id}" + (", grants bound" if rebind else ""),
                )
                await self._store.do(ModifyAccount(account, note=facts.note))
                await self._store.do(SetAccountStatus(account, facts.status))
            except (OSError, StoreError, Damaged) as error:
                await self._undone(account)
                raise spelled(error) from None
            except BaseException:
                await asyncio.shield(self._undone(account))
                raise
        return await self._settled(account, bindings, run, notified)

    # --- pieces

    async def _left(self, snapshot: Snapshot, facts: Facts) -> frozenset[int]:
        """The lists of old that this administrator may not put anybody in: by restoring it would do just that."""
        some = dict.fromkeys(one for one, _ in (*facts.member_of, *facts.owner_of))
        return frozenset(
            [one for one in some if not await self._records.sees(snapshot, Matter(Operation.ADD_MEMBERS, lists=(ListId(one),)))]
        )

    async def _told(self, bindings: Sequence[Binding]) -> Sequence[Binding]:
        """As this administrator may know them: whoever else is in them is not named beyond the own domain."""
        async with self._store.snapshot() as snapshot:
            found = []
            for one in bindings:
                before, _, name = one.what.rpartition(" ")
                known = one.kind not in OTHERS or "@" not in name or await self._records.authority.knows(snapshot, name)
                found.append(one if known else replace(one, what=f"{before} somebody beyond the domain".strip(), why=one.why))
            return found

    async def _settled(self, account: AccountId, bindings: Sequence[Binding], run: Run | None, notify: Address | None) -> RestoredAccount:
        async with self._store.snapshot() as snapshot:
            row = await snapshot.ask(accounts.by_id, account)
            there = await snapshot.work(folders.of_owner, account)
            if row is None:
                raise Fault(Code.NO_SUCH_ACCOUNT, account)
        count = sum(one.exists for one in there)
        done = RestoredAccount(account, row.address, bindings, len([one for one in there if one.path != ROOT]), count, run, None)
        if notify is None or self._premises.delivery is None:
            return done
        # The account is there whatever becomes of the notice.
        with suppress(StoreError):
            async with self._store.snapshot() as snapshot:
                text = _notice(done)
                deed = await self._premises.delivery.notice(snapshot, notify, f"The account {row.address} was restored", text)
            if deed.copies or deed.queued:
                await self._store.do(deed)
                return replace(done, notified=str(notify))
        return done

    @asynccontextmanager
    async def _looked_into(self, backup: Path, at: int | None, told: Told) -> AsyncIterator[tuple[Store, Run, "_Kept"]]:
        """The database of a backup, unpacked and of today's schema, in the directory of data; it goes afterwards."""
        backups = Backups(backup)
        data = self._premises.data
        async with self._one_backup:
            await asyncio.to_thread(_swept, data)
            try:
                run = await asyncio.to_thread(backups.at, at)
                contents = await asyncio.to_thread(backups.contents, run)
                place = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=_LOOKED_INTO, dir=data))
            except (OSError, StoreError, Damaged) as error:
                raise spelled(error) from None
            try:
                past = await _opened(backups, run, contents, place, told)
                try:
                    yield past, run, _Kept(backups, contents)
                finally:
                    await past.close()
            finally:
                await asyncio.to_thread(shutil.rmtree, place, True)

    async def _begun(self, facts: Facts, address: Address) -> AccountId:
        async with self._store.snapshot() as snapshot:
            there = await snapshot.ask(accounts.by_address, address)
            left = there is not None and there.note == UNDER_WAY and there.own_status is AccountStatus.MAINTENANCE
            if not left:
                await free(snapshot, address, Code.ACCOUNT_EXISTS)
            own_cos = None if facts.cos is None else await snapshot.ask(cos.by_id, CosId(facts.cos))
        if there is not None and left:
            await self._undone(there.id)
        # Sealed for a number that the new account has not, the second factor stays behind: its password does not come without it.
        guarded = facts.credentials.guarded
        deed = CreateAccount(
            address,
            facts.display_name,
            "" if guarded else facts.verifier,
            AccountStatus.MAINTENANCE,
            None if own_cos is None else own_cos.id,
            facts.values,
            facts.must_change_password,
            note=UNDER_WAY,
            scram=None if guarded else facts.scram,
            personal=facts.personal,
        )
        words = {
            Conflict: Fault(Code.ACCOUNT_EXISTS, names.shown(address)),
            LimitReached: Fault(Code.TOO_MANY_ACCOUNTS, names.shown_domain(address.domain)),
        }
        return await self._records.do(deed, "account created", str(address), matter=None, detail="to restore into", words=words)

    async def _undone(self, account: AccountId) -> None:
        with suppress(StoreError):
            await self._store.do(DeleteAccount(account))

    async def _copied(self, past: Store, facts: Facts, account: AccountId, files: "_Kept", told: Told) -> dict[int, int]:
        """Folders and messages; returns the numbers of the new folders by those of the old ones."""
        owner = AccountId(facts.id)
        async with past.snapshot() as then:
            old = await then.work(folders.of_owner, owner)
        new = await self._folders(account, old)
        total = sum(row.exists for row in old)
        done = 0
        for row in old:
            if row.path == ROOT or not row.exists:
                continue
            seen_of = owner if row.seen_private else None
            async with past.snapshot() as then:
                rows = await then.work(messages.rows, row.id, [(1, row.uidnext)], seen_of)
                keywords = await then.work(messages.keywords, row.id)
            for batch in _batches(rows):
                async with past.snapshot() as then:
                    runs = [(one.uid, one.uid) for one in batch]
                    octets = dict(await then.work(messages.octets_within, row.id, runs, files))
                items = [_item(octets[one.uid], one, keywords) for one in batch]
                kept = [replace(one, message=await self._premises.files.kept(one.message)) for one in items]
                own = account if row.seen_private else None
                await self._store.do(AppendMessages(FolderId(new[row.id]), tuple(kept), 0, seen_of=own), bulk=True)
                done += len(batch)
                told("messages", done, total)
        return new

    async def _folders(self, account: AccountId, old: Sequence[FolderRow]) -> dict[int, int]:
        async with self._store.snapshot() as snapshot:
            made = {row.path: row for row in await snapshot.work(folders.of_owner, account)}
        wanted = {row.path for row in old}
        for path in [one for one in made if one not in wanted and one not in (ROOT, INBOX)]:
            await self._store.do(DeleteFolder(made.pop(path).id))
        for row in old:
            if row.path not in made:
                made[row.path] = await self._store.do(CreateFolder(account, row.path))
        changing = [row for row in old if row.special_use is not made[row.path].special_use and row.special_use is not SpecialUse.INBOX]
        for use_of in (lambda row: None, lambda row: row.special_use):
            for row in changing:
                await self._store.do(SetSpecialUse(made[row.path].id, use_of(row)))
        for row in old:
            await self._store.do(SwitchFolder(made[row.path].id, row.no_inherit, row.seen_private, row.subscribe_auto))
        return {row.id: made[row.path].id for row in old}


class _Kept(Files):
    """The octets of a backup's messages, by the places that its database names."""

    def __init__(self, backups: Backups, contents: Contents) -> None:
        super().__init__(backups.directory)
        object.__setattr__(self, "_backups", backups)
        object.__setattr__(self, "_hashes", {one.name: one.hash for one in contents.messages})

    _backups: Backups
    _hashes: dict[str, str]

    def read(self, place: str) -> bytes:
        """Raises NotFound, Damaged."""
        digest = self._hashes.get(place)
        if digest is None:
            raise NotFound(f"octets {place}")
        return self._backups.octets(digest)


async def _opened(backups: Backups, run: Run, contents: Contents, place: Path, told: Told) -> Store:
    try:
        await threaded(told, _unpacked, backups, run, contents, place / "procura.db")
        return await connect(f"sqlite:///{place / 'procura.db'}", place)
    except (OSError, StoreError, Damaged) as error:
        raise spelled(error) from None


def _unpacked(watched: Watched, backups: Backups, run: Run, contents: Contents, target: Path) -> None:
    backups.database(run, contents, target, watched)


def _swept(data: Path) -> None:
    """What a process that was killed left of a backup it looked into."""
    for left in data.glob(f"{_LOOKED_INTO}*"):
        shutil.rmtree(left, ignore_errors=True)


def _batches(rows: Sequence[MessageRow]) -> list[list[MessageRow]]:
    found: list[list[MessageRow]] = []
    size = 0
    for row in rows:
        if not found or len(found[-1]) >= BATCH or size + row.size > BATCH_OCTETS:
            found.append([])
            size = 0
        found[-1].append(row)
        size += row.size
    return found


def _item(octets: bytes, row: MessageRow, keywords: Sequence[tuple[int, str]]) -> NewInFolder:
    named = tuple(name for bit, name in keywords if row.flags & 1 << bit)
    return NewInFolder(arrived(octets), Flag(row.flags & SYSTEM_FLAGS), named, row.received)


def _notified(text: str | None) -> Address | None:
    try:
        return None if text is None else read_address(text)
    except BadAddress as error:
        raise Fault(Code.INVALID_REQUEST, f"must be a valid email address: {text} ({error})") from None


def _notice(done: RestoredAccount) -> str:
    source = "as it was when it was deleted" if done.run is None else f"from the backup {done.run.id}"
    told = [
        f"The account {done.address} was restored, {source}:",
        f"{done.folders} folders with {done.messages} messages, and its password and preferences of that time.",
    ]
    bound = [one for one in done.bindings if not one.why]
    unbound = [one for one in done.bindings if one.why]
    if bound:
        told += ["", "As before:", *(f"  {one.kind}: {one.what}" for one in bound)]
    if unbound:
        told += ["", "Not as before:", *(f"  {one.kind}: {one.what} ({one.why})" for one in unbound)]
    return "\n".join(told)


async def _listing(snapshot: Snapshot, row: DeletedRow) -> Matter:
    """Who may restore accounts of its domain sees it."""
    domain = await snapshot.ask(domains.serving, row.address.domain)
    return Matter(Operation.RESTORE_ACCOUNT) if domain is None else Matter(Operation.RESTORE_ACCOUNT, domains=(domain.id,))


async def _deleted(snapshot: Snapshot, name: str) -> DeletedRow:
    row = None
    if name.isascii() and name.isdigit() and len(name) < 18:
        row = await snapshot.ask(deleted.by_id, AccountId(int(name)))
    else:
        with suppress(BadAddress):
            row = await snapshot.ask(deleted.by_address, read_address(name))
    if row is None or row.purging:
        raise Fault(Code.NO_SUCH_ACCOUNT, f"{name} (among the deleted ones)")
    return row


async def _of_backup(then: Snapshot, name: str) -> AccountId:
    row: AccountRow = await names.account(then, name)
    return row.id
