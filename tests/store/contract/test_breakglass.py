import pytest

from policy.identity import AccountId
from store import breakglass
from store.breakglass import CloseWindow, OpenWindow
from store.errors import Conflict, NotFound
from store.port import Event, PolicyChanged
from tests.store.conftest import START, Directory


async def test_a_window_is_there_until_it_is_closed_and_kept_afterwards(directory: Directory) -> None:
    told: list[Event] = []
    unwatch = directory.store.watch(told.extend)
    window = await directory.store.do(OpenWindow(directory.anna, directory.bruno, "why", START + 10))
    assert await directory.ask(breakglass.open_windows, directory.anna, directory.bruno) == [window]
    assert await directory.ask(breakglass.open_windows, directory.bruno, directory.anna) == []
    assert await directory.store.do(CloseWindow(window.id)) is True
    assert await directory.store.do(CloseWindow(window.id)) is False
    assert await directory.ask(breakglass.open_windows, directory.anna, directory.bruno) == []
    (kept,) = await directory.ask(breakglass.newest)
    assert (kept.reason, kept.closed) == ("why", START)
    assert told == [PolicyChanged(frozenset({directory.anna, directory.bruno}))] * 2
    unwatch()


async def test_one_that_cannot_be_is_refused(directory: Directory) -> None:
    with pytest.raises(NotFound):
        await directory.store.do(OpenWindow(AccountId(999), directory.bruno, "why", START + 10))
    with pytest.raises(NotFound):
        await directory.store.do(CloseWindow(999))
    for account, reason, expires in (
        (directory.anna, " ", START + 10),
        (directory.anna, "why", START),
        (directory.bruno, "why", START + 10),
    ):
        with pytest.raises(Conflict):
            await directory.store.do(OpenWindow(account, directory.bruno, reason, expires))
