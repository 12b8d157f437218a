"""The writing half of a transaction that only reads: it refuses."""

# ruff: noqa: D102 - what the methods would do stands in store/port.py

from collections.abc import Mapping, Sequence
from typing import Any

from store.port import Event

_ONLY_READS = "a snapshot only reads"


class OnlyReads:
    """For every engine's reading transaction. A deed's function that is asked by mistake raises TypeError before it changes anything."""

    __slots__ = ()

    def run(self, statement: str, /, **parameters: Any) -> int:
        raise TypeError(_ONLY_READS)

    def later(self, statement: str, /, **parameters: Any) -> None:
        raise TypeError(_ONLY_READS)

    def insert(self, statement: str, /, **parameters: Any) -> int:
        raise TypeError(_ONLY_READS)

    def many(self, statement: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        raise TypeError(_ONLY_READS)

    def touch(self, *scopes: int) -> None:
        raise TypeError(_ONLY_READS)

    def wake(self, event: Event, /) -> None:
        raise TypeError(_ONLY_READS)

    def in_turn(self) -> None:
        raise TypeError(_ONLY_READS)
