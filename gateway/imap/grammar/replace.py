"""REPLACE: a message in place of another."""

from dataclasses import dataclass

from gateway.imap.grammar.append import Append, append
from gateway.imap.grammar.cursor import Cursor
from gateway.imap.grammar.numbers import SequenceSet, sequence_set


@dataclass(frozen=True, slots=True)
class Replace:
    """One message of the selected folder, and what comes in its place, into the same folder or another."""

    message: SequenceSet
    by_uid: bool
    append: Append


def replace(c: Cursor, *, by_uid: bool) -> Replace:
    """`replace = "REPLACE" SP seq-number SP mailbox append-message`, `uid-replace = "UID" SP "REPLACE" SP uniqueid ...`
    (RFC 8508 section 3.5), with the `*` that a seq-number may be.
    """
    c.sp()
    message = sequence_set(c)
    if len(message.slices) != 1 or message.slices[0][0] != message.slices[0][1]:
        c.fail("expected one message before this place")
    return Replace(message, by_uid, append(c))
