"""The only way to stored mail: judged on a snapshot, done on a witness, on record."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.arrival import arrived
from gateway.folders import FlagMode, Folders, NewItem, Place
from gateway.folders import records as recording
from gateway.folders import service as serving
from gateway.folders.service import IN_ROWS
from gateway.message.layout import pack
from gateway.message.structure import parse
from gateway.refusal import Refused
from policy.folders import FolderOp
from policy.grants import FolderEntry, Grantee, GranteeKind
from policy.identity import Actor, Address
from policy.reasons import Defer, Reason
from policy.rights import Change, Right
from policy.status import AccountStatus
from store import accounts, audit, folders, grants, messages
from store.appending import AppendMessages
from store.blobs import Files
from store.channel import LARGEST
from store.model import Flag
from store.port import Snapshot
from store.queue import AcceptMessage, Filing
from tests.gateway.folders.meddler import Meddler
from tests.gateway.imap.handlers.house import House, housed, message, snapshots_taken

INBOX = Place("anna@acme.test", "/INBOX")
POSTA = Place("anna@acme.test", "/Posta")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housed(tmp_path) as found:
        await found.make("anna", "/Posta")
        await found.put("anna", "/INBOX", 3)
        yield found


async def reason_of(act: Awaitable[Any]) -> Reason:
    with pytest.raises(Refused) as caught:
        await act
    return caught.value.verdict.reason


async def append(service: Folders, house: House) -> None:
    await service.append(house.visit("bruno"), INBOX, [NewItem(message())])


async def copy(service: Folders, house: House) -> None:
    source = await service.open(house.visit("bruno"), INBOX)
    await service.copy(source, POSTA, [(1, 1)])


async def move(service: Folders, house: House) -> None:
    source = await service.open(house.visit("bruno"), INBOX)
    await service.move(source, POSTA, [(1, 1)])


async def flags(service: Folders, house: House) -> None:
    await (await service.open(house.visit("bruno"), INBOX)).change_flags([(1, 3)], FlagMode.ADD, Flag.FLAGGED, ())


async def expunge(service: Folders, house: House) -> None:
    await (await service.open(house.visit("bruno"), INBOX)).expunge([(1, 3)])


async def create(service: Folders, house: House) -> None:
    await service.create(house.visit("bruno"), Place("anna@acme.test", "/Posta/Neu"))


async def rename(service: Folders, house: House) -> None:
    await service.rename(house.visit("bruno"), POSTA, Place("anna@acme.test", "/Neu"))


async def delete(service: Folders, house: House) -> None:
    await service.delete(house.visit("bruno"), POSTA)


async def set_entry(service: Folders, house: House) -> None:
    await service.set_entry(house.visit("bruno"), INBOX, "clara@acme.test", Change.REPLACE, "lr")


async def remove_entry(service: Folders, house: House) -> None:
    await service.remove_entry(house.visit("bruno"), INBOX, "clara@acme.test")


ACTS = [append, copy, move, flags, expunge, create, rename, delete, set_entry, remove_entry]


async def fingerprint(house: House) -> list[object]:
    """All that an act could have changed."""
    async with house.store.snapshot() as snapshot:
        rows = await snapshot.ask(folders.of_owner, house.ids["anna"])
        entries = await snapshot.ask(grants.entries, await house.folder("anna"))
        state = await snapshot.ask(messages.state, await house.folder("anna"))
    kept = [entry for entry in entries if entry.grantee.id != house.ids["bruno"]]
    return [[(row.path, row.exists, row.modseq) for row in rows], kept, list(state.flags)]


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_each_act_works_with_every_right(house: House, act: Callable[[Folders, House], Awaitable[None]]) -> None:
    await house.share("anna", "/", "bruno", "rwixda")
    await act(house.folders, house)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_a_right_that_ends_between_judgement_and_deed_is_gone(house: House, act: Callable[[Folders, House], Awaitable[None]]) -> None:
    await house.share("anna", "/", "bruno", "rwixda")
    before = await fingerprint(house)
    meddler = Meddler(house.store, lambda: house.unshare("anna", "/", "bruno"))
    assert await reason_of(act(Folders(meddler, Files(house.directory / "octets")), house)) is Reason.FOLDER_UNKNOWN  # type: ignore[arg-type]
    assert meddler.left == 0
    assert await fingerprint(house) == before


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.__name__)
async def test_an_owner_who_is_closed_meanwhile(house: House, act: Callable[[Folders, House], Awaitable[None]]) -> None:
    await house.share("anna", "/", "bruno", "rwixda")
    meddler = Meddler(house.store, lambda: house.status("anna", AccountStatus.CLOSED))
    assert await reason_of(act(Folders(meddler, Files(house.directory / "octets")), house)) is Reason.FOLDER_UNKNOWN  # type: ignore[arg-type]


async def test_reading_confirms_the_right_every_time(house: House) -> None:
    await house.share("anna", "/", "bruno", "r")
    folder = await house.folders.open(house.visit("bruno"), INBOX)
    assert len(await folder.rows([(1, 9)])) == 3
    await house.unshare("anna", "/", "bruno")
    for read in (
        folder.rows([(1, 9)]), folder.envelopes([(1, 9)]), folder.structures([(1, 9)]), folder.bodies([(1, 9)]), folder.octets([(1, 100)]),
        folder.pieces(1, [(0, 1)]), folder.layouts([(1, 9)]), folder.news(0), folder.renew(),
    ):  # fmt: skip
        assert await reason_of(read) is Reason.FOLDER_UNKNOWN


async def test_a_right_that_expired_is_gone_without_any_event(house: House) -> None:
    import time

    ends = time.time_ns() // 1000 + 300_000
    await house.share("anna", "/", "bruno", "r", until=ends)
    folder = await house.folders.open(house.visit("bruno"), INBOX)
    assert folder.valid_until == ends
    await folder.rows([(1, 1)])
    await asyncio.sleep(0.35)
    assert await reason_of(folder.rows([(1, 1)])) is Reason.FOLDER_UNKNOWN


async def test_a_large_message_that_was_expunged_is_not_given_out(house: House) -> None:
    await house.put("anna", "/INBOX", 1, body="x" * 200_000)
    folder = await house.folders.open(house.visit("anna"), Place(None, "/INBOX"))
    ((_, octets),) = await folder.octets([(4, 200_000)])
    assert len(octets) > 200_000
    assert await folder.pieces(4, [(0, 10), (150_000, 150_001), (7, 7), (len(octets) - 1, len(octets) + 9)]) == [
        octets[:10],
        b"x",
        b"",
        b"\n",
    ]
    assert await folder.layouts([(4, 4)]) == [(4, pack(parse(octets)))]
    await folder.change_flags([(4, 4)], FlagMode.ADD, Flag.DELETED, ())
    await folder.expunge()
    assert await folder.pieces(4, [(0, 10)]) is None
    assert await folder.layouts([(4, 4)]) == []


async def records(house: House) -> list[audit.AuditEntry]:
    await house.folders.close()
    async with house.store.snapshot() as snapshot:
        return [row.entry for row in await snapshot.ask(audit.of_owner, house.ids["anna"])][::-1]


async def test_delegated_access_is_on_record_once_per_session_and_right(house: House) -> None:
    await house.share("anna", "/", "bruno", "rw")
    visit = house.visit("bruno")
    folder = await house.folders.open(visit, INBOX)
    for _ in range(3):
        await folder.rows([(1, 3)])
        await folder.change_flags([(1, 1)], FlagMode.ADD, Flag.FLAGGED, ())
    await house.folders.open(visit, INBOX)
    found = [(entry.event, entry.right, entry.allowed, entry.detail) for entry in await records(house)]
    assert sorted(found) == [("folder access", "change flags", True, "/INBOX"), ("folder access", "read", True, "/INBOX")]
    await house.folders.open(house.visit("bruno"), INBOX)
    assert len(await records(house)) == 3


async def test_what_is_looked_for_is_passed_over_without_a_record_unless_it_may_be_read(house: House) -> None:
    visit, hidden = house.visit("bruno"), await house.folder("anna", "/Posta")
    await house.share("anna", "/INBOX", "bruno", "ls", rfc=True)
    for where in (INBOX, POSTA, hidden, Place("anna@acme.test", "/"), Place("nobody@acme.test", "/INBOX"), Place("no address", "/INBOX")):
        assert await house.folders.find(visit, where) is None
    assert await records(house) == []
    await house.share("anna", "/Posta", "bruno", "r")
    folder = await house.folders.find(visit, hidden)
    assert folder is not None
    assert folder.row.id == hidden
    assert await house.folders.find(visit, POSTA) is not None
    assert [(entry.right, entry.allowed, entry.detail) for entry in await records(house)] == [("read", True, "/Posta")]
    await house.status("anna", AccountStatus.MAINTENANCE)
    assert await house.folders.find(visit, POSTA) is None


async def test_refusals_are_on_record_under_the_id_that_was_told(house: House) -> None:
    await house.share("anna", "/", "bruno", "r")
    with pytest.raises(Refused) as caught:
        await append(house.folders, house)
    number = caught.value.verdict.decision
    assert number.startswith("d-")
    (entry,) = await records(house)
    assert (entry.decision, entry.allowed, entry.right, entry.actor_address) == (number, False, "insert", "bruno@acme.test")
    assert entry.because


async def test_what_the_owner_does_is_not_on_record(house: House) -> None:
    folder = await house.folders.open(house.visit("anna"), Place(None, "/INBOX"))
    await folder.change_flags([(1, 1)], FlagMode.ADD, Flag.SEEN, ())
    assert await records(house) == []


async def test_a_change_of_grants_is_on_record_even_the_owners(house: House) -> None:
    await house.folders.set_entry(house.visit("anna"), Place(None, "/INBOX"), "bruno@acme.test", Change.REPLACE, "lr")
    (entry,) = await records(house)
    assert (entry.event, entry.detail) == ("grant changed", "/INBOX: bruno@acme.test lr")


async def test_who_acts_as_another_is_named(house: House) -> None:
    await house.share("anna", "/", "bruno", "r")
    visit = house.visit("bruno")
    visit.actor = Actor(
        house.ids["bruno"], Address("bruno", "acme.test"), via=house.ids["clara"], via_address=Address("clara", "acme.test")
    )
    await house.folders.open(visit, INBOX)
    (entry,) = await records(house)
    assert (entry.actor_address, entry.person_address) == ("bruno@acme.test", "clara@acme.test")


async def test_who_logged_in_as_the_owner_is_not_the_owner_for_the_record(house: House) -> None:
    """delegation.md sections 10 and 11: folder access by a non-owner, with the actor in every line."""
    visit = house.visit("anna")
    visit.actor = Actor(house.ids["anna"], Address("anna", "acme.test"), via=house.ids["clara"], via_address=Address("clara", "acme.test"))
    folder = await house.folders.open(visit, Place(None, "/INBOX"))
    await folder.renew()
    await house.folders.append(visit, Place(None, "/INBOX"), [NewItem(message())])
    assert await reason_of(house.folders.delete(visit, Place(None, "/INBOX"))) is Reason.NOT_ALLOWED_ON_THIS_FOLDER
    assert {(one.right, one.allowed, one.person_address) for one in await records(house)} == {
        ("read", True, "clara@acme.test"),
        ("insert", True, "clara@acme.test"),
        ("delete", False, "clara@acme.test"),
    }


async def test_what_is_not_there_is_on_record_like_what_may_not_be_seen(house: House) -> None:
    """Writing a record takes time: who may not see a folder must not learn from that whether it is there."""
    await house.make("anna", "/Secret")
    bruno = house.visit("bruno")
    for owner, path in (("anna", "/Secret"), ("anna", "/Nothing"), ("nobody", "/Nothing")):
        assert await reason_of(house.folders.open(bruno, Place(f"{owner}@acme.test", path))) is Reason.FOLDER_UNKNOWN
    await house.folders.close()
    async with house.store.snapshot() as snapshot:
        found = [row.entry for row in reversed(await snapshot.work(audit.newest))]
    assert [(one.allowed, one.right, one.principal_address, one.principal, one.detail) for one in found] == [
        (False, "read", "anna@acme.test", house.ids["anna"], "/Secret"),
        (False, "read", "anna@acme.test", house.ids["anna"], "/Nothing"),
        (False, "read", "", None, "/Nothing"),
    ]


async def test_reading_that_cannot_be_recorded_is_refused(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.share("anna", "/", "bruno", "r")
    monkeypatch.setattr(recording, "RECORDS", 0)
    assert await reason_of(house.folders.open(house.visit("bruno"), INBOX)) is Reason.BUSY


async def test_what_may_be_done_can_be_asked_without_doing_it(house: House) -> None:
    await house.share("anna", "/", "bruno", "r")
    actor = house.visit("bruno").actor
    assert (await house.folders.may(actor, FolderOp.READ, INBOX)).allowed
    refused = await house.folders.may(actor, FolderOp.INSERT, INBOX)
    assert not refused.allowed
    assert refused.trace
    assert await records(house) == []


@pytest.mark.parametrize(
    ("when", "reads", "inserts"),
    [("none", Reason.FOLDER_UNKNOWN, Reason.FOLDER_UNKNOWN), ("read", None, Reason.RIGHT_MISSING), ("full", None, None)],
)
async def test_a_locked_owner(house: House, when: str, reads: Reason | None, inserts: Reason | None) -> None:
    await house.share("anna", "/", "bruno", "rwid")
    await house.store.do(accounts.ModifyAccount(house.ids["anna"], values={"delegation_when_locked": when}))
    await house.status("anna", AccountStatus.LOCKED)
    for act, expected in ((house.folders.open(house.visit("bruno"), INBOX), reads), (append(house.folders, house), inserts)):
        if expected is None:
            await act
        else:
            assert await reason_of(act) is expected


async def test_an_owner_in_maintenance(house: House) -> None:
    await house.share("anna", "/", "bruno", "rwid")
    await house.status("anna", AccountStatus.MAINTENANCE)
    assert await reason_of(house.folders.open(house.visit("bruno"), INBOX)) is Reason.OWNER_MAINTENANCE
    assert await reason_of(append(house.folders, house)) is Reason.OWNER_MAINTENANCE
    assert await reason_of(house.folders.open(house.visit("clara"), INBOX)) is Reason.FOLDER_UNKNOWN
    assert await house.folders.rights(house.visit("bruno"), INBOX)


@pytest.mark.parametrize(
    ("who", "subject", "replaces"), [("bruno", "Number 7", True), ("anna", "Number 7", False), ("bruno", "Other", False)]
)
async def test_the_copy_that_the_server_filed_gives_way_to_the_clients_own(house: House, who: str, subject: str, replaces: bool) -> None:
    await house.share("anna", "/", "bruno", "ri")
    sent = message(7)
    filing = Filing(arrived(sent), house.ids["bruno"], owners=((house.ids["anna"], 0),))
    await house.store.do(AcceptMessage("key", filing=(filing,)))
    own = sent.replace(b"Subject: Number 7", b"Subject: " + subject.encode()).replace(b"Message-ID", b"Bcc: x@y.test\r\nMessage-ID")
    row, done = await house.folders.append(house.visit(who), Place("anna@acme.test", "/Sent"), [NewItem(own)])
    assert row.path == "/Sent"
    assert done.replaced == ((1,) if replaces else ())
    assert done.uids == (2,)


async def test_an_entry_on_a_subfolder_takes_it_away(house: House) -> None:
    await house.share("anna", "/", "bruno", "r")
    await house.share("anna", "/Posta", "bruno", "")
    assert await reason_of(house.folders.open(house.visit("bruno"), POSTA)) is Reason.FOLDER_UNKNOWN
    await house.folders.open(house.visit("bruno"), INBOX)
    listing = await house.folders.listing(house.visit("bruno"), lambda owner: True, own=False)
    assert [one.row.path for one in listing.folders] == ["/Archive", "/Drafts", "/INBOX", "/Junk", "/Sent", "/Trash"]


async def test_no_inherit_stops_the_walk(house: House) -> None:
    await house.share("anna", "/", "bruno", "r")
    await house.store.do(folders.SwitchFolder(await house.folder("anna", "/Posta"), no_inherit=True))
    assert await reason_of(house.folders.open(house.visit("bruno"), POSTA)) is Reason.FOLDER_UNKNOWN


async def test_a_grant_to_everybody(house: House) -> None:
    entry = FolderEntry(Grantee(GranteeKind.ALL), Right.LOOKUP | Right.READ)
    await house.store.do(grants.SetFolderEntry(await house.folder("anna"), entry))
    for who in ("bruno", "clara", "dora"):
        await house.folders.open(house.visit(who), INBOX)


@pytest.mark.parametrize("to", ["/Hidden", "/Sent"])
async def test_no_more_is_said_about_a_name_by_rename_than_by_create(house: House, to: str) -> None:
    await house.make("anna", "/Hidden")
    await house.share("anna", "/", "bruno", "rwixd")
    await house.share("anna", "/Hidden", "bruno", "")
    said = []
    for act in (house.folders.create, house.folders.rename):
        places = (Place("anna@acme.test", to),) if act == house.folders.create else (POSTA, Place("anna@acme.test", to))
        with pytest.raises(Refused) as caught:
            await act(house.visit("bruno"), *places)
        said.append(caught.value.verdict)
    assert said[0] == said[1]
    assert said[0].reason is (Reason.NOT_ALLOWED_ON_THIS_FOLDER if to == "/Hidden" else Reason.FOLDER_EXISTS)


async def test_a_name_that_is_taken_meanwhile_is_judged_like_one_that_was(house: House) -> None:
    await house.share("anna", "/", "bruno", "rwixd")

    async def hidden() -> None:
        await house.make("anna", "/Neu")
        await house.share("anna", "/Neu", "bruno", "")

    async def seen() -> None:
        await house.make("anna", "/Posta/Neu")

    for meddle, act in ((hidden, rename), (seen, create)):
        meddler = Meddler(house.store, meddle)
        expected = Reason.NOT_ALLOWED_ON_THIS_FOLDER if meddle is hidden else Reason.FOLDER_EXISTS
        assert await reason_of(act(Folders(meddler, Files(house.directory / "octets")), house)) is expected  # type: ignore[arg-type]


async def test_an_append_that_the_disk_does_not_take_is_for_later(house: House) -> None:
    (house.directory / "octets").write_text("in the way")
    large = NewItem(message(1, "y" * 200_000))
    with pytest.raises(Refused) as caught:
        await house.folders.append(house.visit("anna"), Place(None, "/INBOX"), [large])
    assert caught.value.verdict == Defer(Reason.BUSY)


async def test_a_name_in_a_mailbox_that_there_is_not_can_be_unsubscribed(house: House) -> None:
    await house.folders.unsubscribe(house.visit("bruno"), Place("nobody@acme.test", "/INBOX"))


async def test_one_survey_at_a_time(house: House) -> None:
    """Who follows folders looks when something changed, all at once; readers stay free for those who asked for something."""
    open_now: list[int] = [0, 0]
    snapshot = house.store.snapshot

    @contextlib.asynccontextmanager
    async def counted() -> AsyncIterator[Snapshot]:
        open_now[0] += 1
        open_now[1] = max(open_now)
        try:
            async with snapshot() as found:
                yield found
        finally:
            open_now[0] -= 1

    house.store.snapshot = counted  # type: ignore[method-assign]
    surveys = await asyncio.gather(*(house.folders.survey(house.visit("anna")) for _ in range(5)))
    assert open_now == [0, 1]
    assert all(len(one.listing.folders) > 1 for one in surveys)


async def test_who_puts_many_messages_into_an_own_folder_is_judged_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """... and again whenever that may have changed; the writer confirms it."""
    visit = house.visit("anna")
    posta = Place(None, "/Posta")

    async def appended() -> tuple[int, ...]:
        return (await house.folders.append(visit, posta, [NewItem(message())]))[1].uids

    assert await appended() == (1,)
    taken = snapshots_taken(monkeypatch)
    assert [await appended(), await appended()] == [(2,), (3,)]
    assert not taken
    await house.share("anna", "/Posta", "bruno", "r")
    assert await appended() == (4,)
    assert taken
    await house.folders.rename(visit, posta, Place(None, "/Neu"))
    assert await reason_of(appended()) is Reason.FOLDER_UNKNOWN
    await house.make("anna", "/Posta")
    assert await appended() == (1,)


async def test_in_anothers_folder_each_append_is_judged(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.share("anna", "/INBOX", "bruno", "ri")
    visit = house.visit("bruno")
    await house.folders.append(visit, INBOX, [NewItem(message())])
    taken = snapshots_taken(monkeypatch)
    await house.folders.append(visit, INBOX, [NewItem(message())])
    assert len(taken) == 1
    await house.unshare("anna", "/INBOX", "bruno")
    assert await reason_of(house.folders.append(visit, INBOX, [NewItem(message())])) is Reason.FOLDER_UNKNOWN


@pytest.mark.parametrize(
    ("sizes", "on_disk", "spooled"),
    [
        ([16_000] * 4, True, 0),
        ([16_000] * 5, True, 5),
        ([16_000] * 4 + [900] * 4, True, 4),
        ([70_000], True, 1),
        ([16_000] * 5, False, 0),
    ],
)
async def test_of_many_messages_at_once_the_larger_ones_go_to_files(
    house: House, monkeypatch: pytest.MonkeyPatch, sizes: list[int], spooled: int, *, on_disk: bool
) -> None:
    """From a worker they go through a channel in one piece, which has an end (store/remote.py)."""
    assert IN_ROWS * 2 < LARGEST // 2, "as much again is what was taken out of the octets for searching"
    monkeypatch.setattr(serving, "IN_ROWS", 64_000)
    place = house.directory / "octets"
    service = Folders(house.store, Files(place, on_disk=on_disk))
    done: list[AppendMessages] = []
    do = house.store.do

    async def watched(deed: Any, *rest: Any, **more: Any) -> Any:
        done.extend(one for one in (deed, getattr(deed, "deed", None)) if isinstance(one, AppendMessages))
        return await do(deed, *rest, **more)

    monkeypatch.setattr(house.store, "do", watched)
    head = b"Subject: one\r\n\r\n"
    await service.append(house.visit("anna"), INBOX, [NewItem(head + b"x" * (size - len(head))) for size in sizes])
    await service.close()
    (deed,) = done
    assert sum(one.message.spooled is not None for one in deed.items) == spooled
    assert len([one for one in place.rglob("*") if one.is_file()]) == spooled
    if on_disk:
        assert sum(len(one.message.octets) for one in deed.items) <= 64_000
