import inspect

from store import errors
from store.errors import Busy, StoreError
from store.writer import Fault


def test_whoever_catches_store_errors_catches_them_all() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert len(kinds) > 5
    assert all(issubclass(kind, StoreError) and kind.__doc__ for kind in kinds)


def test_a_failure_of_the_engine_is_later_to_everybody_else() -> None:
    assert issubclass(Fault, Busy)
