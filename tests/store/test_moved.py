"""What is said to stand does: whatever is being written is taken to have moved, before anybody could see it."""

import asyncio
from collections.abc import Sequence

import pytest

import store.moved
from policy.decision import Witness
from policy.identity import FolderId
from policy.status import AccountStatus
from store.accounts import SetAccountStatus
from store.errors import Busy
from store.moved import Moved
from store.port import Event, FolderChanged, PolicyChanged
from store.sqlite import SqliteEngine
from store.writer import Fault
from tests.store.conftest import Directory
from tests.store.held_back import held_back

ANNA, BRUNO = 7, 8
FOLDER = FolderId(3)


def witness(*scopes: int, until: int | None = None) -> Witness:
    return Witness(tuple((scope, 1) for scope in scopes), until)


def written(moved: Moved, *events: Event) -> None:
    moved.note(events)
    moved.settle()


def test_what_was_changed_stands_no_longer() -> None:
    moved = Moved()
    before = moved.moment
    written(moved, PolicyChanged(frozenset({ANNA})))
    assert not moved.stands(witness(0, ANNA), before, 0)
    assert moved.stands(witness(0, BRUNO), before, 0)
    assert moved.stands(witness(0, ANNA), moved.moment, 0)


def test_what_is_about_to_be_changed_does_not_stand() -> None:
    moved = Moved()
    moved.note([PolicyChanged(frozenset({ANNA})), FolderChanged(FOLDER, 9)])
    assert not moved.stands(witness(ANNA), moved.moment, 0)
    assert not moved.is_at(FOLDER, 8, moved.moment)


def test_a_witness_ends_with_its_time() -> None:
    moved = Moved()
    assert moved.stands(witness(ANNA, until=100), 0, 99)
    assert not moved.stands(witness(ANNA, until=100), 0, 100)


def test_a_folder_is_where_it_was_left() -> None:
    moved = Moved()
    assert moved.is_at(FOLDER, 4, moved.moment)
    written(moved, FolderChanged(FOLDER, 5))
    assert not moved.is_at(FOLDER, 4, 0)
    assert moved.is_at(FOLDER, 5, 0)
    assert moved.is_at(FolderId(4), 1, 0)


@pytest.mark.parametrize(
    "events",
    [
        [PolicyChanged(frozenset({number})) for number in range(100, 103)],
        [FolderChanged(FolderId(number), 1) for number in range(100, 103)],
    ],
    ids=["scopes", "folders"],
)
def test_what_was_forgotten_is_taken_to_have_moved(events: Sequence[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.moved, "REMEMBERED", 2)
    moved = Moved()
    before = moved.moment
    written(moved, *events)
    assert moved.stands(witness(ANNA), before, 0), "that is known still"
    written(moved)
    assert not moved.stands(witness(ANNA), before, 0)
    assert not moved.is_at(FOLDER, 4, before)
    assert moved.stands(witness(ANNA), moved.moment, 0)
    assert moved.is_at(FOLDER, 4, moved.moment)


@pytest.fixture
def url() -> str:
    return "sqlite:///{data}/procura.db"


def holds(directory: Directory, found: Witness, since: int) -> bool:
    assert directory.store.moved is not None
    return directory.store.moved.stands(found, since, 0)


async def test_a_commit_that_is_under_way_has_moved_what_it_changes(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    async with directory.store.snapshot() as snapshot:
        anna, bruno, before = await snapshot.witness(directory.anna), await snapshot.witness(directory.bruno), snapshot.moment
    assert holds(directory, anna, before)
    reached, may_go_on = held_back(monkeypatch)
    deed = asyncio.ensure_future(directory.store.do(SetAccountStatus(directory.anna, AccountStatus.LOCKED)))
    await asyncio.to_thread(reached.wait, 10)
    async with directory.store.snapshot() as snapshot:
        assert await snapshot.confirms(anna), "nothing has been committed"
        meanwhile = snapshot.moment
    assert not holds(directory, anna, before)
    assert not holds(directory, anna, meanwhile), "what was seen before the end of the commit is no proof for afterwards"
    assert holds(directory, bruno, before)
    may_go_on.set()
    await deed
    assert not holds(directory, anna, meanwhile)
    async with directory.store.snapshot() as snapshot:
        assert not await snapshot.confirms(anna)
        anew = await snapshot.witness(directory.anna)
        assert holds(directory, anew, snapshot.moment)


async def test_a_commit_that_failed_is_asked_about(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    async with directory.store.snapshot() as snapshot:
        found, before = await snapshot.witness(directory.anna), snapshot.moment

    def full(engine: SqliteEngine, events: Sequence[Event]) -> None:
        raise Fault("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(SqliteEngine, "commit", full)
        with pytest.raises(Busy):
            await directory.store.do(SetAccountStatus(directory.anna, AccountStatus.LOCKED))
    assert not holds(directory, found, before)
    async with directory.store.snapshot() as snapshot:
        assert await snapshot.confirms(found)
        assert holds(directory, found, snapshot.moment)
