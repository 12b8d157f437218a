import pytest

from policy.cos import DEFAULTS, DelegatedSent
from policy.grants import FolderEntry, Grantee, GranteeKind, SendGrant, SendRight
from policy.rights import Right
from store import accounts, cos, folders, grants
from store.accounts import ModifyAccount, SetAccountCos
from store.cos import DEFAULT, CreateCos, DeleteCos, ModifyCos
from store.domains import SetDomainCos
from store.errors import Conflict, NotFound
from tests.store.conftest import Directory


async def test_default_is_there_from_the_start_and_stays(directory: Directory) -> None:
    row = await directory.ask(cos.by_name, "default")
    assert row is not None
    assert row.id == DEFAULT
    with pytest.raises(Conflict):
        await directory.store.do(DeleteCos(DEFAULT, reassign=True))
    with pytest.raises(Conflict):
        await directory.store.do(ModifyCos(DEFAULT, name="other"))


async def test_a_value_comes_from_the_account_else_its_class_else_the_domains_else_default(directory: Directory) -> None:
    async def delegated_sent() -> DelegatedSent:
        row = await directory.ask(accounts.by_id, directory.anna)
        assert row is not None
        return row.values.delegated_sent

    store = directory.store
    assert await delegated_sent() is DEFAULTS.delegated_sent is DelegatedSent.OWNER
    await store.do(ModifyCos(DEFAULT, values={"delegated_sent": "both"}))
    assert await delegated_sent() is DelegatedSent.BOTH
    gold = await store.do(CreateCos("gold", {"delegated_sent": "sender"}))
    await store.do(SetDomainCos(directory.acme, gold))
    assert await delegated_sent() is DelegatedSent.SENDER
    plain = await store.do(CreateCos("plain"))
    await store.do(SetAccountCos(directory.anna, plain))
    assert await delegated_sent() is DelegatedSent.OWNER, "another class's values are not inherited through default"
    await store.do(ModifyAccount(directory.anna, values={"delegated_sent": "none"}))
    assert await delegated_sent() is DelegatedSent.NONE
    await store.do(ModifyAccount(directory.anna, values={"delegated_sent": ""}))
    assert await delegated_sent() is DelegatedSent.OWNER
    await store.do(SetAccountCos(directory.anna, None))
    assert await delegated_sent() is DelegatedSent.SENDER


@pytest.mark.parametrize("values", [{"is_global_administrator": "TRUE"}, {"quota": "lots"}, {"delegated_sent": "nobody"}])
async def test_what_is_no_value_is_refused(directory: Directory, values: dict[str, str]) -> None:
    with pytest.raises(Conflict):
        await directory.store.do(CreateCos("gold", values))
    with pytest.raises(Conflict):
        await directory.store.do(ModifyAccount(directory.anna, values=values))


async def test_one_in_use_goes_only_when_its_users_may_fall_back(directory: Directory) -> None:
    gold = await directory.store.do(CreateCos("gold"))
    await directory.store.do(SetAccountCos(directory.anna, gold))
    with pytest.raises(Conflict, match="in use"):
        await directory.store.do(DeleteCos(gold))
    root = await directory.ask(folders.by_path, directory.bruno, "/")
    assert root is not None
    to_gold = Grantee(GranteeKind.COS, gold)
    await directory.store.do(grants.SetFolderEntry(root.id, FolderEntry(to_gold, Right.READ)))
    await directory.store.do(grants.SetSendGrant(SendGrant(directory.bruno, to_gold, SendRight.SEND_AS)))
    await directory.store.do(DeleteCos(gold, reassign=True))
    row = await directory.ask(accounts.by_id, directory.anna)
    assert row is not None
    assert (row.own_cos, row.cos) == (None, DEFAULT)
    assert await directory.ask(grants.entries, root.id) == []
    assert await directory.ask(grants.send_grants_on, directory.bruno) == []


async def test_names_are_unique(directory: Directory) -> None:
    gold = await directory.store.do(CreateCos("gold"))
    with pytest.raises(Conflict):
        await directory.store.do(CreateCos("gold"))
    with pytest.raises(Conflict):
        await directory.store.do(ModifyCos(gold, name="default"))
    with pytest.raises(Conflict):
        await directory.store.do(CreateCos(""))
    await directory.store.do(ModifyCos(gold, name="silver", note="was gold"))
    assert [(row.name, row.note) for row in await directory.ask(cos.all_of_them)] == [("default", ""), ("silver", "was gold")]
    with pytest.raises(NotFound):
        await directory.store.do(DeleteCos(type(gold)(99)))
