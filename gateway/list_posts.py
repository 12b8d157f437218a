"""What does a list make of a post: the fields and marks of its copies, and the row in which it waits for the owners?"""

import logging
import re
from typing import Final

from gateway.arrival import arrived
from gateway.decisions import new_decision
from gateway.held_posts import HeldPost
from gateway.list_addresses import Role, Tags, role_address
from gateway.list_mails import mailto
from gateway.list_robot import MOST_WAITING, ListRobot, Reaction
from gateway.message.automatic import author
from gateway.message.headers import delivered_to_field, field, fields_named, rewrite
from gateway.message.split import Header, unfolded
from gateway.message.text import decode_header
from gateway.routing import HeldList, Member, Posting, Routing
from policy.identity import AccountId, Address
from policy.lists import Joining
from policy.reasons import Defer, Reason
from store import accounts, list_requests
from store.audit import AuditEntry
from store.model import AccountRow, ListRow, QueueKind
from store.port import Snapshot
from store.queue import OntoQueue

log = logging.getLogger(__name__)

_MARK: Final = re.compile(rb"\A[^<]*(?=<)")
_LIST_FIELDS: Final = (
    *(b"list-id", b"list-post", b"list-help", b"list-subscribe", b"list-unsubscribe", b"list-unsubscribe-post"),
    *(b"list-owner", b"list-archive", b"precedence"),
)


def for_list(octets: bytes, header: Header, posting: Posting) -> bytes:
    """RFC 2919 and 2369: our List fields instead of those of another list; From and everything else stays."""
    address, rules = posting.address, posting.rules
    top = [delivered_to_field(str(one)) for one in (address, *posting.nested)]
    bottom = [
        field(b"List-Id", f"<{address.local}.{address.domain}>".encode()),
        field(b"List-Post", f"<mailto:{address}>".encode()),
        field(b"List-Help", mailto(role_address(address, Role.REQUEST), "help")),
    ]
    if rules.subscription is not Joining.REJECT:
        bottom.append(field(b"List-Subscribe", mailto(role_address(address, Role.SUBSCRIBE))))
    if rules.unsubscription is not Joining.REJECT:
        bottom.append(field(b"List-Unsubscribe", mailto(role_address(address, Role.UNSUBSCRIBE))))
    if posting.has_owners:
        bottom.append(field(b"List-Owner", mailto(role_address(address, Role.OWNER))))
    bottom.append(field(b"Precedence", b"list"))
    return rewrite(octets, header, remove=fields_named(header, _LIST_FIELDS), top=top, bottom=bottom)


def marks_of(octets: bytes, header: Header) -> frozenset[bytes]:
    """Of the lists that it has been at: values of Delivered-To and List-Id, in lower case."""
    marked = fields_named(header, (b"delivered-to", b"list-id"))
    # A List-Id may have words before its angle brackets (RFC 2919 section 3).
    return frozenset(_MARK.sub(b"", unfolded(octets, one)).strip().lower() for one in marked)


def envelope_sender(tags: Tags, group: Address, member: Member) -> str:
    """It names the member: what comes back may say nothing else of it (VERP)."""
    return str(role_address(group, Role.BOUNCES, "" if member.number is None else tags.member(member.number)))


async def is_too_much(snapshot: Snapshot, posting: Posting) -> Defer | None:
    """More waits for the owners than they will ever look through: nobody may fill the queue so."""
    for held in posting.held:
        if await snapshot.ask(list_requests.count_for_owners, held.row.id) >= MOST_WAITING:
            return Defer(Reason.LIMIT, f"too much waits for the owners of {held.row.address}")
    return None


async def hold(
    robot: ListRobot,
    routing: Routing,
    posting: Posting,
    held: HeldList,
    octets: bytes,
    header: Header,
    path: str,
    sender: AccountId | None,
    lifetime: int,
) -> tuple[OntoQueue, Reaction]:
    """The row in which the post waits, due when its time is over, and what is written about it. `path`: the envelope sender, "" for
    the empty one; `lifetime`: microseconds to deliver it when it was let through at the last moment."""
    snapshot, poster = routing.snapshot, routing.poster
    account = None if poster.standing is None else poster.standing.account
    known = None
    if account is not None:
        known = await snapshot.ask(accounts.by_id, account)
    elif poster.known_as is not None:
        known = await snapshot.ask(accounts.by_address, poster.known_as)
    subject = header.first(b"subject")
    title = "" if subject is None else decode_header(unfolded(octets, subject)).strip()
    post = HeldPost(held.row.id, held.entered, held.left_out, account, poster.known_as, None if known is None else known.address)
    who = author(octets, header).decode("utf-8", "replace") or path
    key, until, reaction = await robot.hold(snapshot, held, post, who, title, octets)
    # Marked as the copies are that went to the other members: so that it does not come back to the list it was sent to.
    marked = [delivered_to_field(str(posting.address))] if held.row.id != posting.list else []
    row = OntoQueue(
        QueueKind.RELAY,
        str(held.row.address),
        arrived(rewrite(octets, header, top=marked)),
        path,
        until + lifetime,
        sender=sender,
        parameters=post.spelled(),
        due=until,
        request=key,
    )
    if known is not None:
        reaction.audit.append(_entry(held.row, known, str(routing.door), key))
    log.info("list", extra={"fields": {"account": str(held.row.address), "outcome": "held for its owners", "reason": key}})
    return row, reaction


def _entry(row: ListRow, poster: AccountRow, door: str, key: str) -> AuditEntry:
    return AuditEntry(
        decision=new_decision(),
        event="post held",
        allowed=True,
        actor=poster.id,
        actor_address=str(poster.address),
        principal=row.id,
        principal_address=str(row.address),
        because=f"moderation {row.attributes.get('moderation', '')}",
        protocol=door,
        detail=key,
    )
