import pytest

from policy.folders import SpecialUse
from policy.identity import AccountId, FolderId
from store import changes, folders, messages
from store.accounts import DeleteAccount
from store.appending import AppendMessages, NewInFolder
from store.errors import Conflict, LimitReached, NotFound, Stale
from store.flags import NO_FLAGS, ChangeFlags, FlagMode
from store.folders import (
    ClaimRecent,
    CreateFolder,
    DeleteFolder,
    RenameFolder,
    SetSpecialUse,
    SwitchFolder,
)
from store.model import Flag
from store.port import FolderChanged, FoldersChanged, PolicyChanged
from store.subscriptions import Subscribe
from tests.store.letters import Bench, letter


def put(bench: Bench, folder: FolderId, count: int = 1, flags: Flag = NO_FLAGS, keywords: tuple[str, ...] = ()) -> None:
    items = tuple(NewInFolder(letter(number), flags, keywords) for number in range(count))
    bench.do(AppendMessages(folder, items, 0))


def test_an_account_comes_with_its_folders(bench: Bench) -> None:
    found = {row.path: row.special_use for row in bench.ask(folders.of_owner, bench.anna)}
    assert found == {
        "/": None,
        "/Archive": SpecialUse.ARCHIVE,
        "/Calendar": SpecialUse.CALENDAR,
        "/Drafts": SpecialUse.DRAFTS,
        "/INBOX": SpecialUse.INBOX,
        "/Junk": SpecialUse.JUNK,
        "/Sent": SpecialUse.SENT,
        "/Trash": SpecialUse.TRASH,
    }
    assert len({row.uidvalidity for row in bench.ask(folders.of_owner, bench.anna)}) == 8


def test_making_the_standard_folders_again_changes_nothing(bench: Bench) -> None:
    before = bench.ask(folders.of_owner, bench.anna)
    bench.within(folders.make_standard_folders, bench.anna)
    assert bench.ask(folders.of_owner, bench.anna) == before


def test_missing_parents_are_made_exactly_as_judged(bench: Bench) -> None:
    with pytest.raises(Stale):
        bench.do(CreateFolder(bench.anna, "/a/b/c"))
    with pytest.raises(Stale):
        bench.do(CreateFolder(bench.anna, "/a/b/c", ("/a",)))
    bench.do(CreateFolder(bench.anna, "/a/b/c", ("/a", "/a/b")))
    assert [row.path for row in bench.ask(folders.below, bench.anna, "/a")] == ["/a/b", "/a/b/c"]
    with pytest.raises(Stale):
        bench.do(CreateFolder(bench.anna, "/a/d", ("/a",)))
    assert bench.ask(folders.by_path, bench.anna, "/a/d") is None


def test_below_the_root_is_everything_but_the_root_and_siblings_with_a_common_start_stay_out(bench: Bench) -> None:
    for path in ("/!", "/a", "/a/x", "/a.b", "/a0", "/a\x01"):
        bench.do(CreateFolder(bench.anna, path))
    assert [row.path for row in bench.ask(folders.below, bench.anna, "/a")] == ["/a/x"]
    every = {row.path for row in bench.ask(folders.of_owner, bench.anna)}
    assert {row.path for row in bench.ask(folders.below, bench.anna, "/")} == every - {"/"}


@pytest.mark.parametrize("path", ["", "/", "a", "/a/", "/a//b", "/a\0b", "/\udc80"])
def test_what_is_no_path_is_refused(bench: Bench, path: str) -> None:
    with pytest.raises(Conflict):
        bench.do(CreateFolder(bench.anna, path))


def test_depth_and_length_are_bounded(bench: Bench) -> None:
    with pytest.raises(LimitReached):
        bench.do(CreateFolder(bench.anna, "/a" * (folders.MAX_DEPTH + 1)))
    with pytest.raises(LimitReached):
        bench.do(CreateFolder(bench.anna, "/" + "é" * folders.MAX_PATH))


def test_a_second_folder_of_one_name_or_use_is_refused(bench: Bench) -> None:
    with pytest.raises(Conflict):
        bench.do(CreateFolder(bench.anna, "/Sent"))
    with pytest.raises(Conflict):
        bench.do(CreateFolder(bench.anna, "/Gesendet", special_use=SpecialUse.SENT))
    with pytest.raises(NotFound):
        bench.do(CreateFolder(AccountId(999), "/x"))


def test_up_to_root_is_nearest_first(bench: Bench) -> None:
    bench.do(CreateFolder(bench.anna, "/a/b", ("/a",)))
    assert [row.path for row in bench.ask(folders.up_to_root, bench.anna, "/a/b/gone")] == ["/a/b", "/a", "/"]
    assert [row.path for row in bench.ask(folders.up_to_root, bench.anna, "/")] == ["/"]


def test_a_name_made_again_has_a_larger_uidvalidity(bench: Bench) -> None:
    seen = []
    for _ in range(3):
        made = bench.do(CreateFolder(bench.anna, "/a"))
        seen.append(made.uidvalidity)
        put(bench, made.id)
        bench.do(DeleteFolder(made.id))
    assert seen == sorted(set(seen))


def test_a_folder_renamed_onto_a_name_of_the_past_gets_a_larger_uidvalidity(bench: Bench) -> None:
    older = bench.do(CreateFolder(bench.anna, "/old"))
    put(bench, older.id)
    younger = bench.do(CreateFolder(bench.anna, "/young"))
    put(bench, younger.id)
    bench.do(DeleteFolder(younger.id))
    renamed = bench.do(RenameFolder(older.id, "/young"))
    assert renamed.uidvalidity > younger.uidvalidity
    assert bench.do(CreateFolder(bench.anna, "/old")).uidvalidity > older.uidvalidity


def test_a_folder_renamed_to_a_new_name_keeps_its_uidvalidity(bench: Bench) -> None:
    made = bench.do(CreateFolder(bench.anna, "/a"))
    put(bench, made.id)
    assert bench.do(RenameFolder(made.id, "/b")).uidvalidity == made.uidvalidity


def test_names_of_the_past_may_be_forgotten_without_giving_a_uidvalidity_twice(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_FORMER", 2)
    older = bench.do(CreateFolder(bench.anna, "/old"))
    last = 0
    for name in ("/a", "/b", "/c", "/d"):
        made = bench.do(CreateFolder(bench.anna, name))
        put(bench, made.id)
        bench.do(DeleteFolder(made.id))
        last = made.uidvalidity
    assert bench.raw.execute("SELECT count(*) FROM former").fetchone()[0] <= 2
    assert bench.do(RenameFolder(older.id, "/a")).uidvalidity > last


def test_a_subtree_moves_as_a_whole(bench: Bench) -> None:
    bench.do(CreateFolder(bench.anna, "/a/b/c", ("/a", "/a/b")))
    bench.do(CreateFolder(bench.anna, "/ab"))
    top = bench.folder(bench.anna, "/a")
    renamed = bench.do(RenameFolder(top.id, "/x/y", ("/x",)))
    assert (renamed.id, renamed.path) == (top.id, "/x/y")
    assert [row.path for row in bench.ask(folders.below, bench.anna, "/x")] == ["/x/y", "/x/y/b", "/x/y/b/c"]
    assert bench.ask(folders.by_path, bench.anna, "/ab") is not None
    assert PolicyChanged(frozenset({bench.anna})) in bench.events
    assert FoldersChanged(bench.anna) in bench.events


@pytest.mark.parametrize("path", ["/a", "/a/b/new", "/Sent", "/"])
def test_where_a_folder_cannot_go(bench: Bench, path: str) -> None:
    bench.do(CreateFolder(bench.anna, "/a/b", ("/a",)))
    with pytest.raises(Conflict):
        bench.do(RenameFolder(bench.folder(bench.anna, "/a").id, path))


def test_the_root_and_inbox_are_not_deleted_and_the_root_not_renamed(bench: Bench) -> None:
    for path in ("/", "/INBOX"):
        with pytest.raises(Conflict):
            bench.do(DeleteFolder(bench.folder(bench.anna, path).id))
    with pytest.raises(Conflict):
        bench.do(RenameFolder(bench.folder(bench.anna, "/").id, "/x"))


def test_renaming_inbox_moves_its_messages_and_leaves_it_and_what_is_below(bench: Bench) -> None:
    bench.do(CreateFolder(bench.anna, "/INBOX/below"))
    inbox = bench.folder(bench.anna)
    put(bench, inbox.id, 3, Flag.FLAGGED, ("$Work",))
    made = bench.do(RenameFolder(inbox.id, "/saved"))
    assert made.id != inbox.id
    after = bench.folder(bench.anna)
    assert (after.id, after.exists, after.uidvalidity, after.uidnext) == (inbox.id, 0, inbox.uidvalidity, 4)
    assert bench.folder(bench.anna, "/INBOX/below").path == "/INBOX/below"
    assert made.exists == 3
    assert bench.flags(made.id) == {1: 4 | 32, 2: 4 | 32, 3: 4 | 32}
    assert bench.ask(messages.keywords, made.id) == [(5, "$Work")]
    gone = bench.ask(changes.since, inbox.id, after.modseq - 1)
    assert gone is not None
    assert gone.vanished == ((1, 3),)
    put(bench, inbox.id)
    assert bench.flags(inbox.id) == {4: 0}
    bench.check()


def test_a_folder_with_children_stays_as_a_name_and_can_become_a_folder_again(bench: Bench) -> None:
    bench.do(CreateFolder(bench.anna, "/a/b", ("/a",)))
    made = bench.folder(bench.anna, "/a")
    put(bench, made.id, 2)
    bench.do(DeleteFolder(made.id))
    name = bench.folder(bench.anna, "/a")
    assert (name.noselect, name.exists, name.id) == (True, 0, made.id)
    assert bench.used(bench.anna) == 0
    assert bench.ask(changes.since, made.id, 1) is None
    with pytest.raises(NotFound):
        put(bench, made.id)
    with pytest.raises(Conflict):
        bench.do(DeleteFolder(made.id))
    again = bench.do(CreateFolder(bench.anna, "/a"))
    assert not again.noselect
    assert again.uidvalidity > made.uidvalidity
    assert again.modseq > made.modseq
    put(bench, again.id)
    assert bench.flags(again.id) == {1: 0}
    bench.check()


def test_a_name_without_children_goes_when_deleted_again(bench: Bench) -> None:
    bench.do(CreateFolder(bench.anna, "/a/b", ("/a",)))
    top = bench.folder(bench.anna, "/a").id
    bench.do(DeleteFolder(top))
    bench.do(DeleteFolder(bench.folder(bench.anna, "/a/b").id))
    bench.do(DeleteFolder(top))
    assert bench.ask(folders.by_id, top) is None


def test_deleting_tells_the_sessions_that_look_at_it(bench: Bench) -> None:
    made = bench.do(CreateFolder(bench.anna, "/a"))
    put(bench, made.id)
    bench.do(DeleteFolder(made.id))
    assert FolderChanged(made.id, 3) in bench.events
    bench.check()


def test_switches(bench: Bench) -> None:
    inbox = bench.inbox(bench.anna)
    row = bench.do(SwitchFolder(inbox, no_inherit=True))
    assert (row.no_inherit, row.seen_private, row.subscribe_auto) == (True, False, True)
    assert PolicyChanged(frozenset({bench.anna})) in bench.events
    row = bench.do(SwitchFolder(inbox, seen_private=True, subscribe_auto=False))
    assert (row.no_inherit, row.seen_private, row.subscribe_auto) == (True, True, False)
    with pytest.raises(NotFound):
        bench.do(SwitchFolder(FolderId(999), no_inherit=True))


def test_switching_private_seen_off_shows_the_shared_state_again(bench: Bench) -> None:
    inbox = bench.inbox(bench.anna)
    put(bench, inbox, 2)
    bench.do(SwitchFolder(inbox, seen_private=True))
    bench.do(ChangeFlags(inbox, ((1, 1),), FlagMode.ADD, Flag.SEEN, seen_of=bench.bruno))
    assert bench.ask(folders.unseen_by, inbox, bench.bruno) == 1
    assert bench.ask(folders.unseen_by, inbox, bench.anna) == 2
    before = bench.folder(bench.anna).modseq
    after = bench.do(SwitchFolder(inbox, seen_private=False))
    assert after.modseq > before
    found = bench.ask(changes.since, inbox, before)
    assert found is not None
    assert found.changed == [(1, 0, after.modseq)]
    assert bench.raw.execute("SELECT count(*) FROM seen").fetchone() == (0,)


def test_special_use_can_be_given_and_taken(bench: Bench) -> None:
    made = bench.do(CreateFolder(bench.anna, "/Gesendet"))
    with pytest.raises(Conflict):
        bench.do(SetSpecialUse(made.id, SpecialUse.SENT))
    bench.do(SetSpecialUse(bench.folder(bench.anna, "/Sent").id, None))
    assert bench.do(SetSpecialUse(made.id, SpecialUse.SENT)).special_use is SpecialUse.SENT
    for folder, use in ((bench.inbox(bench.anna), None), (made.id, SpecialUse.INBOX)):
        with pytest.raises(Conflict):
            bench.do(SetSpecialUse(folder, use))


def test_a_missing_special_folder_is_made_under_its_name_or_found_there(bench: Bench) -> None:
    sent = bench.folder(bench.anna, "/Sent").id
    bench.do(SetSpecialUse(sent, None))
    assert bench.within(folders.special_folder, bench.anna, SpecialUse.SENT).id == sent
    bench.do(DeleteFolder(sent))
    made = bench.within(folders.special_folder, bench.anna, SpecialUse.SENT)
    assert (made.path, made.special_use) == ("/Sent", SpecialUse.SENT)


def test_where_the_usual_name_serves_as_something_else_another_is_found(bench: Bench) -> None:
    """Filing a copy never fails because /Sent is the archive."""
    sent, archive = bench.folder(bench.anna, "/Sent"), bench.folder(bench.anna, "/Archive")
    for folder, use in ((sent.id, None), (archive.id, None), (sent.id, SpecialUse.ARCHIVE)):
        bench.do(SetSpecialUse(folder, use))
    made = bench.within(folders.special_folder, bench.anna, SpecialUse.SENT)
    assert (made.path, made.special_use) == ("/Sent 2", SpecialUse.SENT)
    assert bench.within(folders.special_folder, bench.anna, SpecialUse.ARCHIVE).id == sent.id
    assert bench.within(folders.special_folder, bench.anna, SpecialUse.SENT).id == made.id


def test_recent_is_claimed_once(bench: Bench) -> None:
    inbox = bench.inbox(bench.anna)
    put(bench, inbox, 2)
    assert bench.do(ClaimRecent(inbox)) == 1
    assert bench.do(ClaimRecent(inbox)) == 3
    put(bench, inbox)
    assert bench.do(ClaimRecent(inbox)) == 3


def test_an_account_leaves_nothing_behind(bench: Bench) -> None:
    put(bench, bench.inbox(bench.anna), 3, keywords=("x",))
    bench.do(SwitchFolder(bench.inbox(bench.bruno), seen_private=True))
    put(bench, bench.inbox(bench.bruno))
    bench.do(ChangeFlags(bench.inbox(bench.bruno), ((1, 1),), FlagMode.ADD, Flag.SEEN, seen_of=bench.anna))
    bench.do(Subscribe(bench.bruno, bench.anna, "/INBOX"))
    anna = bench.anna
    bench.do(DeleteAccount(anna))
    for table, column in (("folder", "owner"), ("mailbox", "owner"), ("blob", "owner"), ("seen", "actor"), ("subscription", "owner")):
        assert bench.raw.execute(f"SELECT count(*) FROM {table} WHERE {column} = ?", (anna,)).fetchone() == (0,), table
    assert bench.raw.execute("SELECT count(*) FROM message").fetchone() == (1,)
    bench.check()


@pytest.mark.parametrize("adopted", ["/Archive", "/Archive/2026"])
def test_a_folder_that_comes_to_serve_as_something_is_judged_anew(bench: Bench, adopted: str) -> None:
    """A plain folder of the usual name is taken; a \\Noselect one comes back to life."""
    archive = bench.folder(bench.anna, "/Archive")
    bench.do(SetSpecialUse(archive.id, None))
    if adopted != "/Archive":
        bench.do(CreateFolder(bench.anna, adopted))
        bench.do(DeleteFolder(archive.id))
    found = bench.within(folders.special_folder, bench.anna, SpecialUse.ARCHIVE)
    assert (found.id, found.special_use, found.noselect) == (archive.id, SpecialUse.ARCHIVE, False)
    assert PolicyChanged(frozenset({bench.anna})) in bench.events


def test_folders_of_several_owners_come_in_the_order_they_are_asked_for(bench: Bench) -> None:
    wanted = [bench.inbox(bench.bruno), bench.inbox(bench.anna), FolderId(10**6), bench.folder(bench.bruno, "/Sent").id]
    assert [row.id for row in bench.ask(folders.by_ids, wanted)] == [wanted[0], wanted[1], wanted[3]]
    assert bench.ask(folders.by_ids, []) == []
