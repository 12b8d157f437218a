import asyncio

import pytest

from policy.cos import ServiceValues
from policy.identity import AccountId, Address
from policy.login import Failure, FailureHistory, is_locked_out
from store import accounts, login
from store.accounts import ModifyAccount, SetVerifier
from store.errors import NotFound
from store.login import (
    KNOWN_FOR,
    AdmitUnlessLocked,
    ClearFailures,
    KeepScramKeys,
    LoginFacts,
    PretendFailure,
    RecordFailure,
    RememberSource,
)
from store.model import ScramKeys
from store.totp import EnrolTotp, UseTotp
from tests.store.conftest import SECOND, Clock, Directory

HERE, THERE = "192.0.2.0/24", "198.51.100.0/24"


async def history(directory: Directory) -> FailureHistory:
    return await directory.ask(login.history, directory.anna)


async def test_concurrent_guesses_each_count_and_one_begins_the_lockout(directory: Directory, clock: Clock) -> None:
    recorded = await asyncio.gather(
        *(directory.store.do(RecordFailure(directory.anna, Failure(clock(), HERE, digest))) for digest in range(10))
    )
    assert [one.began for one in recorded] == [False] * 9 + [True]
    kept = await history(directory)
    assert [failure.digest for failure in kept.failures] == list(range(10))
    assert kept == recorded[-1].history
    assert is_locked_out(kept, ServiceValues(), HERE, clock())


async def test_during_lockout_nothing_changes_and_it_ends_by_itself(directory: Directory, clock: Clock) -> None:
    for digest in range(10):
        await directory.store.do(RecordFailure(directory.anna, Failure(clock(), HERE, digest)))
    locked = await history(directory)
    clock.turn(60)
    again = await directory.store.do(RecordFailure(directory.anna, Failure(clock(), THERE, 99)))
    assert (again.began, again.history) == (False, locked)
    assert await history(directory) == locked
    clock.turn(3600)
    assert not is_locked_out(await history(directory), ServiceValues(), HERE, clock())
    fresh = await directory.store.do(RecordFailure(directory.anna, Failure(clock(), THERE, 1)))
    assert not fresh.began
    assert await history(directory) == fresh.history


async def test_what_a_login_is_judged_by(directory: Directory, clock: Clock) -> None:
    """Networks that are known are named where there is something that they could be spared."""
    keys = ScramKeys(b"salt", 4096, b"stored", b"server")
    await directory.store.do(SetVerifier(directory.anna, "$v", scram=keys))
    await directory.store.do(RememberSource(directory.anna, THERE))
    assert await directory.ask(login.facts, directory.anna) == LoginFacts(FailureHistory(), keys, False)
    await directory.store.do(EnrolTotp(directory.anna, b"sealed"))
    assert not (await directory.ask(login.facts, directory.anna)).needs_more
    assert await directory.store.do(UseTotp(directory.anna, b"sealed", 1, confirm=True))
    await directory.store.do(RecordFailure(directory.anna, Failure(clock(), HERE, 1)))
    found = await directory.ask(login.facts, directory.anna)
    assert found == LoginFacts(await history(directory), keys, True)
    assert (len(found.history.failures), found.history.known_sources) == (1, {THERE})
    assert await directory.ask(login.facts, AccountId(999)) == LoginFacts(FailureHistory(), None, False)


async def test_the_accounts_own_rules_count(directory: Directory, clock: Clock) -> None:
    await directory.store.do(ModifyAccount(directory.anna, values={"lockout_max_failures": "2", "lockout_duration": "15m"}))
    await directory.store.do(RecordFailure(directory.anna, Failure(clock(), HERE, 1)))
    second = await directory.store.do(RecordFailure(directory.anna, Failure(clock(), HERE, 2)))
    assert second.began
    assert second.history.locked_until == clock() + 900 * SECOND


async def test_a_repeat_of_the_same_password_changes_nothing(directory: Directory, clock: Clock) -> None:
    for _ in range(20):
        await directory.store.do(RecordFailure(directory.anna, Failure(clock(), HERE, 7)))
    assert len((await history(directory)).failures) == 1
    for _ in range(3):
        await directory.store.do(RecordFailure(directory.anna, Failure(clock(), HERE, None)))
    assert len((await history(directory)).failures) == 4, "failures whose password is not known count each"


async def test_a_good_login_clears_its_own_network_only_an_administrator_all(directory: Directory, clock: Clock) -> None:
    for source in (HERE, THERE, HERE):
        clock.turn(1)
        await directory.store.do(RecordFailure(directory.anna, Failure(clock(), source, None)))
    await directory.store.do(ClearFailures(directory.anna, HERE))
    assert [failure.source for failure in (await history(directory)).failures] == [THERE]
    for digest in range(10):
        await directory.store.do(RecordFailure(directory.anna, Failure(clock(), HERE, digest)))
    assert (await history(directory)).locked_until is not None
    await directory.store.do(ClearFailures(directory.anna))
    assert await history(directory) == FailureHistory()


async def test_a_right_password_is_judged_after_the_failures_before_it(directory: Directory, clock: Clock) -> None:
    await directory.store.do(SetVerifier(directory.anna, "right"))
    admit = AdmitUnlessLocked(directory.anna, HERE, "right", forget=True)
    wrong = [RecordFailure(directory.anna, Failure(clock(), HERE, digest)) for digest in range(10)]
    done = await asyncio.gather(*map(directory.store.do, wrong[:9]), directory.store.do(admit), *map(directory.store.do, wrong))
    assert done[9] is True, "nine are not ten"
    assert [one.began for one in done[10:]] == [False] * 9 + [True], "and they were forgotten"  # type: ignore[union-attr]
    locked = await history(directory)
    assert await directory.store.do(admit) is False
    assert await history(directory) == locked, "during lockout nothing changes"
    clock.turn(3600)
    assert await directory.store.do(admit) is True


async def test_a_right_password_forgets_only_where_it_is_said(directory: Directory, clock: Clock) -> None:
    await directory.store.do(SetVerifier(directory.anna, "right"))
    await directory.store.do(RecordFailure(directory.anna, Failure(clock(), HERE, 1)))
    await directory.store.do(RecordFailure(directory.anna, Failure(clock(), THERE, 2)))
    assert await directory.store.do(AdmitUnlessLocked(directory.anna, HERE, "right", forget=False))
    assert len((await history(directory)).failures) == 2
    assert await directory.store.do(AdmitUnlessLocked(directory.anna, HERE, "right", forget=True))
    assert [failure.source for failure in (await history(directory)).failures] == [THERE]
    assert not await directory.store.do(AdmitUnlessLocked(directory.anna, HERE, "another", forget=True))
    with pytest.raises(NotFound):
        await directory.store.do(AdmitUnlessLocked(AccountId(999), HERE, "right", forget=True))


async def test_what_only_pretends_ends_no_judgement_and_wakes_nobody(directory: Directory) -> None:
    async with directory.store.snapshot() as snapshot:
        witness = await snapshot.witness(directory.anna)
    told: list[object] = []
    unwatch = directory.store.watch(told.extend)
    await directory.store.do(PretendFailure())
    await directory.store.do(PretendFailure())
    unwatch()
    assert told == []
    async with directory.store.snapshot() as snapshot:
        assert await snapshot.confirms(witness)


async def test_good_networks_are_known_for_thirty_days(directory: Directory, clock: Clock) -> None:
    await directory.store.do(RememberSource(directory.anna, HERE))
    clock.turn(KNOWN_FOR / SECOND - 1)
    await directory.store.do(RememberSource(directory.anna, THERE))
    assert (await history(directory)).known_sources == {HERE, THERE}
    assert await directory.ask(login.seen, directory.anna, THERE) == clock()
    clock.turn(2)
    assert (await history(directory)).known_sources == {THERE}
    await directory.store.do(RememberSource(directory.anna, THERE))
    assert await directory.ask(login.seen, directory.anna, HERE) is None
    row = await directory.ask(accounts.by_id, directory.anna)
    assert row is not None
    assert row.last_login == clock()


async def test_a_source_of_an_account_that_is_gone_is_not_kept(directory: Directory) -> None:
    await directory.store.do(accounts.DeleteAccount(directory.anna))
    await directory.store.do(RememberSource(directory.anna, HERE))
    assert await directory.ask(login.seen, directory.anna, HERE) is None


async def test_failures_end_no_judgement_about_rights(directory: Directory, clock: Clock) -> None:
    async with directory.store.snapshot() as snapshot:
        witness = await snapshot.witness(directory.anna)
    await directory.store.do(RecordFailure(directory.anna, Failure(clock(), HERE, 1)))
    await directory.store.do(RememberSource(directory.anna, HERE))
    async with directory.store.snapshot() as snapshot:
        assert await snapshot.confirms(witness)


KEYS = ScramKeys(b"salt", 4096, b"s" * 32, b"k" * 32)


async def test_scram_keys_come_and_go_with_the_password(directory: Directory) -> None:
    async def keys() -> ScramKeys | None:
        return await directory.ask(login.scram_keys, directory.anna)

    assert await keys() is None
    await directory.store.do(SetVerifier(directory.anna, "one", scram=KEYS))
    assert await keys() == KEYS
    await directory.store.do(SetVerifier(directory.anna, "two"))
    assert await keys() is None, "of another password"
    assert await directory.store.do(KeepScramKeys(directory.anna, "one", KEYS)) is False
    assert await keys() is None
    assert await directory.store.do(KeepScramKeys(directory.anna, "two", KEYS)) is True
    newer = ScramKeys(b"other", 9999, b"S" * 32, b"K" * 32)
    assert await directory.store.do(KeepScramKeys(directory.anna, "two", newer)) is True
    assert await keys() == newer
    await directory.store.do(accounts.DeleteAccount(directory.anna))
    assert await keys() is None
    assert await directory.store.do(KeepScramKeys(directory.anna, "two", KEYS)) is False


async def test_an_account_is_made_with_its_keys(directory: Directory) -> None:
    made = await directory.store.do(accounts.CreateAccount(Address("new", "acme.test"), verifier="one", scram=KEYS))
    assert await directory.ask(login.scram_keys, made) == KEYS


async def test_who_has_no_password_gets_no_keys(directory: Directory) -> None:
    await directory.store.do(SetVerifier(directory.anna, ""))
    assert await directory.store.do(KeepScramKeys(directory.anna, "", KEYS)) is False


async def test_keys_of_the_same_password_end_no_session_and_no_judgement(directory: Directory) -> None:
    await directory.store.do(SetVerifier(directory.anna, "one"))
    told: list[object] = []
    unwatch = directory.store.watch(told.extend)
    async with directory.store.snapshot() as snapshot:
        witness = await snapshot.witness(directory.anna)
    await directory.store.do(KeepScramKeys(directory.anna, "one", KEYS))
    async with directory.store.snapshot() as snapshot:
        assert await snapshot.confirms(witness)
    unwatch()
    assert told == []
