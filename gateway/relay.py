"""Hands remote mail on, to the next hop or to the exchangers of its domain, one outcome per recipient; keeps connections for the next."""

import asyncio
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

from gateway.dane import trusting
from gateway.exchangers import Exchangers, NoRoute
from gateway.outgoing import Connection, connect
from gateway.peers import Envelope, Lost, Peer, Reply, Tls, Unanchored, Unreachable
from policy.identity import Address

log = logging.getLogger(__name__)

IDLE: Final = 15.0
"""Seconds a connection is kept for the next message; MTAs close theirs after minutes."""
MOST_MESSAGES: Final = 100
OLDEST: Final = 300.0
"""Seconds after which a connection is not used again: who changed the next hop's address need not wait longer."""
MOST_IDLE: Final = 100
WHOLE: Final = 50 * 60.0
"""Seconds one attempt may last, all servers included."""
CONNECT: Final = 30.0
"""Seconds until a server of several has greeted; RFC 5321 would wait 5 minutes, the next one need not."""


MOST_STUMBLING: Final = 1_000
"""Servers of which it is remembered that they cannot do what they say (PIPELINING)."""

_WHATEVER_COMES: Final = ("1", "2")
_OF_A_RECIPIENT: Final = {
    **dict.fromkeys((550, 551, 553), ("", "7", *_WHATEVER_COMES)),
    **dict.fromkeys((501, 552, 554), _WHATEVER_COMES),
    556: ("1", "7"),
}
"""What a final answer to RCPT has to be, to be final although the dialogue came to no end: code → subjects of its enhanced status
(RFC 3463: of the address, of the mailbox, of policy; "": it has none). Others may be about the dialogue, as 503 (bad sequence) is."""
_STATUS: Final = re.compile(r"5\.([0-9]{1,3})\.[0-9]{1,3}\b")
_TOO_MANY: Final = re.compile(r"[45]\.5\.3\b|(?:[45]\.[0-9]\.[0-9]{1,2} )?(?:error: )?too many recipients", re.IGNORECASE)


class Fate(StrEnum):
    """What became of one recipient."""

    SENT = "sent"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reply` is the next hop's last word (or what kept us from it), for the queue and the bounce. `unreachable`: it is not about
    this message: nothing can be handed on there now. `dsn`: the next hop has DSN, and tells itself what becomes of what it took."""

    fate: Fate
    reply: str
    unreachable: bool = False
    dsn: bool = False


@dataclass(frozen=True, slots=True)
class NextHop:
    """`starttls`: TLS is required after connecting, and verified; off only where the next hop is this machine. `token`: a file with
    one, in place of the password. `others`: hosts for when the first cannot be reached."""

    host: str
    port: int
    implicit_tls: bool
    starttls: bool
    username: str | None = None
    password: str | None = None
    token: Path | None = None
    others: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"NextHop({self.host}:{self.port})"


@dataclass(frozen=True, slots=True)
class Parameters:
    """Of DSN (RFC 3461), spelled as they are sent: `mail` RET and ENVID, `each` NOTIFY and ORCPT of the recipients that have some.
    `still`: asked just before the message is sent, after all that may take long: may it go?"""

    mail: tuple[str, ...] = ()
    each: Mapping[Address, tuple[str, ...]] = field(default_factory=dict)
    still: Callable[[], Awaitable[bool]] | None = field(default=None, compare=False, repr=False)


class Relay:
    """`timeout`: seconds for each step of the dialogue. With exchangers `send` needs the domain that all recipients are in.
    `authorities`: a PEM file with those that may vouch for servers; None: those of the system."""

    def __init__(self, hop: NextHop | Exchangers, hostname: str, timeout: float = 300.0, *, authorities: Path | None = None) -> None:
        self._exchangers = hop if isinstance(hop, Exchangers) else None
        self._peers = [] if isinstance(hop, Exchangers) else [_peer(hop, host) for host in (hop.host, *hop.others)]
        self._authorities = authorities
        self._hostname = hostname
        self._timeout = timeout
        self._contexts: dict[bool, ssl.SSLContext] = {}
        self._idle: dict[Peer, list[tuple[Connection, asyncio.TimerHandle]]] = {}
        self._resting = 0
        self._stumbling: dict[str, None] = {}

    @property
    def by_domain(self) -> bool:
        """Is each domain a destination of its own? Else there is one, for everything."""
        return self._exchangers is not None

    async def send(
        self,
        reverse_path: Address | None,
        recipients: Sequence[Address],
        octets: bytes,
        smtputf8: bool = False,
        *,
        parameters: Parameters = Parameters(),
    ) -> dict[Address, Outcome]:
        """One message with all recipients. Never raises: what went wrong is each recipient's outcome.

        Only the other server's own 5yz to a command of the transaction is final, and what the DNS says for certain. Whatever else
        happens (no connection, bad TLS, refused login, a reply that never came) may pass, and the queue's lifetime ends it; what was
        said until then for certain of a recipient stays. After the dot without a reply the message may be sent twice (RFC 1047).
        """
        known: dict[Address, Outcome] = {}
        try:
            async with asyncio.timeout(WHOLE):
                peers = self._peers if self._exchangers is None else await self._exchangers.peers(recipients[0].domain)
                await self._dialogue(peers, reverse_path, recipients, octets, smtputf8, parameters, known)
                return known
        except NoRoute as fault:
            others = Outcome(Fate.NEVER if fault.final else Fate.LATER, fault.reply, unreachable=not fault.final)
        except Lost as lost:
            words = "after the message was sent, whether it was taken is not known" if lost.dotted else "before it was sent"
            others = Outcome(Fate.LATER, f"4.4.2 {lost} ({words})")
        except Unreachable as fault:
            others = Outcome(Fate.LATER, f"{fault.status} {fault}", unreachable=not known)
        except TimeoutError:
            others = Outcome(Fate.LATER, f"4.4.2 it took more than {WHOLE:.0f} s")
        except (OSError, ValueError) as fault:
            others = Outcome(Fate.LATER, f"4.3.0 {type(fault).__name__}: {fault}")
        return dict.fromkeys(recipients, others) | known

    async def close(self) -> None:
        """The connections that wait for a next message."""
        waiting = [one for there in self._idle.values() for one in there]
        self._idle.clear()
        self._resting = 0
        for _, timer in waiting:
            timer.cancel()
        await asyncio.gather(*(connection.quit() for connection, _ in waiting))

    # --- one message

    async def _dialogue(
        self,
        peers: Sequence[Peer],
        reverse_path: Address | None,
        recipients: Sequence[Address],
        octets: bytes,
        smtputf8: bool,
        parameters: Parameters,
        known: dict[Address, Outcome],
    ) -> None:
        """In as many transactions as the other server's limit on recipients makes necessary. `known`: what is certain, also where this
        raises Unreachable, Lost, OSError, ValueError, or is cancelled."""
        waiting = list(recipients)
        connection: Connection | None = None
        try:
            while waiting:
                envelope = _envelope(reverse_path, waiting, smtputf8, parameters)
                heard: list[Reply] = []
                try:
                    connection, replies = await self._transact(connection, peers, envelope, octets, heard)
                except BaseException:
                    known |= _refused(waiting, heard)
                    raise
                said = dict(zip(waiting, replies, strict=True))
                too_many = [one for one, reply in said.items() if _is_too_many(reply)]
                if len(too_many) == len(waiting):
                    too_many = []
                dsn = "DSN" in connection.extensions
                known |= {one: _outcome(reply, dsn) for one, reply in said.items() if one not in too_many}
                waiting = too_many
        finally:
            if connection is not None:
                self._keep(connection)

    async def _transact(
        self, connection: Connection | None, peers: Sequence[Peer], envelope: Envelope, octets: bytes, heard: list[Reply]
    ) -> tuple[Connection, list[Reply]]:
        """On this connection, on one that rests, else on a new one. `heard`: see Connection.send. Raises Unreachable, Lost, OSError,
        ValueError."""
        for used in ([connection] if connection is not None and connection.usable else []) + self._resting_for(peers):
            try:
                return used, await used.send(envelope, octets, heard)
            except Unreachable:
                used.abort()  # it has been closed meanwhile, which says nothing about the server
            except BaseException as fault:
                self._given_up(used, fault)
                raise
        made = await self._connected(peers)
        try:
            return made, await made.send(envelope, octets, heard)
        except BaseException as fault:
            self._given_up(made, fault)
            raise

    def _given_up(self, connection: Connection, fault: BaseException) -> None:
        connection.abort()
        if isinstance(fault, Lost) and fault.together:
            # Some throw away what comes while they answer; next time such a server is asked one by one.
            self._stumbling[connection.peer.address] = None
            while len(self._stumbling) > MOST_STUMBLING:
                del self._stumbling[next(iter(self._stumbling))]

    async def _connected(self, peers: Sequence[Peer]) -> Connection:
        """The first that takes us in. Raises Unreachable with what the last one said."""
        fault: Unreachable | None = None
        patience = self._timeout if len(peers) == 1 else min(self._timeout, CONNECT)
        for peer in peers:
            asked: Peer | None = peer
            while asked is not None:
                try:
                    connection = await self._opened(asked, patience)
                except Unreachable as unreachable:
                    fault = unreachable
                    if fault.tls and asked.otherwise is not None:
                        fields = {"outcome": "would not be handed on, were the policy enforced (MTA-STS)", "reason": str(fault)}
                        log.warning("sts", extra={"fields": fields})
                    asked = _weaker(asked) if fault.tls else None
                    continue
                connection.patience(self._timeout)
                if asked.address in self._stumbling:
                    connection.extensions.pop("PIPELINING", None)
                return connection
        raise fault or Unreachable("there is no server")

    async def _opened(self, peer: Peer, patience: float) -> Connection:
        """Raises Unreachable."""
        try:
            return await connect(peer, self._hostname, patience, await self._context(peer))
        except Unanchored as unanchored:
            try:
                context = trusting(unanchored.anchors)
            except (ssl.SSLError, ValueError):
                raise Unreachable(f"{unanchored}, and it cannot be read", tls=True, status="4.7.5") from None
            return await connect(peer, self._hostname, patience, context)

    async def _context(self, peer: Peer) -> ssl.SSLContext | None:
        if peer.tls is Tls.NEVER and not peer.implicit_tls:
            return None
        verified = peer.implicit_tls or peer.tls is Tls.VERIFIED
        if verified not in self._contexts:
            # The system's authorities are some hundred files, or one of 200 KiB.
            self._contexts[verified] = await asyncio.to_thread(_context, verified, self._authorities)
            # RFC 8461 section 4.1: servers found by the DNS are known by DNS names in their certificates, and by nothing else.
            self._contexts[verified].hostname_checks_common_name = self._exchangers is None
        return self._contexts[verified]

    # --- connections that wait for the next message

    def _resting_for(self, peers: Sequence[Peer]) -> list[Connection]:
        """The youngest that is there for one of the servers, if any: two in a row that were closed are enough to try anew."""
        for peer in peers:
            waiting = self._idle.get(peer)
            while waiting:
                connection, timer = waiting.pop()
                timer.cancel()
                self._resting -= 1
                if not waiting:
                    del self._idle[peer]
                if connection.usable:
                    return [connection]
                connection.abort()
        return []

    def _keep(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        worn = connection.sent >= MOST_MESSAGES or loop.time() - connection.opened_at > OLDEST
        if not connection.usable or self._resting >= MOST_IDLE:
            connection.abort()
        elif worn:
            connection.farewell()
        else:
            timer = loop.call_later(IDLE, self._weary, connection)
            self._idle.setdefault(connection.peer, []).append((connection, timer))
            self._resting += 1

    def _weary(self, connection: Connection) -> None:
        waiting = self._idle.get(connection.peer, [])
        kept = [one for one in waiting if one[0] is not connection]
        self._resting -= len(waiting) - len(kept)
        if kept:
            self._idle[connection.peer] = kept
        else:
            self._idle.pop(connection.peer, None)
        connection.farewell()


def _weaker(peer: Peer) -> Peer | None:
    """What is tried where TLS failed; None: nothing else will do."""
    if peer.otherwise is not None:
        return replace(peer, tls=peer.otherwise, otherwise=None)
    # RFC 7435: TLS that is there for whoever wants it must not keep mail from a server on which it is broken.
    return replace(peer, tls=Tls.NEVER) if peer.tls is Tls.IF_OFFERED else None


def _peer(hop: NextHop, host: str) -> Peer:
    tls = Tls.VERIFIED if hop.starttls or hop.implicit_tls else Tls.NEVER
    return Peer(host, host, hop.port, tls, hop.implicit_tls, hop.username, hop.password, token=hop.token)


def _context(verified: bool, authorities: Path | None) -> ssl.SSLContext:
    """Raises OSError (an unreadable file of authorities included)."""
    context = ssl.create_default_context(cafile=None if authorities is None else str(authorities))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _envelope(reverse_path: Address | None, recipients: Sequence[Address], smtputf8: bool, parameters: Parameters) -> Envelope:
    return Envelope(
        "" if reverse_path is None else str(reverse_path),
        tuple(str(one) for one in recipients),
        smtputf8,
        parameters.mail,
        tuple(parameters.each.get(one, ()) for one in recipients),
        parameters.still,
    )


def _is_too_many(reply: Reply) -> bool:
    """RFC 5321 section 4.5.3.1.10: 452, and from old servers 552; both say other things too."""
    return reply.code in (452, 552) and _TOO_MANY.match(reply.text) is not None


def _refused(recipients: Sequence[Address], heard: Sequence[Reply]) -> dict[Address, Outcome]:
    """Those of whom it was said for good that they get no mail there, in a dialogue that came to no end."""
    found = {}
    for number, (one, reply) in enumerate(zip(recipients, heard, strict=False)):
        status = _STATUS.match(reply.text)
        subject = "" if status is None else status[1]
        # The last word before the end may be why it ended.
        farewell = number == len(heard) - 1 and len(heard) < len(recipients) and subject not in _WHATEVER_COMES
        if subject in _OF_A_RECIPIENT.get(reply.code, ()) and not farewell and not _is_too_many(reply):
            found[one] = _outcome(reply, dsn=False)
    return found


def _outcome(reply: Reply, dsn: bool) -> Outcome:
    if reply.good:
        return Outcome(Fate.SENT, str(reply), dsn=dsn)
    return Outcome(Fate.NEVER if 500 <= reply.code <= 599 and not _is_too_many(reply) else Fate.LATER, str(reply))
