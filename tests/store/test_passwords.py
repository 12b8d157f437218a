"""When a password was set, and what is kept of former ones: so many as the class of service wants."""

import pytest

from policy.identity import AccountId
from store.accounts import ModifyAccount, SetVerifier
from store.errors import NotFound
from store.passwords import earlier, set_at
from tests.store.conftest import START, Clock, Directory


async def test_the_age_begins_when_it_is_set(directory: Directory, clock: Clock) -> None:
    assert await directory.ask(set_at, directory.anna) is None, "made without a password"
    clock.turn(60)
    await directory.store.do(SetVerifier(directory.anna, "one"))
    assert await directory.ask(set_at, directory.anna) == START + 60_000_000
    await directory.store.do(SetVerifier(directory.anna, ""))
    assert await directory.ask(set_at, directory.anna) is None
    with pytest.raises(NotFound):
        await directory.store.do(SetVerifier(AccountId(999), "one"))


async def test_history_is_kept_as_far_as_it_is_wanted(directory: Directory) -> None:
    for verifier in ("one", "two"):
        await directory.store.do(SetVerifier(directory.anna, verifier))
    assert await directory.ask(earlier, directory.anna, 9) == [], "nobody wants one"
    await directory.store.do(ModifyAccount(directory.anna, values={"password_enforce_history": "3"}))
    for verifier in ("three", "four", "", "five"):
        await directory.store.do(SetVerifier(directory.anna, verifier))
    assert await directory.ask(earlier, directory.anna, 9) == ["four", "three"]
    assert await directory.ask(earlier, directory.anna, 1) == ["four"]
    await directory.store.do(ModifyAccount(directory.anna, values={"password_enforce_history": "2"}))
    await directory.store.do(SetVerifier(directory.anna, "six"))
    assert await directory.ask(earlier, directory.anna, 9) == ["five"]
    await directory.store.do(ModifyAccount(directory.anna, values={"password_enforce_history": ""}))
    await directory.store.do(SetVerifier(directory.anna, "seven"))
    assert await directory.ask(earlier, directory.anna, 9) == []
