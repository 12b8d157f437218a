from collections.abc import Sequence

import pytest

from policy.grants import FolderEntry, Grantee, GranteeKind, SendGrant, SendRight
from policy.identity import AccountId, Address, ListId
from policy.rights import Right
from store import folders, grants, lists
from store.accounts import DeleteAccount
from store.domains import CreateDomain
from store.errors import Conflict, LimitReached, NotFound
from store.lists import NESTING, AddMembers, CreateList, DeleteList, ListRecipient, ModifyList, RemoveMembers, RenameList
from store.model import Member
from store.port import DIRECTORY
from tests.store.behind import Behind
from tests.store.conftest import Directory


def at_acme(*locals_: str) -> Sequence[Address]:
    return [Address(local, "acme.test") for local in locals_]


async def make(directory: Directory, local: str, *members: str) -> ListId:
    made = await directory.store.do(CreateList(Address(local, "acme.test")))
    await directory.store.do(AddMembers(made, at_acme(*members)))
    return made


async def groups(directory: Directory, account: AccountId) -> dict[ListId, tuple[ListId, ...]]:
    standing = await directory.ask(lists.standing, account)
    assert standing is not None
    return dict(standing.groups)


async def test_a_list_has_what_it_was_given(directory: Directory) -> None:
    team = await directory.store.do(CreateList(Address("Team", "acme.test"), "The team", "n", (directory.anna,), {"munge": "1"}))
    row = await directory.ask(lists.by_id, team)
    assert row is not None
    assert (row.address, row.display_name, row.note, row.owners, dict(row.attributes)) == (
        Address("team", "acme.test"), "The team", "n", (directory.anna,), {"munge": "1"},
    )  # fmt: skip
    await directory.store.do(ModifyList(team, note="m", attributes={"munge": "", "policy": "accept"}))
    await directory.store.do(ModifyList(team, owners=(directory.bruno, directory.bruno)))
    await directory.store.do(RenameList(team, Address("crew", "acme.test")))
    row = await directory.ask(lists.by_address, Address("crew+x", "acme.test"))
    assert row is not None
    assert (row.id, row.display_name, row.note, row.owners, dict(row.attributes)) == (
        team, "The team", "m", (directory.bruno,), {"policy": "accept"},
    )  # fmt: skip
    assert [one.id for one in await directory.ask(lists.of_domain, directory.acme)] == [team]
    with pytest.raises(Conflict):
        await directory.store.do(RenameList(team, Address("anna", "acme.test")))
    with pytest.raises(NotFound):
        await directory.store.do(CreateList(Address("other", "acme.test"), owners=(AccountId(99),)))
    assert await directory.ask(lists.by_address, Address("other", "acme.test")) is None


async def test_members_are_objects_where_there_is_one_and_addresses_otherwise(directory: Directory) -> None:
    team = await make(directory, "team")
    inner = await make(directory, "inner")
    added = await directory.store.do(
        AddMembers(team, [*at_acme("ANNA", "anna", "inner", "anna+tag", "nobody"), Address("Ext", "elsewhere.test")])
    )
    assert added == [*at_acme("ANNA", "inner", "anna+tag", "nobody"), Address("Ext", "elsewhere.test")]
    assert await directory.ask(lists.members, team) == [
        Member(directory.anna, Address("anna", "acme.test")),
        Member(inner, Address("inner", "acme.test")),
        Member(None, Address("anna+tag", "acme.test")),
        Member(None, Address("nobody", "acme.test")),
        Member(None, Address("Ext", "elsewhere.test")),
    ]
    removed = await directory.store.do(RemoveMembers(team, [*at_acme("anna+tag", "inner", "bruno"), Address("Ext", "elsewhere.test")]))
    assert removed == [*at_acme("anna+tag", "inner"), Address("Ext", "elsewhere.test")]
    assert [member.id for member in await directory.ask(lists.members, team)] == [directory.anna, None]


async def test_a_tag_gets_mail_but_no_rights(directory: Directory) -> None:
    await make(directory, "team", "anna+tag")
    assert await groups(directory, directory.anna) == {}


async def test_membership_is_transitive_with_the_shortest_path(directory: Directory) -> None:
    a = await make(directory, "a", "anna")
    b = await make(directory, "b", "a")
    c = await make(directory, "c", "b", "a")
    assert await groups(directory, directory.anna) == {a: (a,), b: (a, b), c: (a, c)}
    assert await groups(directory, directory.bruno) == {}
    membership = await directory.ask(lists.memberships, directory.anna)
    assert [(one.address.local, one.is_direct) for one in membership] == [("a", True), ("b", False), ("c", False)]
    assert [one.list for one in await directory.ask(lists.memberships, a)] == [b, c]


async def test_cycles_are_harmless_and_the_same_from_everywhere(directory: Directory) -> None:
    a = await make(directory, "a", "anna", "a")
    b = await make(directory, "b", "a", "bruno")
    await directory.store.do(AddMembers(a, at_acme("a", "b")))
    assert await groups(directory, directory.anna) == {a: (a,), b: (a, b)}
    assert await groups(directory, directory.bruno) == {b: (b,), a: (b, a)}
    for start in (a, b):
        got = await directory.ask(lists.expand, start)
        assert {one.account for one in got} == {directory.anna, directory.bruno}
        assert set(await directory.ask(lists.nested, start)) == {a, b}


async def test_everybody_gets_it_once_by_the_nearest_way(directory: Directory) -> None:
    inner = await make(directory, "inner", "anna", "bruno", "anna+x")
    team = await make(directory, "team", "inner", "anna")
    await directory.store.do(AddMembers(team, [Address("ext", "elsewhere.test")]))
    await directory.store.do(AddMembers(inner, [Address("ext", "elsewhere.test")]))
    got = await directory.ask(lists.expand, team)
    assert sorted(got, key=lambda one: one.address) == [
        ListRecipient(Address("anna", "acme.test"), directory.anna, (team,)),
        ListRecipient(Address("bruno", "acme.test"), directory.bruno, (team, inner)),
        ListRecipient(Address("ext", "elsewhere.test"), None, (team,)),
    ]


async def test_a_list_that_refuses_keeps_out_only_those_that_come_through_it_alone(directory: Directory) -> None:
    carla = await directory.account("carla")
    deep = await make(directory, "deep", "carla")
    refusing = await make(directory, "refusing", "anna", "bruno", "deep")
    team = await make(directory, "team", "refusing", "anna")
    assert {one.account for one in await directory.ask(lists.expand, team)} == {directory.anna, directory.bruno, carla}
    assert {one.account for one in await directory.ask(lists.expand, team, {refusing})} == {directory.anna}
    assert dict(await directory.ask(lists.nested, team, {refusing})) == {team: (team,)}
    assert await directory.ask(lists.expand, team, {team}) == []
    assert dict(await directory.ask(lists.nested, team)) == {team: (team,), refusing: (team, refusing), deep: (team, refusing, deep)}


async def test_an_address_that_was_nobodys_is_resolved_when_mail_comes(directory: Directory) -> None:
    team = await make(directory, "team", "later", "crew")
    later = await directory.account("later")
    crew = await make(directory, "crew", "bruno", "team")
    assert {(one.account, one.through) for one in await directory.ask(lists.expand, team)} == {
        (later, (team,)),
        (directory.bruno, (team, crew)),
    }
    assert {one.account for one in await directory.ask(lists.expand, team, {crew})} == {later}


async def test_nesting_is_bounded_in_both_directions(directory: Directory) -> None:
    chain = [await make(directory, "l0", "anna")]
    chain += [await make(directory, f"l{number}", f"l{number - 1}") for number in range(1, NESTING)]
    assert len((await groups(directory, directory.anna))[chain[-1]]) == NESTING
    top, bottom = await make(directory, "top"), await make(directory, "bottom")
    with pytest.raises(LimitReached):
        await directory.store.do(AddMembers(top, at_acme(f"l{NESTING - 1}")))
    with pytest.raises(LimitReached):
        await directory.store.do(AddMembers(chain[0], at_acme("bottom")))
    await directory.store.do(AddMembers(top, at_acme(f"l{NESTING - 2}")))
    assert await directory.ask(lists.members, bottom) == []


async def test_a_chain_of_thousands_is_walked_without_harm(directory: Directory, behind: Behind, url: str) -> None:
    # Nothing makes one: it stands for a database that was written by something else.
    bottom = await make(directory, "bottom", "anna")
    # Each step asks; a question takes a way over a socket where the database is a server.
    length = 10_000 if url.startswith("sqlite") else 2_000
    numbers = range(1000, 1000 + length)
    behind.execute("BEGIN")
    behind.executemany("INSERT INTO object (id, kind, domain) VALUES (?, 'list', 1)", [(number,) for number in numbers])
    behind.executemany("INSERT INTO list VALUES (?, '', '', '{}', 0)", [(number,) for number in numbers])
    behind.executemany("INSERT INTO list_member VALUES (?, ?)", [(numbers[0], bottom), *zip(numbers[1:], numbers, strict=False)])
    behind.execute("COMMIT")
    found = await groups(directory, directory.anna)
    assert len(found) == length + 1
    assert max(len(path) for path in found.values()) == NESTING
    async with directory.store.snapshot() as snapshot:
        got = await snapshot.work(lists.expand, ListId(numbers[-1]))
    assert [one.account for one in got] == [directory.anna]


async def test_a_deleted_list_takes_its_memberships_and_grants_along(directory: Directory) -> None:
    team = await make(directory, "team", "anna")
    outer = await make(directory, "outer", "team")
    root = await directory.ask(folders.by_path, directory.bruno, "/")
    assert root is not None
    to_team = Grantee(GranteeKind.GROUP, team)
    await directory.store.do(grants.SetFolderEntry(root.id, FolderEntry(to_team, Right.READ)))
    await directory.store.do(grants.SetSendGrant(SendGrant(team, Grantee(GranteeKind.ALL), SendRight.SEND_TO_LIST)))
    await directory.store.do(grants.SetSendGrant(SendGrant(directory.bruno, to_team, SendRight.SEND_AS)))
    async with directory.store.snapshot() as snapshot:
        before = await snapshot.witness(directory.bruno)
    assert await directory.store.do(DeleteList(team)) is True
    assert await directory.store.do(DeleteList(team)) is False
    assert await groups(directory, directory.anna) == {}
    assert await directory.ask(lists.members, outer) == []
    assert await directory.ask(grants.entries, root.id) == []
    assert await directory.ask(grants.send_grants_on, directory.bruno) == []
    async with directory.store.snapshot() as snapshot:
        assert dict((await snapshot.witness(directory.bruno)).epochs)[directory.bruno] == dict(before.epochs)[directory.bruno] + 1


async def test_a_membership_vanishes_with_the_account(directory: Directory) -> None:
    team = await make(directory, "team", "anna", "bruno")
    await directory.store.do(DeleteAccount(directory.anna))
    assert [one.account for one in await directory.ask(lists.expand, team)] == [directory.bruno]
    assert await directory.ask(lists.standing, directory.anna) is None


async def test_membership_bumps_the_directory(directory: Directory) -> None:
    team = await make(directory, "team")
    await directory.store.do(CreateDomain("other.test"))
    for deed in (AddMembers(team, at_acme("anna")), RemoveMembers(team, at_acme("anna")), DeleteList(team)):
        async with directory.store.snapshot() as snapshot:
            before = await snapshot.witness()
        await directory.store.do(deed)
        async with directory.store.snapshot() as snapshot:
            assert not await snapshot.confirms(before)
    with pytest.raises(NotFound):
        await directory.store.do(AddMembers(team, at_acme("anna")))


async def test_an_address_that_was_kept_and_leads_to_a_list_is_followed_like_a_member(directory: Directory) -> None:
    """Who is not asked whether the poster may is not sent to: what `expand` follows, `nested` names."""
    team = await make(directory, "team", "secret+x", "later", "anna")
    later = await make(directory, "later", "bruno", "team+y")
    secret = await make(directory, "secret", "deep")
    deep = await make(directory, "deep")
    carla = await directory.account("carla")
    await directory.store.do(AddMembers(deep, at_acme("carla")))
    assert dict(await directory.ask(lists.nested, team)) == {
        team: (team,), later: (team, later), secret: (team, secret), deep: (team, secret, deep),
    }  # fmt: skip
    assert {one.account for one in await directory.ask(lists.expand, team)} == {directory.anna, directory.bruno, carla}
    assert dict(await directory.ask(lists.nested, team, {secret})) == {team: (team,), later: (team, later)}
    assert {one.account for one in await directory.ask(lists.expand, team, {secret})} == {directory.anna, directory.bruno}


async def test_addresses_that_only_get_the_mail_leave_the_directory_alone(directory: Directory) -> None:
    team = await make(directory, "team")
    written = [Address("x", "elsewhere.test"), *at_acme("nobody", "anna+tag")]
    for deed in (AddMembers(team, written), RemoveMembers(team, written)):
        async with directory.store.snapshot() as snapshot:
            before = dict((await snapshot.witness(team)).epochs)
        assert len(await directory.store.do(deed)) == 3
        async with directory.store.snapshot() as snapshot:
            after = dict((await snapshot.witness(team)).epochs)
        assert (after[DIRECTORY] - before[DIRECTORY], after[team] - before[team]) == (0, 1)


async def test_a_list_has_so_many_members_and_no_more(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    # As many as there may be take minutes on an engine that is asked over a socket.
    monkeypatch.setattr("store.members.MOST_MEMBERS", 200)
    team = await make(directory, "team", "anna")
    many = [Address(f"m{number}", "elsewhere.test") for number in range(200)]
    with pytest.raises(LimitReached):
        await directory.store.do(AddMembers(team, many))
    await directory.store.do(AddMembers(team, many[1:]))
    await directory.store.do(AddMembers(team, many[1:2]))
    with pytest.raises(LimitReached):
        await directory.store.do(AddMembers(team, many[:1]))
    await directory.store.do(RemoveMembers(team, many[1:2]))
    await directory.store.do(AddMembers(team, many[:1]))
