"""A store of any size for measuring growth: one small corner that is always the same, and as many accounts, grants and messages around it
as are wanted, all made by the store's own deeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from gateway.arrival import arrived
from gateway.message.canonical import read_address
from policy.grants import FolderEntry, Grantee, GranteeKind, SendGrant, SendRight
from policy.identity import AccountId, FolderId
from policy.rights import Right
from store import addresses, folders
from store.accounts import CreateAccount
from store.domains import CreateDomain
from store.errors import Conflict
from store.folders import CreateFolder
from store.grants import SetFolderEntry, SetSendGrant
from store.lists import AddMembers, CreateList
from store.model import NewMessage, QueueKind, Verifiers
from store.port import Deed, Store
from store.queue import AcceptMessage, IntoMailbox, OntoQueue

READ: Final = Right.LOOKUP | Right.READ
OWN_MAIL: Final = 200
"""Messages of the owner in the corner that is the same everywhere."""
WAITING: Final = 50
"""Rows of the queue, all for one place elsewhere, that never become due by themselves."""
SIDE_BY_SIDE: Final = 1_000
DOMAIN_FOR: Final = 1_000
"""Accounts of one domain."""
FOLDERS: Final = ("/INBOX", "/Sent", "/Drafts", "/Trash")
NEVER: Final = 1 << 62


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is around the corner."""

    accounts: int
    grants: int
    messages: int


NOTHING: Final = Sizes(0, 0, 0)
_FILLING: Final = "Sphinx of black quartz, judge my vow, and be quick about it, please.\r\n"


def letter(number: int, text: int = 0) -> bytes:
    """A message of some 800 octets, and `text` more, in which only the number differs."""
    filling = (_FILLING * (text // len(_FILLING) + 1))[:text]
    return (
        "Return-Path: <list-bounces@example.org>\r\n"
        f"Received: from out.example.org ([198.51.100.7]) by mx.acme.test with ESMTPS id q{number:08};\r\n"
        "\tSun, 22 Nov 2026 08:00:00 +0000\r\n"
        f"Message-ID: <n{number:08}@example.org>\r\n"
        "Date: Sun, 22 Nov 2026 08:00:00 +0000\r\n"
        "From: Carla Verdi <carla@example.org>\r\n"
        "To: Owner <owner@acme.test>\r\n"
        f"Subject: Minutes {number:08} of the meeting\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "\r\n"
        f"Minutes {number:08}.\r\n"
        "The treasurer presented the accounts of the year, which were approved.\r\n"
        "The next meeting is on the first Monday of the month, at the usual hour.\r\n"
        f"{filling}"
    ).encode()


_TEMPLATE: Final = 12_345_678


@lru_cache(maxsize=4)
def _template(text: int) -> NewMessage:
    return arrived(letter(_TEMPLATE, text))


def message(number: int, text: int = 0) -> NewMessage:
    """What `arrived` makes of `letter(number)`, made of one that was read before: reading each would take longer than storing it."""
    made, old, new = _template(text), b"%08d" % _TEMPLATE, b"%08d" % number
    was, now = old.decode(), new.decode()
    assert made.sorting is not None
    assert made.preview is not None
    return made._replace(
        octets=made.octets.replace(old, new),
        envelope=made.envelope.replace(old, new),
        subject=made.subject.replace(was, now),
        message_id=made.message_id.replace(was, now),
        sorting=made.sorting._replace(subject=made.sorting.subject.replace(was, now)),
        preview=made.preview.replace(old, new),
    )


class Population:
    """Makes a store larger, never smaller. `verifiers`: of the password of those in the corner."""

    def __init__(self, store: Store, verifiers: Verifiers = Verifiers(), told: Callable[[str], None] = lambda _: None) -> None:  # noqa: B008
        self._store = store
        self._verifiers = verifiers
        self._told = told
        self._people: list[AccountId] = []
        self._folders: list[dict[str, FolderId]] = []
        self.corner: dict[str, int] = {}
        self.sizes = NOTHING

    async def begin(self) -> None:
        """The corner: owner, helper, support, a stranger; two lists, shared folder, mail, what waits in the queue."""
        do = self._store.do
        with suppress(Conflict):
            await do(CreateDomain("acme.test"))
        for name in ("owner", "helper", "support", "stranger"):
            address = read_address(f"{name}@acme.test")
            verifier, scram = self._verifiers.argon2, self._verifiers.scram
            self.corner[name] = await do(CreateAccount(address, name.capitalize(), verifier, scram=scram))
        owner, helper = AccountId(self.corner["owner"]), Grantee(GranteeKind.ACCOUNT, self.corner["helper"])
        posta = (await do(CreateFolder(owner, "/Posta"))).id
        self.corner["posta"] = posta
        await do(SetFolderEntry(posta, FolderEntry(helper, READ | Right.WRITE)))
        await do(SetSendGrant(SendGrant(self.corner["support"], helper, SendRight.SEND_AS)))
        for name in ("team", "staff"):
            self.corner[name] = await do(CreateList(read_address(f"{name}@acme.test")))
            await do(AddMembers(self.corner[name], [read_address(f"{one}@acme.test") for one in ("owner", "helper", "support")]))  # type: ignore[arg-type]
        await do(SetSendGrant(SendGrant(self.corner["staff"], helper, SendRight.SEND_TO_LIST)))
        for number in range(OWN_MAIL):
            await do(AcceptMessage("", (IntoMailbox(owner, message(number), 0),)))
        waiting = message(OWN_MAIL)
        for number in range(WAITING):
            row = OntoQueue(QueueKind.RELAY, f"someone{number}@far.test", waiting, "owner@acme.test", NEVER, sender=owner, due=NEVER)
            await do(AcceptMessage("", (), (row,)))

    async def known(self) -> None:
        """Finds again what another process has begun."""
        async with self._store.snapshot() as snapshot:
            for name in ("owner", "helper", "support", "stranger", "team", "staff"):
                found = await snapshot.ask(addresses.resolve, read_address(f"{name}@acme.test"))
                assert found is not None
                self.corner[name] = found.id

    async def grow(self, to: Sizes) -> None:
        """Until there is as much of each."""
        if to.accounts > self.sizes.accounts:
            await self._accounts(to.accounts)
        if to.grants > self.sizes.grants:
            await self._every("grants", self._granting(self.sizes.grants, to.grants), to.grants - self.sizes.grants)
        if to.messages > self.sizes.messages:
            await self._every("messages", self._mail(self.sizes.messages, to.messages), to.messages - self.sizes.messages)
        self.sizes = Sizes(*(max(pair) for pair in zip(_each(self.sizes), _each(to), strict=True)))

    async def _accounts(self, count: int) -> None:
        first = len(self._people)
        for domain in range(-(-first // DOMAIN_FOR), -(-count // DOMAIN_FOR)):
            await self._store.do(CreateDomain(f"d{domain}.test"))
        making = (
            CreateAccount(read_address(f"user{number}@d{number // DOMAIN_FOR}.test"), f"User {number}") for number in range(first, count)
        )
        self._people += await self._every("accounts", making, count - first)
        for start in range(first, count, SIDE_BY_SIDE):
            async with self._store.snapshot() as snapshot:
                for person in self._people[start : start + SIDE_BY_SIDE]:
                    rows = await snapshot.ask(folders.of_owner, person)
                    self._folders.append({row.path: row.id for row in rows})

    def _granting(self, first: int, last: int) -> Iterator[Deed[Any]]:
        """A quarter of them each on one folder, one account, one list (as long as there is somebody who has none yet); the others between
        two of the many."""
        people = len(self._people)
        for number in range(first, last):
            quarter, kind = divmod(number, 4)
            if kind < 3 and quarter < people:
                to = Grantee(GranteeKind.ACCOUNT, self._people[quarter])
                if kind == 0:
                    yield SetFolderEntry(FolderId(self.corner["posta"]), FolderEntry(to, READ))
                elif kind == 1:
                    yield SetSendGrant(SendGrant(self.corner["support"], to, SendRight.SEND_AS))
                else:
                    yield SetSendGrant(SendGrant(self.corner["staff"], to, SendRight.SEND_TO_LIST))
            else:
                distance, owner = divmod(number, people)
                grantee = self._people[(owner + 1 + distance % (people - 1)) % people]
                paths = [path for path in FOLDERS if path in self._folders[owner]]
                folder = self._folders[owner][paths[number % len(paths)]]
                yield SetFolderEntry(folder, FolderEntry(Grantee(GranteeKind.ACCOUNT, grantee), READ))

    def _mail(self, first: int, last: int) -> Iterator[Deed[Any]]:
        people = len(self._people)
        for number in range(first, last):
            if number % 50_000 == 0:
                assert message(number + 1_000) == arrived(letter(number + 1_000)), "the short way makes other rows than a delivery does"
            yield AcceptMessage("", (IntoMailbox(self._people[number % people], message(number + 1_000), 0),))

    async def _every(self, what: str, deeds: Iterable[Deed[Any]], count: int) -> list[Any]:
        """In groups, as a busy server does them."""
        results: list[Any] = []
        waiting = iter(deeds)
        while some := [*islice(waiting, SIDE_BY_SIDE)]:
            results += await asyncio.gather(*(self._store.do(deed) for deed in some))
            if len(results) % 20_000 == 0 or len(results) == count:
                self._told(f"{len(results)} of {count} {what}")
        return results


def _each(sizes: Sizes) -> tuple[int, int, int]:
    return sizes.accounts, sizes.grants, sizes.messages
