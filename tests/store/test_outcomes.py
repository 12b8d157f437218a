"""A deed's answer is kept with the deed, and forgotten when it has arrived."""

import pytest

from policy.identity import Address
from store import accounts, outcomes
from store.accounts import CreateAccount
from store.channel import unpacked
from store.errors import Conflict
from store.outcomes import ForgetOutcomes, Once
from tests.store.conftest import Directory


@pytest.fixture
def url() -> str:
    """Of SQLite: on PostgreSQL every process writes for itself."""
    return "sqlite:///{data}/procura.db"


async def test_the_answer_is_kept_under_the_key(directory: Directory) -> None:
    answer = await directory.store.do(Once(7, CreateAccount(Address("carla", "acme.test"))))
    assert await directory.ask(outcomes.of, 7) == answer
    row = await directory.ask(accounts.by_id, unpacked(answer))
    assert row is not None
    assert row.address.local == "carla"
    assert await directory.ask(outcomes.of, 8) is None


async def test_what_was_refused_leaves_nothing(directory: Directory) -> None:
    with pytest.raises(Conflict):
        await directory.store.do(Once(7, CreateAccount(Address("anna", "acme.test"))))
    assert await directory.ask(outcomes.of, 7) is None


async def test_ranges_are_forgotten(directory: Directory) -> None:
    for key in range(5):
        await directory.store.do(Once(key, ForgetOutcomes(())))
    await directory.store.do(ForgetOutcomes(((1, 3), (4, 9))))
    assert [key for key in range(5) if await directory.ask(outcomes.of, key) is not None] == [0, 3]


def test_it_weighs_what_it_does() -> None:
    assert Once(1, CreateAccount(Address("a", "b.test"))).weight == CreateAccount(Address("a", "b.test")).weight
