"""The history of logins: alike ones in one row, and bounded."""

from dataclasses import replace

from policy.identity import AccountId
from store.accounts import DeleteAccount
from store.logins import KEPT, TOGETHER, RecordLogins, of_account
from store.model import LoginRow
from tests.store.conftest import START, Directory

ANY = LoginRow(AccountId(0), START, START, 1, "192.0.2.1", "imap", "PLAIN", True, "admitted")


async def test_alike_logins_of_an_hour_stand_in_one_row(directory: Directory) -> None:
    one = replace(ANY, account=directory.anna)
    await directory.store.do(RecordLogins((one,)))
    await directory.store.do(RecordLogins((replace(one, first=START + 5, last=START + 9, times=3),)))
    assert [*await directory.ask(of_account, directory.anna)] == [replace(one, last=START + 9, times=4)]
    late = START + TOGETHER + 1
    await directory.store.do(RecordLogins((replace(one, first=late, last=late),)))
    assert [row.times for row in await directory.ask(of_account, directory.anna)] == [1, 4]


async def test_what_is_unlike_in_anything_stands_alone(directory: Directory) -> None:
    one = replace(ANY, account=directory.anna)
    unlike = [
        replace(one, source="192.0.2.2"),
        replace(one, protocol="smtp"),
        replace(one, mechanism="LOGIN"),
        replace(one, admitted=False),
        replace(one, outcome="as b@acme.test"),
        replace(one, app_password="phone"),
        replace(one, account=directory.bruno),
    ]
    await directory.store.do(RecordLogins((one, *unlike)))
    assert len(await directory.ask(of_account, directory.anna)) == 7
    assert len(await directory.ask(of_account, directory.bruno)) == 1
    assert [row.admitted for row in await directory.ask(of_account, directory.anna, False)] == [False]
    assert len(await directory.ask(of_account, directory.anna, True, 2)) == 2


async def test_failures_do_not_push_out_who_came_in(directory: Directory) -> None:
    one = replace(ANY, account=directory.anna)
    failures = [
        replace(one, first=START + n, last=START + n, source=f"198.51.{n // 250}.{n % 250}", admitted=False) for n in range(1, KEPT + 50)
    ]
    await directory.store.do(RecordLogins((one, *failures)))
    found = await directory.ask(of_account, directory.anna, None, 10 * KEPT)
    assert sum(not row.admitted for row in found) == KEPT
    assert [row for row in found if row.admitted] == [one]
    assert found[0].last == START + KEPT + 49, "the newest are those that stay"


async def test_accounts_that_are_gone_are_passed_over(directory: Directory) -> None:
    await directory.store.do(RecordLogins((replace(ANY, account=directory.anna),)))
    await directory.store.do(DeleteAccount(directory.anna))
    await directory.store.do(RecordLogins((replace(ANY, account=directory.anna), replace(ANY, account=directory.bruno))))
    assert await directory.ask(of_account, directory.anna) == []
    assert len(await directory.ask(of_account, directory.bruno)) == 1
