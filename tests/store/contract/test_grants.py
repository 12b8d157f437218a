from dataclasses import replace

import pytest

from policy.grants import FolderEntry, Grantee, GranteeKind, Level, SendGrant, SendRight, judge_send_right, rights_of
from policy.identity import AccountId, Address, FolderId
from policy.rights import Right
from store import folders, grants, lists
from store.accounts import SetAccountCos
from store.cos import DEFAULT, CreateCos
from store.domains import CreateDomain
from store.errors import Conflict, GrantsFull, NotFound, Stale
from store.folders import CreateFolder, SwitchFolder
from store.grants import RemoveFolderEntry, RemoveSendGrant, SetFolderEntry, SetSendGrant, SharedFolder
from store.lists import AddMembers, CreateList
from store.login import ClearFailures
from tests.store.conftest import SECOND, START, Clock, Directory

READ = Right.LOOKUP | Right.READ
ALL = Grantee(GranteeKind.ALL)


def account(number: AccountId) -> Grantee:
    return Grantee(GranteeKind.ACCOUNT, number)


async def folder(directory: Directory, path: str, owner: AccountId | None = None) -> FolderId:
    row = await directory.ask(folders.by_path, owner or directory.anna, path)
    assert row is not None
    return row.id


async def test_an_entry_is_replaced_for_its_grantee_only(directory: Directory) -> None:
    root = await folder(directory, "/")
    timed = FolderEntry(account(directory.bruno), READ, START, START + SECOND, "while anna is away")
    await directory.store.do(SetFolderEntry(root, timed))
    await directory.store.do(SetFolderEntry(root, FolderEntry(ALL, Right.LOOKUP)))
    assert await directory.ask(grants.entries, root) == [timed, FolderEntry(ALL, Right.LOOKUP)]
    await directory.store.do(SetFolderEntry(root, FolderEntry(account(directory.bruno), Right.INSERT)))
    to_bruno = FolderEntry(account(directory.bruno), Right.INSERT)
    assert await directory.ask(grants.entries, root) == [to_bruno, FolderEntry(ALL, Right.LOOKUP)]
    assert await directory.store.do(RemoveFolderEntry(root, account(directory.bruno))) is True
    assert await directory.store.do(RemoveFolderEntry(root, account(directory.bruno))) is False
    assert await directory.ask(grants.entries, root) == [FolderEntry(ALL, Right.LOOKUP)]


async def test_the_explicit_empty_entry_is_kept_without_time(directory: Directory) -> None:
    inbox = await folder(directory, "/INBOX")
    await directory.store.do(SetFolderEntry(inbox, FolderEntry(account(directory.bruno), Right.NONE, START, START + SECOND, "no")))
    assert await directory.ask(grants.entries, inbox) == [FolderEntry(account(directory.bruno), Right.NONE, None, None, "no")]


async def test_levels_go_from_the_folder_up_to_the_root(directory: Directory) -> None:
    posta = await directory.store.do(CreateFolder(directory.anna, "/Posta"))
    year = await directory.store.do(CreateFolder(directory.anna, "/Posta/2026"))
    await directory.store.do(SwitchFolder(posta.id, no_inherit=True))
    to_bruno = FolderEntry(account(directory.bruno), READ)
    await directory.store.do(SetFolderEntry(await folder(directory, "/"), to_bruno))
    await directory.store.do(SetFolderEntry(year.id, FolderEntry(ALL, Right.LOOKUP)))
    expected = [Level("/Posta/2026", [FolderEntry(ALL, Right.LOOKUP)]), Level("/Posta", [], True), Level("/", [to_bruno])]
    assert await directory.ask(grants.levels, directory.anna, "/Posta/2026") == expected
    assert (await directory.ask(grants.levels, directory.anna, "/Posta/2026/not there/yet"))[2:] == expected
    assert await directory.ask(grants.levels, directory.anna, "/") == expected[2:]
    by_path = await directory.ask(grants.mailbox_levels, directory.anna)
    whole = [by_path[step] for step in grants.way_up("/Posta/2026")]
    assert [(level.path, tuple(level.entries), level.no_inherit) for level in whole] == [
        (level.path, tuple(level.entries), level.no_inherit) for level in expected
    ]


@pytest.mark.parametrize(("path", "way"), [("/", ["/"]), ("/a", ["/a", "/"]), ("/a/b/c", ["/a/b/c", "/a/b", "/a", "/"]), ("", ["/"])])
def test_the_way_up(path: str, way: list[str]) -> None:
    assert grants.way_up(path) == way


async def test_what_cannot_be_granted_is_refused(directory: Directory) -> None:
    root = await folder(directory, "/")
    with pytest.raises(Conflict, match="owner"):
        await directory.store.do(SetFolderEntry(root, FolderEntry(account(directory.anna), READ)))
    with pytest.raises(Conflict, match="end before"):
        await directory.store.do(SetFolderEntry(root, FolderEntry(ALL, READ, START, START)))
    with pytest.raises(NotFound, match="folder"):
        await directory.store.do(SetFolderEntry(FolderId(9999), FolderEntry(ALL, READ)))
    for missing in (Grantee(kind, 999) for kind in GranteeKind):
        with pytest.raises(NotFound, match="999"):
            await directory.store.do(SetFolderEntry(root, FolderEntry(missing, READ)))
        with pytest.raises(NotFound, match="999"):
            await directory.store.do(SetSendGrant(SendGrant(directory.anna, missing, SendRight.SEND_AS)))
    with pytest.raises(NotFound, match="object"):
        await directory.store.do(SetSendGrant(SendGrant(999, ALL, SendRight.SEND_AS)))
    with pytest.raises(Conflict):
        await directory.store.do(SetSendGrant(SendGrant(directory.anna, account(directory.anna), SendRight.SEND_AS)))
    assert await directory.ask(grants.entries, root) == []


async def test_owners_are_found_by_everything_that_matches_the_actor(directory: Directory) -> None:
    team = await directory.store.do(CreateList(Address("team", "acme.test")))
    outer = await directory.store.do(CreateList(Address("outer", "acme.test")))
    await directory.store.do(AddMembers(team, [Address("bruno", "acme.test")]))
    await directory.store.do(AddMembers(outer, [Address("team", "acme.test")]))
    grantees = [
        account(directory.bruno),
        Grantee(GranteeKind.GROUP, team),
        Grantee(GranteeKind.GROUP, outer),
        Grantee(GranteeKind.DOMAIN, directory.acme),
        Grantee(GranteeKind.COS, DEFAULT),
        ALL,
    ]
    expected = []
    for number, grantee in enumerate(grantees):
        owner = await directory.account(f"owner{number}")
        expected.append(owner)
        await directory.store.do(SetFolderEntry(await folder(directory, "/INBOX", owner), FolderEntry(grantee, READ)))
    stranger = await directory.account("stranger")
    await directory.store.do(SetFolderEntry(await folder(directory, "/", stranger), FolderEntry(account(directory.anna), READ)))
    await directory.store.do(SetFolderEntry(await folder(directory, "/", directory.bruno), FolderEntry(ALL, READ)))
    standing = await directory.ask(lists.standing, directory.bruno)
    assert standing is not None
    assert await directory.ask(grants.owners_granting, standing) == expected, "without strangers, and without oneself"


async def test_what_was_shared_with_a_grantee_is_listed_expired_or_not(directory: Directory, clock: Clock) -> None:
    inbox = await folder(directory, "/INBOX")
    entry = FolderEntry(account(directory.bruno), READ, None, START + SECOND)
    await directory.store.do(SetFolderEntry(inbox, entry))
    clock.turn(60)
    assert await directory.ask(grants.shared_with, account(directory.bruno)) == [SharedFolder(directory.anna, inbox, "/INBOX", entry)]
    levels = await directory.ask(grants.levels, directory.anna, "/INBOX")
    standing = await directory.ask(lists.standing, directory.bruno)
    assert standing is not None
    assert rights_of(standing, directory.anna, levels, START).rights == READ
    assert rights_of(standing, directory.anna, levels, clock()).rights == Right.NONE


async def test_a_send_grant_allows_or_denies_one_grantee_one_right(directory: Directory) -> None:
    grant = SendGrant(directory.anna, account(directory.bruno), SendRight.SEND_AS, note="holiday")
    await directory.store.do(SetSendGrant(grant))
    await directory.store.do(SetSendGrant(replace(grant, right=SendRight.SEND_ON_BEHALF_OF)))
    await directory.store.do(SetSendGrant(replace(grant, deny=True)))
    assert await directory.ask(grants.send_grants_on, directory.anna, SendRight.SEND_AS) == [replace(grant, deny=True)]
    assert len(await directory.ask(grants.send_grants_on, directory.anna)) == 2
    assert len(await directory.ask(grants.send_grants_to, account(directory.bruno))) == 2
    assert await directory.store.do(RemoveSendGrant(directory.anna, account(directory.bruno), SendRight.SEND_AS)) is False
    assert await directory.store.do(RemoveSendGrant(directory.anna, account(directory.bruno), SendRight.SEND_AS, deny=True)) is True
    assert [one.right for one in await directory.ask(grants.send_grants_on, directory.anna)] == [SendRight.SEND_ON_BEHALF_OF]


async def test_whoever_holds_some_right_to_send_is_known(directory: Directory, clock: Clock) -> None:
    async def holds() -> bool:
        standing = await directory.ask(lists.standing, directory.bruno)
        assert standing is not None
        return await directory.ask(grants.holds_any, standing)

    assert not await holds()
    for right in (SendRight.LOGIN_AS, SendRight.SEND_TO_LIST):
        await directory.store.do(SetSendGrant(SendGrant(directory.anna, account(directory.bruno), right)))
    await directory.store.do(SetSendGrant(SendGrant(directory.anna, account(directory.bruno), SendRight.SEND_AS, deny=True)))
    assert not await holds()
    everyone_later = SendGrant(directory.anna, ALL, SendRight.SEND_ON_BEHALF_OF, False, START + 10 * SECOND, START + 20 * SECOND)
    await directory.store.do(SetSendGrant(everyone_later))
    answers = []
    for _ in range(4):
        answers.append(await holds())
        clock.turn(9.5)
    assert answers == [False, False, True, False]


async def test_a_grant_that_changes_between_judging_and_doing_makes_it_stale(directory: Directory, clock: Clock) -> None:
    """Each change to what was judged, in between: the deed that rests on the judgement is not done."""
    store, anna, bruno = directory.store, directory.anna, directory.bruno
    root = await folder(directory, "/")
    team = await store.do(CreateList(Address("team", "acme.test")))
    await store.do(SetFolderEntry(root, FolderEntry(account(bruno), READ)))
    await store.do(SetSendGrant(SendGrant(anna, account(bruno), SendRight.SEND_AS)))
    rests_on_it = ClearFailures(anna)
    for change in (
        SetFolderEntry(root, FolderEntry(account(bruno), Right.NONE)),
        RemoveFolderEntry(root, account(bruno)),
        SetFolderEntry(root, FolderEntry(Grantee(GranteeKind.DOMAIN, directory.acme), READ)),
        SetSendGrant(SendGrant(anna, account(bruno), SendRight.SEND_AS, deny=True)),
        RemoveSendGrant(anna, account(bruno), SendRight.SEND_AS, deny=True),
        SwitchFolder(root, no_inherit=True),
        AddMembers(team, [Address("bruno", "acme.test")]),
    ):
        async with store.snapshot() as snapshot:
            witness = await snapshot.witness(anna, bruno)
        await store.do(rests_on_it, witness)
        await store.do(change)
        with pytest.raises(Stale):
            await store.do(rests_on_it, witness)
    async with store.snapshot() as snapshot:
        witness = await snapshot.witness(anna, bruno, valid_until=START + SECOND)
    await store.do(rests_on_it, witness)
    clock.turn(1)
    with pytest.raises(Stale):
        await store.do(rests_on_it, witness)


async def test_what_changed_nothing_leaves_the_epochs_alone(directory: Directory) -> None:
    root = await folder(directory, "/")
    async with directory.store.snapshot() as snapshot:
        before = await snapshot.witness(directory.anna, directory.bruno)
    assert await directory.store.do(RemoveFolderEntry(root, account(directory.bruno))) is False
    assert await directory.store.do(RemoveSendGrant(directory.anna, ALL, SendRight.SEND_AS)) is False
    async with directory.store.snapshot() as snapshot:
        assert await snapshot.confirms(before)


async def test_the_policy_reads_what_was_stored(directory: Directory) -> None:
    await directory.store.do(SetSendGrant(SendGrant(directory.anna, Grantee(GranteeKind.DOMAIN, directory.acme), SendRight.SEND_AS)))
    async with directory.store.snapshot() as snapshot:
        standing = await snapshot.ask(lists.standing, directory.bruno)
        held = await snapshot.ask(grants.send_grants_on, directory.anna, SendRight.SEND_AS)
    assert standing is not None
    assert judge_send_right(standing, directory.anna, SendRight.SEND_AS, held, START).allowed


async def test_the_accounts_that_a_grantee_matches_are_those_whose_standing_says_so(directory: Directory) -> None:
    inner = await directory.store.do(CreateList(Address("inner", "acme.test")))
    outer = await directory.store.do(CreateList(Address("outer", "acme.test")))
    await directory.store.do(AddMembers(inner, [Address("bruno", "acme.test")]))
    await directory.store.do(AddMembers(outer, [Address("inner", "acme.test"), Address("x", "elsewhere.test")]))
    await directory.store.do(AddMembers(inner, [Address("outer", "acme.test")]))
    everybody = [directory.anna, directory.bruno]
    standings = [await directory.ask(lists.standing, one) for one in everybody]
    assert standings[0] is not None
    grantees = [
        ALL,
        account(directory.bruno),
        *(Grantee(GranteeKind.GROUP, group) for group in (inner, outer)),
        Grantee(GranteeKind.DOMAIN, standings[0].domain),
        Grantee(GranteeKind.DOMAIN, 4711),
        Grantee(GranteeKind.COS, DEFAULT),
        Grantee(GranteeKind.COS, 4711),
    ]
    for grantee in grantees:
        matching = {one.account for one in standings if one is not None and one.matches(grantee)}
        assert {*await directory.ask(grants.accounts_matching, grantee, 10)} & {*everybody} == matching, grantee
    assert len(await directory.ask(grants.accounts_matching, ALL, 1)) == 1


@pytest.mark.parametrize("others", [3, grants.FEW + 5, grants.FEW_OF_OWNER + 5])
async def test_what_matches_one_actor_is_found_among_few_and_among_many(directory: Directory, others: int) -> None:
    team = await directory.store.do(CreateList(Address("team", "acme.test")))
    await directory.store.do(AddMembers(team, [Address("bruno", "acme.test")]))
    posta = await directory.store.do(CreateFolder(directory.anna, "/Posta"))
    root = await folder(directory, "/")
    for number in range(others):
        other = account(await directory.account(f"other{number}"))
        await directory.store.do(SetFolderEntry(posta.id, FolderEntry(other, READ)))
        await directory.store.do(SetSendGrant(SendGrant(directory.anna, other, SendRight.SEND_AS, deny=True)))
    for grantee in (account(directory.bruno), Grantee(GranteeKind.GROUP, team), Grantee(GranteeKind.DOMAIN, directory.acme), ALL):
        await directory.store.do(SetFolderEntry(posta.id, FolderEntry(grantee, READ, START, START + SECOND)))
        await directory.store.do(SetSendGrant(SendGrant(directory.anna, grantee, SendRight.SEND_AS)))
    await directory.store.do(SetFolderEntry(root, FolderEntry(account(directory.bruno), Right.INSERT)))
    standing = await directory.ask(lists.standing, directory.bruno)
    assert standing is not None

    def matching(level: Level) -> Level:
        return replace(level, entries=tuple(entry for entry in level.entries if standing.matches(entry.grantee)))

    whole = await directory.ask(grants.levels, directory.anna, "/Posta/2026")
    found = await directory.ask(grants.levels_for, directory.anna, "/Posta/2026", standing)
    assert [replace(level, entries=tuple(level.entries)) for level in found] == [*map(matching, whole)]
    assert len(found[1].entries) == 4
    mailbox = await directory.ask(grants.mailbox_levels, directory.anna)
    assert await directory.ask(grants.mailbox_levels_for, directory.anna, standing) == {
        path: matching(level) for path, level in mailbox.items()
    }
    every = await directory.ask(grants.send_grants_on, directory.anna, SendRight.SEND_AS)
    some, others_left_out = await directory.ask(grants.send_grants_for, directory.anna, SendRight.SEND_AS, standing)
    assert {one for one in some if standing.matches(one.grantee)} == {one for one in every if standing.matches(one.grantee)}
    assert others_left_out == (others > grants.FEW)
    for asked in (every, some):
        assert judge_send_right(standing, directory.anna, SendRight.SEND_AS, asked, START).allowed
    assert await directory.ask(grants.is_granted_at_all, directory.anna, SendRight.SEND_AS)
    assert not await directory.ask(grants.is_granted_at_all, directory.anna, SendRight.LOGIN_AS)


async def test_accounts_of_a_class_are_found_by_their_own_and_by_their_domains(directory: Directory) -> None:
    staff = await directory.store.do(CreateCos("staff"))
    other = await directory.store.do(CreateDomain("other.test", cos=staff))
    assert other
    carla = await directory.account("carla", "other.test")
    dora = await directory.account("dora", "other.test")
    await directory.store.do(SetAccountCos(dora, DEFAULT))
    await directory.store.do(SetAccountCos(directory.bruno, staff))
    for cos, accounts in ((staff, {carla, directory.bruno}), (DEFAULT, {directory.anna, dora})):
        assert set(await directory.ask(grants.accounts_matching, Grantee(GranteeKind.COS, cos), 10)) == accounts
        assert len(await directory.ask(grants.accounts_matching, Grantee(GranteeKind.COS, cos), 1)) == 1


async def crowd(directory: Directory, count: int) -> list[Grantee]:
    made = [await directory.store.do(CreateList(Address(f"group{number}", "acme.test"))) for number in range(count)]
    return [Grantee(GranteeKind.GROUP, number) for number in made]


async def test_a_folder_has_so_many_entries_and_no_more(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "MOST_ENTRIES", 12)
    inbox = await folder(directory, "/INBOX")
    *first, last = await crowd(directory, grants.MOST_ENTRIES + 1)
    for grantee in first:
        await directory.store.do(SetFolderEntry(inbox, FolderEntry(grantee, READ)))
    with pytest.raises(GrantsFull):
        await directory.store.do(SetFolderEntry(inbox, FolderEntry(last, READ)))
    # Those that are there may change, and one that goes makes room.
    await directory.store.do(SetFolderEntry(inbox, FolderEntry(first[0], Right.LOOKUP)))
    await directory.store.do(RemoveFolderEntry(inbox, first[1]))
    await directory.store.do(SetFolderEntry(inbox, FolderEntry(last, READ)))
    assert len(await directory.ask(grants.entries, inbox)) == grants.MOST_ENTRIES


async def test_an_account_has_so_many_send_grants_and_no_more(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "MOST_GRANTS", 12)
    *first, last = await crowd(directory, grants.MOST_GRANTS + 1)
    for grantee in first:
        await directory.store.do(SetSendGrant(SendGrant(directory.anna, grantee, SendRight.SEND_AS)))
    with pytest.raises(GrantsFull):
        await directory.store.do(SetSendGrant(SendGrant(directory.anna, last, SendRight.SEND_AS)))
    with pytest.raises(GrantsFull):
        await directory.store.do(SetSendGrant(SendGrant(directory.anna, first[0], SendRight.SEND_ON_BEHALF_OF)))
    await directory.store.do(SetSendGrant(SendGrant(directory.anna, first[0], SendRight.SEND_AS, deny=True)))
    await directory.store.do(SetSendGrant(SendGrant(directory.bruno, last, SendRight.SEND_AS)))
