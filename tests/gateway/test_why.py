"""Why was it refused, and is what is said to be missing really what is missing? 200 generated refusals say so themselves."""

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.delivery import Delivery, DeliveryRules
from gateway.folders import Place, Visit
from gateway.login import Login, Peer
from gateway.message.canonical import read_address
from gateway.refusal import Refused
from gateway.sasl.exchange import Credentials
from gateway.sources import FailingSources
from gateway.submission import Submission, SubmissionRules
from gateway.why import asked_by
from policy.folders import FolderOp
from policy.identity import Actor
from policy.rights import Change
from policy.status import AccountStatus
from store import accounts
from store.accounts import SetAccountStatus
from store.blobs import Files
from tests.gateway.administration import SECOND, Office, opened_office

PEOPLE = tuple(f"p{number}" for number in range(5))
GROUPS = ("team", "inner", "news")
PATHS = ("/", "/INBOX", "/Work", "/Work/Deep")
WORD = "right horse 7"
REPLY = (
    "From: {sender}\r\nTo: p0@acme.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/calendar; method=REPLY\r\n\r\n"
    'BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\nATTENDEE;SENT-BY="mailto:{sender}":mailto:{attendee}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n'
)


def full(name: str) -> str:
    return f"{name}@acme.test"


@dataclass
class Doors:
    """The services that judge, over one office."""

    office: Office
    submission: Submission
    login: Login

    async def actor(self, name: str) -> Actor:
        async with self.office.store.snapshot() as snapshot:
            row = await snapshot.ask(accounts.by_address, read_address(full(name)))
            assert row is not None
            return Actor(row.id, row.address, row.display_name)

    # Each way in: what is done, as whom, on whom, where.

    async def send(self, actor: str, owner: str, _: str) -> None:
        transaction = await self.submission.begin(await self.actor(actor), None, False, "192.0.2.1")
        await transaction.add(read_address("p4@acme.test"))
        await transaction.commit(f"From: {full(owner)}\r\nTo: p0@acme.test\r\nSubject: x\r\n\r\nx\r\n".encode())

    async def mail_from(self, actor: str, owner: str, _: str) -> None:
        await self.submission.begin(await self.actor(actor), read_address(full(owner)), False, "192.0.2.1")

    async def post(self, actor: str, group: str, _: str) -> None:
        transaction = await self.submission.begin(await self.actor(actor), read_address(full(actor)), False, "192.0.2.1")
        await transaction.add(read_address(full(group)))

    async def answer(self, actor: str, owner: str, _: str) -> None:
        transaction = await self.submission.begin(await self.actor(actor), None, False, "192.0.2.1")
        await transaction.add(read_address("p4@acme.test"))
        await transaction.commit(REPLY.format(sender=full(actor), attendee=full(owner)).encode())

    async def log_in_as(self, actor: str, owner: str, _: str) -> None:
        await self.login.authenticate(Credentials("PLAIN", full(actor), full(owner), WORD.encode()), Peer("192.0.2.1", "imap", False))

    async def read(self, actor: str, owner: str, path: str) -> None:
        await self.on_folder(actor, owner, path, FolderOp.READ)

    async def on_folder(self, actor: str, owner: str, path: str, op: FolderOp) -> None:
        visit = Visit(await self.actor(actor), "imap", "192.0.2.1")
        judging = self.office.folders._judging
        async with judging.snapshot() as snapshot:
            stand = await judging.standing_at(snapshot, visit, Place(full(owner), path), selectable=False, op=op)
            judging.require(visit, stand, op, snapshot.now)

    async def refusal(self, way: Callable[[str, str, str], Awaitable[None]], *about: str) -> str:
        """The decision id of the refusal, "" where it is allowed."""
        try:
            await way(*about)
        except Refused as refused:
            await self.recorded()
            return refused.verdict.decision or f"- {refused.verdict}"
        return ""

    async def recorded(self) -> None:
        """Until what is on its way to the record is there."""
        await self.office.folders._judging.recorder.close()


@asynccontextmanager
async def opened_doors(data: Path) -> AsyncIterator[Doors]:
    async with opened_office(data) as office:
        files = Files(data / "messages")
        rules = DeliveryRules(hostname="mx.acme.test", relays=True, hops=50, quota_rejects=False, lifetime=86400 * SECOND)
        delivery = Delivery(office.store, files, rules)
        submission = Submission(office.store, delivery, office.folders, SubmissionRules(64 * 1024, 500))
        login = Login(office.store, office.passwords, FailingSources(1000, 600.0, ()))
        try:
            yield Doors(office, submission, login)
        finally:
            await login.idle()


async def furnish(office: Office, dice: random.Random) -> None:
    """A small directory with nested groups and all kinds of grants, in time and out of it."""
    await office.done("cd acme.test", "cc staff", *(f"ca {full(one)} '{WORD}'" for one in PEOPLE), *(f"cdl {full(one)}" for one in GROUPS))
    for one in PEOPLE:
        await office.done(f"sm {full(one)} cf /Work", f"sm {full(one)} cf /Work/Deep")
        if dice.random() < 0.2:
            await office.done(f"sac {full(one)} staff")
    await office.done(f"adlm {full('team')} {full('inner')}", *(f"adlm {full('inner')} {full(one)}" for one in dice.sample(PEOPLE, 2)))
    times = ("", "", "", "--until +1h", "--from +1h", "--from +1h --until +2h --note 'later on'")
    for _ in range(14):
        grantee = dice.choice(
            [*(f"usr {full(one)}" for one in PEOPLE), *(f"grp {full(one)}" for one in GROUPS[:2]), "dom acme.test", "cos staff"]
        )
        right, deny, when = dice.choice(("sendAs", "sendOnBehalfOf", "loginAs")), dice.choice(("", "", "-")), dice.choice(times)
        await office.prov(f"grr account {full(dice.choice(PEOPLE))} {grantee} {deny}{right} {when}")
        await office.prov(f"grr dl {full(dice.choice(GROUPS))} {grantee} {deny}{dice.choice(('sendToDistList', 'sendAs'))} {when}")
        kind, _, name = grantee.partition(" ")
        kind = {"usr": "account", "grp": "group", "dom": "domain", "cos": "cos"}[kind]
        letters = dice.choice(("r", "rw", "ri", "x", "rd", "rwixda", "ra", "r[s]", "none --block"))
        when = "" if "none" in letters else when
        await office.prov(f"sm {full(dice.choice(PEOPLE))} mfg {dice.choice(PATHS)} {kind} {name} {letters} {when}")
    if dice.random() < 0.3:
        await office.prov(f"sm {full(dice.choice(PEOPLE))} modifyFolder /Work/Deep inherit false")


OPERATIONS = tuple(one for one in FolderOp if one not in (FolderOp.REPLACE_DRAFT, FolderOp.RENAME, FolderOp.DELETE, FolderOp.ACCEPT))


async def everything_granted(office: Office) -> str:
    """All grants there are, as they are told, whatever the order."""
    told = []
    for one in PEOPLE:
        told.append((await office.prov(f"gg -t account {full(one)}", as_json=True)).out)
        told += [(await office.prov(f"sm {full(one)} gfg {path}", as_json=True)).out for path in (*PATHS, "/Calendar")]
    told += [(await office.prov(f"gg -t dl {full(one)}", as_json=True)).out for one in GROUPS]
    return "\n".join(told)


@pytest.mark.parametrize("seed", range(20))
async def test_what_is_said_to_be_missing_flips_the_decision_and_back(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    async with opened_doors(tmp_path) as doors:
        office = doors.office
        await furnish(office, dice)
        flipped = tries = 0
        ways = (doors.send, doors.mail_from, doors.post, doors.answer, doors.log_in_as, None, None)
        while flipped < 10:
            tries += 1
            assert tries < 400, "too few refusals: the directory is too generous"
            way = dice.choice(ways)
            actor, owner = dice.sample(PEOPLE, 2)
            path = dice.choice(PATHS)
            operation = dice.choice(OPERATIONS)
            if way == doors.post:
                owner = dice.choice(GROUPS)

            async def act(*about: str, operation: FolderOp = operation) -> None:
                await doors.on_folder(*about, operation)

            done: Callable[[str, str, str], Awaitable[None]] = act if way is None else way
            decision = await doors.refusal(done, actor, owner, path)
            assert not decision.startswith("-"), decision
            if not decision:
                continue
            told = await office.command(f"why {decision}", as_json=True)
            assert told.status == 0, told.err
            (why,) = json.loads(told.out)
            assert why["now"]["allowed"] is False
            assert why["then"], why
            assert why["suggestions"], (way, actor, owner, path, operation, why)
            before = await everything_granted(office)
            for suggestion in why["suggestions"]:
                await office.done(*suggestion["apply"])
                assert await doors.refusal(done, actor, owner, path) == "", (why, suggestion)
                await office.done(*suggestion["undo"])
                assert await doors.refusal(done, actor, owner, path) != "", (why, suggestion)
                assert await everything_granted(office) == before, suggestion
            flipped += 1


# --- one by one


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    async with opened_doors(tmp_path) as doors:
        await doors.office.done("cd acme.test", *(f"ca {full(one)} '{WORD}'" for one in PEOPLE), *(f"cdl {full(one)}" for one in GROUPS))
        yield doors


async def why(doors: Doors, decision: str) -> str:
    told = await doors.office.command(f"why {decision}")
    assert told.status == 0, told.err
    return told.out


async def test_then_and_now_are_told_apart(doors: Doors) -> None:
    await doors.office.done("grr account p0@acme.test usr p1@acme.test -sendAs")
    decision = await doors.refusal(doors.send, "p1", "p0", "")
    await doors.office.done("grr account p0@acme.test usr p1@acme.test sendAs")
    told = await why(doors, f"[{decision}]")
    then, now = told.split("Now: ")
    assert "* account p1@acme.test: -sendAs" in then
    assert now.startswith("ALLOWED\n  * account p1@acme.test: sendAs")
    assert "Missing" not in now


async def test_who_may_give_it_is_named(doors: Doors) -> None:
    await doors.office.done("sm p0@acme.test mfg /INBOX account p2@acme.test ra", "sm p0@acme.test mfg /INBOX account p3@acme.test a")
    told = await why(doors, await doors.refusal(doors.read, "p1", "p0", "/INBOX"))
    assert "procura prov selectMailbox p0@acme.test modifyFolderGrant /INBOX account p1@acme.test r\n" in told
    assert "may be given by: p0@acme.test, p2@acme.test, an administrator of acme.test\n" in told


async def test_a_status_in_the_way_is_told_and_no_grant_promised(doors: Doors) -> None:
    office = doors.office
    await office.done("grr account p0@acme.test usr p1@acme.test sendAs", "ma p0@acme.test status closed")
    told = await why(doors, await doors.refusal(doors.send, "p1", "p0", ""))
    assert "Missing: no grant would change it: but p0@acme.test is closed: nobody sends in its name" in told
    await office.done("sm p0@acme.test mfg / account p1@acme.test r")
    told = await why(doors, await doors.refusal(doors.read, "p1", "p0", "/INBOX"))
    assert "no grant would change it: granted, but the status of the owner's account leaves nothing to delegates" in told


async def test_an_address_that_is_not_shared_is_told(doors: Doors) -> None:
    office = doors.office
    await office.done("aaa p0@acme.test nick@acme.test", "ma p0@acme.test delegatedSenderAddresses nick@acme.test")
    told = await why(doors, await doors.refusal(doors.send, "p1", "p0", ""))
    assert "delegatedSenderAddresses does not name p0@acme.test" in told


async def test_the_actors_own_status_now_is_told(doors: Doors) -> None:
    decision = await doors.refusal(doors.send, "p1", "p0", "")
    actor = await doors.actor("p1")
    await doors.office.done("grr account p0@acme.test usr p1@acme.test sendAs")
    await doors.office.store.do(SetAccountStatus(actor.account, AccountStatus.LOCKED))
    told = await why(doors, decision)
    assert "Now: DENIED" in told
    assert "no grant would change it: but p1@acme.test is locked and cannot log in" in told


async def test_what_is_gone_is_told_from_the_record_alone(doors: Doors) -> None:
    decision = await doors.refusal(doors.send, "p1", "p0", "")
    await doors.office.done("da p0@acme.test")
    told = await why(doors, decision)
    assert "p1@acme.test" in told
    assert "on p0@acme.test" in told
    assert "Now" not in told


async def test_a_change_of_grants_that_was_refused_names_what_was_lacking(doors: Doors) -> None:
    office = doors.office
    await office.done("sm p0@acme.test mfg /INBOX account p1@acme.test ra")
    visit = Visit(await doors.actor("p1"), "imap", "")
    with pytest.raises(Refused) as caught:
        await office.folders.set_entry(visit, Place("p0@acme.test", "/INBOX"), "p2@acme.test", Change.REPLACE, "lrsw")
    await doors.recorded()
    told = json.loads((await office.command(f"why {caught.value.verdict.decision}", as_json=True)).out)[0]
    assert told["record"]["right"] == "change grants: rw"
    (suggestion,) = told["suggestions"]
    assert suggestion["apply"] == ["selectMailbox p0@acme.test modifyFolderGrant /INBOX account p1@acme.test rwa"]
    await office.done(*suggestion["apply"])
    await office.folders.set_entry(visit, Place("p0@acme.test", "/INBOX"), "p2@acme.test", Change.REPLACE, "lrsw")


async def test_an_unknown_decision_is_an_error(doors: Doors) -> None:
    told = await doors.office.command("why d-00000000")
    assert (told.status, told.err) == (1, "ERROR: service.INVALID_REQUEST (invalid request: no decision is on record under d-00000000)\n")


async def test_every_kind_of_record_can_be_asked_about(doors: Doors) -> None:
    office = doors.office
    await office.done("grr account p0@acme.test usr p1@acme.test sendAs", "sp p0@acme.test 'other horse'")
    await doors.send("p1", "p0", "")
    for row in await office.directory.trail.find(100):
        assert (await office.command(f"why {row.entry.decision}")).status == 0
        async with office.store.snapshot() as snapshot:
            await snapshot.ask(asked_by, row.entry)
