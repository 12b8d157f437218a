import inspect

import pytest

from store.port import DIRECTORY, Deed, Snapshot, Store, Tx
from store.sqlite import SqliteSnapshot, SqliteStore, SqliteTx, SqliteWritingTx


@pytest.mark.parametrize(("port", "engine"), [(Tx, SqliteTx), (Tx, SqliteWritingTx), (Snapshot, SqliteSnapshot), (Store, SqliteStore)])
def test_the_engine_takes_what_the_port_says(port: type, engine: type) -> None:
    asked = {name: member for name, member in vars(port).items() if inspect.isfunction(member) and not name.startswith("_")}
    assert asked
    for name, member in asked.items():
        wanted, taken = inspect.signature(member).parameters, inspect.signature(getattr(engine, name)).parameters
        assert [(one.name, one.kind, one.default) for one in taken.values()] == [
            (one.name, one.kind, one.default) for one in wanted.values()
        ], name


def test_a_deed_weighs_nothing_unless_it_says_so() -> None:
    assert Deed().weight == 0


def test_the_directory_is_no_objects_id() -> None:
    assert DIRECTORY == 0
