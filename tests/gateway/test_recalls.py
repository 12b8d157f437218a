"""Recall windows on a clock that the test turns: who waits how long, what is filed, who may take it back, who is told.

Over real sockets, with kill -9 and races: tests/live/test_recall.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.folders import Place, Visit
from gateway.folders.values import Recaller
from gateway.queue import Queue, QueueRules
from gateway.refusal import Refused
from gateway.releases import Releases
from policy.grants import SendRight
from policy.identity import Actor
from policy.reasons import Reason
from policy.rights import Right, parse_letters
from policy.status import AccountStatus
from store import folders, messages
from store.accounts import DeleteAccount
from store.appending import AppendMessages, NewInFolder
from store.copying import Copied
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode
from store.freezes import Freeze, Side, Thaw
from store.model import Flag, QueueState
from store.queue import ClaimDue, DropQueued
from tests.gateway.house import SECOND, House, address, letter, opened

AS, BEHALF = SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF
MAIL = letter(
    "olga@acme.test",
    "bruno@acme.test",
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=",
    "Message-ID: <1@acme.test>",
    "Date: Fri, 15 Jan 2027 08:00:00 +0000",
)
OPERATOR = Recaller(None, "an administrator", "operator", "cli")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "dora", "olga") as house:
        await house.grant("olga", "dora", AS)
        yield house


async def once(house: House) -> None:
    rules = QueueRules(retries=(60.0,), delay=0, concurrency=4)
    queue = Queue(house.store, house.files, house.delivery, None, rules, Releases(house.store, house.submission, house.delivery))
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)


async def waiting(house: House) -> list[float]:
    """Seconds for which each row waits."""
    return [(row.due - house.clock.at) / SECOND for row in await house.queued()]


async def move(
    house: House, who: str, source: str, target: str, *, owner: str = "olga", to: str | None = None, moves: bool = True
) -> Copied:
    visit = Visit(house.actor(who), "imap", "192.0.2.9")
    opened = await house.folders.open(visit, Place(f"{owner}@acme.test", source))
    there = Place(f"{to or owner}@acme.test", target)
    if moves:
        return (await house.folders.move(opened, there, ((1, 99),)))[1]
    return (await house.folders.copy(opened, there, ((1, 99),)))[1]


async def flags(house: House, name: str, path: str) -> list[int]:
    folder = await house.ask(folders.by_path, house.ids[name], path)
    assert folder is not None
    return [row.flags for row in await house.ask(messages.rows, folder.id, ((1, 99),))]


async def events(house: House, event: str) -> list[tuple[str, str, str]]:
    return [
        (row.entry.actor_address, row.entry.principal_address, row.entry.because)
        for row in await house.records()
        if row.entry.event == event
    ]


DRAFT = int(Flag.SEEN | Flag.DRAFT)


# --- how long


@pytest.mark.parametrize(
    ("owners", "granted", "waits"),
    [("", None, None), ("30s", None, 30), ("30s", 0, None), ("30s", 5, 5), ("", 120, 120), ("1h", 60, 60)],
)
async def test_the_grants_window_comes_before_the_owners(house: House, owners: str, granted: int | None, waits: int | None) -> None:
    await house.values("olga", undo_window=owners)
    await house.grant("olga", "dora", AS, window=granted)
    await house.submit("dora", "", "bruno", MAIL)
    assert await waiting(house) == ([] if waits is None else [waits])
    assert len(await house.mail("bruno")) == (waits is None)
    assert len(await house.mail("olga", "/Sent")) == 1, "filed when it is accepted, in any case"


async def test_own_mail_does_not_wait(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.values("dora", undo_window="30s")
    await house.submit("olga", "", "bruno", MAIL)
    assert await waiting(house) == []


async def test_who_asked_to_be_sent_later_gets_the_later_time(house: House) -> None:
    await house.values("olga", undo_window="60s")
    await house.submit("dora", "", "bruno", MAIL, release=house.clock.at + 30 * SECOND)
    await house.submit("dora", "", "bruno", MAIL, release=house.clock.at + 90 * SECOND)
    assert await waiting(house) == [60, 90]
    assert len(await house.mail("olga", "/Sent")) == 2


async def test_several_names_wait_for_the_most_careful(house: House) -> None:
    await house.grant("olga", "dora", BEHALF, window=10)
    await house.grant("anna", "dora", BEHALF)
    await house.values("anna", undo_window="20s")
    await house.submit("dora", "", "bruno", letter("olga@acme.test, anna@acme.test"))
    assert await waiting(house) == [20]


async def test_a_list_has_the_window_of_who_sends_and_the_grants(house: House) -> None:
    await house.group("team", "bruno")
    await house.grant("team", "dora", AS)
    await house.values("dora", undo_window="7s")
    await house.submit("dora", "", "bruno", letter("team@acme.test"))
    await house.grant("team", "dora", AS, window=9)
    await house.submit("dora", "", "bruno", letter("team@acme.test"))
    assert await waiting(house) == [7, 9]


async def test_an_answer_to_an_invitation_waits_as_the_attendee_wants(house: House) -> None:
    await house.values("olga", undo_window="15s")
    await house.share("olga", "/Calendar", "dora", Right.ACTION)
    attendee = 'ATTENDEE;SENT-BY="mailto:dora@acme.test":mailto:olga@acme.test'
    calendar = f"BEGIN:VCALENDAR\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\n{attendee}\r\nEND:VEVENT\r\nEND:VCALENDAR"
    await house.submit(
        "dora", "", "bruno", letter("dora@acme.test", "bruno@acme.test", "Content-Type: text/calendar; method=REPLY", text=calendar)
    )
    assert await waiting(house) == [15]


# --- waiting and going


async def test_it_goes_when_its_time_has_come_and_is_filed_once(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "dora", "bruno", MAIL)
    (filed,) = await house.mail("olga", "/Sent")
    await once(house)
    house.clock.turn(29)
    await once(house)
    assert await house.mail("bruno") == []
    house.clock.turn(1)
    await once(house)
    (got,) = await house.mail("bruno")
    assert got.endswith(filed)
    assert await house.queued() == []
    assert await house.mail("olga", "/Sent") == [filed]
    assert await events(house, "postpone: send-as") == await events(house, "send-as") != []


async def test_what_the_client_left_out_is_the_same_in_the_copy_and_in_what_goes(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "dora", "bruno", letter("olga@acme.test"))
    (filed,) = await house.mail("olga", "/Sent")
    house.clock.turn(3600)
    await once(house)
    (got,) = await house.mail("bruno")
    assert got.endswith(filed)
    assert filed.count(b"Message-ID:") == filed.count(b"Date:") == 1


async def test_a_right_that_was_revoked_stops_it_and_the_actor_is_told(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    await house.revoke("olga", "dora", AS)
    house.clock.turn(30)
    await once(house)
    assert await house.mail("bruno") == []
    (report,) = await house.mail("dora")
    assert b"Status: 5.7.1" in report
    assert await house.mail("olga", "/Sent") == [], "nothing was sent"
    assert await flags(house, "olga", "/Drafts") == [DRAFT]
    assert await house.queued() == []


@pytest.mark.parametrize("gone", ["olga", "dora"])
@pytest.mark.parametrize("kept", [0, 3600 * SECOND])
async def test_what_waits_in_the_name_of_whoever_is_deleted_ends_with_its_time(house: House, gone: str, kept: int) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    await house.store.do(DeleteAccount(house.ids[gone], kept))
    house.clock.turn(30)
    await once(house)
    assert await house.queued() == []
    assert await house.mail("bruno") == []
    if gone == "olga":
        (report,) = await house.mail("dora")
        assert b"Status: 5.7.1" in report
    else:
        assert await house.mail("olga", "/Sent") == []


@pytest.mark.parametrize("kept", [0, 3600 * SECOND])
async def test_what_waits_in_the_name_of_whoever_is_deleted_can_be_taken_back(house: House, kept: int) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    await house.store.do(DeleteAccount(house.ids["olga"], kept))
    (row,) = await house.queued()
    assert await house.recalls.recall(row.id, OPERATOR)
    assert await house.queued() == []


# --- taking it back


@pytest.mark.parametrize("how", ["olga", "dora", "administrator"])
async def test_owner_actor_and_administrator_take_it_back_and_the_others_are_told(house: House, how: str) -> None:
    await house.values("olga", undo_window="30s")
    for path in ("/Sent", "/Drafts"):
        await house.share("olga", path, "dora", parse_letters("rwid"))
    key = await house.submit("dora", "", "bruno", MAIL)
    if how == "administrator":
        (row,) = await house.queued()
        assert await house.recalls.recall(row.id, OPERATOR)
        assert not await house.recalls.recall(row.id, OPERATOR)
    else:
        done = await move(house, how, "/Sent", "/Drafts")
        assert (done.recalled, done.gone) == ((1,), ())
    assert await house.queued() == []
    house.clock.turn(3600)
    await once(house)
    assert await house.mail("bruno") == []
    assert await house.mail("olga", "/Sent") == []
    assert await flags(house, "olga", "/Drafts") == [DRAFT]
    told = {name for name in ("olga", "dora") if await house.mail(name)}
    assert told == {"olga", "dora"} - {how}
    for name in told:
        (notice,) = await house.mail(name)
        assert "Its subject: Grüße" in notice.decode()
        assert b"dora@acme.test in the name of olga@acme.test" in notice
        assert b"Auto-Submitted: auto-generated" in notice
    (record,) = [row.entry for row in await house.records() if row.entry.event == "recall"]
    who = "an administrator" if how == "administrator" else f"{how}@acme.test"
    assert (record.actor_address, record.principal_address, record.queue_id) == (who, "olga@acme.test", key)
    assert (record.message_id, record.detail) == ("<1@acme.test>", "sent by dora@acme.test")


async def test_who_may_not_make_that_move_recalls_nothing(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    await house.share("olga", "/Drafts", "dora", parse_letters("rwid"))
    await house.share("olga", "/Sent", "dora", parse_letters("rwi"))
    with pytest.raises(Refused) as refused:
        await move(house, "dora", "/Sent", "/Drafts")
    assert refused.value.verdict.reason is Reason.RIGHT_MISSING
    done = await move(house, "dora", "/Sent", "/Drafts", moves=False)
    assert (done.sources, done.recalled) == ((1,), ()), "a copy is a copy for who could not take the message away"
    await house.share("olga", "/Sent", "dora", parse_letters("rwid"))
    await house.share("olga", "/Drafts", "dora", parse_letters("rw"))
    with pytest.raises(Refused):
        await move(house, "dora", "/Sent", "/Drafts")
    assert len(await house.queued()) == 1
    house.clock.turn(30)
    await once(house)
    assert len(await house.mail("bruno")) == 1


async def test_a_copy_by_who_could_move_it_recalls(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    done = await move(house, "olga", "/Sent", "/Drafts", moves=False)
    assert done.recalled == (1,)
    assert await house.queued() == []


async def test_a_move_to_another_folder_changes_nothing_and_can_be_followed_by_one_to_drafts(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    assert (await move(house, "olga", "/Sent", "/Trash")).recalled == ()
    assert len(await house.queued()) == 1
    assert (await move(house, "olga", "/Trash", "/Drafts")).recalled == (1,)


async def test_the_actors_own_drafts_will_do(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.share("olga", "/Sent", "dora", parse_letters("rwid"))
    await house.submit("dora", "", "bruno", MAIL)
    assert (await move(house, "dora", "/Sent", "/Drafts", to="dora")).recalled == (1,)
    assert await flags(house, "dora", "/Drafts") == [DRAFT]
    assert await house.mail("olga", "/Sent") == []


async def test_too_late_is_said(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    house.clock.turn(30)
    await once(house)
    done = await move(house, "olga", "/Sent", "/Drafts")
    assert (done.recalled, done.gone) == ((), (1,))
    assert await flags(house, "olga", "/Drafts") == [int(Flag.SEEN)]
    assert await house.mail("dora") == []


async def test_what_never_waited_is_moved_without_a_word(house: House) -> None:
    await house.submit("dora", "", "bruno", MAIL)
    done = await move(house, "olga", "/Sent", "/Drafts")
    assert (done.sources, done.recalled, done.gone) == ((1,), (), ())


async def test_a_client_whose_copy_took_the_place_of_ours_recalls_with_it(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    sent = await house.ask(folders.by_path, house.ids["olga"], "/Sent")
    assert sent is not None
    ours = await house.ask(messages.octets, sent.id, 1, house.files)
    assert ours is not None
    item = NewInFolder(await house.folders._prepare(b"Bcc: x@far.test\r\n" + ours), Flag.SEEN)
    assert (await house.store.do(AppendMessages(sent.id, (item,), 0, actor=house.ids["dora"]))).replaced == (1,)
    assert (await move(house, "olga", "/Sent", "/Drafts")).recalled == (2,)
    assert await house.queued() == []


async def test_a_copy_that_was_expunged_keeps_nobody_from_recalling(house: House) -> None:
    await house.values("olga", undo_window="30s", delegated_sent="none")
    await house.submit("dora", "", "bruno", MAIL)
    (row,) = await house.queued()
    assert await house.recalls.recall(row.id, OPERATOR)
    (draft,) = await house.mail("dora", "/Drafts")
    assert draft == MAIL
    assert await house.queued() == []


async def test_it_does_not_wait_for_a_copy_that_is_expunged_while_it_is_recalled(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    (row,) = await house.queued()
    through = house.store.do
    done = 0

    async def do(deed, *rest, **options):  # type: ignore[no-untyped-def]
        nonlocal done
        if type(deed).__name__ == "RecallMessage" and not done:
            done = 1
            sent = await house.ask(folders.by_path, house.ids["olga"], "/Sent")
            await through(ChangeFlags(sent.id, ((1, 1),), FlagMode.ADD, Flag.DELETED))
            await through(Expunge(sent.id))
        return await through(deed, *rest, **options)

    house.store.do = do  # type: ignore[method-assign]
    assert await house.recalls.recall(row.id, OPERATOR)
    assert await house.mail("dora", "/Drafts") == [MAIL]


async def test_nothing_that_waits_for_another_reason_is_recalled(house: House) -> None:
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await house.submit("anna", "", "bruno", letter())
    (row,) = await house.queued()
    assert not await house.recalls.recall(row.id, OPERATOR)
    assert len(await house.queued()) == 1


async def test_mail_of_ones_own_that_was_postponed_is_recalled_by_an_administrator(house: House) -> None:
    await house.submit("anna", "", "bruno", letter(), release=house.clock.at + 60 * SECOND)
    (row,) = await house.queued()
    assert await house.recalls.recall(row.id, OPERATOR)
    assert len(await house.mail("anna", "/Drafts")) == 1
    assert len(await house.mail("anna")) == 1, "told"
    assert await events(house, "recall") == [("an administrator", "anna@acme.test", "operator")]


async def test_recalled_while_it_is_released_nobody_gets_it(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    house.clock.turn(30)
    (leased,) = await house.store.do(ClaimDue("lease", house.clock.at + 3600 * SECOND))

    async def recall() -> None:
        assert (await move(house, "olga", "/Sent", "/Drafts")).recalled == (1,)

    house.store.settling = [recall]
    releases = Releases(house.store, house.submission, house.delivery)
    assert await releases.release(leased, "lease", MAIL) is None
    assert await house.mail("bruno") == []
    assert house.store.settling == []


# --- frozen while it waits


async def test_frozen_while_it_waits_it_waits_on_and_goes_on(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    await house.store.do(Freeze(house.ids["olga"], Side.PRINCIPAL))
    house.clock.turn(10 * 86400)
    await once(house)
    (row,) = await house.queued()
    assert (row.state, row.frozen) == (QueueState.HELD, True)
    assert await house.mail("dora") == await house.mail("bruno") == []
    await house.store.do(Thaw(house.ids["olga"], Side.PRINCIPAL))
    await once(house)
    assert len(await house.mail("bruno")) == 1


async def test_what_is_frozen_can_be_recalled(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    await house.store.do(Freeze(house.ids["dora"], Side.ACTOR))
    assert (await move(house, "olga", "/Sent", "/Drafts")).recalled == (1,)


@pytest.mark.parametrize("overdue", [False, True])
async def test_frozen_in_the_moment_of_its_release_it_is_neither_sent_nor_refused(house: House, overdue: bool) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    house.clock.turn(30 + 30 * 86400 * overdue)
    (leased,) = await house.store.do(ClaimDue("lease", house.clock.at + 3600 * SECOND))

    async def freeze() -> None:
        await house.store.do(Freeze(house.ids["olga"], Side.PRINCIPAL))

    house.store.settling = [freeze]
    releases = Releases(house.store, house.submission, house.delivery)
    assert (await releases.release(leased, "lease", MAIL) or "").startswith("4.7.1 ")
    assert await house.mail("bruno") == await house.mail("dora") == []
    assert len(await house.mail("olga", "/Sent")) == 1


async def test_dropping_what_waits_sends_and_says_nothing(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    (row,) = await house.queued()
    await house.store.do(DropQueued((row.id,)))
    assert (await move(house, "olga", "/Sent", "/Drafts")).gone == ()


async def test_who_acts_as_the_owner_is_told_apart_from_the_owner(house: House) -> None:
    await house.values("olga", undo_window="30s")
    await house.submit("dora", "", "bruno", MAIL)
    await house.grant("olga", "anna", SendRight.LOGIN_AS)
    visit = Visit(Actor(house.ids["olga"], address("olga"), "Olga", house.ids["anna"], address("anna")), "imap", "192.0.2.9")
    source = await house.folders.open(visit, Place(None, "/Sent"))
    _, done, _ = await house.folders.move(source, Place(None, "/Drafts"), ((1, 1),))
    assert done.recalled == (1,)
    (record,) = [row.entry for row in await house.records() if row.entry.event == "recall"]
    assert (record.actor, record.person, record.person_address) == (house.ids["olga"], house.ids["anna"], "anna@acme.test")
    (notice,) = await house.mail("dora")
    assert b"anna@acme.test has recalled" in notice
