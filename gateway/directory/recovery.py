"""An installation whose database was brought back to an earlier moment, by other tools than ours: what people have seen since must not be
taken for what comes now."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from store.connect import connect
from store.port import Store
from store.postgres import PostgresStore
from store.renewal import Renew, Renewed

LEASES_SECONDS: Final = 30.0
"""The database remembers servers of then as if they lived, until the leases they had have ended."""


async def renew(url: str, data: Path, *, patience: float = LEASES_SECONDS) -> Renewed:
    """What `procura restore` does at its end, while no server runs. Raises Fault, StoreError (InUse: a server runs here)."""
    store = await connect(url, data)
    try:
        await _alone(store, patience)
        renewed = await Records(store).do(Renew(), "installation restored", "by other tools")
        # Whoever came meanwhile may have told clients the old numbers.
        if late := await _others(store):
            raise Fault(Code.INVALID_REQUEST, f"all is renewed, but a procura was started meanwhile: restart {', '.join(late)}")
        return renewed
    finally:
        await store.close()


def words(done: Renewed) -> list[str]:
    """What came of it, for an operator."""
    told = [f"{done.folders} folders have a new UIDVALIDITY: mail clients fetch them again"]
    if done.queued:
        told.append(f"{done.queued} messages in the queue are held, for they may have left since: procura queue list, release, drop")
    return told


async def _alone(store: Store, patience: float) -> None:
    ends = asyncio.get_running_loop().time() + patience
    first: dict[str, int] = {}
    while others := await _others(store):
        # Whoever renews its lease lives now, and not only then.
        renewed = any(first.setdefault(name, until) != until for name, until in others.items())
        if renewed or asyncio.get_running_loop().time() > ends:
            raise Fault(Code.INVALID_REQUEST, f"a procura serves this database: stop {', '.join(others)} first; nothing was changed")
        await asyncio.sleep(0.25)


async def _others(store: Store) -> Mapping[str, int]:
    return await store.nodes.others() if isinstance(store, PostgresStore) else {}
