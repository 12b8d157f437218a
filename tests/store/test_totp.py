"""A step is taken once; what is confirmed counts; one-time codes go."""

import pytest

from policy.identity import AccountId
from store.accounts import DeleteAccount
from store.clock import AcceptClock
from store.errors import Conflict, NotFound
from store.port import PolicyChanged
from store.queue import ForgetAccepted
from store.totp import STEP, DisableTotp, EnrolTotp, SetOneTimeCodes, UseOneTimeCode, UseTotp, codes_left, is_required, of_account
from tests.store.conftest import Directory


async def test_from_enrolment_to_its_end(directory: Directory) -> None:
    store, anna = directory.store, directory.anna
    told: list[object] = []
    store.watch(told.extend)
    await store.do(EnrolTotp(anna, b"first"))
    await store.do(EnrolTotp(anna, b"second"))
    assert not await directory.ask(is_required, anna)
    assert not await store.do(UseTotp(anna, b"first", 5, confirm=True)), "another secret by now"
    assert told == []
    assert await store.do(UseTotp(anna, b"second", 5, confirm=True, codes=(b"one", b"two")))
    assert told == [PolicyChanged(frozenset({anna}))]
    assert await directory.ask(is_required, anna)
    with pytest.raises(Conflict):
        await store.do(EnrolTotp(anna, b"third"))
    for step, taken in ((5, False), (4, False), (6, True), (6, False)):
        assert await store.do(UseTotp(anna, b"second", step)) is taken
    assert await store.do(UseOneTimeCode(anna, b"one"))
    assert not await store.do(UseOneTimeCode(anna, b"one"))
    assert not await store.do(UseOneTimeCode(directory.bruno, b"two"))
    await store.do(SetOneTimeCodes(anna, (b"three", b"four", b"five")))
    assert await directory.ask(codes_left, anna) == 3
    await store.do(DisableTotp(anna))
    assert (await directory.ask(of_account, anna), await directory.ask(codes_left, anna)) == (None, 0)
    for deed in (DisableTotp(anna), SetOneTimeCodes(anna, ()), EnrolTotp(AccountId(999), b"x")):
        with pytest.raises(NotFound):
            await store.do(deed)


async def test_it_goes_with_the_account(directory: Directory) -> None:
    await directory.store.do(EnrolTotp(directory.anna, b"first"))
    await directory.store.do(DeleteAccount(directory.anna))
    assert await directory.ask(of_account, directory.anna) is None


NOW = 60_000_000


async def used(directory: Directory, *steps: int) -> list[bool]:
    return [await directory.store.do(UseTotp(directory.anna, b"sealed", step)) for step in steps]


async def enrolled(directory: Directory, *steps: int) -> None:
    """With a second factor, of which these were used one after the other."""
    await directory.store.do(EnrolTotp(directory.anna, b"sealed"))
    assert all(await used(directory, *steps))


@pytest.mark.parametrize("years", [0.01, 1, 50])
async def test_steps_that_were_used_under_a_clock_that_was_ahead_keep_nobody_out(directory: Directory, years: float) -> None:
    ahead = NOW + int(years * 1_051_200)
    await enrolled(directory, NOW - 1, NOW, ahead, ahead + 7, ahead + 2000)
    assert await used(directory, NOW + 3) == [False], "until the clock is accepted"
    await directory.store.do(AcceptClock((NOW + 2) * STEP))
    assert await used(directory, NOW - 1, NOW, NOW - 2) == [False] * 3, "used before the clock was ahead"
    assert await used(directory, NOW + 2, NOW + 2, NOW + 3, NOW + 3, NOW + 2) == [True, False, True, False, False]
    assert await used(directory, ahead - 1, ahead, ahead + 1, ahead + 7) == [True, False, True, False], "when their time comes"
    assert await used(directory, ahead + 1999, ahead + 2000, ahead + 2001) == [True, False, True]


async def test_who_was_not_ahead_is_not_concerned(directory: Directory) -> None:
    await enrolled(directory, NOW - 1, NOW + 1)
    for _ in range(2):
        await directory.store.do(AcceptClock(NOW * STEP))
        assert await used(directory, NOW - 1, NOW, NOW + 1) == [False] * 3, "the telephone may be a step ahead"
    assert await used(directory, NOW + 2) == [True]


async def test_a_clock_that_is_accepted_wrongly_lets_no_step_be_taken_twice(directory: Directory) -> None:
    await enrolled(directory, NOW, NOW + 10)
    for moment in (NOW - 500, NOW + 20, 1, NOW + 5, NOW + 11):
        await directory.store.do(AcceptClock(moment * STEP))
        assert await used(directory, NOW, NOW + 10) == [False, False]
    assert await used(directory, NOW + 11) == [True]


async def test_where_not_all_is_known_any_more_all_stays_as_it_is(directory: Directory) -> None:
    await enrolled(directory, NOW, NOW + 1_000_000, NOW + 2_000_000)
    await directory.store.do(ForgetAccepted((NOW + 1_000_000) * STEP + 32 * 86_400_000_000))
    await directory.store.do(AcceptClock((NOW + 1) * STEP))
    assert await used(directory, NOW + 1, NOW + 1_000_000, NOW + 2_000_000) == [False] * 3
    await directory.store.do(DisableTotp(directory.anna))
    await directory.store.do(EnrolTotp(directory.anna, b"sealed anew"))
    assert await directory.store.do(UseTotp(directory.anna, b"sealed anew", NOW + 1)), "enrolled anew it is another secret"


async def test_of_endless_steps_ahead_nothing_is_undone(directory: Directory) -> None:
    await enrolled(directory, NOW, *range(NOW + 5000, NOW + 6100))
    await directory.store.do(AcceptClock((NOW + 1) * STEP))
    assert await used(directory, NOW + 1) == [False]
    await directory.store.do(AcceptClock((NOW + 5500) * STEP))
    assert await used(directory, NOW + 5502) == [False], "used"
    await directory.store.do(AcceptClock((NOW + 7000) * STEP))
    assert await used(directory, NOW + 7000) == [True]
