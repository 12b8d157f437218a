"""What did a deed of another process come to, if the writer was killed between its commit and its answer?

A worker numbers its deeds. The number and the answer are written in the transaction of the deed, so that a deed that is sent again to
the next writer is answered instead of done twice; they are forgotten when the worker is known to have the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from store.channel import packed
from store.port import Deed, Tx

KEYS_OF_A_LIFE = 1 << 40
"""A process has so many keys; the first is its number times this."""


@dataclass(frozen=True, slots=True)
class Once(Deed[bytes]):
    """A deed under its key; returns what the deed returns, packed (store/channel.py)."""

    key: int
    deed: Deed[Any]

    @property
    def weight(self) -> int:
        """That of the deed."""
        return self.deed.weight

    @property
    def brief(self) -> bool:
        """As the deed."""
        return self.deed.brief


@dataclass(frozen=True, slots=True)
class ForgetOutcomes(Deed[None]):
    """Of the keys from each first one to before each second one."""

    ranges: Sequence[tuple[int, int]]


def of(tx: Tx, key: int) -> bytes | None:
    """The packed answer to the deed of this key; None: it was not done, or its answer is forgotten."""
    found = tx.one("outcomes.of", key=key)
    return None if found is None else bytes(found[0])


def kept(tx: Tx, key: int, value: Any) -> bytes:
    """The answer, packed, and kept."""
    answer = packed(value)
    tx.run("outcomes.keep", key=key, answer=answer)
    return answer


def _forget(tx: Tx, deed: ForgetOutcomes) -> None:
    for first, end in deed.ranges:
        tx.run("outcomes.forget", first=first, end=end)


DEEDS = ((ForgetOutcomes, _forget),)
