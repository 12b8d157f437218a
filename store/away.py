"""Octets that lie elsewhere: a reading says which it needs, they are brought, and it is done again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from store.errors import Busy, StoreError

AWAY_AT_ONCE: Final = 16
"""Octets that are asked for together by what reads many messages, each of them large."""

Spans = tuple[tuple[int, int], ...]
"""From each first octet up to the second."""


@dataclass(frozen=True, slots=True)
class Want:
    """`spans` None: all of it."""

    place: str
    spans: Spans | None = None


class Away(StoreError):
    """Octets that a snapshot names are not here. Nobody waits for a network inside a snapshot: `Files.brought` does outside of it."""

    def __init__(self, wanted: tuple[Want, ...]) -> None:
        super().__init__(f"octets {', '.join(one.place for one in wanted[:3])}")
        self.wanted = wanted


class Lost(Busy):
    """The object store says that it has no such object. So does one that is not the right one: it may be there again."""


@dataclass(slots=True)
class Wanting:
    """For whoever reads one message after the other: what is away is noted and asked for at once, at the end."""

    wanted: list[Want] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """What is read within is left out of this round where it is away."""
        try:
            yield
        except Away as away:
            self.wanted += away.wanted

    def settle(self) -> None:
        """Raises Away where something was."""
        if self.wanted:
            raise Away(tuple(dict.fromkeys(self.wanted)))
