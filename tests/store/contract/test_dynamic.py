"""Dynamic lists: after whatever happens to accounts, their members are those whom the filter means, and no others."""

import random
from itertools import count

import pytest

from policy.filters import matches
from policy.grantees import Grantee, GranteeKind
from policy.identity import Address, ListId
from policy.status import AccountStatus
from store import accounts, cos, dynamic, lists, people
from store.accounts import CreateAccount, DeleteAccount, ModifyAccount, RenameAccount, SetAccountCos, SetAccountStatus
from store.addresses import AddAlias, RemoveAlias
from store.cos import CreateCos, ModifyCos
from store.domains import CreateDomain, SetDomainCos
from store.dynamic import CreateDynamicList, SetFilter
from store.errors import Conflict, NotFound, Stale
from store.lists import AddMembers, CreateList, DeleteList, ModifyList, RemoveMembers, RenameList
from store.port import Tx
from tests.store.conftest import Directory


def members_of(tx: Tx, group: ListId) -> set[str]:
    return {str(member.address) for member in lists.members(tx, group)}


async def made(directory: Directory, name: str, text: str) -> ListId:
    local, _, domain = name.partition("@")
    return await directory.store.do(CreateDynamicList(CreateList(Address(local, domain or "acme.test")), text))


async def test_members_are_there_from_the_start_and_follow_every_change(directory: Directory) -> None:
    store, anna, bruno = directory.store, directory.anna, directory.bruno
    await store.do(ModifyAccount(anna, personal={"department": "Sales "}))
    sales = await made(directory, "sales", "(department=SALES)")
    closed = await made(directory, "closed", "(&(objectClass=zimbraAccount)(!(status=active)))")
    staff = await made(directory, "staff", "cos=staff")
    team = await made(directory, "team", "(mail=team-*)")
    assert await directory.ask(members_of, sales) == {"anna@acme.test"}
    await store.do(ModifyAccount(bruno, personal={"department": "sales"}))
    assert await directory.ask(members_of, sales) == {"anna@acme.test", "bruno@acme.test"}
    await store.do(ModifyAccount(anna, personal={"department": ""}))
    assert await directory.ask(members_of, sales) == {"bruno@acme.test"}
    carla = await store.do(CreateAccount(Address("carla", "acme.test"), personal={"department": "sales"}))
    assert await directory.ask(members_of, sales) == {"bruno@acme.test", "carla@acme.test"}
    await store.do(SetAccountStatus(carla, AccountStatus.LOCKED))
    assert await directory.ask(members_of, closed) == {"carla@acme.test"}
    await store.do(DeleteAccount(carla))
    assert await directory.ask(members_of, closed) == await directory.ask(members_of, staff) == set()
    klass = await store.do(CreateCos("people"))
    await store.do(SetAccountCos(anna, klass))
    assert await directory.ask(members_of, staff) == set()
    await store.do(ModifyCos(klass, name="staff"))
    assert await directory.ask(members_of, staff) == {"anna@acme.test"}
    await store.do(SetDomainCos(directory.acme, klass))
    assert await directory.ask(members_of, staff) == {"anna@acme.test", "bruno@acme.test"}
    await store.do(AddAlias(anna, Address("team-lead", "acme.test")))
    assert await directory.ask(members_of, team) == {"anna@acme.test"}
    await store.do(RemoveAlias(anna, Address("team-lead", "acme.test")))
    await store.do(RenameAccount(bruno, Address("team-b", "acme.test")))
    assert await directory.ask(members_of, team) == {"team-b@acme.test"}
    await store.do(SetFilter(team, "(uid=*)"))
    assert await directory.ask(members_of, team) == {"team-b@acme.test", "anna@acme.test"}
    assert await directory.ask(dynamic.filter_of, team) == "(uid=*)"
    assert await directory.ask(dynamic.filter_of, await store.do(CreateList(Address("plain", "acme.test")))) is None


async def test_it_never_reaches_into_another_domain(directory: Directory) -> None:
    store = directory.store
    await store.do(CreateDomain("other.test"))
    await store.do(CreateAccount(Address("otto", "other.test"), personal={"department": "sales"}))
    sales = await made(directory, "sales", "(department=sales)")
    assert await directory.ask(members_of, sales) == set()
    await store.do(ModifyAccount(directory.anna, personal={"department": "sales"}))
    await store.do(RenameList(sales, Address("sales", "other.test")))
    assert await directory.ask(members_of, sales) == {"otto@other.test"}
    await store.do(RenameAccount(directory.anna, Address("anna", "other.test")))
    assert await directory.ask(members_of, sales) == {"otto@other.test", "anna@other.test"}


async def test_it_is_a_group_in_every_standing_and_nests(directory: Directory) -> None:
    store = directory.store
    sales = await made(directory, "sales", "(department=sales)")
    everybody = await store.do(CreateList(Address("everybody", "acme.test")))
    await store.do(AddMembers(everybody, [Address("sales", "acme.test")]))
    await store.do(ModifyAccount(directory.anna, personal={"department": "sales"}))
    standing = await directory.ask(lists.standing, directory.anna)
    assert standing is not None
    assert standing.path_to(Grantee(GranteeKind.GROUP, everybody)) == (sales, everybody)
    assert [str(one.address) for one in await directory.ask(lists.expand, everybody)] == ["anna@acme.test"]


async def test_nobody_is_put_in_or_taken_out(directory: Directory) -> None:
    store = directory.store
    sales = await made(directory, "sales", "(department=sales)")
    plain = await store.do(CreateList(Address("plain", "acme.test")))
    for deed, error in (
        (AddMembers(sales, [Address("anna", "acme.test")]), Conflict),
        (AddMembers(sales, [Address("plain", "acme.test")]), Conflict),
        (RemoveMembers(sales, [Address("anna", "acme.test")]), Conflict),
        (SetFilter(plain, "(uid=*)"), Conflict),
        (SetFilter(sales, "(uid"), Conflict),
        (SetFilter(sales, "(nosuch=1)"), Conflict),
        (SetFilter(ListId(999), "(uid=*)"), NotFound),
        (CreateDynamicList(CreateList(Address("sales", "acme.test")), "(uid=*)"), Conflict),
        (CreateDynamicList(CreateList(Address("sales", "nowhere.test")), "(uid=*)"), NotFound),
        (CreateDynamicList(CreateList(Address("fresh", "acme.test")), "uid"), Conflict),
    ):
        with pytest.raises(error):
            await store.do(deed)
    assert await directory.ask(lists.by_address, Address("fresh", "acme.test")) is None
    assert await store.do(DeleteList(sales))


async def test_whatever_happens_the_members_are_those_whom_the_filter_means(directory: Directory) -> None:
    chance = random.Random(7)
    store = directory.store
    other = await store.do(CreateDomain("other.test"))
    classes = [await store.do(CreateCos(name)) for name in ("staff", "guest")]
    filters = ("(department=a)", "(!(department=a))", "(|(cos=staff)(status=locked))", "(&(mail=x*)(title=*))", "(displayName=*b*)")
    groups = [await made(directory, f"g{number}@{chance.choice(('acme.test', 'other.test'))}", one) for number, one in enumerate(filters)]
    people_there = [directory.anna, directory.bruno]
    names = count()
    for _ in range(120):
        who = chance.choice(people_there)
        fresh = Address(f"{chance.choice('xyz')}{next(names)}", chance.choice(("acme.test", "other.test")))
        match chance.randrange(10):
            case 0:
                people_there.append(await store.do(CreateAccount(fresh, personal={"department": chance.choice("ab")})))
            case 1 if len(people_there) > 2:
                people_there.remove(who)
                await store.do(DeleteAccount(who))
            case 2:
                await store.do(RenameAccount(who, fresh))
            case 3:
                await store.do(AddAlias(who, fresh))
            case 4:
                await store.do(SetAccountStatus(who, chance.choice((AccountStatus.ACTIVE, AccountStatus.LOCKED))))
            case 5:
                await store.do(SetAccountCos(who, chance.choice((None, *classes))))
            case 6:
                await store.do(SetDomainCos(chance.choice((directory.acme, other)), chance.choice((None, *classes))))
            case 7:
                await store.do(ModifyAccount(who, chance.choice(("Abe", "Eve", None)), personal={"title": chance.choice(("", "Dr"))}))
            case _:
                await store.do(ModifyAccount(who, personal={"department": chance.choice(("", "a", "A", "b"))}))
        for group, text in zip(groups, filters, strict=True):
            row = await directory.ask(lists.by_id, group)
            assert row is not None
            expected = {
                one.account for one in await directory.ask(people.entries, row.domain) if matches(people.read_filter(text), one.values)
            }
            assert {member.id for member in await directory.ask(lists.members, group)} == expected, text


async def test_personal_values_are_merged_and_checked(directory: Directory) -> None:
    store, anna = directory.store, directory.anna
    await store.do(ModifyAccount(anna, personal={"sn": " Lovelace ", "givenName": "Ada"}))
    await store.do(ModifyAccount(anna, personal={"givenName": "", "title": "Dr"}))
    assert await directory.ask(people.personal, anna) == {"sn": "Lovelace", "title": "Dr"}
    for bad in ({"nosuch": "x"}, {"sn": "x\x00y"}, {"sn": "x" * 257}):
        with pytest.raises(Conflict):
            await store.do(ModifyAccount(anna, "changed too", personal=bad))
    row = await directory.ask(accounts.by_id, anna)
    assert row is not None
    assert row.display_name == "Anna"


async def test_what_was_changed_in_between_is_not_undone(directory: Directory) -> None:
    store, anna = directory.store, directory.anna
    await store.do(ModifyAccount(anna, values={"quota": "1g"}))
    with pytest.raises(Stale):
        await store.do(ModifyAccount(anna, values={"quota": "3g"}, were={"quota": ""}))
    await store.do(ModifyAccount(anna, values={"quota": "3g"}, were={"quota": "1g"}))
    team = await store.do(CreateList(Address("team", "acme.test"), owners=[anna]))
    with pytest.raises(Stale):
        await store.do(ModifyList(team, owners=[directory.bruno], owners_were=[]))
    await store.do(ModifyList(team, owners=[directory.bruno], owners_were=[anna]))
    row = await directory.ask(lists.by_id, team)
    assert row is not None
    assert row.owners == (directory.bruno,)
    with pytest.raises(Stale):
        await store.do(ModifyCos(cos.DEFAULT, values={"quota": "1g"}, were={"quota": "2g"}))
