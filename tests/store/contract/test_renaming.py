import pytest

from policy.identity import Address, DomainId
from store import accounts, addresses, domains, dynamic
from store.accounts import ModifyAccount
from store.addresses import AddAlias
from store.domains import CreateAliasDomain, CreateDomain
from store.dynamic import CreateDynamicList
from store.errors import Conflict, NotFound
from store.lists import AddMembers, CreateList
from store.renaming import RenameDomain
from tests.store.conftest import Directory


async def test_who_and_what_is_in_it_has_the_new_name(directory: Directory) -> None:
    team = await directory.store.do(CreateList(Address("team", "acme.test")))
    await directory.store.do(AddMembers(team, (Address("anna", "acme.test"),)))
    await directory.store.do(AddAlias(directory.anna, Address("ann", "acme.test")))
    await directory.store.do(ModifyAccount(directory.anna, values={"delegated_sender_addresses": "ann@acme.test", "quota": "5"}))
    text = "(|(&(domain=acme.test)(mail=a*@acme.test))(!(mail=*@acme.test)))"
    staff = await directory.store.do(CreateDynamicList(CreateList(Address("staff", "acme.test")), text))
    await directory.store.do(RenameDomain(directory.acme, "new.test"))
    assert await directory.ask(addresses.of, directory.anna) == [Address("anna", "new.test"), Address("ann", "new.test")]
    row = await directory.ask(accounts.by_id, directory.anna)
    assert row is not None
    assert (row.address, row.domain) == (Address("anna", "new.test"), directory.acme)
    assert row.own_values == {"delegated_sender_addresses": "ann@new.test", "quota": "5"}
    assert await directory.ask(dynamic.filter_of, staff) == text.replace("acme.test", "new.test")
    assert await directory.ask(accounts.by_address, Address("anna", "acme.test")) is None
    await directory.store.do(RenameDomain(directory.acme, "acme.test"))
    assert await directory.ask(dynamic.filter_of, staff) == text
    row = await directory.ask(accounts.by_id, directory.anna)
    assert row is not None
    assert row.own_values == {"delegated_sender_addresses": "ann@acme.test", "quota": "5"}


async def test_the_old_name_may_stay_and_an_own_alias_may_become_the_name(directory: Directory) -> None:
    await directory.store.do(CreateAliasDomain("acme.example", directory.acme))
    await directory.store.do(RenameDomain(directory.acme, "acme.example", keep=True))
    assert await directory.ask(domains.aliases_of, directory.acme) == ["acme.test"]
    for name in ("acme.test", "acme.example"):
        row = await directory.ask(accounts.by_address, Address("anna", name))
        assert row is not None
        assert row.id == directory.anna
    await directory.store.do(RenameDomain(directory.acme, "acme.test"))
    assert [row.name for row in await directory.ask(domains.all_of_them)] == ["acme.test"]


async def test_what_cannot_be_changes_nothing(directory: Directory) -> None:
    other = await directory.store.do(CreateDomain("other.test"))
    await directory.store.do(CreateAliasDomain("other.example", other))
    for name in ("other.test", "other.example", "NEW.test", ""):
        with pytest.raises(Conflict):
            await directory.store.do(RenameDomain(directory.acme, name))
    with pytest.raises(NotFound):
        await directory.store.do(RenameDomain(DomainId(99), "new.test"))
    await directory.store.do(RenameDomain(directory.acme, "acme.test"))
    assert [row.name for row in await directory.ask(domains.all_of_them)] == ["acme.test", "other.example", "other.test"]
