"""Who follows what? An index that keeps a set only where there are several: most folders and accounts have one follower."""

from collections.abc import Hashable, Iterable, Iterator
from typing import Any, Generic, TypeVar, cast

K = TypeVar("K", bound=Hashable)
V = TypeVar("V", bound=Hashable)


class Followers(Generic[K, V]):
    """Key → followers, in no order. No follower may itself be a set."""

    __slots__ = ("_by_key",)

    def __init__(self) -> None:
        self._by_key: dict[K, Any] = {}

    def add(self, key: K, one: V) -> None:
        """From here on this one follows `key`."""
        there = self._by_key.setdefault(key, one)
        if type(there) is set:
            there.add(one)
        elif there is not one:
            self._by_key[key] = {there, one}

    def discard(self, key: K, one: V) -> None:
        """No longer; nothing happens where it did not."""
        there = self._by_key.get(key)
        if type(there) is set:
            there.discard(one)
            if len(there) == 1:
                self._by_key[key] = there.pop()
        elif there is one:
            del self._by_key[key]

    def of(self, key: K) -> Iterable[V]:
        """All that follow `key`; to be gone through before any of them is added or taken away."""
        there = self._by_key.get(key)
        if there is None:
            return ()
        return cast("set[V]", there) if type(there) is set else (there,)

    def count(self, key: K) -> int:
        """How many follow `key`."""
        there = self._by_key.get(key)
        return 0 if there is None else len(there) if type(there) is set else 1

    def everyone(self) -> set[V]:
        """Whoever follows something."""
        return {one for key in self._by_key for one in self.of(key)}

    def __iter__(self) -> Iterator[K]:
        return iter(self._by_key)

    def __len__(self) -> int:
        return len(self._by_key)
