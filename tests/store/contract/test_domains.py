import pytest

from policy.grants import FolderEntry, Grantee, GranteeKind
from policy.identity import Address, DomainId
from policy.rights import Right
from policy.status import DomainStatus
from store import accounts, domains, folders, grants
from store.cos import CreateCos
from store.domains import CreateAliasDomain, CreateDomain, DeleteDomain, ModifyDomain, SetDomainCos
from store.errors import Conflict, NotFound
from store.port import DIRECTORY
from tests.store.conftest import Directory


async def test_a_domain_is_found_by_name_and_by_id(directory: Directory) -> None:
    row = await directory.ask(domains.by_name, "acme.test")
    assert row is not None
    assert (row.id, row.status, row.delimiter, row.alias_of, row.cos) == (directory.acme, DomainStatus.ACTIVE, "+", None, None)
    assert await directory.ask(domains.by_id, directory.acme) == row
    assert await directory.ask(domains.by_name, "other.test") is None


@pytest.mark.parametrize("name", ["acme.test", "ACME.test", "münchen.test", ""])
async def test_a_name_that_is_taken_or_no_a_label_is_refused(directory: Directory, name: str) -> None:
    with pytest.raises(Conflict):
        await directory.store.do(CreateDomain(name))


async def test_an_alias_domain_serves_its_target(directory: Directory) -> None:
    alias = await directory.store.do(CreateAliasDomain("acme.example", directory.acme))
    row, serving = await directory.ask(domains.by_name, "acme.example"), await directory.ask(domains.serving, "acme.example")
    assert row is not None
    assert serving is not None
    assert (row.id, row.alias_of, serving.id) == (alias, directory.acme, directory.acme)
    assert await directory.ask(domains.aliases_of, directory.acme) == ["acme.example"]
    with pytest.raises(Conflict, match="alias domain itself"):
        await directory.store.do(CreateAliasDomain("third.test", alias))
    with pytest.raises(NotFound):
        await directory.store.do(CreateAliasDomain("third.test", DomainId(99)))


async def test_what_is_not_named_stays(directory: Directory) -> None:
    await directory.store.do(ModifyDomain(directory.acme, note="main", delimiter="-"))
    await directory.store.do(ModifyDomain(directory.acme, status=DomainStatus.SUSPENDED, max_accounts=7))
    row = await directory.ask(domains.by_id, directory.acme)
    assert row is not None
    assert (row.note, row.delimiter, row.status, row.max_accounts) == ("main", "-", DomainStatus.SUSPENDED, 7)


async def test_a_domain_that_is_not_empty_stays(directory: Directory) -> None:
    with pytest.raises(Conflict, match="not empty"):
        await directory.store.do(DeleteDomain(directory.acme))
    for account in (directory.anna, directory.bruno):
        await directory.store.do(accounts.DeleteAccount(account))
    await directory.store.do(CreateAliasDomain("acme.example", directory.acme))
    with pytest.raises(Conflict, match="not empty"):
        await directory.store.do(DeleteDomain(directory.acme))


async def test_with_a_domain_the_grants_to_it_go(directory: Directory) -> None:
    other = await directory.store.do(CreateDomain("other.test"))
    root = await directory.ask(folders.by_path, directory.anna, "/")
    assert root is not None
    await directory.store.do(grants.SetFolderEntry(root.id, FolderEntry(Grantee(GranteeKind.DOMAIN, other), Right.READ)))
    async with directory.store.snapshot() as snapshot:
        before = await snapshot.witness(directory.anna)
    await directory.store.do(DeleteDomain(other))
    assert await directory.ask(grants.entries, root.id) == []
    assert await directory.ask(domains.by_id, other) is None
    async with directory.store.snapshot() as snapshot:
        after = await snapshot.witness(directory.anna)
    assert [new - old for (_, old), (_, new) in zip(before.epochs, after.epochs, strict=True)] == [1, 1]
    assert [scope for scope, _ in after.epochs] == [DIRECTORY, directory.anna]


async def test_its_class_of_service_must_exist(directory: Directory) -> None:
    cos = await directory.store.do(CreateCos("gold"))
    await directory.store.do(SetDomainCos(directory.acme, cos))
    row = await directory.ask(accounts.by_id, directory.anna)
    assert row is not None
    assert row.cos == cos
    with pytest.raises(NotFound):
        await directory.store.do(SetDomainCos(directory.acme, type(cos)(99)))
    with pytest.raises(NotFound):
        await directory.store.do(CreateDomain("new.test", cos=type(cos)(99)))


async def test_accounts_are_counted(directory: Directory) -> None:
    assert await directory.ask(domains.count_accounts, directory.acme) == 2
    assert Address("anna", "acme.test") in [row.address for row in await directory.ask(accounts.of_domain, directory.acme)]
    assert [row.name for row in await directory.ask(domains.all_of_them)] == ["acme.test"]
