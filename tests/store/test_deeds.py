import importlib
import inspect
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from policy.identity import AccountId, Address, FolderId
from policy.status import AccountStatus
from store import accounts, domains
from store.accounts import CreateAccount, SetAccountStatus
from store.appending import AppendMessages, NewInFolder
from store.deeds import FUNCTIONS, Audited, Several
from store.domains import ModifyDomain
from store.errors import Conflict
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode
from store.model import Flag
from store.outcomes import Once
from store.port import Deed
from store.queue import AcceptMessage, IntoMailbox
from tests.store.conftest import Directory
from tests.store.letters import letter

STORE = Path(__file__).parents[2] / "store"


def every_deed() -> set[type[Deed[Any]]]:
    found = set()
    for file in STORE.glob("*.py"):
        module = importlib.import_module(f"store.{file.stem}")
        found |= {
            kind for kind in vars(module).values()
            if inspect.isclass(kind) and issubclass(kind, Deed) and kind is not Deed and kind.__module__ == module.__name__
        }  # fmt: skip
    return found


def test_each_deed_has_its_function() -> None:
    assert every_deed() == set(FUNCTIONS)


@pytest.mark.parametrize("kind", sorted(FUNCTIONS, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_a_deed_is_a_frozen_value_and_its_function_takes_it(kind: type[Deed[Any]]) -> None:
    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert "__slots__" in vars(kind)
    hints = get_type_hints(FUNCTIONS[kind])
    taken = hints["deed"]
    assert kind in (taken, get_origin(taken), *get_args(taken))


async def test_several_are_done_all_or_none(directory: Directory) -> None:
    done = await directory.store.do(Several((ModifyDomain(directory.acme, note="x"), CreateAccount(Address("carla", "acme.test")))))
    assert done[0] is None
    row = await directory.ask(accounts.by_id, done[1])
    assert row is not None
    with pytest.raises(Conflict):
        await directory.store.do(Several((ModifyDomain(directory.acme, note="y"), CreateAccount(Address("carla", "acme.test")))))
    acme = await directory.ask(domains.by_id, directory.acme)
    assert acme is not None
    assert acme.note == "x"


def test_wrapped_deeds_weigh_what_they_wrap() -> None:
    class Heavy(ModifyDomain):
        __slots__ = ()

        @property
        def weight(self) -> int:
            return 7

    heavy = Heavy(domains.DomainId(1))
    light = SetAccountStatus(accounts.AccountId(1), AccountStatus.ACTIVE)
    assert Audited(Several((heavy, light, heavy)), ()).weight == 14


def test_what_is_brief_is_small_and_what_wraps_it_too() -> None:
    def flags(*runs: tuple[int, int]) -> ChangeFlags:
        return ChangeFlags(FolderId(1), runs, FlagMode.ADD, Flag.SEEN)

    assert flags((1, 1)).brief
    assert flags((1, 50), (60, 70)).brief
    assert not flags((1, 1000)).brief
    assert not flags(*((one, one) for one in range(1, 20, 2))).brief
    assert not Expunge(FolderId(1)).brief
    one = IntoMailbox(AccountId(1), letter(), 0)
    assert AcceptMessage("k", (one,)).brief
    assert not AcceptMessage("k", (one,) * 20).brief
    assert AppendMessages(FolderId(1), (NewInFolder(letter()),), 0).brief
    assert not AppendMessages(FolderId(1), (NewInFolder(letter()),) * 50, 0).brief
    assert Once(1, Audited(flags((1, 1)), ())).brief
    assert not Once(1, Audited(flags((1, 1000)), ())).brief
    assert not Several((flags((1, 1)),)).brief
