"""App passwords: found by their selector, gone with their account and their principal."""

from ipaddress import ip_network

import pytest

from policy.identity import AccountId, Actor, Address
from policy.rights import Right
from policy.scope import Door, Scope, Sending
from store import app_passwords
from store.accounts import DeleteAccount
from store.app_passwords import MOST, CreateAppPassword, RevokeAllAppPasswords, RevokeAppPassword, by_id, by_selector, is_there, of_account
from store.errors import Conflict, LimitReached, NotFound
from store.lists import standing
from store.logins import RecordLogins
from store.model import LoginRow
from store.port import PolicyChanged
from tests.store.conftest import START, Directory

FULL = Scope(
    0,
    "phone",
    frozenset({Door.IMAP, Door.SMTP}),
    (ip_network("192.0.2.0/24"), ip_network("2001:db8::/48")),
    None,
    Right.READ | Right.LOOKUP,
    frozenset({Sending.SELF}),
    START + 9,
)


async def make(directory: Directory, scope: Scope = FULL, selector: str = "abcdef", account: AccountId | None = None) -> int:
    return await directory.store.do(CreateAppPassword(account or directory.anna, scope, selector, b"v" * 32))


async def test_what_is_kept(directory: Directory) -> None:
    number = await make(directory)
    row = await directory.ask(by_selector, "abcdef")
    assert row is not None
    assert (row.account, row.scope.limits(), row.created, row.last_used, row.verifier) == (
        directory.anna,
        FULL.limits(),
        START,
        None,
        b"v" * 32,
    )
    assert (row.scope.id, row.scope.expires) == (number, START + 9)
    assert await directory.ask(by_id, number) == row
    assert [*await directory.ask(of_account, directory.anna)] == [row]
    assert await directory.ask(of_account, directory.bruno) == []
    assert await directory.ask(by_selector, "abcdeg") is None
    assert "vvv" not in repr(row)


async def test_names_and_selectors_are_there_once(directory: Directory) -> None:
    await make(directory)
    with pytest.raises(Conflict):
        await make(directory, selector="other2")
    with pytest.raises(Conflict):
        await make(directory, Scope(0, "tablet"))
    await make(directory, selector="other2", account=directory.bruno)
    with pytest.raises(NotFound):
        await make(directory, selector="other3", account=AccountId(999))
    with pytest.raises(NotFound):
        await make(directory, Scope(0, "x", principal=999), selector="other4")


async def test_they_are_so_many_at_most(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST >= 20
    monkeypatch.setattr(app_passwords, "MOST", 2)
    for number in range(2):
        await make(directory, Scope(0, f"n{number}"), f"sel{number}")
    with pytest.raises(LimitReached):
        await make(directory, Scope(0, "n2"), "sel2")


async def test_revoking_tells_and_an_id_is_never_used_again(directory: Directory) -> None:
    first = await make(directory)
    told: list[object] = []
    directory.store.watch(told.extend)
    await directory.store.do(RevokeAppPassword(directory.anna, "phone"))
    assert told == [PolicyChanged(frozenset({directory.anna}))]
    with pytest.raises(NotFound):
        await directory.store.do(RevokeAppPassword(directory.anna, "phone"))
    assert await make(directory) > first
    await make(directory, Scope(0, "tablet"), "tablet")
    assert await directory.store.do(RevokeAllAppPasswords(directory.anna)) == 2
    assert await directory.store.do(RevokeAllAppPasswords(directory.anna)) == 0
    with pytest.raises(NotFound):
        await directory.store.do(RevokeAllAppPasswords(AccountId(999)))


async def test_it_outlives_neither_its_account_nor_its_principal(directory: Directory) -> None:
    for_bruno = await make(directory, Scope(0, "for bruno", principal=directory.bruno))
    brunos = await make(directory, selector="brunos", account=directory.bruno)
    await directory.store.do(DeleteAccount(directory.bruno))
    assert not await directory.ask(is_there, directory.anna, for_bruno)
    assert await directory.ask(by_id, brunos) is None


async def test_who_acts_by_a_revoked_one_has_no_standing(directory: Directory) -> None:
    number = await make(directory)
    row = await directory.ask(by_id, number)
    assert row is not None
    actor = Actor(directory.anna, Address("anna", "acme.test"), scope=row.scope)
    as_bruno = Actor(directory.bruno, Address("bruno", "acme.test"), via=directory.anna, scope=row.scope)
    for one in (actor, as_bruno):
        found = await directory.ask(standing, one.account, one)
        assert found is not None
        assert found.scope == row.scope
    await directory.store.do(RevokeAppPassword(directory.anna, "phone"))
    for one in (actor, as_bruno):
        assert await directory.ask(standing, one.account, one) is None
    kept = Actor(directory.anna, Address("anna", "acme.test"), scope=row.scope.limits())
    assert await directory.ask(standing, directory.anna, kept) is not None, "what waits for its time was sent while it was good"


async def test_its_last_use_comes_with_the_history(directory: Directory) -> None:
    number = await make(directory)
    login = LoginRow(directory.anna, START, START + 3, 1, "192.0.2.1", "imap", "PLAIN", True, "admitted", "phone")
    await directory.store.do(RecordLogins((login,)))
    row = await directory.ask(by_id, number)
    assert row is not None
    assert row.last_used == START + 3
