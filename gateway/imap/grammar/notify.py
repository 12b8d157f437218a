"""NOTIFY: of which events, and where, does the client want to be told (RFC 5465)?"""

import re
from dataclasses import dataclass
from typing import Final

from gateway.imap.grammar.cursor import Cursor, atom
from gateway.imap.grammar.fetch import FETCH_ITEMS, FetchItem, FetchItems, fetch_att
from gateway.imap.grammar.strings import MAX_MAILBOXES, one_or_more_mailboxes

MESSAGE_NEW: Final = b"MESSAGENEW"
MESSAGE_EXPUNGE: Final = b"MESSAGEEXPUNGE"
FLAG_CHANGE: Final = b"FLAGCHANGE"
ANNOTATION_CHANGE: Final = b"ANNOTATIONCHANGE"
MESSAGE_EVENTS: Final = frozenset({MESSAGE_NEW, MESSAGE_EXPUNGE, FLAG_CHANGE, ANNOTATION_CHANGE})
MAILBOX_NAME: Final = b"MAILBOXNAME"
SUBSCRIPTION_CHANGE: Final = b"SUBSCRIPTIONCHANGE"
MAILBOX_METADATA_CHANGE: Final = b"MAILBOXMETADATACHANGE"
SERVER_METADATA_CHANGE: Final = b"SERVERMETADATACHANGE"
NOT_OF_MESSAGES: Final = frozenset({MAILBOX_NAME, SUBSCRIPTION_CHANGE, MAILBOX_METADATA_CHANGE, SERVER_METADATA_CHANGE})
SELECTED: Final = frozenset({b"SELECTED", b"SELECTED-DELAYED"})
_NAMED: Final = frozenset({b"SUBTREE", b"MAILBOXES"})
_OTHER: Final = frozenset({b"INBOXES", b"PERSONAL", b"SUBSCRIBED"}) | _NAMED
_STATUS = re.compile(rb"STATUS ", re.IGNORECASE)
MAX_GROUPS: Final = 64
MAX_EVENTS: Final = 16
MAX_ATTRIBUTES: Final = 64


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Events (upper case, known or not) for the folders of a filter (upper case); `names` of SUBTREE and MAILBOXES, `attributes` what
    is to be fetched of new messages in the selected folder."""

    filter: bytes
    names: tuple[str, ...]
    events: frozenset[bytes]
    attributes: tuple[FetchItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Notify:
    """NOTIFY SET with its groups, NONE without any. `status`: the figures of the folders are wanted first."""

    groups: tuple[EventGroup, ...] = ()
    status: bool = False


def notify(c: Cursor, items: FetchItems = FETCH_ITEMS) -> Notify:
    """`notify = "NOTIFY" SP (notify-set / notify-none)`, `notify-set = "SET" [SP "STATUS"] SP event-groups`, `notify-none = "NONE"`
    (RFC 5465 section 8). Raises BadSyntax, also for events that do not go together (section 5).
    """
    c.sp()
    what = atom(c, "SET or NONE").upper()
    if what == b"NONE":
        return Notify()
    if what != b"SET":
        c.fail("expected SET or NONE before this place")
    c.sp()
    status = c.match(_STATUS) is not None
    groups = [_group(c, items)]
    names = len(groups[0].names)
    while c.skip(b" "):
        if len(groups) == MAX_GROUPS:
            c.fail(f"expected at most {MAX_GROUPS} groups of events")
        groups.append(_group(c, items))
        names += len(groups[-1].names)
        if names > MAX_MAILBOXES:
            c.fail(f"expected at most {MAX_MAILBOXES} names of mailboxes")
    if sum(group.filter in SELECTED for group in groups) > 1:
        c.fail("expected SELECTED or SELECTED-DELAYED once before this place")
    return Notify(tuple(groups), status)


def _group(c: Cursor, items: FetchItems) -> EventGroup:
    """`event-group = "(" filter-mailboxes SP events ")"`, `"subtree" SP one-or-more-mailbox / "mailboxes" SP one-or-more-mailbox`"""
    c.need(b"(", "a group of events")
    which = atom(c, "which folders").upper()
    if which not in SELECTED and which not in _OTHER:
        c.fail("expected SELECTED, SELECTED-DELAYED, INBOXES, PERSONAL, SUBSCRIBED, SUBTREE or MAILBOXES before this place")
    c.sp()
    names: tuple[str, ...] = ()
    if which in _NAMED:
        names = one_or_more_mailboxes(c)
        c.sp()
    events: frozenset[bytes] = frozenset()
    attributes: tuple[FetchItem, ...] = ()
    if c.skip(b"("):
        events, attributes = _events(c, items)
    elif atom(c, "events or NONE").upper() != b"NONE":
        c.fail("expected events in parentheses, or NONE, before this place")
    c.need(b")", "the end of a group of events")
    _fits(c, which, events, attributes)
    return EventGroup(which, names, events, attributes)


def _events(c: Cursor, items: FetchItems) -> tuple[frozenset[bytes], tuple[FetchItem, ...]]:
    """`events = "(" event *(SP event) ")" / "NONE"`, `"MessageNew" [SP "(" fetch-att *(SP fetch-att) ")"]`"""
    found: set[bytes] = set()
    attributes: dict[FetchItem, None] = {}
    while True:
        name = atom(c, "an event").upper()
        found.add(name)
        if name == MESSAGE_NEW and c.skip(b" ("):
            while True:
                attributes[fetch_att(c, items)] = None
                if c.skip(b")"):
                    break
                if len(attributes) == MAX_ATTRIBUTES:
                    c.fail(f"expected at most {MAX_ATTRIBUTES} things to fetch")
                c.sp()
        if c.skip(b")"):
            return frozenset(found), tuple(attributes)
        if len(found) == MAX_EVENTS:
            c.fail(f"expected at most {MAX_EVENTS} events")
        c.sp()


def _fits(c: Cursor, which: bytes, events: frozenset[bytes], attributes: tuple[FetchItem, ...]) -> None:
    """RFC 5465 sections 5 and 6.1: what cannot be asked for in one breath."""
    if (MESSAGE_NEW in events) != (MESSAGE_EXPUNGE in events):
        c.fail("expected MessageNew and MessageExpunge together before this place")
    if events & {FLAG_CHANGE, ANNOTATION_CHANGE} and MESSAGE_NEW not in events:
        c.fail("expected MessageNew and MessageExpunge beside FlagChange before this place")
    if which in SELECTED:
        if events & NOT_OF_MESSAGES:
            c.fail("expected events of messages alone for the selected folder before this place")
    elif attributes:
        c.fail("expected things to fetch for the selected folder alone before this place")
