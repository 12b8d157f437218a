from dataclasses import replace

import pytest

from policy.grants import Grantee, GranteeKind, SendGrant, SendRight
from policy.identity import AccountId, Address, DomainId
from policy.roles import AdminStanding, Role, RoleGrant
from policy.status import AccountStatus, DomainStatus
from store import roles
from store.accounts import CreateAccount, DeleteAccount, RenameAccount, SetAccountStatus, SetGlobalAdministrator
from store.domains import CreateAliasDomain, CreateDomain, DeleteDomain, ModifyDomain
from store.errors import Conflict, NotFound
from store.grants import SetSendGrant
from store.lists import AddMembers, CreateList
from store.port import DIRECTORY
from store.roles import CreateMarked, InitialiseDomain, MarkAdministrator, RemoveRole, SetRole
from tests.store.conftest import SECOND, Clock, Directory

HELP = RoleGrant(Role.HELP_DESK, DomainId(1))


async def standing(directory: Directory, account: AccountId) -> AdminStanding:
    found = await directory.ask(roles.standing, account)
    assert found is not None
    return found


async def test_what_makes_an_administrator_is_kept_piece_by_piece(directory: Directory, clock: Clock) -> None:
    anna, plain = directory.anna, AdminStanding(directory.anna, directory.acme, AccountStatus.ACTIVE)
    assert await standing(directory, anna) == plain
    await directory.store.do(MarkAdministrator(anna, True))
    await directory.store.do(MarkAdministrator(anna, True))
    await directory.store.do(InitialiseDomain(directory.acme))
    grant = RoleGrant(Role.HELP_DESK, directory.acme, clock(), clock() + SECOND, "while Bruno is away")
    await directory.store.do(SetRole(anna, grant))
    assert await standing(directory, anna) == replace(plain, marked=True, initialised=True, grants=(grant,))
    await directory.store.do(SetRole(anna, HELP))
    assert (await standing(directory, anna)).grants == (HELP,)
    assert await directory.store.do(RemoveRole(anna, Role.HELP_DESK)) is True
    assert await directory.store.do(RemoveRole(anna, Role.HELP_DESK)) is False
    await directory.store.do(MarkAdministrator(anna, False))
    await directory.store.do(SetGlobalAdministrator(anna, True))
    assert await standing(directory, anna) == replace(plain, initialised=True, is_global=True)
    assert await directory.ask(roles.standing, AccountId(99)) is None


async def test_a_domain_is_initialised_once(directory: Directory, clock: Clock) -> None:
    assert await directory.ask(roles.initialised, directory.acme) is None
    await directory.store.do(InitialiseDomain(directory.acme))
    since = clock()
    clock.turn(5)
    await directory.store.do(InitialiseDomain(directory.acme))
    assert await directory.ask(roles.initialised, directory.acme) == since
    alias = await directory.store.do(CreateAliasDomain("acme.example", directory.acme))
    with pytest.raises(Conflict):
        await directory.store.do(InitialiseDomain(alias))
    with pytest.raises(NotFound):
        await directory.store.do(InitialiseDomain(DomainId(99)))


@pytest.mark.parametrize(
    "deed",
    [MarkAdministrator(AccountId(99), True), SetRole(AccountId(99), HELP), RemoveRole(AccountId(99), Role.DOMAIN)],
)
async def test_nobody_there(directory: Directory, deed: MarkAdministrator | SetRole | RemoveRole) -> None:
    with pytest.raises(NotFound):
        await directory.store.do(deed)


async def test_roles_that_cannot_be(directory: Directory, clock: Clock) -> None:
    for grant, error in (
        (RoleGrant(Role.GLOBAL, directory.acme), Conflict),
        (RoleGrant(Role.DOMAIN, DomainId(99)), NotFound),
        (RoleGrant(Role.DOMAIN, directory.acme, clock(), clock()), Conflict),
    ):
        with pytest.raises(error):
            await directory.store.do(SetRole(directory.anna, grant))
    assert (await standing(directory, directory.anna)).grants == ()


async def test_a_role_stays_behind_when_its_holder_moves(directory: Directory) -> None:
    await directory.store.do(CreateDomain("other.test"))
    await directory.store.do(SetRole(directory.anna, HELP))
    await directory.store.do(RenameAccount(directory.anna, Address("anna", "other.test")))
    found = await standing(directory, directory.anna)
    assert found.domain != directory.acme
    assert found.grants == (HELP,)


async def test_with_the_account_everything_goes(directory: Directory) -> None:
    other = await directory.store.do(CreateDomain("other.test"))
    await directory.store.do(InitialiseDomain(other))
    carla = await directory.store.do(CreateMarked(CreateAccount(Address("carla", "other.test"))))
    await directory.store.do(SetRole(carla, RoleGrant(Role.DOMAIN, other)))
    assert [one.account for one in await directory.ask(roles.administrators)] == [carla]
    await directory.store.do(DeleteAccount(carla))
    assert await directory.ask(roles.administrators) == []
    await directory.store.do(DeleteDomain(other))
    assert await directory.ask(roles.initialised, other) is None


async def test_everything_a_judgement_rests_on_moves_an_epoch(directory: Directory) -> None:
    anna = directory.anna

    async def moved(*scopes: int) -> bool:
        async with directory.store.snapshot() as snapshot:
            return not await snapshot.confirms(witness)

    for deed in (MarkAdministrator(anna, True), SetRole(anna, HELP), RemoveRole(anna, Role.HELP_DESK), SetGlobalAdministrator(anna, True)):
        async with directory.store.snapshot() as snapshot:
            witness = await snapshot.witness(anna)
        await directory.store.do(deed)
        assert await moved(), deed
    async with directory.store.snapshot() as snapshot:
        witness = await snapshot.witness(DIRECTORY)
    await directory.store.do(InitialiseDomain(directory.acme))
    assert await moved()


async def test_the_domains_status_is_the_administrators(directory: Directory) -> None:
    await directory.store.do(ModifyDomain(directory.acme, DomainStatus.SUSPENDED))
    assert (await standing(directory, directory.anna)).status is AccountStatus.MAINTENANCE


async def test_another_global_administrator_is_one_that_can_come_in(directory: Directory) -> None:
    await directory.store.do(SetGlobalAdministrator(directory.anna, True))
    assert await directory.ask(roles.another_global, directory.anna) is None
    await directory.store.do(SetGlobalAdministrator(directory.bruno, True))
    assert await directory.ask(roles.another_global, directory.anna) == directory.bruno
    await directory.store.do(SetAccountStatus(directory.bruno, AccountStatus.CLOSED))
    assert await directory.ask(roles.another_global, directory.anna) is None


async def test_who_may_log_in_as_an_administrator_through_which_list(directory: Directory) -> None:
    inner = await directory.store.do(CreateList(Address("inner", "acme.test")))
    outer = await directory.store.do(CreateList(Address("outer", "acme.test")))
    await directory.store.do(AddMembers(outer, [Address("inner", "acme.test")]))
    await directory.store.do(AddMembers(inner, [Address("bruno", "acme.test")]))
    grant = SendGrant(directory.anna, Grantee(GranteeKind.GROUP, outer), SendRight.LOGIN_AS)
    await directory.store.do(SetSendGrant(grant))
    assert (await directory.ask(roles.reached_through, inner))[1] == []  # anna is no administrator yet
    await directory.store.do(MarkAdministrator(directory.anna, True))
    for holder in (inner, outer, directory.bruno):
        within, reached = await directory.ask(roles.reached_through, holder)
        assert set(within) >= {holder, outer}
        assert [one.account for one in reached] == [directory.anna]
    await directory.store.do(SetSendGrant(replace(grant, deny=True)))
    assert (await directory.ask(roles.reached_through, inner))[1] == []
