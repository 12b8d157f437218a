"""`procura`, which ends by kill -9 at a named place in its code when a test asks for it: `python -m tests.live.fatal FILE serve ...`.

While FILE is there and says `MODULE:NAME before|after COUNT`, the COUNTth call of that function from now on is its process's last act:
before it begins, or after it has ended. The file is gone then. Which functions can be named stands in POINTS; they are wrapped here, so
that nothing in them knows of it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

POINTS: Final = (
    "store.blobs:Files.spool",
    "store.sqlite:SqliteEngine.commit",
    "store.postgres:PostgresEngine.commit",
    "store.writer:Writer._settle",
    "store.server:StoreServer._begin",
    "store.server:StoreServer._ended",
    "store.server:StoreServer._do_once",
    "store.remote:RemoteStore._send",
    "store.remote:RemoteStore._settle",
    "store.migrate:_do",
    "store.migrate:_do_shared",
    "store.backups:Backups.keep_database",
    "store.backups:Backups.keep_message",
    "store.backups:Backups.finish",
    "store.backups:Backups.prune",
    "store.relocation:_EmbeddedTarget.write",
    "store.relocation:_EmbeddedTarget.settle",
    "store.relocation:_EmbeddedTarget.finish",
    "store.relocation:_SharedTarget.write",
    "store.relocation:_SharedTarget.settle",
    "store.relocation:_SharedTarget.finish",
    "gateway.directory.reinstallation:_unpacked",
    "gateway.directory.reinstallation:_settled",
    "gateway.directory.reinstallation:_moved_in",
    "gateway.directory.reinstallation:_place",
    "gateway.delivery:Delivery.accept",
    "gateway.queue:Queue._hand_on",
    "gateway.queue:Queue._sent",
    "gateway.relay:Relay.send",
)


def asked(point: str, when: str, count: int) -> str:
    """What the file has to say."""
    assert point in POINTS
    assert when in ("before", "after")
    return f"{point} {when} {count}"


def _last_act(file: Path, point: str, when: str, seen: Counter[str]) -> None:
    try:
        said = file.read_text()
    except OSError:
        return
    wanted, at, count = said.split(" ")
    if (wanted, at) != (point, when):
        return
    seen[said] += 1
    if seen[said] >= int(count):
        file.unlink(missing_ok=True)
        os.kill(os.getpid(), signal.SIGKILL)


def _wrapped(function: Callable[..., Any], point: str, file: Path) -> Callable[..., Any]:
    seen: Counter[str] = Counter()
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waited(*arguments: Any, **options: Any) -> Any:
            _last_act(file, point, "before", seen)
            done = await function(*arguments, **options)
            _last_act(file, point, "after", seen)
            return done

        return waited

    @functools.wraps(function)
    def called(*arguments: Any, **options: Any) -> Any:
        _last_act(file, point, "before", seen)
        done = function(*arguments, **options)
        _last_act(file, point, "after", seen)
        return done

    return called


def main() -> int:
    """The command, with its last acts."""
    file = Path(sys.argv.pop(1))
    for point in POINTS:
        module, _, name = point.partition(":")
        holder: Any = importlib.import_module(module)
        *above, last = name.split(".")
        for one in above:
            holder = getattr(holder, one)
        setattr(holder, last, _wrapped(getattr(holder, last), point, file))
    from gateway import cli

    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
