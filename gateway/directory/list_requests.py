"""What waits at lists for their owners, and which members cannot be reached, for administrators."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.delivery import Delivery
from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from gateway.message.canonical import read_address
from policy.identity import BadAddress, ListId
from policy.roles import Operation
from store import list_bounces, list_requests, lists, members
from store.errors import NotFound
from store.list_bounces import ClearBounces
from store.model import BouncingMember, ListRequest, ListRow, RequestKind, Stage
from store.port import Snapshot, Store

PAGE: Final = 200
SHORTEST: Final = 4
"""Letters of a key that may stand for all of it."""


@dataclass(frozen=True, slots=True)
class RequestView:
    """A request with the name of its list."""

    request: ListRequest
    group: str


class ListRequests:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records, delivery: Delivery) -> None:
        self._store = store
        self._records = records
        self._delivery = delivery

    async def waiting(self, name: str | None = None) -> Sequence[RequestView]:
        """At one list or at all, the oldest first: what owners have to decide, what has to be confirmed, and posts on their way."""
        async with self._store.snapshot() as snapshot:
            group = None if name is None else (await names.mailing_list(snapshot, name)).id
            if group is None:
                await self._records.browse(snapshot, Operation.VIEW_LIST)
            else:
                await self._records.allow(snapshot, Matter(Operation.VIEW_LIST, lists=(group,)), name or "")
            return sorted(await self._all(snapshot, group), key=lambda one: (one.request.created, one.request.key))

    async def decide(self, keys: Sequence[str], *, approve: bool, reason: str = "", tell: bool = True) -> int:
        """In the owners' place. `keys`: as they are shown, or as much of their beginning as is one's alone. Returns how many."""
        for key in keys:
            await self._decide(key, approve=approve, reason=reason, tell=tell)
        return len(keys)

    async def bouncing(self, name: str) -> Sequence[BouncingMember]:
        """The members from whom mail came back."""
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
            await self._records.allow(snapshot, Matter(Operation.VIEW_LIST, lists=(row.id,)), str(row.address))
            return await snapshot.work(list_bounces.of_list, row.id)

    async def resume(self, name: str, wanted: Sequence[str]) -> int:
        """What came back from these members is forgotten, and mail is sent to them again. Returns how many."""
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
            matter = Matter(Operation.MODIFY_LIST, lists=(row.id,))
            await self._records.allow(snapshot, matter, str(row.address))
            numbers = []
            for text in wanted:
                try:
                    number = await snapshot.ask(members.number_of, row.id, read_address(text))
                except BadAddress as error:
                    raise Fault(Code.INVALID_REQUEST, f"must be a valid email address: {text} ({error})") from None
                if number is None:
                    raise Fault(Code.NO_SUCH_MEMBER, f"{text} (only members elsewhere are suspended)")
                numbers.append((text, number))
        for text, number in numbers:
            words = {NotFound: Fault(Code.INVALID_REQUEST, f"nothing has come back from {text}")}
            await self._records.do(
                ClearBounces(number), "member resumed", str(row.address), matter=matter, principal=row.id, detail=text, words=words
            )
        return len(numbers)

    async def _decide(self, wanted: str, *, approve: bool, reason: str, tell: bool) -> None:
        async with self._store.snapshot() as snapshot:
            asked, row = await self._find(snapshot, wanted)
            matter = _deciding(asked)
            await self._records.allow(snapshot, matter, str(row.address))
            reaction = await self._delivery.robot.decide(snapshot, row, asked, approve=approve, reason=reason, tell=tell)
            deed = await self._delivery.react(snapshot, reaction)
        event = f"{asked.kind} {'approved' if approve else 'rejected'}"
        words = {NotFound: Fault(Code.INVALID_REQUEST, f"not there any more: {wanted}")}
        said = f"{asked.address} ({asked.key})" + (f": {reason}" if reason else "")
        await self._records.do(deed, event, str(row.address), matter=matter, principal=row.id, detail=said, words=words)

    async def _find(self, snapshot: Snapshot, wanted: str) -> tuple[ListRequest, ListRow]:
        key = wanted.lower()
        asked = await snapshot.ask(list_requests.by_key, key)
        if asked is None and len(key) >= SHORTEST:
            near = [one.request for one in await self._all(snapshot, None) if one.request.key.startswith(key)]
            if len(near) > 1:
                raise Fault(Code.INVALID_REQUEST, f"{wanted} is the beginning of several: write more of it")
            asked = near[0] if near else None
        row = None if asked is None else await snapshot.ask(lists.by_id, asked.list)
        if asked is None or row is None:
            raise Fault(Code.INVALID_REQUEST, f"nothing that waits is called {wanted} (procura list pending shows what waits)")
        if asked.stage is not Stage.OWNERS:
            whom = "the one who asked, to be confirmed" if asked.stage is Stage.CONFIRM else "nobody: it is on its way"
            raise Fault(Code.INVALID_REQUEST, f"{wanted} waits for {whom}")
        return asked, row

    async def _all(self, snapshot: Snapshot, group: ListId | None) -> list[RequestView]:
        found: list[RequestView] = []
        known: dict[ListId, str | None] = {}
        after = ""
        while True:
            page = await snapshot.work(list_requests.waiting, group, after, PAGE)
            for one in page:
                if one.expires <= snapshot.now:
                    continue
                if one.list not in known:
                    row = await snapshot.ask(lists.by_id, one.list)
                    known[one.list] = None
                    if row is not None and await self._records.sees(snapshot, Matter(Operation.VIEW_LIST, domains=(row.domain,))):
                        known[one.list] = names.shown(row.address)
                name = known[one.list]
                if name is not None:
                    found.append(RequestView(one, name))
            if len(page) < PAGE:
                return found
            after = page[-1].key


def _deciding(asked: ListRequest) -> Matter:
    match asked.kind:
        case RequestKind.SUBSCRIBE:
            return Matter(Operation.ADD_MEMBERS, lists=(asked.list,), members=(asked.address,))
        case RequestKind.UNSUBSCRIBE:
            return Matter(Operation.REMOVE_MEMBERS, lists=(asked.list,))
        case RequestKind.POST:
            return Matter(Operation.MODIFY_LIST, lists=(asked.list,))


def is_post(view: RequestView) -> bool:
    """Else somebody wants to join or leave."""
    return view.request.kind is RequestKind.POST
