"""Somebody else who acts between a judgement and its deed."""

from collections.abc import Awaitable, Callable
from typing import Any

from store.port import Deed, Store


class Meddler:
    """A store in which somebody else is always a moment faster: `meddle` is done between judgement and deed."""

    def __init__(self, store: Store, meddle: Callable[[], Awaitable[None]], times: int = 1) -> None:
        self._store = store
        self._meddle = meddle
        self.left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def do(self, deed: Deed[Any], witness: Any = None, **options: Any) -> Any:
        if witness is not None and self.left:
            self.left -= 1
            await self._meddle()
        return await self._store.do(deed, witness, **options)
