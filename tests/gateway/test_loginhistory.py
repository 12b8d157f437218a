"""Logins are noted without anybody waiting, and are there when somebody asks."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway import gathering, loginhistory
from gateway.login import Login, Peer
from gateway.loginhistory import LoginHistory
from gateway.refusal import Refused
from gateway.sasl.exchange import Credentials
from gateway.sources import FailingSources
from policy.status import AccountStatus
from store.errors import Busy
from store.logins import RecordLogins
from tests.gateway.house import House, opened

WORD = "correct horse 7"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as house:
        await house.account("anna", password=WORD, lockout_max_failures="3")
        yield house


@pytest.fixture
async def history(house: House) -> AsyncIterator[LoginHistory]:
    history = LoginHistory(house.store)
    yield history
    await history.close()


async def come(login: Login, word: str = WORD, protocol: str = "imap", name: str = "anna@acme.test") -> None:
    try:
        await login.authenticate(Credentials("PLAIN", name, "", word.encode()), Peer("192.0.2.1", protocol, tls=True))
    except Refused:
        pass


async def test_what_a_login_leaves(house: House, history: LoginHistory) -> None:
    login = Login(house.store, house.passwords, FailingSources(1000, 600, []), history=history)
    anna = house.ids["anna"]
    await come(login)
    await come(login)
    await come(login, protocol="smtp")
    await come(login, "wrong")
    await come(login, name="nobody@acme.test")
    found = {(row.protocol, row.admitted, row.outcome): row for row in await history.of_account(anna)}
    assert {key: row.times for key, row in found.items()} == {
        ("imap", True, "admitted"): 2,
        ("smtp", True, "admitted"): 1,
        ("imap", False, "wrong password"): 1,
    }
    assert all((row.source, row.mechanism) == ("192.0.2.1", "PLAIN") for row in found.values())
    for word in ("bad", "worse", "worst", WORD):
        await come(login, word)
    (locked,) = [row for row in await history.of_account(anna, admitted=False) if row.outcome == "locked out"]
    assert locked.times == 2, "during a lockout nothing tells the right password from a wrong one, here neither"
    await login.idle()


async def test_why_a_right_password_was_not_enough(house: House, history: LoginHistory) -> None:
    await house.account("carla", password=WORD, status=AccountStatus.CLOSED)
    login = Login(house.store, house.passwords, FailingSources(1000, 600, []), history=history)
    await come(login, name="carla@acme.test")
    (row,) = await history.of_account(house.ids["carla"])
    assert (row.admitted, row.outcome) == (False, "account is closed")


async def test_nothing_is_lost_while_the_store_is_busy(house: House, history: LoginHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = house.ids["anna"]
    really = house.store.do
    fail = True

    async def do(deed: Any, *args: Any, **kwargs: Any) -> Any:
        if fail and isinstance(deed, RecordLogins):
            history.note(anna, "192.0.2.1", "imap", "PLAIN", admitted=True, outcome="admitted")  # one more meanwhile
            raise Busy
        return await really(deed, *args, **kwargs)

    monkeypatch.setattr(house.store, "do", do)
    history.note(anna, "192.0.2.1", "imap", "PLAIN", admitted=True, outcome="admitted")
    with pytest.raises(Busy):
        await history.of_account(anna)
    fail = False
    assert [row.times for row in await history.of_account(anna)] == [2]


async def test_what_waits_is_bounded(house: House, history: LoginHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loginhistory, "MOST", 5)
    for number in range(9):
        history.note(house.ids["anna"], f"192.0.2.{number}", "imap", "PLAIN", admitted=True, outcome="admitted")
    assert len(await history.of_account(house.ids["anna"])) == 5


async def test_it_is_written_by_itself_and_at_the_end(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "PAUSE", 0.0)
    history, other = LoginHistory(house.store), LoginHistory(house.store)
    history.note(house.ids["anna"], "192.0.2.1", "imap", "PLAIN", admitted=True, outcome="admitted")
    while history._gathering.task is not None:
        await history._gathering.task
    assert len(await other.of_account(house.ids["anna"])) == 1
    history.note(house.ids["anna"], "192.0.2.2", "imap", "PLAIN", admitted=True, outcome="admitted")
    await history.close()
    assert len(await other.of_account(house.ids["anna"])) == 2
