"""NOTIFY: from here on the client hears of what it asked for, whenever it happens (RFC 5465)."""

from types import MappingProxyType
from typing import Final

from gateway.changes import News
from gateway.imap.grammar.notify import (
    FLAG_CHANGE,
    MAILBOX_METADATA_CHANGE,
    MAILBOX_NAME,
    MESSAGE_EXPUNGE,
    MESSAGE_NEW,
    SELECTED,
    SERVER_METADATA_CHANGE,
    SUBSCRIPTION_CHANGE,
    EventGroup,
    Notify,
)
from gateway.imap.handlers.fetch import of_new
from gateway.imap.handlers.watching import Watching
from gateway.imap.responses import badevent
from gateway.imap.session import Heard, No, Output, Session

EVENTS: Final = MappingProxyType(
    {
        MESSAGE_NEW: b"MessageNew",
        MESSAGE_EXPUNGE: b"MessageExpunge",
        FLAG_CHANGE: b"FlagChange",
        MAILBOX_NAME: b"MailboxName",
        SUBSCRIPTION_CHANGE: b"SubscriptionChange",
        MAILBOX_METADATA_CHANGE: b"MailboxMetadataChange",
        SERVER_METADATA_CHANGE: b"ServerMetadataChange",
    }
)
"""What can be told, as the RFC spells it. Messages have no annotations here, so AnnotationChange is none of them."""


async def notify(session: Session, command: Notify, emit: Output) -> None:
    """RFC 5465 section 3.1. Folders that are no folders, or may not be seen, are passed over; when they come, they are followed."""
    if any(group.events - EVENTS.keys() for group in command.groups):
        raise No("not every event can be told here", badevent(EVENTS.values()))
    if not command.groups:
        session.heard = Heard(messages=False, flags=False)
        await _watch(session, (), emit, status=False, metadata=b"METADATA" in session.enabled)
        return
    if session.selected is not None:
        # All that has gathered is told first, whatever is to be told from now on.
        session.heard, before = Heard(), session.heard
        session.news |= News.FOLDER
        try:
            await session.settle(emit, expunge_allowed=True)
        finally:
            session.heard = before
    await _watch(session, command.groups, emit, status=command.status, metadata=b"METADATA" in session.enabled)
    selected = next((group for group in command.groups if group.filter in SELECTED), None)
    session.heard = _heard(selected)
    if selected is not None and any(item.label == b"MODSEQ" for item in selected.attributes):
        session.use_modseqs(emit)


def _heard(group: EventGroup | None) -> Heard:
    if group is None or not group.events:
        return Heard(messages=False, flags=False, always=True)
    return Heard(
        flags=FLAG_CHANGE in group.events,
        always=True,
        expunges_always=group.filter == b"SELECTED",
        fetch_new=of_new(group.attributes) if group.attributes else None,
    )


async def watch_metadata(session: Session, emit: Output) -> None:
    """RFC 5464 section 4.4, ENABLE METADATA: entries that others change are told, at any time. What NOTIFY asked for stays.
    Raises Refused."""
    if session.watch is None:
        await _watch(session, (), emit, status=False, metadata=True)
    else:
        await session.watch.include_metadata()


async def _watch(session: Session, groups: tuple[EventGroup, ...], emit: Output, *, status: bool, metadata: bool) -> None:
    """Raises No, Refused; what was watched before is then watched on."""
    watching = Watching(session, groups, metadata=metadata)
    if not watching.needed:
        watching.end()
        session.look_with(None)
        return
    try:
        await watching.begin(emit, status=status)
    except BaseException:
        watching.end()
        raise
    session.look_with(watching)
    if watching.pending:
        session.news |= News.ELSEWHERE
