"""What was read of short values is remembered: people write to the same people, and programs the same MIME fields, again and again."""

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Final, TypeVar

_LONGEST: Final = 256
"""Octets of a value that is remembered."""
_MOST: Final = 512
"""Values, for each reading: 400 KB at the most, where all are as long as may be."""

T = TypeVar("T")


def remembered(reading: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """The same reading of a field's value, which has to rest on nothing else, and nobody changes what it returns."""
    short = lru_cache(maxsize=_MOST)(reading)

    @wraps(reading)
    def read(value: bytes) -> T:
        return short(value) if len(value) <= _LONGEST else reading(value)

    return read
