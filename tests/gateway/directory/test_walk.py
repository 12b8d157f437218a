"""Whatever administrators do in whatever order, the directory is what a naive model says: a seeded walk through the verbs themselves."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Awaitable, Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.directory.faults import Fault
from gateway.prov.arguments import words
from gateway.prov.run import Request
from gateway.questions import NOTHING, Question, judge, stand_at, who_may
from gateway.sending import send_right_as
from policy.folders import FolderOp
from policy.grantees import GranteeKind
from policy.grants import Grantee as Held
from policy.grants import SendRight
from policy.identity import AccountId, Address, DomainId, ListId
from policy.rights import parse_letters, spell_letters
from store import addresses, deleted, domains, freezes, grants, lists, shares, verify
from store.freezes import Side
from store.port import Tx
from tests.gateway.administration import SECOND, Office, opened_office
from tests.gateway.directory.world import PRESETS, Grant, Grantee, Thing, World
from tests.vectors import model

PEOPLE = [*(f"a{number}@acme.test" for number in range(1, 5)), "b1@other.test", "b2@other.test"]
GROUPS = [f"l{number}@acme.test" for number in range(1, 4)]
OTHERS = [f"x{number}@acme.test" for number in range(1, 4)]
PATHS = ("/", "/INBOX", "/Sent")
RIGHTS = ("sendAs", "sendOnBehalfOf", "loginAs")
STATUSES = ("active", "active", "active", "locked", "closed", "maintenance")
HELD = {"account": "usr", "group": "grp", "domain": "dom", "all": "all"}


class Walker:
    """Types lines, and tells the world what they do where they are expected to work."""

    def __init__(self, office: Office, seed: int, data: Path) -> None:
        self.office, self.data = office, data
        self.random = random.Random(seed)
        self.world = World()
        self.typed: list[str] = []
        self.steps: list[Callable[[], Awaitable[None]]] = [
            self.make,
            self.make,
            self.make_list,
            self.delete,
            self.delete,
            self.restore,
            self.restore,
            self.delete_list,
            self.rename,
            self.alias,
            self.member,
            self.member,
            self.right,
            self.right,
            self.right,
            self.entry,
            self.entry,
            self.status,
            self.freeze,
            self.share,
            self.share,
            self.end,
            self.apply,
            self.time,
        ]

    async def line(self, text: str, expected: bool | None = True) -> Any:
        """Typed after `procura`. `expected` None: who knows. Returns None where it was refused."""
        command, *arguments = words(text)
        told = await self.office.ask(Request(command, tuple(arguments)))
        self.typed.append(f"{text}{'' if told.status == 0 else f'   # {told.err.strip()}'}")
        if expected is not None:
            assert (told.status == 0) is expected, told.err
        return told.out if told.status == 0 else None

    async def walk(self, count: int) -> None:
        for name in PEOPLE[:3]:
            await self.make(name)
        await self.make_list(GROUPS[0])
        for _ in range(count):
            await self.random.choice(self.steps)()
            await self.check()

    @property
    def now(self) -> int:
        return self.office.clock()

    def one(self, kind: str) -> Thing | None:
        some = self.world.some(kind)
        return self.random.choice(some) if some else None

    def called(self, to: Grantee) -> str:
        return self.world.things[to[1]].name if isinstance(to[1], int) else to[1]

    def whom(self, besides: int) -> Grantee:
        kind = self.random.choice(("account", "account", "group", "domain", "all"))
        if kind in ("account", "group"):
            found = [one for one in self.world.some("account" if kind == "account" else "list") if one.number != besides]
            if found:
                return kind, self.random.choice(found).number
        return ("domain", self.random.choice(("acme.test", "other.test"))) if kind != "all" else ("all", "")

    def until(self) -> int | None:
        return None if self.random.random() < 0.7 else self.now + self.random.randint(1, 5) * 600 * SECOND

    # --- what administrators do

    async def make(self, name: str = "") -> None:
        name = name or self.random.choice([*PEOPLE, *OTHERS])
        free = self.world.of(name) is None
        if await self.line(f"prov ca {name} ''", free) is not None:
            await self.now_there(name, "account")

    async def make_list(self, name: str = "") -> None:
        name = name or self.random.choice(GROUPS)
        free = self.world.of(name) is None
        if await self.line(f"prov cdl {name}", free) is not None:
            await self.now_there(name, "list")

    async def now_there(self, name: str, kind: str) -> int:
        async with self.office.store.snapshot() as snapshot:
            number = await snapshot.work(_number, name)
        self.world.things[number] = Thing(number, kind, name)
        return number

    async def delete(self) -> None:
        thing = self.one("account")
        if thing is not None:
            await self.line(f"prov da {thing.name}")
            self.world.delete(thing.number)

    async def restore(self) -> None:
        if not self.world.gone:
            await self.line("restore-account a1@acme.test", False)
            return
        number = self.random.choice([*self.world.gone])
        name = self.random.choice([self.world.gone[number].thing.name, self.random.choice([*PEOPLE, *OTHERS])])
        rebind = self.random.random() < 0.6
        free = self.world.of(name) is None
        text = f"restore-account {number} --to {name}{' --rebind-grants' if rebind else ''}"
        if await self.line(text, free) is not None:
            self.world.restore(number, name, rebind)

    async def delete_list(self) -> None:
        thing = self.one("list")
        if thing is None or self.random.random() < 0.5:
            return
        denied = self.world.denied(thing.number, self.now)
        if await self.line(f"prov ddl {thing.name}", not denied) is not None:
            self.world.forget(thing.number)

    async def rename(self) -> None:
        thing = self.one(self.random.choice(("account", "account", "list")))
        if thing is None:
            return
        to = self.random.choice([*PEOPLE, *OTHERS] if thing.kind == "account" else [*GROUPS, *OTHERS])
        there = self.world.of(to)
        verb = "ra" if thing.kind == "account" else "rdl"
        if await self.line(f"prov {verb} {thing.name} {to}", there is None or there is thing) is not None:
            thing.name = to
            thing.aliases.discard(to)

    async def alias(self) -> None:
        thing = self.one(self.random.choice(("account", "list")))
        if thing is None:
            return
        add, remove = ("aaa", "raa") if thing.kind == "account" else ("adla", "rdla")
        if thing.aliases and self.random.random() < 0.4:
            gone = self.random.choice(sorted(thing.aliases))
            await self.line(f"prov {remove} {thing.name} {gone}")
            thing.aliases.discard(gone)
            return
        address = self.random.choice([*OTHERS, *PEOPLE])
        if await self.line(f"prov {add} {thing.name} {address}", self.world.of(address) is None) is not None:
            thing.aliases.add(address)

    async def member(self, whole: bool = False) -> None:
        thing = self.one("list")
        if thing is None:
            return
        address = self.random.choice([*PEOPLE, *OTHERS, *GROUPS])
        there = self.world.of(address)
        if there is thing or (whole and there is None):
            return
        meant = {address} if there is None else {there.number}
        if self.random.random() < 0.7:
            await self.line(f"prov adlm {thing.name} {address}")
            thing.members = thing.members - {address} | meant
        elif not whole:
            away = thing.members & {*meant, address}
            await self.line(f"prov rdlm {thing.name} {address}", bool(away))
            thing.members -= away

    async def right(self) -> None:
        thing = self.one(self.random.choice(("account", "account", "list")))
        if thing is None:
            return
        if self.random.random() < 0.25:
            held = [key for key in self.world.rights if key[0] == thing.number]
            if held:
                key = self.random.choice(held)
                what = self.world.rights.pop(key).what
                await self.line(f"prov rvr {self.on(thing)} {HELD[key[2][0]]} {self.called(key[2])} {what}")
            return
        to, right = self.whom(thing.number), self.random.choice(RIGHTS if thing.kind == "account" else RIGHTS[:2])
        what = f"-{right}" if self.random.random() < 0.3 else right
        until = self.until()
        said = "" if until is None else f" --until {_moment(until)}"
        await self.line(f"prov grr {self.on(thing)} {HELD[to[0]]} {self.called(to)} {what}{said}")
        self.world.rights[thing.number, right, to] = Grant(what, until)

    def on(self, thing: Thing) -> str:
        return f"{'account' if thing.kind == 'account' else 'dl'} {thing.name}"

    async def entry(self) -> None:
        thing = self.one("account")
        if thing is None:
            return
        path, to = self.random.choice(PATHS), self.whom(thing.number)
        what = self.random.choice(("r", "rw", "rwid", "rwidxa", "none", "gone"))
        begin = f"prov sm {thing.name} mfg {path} {to[0]} {self.called(to)}"
        key = (thing.number, path, to)
        if what == "gone":
            await self.line(f"{begin} none", None)
            if key in self.world.entries:
                del self.world.entries[key]
        elif what == "none":
            await self.line(f"{begin} none --block")
            self.world.entries[key] = Grant("none")
        else:
            until = self.until()
            await self.line(f"{begin} {what}{'' if until is None else f' --until {_moment(until)}'}")
            self.world.entries[key] = Grant(what, until)

    async def status(self) -> None:
        thing = self.one("account")
        if thing is not None:
            status = self.random.choice(STATUSES)
            await self.line(f"prov ma {thing.name} status {status}")
            thing.status = status

    async def freeze(self) -> None:
        side = self.random.choice(("principal", "actor"))
        thing = self.one("account" if side == "actor" else self.random.choice(("account", "list")))
        if thing is None:
            return
        if side in thing.frozen:
            await self.line(f"{side} unfreeze {thing.name}")
            thing.frozen.discard(side)
        else:
            await self.line(f"{side} freeze {thing.name}")
            thing.frozen.add(side)

    async def share(self) -> None:
        name = self.random.choice([*PEOPLE, *OTHERS])
        owner = self.world.of(name)
        if owner is not None and owner.kind != "account":
            return
        number = 0 if owner is None else owner.number
        some = [("account", one.number) for one in self.world.some("account") if one.number != number and one.status == "active"]
        some += [("group", one.number) for one in self.world.some("list")]
        if not some or (owner is not None and owner.status != "active"):
            return
        members: set[Grantee] = {self.random.choice(some) for _ in range(2)}
        preset = self.random.choice([*PRESETS])
        there = ",".join(sorted(self.called(one) for one in members))
        free = not self.world.in_the_way(number, members, preset, self.now)
        if await self.line(f"share create {name} --members {there} --preset {preset} --yes", free) is not None:
            if owner is None:
                number = await self.now_there(name, "account")
            async with self.office.store.snapshot() as snapshot:
                share = max(one.id for one in await snapshot.ask(shares.of_owner, AccountId(number)))
            self.world.share(share, number, members, preset, owner is None)

    async def end(self) -> None:
        if not self.world.shares:
            return
        number = self.random.choice([*self.world.shares])
        row = self.world.shares[number]
        alone = row.made and [one for one in self.world.shares.values() if one.owner == row.owner] == [row]
        with_mailbox = alone and self.random.random() < 0.5
        await self.line(f"share end {number} --yes{' --delete-mailbox' if with_mailbox else ''}")
        self.world.end(number)
        if with_mailbox:
            self.world.delete(row.owner)

    async def apply(self) -> None:
        """Back to what a document says, and forward again."""
        policy = self.office.directory.policy
        if any(isinstance(member, str) and self.world.of(member) for one in self.world.some("list") for member in one.members):
            return  # a document spells both alike
        before, text = deepcopy(self.world), await policy.export()
        for _ in range(self.random.randint(1, 4)):
            await self.random.choice((self.right, self.entry, self.status, lambda: self.member(whole=True)))()
        middle = deepcopy(self.world)
        changed = await policy.export() != text
        planned = await policy.apply(text)
        self.typed.append("policy apply")
        assert bool(planned.plan.changes) is changed
        self.world.taken_from(before)
        await self.check()
        if changed and self.random.random() < 0.5:
            await self.line("policy rollback")
            self.world.taken_from(middle)

    async def time(self) -> None:
        self.office.clock.turn(self.random.randint(1, 3) * 300)
        self.typed.append("# some minutes later")

    # --- what has to be so whatever they did

    async def check(self) -> None:
        world, now = self.world, self.now
        directory = world.directory(now)
        async with self.office.store.snapshot() as snapshot:
            assert await snapshot.work(verify.strays) == []
            assert await snapshot.work(_seen, [*world.things]) == _expected(world)
            assert {row.id for row in await snapshot.work(deleted.page)} == world.gone.keys()
            await snapshot.work(self.decisions, directory)
        policy = self.office.directory.policy
        text = await policy.export()
        assert (await policy.apply(text)).plan.changes == ()
        assert await policy.export() == text
        for kept in world.gone.values():
            if world.of(kept.thing.name) is None:
                assert f'"{kept.thing.name}"' not in text.replace("members", "") or any(
                    kept.thing.name in one.members for one in world.some("list")
                )
        self.no_orphans()

    def decisions(self, tx: Tx, directory: model.Data) -> None:
        people = self.world.some("account")
        for actor in self.random.sample(people, min(3, len(people))):
            standing = lists.standing(tx, AccountId(actor.number))
            assert standing is not None
            for thing in self.world.things.values():
                found = addresses.primary(tx, thing.number)
                assert found is not None
                for right in RIGHTS if thing.kind == "account" else RIGHTS[:2]:
                    told = send_right_as(tx, standing, found, SendRight(right))
                    assert told.allowed is model.may(directory, actor.name, thing.name, right), f"{actor.name} {right} {thing.name}"
                    if told.allowed and right == "sendAs" and actor is not thing:
                        asked = judge(tx, AccountId(actor.number), Question(thing.number, (SendRight.SEND_AS,)))
                        held = "principal" in thing.frozen or "actor" in actor.frozen
                        held = held or (thing.kind == "account" and bool(model.owner_sends(directory, thing.name)))
                        assert asked is not None
                        assert asked.allowed is not held, f"{actor.name} {thing.name}"
            for owner in people:
                for path in (*PATHS, "/Drafts"):
                    stand = stand_at(tx, AccountId(actor.number), AccountId(owner.number), path, NOTHING)
                    assert stand is not None
                    judged = model.folder(directory, actor.name, owner.name, path, "read")
                    assert (stand.judge(FolderOp.READ, tx.now).allowed, f"{actor.name} {owner.name}{path}") == (
                        judged["says"] == "OK",
                        f"{actor.name} {owner.name}{path}",
                    )
        for thing in self.random.sample(people, min(1, len(people))):
            named = {one.account.id for one in who_may(tx, Question(thing.number, (SendRight.SEND_AS,)), 100)[0]}
            assert named <= self.world.things.keys()

    def no_orphans(self) -> None:
        """In no table anything of whoever is not there."""
        with sqlite3.connect(f"file:{self.data / 'procura.db'}?mode=ro", uri=True) as raw:
            objects = {number for (number,) in raw.execute("SELECT id FROM object")}
            assert objects == self.world.things.keys()
            for table, column, where in (
                ("share_member", "grantee", "grantee_kind IN ('account', 'group')"),
                ("folder_entry", "grantee", "grantee_kind IN ('account', 'group')"),
                ("send_grant", "grantee", "grantee_kind IN ('account', 'group')"),
                ("send_grant", "target", "1"),
                ("share", "owner", "1"),
                ("freeze", "object", "1"),
                ("list_member", "member", "1"),
                ("address", "object", "1"),
                ("mailbox", "owner", "1"),
                ("folder", "owner", "1"),
                ("subscription", "owner", "1"),
                ("subscription", "subscriber", "1"),
            ):
                left = {number for (number,) in raw.execute(f"SELECT DISTINCT {column} FROM {table} WHERE {where}")}
                assert left <= objects, table
            (loose,) = raw.execute("SELECT count(*) FROM deleted_folder WHERE owner NOT IN (SELECT id FROM deleted_account)").fetchone()
            assert loose == 0
        raw.close()


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _number(tx: Tx, name: str) -> int:
    found = addresses.resolve(tx, Address(*name.split("@")))
    assert found is not None
    return found.id


def _to(tx: Tx, one: Held) -> tuple[str, object]:
    if one.kind is GranteeKind.DOMAIN:
        row = domains.by_id(tx, DomainId(one.id))
        return "domain", "" if row is None else row.name
    return str(one.kind), "" if one.kind is GranteeKind.ALL else one.id


def _seen(tx: Tx, some: list[int]) -> dict[str, object]:
    seen: dict[str, Any] = {name: {} for name in ("names", "aliases", "members", "rights", "entries", "frozen")}
    for number in some:
        main = addresses.primary(tx, number)
        assert main is not None, f"{number} is gone"
        seen["names"][number] = str(main.address)
        seen["aliases"][number] = {str(one) for one in addresses.aliases(tx, number)}
        seen["frozen"][number] = {str(side) for side in Side if freezes.is_frozen(tx, number, side)}
        if main.kind is addresses.ObjectKind.LIST:
            seen["members"][number] = {str(one.address) if one.id is None else one.id for one in lists.members(tx, ListId(number))}
        else:
            for path, level in grants.mailbox_levels(tx, AccountId(number)).items():
                for entry in level.entries:
                    seen["entries"][number, path, _to(tx, entry.grantee)] = (spell_letters(entry.rights), entry.expires)
        for grant in grants.send_grants_on(tx, number):
            seen["rights"][number, str(grant.right), _to(tx, grant.grantee)] = (f"{'-' * grant.deny}{grant.right}", grant.expires)
    rows = shares.page(tx, 0, 1000)
    seen["shares"] = {row.id: (row.owner, {_to(tx, one) for one in shares.members(tx, row.id)}) for row in rows}
    seen["parts"] = {
        row.id: (
            {(one.owner, one.path, _to(tx, one.entry.grantee)) for one in given.entries},
            {(one.target, str(one.right), _to(tx, one.grantee)) for one in given.sends},
        )
        for row in rows
        for given in [shares.given(tx, row.id)]
    }
    return seen


def _expected(world: World) -> dict[str, object]:
    return {
        "names": {one.number: one.name for one in world.things.values()},
        "aliases": {one.number: one.aliases for one in world.things.values()},
        "frozen": {one.number: one.frozen for one in world.things.values()},
        "members": {one.number: one.members for one in world.some("list")},
        "entries": {key: (spell_letters(parse_letters(one.what)), one.until) for key, one in world.entries.items()},
        "rights": {key: (one.what, one.until) for key, one in world.rights.items()},
        "shares": {number: (row.owner, row.members) for number, row in world.shares.items()},
        "parts": {
            number: (
                {key for key, one in world.entries.items() if one.share == number},
                {key for key, one in world.rights.items() if one.share == number},
            )
            for number in world.shares
        },
    }


async def walk(data: Path, seed: int, count: int) -> None:
    async with opened_office(data, keep_deleted=30 * 86400 * SECOND) as office:
        await office.done("cd acme.test", "cd other.test")
        walker = Walker(office, seed, data)
        try:
            await walker.walk(count)
        except (AssertionError, Fault) as error:
            raise AssertionError("\n".join([f"seed {seed}:", *walker.typed[-40:], str(error)])) from error


@pytest.mark.parametrize("seed", range(4))
async def test_a_walk(tmp_path: Path, seed: int) -> None:
    await walk(tmp_path, seed, 120)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", range(100, 108))
async def test_a_longer_walk(tmp_path: Path, seed: int) -> None:
    await walk(tmp_path, seed, 300)
