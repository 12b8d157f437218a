"""Open sessions hear of news, and of rights that end, while they idle and while they do not."""

import asyncio
import time
from statistics import median

import pytest

from gateway.arrival import arrived
from gateway.folders import OpenFolder
from gateway.imap.session import States
from gateway.imap.view import FolderState
from gateway.refusal import Refused
from policy.grants import FolderEntry, Grantee, GranteeKind
from policy.reasons import Defer, Reason
from policy.rights import parse_letters
from policy.status import AccountStatus
from store import accounts, cos, folders, grants
from store.appending import AppendMessages, NewInFolder
from store.changes import PruneChanges
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode
from store.model import Flag
from tests.gateway.imap.handlers.house import Client, House, message

SHARED = '"Other Users/anna/INBOX"'


async def test_idle_tells_of_new_mail_at_once(house: House, anna: Client) -> None:
    await anna.do("SELECT INBOX")
    tag = await anna.idle()
    waited = []
    for number in range(1, 8):
        await house.put("anna", "/INBOX", 1, first=number)
        stored = time.monotonic()
        assert await anna.line() == b"* %d EXISTS" % number
        assert await anna.line() == b"* %d RECENT" % number
        waited.append(time.monotonic() - stored)
    # Another process may have the processor, but not always.
    assert min(waited) < 0.05, waited
    assert median(waited) < 0.5, waited
    assert (await anna.done(tag)).ok


async def test_idle_tells_of_flags_and_expunges(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    tag = await anna.idle()
    await other.do("STORE 2 +FLAGS ($Todo \\Deleted)")
    assert await anna.line() == b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Todo)"
    assert await anna.line() == b"* 2 FETCH (FLAGS (\\Deleted $Todo \\Recent))"
    assert b"PERMANENTFLAGS" in await anna.line()
    await other.do("EXPUNGE")
    assert await anna.line() == b"* 2 EXPUNGE"
    assert (await anna.done(tag)).ok


async def test_idle_without_a_folder_and_done_in_lower_case(anna: Client) -> None:
    tag = await anna.idle()
    anna.send(b"done\r\n")
    assert (await anna.until(tag)).ok
    assert (await anna.do("NOOP")).ok


async def test_anything_but_done_ends_idle_with_bad(anna: Client) -> None:
    tag = await anna.idle()
    anna.send(b"NOOP\r\n")
    assert (await anna.until(tag)).tagged.startswith(b"BAD")
    assert (await anna.do("NOOP")).ok


async def test_without_idle_news_wait_for_a_command(house: House, anna: Client) -> None:
    await anna.do("SELECT INBOX")
    await house.put("anna", "/INBOX")
    assert await anna.silent()
    assert (await anna.do("NOOP")).untagged == [b"* 1 EXISTS", b"* 1 RECENT"]


async def test_one_session_only_is_told_recent(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    assert b"* 2 RECENT" in (await anna.do("SELECT INBOX")).untagged
    other = await house.client(port, "anna")
    assert b"* 0 RECENT" in (await other.do("SELECT INBOX")).untagged
    await house.put("anna", "/INBOX", 1, first=3)
    assert b"* 3 RECENT" in (await anna.do("NOOP")).untagged
    assert (await other.do("NOOP")).untagged == [b"* 3 EXISTS"]


async def test_examine_leaves_recent_to_others(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    assert b"* 2 RECENT" in (await anna.do("EXAMINE INBOX")).untagged
    other = await house.client(port, "anna")
    assert b"* 2 RECENT" in (await other.do("SELECT INBOX")).untagged


async def test_recent_is_remembered_after_the_session(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    await anna.do("LOGOUT")
    await asyncio.sleep(0.1)
    second = await house.listen()
    other = await house.client(second, "anna")
    assert b"* 0 RECENT" in (await other.do("SELECT INBOX")).untagged


@pytest.mark.parametrize("idles", [False, True])
async def test_a_revoked_grant_ends_the_session_within_a_second(house: House, bruno: Client, idles: bool) -> None:
    await house.share("anna", "/", "bruno", "rw")
    assert (await bruno.do(f"SELECT {SHARED}")).ok
    if idles:
        await bruno.idle()
    await house.unshare("anna", "/", "bruno")
    assert await bruno.line(1) == b"* BYE access to this folder has ended"
    assert await bruno.line(1) == b""


async def test_a_right_taken_through_a_group_ends_it_too(house: House, bruno: Client) -> None:
    group = await house.group("team", "bruno")
    await house.share("anna", "/", group, "r")
    assert (await bruno.do(f"SELECT {SHARED}")).ok
    await bruno.idle()
    from policy.identity import Address, ListId
    from store import lists

    await house.store.do(lists.RemoveMembers(ListId(group.id), [Address("bruno", "acme.test")]))
    assert await bruno.line(1) == b"* BYE access to this folder has ended"


async def test_a_grant_that_expires_ends_it_to_the_second(house: House, bruno: Client) -> None:
    ends = time.time() + 1.2
    await house.share("anna", "/", "bruno", "r", until=int(ends * 1_000_000))
    assert (await bruno.do(f"SELECT {SHARED}")).ok
    await bruno.idle()
    assert await bruno.line(4) == b"* BYE access to this folder has ended"
    assert -0.05 < time.time() - ends < 1


async def test_loss_of_other_rights_is_told(house: House, bruno: Client) -> None:
    await house.share("anna", "/", "bruno", "rwid")
    assert b"[READ-WRITE]" in (await bruno.do(f"SELECT {SHARED}")).tagged
    tag = await bruno.idle()
    await house.share("anna", "/", "bruno", "rd")
    assert b"[PERMANENTFLAGS (\\Deleted)]" in await bruno.line(1)
    await house.share("anna", "/", "bruno", "r")
    assert b"[PERMANENTFLAGS ()]" in await bruno.line(1)
    assert (await bruno.line(1)).startswith(b"* OK [READ-ONLY]")
    assert (await bruno.done(tag)).ok
    await house.share("anna", "/", "bruno", "rw")
    assert b"[PERMANENTFLAGS (\\Answered \\Flagged \\Draft \\Seen \\*)]" in await bruno.line(1)
    assert (await bruno.line(1)).startswith(b"* OK [READ-WRITE]")


async def test_what_was_said_before_the_store_was_busy_is_not_lost(house: House, bruno: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.share("anna", "/", "bruno", "rwid")
    await bruno.do(f"SELECT {SHARED}")
    await bruno.idle()
    current, busy = States.current, [True]

    async def once_busy(states: States, folder: OpenFolder) -> FolderState:
        if busy:
            busy.pop()
            raise Refused(Defer(Reason.BUSY))
        return await current(states, folder)

    monkeypatch.setattr(States, "current", once_busy)
    # Both are told in one go: the rights, then what is new, for which there is no time at first.
    grantee = Grantee(GranteeKind.ACCOUNT, house.ids["bruno"])
    rights = grants.SetFolderEntry(await house.folder("anna", "/"), FolderEntry(grantee, parse_letters("r"), None, None))
    mail = AppendMessages(await house.folder("anna"), (NewInFolder(arrived(message())),), 0)
    await asyncio.gather(house.store.do(rights), house.store.do(mail))
    heard = [await bruno.line() for _ in range(4)]
    assert not busy
    assert b"[PERMANENTFLAGS ()]" in heard[0]
    assert heard[1].startswith(b"* OK [READ-ONLY]")
    assert heard[2] == b"* 1 EXISTS"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (AccountStatus.MAINTENANCE, b"* BYE [UNAVAILABLE] account is in maintenance, try again later"),
        (AccountStatus.CLOSED, b"* BYE access to this folder has ended"),
        (AccountStatus.LOCKED, b"* BYE access to this folder has ended"),
        (AccountStatus.PENDING, b"* BYE access to this folder has ended"),
    ],
)
async def test_the_owners_status_reaches_delegates(house: House, bruno: Client, status: AccountStatus, said: bytes) -> None:
    await house.share("anna", "/", "bruno", "r")
    await bruno.do(f"SELECT {SHARED}")
    await bruno.idle()
    await house.status("anna", status)
    assert await bruno.line(1) == said


@pytest.mark.parametrize("idles", [False, True])
async def test_ones_own_status_ends_the_session(house: House, bruno: Client, idles: bool) -> None:
    if idles:
        await bruno.idle()
    await house.status("bruno", AccountStatus.LOCKED)
    assert (await bruno.line(1)).startswith(b"* BYE ")
    assert await bruno.line(1) == b""


async def test_maintenance_says_unavailable(house: House, bruno: Client) -> None:
    await house.status("bruno", AccountStatus.MAINTENANCE)
    assert (await bruno.line(1)).startswith(b"* BYE [UNAVAILABLE]")


async def test_a_changed_password_ends_every_session(house: House, port: int, bruno: Client) -> None:
    second = await house.client(port, "bruno")
    await second.do("SELECT INBOX")
    await second.idle()
    await house.store.do(accounts.SetVerifier(house.ids["bruno"], (await house.passwords.verifiers("other")).argon2))
    for client in (bruno, second):
        assert (await client.line(1)).startswith(b"* BYE ")


async def test_who_is_not_concerned_hears_nothing(house: House, port: int, bruno: Client) -> None:
    await house.share("anna", "/", "bruno", "r")
    await house.share("anna", "/", "clara", "r")
    clara = await house.client(port, "clara")
    await clara.do(f"SELECT {SHARED}")
    await clara.idle()
    await bruno.do(f"SELECT {SHARED}")
    await house.unshare("anna", "/", "bruno")
    assert (await bruno.line(1)).startswith(b"* BYE")
    assert await clara.silent()


async def test_a_folder_that_is_deleted_elsewhere(house: House, port: int, anna: Client) -> None:
    await house.make("anna", "/Posta")
    await anna.do("SELECT Posta")
    other = await house.client(port, "anna")
    assert (await other.do("DELETE Posta")).ok
    assert (await anna.line(1)).startswith(b"* BYE")


async def test_private_seen_is_the_actors_own(house: House, bruno: Client, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await house.share("anna", "/", "bruno", "rw")
    await house.store.do(folders.SwitchFolder(await house.folder("anna"), seen_private=True))
    await bruno.do(f"SELECT {SHARED}")
    await anna.do("SELECT INBOX")
    await bruno.do("STORE 1 +FLAGS (\\Seen \\Flagged)")
    said = await anna.do("NOOP")
    # Whose the messages are \\Recent for depends on which of the two was first on disk.
    assert [line.replace(b" \\Recent", b"") for line in said.having("1 FETCH")] == [b"* 1 FETCH (FLAGS (\\Flagged))"]
    assert (await anna.do("SEARCH UNSEEN")).untagged == [b"* SEARCH 1 2"]
    assert (await bruno.do("SEARCH UNSEEN")).untagged == [b"* SEARCH 2"]
    assert b"UNSEEN 1" in (await bruno.do(f"STATUS {SHARED} (UNSEEN)")).all


async def test_seen_made_private_under_an_open_session(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    await house.store.do(folders.SwitchFolder(await house.folder("anna"), seen_private=True))
    assert (await anna.do("STORE 1 +FLAGS (\\Seen)")).untagged == [b"* 1 FETCH (FLAGS (\\Seen \\Recent))"]
    assert (await anna.do("FETCH 1:2 FLAGS")).untagged == [b"* 1 FETCH (FLAGS (\\Seen \\Recent))", b"* 2 FETCH (FLAGS (\\Recent))"]


async def test_states_are_shared_and_dropped_when_there_are_too_many(house: House, port: int) -> None:
    listener = house.listeners[0]
    states = listener.services.states
    one, two = await house.client(port, "anna"), await house.client(port, "anna")
    await house.put("anna", "/INBOX", 5)
    await one.do("SELECT INBOX")
    await two.do("SELECT INBOX")
    views = [connection.session.here.view for connection in listener._connections]
    assert views[0].state is views[1].state
    states._limit = 1
    await house.make("anna", "/Posta")
    await one.do("SELECT Posta")
    assert len(states._kept) == 1
    await house.put("anna", "/INBOX", 1, first=6)
    assert b"* 6 EXISTS" in (await two.do("NOOP")).untagged


async def test_what_happened_in_many_deeds_is_told_once_and_right(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 10)
    await anna.do("SELECT INBOX")
    folder = await house.folder("anna")
    for uid in (3, 5, 7):
        await house.store.do(ChangeFlags(folder, ((uid, uid),), FlagMode.ADD, Flag.DELETED))
    await house.store.do(Expunge(folder))
    await house.put("anna", "/INBOX", 2, first=11)
    await house.store.do(ChangeFlags(folder, ((1, 4),), FlagMode.ADD, Flag.FLAGGED))
    said = await anna.do("NOOP")
    assert said.untagged == [
        b"* 7 EXPUNGE", b"* 5 EXPUNGE", b"* 3 EXPUNGE", b"* 9 EXISTS", b"* 9 RECENT",
        b"* 1 FETCH (FLAGS (\\Flagged \\Recent))", b"* 2 FETCH (FLAGS (\\Flagged \\Recent))", b"* 3 FETCH (FLAGS (\\Flagged \\Recent))",
    ]  # fmt: skip
    assert (await anna.do("UID SEARCH ALL")).untagged == [b"* SEARCH 1 2 4 6 8 9 10 11 12"]


async def test_a_grantee_of_a_class_of_service(house: House, bruno: Client) -> None:
    made = await house.store.do(cos.CreateCos("gold"))
    await house.store.do(accounts.SetAccountCos(house.ids["bruno"], made))
    await house.share("anna", "/", Grantee(GranteeKind.COS, made), "r")
    assert (await bruno.do(f"SELECT {SHARED}")).ok
    await house.store.do(accounts.SetAccountCos(house.ids["bruno"], None))
    assert await bruno.line(1) == b"* BYE access to this folder has ended"


async def test_changes_are_told_where_the_log_does_not_reach_back(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    other = await house.client(port, "anna")
    folder = await house.folder("anna")
    # Beside every session, so that the state in memory is as old as the view.
    await house.store.do(ChangeFlags(folder, ((2, 2),), FlagMode.ADD, Flag.FLAGGED))
    await house.store.do(ChangeFlags(folder, ((3, 3),), FlagMode.ADD, Flag.DRAFT))
    await house.store.do(PruneChanges(folder, 1))
    assert (await anna.do("NOOP")).untagged == [
        b"* 2 FETCH (FLAGS (\\Flagged \\Recent))",
        b"* 3 FETCH (FLAGS (\\Draft \\Recent))",
    ]
    await other.do("SELECT INBOX")
    assert (await other.do("FETCH 2 FLAGS")).untagged == [b"* 2 FETCH (FLAGS (\\Flagged))"]


async def test_seen_made_private_while_there_is_more_to_tell(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await other.do("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.do("EXPUNGE")
    await house.put("anna", "/INBOX", 1)
    await house.store.do(folders.SwitchFolder(await house.folder("anna"), seen_private=True))
    assert (await anna.do("FETCH 2 UID")).untagged == [b"* 2 FETCH (UID 2)", b"* 4 EXISTS", b"* 4 RECENT"]
    assert (await anna.do("NOOP")).untagged == [b"* 1 EXPUNGE"]
    assert (await anna.do("FETCH 1:* UID")).untagged == [b"* %d FETCH (UID %d)" % (uid - 1, uid) for uid in (2, 3, 4)]


async def test_states_of_one_folder_are_not_mixed_up(house: House, port: int, anna: Client) -> None:
    """One session still numbers by private marks when another hears that they are private again."""
    folder = await house.folder("anna")
    await house.put("anna", "/INBOX", 2)
    await house.store.do(folders.SwitchFolder(folder, seen_private=True))
    await anna.do("SELECT INBOX")
    await house.store.do(folders.SwitchFolder(folder, seen_private=False))
    await house.store.do(ChangeFlags(folder, ((1, 1),), FlagMode.ADD, Flag.FLAGGED))
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await house.store.do(folders.SwitchFolder(folder, seen_private=True))
    await house.store.do(ChangeFlags(folder, ((2, 2),), FlagMode.ADD, Flag.DRAFT))
    await other.do("NOOP")
    assert (await anna.do("FETCH 1:2 FLAGS")).untagged[:2] == [
        b"* 1 FETCH (FLAGS (\\Flagged \\Recent))",
        b"* 2 FETCH (FLAGS (\\Draft \\Recent))",
    ]
