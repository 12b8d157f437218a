"""The record of who did what: is it whole, what does it say about somebody, and under whose signature does it stand?"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, ParamSpec, TypeVar

from gateway.decisions import new_decision
from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import OPERATOR, Records
from gateway.exported import KEY_CHANGED, Proof, Trust, line_of_head, line_of_record, lines_of_keys
from gateway.seals import BadSeal, Seals, read_head, read_key, spell_key
from policy.identity import AccountId
from policy.roles import Operation
from store import audit
from store.audit import AuditEntry, AuditRow, Broken, Filter, Head, KeepHead, PublicKey, RecordAudit, SignedHead
from store.errors import Busy, StoreError
from store.port import Store

T = TypeVar("T")
P = ParamSpec("P")

PAGE: Final = 500
"""Records that an export reads in one snapshot."""


_VIEW: Final = Matter(Operation.VIEW_AUDIT)


class Trail:
    """Every method raises Fault, and nothing else that is expected. `seals` None: heads are not signed here."""

    def __init__(self, store: Store, records: Records, seals: Seals | None = None) -> None:
        self._store = store
        self._records = records
        self._seals = seals

    async def verify(self, kept: Sequence[str] = (), keys: Sequence[str] = ()) -> Proof:
        """Does the chain hold, up to its end and at every head that was signed or kept? `kept`: heads as `head` spells them, or
        `NUMBER:HASH`; `keys`: public keys that are trusted, none: those of this server's own list."""
        try:
            heads = [read_head(text) for text in kept]
            trusted = frozenset(read_key(text) for text in keys)
        except BadSeal as bad:
            raise Fault(Code.INVALID_REQUEST, bad) from None
        expected = [one.head if isinstance(one, SignedHead) else one for one in heads]
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, _VIEW)
            end = await snapshot.ask(audit.head)
            broken = await snapshot.work(audit.verify, expected)
            known = await snapshot.work(audit.keys)
            signed = await snapshot.work(audit.heads, 0, 1 << 40)
            introduced = await snapshot.work(audit.matching, Filter(limit=1 << 30, event=KEY_CHANGED))
            hashes = await snapshot.work(audit.hashes, [one.head.number for one in (*signed, *heads) if isinstance(one, SignedHead)])
        trust = Trust(trusted or None)
        for key in known:
            trust.names(key.public)
        rows = sorted(introduced, key=lambda row: row.number)
        for one in [*signed, *(kept_one for kept_one in heads if isinstance(kept_one, SignedHead))]:
            while rows and rows[0].number <= one.head.number:
                trust.introduces(rows.pop(0))
            found: Broken | None = None
            if one.head.number > end.number:
                found = Broken(end.number + 1, "missing: a signed head is beyond the end")
            else:
                # A record that is missing is told by the walk.
                wrong = trust.judge(one, Head(one.head.number, hashes.get(one.head.number, one.head.hash)))
                found = Broken(one.head.number, wrong) if wrong else None
            if found is not None and (broken is None or found.number < broken.number):
                broken = found
        return Proof(end, trust.sealed, broken, tuple(sorted(trust.known)), trust.beyond)

    async def seal(self) -> SignedHead | None:
        """Signs the end of the chain, unless the newest signed head is that already; None: nothing is on record."""
        seals = self._sealing()
        async with self._store.snapshot() as snapshot:
            end = await snapshot.ask(audit.head)
            last = await snapshot.ask(audit.last_head)
        if not end.number:
            return None
        key = await self._with_key(seals.public)
        if last is not None and last.head == end and last.key == key.id:
            return last
        return await self._keep(await self._with_key(seals.sign, end), key)

    async def sealed(self) -> None:
        """The same for who keeps house: what may pass is Busy."""
        try:
            await self.seal()
        except Fault as fault:
            if fault.code is Code.TEMPORARILY_UNAVAILABLE:
                raise Busy(fault.about) from None
            raise

    async def key(self) -> PublicKey:
        """With which heads are signed now."""
        await self.allow()
        return await self._with_key(self._sealing().public)

    async def keys(self) -> Sequence[PublicKey]:
        """All with which heads of this chain were ever signed, the oldest first: one of each server that has led, and former ones."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, _VIEW)
            return await snapshot.work(audit.keys)

    async def allow(self) -> None:
        """Raises Fault for who may not read the record of everybody."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, _VIEW)

    async def change_key(self) -> PublicKey:
        """Begins to sign with a new key. The old one signs the record that names the new one, so that who trusts it can trust on."""
        await self._records.only_operator(KEY_CHANGED)
        seals = self._sealing()
        old = await self._with_key(seals.public)
        new = await self._with_key(seals.prepare)
        entry = AuditEntry(
            decision=new_decision(),
            event=KEY_CHANGED,
            allowed=True,
            actor_address=OPERATOR,
            because=OPERATOR,
            protocol="cli",
            detail=spell_key(new.public),
        )
        try:
            end = await self._store.do(RecordAudit((entry,)))
        except StoreError as error:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, error) from None
        await self._keep(await self._with_key(seals.sign, end), old)
        await self._with_key(seals.turn)
        await self._keep(await self._with_key(seals.sign, end), new)
        return new

    async def find(
        self,
        limit: int,
        *,
        owner: str | None = None,
        actor: str | None = None,
        decision: str | None = None,
        since: int | None = None,
        until: int | None = None,
        right: str | None = None,
        refused: bool = False,
    ) -> Sequence[AuditRow]:
        """Newest first, what all of these match. Times in microseconds."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, _VIEW)
            if decision is not None:
                return await snapshot.work(audit.by_decision, decision, limit)
            ids: list[int | None] = []
            for asked in (owner, actor):
                found = None if asked is None else await names.resolved(snapshot, asked)
                if asked is not None and found is None:
                    raise Fault(Code.NO_SUCH_ACCOUNT, asked)
                ids.append(None if found is None else found.id)
            wanted = Filter(ids[0], ids[1], since, until, right, refused=refused, limit=limit)
            return await snapshot.work(audit.matching, wanted)

    async def about(
        self, owner: AccountId, limit: int = 200, *, since: int | None = None, until: int | None = None, before: int | None = None
    ) -> Sequence[AuditRow]:
        """What an owner may read of it (delegation.md section 11): what others did with the own mailbox, or as that account. Who
        asks is for the caller to know."""
        async with self._store.snapshot() as snapshot:
            return await snapshot.work(audit.about, Filter(owner=owner, since=since, until=until, before=before, limit=limit))

    async def export(self) -> AsyncIterator[str]:
        """Lines for `gateway.exported.prove`: keys, records, signed heads behind the records they are about. Ends with a head that is
        signed now. Between two pages the store is not held."""
        await self.allow()
        sealed = None if self._seals is None else await self.seal()
        async with self._store.snapshot() as snapshot:
            end = await snapshot.ask(audit.head)
            known = await snapshot.work(audit.keys)
        end = end if sealed is None else sealed.head
        for line in lines_of_keys(known):
            yield line
        after = 0
        while after < end.number:
            async with self._store.snapshot() as snapshot:
                rows = await snapshot.work(audit.page, after, min(PAGE, end.number - after))
                heads = await snapshot.work(audit.heads, after, PAGE)
            if not rows:
                return
            last = rows[-1].number
            pieces = []
            for row in rows:
                pieces.append(line_of_record(row))
                pieces += [line_of_head(one) for one in heads if one.head.number == row.number]
            yield "".join(pieces)
            after = last

    def _sealing(self) -> Seals:
        if self._seals is None:
            raise Fault(Code.INVALID_REQUEST, "heads of the record are not signed here")
        return self._seals

    @staticmethod
    async def _with_key(do: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Reads and writes files, so in a thread."""
        try:
            return await asyncio.to_thread(do, *args, **kwargs)
        except BadSeal as bad:
            raise Fault(Code.INVALID_REQUEST, bad) from None
        except OSError as error:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, f"{error.filename}: {error.strerror}") from None

    async def _keep(self, signed: SignedHead, key: PublicKey) -> SignedHead:
        try:
            await self._store.do(KeepHead(signed, key))
        except StoreError as error:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, error) from None
        return signed
