"""A step is taken once; what is confirmed counts; one-time codes go."""

import pytest

from policy.identity import AccountId
from store.accounts import DeleteAccount
from store.errors import Conflict, NotFound
from store.port import PolicyChanged
from store.totp import DisableTotp, EnrolTotp, SetOneTimeCodes, UseOneTimeCode, UseTotp, codes_left, is_required, of_account
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
