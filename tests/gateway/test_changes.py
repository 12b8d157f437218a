"""Who is woken by what, once per turn, and by the clock alone."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from gateway.carrier import TICK, Wheel
from gateway.changes import AT_ONCE, LONGEST, METADATA_KEPT, Changes, Ledger, News
from policy.identity import AccountId, FolderId
from store.port import DIRECTORY, Event, FolderChanged, FoldersChanged, MetadataChanged, PolicyChanged, QueueChanged


class Teller:
    """The one part of a store that is used here: telling."""

    def __init__(self) -> None:
        self.told: list[Callable[[Sequence[Event]], None]] = []

    def watch(self, told: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        self.told.append(told)
        return lambda: self.told.remove(told)

    def say(self, *events: Event) -> None:
        for told in self.told:
            told(events)


class Sleeper:
    def __init__(self) -> None:
        self.woken: list[int] = []

    def wake(self, news: int) -> None:
        self.woken.append(news)


def run(scene: Callable[[Teller, Changes], Awaitable[Any]]) -> None:
    async def limited() -> None:
        teller = Teller()
        wheel = Wheel(asyncio.get_running_loop())
        changes = Changes(teller, wheel)  # type: ignore[arg-type]
        await asyncio.wait_for(scene(teller, changes), 10)
        changes.close()
        assert not teller.told
        wheel.close()

    asyncio.run(limited())


async def turn() -> None:
    await asyncio.sleep(0)
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (FolderChanged(FolderId(7), 1), [News.FOLDER]),
        (FolderChanged(FolderId(8), 1), []),
        (PolicyChanged(frozenset({1})), [News.POLICY]),
        (PolicyChanged(frozenset({2, 99})), [News.POLICY]),
        (PolicyChanged(frozenset({DIRECTORY})), [News.POLICY]),
        (PolicyChanged(frozenset({3})), []),
        (FoldersChanged(AccountId(2)), [News.FOLDERS]),
        (FoldersChanged(AccountId(3)), []),
        (QueueChanged(), []),
    ],
)
def test_only_who_is_concerned_is_woken(event: Event, expected: list[int]) -> None:
    async def scene(teller: Teller, changes: Changes) -> None:
        sleeper = Sleeper()
        interest = changes.register(sleeper)
        interest.follow_folder(FolderId(7))
        interest.follow_scopes((1, 2, DIRECTORY))
        teller.say(event)
        await turn()
        assert sleeper.woken == expected

    run(scene)


def test_many_events_in_one_turn_are_one_wake() -> None:
    async def scene(teller: Teller, changes: Changes) -> None:
        sleeper = Sleeper()
        interest = changes.register(sleeper)
        interest.follow_folder(FolderId(7))
        interest.follow_scopes((1,))
        for modseq in range(100):
            teller.say(FolderChanged(FolderId(7), modseq))
        teller.say(PolicyChanged(frozenset({1})))
        await turn()
        assert sleeper.woken == [News.FOLDER | News.POLICY]
        teller.say(FolderChanged(FolderId(7), 101))
        await turn()
        assert len(sleeper.woken) == 2

    run(scene)


def test_what_concerns_everybody_wakes_some_in_each_turn_and_keeps_nobody_waiting_who_is_named() -> None:
    async def scene(teller: Teller, changes: Changes) -> None:
        sleepers = [Sleeper() for _ in range(5 * AT_ONCE)]
        interests = [changes.register(sleeper) for sleeper in sleepers]
        for number, interest in enumerate(interests):
            interest.follow_folder(FolderId(number))
            interest.follow_scopes((DIRECTORY, number + 1))

        def woken() -> int:
            return sum(bool(sleeper.woken) for sleeper in sleepers)

        teller.say(PolicyChanged(frozenset({DIRECTORY})))
        await asyncio.sleep(0)
        assert woken() == AT_ONCE
        guest = Sleeper()
        changes.register(guest).follow_scopes((DIRECTORY, 1, 2))
        one, two, three = [number for number, sleeper in enumerate(sleepers) if not sleeper.woken][:3]
        teller.say(FolderChanged(FolderId(one), 1), PolicyChanged(frozenset({DIRECTORY, two + 1})))
        interests[three].end()
        await asyncio.sleep(0)
        assert (sleepers[one].woken, sleepers[two].woken) == ([News.FOLDER | News.POLICY], [News.POLICY])
        assert guest.woken == [News.POLICY]
        assert woken() == 2 * AT_ONCE + 2
        for _ in range(10):
            await asyncio.sleep(0)
        assert woken() == len(sleepers) - 1
        assert not sleepers[three].woken
        # The second time it concerned everybody again, but once for those who still waited.
        assert all(len(sleeper.woken) <= 2 for sleeper in sleepers)
        assert len(sleepers[one].woken) == len(sleepers[two].woken) == 1

    run(scene)


def test_those_it_may_concern_wait_for_those_that_look_but_not_for_long() -> None:
    async def scene(teller: Teller, changes: Changes) -> None:
        looking: list[asyncio.Future[None]] = []

        class Looking:
            def wake(self, news: int) -> asyncio.Future[None]:
                looking.append(asyncio.get_running_loop().create_future())
                return looking[-1]

        for _ in range(4 * AT_ONCE):
            changes.register(Looking()).follow_scopes((DIRECTORY, 1))
        teller.say(PolicyChanged(frozenset({DIRECTORY})))
        for count in (1, 2):
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(looking) == count * AT_ONCE
            for one in looking:
                if not one.done():
                    one.set_result(None)
        await turn()
        # Who is named is not kept waiting by them, nor does one of them keep the others waiting that never ends.
        sleeper = Sleeper()
        changes.register(sleeper).follow_scopes((2,))
        teller.say(PolicyChanged(frozenset({2})))
        await turn()
        assert sleeper.woken == [News.POLICY]
        assert len(looking) == 3 * AT_ONCE
        await asyncio.sleep(3 * LONGEST)
        assert len(looking) == 4 * AT_ONCE

    run(scene)


def test_who_goes_elsewhere_hears_no_more_of_it() -> None:
    async def scene(teller: Teller, changes: Changes) -> None:
        sleeper = Sleeper()
        interest = changes.register(sleeper)
        interest.follow_folder(FolderId(7))
        interest.follow_scopes((1, 2))
        interest.follow_folder(FolderId(8))
        interest.follow_scopes((1,))
        teller.say(FolderChanged(FolderId(7), 1), PolicyChanged(frozenset({2})))
        await turn()
        assert not sleeper.woken
        teller.say(FolderChanged(FolderId(8), 1))
        interest.end()
        await turn()
        assert not sleeper.woken
        assert not changes.by_folder
        assert not changes.by_scope

    run(scene)


def test_one_that_fails_does_not_silence_the_others() -> None:
    class Broken:
        def wake(self, news: int) -> None:
            raise RuntimeError("broken")

    async def scene(teller: Teller, changes: Changes) -> None:
        sleeper = Sleeper()
        for woken in (Broken(), sleeper, Broken()):
            changes.register(woken).follow_folder(FolderId(7))
        teller.say(FolderChanged(FolderId(7), 1))
        await turn()
        assert sleeper.woken == [News.FOLDER]

    run(scene)


def test_a_right_that_ends_by_the_clock_wakes_when_it_ends() -> None:
    async def scene(teller: Teller, changes: Changes) -> None:
        sleeper = Sleeper()
        interest = changes.register(sleeper)
        interest.follow_clock(time.time_ns() // 1000 + 600_000)
        await asyncio.sleep(0.3)
        assert not sleeper.woken
        await asyncio.sleep(0.3 + 2 * TICK + 0.1)
        assert sleeper.woken == [News.POLICY]

    run(scene)


def test_a_clock_that_is_followed_no_more_does_not_wake() -> None:
    async def scene(teller: Teller, changes: Changes) -> None:
        sleeper = Sleeper()
        interest = changes.register(sleeper)
        interest.follow_clock(time.time_ns() // 1000 + 100_000)
        interest.follow_clock(None)
        await asyncio.sleep(0.1 + 2 * TICK)
        assert not sleeper.woken

    run(scene)


def test_who_follows_several_folders_knows_which_changed() -> None:
    async def scene(teller: Teller, changes: Changes) -> None:
        sleeper = Sleeper()
        interest = changes.register(sleeper)
        interest.ledger = Ledger(AccountId(1), changes.number())
        assert interest.follow_folders((FolderId(7), FolderId(8), FolderId(9))) == {7, 8, 9}
        for folder in (7, 8, 7, 10):
            teller.say(FolderChanged(FolderId(folder), 1))
        await turn()
        assert sleeper.woken == [News.FOLDER]
        assert interest.ledger.folders == {7, 8}
        interest.ledger.clear()
        assert interest.follow_folders((FolderId(9), FolderId(10))) == {10}
        teller.say(FolderChanged(FolderId(8), 2), FolderChanged(FolderId(10), 2))
        await turn()
        assert interest.ledger.folders == {10}
        interest.end()
        assert not changes.by_folder

    run(scene)


OWN, BOTH, OTHERS = AccountId(1), AccountId(0), AccountId(2)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (MetadataChanged(OWN, FolderId(7), BOTH, ("/shared/a",)), {7: ["/shared/a"]}),
        (MetadataChanged(OTHERS, FolderId(7), BOTH, ("/shared/a", "/shared/b")), {7: ["/shared/a", "/shared/b"]}),
        (MetadataChanged(OTHERS, FolderId(7), OWN, ("/private/a",)), {7: ["/private/a"]}),
        (MetadataChanged(OTHERS, FolderId(7), OTHERS, ("/private/a",)), {}),
        (MetadataChanged(OWN, FolderId(0), OWN, ("/private/a",)), {0: ["/private/a"]}),
        (MetadataChanged(OTHERS, FolderId(0), OTHERS, ("/private/a",)), {}),
        (MetadataChanged(OTHERS, FolderId(0), BOTH, ("/shared/a",)), {}),
        (MetadataChanged(AccountId(3), FolderId(7), BOTH, ("/shared/a",)), {}),
        (MetadataChanged(OWN, FolderId(7), BOTH, ("/shared/a",), origin=1), {}),
        (MetadataChanged(OWN, FolderId(7), BOTH, ("/shared/a",), origin=2), {7: ["/shared/a"]}),
    ],
)
def test_entries_are_told_to_those_who_may_have_them(event: MetadataChanged, expected: dict[int, list[str]]) -> None:
    async def scene(teller: Teller, changes: Changes) -> None:
        sleeper = Sleeper()
        interest = changes.register(sleeper)
        interest.ledger = Ledger(OWN, changes.number())
        interest.follow_scopes((1, 2))
        deaf = Sleeper()
        changes.register(deaf).follow_scopes((1, 2))
        teller.say(event, event)
        await turn()
        assert {folder: list(entries) for folder, entries in interest.ledger.entries.items()} == expected
        assert sleeper.woken == ([News.METADATA] if expected else [])
        assert not deaf.woken

    run(scene)


def test_no_more_entries_are_kept_than_fit() -> None:
    ledger = Ledger(OWN, 1)
    for number in range(METADATA_KEPT):
        ledger.note(MetadataChanged(OWN, FolderId(number % 3 + 1), BOTH, (f"/shared/{number}",)))
    assert not ledger.lost
    assert sum(map(len, ledger.entries.values())) == METADATA_KEPT
    ledger.note(MetadataChanged(OWN, FolderId(1), BOTH, ("/shared/one more",)))
    assert ledger.lost
    assert ledger.entries == {}
    ledger.clear()
    assert not ledger.lost
