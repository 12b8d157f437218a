import pytest

from policy.identity import Address
from store import addresses
from store.addresses import AddAlias, ObjectKind, RemoveAlias
from store.domains import CreateAliasDomain, CreateDomain, ModifyDomain
from store.errors import Conflict, NotFound
from store.lists import CreateList
from tests.store.conftest import Directory

POST = Address("post", "acme.test")


async def leads_to(directory: Directory, address: str) -> tuple[int, bool] | None:
    local, domain = address.split("@")
    found = await directory.ask(addresses.resolve, Address(local, domain))
    return None if found is None else (found.id, found.tag_cut)


async def test_an_address_that_exists_is_itself_and_only_others_lose_their_tag(directory: Directory) -> None:
    anna = directory.anna
    tagged = await directory.account("anna+news")
    other = await directory.store.do(CreateDomain("other.test", delimiter="-"))
    ben = await directory.account("ben", "other.test")
    for address, expected in {
        "anna@acme.test": (anna, False),
        "ANNA@acme.test": (anna, False),
        "anna+x@acme.test": (anna, True),
        "Anna+X+y@acme.test": (anna, True),
        "anna+news@acme.test": (tagged, False),
        "anna+news+more@acme.test": (anna, True),
        "anna+@acme.test": (anna, True),
        "+anna@acme.test": None,
        "nobody@acme.test": None,
        "nobody+x@acme.test": None,
        "anna@elsewhere.test": None,
        "ben-x@other.test": (ben, True),
        "ben+x@other.test": None,
    }.items():
        assert await leads_to(directory, address) == expected, address
    await directory.store.do(ModifyDomain(other, delimiter=""))
    assert await leads_to(directory, "ben-x@other.test") is None


async def test_only_a_to_z_are_folded(directory: Directory) -> None:
    umlaut = await directory.account("ärger")
    assert await leads_to(directory, "ärGER@acme.test") == (umlaut, False)
    assert await leads_to(directory, "Ärger@acme.test") is None


async def test_every_address_exists_in_alias_domains_too(directory: Directory) -> None:
    await directory.store.do(AddAlias(directory.anna, POST))
    await directory.store.do(CreateAliasDomain("acme.example", directory.acme))
    found = await directory.ask(addresses.resolve, Address("POST+x", "acme.example"))
    assert found == addresses.Resolved(ObjectKind.ACCOUNT, directory.anna, Address("anna", "acme.test"), POST, True)
    with pytest.raises(Conflict, match="alias domain"):
        await directory.account("new", "acme.example")


async def test_an_address_belongs_to_one(directory: Directory) -> None:
    team = await directory.store.do(CreateList(Address("team", "acme.test")))
    await directory.store.do(AddAlias(directory.anna, Address("Post", "acme.test")))
    for taken in ("anna", "POST", "team"):
        with pytest.raises(Conflict, match="exists"):
            await directory.store.do(AddAlias(directory.bruno, Address(taken, "acme.test")))
        with pytest.raises(Conflict, match="exists"):
            await directory.account(taken)
        with pytest.raises(Conflict, match="exists"):
            await directory.store.do(CreateList(Address(taken, "acme.test")))
    with pytest.raises(NotFound):
        await directory.store.do(AddAlias(directory.anna, Address("anna", "elsewhere.test")))
    with pytest.raises(NotFound):
        await directory.store.do(AddAlias(999, Address("free", "acme.test")))
    assert await directory.ask(addresses.of, directory.anna) == [Address("anna", "acme.test"), POST]
    assert await directory.ask(addresses.aliases, directory.anna) == [POST]
    assert await directory.ask(addresses.aliases, team) == []


async def test_an_alias_is_taken_away_from_whom_it_belongs_to_only(directory: Directory) -> None:
    await directory.store.do(AddAlias(directory.anna, POST))
    with pytest.raises(NotFound):
        await directory.store.do(RemoveAlias(directory.bruno, POST))
    with pytest.raises(Conflict, match="primary"):
        await directory.store.do(RemoveAlias(directory.anna, Address("anna", "acme.test")))
    await directory.store.do(RemoveAlias(directory.anna, POST))
    assert await leads_to(directory, "post@acme.test") is None
    await directory.store.do(AddAlias(directory.bruno, POST))
    assert await leads_to(directory, "post@acme.test") == (directory.bruno, False)


async def test_primary_tells_what_an_id_is(directory: Directory) -> None:
    team = await directory.store.do(CreateList(Address("team", "acme.test")))
    found = await directory.ask(addresses.primary, team)
    assert found is not None
    assert (found.kind, found.address) == (ObjectKind.LIST, Address("team", "acme.test"))
    assert await directory.ask(addresses.primary, 999) is None
