"""Emergency access: only with a reason, told to the owner, for one administrator, over by itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.directory.breakglass import BreakGlass
from gateway.directory.faults import Fault
from gateway.directory.records import Records
from gateway.login import Login, Peer
from gateway.refusal import Refused
from gateway.sasl.exchange import Credentials
from gateway.sources import FailingSources
from policy.identity import Actor
from policy.status import AccountStatus
from store import audit
from store.accounts import SetGlobalAdministrator
from tests.gateway.house import House, opened

WORD = "right horse 7"


@dataclass
class Site:
    house: House
    windows: BreakGlass
    login: Login

    async def come(self) -> Actor:
        credentials = Credentials("PLAIN", "root@acme.test", "olga@acme.test", WORD.encode())
        return await self.login.authenticate(credentials, Peer("192.0.2.1", "imap", False))


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with opened(tmp_path) as house:
        for name in ("olga", "root", "dora"):
            await house.account(name, password=WORD)
        await house.store.do(SetGlobalAdministrator(house.ids["root"], True))
        login = Login(house.store, house.passwords, FailingSources(100, 600.0, ()))
        yield Site(house, BreakGlass(house.store, Records(house.store), house.delivery.notice), login)
        await login.idle()


async def test_a_window_lets_one_administrator_in_until_it_ends(site: Site) -> None:
    with pytest.raises(Refused):
        await site.come()
    opened = await site.windows.open("olga@acme.test", "root@acme.test", "she is ill;  the offer\nis in her INBOX", 600)
    actor = await site.come()
    assert (str(actor.address), str(actor.via_address)) == ("olga@acme.test", "root@acme.test")
    confirmed = (await site.login.confirm([actor]))[actor]
    assert (confirmed.refusal, confirmed.valid_until) == (None, opened.window.expires)
    site.house.clock.turn(600)
    assert (await site.login.confirm([actor]))[actor].refusal is not None
    with pytest.raises(Refused):
        await site.come()
    (view,) = await site.windows.windows()
    assert not view.is_open


async def test_the_owner_is_told_at_once_with_the_reason(site: Site) -> None:
    await site.windows.open("olga@acme.test", "root@acme.test", "the offer is due")
    (mail,) = await site.house.mail("olga")
    assert b"root@acme.test may log in to your account olga@acme.test" in mail
    assert b"  the offer is due\r\n" in mail


async def test_opening_using_and_closing_are_on_record(site: Site) -> None:
    view = await site.windows.open("olga@acme.test", "root@acme.test", "the offer is due")
    actor = await site.come()
    await site.windows.close(view.window.id)
    assert (await site.login.confirm([actor]))[actor].refusal is not None
    rows = [row.entry for row in reversed(await site.house.ask(audit.of_owner, site.house.ids["olga"]))]
    assert [(one.event, one.right, one.allowed) for one in rows] == [
        ("break-glass opened", "break-glass", True),
        ("login as", "break-glass", True),
        ("break-glass closed", "break-glass", True),
    ]
    assert "the offer is due" in rows[0].detail
    assert rows[1].because == f"break-glass window {view.window.id}: the offer is due"
    with pytest.raises(Fault, match="is over already"):
        await site.windows.close(view.window.id)


@pytest.mark.parametrize(
    ("account", "by", "reason", "seconds", "words"),
    [
        ("olga", "root", "", 60, "a reason is needed"),
        ("olga", "root", " \n\t", 60, "a reason is needed"),
        ("olga", "root", "a\x00b", 60, "a reason is needed"),
        ("olga", "root", "x" * 501, 60, "at most 500 characters"),
        ("olga", "root", "why", 0, "at most 24 hours"),
        ("olga", "root", "why", 86401, "at most 24 hours"),
        ("root", "root", "why", 60, "own account"),
        ("olga", "dora", "why", 60, "PERM_DENIED .*dora@acme.test is no administrator"),
        ("ghost", "root", "why", 60, "NO_SUCH_ACCOUNT .*ghost"),
        ("olga", "ghost", "why", 60, "NO_SUCH_ACCOUNT .*ghost"),
    ],
)
async def test_what_cannot_be_opened(site: Site, account: str, by: str, reason: str, seconds: int, words: str) -> None:
    with pytest.raises(Fault, match=words):
        await site.windows.open(f"{account}@acme.test", f"{by}@acme.test", reason, seconds)
    assert await site.windows.windows() == []
    assert await site.house.mail("olga") == []


async def test_nobody_opens_the_account_of_an_administrator(site: Site) -> None:
    await site.house.store.do(SetGlobalAdministrator(site.house.ids["olga"], True))
    with pytest.raises(Fault, match=r"olga@acme\.test is an administrator"):
        await site.windows.open("olga@acme.test", "root@acme.test", "why")


async def test_where_nobody_can_be_told_nothing_is_opened(site: Site) -> None:
    silent = BreakGlass(site.house.store, Records(site.house.store))
    with pytest.raises(Fault, match="the owner cannot be told"):
        await silent.open("olga@acme.test", "root@acme.test", "why")


async def test_a_status_that_refuses_login_refuses_it_here_too(site: Site) -> None:
    await site.windows.open("olga@acme.test", "root@acme.test", "why")
    await site.house.status("olga", AccountStatus.LOCKED)
    with pytest.raises(Refused):
        await site.come()
