"""An administrator's emergency access to somebody's account: opened with a reason, told to the owner at once, over by itself."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.directory import names
from gateway.directory.authority import Matter, Ruling
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from gateway.sending import party_of
from policy.breakglass import LONGEST, USUAL, Window, is_open, why_not
from policy.decision import Decision
from policy.identity import Address
from policy.reasons import Reason, Refuse
from policy.roles import Operation
from store import accounts, breakglass
from store.breakglass import CloseWindow, OpenWindow
from store.deeds import Several
from store.errors import Conflict, NotFound
from store.model import AccountRow
from store.port import Deed, Snapshot, Store

SUBJECT = "An administrator may open your mailbox for a while"
MOST_REASON = 500
"""Characters: a sentence or two, in one line."""

Notice = Callable[[Snapshot, Address, str, str], Awaitable[Deed[object]]]
"""Makes the deed that puts a mail of ours into somebody's mailbox: Delivery.notice."""


@dataclass(frozen=True, slots=True)
class WindowView:
    """A window with names for ids, and whether it is open now."""

    window: Window
    account: str
    administrator: str
    is_open: bool


class BreakGlass:
    """Every method raises Fault, and nothing else that is expected. `notice` None: nobody can be told, so nothing is opened."""

    def __init__(self, store: Store, records: Records, notice: Notice | None = None) -> None:
        self._store = store
        self._records = records
        self._notice = notice

    async def open(self, account: str, administrator: str, reason: str, seconds: int = USUAL) -> WindowView:
        """The window, its record and the mail to the owner are one: there is no window of which the owner was not told."""
        said = " ".join(reason.split())
        if not said or not said.isprintable():
            raise Fault(Code.INVALID_REQUEST, "a reason is needed, in words")
        if len(said) > MOST_REASON:
            raise Fault(Code.INVALID_REQUEST, f"the reason has at most {MOST_REASON} characters")
        if not 0 < seconds <= LONGEST:
            raise Fault(Code.INVALID_REQUEST, f"a window is open for at most {LONGEST // 3600} hours")
        if self._notice is None:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, "the owner cannot be told")
        await self._allow(Operation.BREAK_GLASS, account)
        async with self._store.snapshot() as snapshot:
            owner = await names.account(snapshot, account)
            who = await names.account(snapshot, administrator)
            if owner.id == who.id:
                raise Fault(Code.INVALID_REQUEST, "nobody needs a window on the own account")
            refused = why_not(party_of(who), party_of(owner))
            if self._records.authority.account not in (None, who.id):
                refused = "an administrator opens a window for nobody else"
            if refused:
                ruling = Ruling(Decision(Refuse(Reason.ADMIN_NOT_PERMITTED, refused)), refused, None)
                raise await self._records.authority.refused(ruling, None, "break-glass opened", str(owner.address), owner.id)
            expires = snapshot.now + seconds * 1_000_000
            mail = await self._notice(snapshot, owner.address, SUBJECT, _told(owner, who, said, expires))
        opened, _ = await self._records.do(
            Several((OpenWindow(owner.id, who.id, said, expires), mail)),
            "break-glass opened",
            str(owner.address),
            principal=owner.id,
            right="break-glass",
            matter=Matter(Operation.BREAK_GLASS, accounts=(owner.id,)),
            detail=f"for {who.address} until {_spelled(expires)}: {said}",
            words={NotFound: Fault(Code.NO_SUCH_ACCOUNT, account), Conflict: Fault(Code.INVALID_REQUEST, "such a window cannot be")},
        )
        return WindowView(opened, str(owner.address), str(who.address), True)

    async def close(self, window: int) -> WindowView:
        """Before its time; sessions that rest on it end at once."""
        await self._allow(Operation.BREAK_GLASS, str(window))
        (view,) = await self._views(window)
        if not view.is_open:
            raise Fault(Code.INVALID_REQUEST, f"window {window} is over already")
        closed = await self._records.do(
            CloseWindow(window),
            "break-glass closed",
            view.account,
            principal=view.window.account,
            right="break-glass",
            matter=Matter(Operation.BREAK_GLASS, accounts=(view.window.account,)),
            detail=f"for {view.administrator}, opened as {window}",
        )
        if not closed:
            raise Fault(Code.INVALID_REQUEST, f"window {window} is over already")
        return replace(view, is_open=False)

    async def _allow(self, operation: Operation, about: str) -> None:
        """Before a name or a number is looked up: whoever may not do it learns nothing by trying. Raises Fault."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(operation), about)

    async def windows(self, limit: int = 200) -> Sequence[WindowView]:
        """Newest first, those that are over too."""
        return await self._views(None, limit)

    async def _views(self, window: int | None, limit: int = 200) -> Sequence[WindowView]:
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.VIEW_AUDIT))
            if window is None:
                found = await snapshot.work(breakglass.newest, limit)
            else:
                one = await snapshot.ask(breakglass.by_id, window)
                if one is None:
                    raise Fault(Code.INVALID_REQUEST, f"there is no window {window}")
                found = [one]
            views = []
            for each in found:
                owner = await snapshot.ask(accounts.by_id, each.account)
                who = await snapshot.ask(accounts.by_id, each.administrator)
                of = f"#{each.account}" if owner is None else str(owner.address)
                by = f"#{each.administrator}" if who is None else str(who.address)
                views.append(WindowView(each, of, by, is_open(each, snapshot.now)))
            return views


def _told(owner: AccountRow, who: AccountRow, reason: str, expires: int) -> str:
    return "\n".join(
        (
            f"Until {_spelled(expires)} the administrator {who.address} may log in to your account {owner.address}.",
            "",
            "The reason that was given:",
            f"  {reason}",
            "",
            "It ends by itself. Everything that is done in that time is on record under both names,",
            "and you may ask your administration for the record of your mailbox.",
        )
    )


def _spelled(moment: int) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
