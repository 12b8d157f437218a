"""What would be decided at another time, or after changes that nobody makes: `--at TIME` and `--with FILE`."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from gateway.delivery import Delivery, DeliveryRules
from gateway.directory.faults import Code, Fault
from gateway.directory.open_sessions import NoSessions, OpenSessions
from gateway.directory.premises import Premises
from gateway.directory.service import Directory
from gateway.explain import Explain
from gateway.folders import Folders
from gateway.loginhistory import LoginHistory
from gateway.prov import verbs
from gateway.prov.answer import Usage
from gateway.prov.arguments import moment, words
from gateway.prov.verb import Desk
from store.blobs import Files
from store.connect import supposed
from store.errors import StoreError
from store.floor import wall_clock
from store.model import Verifiers
from store.supposed import At

LINES: Final = 10_000
"""Changes that are tried at once."""
PREFIX: Final = "supposed-"
TRIED: Final = frozenset(
    {
        "grantRight",
        "revokeRight",
        "selectMailbox",
        "addDistributionListMember",
        "removeDistributionListMember",
        "createDistributionList",
        "deleteDistributionList",
        "modifyDistributionList",
        "modifyAccount",
        "setAccountCos",
        "modifyCos",
        "modifyDomain",
    }
)
"""Verbs whose changes can be tried: those about rights, membership, statuses and values."""


def scratch_of(url: str, data: Path, clock: Callable[[], int] = wall_clock) -> Callable[[], AbstractAsyncContextManager[Desk]]:
    """For `Desk`: copies of the store at `url`, one at a time, each in a directory that is gone with it.
    `clock`: microseconds since 1970 UTC."""
    one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def scratch() -> AsyncIterator[Desk]:
        async with one_at_a_time:
            into = Path(tempfile.mkdtemp(prefix=PREFIX, dir=data))
            try:
                store = await supposed(url, data, into, clock)
                files = Files(into / "messages")
                folders = Folders(store, files)
                delivery = Delivery(store, files, DeliveryRules("supposed.invalid", relays=False, hops=50, quota_rejects=False, lifetime=1))
                try:
                    premises = Premises(into, files, tuple)
                    directory = Directory(store, folders, _no_password, delivery, premises, verify=_nobodys_password)
                    sessions = OpenSessions(store, directory.records, NoSessions(), LoginHistory(store))
                    yield Desk(directory, Explain(store), sessions)
                finally:
                    await folders.close()
                    await store.close()
            except StoreError as error:
                raise Fault(Code.TEMPORARILY_UNAVAILABLE, error) from None
            finally:
                await asyncio.to_thread(shutil.rmtree, into, ignore_errors=True)

    return scratch


def sweep(data: Path) -> None:
    """What a process that was killed left behind; while the store is ours nobody else tries anything."""
    for left in data.glob(f"{PREFIX}*"):
        shutil.rmtree(left, ignore_errors=True)


@asynccontextmanager
async def supposing(desk: Desk, at: str | None, changes: str | None) -> AsyncIterator[Explain]:
    """Explains what would be. `at`: a time as it is typed; `changes`: lines as after `procura prov`. Raises Fault, which names the line
    that cannot be: nothing is explained then."""
    now = await desk.directory.now()
    moved = None if at is None else moment(at, now)
    if changes is None:
        yield desk.explain if moved is None else Explain(At(desk.directory.store, moved))
        return
    if desk.scratch is None:
        raise Fault(Code.INVALID_REQUEST, "changes cannot be tried here")
    tried = _read(changes)
    async with desk.scratch() as elsewhere:
        for number, line in tried:
            try:
                await verbs.find(line[0])(elsewhere, line[1:])
            except Fault as fault:
                raise Fault(Code.INVALID_REQUEST, f"line {number}: {fault}") from None
            except Usage as usage:
                raise Fault(Code.INVALID_REQUEST, f"line {number}: {usage.text.splitlines()[0]}") from None
        yield elsewhere.explain if moved is None else Explain(At(elsewhere.directory.store, moved))


def _read(text: str) -> Sequence[tuple[int, Sequence[str]]]:
    lines = text.splitlines()
    if len(lines) > LINES:
        raise Fault(Code.INVALID_REQUEST, f"at most {LINES} lines are tried at once")
    found: list[tuple[int, Sequence[str]]] = []
    for number, line in enumerate(lines, 1):
        try:
            said = words(line)
            verb = verbs.find(said[0]) if said else None
        except Fault as fault:
            raise Fault(Code.INVALID_REQUEST, f"line {number}: {fault}") from None
        except Usage as usage:
            raise Fault(Code.INVALID_REQUEST, f"line {number}: {usage.text.splitlines()[0]}") from None
        if verb is None:
            continue
        if verb.name not in TRIED:
            raise Fault(Code.INVALID_REQUEST, f"line {number}: {verb.name} cannot be tried, only {', '.join(sorted(TRIED))}")
        found.append((number, said))
    return found


async def _no_password(_: str) -> Verifiers:
    raise Fault(Code.INVALID_REQUEST, "passwords are not tried")


async def _nobodys_password(verifier: str, password: bytes, *, recall: bool = True) -> bool:
    return False
