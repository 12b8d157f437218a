"""The services of sending and delivering on a temporary store, with a clock that the test turns, and a small directory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import pytest

from gateway.delivery import Delivery, DeliveryRules
from gateway.folders import Folders
from gateway.message.canonical import read_address
from gateway.passwords import PasswordCost, Passwords
from gateway.recalls import Recalls
from gateway.submission import Submission, SubmissionRules
from policy.decision import Witness
from policy.delivery import Door
from policy.grants import FolderEntry, Grantee, GranteeKind, SendGrant, SendRight
from policy.identity import AccountId, Actor, Address, DomainId, ListId
from policy.reasons import Defer, Refuse
from policy.rights import Right
from policy.status import AccountStatus
from store import audit, folders, messages
from store import queue as queue_store
from store.accounts import CreateAccount, ModifyAccount, SetAccountStatus
from store.audit import AuditRow
from store.blobs import ALL_IN_ROWS, IN_ROW, Files
from store.connect import connect
from store.deeds import Audited
from store.domains import CreateDomain
from store.floor import Floor
from store.grants import RemoveSendGrant, SetFolderEntry, SetSendGrant
from store.lists import AddMembers, CreateList
from store.model import QueueRow, Verifiers
from store.port import Deed, Event, Moves, Snapshot, Store, Tx
from store.queue import AcceptMessage, Settle
from tests.store.laid import laid

T = TypeVar("T")
P = ParamSpec("P")

SECOND = 1_000_000
START = 1_800_000_000 * SECOND  # 2027-01-15T08:00:00Z
CHEAP = PasswordCost(memory=8, time=1)


@dataclass
class Clock:
    """Microseconds since 1970 UTC, standing still until it is turned."""

    at: int = START

    def __call__(self) -> int:
        return self.at

    def turn(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)


@dataclass
class Interrupted:
    """The real store, where something else happens just before a message is accepted, or a row of the queue settled: what a busy server
    does all the time."""

    store: Store
    before: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)
    accepts: int = 0
    settling: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)

    @property
    def fault(self) -> str | None:
        return self.store.fault

    @property
    def node(self) -> str:
        return self.store.node

    @property
    def floor(self) -> Floor:
        return self.store.floor

    @property
    def moved(self) -> Moves | None:
        return self.store.moved

    @property
    def leads(self) -> bool:
        return self.store.leads

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        return self.store.snapshot()

    async def do(self, deed: Deed[T], witness: Witness | None = None, *, bulk: bool = False) -> T:
        within = deed.deed if isinstance(deed, Audited) else deed
        if isinstance(within, AcceptMessage) and within.key:
            self.accepts += 1
            if self.before:
                await self.before.pop(0)()
        if isinstance(within, Settle) and self.settling:
            await self.settling.pop(0)()
        return await self.store.do(deed, witness, bulk=bulk)

    def watch(self, told: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        return self.store.watch(told)

    async def copy(self, target: Path, told: Callable[[int, int], None]) -> int:
        return await self.store.copy(target, told)

    async def close(self) -> None:
        await self.store.close()


class House:
    """acme.test is here; other domains are not. `relays`: there is a next hop."""

    def __init__(self, store: Store, files: Files, clock: Clock, *, relays: bool) -> None:
        self.store = Interrupted(store)
        self.files = files
        self.clock = clock
        rules = DeliveryRules(hostname="mx.acme.test", relays=relays, hops=50, quota_rejects=False, lifetime=5 * 86400 * SECOND)
        self.delivery = Delivery(self.store, files, rules)
        self.recalls = Recalls(self.store, files, self.delivery)
        self.folders = Folders(self.store, files, recalling=self.recalls)
        self.submission = Submission(self.store, self.delivery, self.folders, SubmissionRules(64 * 1024, 500))
        self.passwords = Passwords(CHEAP, b"key")
        self.acme = DomainId(0)
        self.ids: dict[str, AccountId] = {}

    async def account(self, name: str, *, status: AccountStatus = AccountStatus.ACTIVE, password: str = "", **values: str) -> AccountId:
        stored = self.passwords.verifiers_now(password) if password else Verifiers()
        made = await self.store.do(CreateAccount(address(name), name.capitalize(), stored.argon2, values=values, scram=stored.scram))
        if status is not AccountStatus.ACTIVE:
            await self.store.do(SetAccountStatus(made, status))
        self.ids[name] = made
        return made

    def deeds_done(self, monkeypatch: pytest.MonkeyPatch) -> list[object]:
        """Every deed from now on, as it is done."""
        deeds: list[object] = []
        through = self.store.do

        async def noted(deed: Any, *rest: Any, **options: Any) -> Any:
            deeds.append(deed)
            return await through(deed, *rest, **options)

        monkeypatch.setattr(self.store, "do", noted)
        return deeds

    async def status(self, name: str, status: AccountStatus) -> None:
        await self.store.do(SetAccountStatus(self.ids[name], status))

    async def values(self, name: str, **values: str) -> None:
        await self.store.do(ModifyAccount(self.ids[name], values=values))

    async def group(self, name: str, *members: str, owners: Sequence[str] = ()) -> ListId:
        made = await self.store.do(CreateList(address(name), owners=[self.ids[owner] for owner in owners]))
        if members:
            await self.store.do(AddMembers(made, [address(member) for member in members]))
        self.ids[name] = AccountId(made)
        return made

    async def grant(
        self, target: str, grantee: str, right: SendRight, *, deny: bool = False, expires: int | None = None, window: int | None = None
    ) -> None:
        to = Grantee(GranteeKind.ACCOUNT, self.ids[grantee])
        await self.store.do(SetSendGrant(SendGrant(self.ids[target], to, right, deny, expires=expires, undo_window=window)))

    async def revoke(self, target: str, grantee: str, right: SendRight) -> None:
        await self.store.do(RemoveSendGrant(self.ids[target], Grantee(GranteeKind.ACCOUNT, self.ids[grantee]), right))

    async def share(self, owner: str, path: str, grantee: str, rights: Right) -> None:
        folder = await self.ask(folders.by_path, self.ids[owner], path)
        assert folder is not None
        await self.store.do(SetFolderEntry(folder.id, FolderEntry(Grantee(GranteeKind.ACCOUNT, self.ids[grantee]), rights)))

    async def ask(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with self.store.snapshot() as snapshot:
            return await snapshot.work(question, *args, **kwargs)

    def actor(self, name: str) -> Actor:
        return Actor(self.ids[name], address(name), name.capitalize())

    async def submit(
        self, name: str, path: str, recipients: str | Sequence[str], octets: bytes, *, smtputf8: bool = False, release: int | None = None
    ) -> str:
        """The queue id. Raises Refused."""
        begun = self.submission.begin(self.actor(name), address(path) if path else None, smtputf8, "192.0.2.7", release=release)
        transaction = await begun
        for recipient in [recipients] if isinstance(recipients, str) else recipients:
            await transaction.add(address(recipient))
        return await transaction.commit(octets)

    async def bring(self, door: Door, path: str, recipients: Sequence[str], octets: bytes) -> list[str | Refuse | Defer]:
        """By LMTP or MX. Raises Refused."""
        inbound = await self.delivery.begin(door, address(path) if path else None, "192.0.2.9")
        for recipient in recipients:
            await inbound.add(address(recipient))
        return await inbound.commit(octets)

    async def mail(self, name: str, path: str = "/INBOX") -> list[bytes]:
        """Every message in a folder, oldest first."""
        folder = await self.ask(folders.by_path, self.ids[name], path)
        if folder is None:
            return []
        there = await self.ask(messages.rows, folder.id, ((1, folder.uidnext),))
        return [octets for row in there if (octets := await self.ask(messages.octets, folder.id, row.uid, self.files)) is not None]

    async def queued(self) -> list[QueueRow]:
        return await self.ask(queue_store.queued)

    async def records(self) -> list[AuditRow]:
        """Oldest first."""
        return [*reversed(await self.ask(audit.newest))]


def address(text: str) -> Address:
    """A local part alone is acme.test's."""
    return read_address(text if "@" in text else f"{text}@acme.test")


@asynccontextmanager
async def opened(directory: Path, *people: str, relays: bool = False, url: str = "sqlite:///{data}/procura.db") -> AsyncIterator[House]:
    clock = Clock()
    store = await connect(laid(url, directory / "data"), directory / "data", now=clock)
    in_row = IN_ROW if url.startswith("sqlite:") else ALL_IN_ROWS
    house = House(store, Files(directory / "data" / "messages", in_row), clock, relays=relays)
    try:
        house.acme = await store.do(CreateDomain("acme.test"))
        for name in people:
            await house.account(name)
        yield house
    finally:
        await house.folders.close()
        house.passwords.close()
        await store.close()


def letter(from_: str | None = "anna@acme.test", to: str = "bruno@acme.test", *fields: str, text: str = "hello") -> bytes:
    """A small message."""
    lines = [*([f"From: {from_}"] if from_ is not None else []), f"To: {to}", *fields]
    return ("\r\n".join(lines) + f"\r\n\r\n{text}\r\n").encode()
