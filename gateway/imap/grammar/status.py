"""STATUS: figures of a folder that is not selected."""

from dataclasses import dataclass

from gateway.imap.grammar.cursor import Cursor, atom
from gateway.imap.grammar.strings import mailbox

RFC_3501_ITEMS = frozenset({b"MESSAGES", b"RECENT", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN"})
STATUS_ITEMS = RFC_3501_ITEMS | {
    b"DELETED",  # RFC 9051
    b"DELETED-STORAGE",  # RFC 9208
    b"HIGHESTMODSEQ",  # RFC 7162
    b"SIZE",  # RFC 8438
    b"MAILBOXID",  # RFC 8474
    b"APPENDLIMIT",  # RFC 7889
}
"""What can be asked for. An extension adds a row."""


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """A folder and the items asked for, in upper case, each once, in the client's order."""

    mailbox: str
    items: tuple[bytes, ...]


def status(c: Cursor, items: frozenset[bytes] = STATUS_ITEMS) -> FolderStatus:
    """`status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`"""
    c.sp()
    name = mailbox(c)
    c.sp()
    return FolderStatus(name, status_items(c, items))


def status_items(c: Cursor, items: frozenset[bytes] = STATUS_ITEMS) -> tuple[bytes, ...]:
    """`"(" status-att *(SP status-att) ")"`"""
    c.need(b"(", "a list of status items")
    found: dict[bytes, None] = {}
    while True:
        name = atom(c, "a status item").upper()
        if name not in items:
            c.fail("expected a status item that this server has before this place")
        found[name] = None
        if c.skip(b")"):
            return tuple(found)
        c.sp()
