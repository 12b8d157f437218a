import sqlite3

import pytest

from policy.grants import FolderEntry, Grantee, GranteeKind, SendGrant, SendRight
from policy.identity import AccountId, Address
from policy.login import Failure
from policy.rights import Right
from policy.status import AccountStatus, DomainStatus
from store import accounts, addresses, folders, grants, lists, login
from store.accounts import (
    CreateAccount,
    DeleteAccount,
    ModifyAccount,
    RenameAccount,
    SetAccountCos,
    SetAccountStatus,
    SetGlobalAdministrator,
    SetMustChangePassword,
    SetVerifier,
)
from store.addresses import AddAlias
from store.cos import CreateCos
from store.domains import CreateAliasDomain, CreateDomain, ModifyDomain
from store.errors import Conflict, LimitReached, NotFound
from store.lists import AddMembers, CreateList
from store.login import RecordFailure, RememberSource
from store.model import AccountRow
from tests.store.behind import Behind
from tests.store.conftest import START, Directory

GONE = AccountId(999)


async def row_of(directory: Directory, account: AccountId) -> AccountRow:
    row = await directory.ask(accounts.by_id, account)
    assert row is not None
    return row


async def test_a_new_account_has_what_it_was_given_and_its_folders(directory: Directory) -> None:
    account = await directory.store.do(
        CreateAccount(
            Address("Carla", "acme.test"), "Carla C.", "$argon2id$x", values={"quota": "2g"}, must_change_password=True, note="new"
        )
    )
    row = await row_of(directory, account)
    assert (row.address, row.display_name, row.verifier, row.note) == (Address("carla", "acme.test"), "Carla C.", "$argon2id$x", "new")
    assert (row.must_change_password, row.is_global_administrator, row.used, row.created, row.last_login) == (True, False, 0, START, None)
    assert row.values.quota == 2 << 30
    paths = [folder.path for folder in await directory.ask(folders.of_owner, account)]
    assert {"/", "/INBOX", "/Drafts", "/Sent", "/Trash", "/Junk", "/Calendar"} <= set(paths)


async def test_it_is_found_by_every_address_it_has(directory: Directory) -> None:
    await directory.store.do(AddAlias(directory.anna, Address("post", "acme.test")))
    for local in ("anna", "post", "Anna+tag"):
        row = await directory.ask(accounts.by_address, Address(local, "acme.test"))
        assert row is not None
        assert row.id == directory.anna
    await directory.store.do(CreateList(Address("team", "acme.test")))
    assert await directory.ask(accounts.by_address, Address("team", "acme.test")) is None


async def test_who_logs_in_is_found_by_every_name_but_nothing_is_cut_off(directory: Directory) -> None:
    await directory.store.do(AddAlias(directory.anna, Address("post", "acme.test")))
    await directory.store.do(CreateAliasDomain("acme.example", directory.acme))
    await directory.store.do(CreateList(Address("team", "acme.test")))
    row = await row_of(directory, directory.anna)
    for name in ("anna@acme.test", "ANNA@acme.test", "post@acme.test", "anna@acme.example"):
        assert await directory.ask(accounts.named, Address(*name.split("@"))) == row, name
    for name in ("anna+tag@acme.test", "team@acme.test", "nobody@acme.test", "anna@elsewhere.test"):
        assert await directory.ask(accounts.named, Address(*name.split("@"))) is None, name


async def test_a_refused_creation_leaves_nothing(directory: Directory) -> None:
    for deed, refusal in (
        (CreateAccount(Address("anna", "acme.test")), Conflict),
        (CreateAccount(Address("new", "elsewhere.test")), NotFound),
        (CreateAccount(Address("new", "acme.test"), cos=type(accounts.cos.DEFAULT)(99)), NotFound),
        (CreateAccount(Address("new", "acme.test"), values={"nonsense": "1"}), Conflict),
    ):
        with pytest.raises(refusal):
            await directory.store.do(deed)
    assert len(await directory.ask(accounts.of_domain)) == 2
    assert await directory.ask(addresses.resolve, Address("new", "acme.test")) is None


async def test_a_domain_has_no_more_accounts_than_it_may(directory: Directory) -> None:
    await directory.store.do(ModifyDomain(directory.acme, max_accounts=3))
    await directory.account("third")
    with pytest.raises(LimitReached):
        await directory.account("fourth")
    await directory.store.do(CreateDomain("other.test"))
    elsewhere = await directory.account("x", "other.test")
    with pytest.raises(LimitReached):
        await directory.store.do(RenameAccount(elsewhere, Address("x", "acme.test")))
    await directory.store.do(RenameAccount(directory.anna, Address("anne", "acme.test")))


async def test_the_domains_status_lies_over_the_accounts(directory: Directory) -> None:
    await directory.store.do(SetAccountStatus(directory.anna, AccountStatus.LOCKED))
    await directory.store.do(SetGlobalAdministrator(directory.bruno, True))
    await directory.store.do(ModifyDomain(directory.acme, status=DomainStatus.SUSPENDED))
    anna, bruno = await row_of(directory, directory.anna), await row_of(directory, directory.bruno)
    assert (anna.own_status, anna.status) == (AccountStatus.LOCKED, AccountStatus.MAINTENANCE)
    assert (bruno.own_status, bruno.status) == (AccountStatus.ACTIVE, AccountStatus.ACTIVE)


async def test_who_administers_everything(directory: Directory) -> None:
    assert await directory.ask(accounts.global_administrators) == []
    for account in (directory.bruno, directory.anna):
        await directory.store.do(SetGlobalAdministrator(account, True))
    assert await directory.ask(accounts.global_administrators) == sorted([directory.anna, directory.bruno])
    await directory.store.do(SetGlobalAdministrator(directory.bruno, False))
    assert await directory.ask(accounts.global_administrators) == [directory.anna]


async def test_a_new_password_or_active_forgets_failures_and_lockout(directory: Directory) -> None:
    for deed in (SetVerifier(directory.anna, "new"), SetAccountStatus(directory.anna, AccountStatus.ACTIVE)):
        for attempt in range(10):
            await directory.store.do(RecordFailure(directory.anna, Failure(START, "192.0.2.0/24", attempt)))
        assert (await directory.ask(login.history, directory.anna)).locked_until is not None
        await directory.store.do(deed)
        assert await directory.ask(login.history, directory.anna) == login.FailureHistory()
    await directory.store.do(RecordFailure(directory.anna, Failure(START, "192.0.2.0/24", 1)))
    await directory.store.do(SetAccountStatus(directory.anna, AccountStatus.LOCKED))
    assert len((await directory.ask(login.history, directory.anna)).failures) == 1
    row = await row_of(directory, directory.anna)
    assert (row.verifier, row.must_change_password) == ("new", False)


async def test_verifiers_are_in_no_repr() -> None:
    assert "secret" not in repr(SetVerifier(GONE, "secret")) + repr(CreateAccount(Address("a", "b"), verifier="secret"))


async def test_renaming_keeps_everything_but_the_address(directory: Directory) -> None:
    other = await directory.store.do(CreateDomain("other.test"))
    team = await directory.store.do(CreateList(Address("team", "acme.test")))
    await directory.store.do(AddMembers(team, [Address("anna", "acme.test")]))
    await directory.store.do(AddAlias(directory.anna, Address("post", "acme.test")))
    await directory.store.do(RenameAccount(directory.anna, Address("Anne", "other.test")))
    row = await row_of(directory, directory.anna)
    assert (row.address, row.domain) == (Address("anne", "other.test"), other)
    assert await directory.ask(addresses.of, directory.anna) == [Address("anne", "other.test"), Address("post", "acme.test")]
    assert await directory.ask(addresses.resolve, Address("anna", "acme.test")) is None
    standing = await directory.ask(lists.standing, directory.anna)
    assert standing is not None
    assert (standing.domain, dict(standing.groups)) == (other, {team: (team,)})


async def test_an_alias_may_become_the_primary_address(directory: Directory) -> None:
    await directory.store.do(AddAlias(directory.anna, Address("post", "acme.test")))
    await directory.store.do(RenameAccount(directory.anna, Address("post", "acme.test")))
    assert await directory.ask(addresses.of, directory.anna) == [Address("post", "acme.test")]
    with pytest.raises(Conflict):
        await directory.store.do(RenameAccount(directory.anna, Address("bruno", "acme.test")))


async def test_a_deleted_account_leaves_no_row_that_names_it(directory: Directory, behind: Behind) -> None:
    store, anna, bruno = directory.store, directory.anna, directory.bruno
    team = await store.do(CreateList(Address("team", "acme.test"), owners=(anna,)))
    await store.do(AddMembers(team, [Address("anna", "acme.test")]))
    await store.do(AddAlias(anna, Address("post", "acme.test")))
    await store.do(RecordFailure(anna, Failure(START, "192.0.2.0/24", 1)))
    await store.do(RememberSource(anna, "192.0.2.0/24"))
    for owner, to in ((anna, bruno), (bruno, anna)):
        root = await directory.ask(folders.by_path, owner, "/")
        assert root is not None
        await store.do(grants.SetFolderEntry(root.id, FolderEntry(Grantee(GranteeKind.ACCOUNT, to), Right.READ)))
        await store.do(grants.SetSendGrant(SendGrant(owner, Grantee(GranteeKind.ACCOUNT, to), SendRight.SEND_AS)))
    async with store.snapshot() as snapshot:
        before = await snapshot.witness(bruno)

    assert await store.do(DeleteAccount(anna)) is True
    assert await store.do(DeleteAccount(anna)) is False

    async with store.snapshot() as snapshot:
        assert not await snapshot.confirms(before), "bruno had granted her something"
    named = {
        table: behind.execute("SELECT COUNT(*) FROM {} WHERE {}".format(table, condition.replace(":anna", str(anna)))).fetchone()[0]
        for table, condition in {
            "object": "id = :anna",
            "account": "id = :anna",
            "address": "object = :anna",
            "list_owner": "account = :anna",
            "list_member": "member = :anna",
            "folder": "owner = :anna",
            "folder_entry": "owner = :anna OR grantee_kind = 'account' AND grantee = :anna",
            "send_grant": "target = :anna OR grantee_kind = 'account' AND grantee = :anna",
            "login_failure": "account = :anna",
            "lockout": "account = :anna",
            "known_source": "account = :anna",
        }.items()
    }
    assert set(named.values()) == {0}, named
    if isinstance(behind, sqlite3.Connection):  # PostgreSQL checks them always
        assert behind.execute("PRAGMA foreign_key_check").fetchall() == []
    assert await directory.account("anna") > anna, "an id is never used again"


@pytest.mark.parametrize(
    "deed",
    [
        ModifyAccount(GONE, note="x"),
        SetAccountCos(GONE, None),
        SetAccountStatus(GONE, AccountStatus.CLOSED),
        SetVerifier(GONE, "x"),
        SetMustChangePassword(GONE, True),
        SetGlobalAdministrator(GONE, True),
        RenameAccount(GONE, Address("x", "acme.test")),
        RecordFailure(GONE, Failure(START, "x", None)),
    ],
    ids=lambda deed: type(deed).__name__,
)
async def test_who_is_not_there_is_named(directory: Directory, deed: ModifyAccount) -> None:
    with pytest.raises(NotFound, match="account 999"):
        await directory.store.do(deed)


async def test_what_policy_reads_about_an_account_bumps_its_epoch(directory: Directory) -> None:
    anna = directory.anna
    for deed in (
        ModifyAccount(anna, values={"quota": "1g"}),
        SetAccountCos(anna, accounts.cos.DEFAULT),
        SetAccountStatus(anna, AccountStatus.LOCKED),
        SetVerifier(anna, "x"),
        SetMustChangePassword(anna, True),
        SetGlobalAdministrator(anna, True),
        RenameAccount(anna, Address("anne", "acme.test")),
        AddAlias(anna, Address("post", "acme.test")),
        DeleteAccount(anna),
    ):
        async with directory.store.snapshot() as snapshot:
            before = await snapshot.witness(anna)
        await directory.store.do(deed)
        async with directory.store.snapshot() as snapshot:
            after = await snapshot.witness(anna)
        assert dict(after.epochs)[anna] > dict(before.epochs)[anna], deed


async def test_pages_of_accounts(directory: Directory) -> None:
    for number in range(5):
        await directory.account(f"u{number}")
    first = await directory.ask(accounts.of_domain, directory.acme, None, 3)
    second = await directory.ask(accounts.of_domain, directory.acme, first[-1].id, 100)
    assert [row.address.local for row in (*first, *second)] == ["anna", "bruno", "u0", "u1", "u2", "u3", "u4"]


async def test_who_may_be_allowed_a_foreign_address(directory: Directory) -> None:
    far = Address("Me", "far.test")
    await directory.store.do(ModifyAccount(directory.anna, values={"allow_from_addresses": "you@far.test, ME@far.test"}))
    assert await directory.ask(accounts.allowed_from, far, 10) == [directory.anna]
    assert await directory.ask(accounts.allowed_from, Address("me", "elsewhere.test"), 10) == []
    free = await directory.store.do(CreateCos("free", {"allow_any_from": "TRUE"}))
    await directory.store.do(SetAccountCos(directory.bruno, free))
    assert await directory.ask(accounts.allowed_from, far, 10) == [directory.anna, directory.bruno]
    assert await directory.ask(accounts.allowed_from, far, 1) == [directory.anna]
