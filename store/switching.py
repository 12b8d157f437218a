"""Functions that know of no loop, run on one: wherever they have to wait, they switch to it and are switched back to.

The functions of the aggregates are synchronous. On PostgreSQL each of them runs in a greenlet: its statements give what has to be awaited
to the coroutine that runs it, so that it needs no thread, holds up nobody, and is the same function as on SQLite.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from greenlet import getcurrent, greenlet

T = TypeVar("T")


class _Switched(greenlet):  # type: ignore[misc]  # it brings no types
    """The greenlet of one function; its parent is whoever awaits."""


async def switched(function: Callable[[], T]) -> T:
    """Runs it; what it gives to `awaited` is awaited here. Cancelled, the function gets the CancelledError where it waits.

    Raises what the function raises.
    """
    running = _Switched(function)
    given: Any = running.switch()
    while not running.dead:
        try:
            value = await given
        except BaseException:
            # Into the function, as if what it called had raised it.
            given = running.throw(*sys.exc_info())
        else:
            given = running.switch(value)
    return cast(T, given)


def awaited(something: Awaitable[T]) -> T:
    """Inside a function that `switched` runs: waits for it and returns its result, or raises what it raises. Elsewhere: RuntimeError."""
    current = getcurrent()
    if not isinstance(current, _Switched) or current.parent is None:
        close = getattr(something, "close", None)
        if close is not None:
            close()
        raise RuntimeError("nobody is there to wait: only functions run by `switched` may")
    return cast(T, current.parent.switch(something))
