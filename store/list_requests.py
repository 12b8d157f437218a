"""What waits at a list: to be confirmed by whoever asked, or to be decided by its owners."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policy.identity import Address, ListId
from store.errors import NotFound
from store.model import ListRequest, QueueId, RequestKind, Stage
from store.port import Deed, QueueChanged, Tx


@dataclass(frozen=True, slots=True)
class OpenRequest(Deed[None]):
    """`key`: of the caller's making, unguessable. An earlier request of the same address for the same (but never a post) is replaced.
    Raises NotFound (no such list any more)."""

    key: str
    list: ListId
    kind: RequestKind
    stage: Stage
    address: Address
    expires: int
    subject: str = ""


@dataclass(frozen=True, slots=True)
class AdvanceRequest(Deed[None]):
    """From one stage to the next; a post that is let through becomes due. Raises NotFound where it is not at `before` (any more)."""

    key: str
    before: Stage
    stage: Stage
    expires: int


@dataclass(frozen=True, slots=True)
class CloseRequest(Deed[None]):
    """It was decided. A post's row of the queue is somebody else's affair. Raises NotFound where it has been already."""

    key: str


@dataclass(frozen=True, slots=True)
class CountAnswer(Deed[None]):
    """A list writes to this address by itself: now."""

    address: Address


@dataclass(frozen=True, slots=True)
class ForgetRequests(Deed[Sequence[str]]):
    """What nobody confirmed or decided in its time (posts end by the queue), and answers older than `before`; returns the keys."""

    before: int
    limit: int = 500


def by_key(tx: Tx, key: str) -> ListRequest | None:
    """None: it is decided, or too late."""
    return _current(tx, tx.one("list_requests.by_key", key=key))


def asked(tx: Tx, list_id: ListId, kind: RequestKind, address: Address) -> ListRequest | None:
    """What the same address has asked already."""
    there = address.folded()
    return _current(tx, tx.one("list_requests.asked", list=list_id, kind=kind.value, local=there.local, domain=there.domain))


def by_queue(tx: Tx, row: QueueId) -> ListRequest | None:
    """The post that waits in this row of the queue, whether it is too late or not."""
    found = tx.one("list_requests.by_queue", queue=row)
    return None if found is None else _made(found)


def waiting(tx: Tx, list_id: ListId | None = None, after: str = "", limit: int = 200) -> Sequence[ListRequest]:
    """At one list or at all, by key, those behind `after`; those whose time is over too."""
    return [_made(row) for row in tx.all("list_requests.page", list=list_id or 0, after=after, limit=limit)]


def count(tx: Tx, list_id: ListId) -> int:
    """How many wait at this list."""
    return int(tx.all("list_requests.count", list=list_id)[0][0])


def count_for_owners(tx: Tx, list_id: ListId) -> int:
    """How many of them wait for its owners; the others anybody can have made who writes a From."""
    return int(tx.all("list_requests.count_for_owners", list=list_id)[0][0])


def answers(tx: Tx, address: Address, since: int) -> int:
    """How often lists wrote to this address by themselves."""
    there = address.folded()
    return int(tx.all("list_requests.answers", local=there.local, domain=there.domain, since=since)[0][0])


def link(tx: Tx, key: str, row: QueueId) -> None:
    """Where the octets of a post wait."""
    tx.run("list_requests.link", key=key, queue=row)


def _current(tx: Tx, found: Any) -> ListRequest | None:
    made = None if found is None else _made(found)
    return made if made is not None and made.expires > tx.now else None


def _made(found: Any) -> ListRequest:
    key, list_id, kind, stage, local, domain, subject, queue, created, expires = found
    row = None if queue is None else QueueId(queue)
    return ListRequest(key, ListId(list_id), RequestKind(kind), Stage(stage), Address(local, domain), subject, row, created, expires)


def _open(tx: Tx, deed: OpenRequest) -> None:
    if tx.one("lists.exists", id=deed.list) is None:
        raise NotFound(f"list {deed.list}")
    where = {"list": deed.list, "kind": deed.kind.value, "domain": deed.address.domain}
    tx.run("list_requests.drop_asked", local=deed.address.folded().local, **where)
    tx.run(
        "list_requests.open",
        key=deed.key,
        stage=deed.stage.value,
        local=deed.address.local,
        subject=deed.subject,
        now=tx.now,
        expires=deed.expires,
        **where,
    )


def _advance(tx: Tx, deed: AdvanceRequest) -> None:
    found = tx.one("list_requests.by_key", key=deed.key)
    if found is None or not tx.run(
        "list_requests.advance", key=deed.key, before=deed.before.value, stage=deed.stage.value, expires=deed.expires
    ):
        raise NotFound(f"request {deed.key}")
    request = _made(found)
    if request.queue is not None and deed.stage is Stage.APPROVED:
        tx.run("list_requests.release", queue=request.queue, now=tx.now)
        tx.wake(QueueChanged())
    # Who has read it as undecided must not act on that.
    tx.touch(request.list)


def _close(tx: Tx, deed: CloseRequest) -> None:
    if not tx.run("list_requests.close", key=deed.key):
        raise NotFound(f"request {deed.key}")


def _count_answer(tx: Tx, deed: CountAnswer) -> None:
    there = deed.address.folded()
    tx.run("list_requests.answer", local=there.local, domain=there.domain, now=tx.now)


def _forget(tx: Tx, deed: ForgetRequests) -> Sequence[str]:
    tx.run("list_requests.forget_answers", before=deed.before)
    keys = [key for (key,) in tx.all("list_requests.expired", now=tx.now, limit=deed.limit)]
    for key in keys:
        tx.run("list_requests.close", key=key)
    return keys


DEEDS = (
    (OpenRequest, _open),
    (AdvanceRequest, _advance),
    (CloseRequest, _close),
    (CountAnswer, _count_answer),
    (ForgetRequests, _forget),
)
