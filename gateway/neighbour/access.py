"""May this come in, as far as we know who sends it and for whom it is? (policy delegation; delegation.md sections 3, 5.6 and 9)"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from config.addresses import Network
from gateway.delivery import Delivery
from gateway.login import Login, Peer
from gateway.message.canonical import read_address
from gateway.neighbour.attributes import DUNNO, Request
from gateway.refusal import Refused
from gateway.refusals import Refusals
from gateway.routing import Poster
from gateway.smtp.replies import ClosedReply, one_line, told_as
from gateway.smtp.terms import is_within
from gateway.submission import Act, Submission
from policy.delivery import Door
from policy.identity import Actor, Address, BadAddress
from policy.reasons import Reason, Refuse, Verdict
from store import lists
from store.port import Store

log = logging.getLogger(__name__)

PROTOCOL: Final = "policy"
"""As the record and the log have it."""
REMEMBERED: Final = 10_000
"""Messages under way whose first answer is remembered, so that a thousand recipients make one record."""

_JUDGED: Final = frozenset({"MAIL", "RCPT", "DATA", "BDAT", "END-OF-MESSAGE"})
_NOT_OURS: Final = frozenset({Reason.RECIPIENT_UNKNOWN, Reason.RELAY_NOT_PERMITTED})
"""The neighbour may have recipients and routes of its own; that an address is nobody's it has from the map `mailbox`."""

Check = Callable[[Request, Actor | None], Awaitable[None]]
"""Raises Refused. `Actor` None: nobody is logged in."""


class Access:
    """The answer to one request. `trusted`: clients whose MAIL FROM counts where a list asks who posts, though nobody logged in
    (`lmtp_networks`). `more`: what is asked besides, after the sender and before the recipient (a rate, a quota)."""

    def __init__(
        self,
        store: Store,
        login: Login,
        submission: Submission,
        delivery: Delivery,
        *,
        trusted: Sequence[Network],
        closed_reply: ClosedReply = "5.2.1",
        more: Sequence[Check] = (),
        refusals: Refusals | None = None,
    ) -> None:
        self._store = store
        self._login = login
        self._submission = submission
        self._delivery = delivery
        self._trusted = trusted
        self._closed_reply: ClosedReply = closed_reply
        self._refusals = refusals
        self._checks: tuple[Check, ...] = (self._sender, *more, self._recipient)
        self._answered: OrderedDict[tuple[str, ...], Refuse | None] = OrderedDict()

    async def action(self, request: Request) -> str:
        """One line for access(5). Raises StoreError."""
        if request.state not in _JUDGED:
            return DUNNO
        actor = None
        try:
            actor = await self._actor(request)
            for check in self._checks:
                await check(request, actor)
        except Refused as refused:
            verdict = refused.verdict
            if self._refusals is not None:
                about = request.recipient or request.sender or request.login
                verdict = self._refusals.named(verdict, PROTOCOL, request.client, actor, about, told_as(verdict, self._closed_reply))
            return one_line(verdict, self._closed_reply)
        return DUNNO

    async def _actor(self, request: Request) -> Actor | None:
        if not request.login:
            return None
        try:
            return await self._login.vouched_for(request.login, Peer(request.client, PROTOCOL, request.secured))
        except Refused as refused:
            fields = {"account": request.login, "protocol": PROTOCOL, "source": request.client, "mechanism": request.mechanism}
            log.warning("login", extra={"fields": {**fields, "outcome": "refused", "reason": refused.verdict.reason}})
            raise

    async def _sender(self, request: Request, actor: Actor | None) -> None:
        """Only of who is logged in; whom strangers say they are is not ours to know (delegation.md section 5)."""
        if actor is None:
            return
        act = Act(actor, request.client, PROTOCOL)
        key = (request.instance, request.login, request.sender)
        before = self._before(key, request)
        if isinstance(before, Refuse):
            raise Refused(before)
        try:
            path = read_address(request.sender) if request.sender else None
        except BadAddress as bad:
            verdict = Refuse(Reason.REVERSE_PATH_NOT_PERMITTED, f"{actor.address} may not send from this address: {bad}")
            refused = await self._submission.refused(act, verdict, "", "envelope")
        else:
            try:
                allowed = await self._submission.envelope(act, path)
                if before is _UNKNOWN:
                    await self._submission.permitted(act, allowed, request.queue_id)
                    self._remember(key, None)
                return
            except Refused as caught:
                refused = caught
        self._remember(key, refused.verdict)
        raise refused

    async def _recipient(self, request: Request, actor: Actor | None) -> None:
        """By mail clients as at our own submission; by anybody else as by LMTP, on which the mail will come."""
        address = _address(request.recipient)
        if address is None:
            return
        key = (request.instance, request.login, request.sender, request.recipient)
        before = self._before(key, request)
        if isinstance(before, Refuse):
            raise Refused(before)
        try:
            async with self._store.snapshot() as snapshot:
                if actor is None:
                    known_as = _address(request.sender) if self._is_trusted(request.client) else None
                    door, poster = Door.LMTP, Poster(None, not request.sender, known_as)
                else:
                    standing = await snapshot.ask(lists.standing, actor.account)
                    door, poster = Door.SUBMISSION, Poster(standing, not request.sender)
                await self._delivery.takes(snapshot, door, address, poster, request.size)
        except Refused as refused:
            if refused.verdict.reason in _NOT_OURS:
                return
            if actor is not None:
                refused = await self._submission.posting_refused(Act(actor, request.client, PROTOCOL), refused, address, "")
                if refused.verdict.decision:
                    self._remember(key, refused.verdict)
            raise refused from None

    def _is_trusted(self, client: str) -> bool:
        try:
            return is_within(client, self._trusted)
        except ValueError:  # no address: "unknown"
            return False

    def _before(self, key: tuple[str, ...], request: Request) -> "Refuse | _Unknown | None":
        """What was answered about the same message: None: yes, and it is on record."""
        return self._answered.get(key, _UNKNOWN) if request.instance else _UNKNOWN

    def _remember(self, key: tuple[str, ...], verdict: Verdict | None) -> None:
        if key[0] and (verdict is None or isinstance(verdict, Refuse)):
            self._answered[key] = verdict
            while len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)


class _Unknown:
    """Nothing was answered yet."""


_UNKNOWN: Final = _Unknown()


def _address(text: str) -> Address | None:
    """None where none stands that we could know."""
    try:
        return read_address(text)
    except BadAddress:
        return None
