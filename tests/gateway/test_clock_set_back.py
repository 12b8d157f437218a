"""The clock is set back while no server runs: what had ended has ended, on whatever it was; until an operator says that it is right."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pyotp
import pytest

from gateway.certificate import Certificate, self_signed
from gateway.prov.run import Request
from gateway.queue import Queue, QueueRules
from gateway.releases import Releases
from gateway.timekeeping import Timekeeping
from policy.grants import SendRight
from policy.login import Failure
from store.blobs import Files
from store.clock import NoteTime
from store.connect import connect
from store.domains import CreateDomain
from store.login import RecordFailure
from store.model import QueueKind
from store.port import Store
from store.queue import AcceptMessage, ClaimDue, OntoQueue, Reschedule, queued
from tests.gateway.administration import Office, opened_office
from tests.gateway.house import SECOND, START, Clock, House, letter
from tests.store.letters import letter as posted

HOUR, DAY = 3600.0, 86_400.0
OWNER, GUEST, ROOT, NEW = "owner@acme.test", "guest@acme.test", "root@acme.test", "new@acme.test"


async def given(office: Office) -> None:
    """All of it ends in an hour."""
    await office.done("cd acme.test", *(f"ca {one} 'a good password'" for one in (OWNER, GUEST)), f"ca {NEW} ''")
    await office.done(f"ca {ROOT} 'a good password' isAdminAccount TRUE")
    await office.done(f"grantRight account {OWNER} usr {GUEST} sendAs --until +1h")
    await office.done(f"selectMailbox {OWNER} modifyFolderGrant /INBOX account {GUEST} rwi --until +1h")
    for line in (
        f"break-glass open {OWNER} --by {ROOT} --reason 'the offer is due' --for 1h",
        f"app-password create {OWNER} phone --until +1h",
    ):
        told = await office.command(line)
        assert told.status == 0, told.err


async def knew(store: Store) -> None:
    """As a server leaves it that has run for a quarter of an hour."""
    await store.do(NoteTime(store.floor.lived() or store.floor.now(), store.floor.accepted))


async def in_force(office: Office) -> dict[str, bool]:
    """What of it counts now."""
    found = {}
    for name, line in (("send", f"can {GUEST} send-as {OWNER}"), ("folder", f"can {GUEST} insert {OWNER} INBOX")):
        found[name] = (await office.command(line)).out.startswith("ALLOWED")
    found["window"] = "over" not in (await office.command("break-glass list")).out
    found["app password"] = not json.loads((await office.command(f"app-password list {OWNER}", as_json=True)).out)[0]["over"]
    return found


@pytest.mark.parametrize("by", [DAY, 365 * DAY])
async def test_what_has_ended_stays_ended(tmp_path: Path, by: float) -> None:
    clock = Clock()
    ran = Clock()
    async with opened_office(tmp_path, clock=clock, monotonic=ran) as office:
        await given(office)
        assert set((await in_force(office)).values()) == {True}
        code = json.loads((await office.command(f"password code {NEW}", as_json=True)).out)["code"]
        clock.turn(8 * DAY)
        ran.turn(8 * DAY)
        assert set((await in_force(office)).values()) == {False}
        await Timekeeping(office.store).note()
    clock.turn(-8 * DAY - by + 8 * DAY)
    # Another process; the machine was started again.
    ran = Clock()
    async with opened_office(tmp_path, clock=clock, monotonic=ran) as office:
        assert set((await in_force(office)).values()) == {False}
        told = await office.command(f"password set {NEW} {code} --password 'one more password'")
        assert told.status == 1, "a code that has ended"
        assert json.loads((await office.command("clock", as_json=True)).out)["behind"] == by
        assert "procura clock accept" in (await office.command("clock show")).out
        # What is given now has its time, by a clock that goes on.
        await office.done(f"grantRight account {OWNER} usr {NEW} sendAs --until +1h")
        assert (await office.command(f"can {NEW} send-as {OWNER}")).out.startswith("ALLOWED")
        clock.turn(2 * HOUR)
        ran.turn(2 * HOUR)
        assert not (await office.command(f"can {NEW} send-as {OWNER}")).out.startswith("ALLOWED")


async def test_an_operator_says_that_the_clock_is_right(tmp_path: Path) -> None:
    clock, ran = Clock(), Clock()
    async with opened_office(tmp_path, clock=clock, monotonic=ran) as office:
        await given(office)
        clock.turn(365 * DAY)
        ran.turn(365 * DAY)
        await Timekeeping(office.store).note()
    clock.turn(-365 * DAY)
    async with opened_office(tmp_path, clock=clock, monotonic=Clock()) as office:
        assert set((await in_force(office)).values()) == {False}
        for word in ("show", "accept"):
            told = await office.ask(Request("clock", (word,), acting=ROOT))
            assert (told.status, "PERM_DENIED" in told.err) == (1, True), told.err
        told = await office.command("clock accept")
        assert (told.status, told.out) == (0, ""), told.err
        assert set((await in_force(office)).values()) == {True}
        (record,) = [
            one
            for one in json.loads((await office.command("audit show", as_json=True)).out)
            if one["event"].startswith("clock") and one["allowed"]
        ]
        assert (record["event"], record["detail"]) == ("clock accepted", f"{int(365 * DAY)} s behind")
        assert json.loads((await office.command("clock", as_json=True)).out)["behind"] == 0


async def test_what_waits_is_dated_anew_also_where_no_server_runs(tmp_path: Path) -> None:
    """The clock stood at another century when it was put off; nobody looks at the queue between."""
    clock, ran, ahead = Clock(), Clock(), 26_645 * DAY
    clock.turn(ahead)
    async with opened_office(tmp_path, clock=clock, monotonic=ran) as office:
        row = OntoQueue(QueueKind.RELAY, "you@far.test", posted(), "", clock.at + 5 * 86_400 * SECOND, due=clock.at)
        await office.store.do(AcceptMessage("", queued=(row,)))
        await knew(office.store)
    clock.turn(-ahead)
    async with opened_office(tmp_path, clock=clock, monotonic=Clock()) as office:
        assert await due(office) > 26_000 * DAY
        told = await office.command("clock accept")
        assert told.status == 0, told.err
        assert abs(await due(office)) < 60
        told = await office.command("clock accept")
        assert told.status == 0, told.err
        assert abs(await due(office)) < 60, "only once"


@pytest.mark.parametrize("ahead", [HOUR, 26_645 * DAY])
async def test_mail_that_was_put_off_under_a_clock_nobody_knew_of_is_due_once_the_clock_is_accepted(tmp_path: Path, ahead: float) -> None:
    clock = Clock()
    clock.turn(ahead)
    async with opened_office(tmp_path, clock=clock, monotonic=Clock()) as office:
        row = OntoQueue(QueueKind.RELAY, "you@far.test", posted(), "", clock.at + 5 * 86_400 * SECOND, due=clock.at)
        await office.store.do(AcceptMessage("", queued=(row,)))
        (row,) = await office.store.do(ClaimDue(office.store.node, clock.at + 60 * SECOND, 10))
        await office.store.do(Reschedule(row.id, office.store.node, clock.at + 14_400 * SECOND, "451 later"))
    clock.turn(-ahead)
    async with opened_office(tmp_path, clock=clock, monotonic=Clock()) as office:
        assert await due(office) == ahead + 14_400
        for _ in range(2):
            told = await office.command("clock accept")
            assert told.status == 0, told.err
            assert await due(office) == 0
        async with office.store.snapshot() as snapshot:
            (entry,) = await snapshot.ask(queued)
        assert (entry.created, entry.expires) == (clock.at, clock.at + 5 * 86_400 * SECOND), "neither given up at once nor kept for years"


async def due(office: Office) -> float:
    """Seconds from what the clock says, of what waits."""
    async with office.store.snapshot() as snapshot:
        (entry,) = await snapshot.ask(queued)
    return (entry.due - office.clock.at) / SECOND


@pytest.mark.parametrize("by", [-365 * DAY, -DAY, DAY, 365 * DAY])
async def test_a_code_of_a_second_factor_is_good_once_however_the_clock_is_set(tmp_path: Path, by: float) -> None:
    clock, ran = Clock(), Clock()
    async with opened_office(tmp_path, clock=clock, monotonic=ran) as office:
        await office.done("cd acme.test", f"ca {OWNER} 'a good password'")
        account = (await office.directory.accounts.get(OWNER)).row.id
        factor = pyotp.TOTP(json.loads((await office.command(f"totp enroll {OWNER}", as_json=True)).out)["secret"])
        told = await office.command(f"totp confirm {OWNER} {factor.at(clock.at // SECOND)}")
        assert told.status == 0, told.err
        clock.turn(30)
        ran.turn(30)
        used = factor.at(clock.at // SECOND)
        assert await office.directory.second_factors.verify(account, used, "192.0.2.1")
        await knew(office.store)
    ran = Clock()
    for seconds in (by, 0.0):
        clock.turn(seconds)
        async with opened_office(tmp_path, clock=clock, monotonic=ran) as office:
            verify = office.directory.second_factors.verify
            assert not await verify(account, used, "192.0.2.1")
            ran.turn(60)
            clock.turn(60)
            # Behind the step that was used none is taken; the machine's clock is the wrong one then.
            assert await verify(account, factor.at(clock.at // SECOND), "192.0.2.1") is (by > 0)
            assert not await verify(account, factor.at(clock.at // SECOND), "192.0.2.1")
            await knew(office.store)


async def test_a_code_that_was_used_under_a_clock_that_was_ahead_keeps_nobody_out_once_the_clock_is_accepted(tmp_path: Path) -> None:
    """A minute was enough: nobody knew of that clock when the next server began."""
    clock = Clock()
    async with opened_office(tmp_path, clock=clock, monotonic=Clock()) as office:
        await office.done("cd acme.test", f"ca {OWNER} 'a good password'")
        account = (await office.directory.accounts.get(OWNER)).row.id
        factor = pyotp.TOTP(json.loads((await office.command(f"totp enroll {OWNER}", as_json=True)).out)["secret"])
        now = factor.at(clock.at // SECOND)
        told = await office.command(f"totp confirm {OWNER} {now}")
        assert told.status == 0, told.err
        clock.turn(HOUR)
        later = factor.at(clock.at // SECOND)
        assert await office.directory.second_factors.verify(account, later, "192.0.2.1")
    clock.turn(60 - HOUR)
    ran = Clock()
    async with opened_office(tmp_path, clock=clock, monotonic=ran) as office:
        verify = office.directory.second_factors.verify
        assert not await verify(account, factor.at(clock.at // SECOND), "192.0.2.1")
        told = await office.command("clock accept")
        assert told.status == 0, told.err
        assert not await verify(account, now, "192.0.2.1"), "used before"
        assert await verify(account, factor.at(clock.at // SECOND), "192.0.2.1")
        assert not await verify(account, factor.at(clock.at // SECOND), "192.0.2.1"), "once"
        for one in (clock, ran):
            one.turn(HOUR - 60)
        assert factor.at(clock.at // SECOND) == later
        assert not await verify(account, later, "192.0.2.1"), "it was used an hour ago, when it was not its time"
        for one in (clock, ran):
            one.turn(30)
        assert await verify(account, factor.at(clock.at // SECOND), "192.0.2.1")


async def test_codes_of_now_are_good_where_the_time_that_was_known_is_wrong(tmp_path: Path) -> None:
    clock, ran = Clock(), Clock()
    async with opened_office(tmp_path, clock=clock, monotonic=ran) as office:
        await office.done("cd acme.test", f"ca {OWNER} 'a good password'")
        account = (await office.directory.accounts.get(OWNER)).row.id
        clock.turn(365 * DAY)
        ran.turn(365 * DAY)
        await Timekeeping(office.store).note()
    clock.turn(-365 * DAY)
    async with opened_office(tmp_path, clock=clock, monotonic=Clock()) as office:
        assert office.store.floor.now() - clock.at == int(365 * DAY) * SECOND
        factor = pyotp.TOTP(json.loads((await office.command(f"totp enroll {OWNER}", as_json=True)).out)["secret"])
        told = await office.command(f"totp confirm {OWNER} {factor.at(clock.at // SECOND)}")
        assert told.status == 0, told.err
        clock.turn(30)
        verify = office.directory.second_factors.verify
        assert not await verify(account, factor.at(office.store.floor.now() // SECOND), "192.0.2.1")
        assert await verify(account, factor.at(clock.at // SECOND), "192.0.2.1")
        assert not await verify(account, factor.at(clock.at // SECOND), "192.0.2.1"), "once"


@pytest.mark.parametrize("by", [DAY, 365 * DAY])
async def test_a_lockout_lasts_neither_longer_nor_again(tmp_path: Path, by: float) -> None:
    clock, ran = Clock(), Clock()
    async with opened_office(tmp_path, clock=clock, monotonic=ran) as office:
        await office.done("cd acme.test", f"ca {OWNER} 'a good password' lockoutMaxFailures 2 lockoutDuration 1h")
        account = (await office.directory.accounts.get(OWNER)).row.id
        for _ in range(2):
            await office.store.do(RecordFailure(account, Failure(clock.at, "192.0.2.1", None)))
        assert (await office.directory.accounts.get(OWNER)).lockout_until is not None
        await knew(office.store)
    clock.turn(-by)
    async with opened_office(tmp_path, clock=clock, monotonic=(ran := Clock())) as office:
        clock.turn(HOUR - 60)
        ran.turn(HOUR - 60)
        assert (await office.directory.accounts.get(OWNER)).lockout_until is not None
        clock.turn(120)
        ran.turn(120)
        assert (await office.directory.accounts.get(OWNER)).lockout_until is None
        await knew(office.store)
    clock.turn(-by)
    async with opened_office(tmp_path, clock=clock, monotonic=Clock()) as office:
        assert (await office.directory.accounts.get(OWNER)).lockout_until is None


@pytest.mark.parametrize("by", [DAY, 365 * DAY])
async def test_mail_within_its_recall_window_goes_when_that_ends_and_once(tmp_path: Path, by: float) -> None:
    url, clock, ran = "sqlite:///{data}/procura.db", Clock(), Clock()
    ids = {}
    for seconds in (0.0, -by, -by):
        clock.turn(seconds)
        store = await connect(url, tmp_path, now=clock, monotonic=ran)
        house = House(store, Files(tmp_path / "messages"), clock, relays=False)
        if not ids:
            await store.do(CreateDomain("acme.test"))
            for name in ("olga", "dora", "bruno"):
                await house.account(name)
            await house.grant("olga", "dora", SendRight.SEND_AS, window=600)
            ids = house.ids
            await house.submit("dora", "olga@acme.test", "bruno@acme.test", letter("olga@acme.test"))
        house.ids = ids
        assert await released(house) == int(seconds != 0.0 and ran.at > START + 600 * SECOND)
        clock.turn(400)
        ran.turn(400)
        await knew(store)
        await house.folders.close()
        house.passwords.close()
        await store.close()


async def released(house: House) -> int:
    """How many copies of it have come, after what is due has gone."""
    rules = QueueRules(retries=(60.0,), delay=0, concurrency=4)
    queue = Queue(house.store, house.files, house.delivery, None, rules, Releases(house.store, house.submission, house.delivery))
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)
    return len(await house.mail("bruno"))


def test_a_certificate_is_read_again_whatever_the_clock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it holds by now is for clients to judge, whose clocks may be right."""
    shown = Certificate(*self_signed(tmp_path, "mx.acme.test"))
    first = shown.context
    for by in (-365 * DAY, 365 * DAY):
        monkeypatch.setattr(time, "time", lambda by=by: 1_800_000_000.0 + by)
        shown.reload()
        assert shown.context is not first
