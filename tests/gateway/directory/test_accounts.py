"""Accounts: what a change reaches, what goes with an account, what inheritance gives."""

import pytest

from gateway.directory.accounts import AccountChanges
from gateway.directory.faults import Fault
from policy.status import AccountStatus
from store.model import Verifiers
from tests.gateway.administration import Office


@pytest.fixture
async def people(office: Office) -> Office:
    await office.done("cd acme.test", "cc staff quota 5m", "cc guests quota 1m", "ca anna@acme.test ''")
    return office


async def quota(office: Office) -> int:
    return (await office.directory.accounts.get("anna@acme.test")).row.values.quota


async def test_own_then_class_then_default(people: Office) -> None:
    accounts, mega = people.directory.accounts, 1 << 20
    assert await quota(people) == 0
    await people.done("md acme.test cos guests")
    assert await quota(people) == mega
    await accounts.modify("anna@acme.test", AccountChanges(cos="staff"))
    assert await quota(people) == 5 * mega
    await accounts.modify("anna@acme.test", AccountChanges(values={"quota": "9m"}))
    assert await quota(people) == 9 * mega
    await people.done("mc staff quota 7m")
    assert await quota(people) == 9 * mega
    await accounts.modify("anna@acme.test", AccountChanges(values={"quota": ""}))
    assert await quota(people) == 7 * mega
    await accounts.modify("anna@acme.test", AccountChanges(cos=""))
    assert await quota(people) == mega


async def test_a_change_is_whole_or_nothing(people: Office) -> None:
    with pytest.raises(Fault, match=r"account\.NO_SUCH_COS"):
        await people.directory.accounts.modify("anna@acme.test", AccountChanges(status=AccountStatus.LOCKED, cos="nobody"))
    assert (await people.directory.accounts.get("anna@acme.test")).row.own_status is AccountStatus.ACTIVE


async def test_grants_and_memberships_follow_a_new_name_and_go_with_the_account(people: Office) -> None:
    await people.done(
        "ca bob@acme.test ''",
        "cdl team@acme.test",
        "adlm team@acme.test bob@acme.test",
        "sm anna@acme.test mfg / account bob@acme.test r",
        "ra bob@acme.test rob@acme.test",
    )
    (entry,) = await people.directory.mailboxes.entries("anna@acme.test", "/")
    assert entry.name == "rob@acme.test"
    assert [one.name for one in await people.directory.accounts.memberships("rob@acme.test")] == ["team@acme.test"]
    await people.directory.accounts.delete("rob@acme.test")
    assert await people.directory.mailboxes.entries("anna@acme.test", "/") == []
    assert (await people.directory.lists.get("team@acme.test")).members == []


async def test_an_address_of_an_alias_domain_is_made_in_its_target(people: Office) -> None:
    await people.done("cad acme.example acme.test")
    with pytest.raises(Fault, match="make the address there"):
        await people.directory.accounts.create("bob@acme.example", Verifiers(), AccountChanges())
    with pytest.raises(Fault, match="make the address there"):
        await people.directory.accounts.add_alias("anna@acme.test", "a@acme.example")
    assert (await people.directory.accounts.get("anna@acme.example")).row.address.domain == "acme.test"


async def test_every_page_is_listed(people: Office) -> None:
    for number in range(205):
        await people.directory.accounts.create(f"u{number}@acme.test", Verifiers(), AccountChanges())
    assert [one.row.address.local async for one in people.directory.accounts.all("acme.test")][-1] == "u204"


async def test_the_empty_password_is_no_password(people: Office) -> None:
    assert await people.directory.accounts.verifiers("") == Verifiers()
    assert (await people.directory.accounts.verifiers("x")).argon2.startswith("$argon2id$")
    for text in ("a\0b", "x" * 1025, "\udcff"):
        with pytest.raises(Fault):
            await people.directory.accounts.verifiers(text)
