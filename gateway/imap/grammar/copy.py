"""COPY, MOVE and EXPUNGE, with and without UID: messages that go elsewhere or away."""

from dataclasses import dataclass

from gateway.imap.grammar.cursor import Cursor, nothing
from gateway.imap.grammar.numbers import SequenceSet, sequence_set
from gateway.imap.grammar.strings import mailbox


@dataclass(frozen=True, slots=True)
class Copy:
    """Messages and where a copy of each goes."""

    messages: SequenceSet
    mailbox: str
    by_uid: bool


@dataclass(frozen=True, slots=True)
class Move:
    """Messages and where each goes."""

    messages: SequenceSet
    mailbox: str
    by_uid: bool


@dataclass(frozen=True, slots=True)
class Expunge:
    """Messages flagged \\Deleted go; with `uids` only those among them."""

    uids: SequenceSet | None = None


def copy(c: Cursor, *, by_uid: bool) -> Copy:
    """`copy = "COPY" SP sequence-set SP mailbox`"""
    c.sp()
    messages = sequence_set(c)
    c.sp()
    return Copy(messages, mailbox(c), by_uid)


def move(c: Cursor, *, by_uid: bool) -> Move:
    """`move = "MOVE" SP sequence-set SP mailbox` (RFC 6851 section 5)"""
    c.sp()
    messages = sequence_set(c)
    c.sp()
    return Move(messages, mailbox(c), by_uid)


def expunge(c: Cursor) -> Expunge:
    """`command-select = "EXPUNGE" / ...`"""
    nothing(c)
    return Expunge()


def uid_expunge(c: Cursor) -> Expunge:
    """`uid-expunge = "UID" SP "EXPUNGE" SP sequence-set` (RFC 4315 section 4)"""
    c.sp()
    return Expunge(sequence_set(c))
