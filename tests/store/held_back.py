"""A commit of the embedded store that waits, so that a test may look at what stands between a deed and its end."""

import threading
from collections.abc import Sequence

import pytest

from store.port import Event
from store.sqlite import SqliteEngine


def held_back(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """From now on; the first is set when a commit is reached, and it goes on once the second is, or after ten seconds."""
    reached, may_go_on = threading.Event(), threading.Event()
    commit = SqliteEngine.commit

    def slow(engine: SqliteEngine, events: Sequence[Event]) -> None:
        reached.set()
        may_go_on.wait(10)
        commit(engine, events)

    monkeypatch.setattr(SqliteEngine, "commit", slow)
    return reached, may_go_on
