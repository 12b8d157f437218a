"""A whole IMAP server on a temporary store, people to live in it, and a client that shows every octet."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.carrier import Wheel
from gateway.changes import Changes
from gateway.folders import Folders, Visit
from gateway.imap.listener import Admission, ImapListener, Limits, TlsMode
from gateway.issuer import Issuer, IssuerRules
from gateway.login import Login
from gateway.mechanisms import mechanisms
from gateway.passwords import PasswordCost, Passwords
from gateway.sessions import Sessions
from gateway.sources import FailingSources
from gateway.tokens import TokenRules
from policy.grants import FolderEntry, Grantee, GranteeKind
from policy.identity import AccountId, Actor, Address, FolderId
from policy.rights import Right, parse_letters, parse_rfc
from policy.status import AccountStatus
from store import accounts, domains, folders, grants, lists
from store.appending import AppendMessages, NewInFolder
from store.blobs import Files
from store.connect import connect
from store.port import Store
from store.sqlite import SqliteSnapshot
from tests.live.issuer import Issuer as Small

PASSWORD = "secret"
STEP = 0.05


def snapshots_taken(monkeypatch: pytest.MonkeyPatch) -> list[SqliteSnapshot]:
    """Those of the store from here on, as they are taken."""
    taken: list[SqliteSnapshot] = []
    entering = SqliteSnapshot.__aenter__

    async def counted(snapshot: SqliteSnapshot) -> SqliteSnapshot:
        taken.append(snapshot)
        return await entering(snapshot)

    monkeypatch.setattr(SqliteSnapshot, "__aenter__", counted)
    return taken


def message(number: int = 1, body: str = "Hello") -> bytes:
    return (
        f"From: Anna <anna@acme.test>\r\nTo: bruno@acme.test\r\nSubject: Number {number}\r\n"
        f"Date: Mon, 1 Jan 2024 10:00:00 +0100\r\nMessage-ID: <m{number}@acme.test>\r\n\r\n{body} {number}\r\n"
    ).encode()


class House:
    """anna owns, bruno is her delegate, clara a stranger; dora lives in another domain."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.store = store
        self.directory = directory
        self.ids: dict[str, AccountId] = {}
        self.folders = Folders(store, Files(directory / "octets"))
        self.wheel = Wheel(asyncio.get_running_loop())
        self.passwords = Passwords(PasswordCost(memory=64, time=1), b"k" * 16)
        self.login = Login(store, self.passwords, FailingSources(50, 600, ()))
        self.sessions = Sessions(self.login.confirm, 100, lambda peer: False)
        self.changes = Changes(store, self.wheel)
        self._unwatch = store.watch(self.sessions.told)
        self.tls: ssl.SSLContext | None = None
        self.listeners: list[ImapListener] = []
        self.clients: list[Client] = []
        self.issuer: Issuer | None = None

    async def furnish(self) -> None:
        for domain in ("acme.test", "other.test"):
            await self.store.do(domains.CreateDomain(domain))
        verifier = (await self.passwords.verifiers(PASSWORD)).argon2
        for name, domain in (("anna", "acme.test"), ("bruno", "acme.test"), ("clara", "acme.test"), ("dora", "other.test")):
            self.ids[name] = await self.store.do(accounts.CreateAccount(Address(name, domain), name.title(), verifier))

    async def listen(
        self,
        limits: Limits | None = None,
        mode: TlsMode = TlsMode.STARTTLS,
        *,
        plaintext: bool = True,
        admission: Admission | None = None,
    ) -> int:
        listener = ImapListener(
            self.folders, self.login, self.sessions, self.changes, self.wheel, admission,
            hostname="mail.acme.test", tls=lambda: self.tls, plaintext_login=plaintext, limits=limits,
        )  # fmt: skip
        self.listeners.append(listener)
        _, port = await listener.start("127.0.0.1", 0, mode)
        return port

    async def take_scram_and_tokens(self) -> None:
        """From now on, of an issuer that has no keys for anybody here."""
        small = Small(1)
        rules = TokenRules("https://issuer.acme.test", ["mail"], "email", ["RS256"], scope="mail")
        self.passwords.close()
        self.passwords = Passwords(PasswordCost(memory=64, time=1, scram_iterations=4096), b"k" * 16)
        self.issuer = Issuer(rules, IssuerRules(), lambda url: json.dumps(small.jwks).encode())
        self.login = Login(self.store, self.passwords, FailingSources(50, 600, ()), self.issuer)
        stored = await self.passwords.verifiers(PASSWORD)
        for account in self.ids.values():
            await self.store.do(accounts.SetVerifier(account, stored.argon2, scram=stored.scram))
        for listener in self.listeners:
            names = mechanisms(scram=True, bearer=True)
            listener.services = replace(listener.services, login=self.login, mechanisms=names)

    async def close(self) -> None:
        if self.issuer is not None:
            self.issuer.close()
        for client in self.clients:
            client.writer.close()
        for listener in self.listeners:
            await listener.close(0.5)
        self.changes.close()
        self._unwatch()
        await self.sessions.idle()
        await self.folders.close()
        self.wheel.close()
        self.passwords.close()
        await self.store.close()

    # people and what they do beside IMAP

    def visit(self, name: str) -> Visit:
        domain = "other.test" if name == "dora" else "acme.test"
        return Visit(Actor(self.ids[name], Address(name, domain)), "imap", "192.0.2.1")

    async def folder(self, owner: str, path: str = "/INBOX") -> FolderId:
        async with self.store.snapshot() as snapshot:
            row = await snapshot.ask(folders.by_path, self.ids[owner], path)
        assert row is not None, path
        return row.id

    async def make(self, owner: str, path: str) -> FolderId:
        parts = path.strip("/").split("/")
        missing = []
        for depth in range(1, len(parts)):
            parent = "/" + "/".join(parts[:depth])
            async with self.store.snapshot() as snapshot:
                if await snapshot.ask(folders.by_path, self.ids[owner], parent) is None:
                    missing.append(parent)
        return (await self.store.do(folders.CreateFolder(self.ids[owner], path, tuple(missing)))).id

    async def share(
        self,
        owner: str,
        path: str,
        to: str | Grantee,
        rights: str,
        *,
        rfc: bool = False,
        until: int | None = None,
        since: int | None = None,
    ) -> None:
        grantee = Grantee(GranteeKind.ACCOUNT, self.ids[to]) if isinstance(to, str) else to
        held = Right.NONE if not rights else parse_rfc(rights) if rfc else parse_letters(rights)
        await self.store.do(grants.SetFolderEntry(await self.folder(owner, path), FolderEntry(grantee, held, since, until)))

    async def unshare(self, owner: str, path: str, to: str) -> None:
        await self.store.do(grants.RemoveFolderEntry(await self.folder(owner, path), Grantee(GranteeKind.ACCOUNT, self.ids[to])))

    async def group(self, name: str, *members: str) -> Grantee:
        made = await self.store.do(lists.CreateList(Address(name, "acme.test")))
        await self.store.do(lists.AddMembers(made, [Address(member, "acme.test") for member in members]))
        return Grantee(GranteeKind.GROUP, made)

    async def status(self, name: str, status: AccountStatus) -> None:
        await self.store.do(accounts.SetAccountStatus(self.ids[name], status))

    async def put(self, owner: str, path: str, count: int = 1, *, first: int = 1, body: str = "Hello") -> None:
        from gateway.arrival import arrived

        items = tuple(NewInFolder(arrived(message(number, body))) for number in range(first, first + count))
        await self.store.do(AppendMessages(await self.folder(owner, path), items, 0))

    async def client(self, port: int, who: str | None = None) -> Client:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 22)
        client = Client(reader, writer)
        self.clients.append(client)
        client.greeting = await client.line()
        if who is not None:
            domain = "other.test" if who == "dora" else "acme.test"
            said = await client.do(f"LOGIN {who}@{domain} {PASSWORD}")
            assert said.ok, said
        return client


class Said:
    """What the server said to one command: untagged responses, each whole with its literals, and the tagged end."""

    def __init__(self, untagged: list[bytes], tagged: bytes) -> None:
        self.untagged = untagged
        self.tagged = tagged

    @property
    def ok(self) -> bool:
        return self.tagged.startswith(b"OK")

    @property
    def all(self) -> bytes:
        return b"\n".join([*self.untagged, self.tagged])

    def having(self, part: str) -> list[bytes]:
        return [one for one in self.untagged if part.encode() in one]

    def __repr__(self) -> str:
        return repr(self.all)


async def _within(seconds: float, work: Coroutine[Any, Any, bytes]) -> bytes:
    """Counted in small steps: while a machine that is busy with others does not let this process run, the server in it does not run
    either, and nothing is counted. Raises TimeoutError."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        left = seconds
        while left > 0:
            step = min(STEP, left)
            if (await asyncio.wait((task,), timeout=step))[0]:
                return task.result()
            left -= step
        raise TimeoutError
    finally:
        task.cancel()


class Client:
    """Speaks octets; waits at most a few seconds for anything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.greeting = b""
        self._tag = 0

    def send(self, octets: bytes) -> None:
        self.writer.write(octets)

    async def line(self, seconds: float = 5) -> bytes:
        """One response, with the literals in it; empty at the end of the connection."""
        found = b""
        while True:
            line = await _within(seconds, self.reader.readline())
            found += line
            literal = re.search(rb"\{(\d+)\}\r\n\Z", line)
            if literal is None:
                return found.removesuffix(b"\r\n")
            found += await _within(seconds, self.reader.readexactly(int(literal[1])))

    async def until(self, tag: str, seconds: float = 5) -> Said:
        untagged: list[bytes] = []
        while True:
            line = await self.line(seconds)
            if line.startswith(tag.encode() + b" "):
                return Said(untagged, line[len(tag) + 1 :])
            if not line:
                return Said(untagged, b"")
            untagged.append(line)

    async def do(self, command: str | bytes, *literals: bytes, seconds: float = 5) -> Said:
        """A command without its tag; `{}` in it stands for a literal sent without waiting."""
        self._tag += 1
        tag = f"t{self._tag}"
        octets = command.encode() if isinstance(command, str) else command
        for literal in literals:
            octets = octets.replace(b"{}", b"{%d+}\r\n" % len(literal) + literal.replace(b"{}", b"{ }"), 1)
        self.send(tag.encode() + b" " + octets + b"\r\n")
        return await self.until(tag, seconds)

    async def idle(self, hear: Callable[[bytes], None] | None = None) -> str:
        """`hear`: is given what the server says of itself until it is ready for DONE."""
        self._tag += 1
        tag = f"t{self._tag}"
        self.send(f"{tag} IDLE\r\n".encode())
        while True:
            line = await self.line()
            if line.startswith(b"+ "):
                return tag
            assert line, "the connection ended at IDLE"
            if hear is not None:
                hear(line)

    async def done(self, tag: str) -> Said:
        self.send(b"DONE\r\n")
        return await self.until(tag)

    async def silent(self, seconds: float = 0.2) -> bool:
        try:
            await asyncio.wait_for(self.reader.readline(), seconds)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def housed(directory: Path) -> AsyncIterator[House]:
    store = await connect("sqlite:///{data}/procura.db", directory)
    house = House(store, directory)
    try:
        await house.furnish()
        yield house
    finally:
        await house.close()
