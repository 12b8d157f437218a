"""What `can` says is what the doors do, whatever stands in the way; and what a door that knows no rights refuses says what would change it:
generated statuses, rooms and posting rights, at LMTP, at MX, by a client, at a login."""

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.login import Peer
from gateway.message.canonical import read_address
from gateway.refusal import Refused
from gateway.refusals import Refusals
from gateway.sasl.exchange import Credentials
from policy.delivery import Door
from policy.folders import FolderOp
from tests.gateway.administration import Office
from tests.gateway.test_why import GROUPS, PEOPLE, REPLY, WORD, Doors, full, furnish, opened_doors

STATUSES = (*["active"] * 6, "locked", "maintenance", "closed", "pending")
MAIL = b"From: x@far.test\r\nSubject: x\r\n\r\nx\r\n"
PEER = "192.0.2.1"


async def log_in(doors: Doors, who: str) -> None:
    await doors.login.authenticate(Credentials("PLAIN", full(who), "", WORD.encode()), Peer(PEER, "imap", False))


@dataclass
class Entrance:
    """A door, and what it refuses with an id that `why` knows."""

    doors: Doors
    refusals: Refusals

    async def tried(self, way: Callable[[], Awaitable[None]], protocol: str, about: str) -> str:
        """The decision id of the refusal, "" where it is taken."""
        try:
            await way()
        except Refused as refused:
            await self.doors.recorded()
            verdict = self.refusals.named(refused.verdict, protocol, PEER, None, about)
            await self.refusals.write()
            return verdict.decision
        return ""

    async def handed_in(self, door: Door, recipient: str) -> str:
        async def way() -> None:
            inbound = await self.doors.submission._delivery.begin(door, read_address("x@far.test"), PEER)
            await inbound.add(read_address(recipient))

        return await self.tried(way, str(door), recipient)

    async def submitted(self, sender: str, recipient: str) -> str:
        async def way() -> None:
            transaction = await self.doors.submission.begin(await self.doors.actor(sender), read_address(full(sender)), False, PEER)
            await transaction.add(read_address(recipient))

        return await self.tried(way, "smtp", recipient)

    async def logged_in(self, who: str) -> str:
        return await self.tried(lambda: log_in(self.doors, who), "imap", full(who))


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[Entrance]:
    async with opened_doors(data) as doors:
        refusals = Refusals(doors.office.store, wall_clock=doors.office.clock)
        try:
            yield Entrance(doors, refusals)
        finally:
            await refusals.close()


async def fill(entrance: Entrance) -> None:
    """Something lies in every mailbox."""
    for one in PEOPLE:
        inbound = await entrance.doors.submission._delivery.begin(Door.LMTP, read_address("x@far.test"), PEER)
        await inbound.add(read_address(full(one)))
        await inbound.commit(MAIL)


async def unsettle(office: Office, dice: random.Random, *, at_home: bool = False) -> None:
    """Statuses, rooms and posting rights that stand in the way of some. `at_home`: the last of PEOPLE keeps out of it all."""
    for one in PEOPLE[:-1] if at_home else PEOPLE:
        await office.done(f"ma {full(one)} status {dice.choice(STATUSES)}")
        if dice.random() < 0.2:
            await office.done(f"ma {full(one)} quota {dice.choice((1, 10_000_000))}")
        if dice.random() < 0.3:
            await office.done(f"ma {full(one)} delegationWhenLocked {dice.choice(('none', 'read', 'full'))}")
    for one in GROUPS:
        match dice.randrange(4):
            case 0:
                await office.prov(f"grr dl {full(one)} usr {full(PEOPLE[0])} sendToDistList")
            case 1:
                await office.done(f"mdl {full(one)} postingRestricted TRUE")
            case _:
                pass
    if dice.random() < 0.3:
        await office.done(f"md acme.test maxQuota {dice.choice((1, 10_000_000))}")
    if dice.random() < 0.4:
        policy = dice.choice(("ALLOWSENDRECEIVE", "BLOCKSEND", "BLOCKSENDRECEIVE"))
        await office.done(f"md acme.test aggregateQuota {dice.choice((1, 10_000_000))} aggregateQuotaPolicy {policy}")


async def everything_set(office: Office) -> str:
    accounts = json.loads((await office.prov("gaa -v", as_json=True)).out)
    for one in accounts:
        del one["attributes"]["lastLogin"]  # of a login that was tried
    told = [(await office.prov("gd acme.test", as_json=True)).out, json.dumps(accounts)]
    return "\n".join([*told, *[(await office.prov(f"gdl {full(one)}", as_json=True)).out for one in GROUPS]])


# --- can, and what happens


async def written(doors: Doors, actor: str, message: str) -> None:
    """To somebody elsewhere: whether a neighbour takes mail is another question."""
    transaction = await doors.submission.begin(await doors.actor(actor), None, False, PEER)
    await transaction.add(read_address("x@far.test"))
    await transaction.commit(message.encode())


async def send(doors: Doors, actor: str, owner: str) -> None:
    await written(doors, actor, f"From: {full(owner)}\r\nTo: x@far.test\r\nSubject: x\r\n\r\nx\r\n")


async def answer(doors: Doors, actor: str, owner: str) -> None:
    await written(doors, actor, REPLY.format(sender=full(actor), attendee=full(owner)))


async def post(doors: Doors, actor: str, group: str) -> None:
    await doors.post(actor, group, "")


async def log_in_as(doors: Doors, actor: str, owner: str) -> None:
    await doors.log_in_as(actor, owner, "")


ACTS: dict[str, FolderOp | Callable[[Doors, str, str], Awaitable[None]]] = {
    "send-as": send,
    "post": post,
    "login-as": log_in_as,
    "accept": answer,
    "see": FolderOp.SEE,
    "read": FolderOp.READ,
    "write": FolderOp.MARK,
    "insert": FolderOp.INSERT,
    "create": FolderOp.CREATE,
    "administer": FolderOp.ADMINISTER,
}


@pytest.mark.parametrize("seed", range(8))
async def test_what_can_says_is_what_the_doors_do(tmp_path: Path, seed: int) -> None:
    """Whoever cannot log in does nothing; in a name by either right, since the door takes either."""
    dice = random.Random(1000 + seed)
    async with opened(tmp_path) as entrance:
        doors, office = entrance.doors, entrance.doors.office
        await furnish(office, dice)
        for one in PEOPLE[:2]:
            await office.done(f"sm {full(one)} mfg / all rwixd", f"grr account {full(one)} dom acme.test sendAs")
        await fill(entrance)
        await unsettle(office, dice)
        for side in ("actor", "principal"):
            if dice.random() < 0.4:
                await office.command(f"{side} freeze {full(dice.choice(PEOPLE))}")
        both = 0
        for _ in range(60):
            word = dice.choice((*ACTS, "send-as", "post"))
            actor, owner = dice.sample(PEOPLE, 2)
            owner = dice.choice(GROUPS) if word == "post" or (word == "send-as" and dice.random() < 0.3) else owner
            path = dice.choice(("/", "/INBOX", "/Work", "/Work/Deep"))
            way = ACTS[word]
            asked = f"can {full(actor)} {word} {full(owner)}"
            asked += f" {path}" if isinstance(way, FolderOp) else ""
            said = (await office.command(asked)).status == 0
            if word == "send-as":
                said = said or (await office.command(f"can {full(actor)} send-on-behalf-of {full(owner)}")).status == 0

            async def done(word: str = word, actor: str = actor, owner: str = owner, path: str = path) -> None:
                await log_in(doors, actor)
                way = ACTS[word]
                if isinstance(way, FolderOp):
                    await doors.on_folder(actor, owner, path, way)
                else:
                    await way(doors, actor, owner)

            happened = await entrance.tried(done, "imap", "") == ""
            told = await office.command(asked)
            assert said == happened, f"{asked}: {told.out}"
            both += said
        assert both, "nothing at all was allowed"


@pytest.mark.parametrize("seed", range(3))
async def test_who_can_is_everybody_who_can(tmp_path: Path, seed: int) -> None:
    """In either direction: `who-can` names those of whom `can` says so, or who may log in as one of them; `can ACTOR` what `can` says."""
    dice = random.Random(2000 + seed)
    async with opened(tmp_path) as entrance:
        office = entrance.doors.office
        await furnish(office, dice)
        await unsettle(office, dice)
        for word in ("send-as", "send-on-behalf-of", "post", "login-as", "read", "administer"):
            for owner in dice.sample(GROUPS if word == "post" else (*PEOPLE, *GROUPS[: 2 * word.startswith("send")]), 2):
                for more in ("", "--at +90m"):
                    found = json.loads((await office.command(f"who-can {word} {full(owner)} {more}", as_json=True)).out)
                    named = {one["account"] for one in found["who"] if not one["via"]["trace"][0]["text"].startswith("logging in as")}
                    can = {
                        full(one) for one in PEOPLE if (await office.command(f"can {full(one)} {word} {full(owner)} {more}")).status == 0
                    }
                    assert named == can, (word, owner, more)
        for actor in PEOPLE:
            told = json.loads((await office.command(f"can {full(actor)}", as_json=True)).out)
            rights = {(one["principal"], one["right"]) for one in told["may"] if one["folder"] is None}
            for owner in (*PEOPLE, *GROUPS):
                for word, right in (("send-as", "sendAs"), ("send-on-behalf-of", "sendOnBehalfOf"), ("login-as", "loginAs")):
                    if owner == actor or (word == "login-as" and owner in GROUPS) or told["stopped"]:
                        continue
                    can = (await office.command(f"can {full(actor)} {word} {full(owner)}")).status == 0
                    assert can == ((full(owner), right) in rights), (actor, word, owner)


# --- what is refused without any right being asked for


@pytest.mark.parametrize("seed", range(10))
async def test_what_stands_in_the_way_flips_the_decision_and_back(tmp_path: Path, seed: int) -> None:
    """Where something can be changed, that is told, changes it, and is taken back exactly; where not, a login is."""
    dice = random.Random(3000 + seed)
    async with opened(tmp_path) as entrance:
        office = entrance.doors.office
        await furnish(office, dice)
        await fill(entrance)
        await unsettle(office, dice, at_home=True)
        await office.done(f"aaa {full('p0')} alias@acme.test")
        if dice.random() < 0.4:
            await office.done(f"md acme.test status {dice.choice(('suspended', 'maintenance', 'locked', 'closed'))}")
        flipped = 0
        ways = [(door, full(one)) for door in ("lmtp", "mx", "smtp") for one in (*PEOPLE, *GROUPS, "alias")]
        ways += [("imap", full(one)) for one in PEOPLE]
        dice.shuffle(ways)
        for door, about in ways:

            async def tried(door: str = door, about: str = about) -> str:
                name = about.partition("@")[0]
                if door == "imap":
                    return await entrance.logged_in(name)
                if door == "smtp":
                    return await entrance.submitted(PEOPLE[-1], about)
                return await entrance.handed_in(Door(door), about)

            decision = await tried()
            if not decision:
                continue
            told = await office.command(f"why {decision}", as_json=True)
            assert told.status == 0, told.err
            (why,) = json.loads(told.out)
            before = await everything_set(office)
            suggestions = why["suggestions"]
            assert suggestions or why.get("noGrant"), (door, about, why)
            for suggestion in suggestions:
                await office.done(*suggestion["apply"])
                assert await tried() == "", (door, about, why, suggestion)
                await office.done(*suggestion["undo"])
                assert await tried() != "", (door, about, why, suggestion)
                assert await everything_set(office) == before, suggestion
                flipped += 1
            if not suggestions and "sendToDistList" in why["noGrant"]:
                # No grant holds for who is not known; the same grant does for who logs in.
                line = f"dl {about} usr {full(PEOPLE[-1])} sendToDistList"
                had = (await office.prov(f"rvr {line}")).status == 0
                refused = await entrance.submitted(PEOPLE[-1], about)
                await office.done(f"grr {line}")
                assert await tried() != "", (door, about)
                if await entrance.submitted(PEOPLE[-1], about) == "" and refused:
                    flipped += 1
                if not had:
                    await office.done(f"rvr {line}")
        assert flipped


# --- one by one


async def test_a_domain_that_is_full_sends_nothing_and_takes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as entrance:
        office = entrance.doors.office
        await office.done("cd acme.test", *(f"ca {full(one)} '{WORD}'" for one in PEOPLE), f"cdl {full('team')}")
        await fill(entrance)
        await office.done(f"grr account {full('p0')} usr {full('p1')} sendAs", f"sm {full('p0')} mfg / account {full('p1')} rx")
        asked = [
            f"can {full('p1')} {act} {full(on)}" for act, on in (("send-as", "p0"), ("send-as", "p1"), ("post", "team"), ("accept", "p0"))
        ]
        assert [(await office.command(one)).status for one in asked] == [0, 0, 0, 0]
        await office.done("md acme.test aggregateQuota 1 aggregateQuotaPolicy BLOCKSEND")
        for one in asked:
            told = await office.command(one)
            assert (told.status, "* but the mailboxes of acme.test are full: nobody in the domain can send" in told.out) == (1, True), one
        assert (await office.command(f"can {full('p1')} read {full('p0')}")).status == 0
        reach = json.loads((await office.command(f"can {full('p1')}", as_json=True)).out)
        assert (reach["stopped"], {one["right"] for one in reach["may"]}) == ("", {"rx"})
        assert await entrance.handed_in(Door.LMTP, full("p0")) == ""
        await office.done("md acme.test aggregateQuotaPolicy BLOCKSENDRECEIVE", f"ma {full('p0')} status closed")
        (why,) = json.loads((await office.command(f"why {await entrance.handed_in(Door.LMTP, full('p0'))}", as_json=True)).out)
        (suggestion,) = why["suggestions"]
        assert suggestion["apply"] == ["modifyAccount p0@acme.test status active", "modifyDomain acme.test aggregateQuota 0"]
        assert suggestion["undo"] == ["modifyDomain acme.test aggregateQuota 1", "modifyAccount p0@acme.test status closed"]
        assert suggestion["givers"] == ["a global administrator"]
