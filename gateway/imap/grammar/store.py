"""STORE and UID STORE: flags to be changed."""

import re
from enum import Enum
from typing import NamedTuple

from gateway.imap.grammar.cursor import Cursor, again
from gateway.imap.grammar.flags import store_flags
from gateway.imap.grammar.numbers import SequenceSet, sequence_set
from gateway.imap.grammar.parameters import Parameter, parameters

_ITEM = re.compile(rb"([+-]?)FLAGS(\.SILENT)? ", re.IGNORECASE)


class StoreMode(Enum):
    """What is done with the flags that are named."""

    REPLACE = b""
    ADD = b"+"
    REMOVE = b"-"


class Store(NamedTuple):
    """Messages and a change of their flags; `silent` when the client does not want to be told the outcome."""

    messages: SequenceSet
    mode: StoreMode
    flags: tuple[bytes, ...]
    silent: bool
    by_uid: bool
    modifiers: tuple[Parameter, ...] = ()


def store(c: Cursor, *, by_uid: bool) -> Store:
    """`store = "STORE" SP sequence-set [store-modifiers] SP store-att-flags`,
    `store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))` (RFC 3501, RFC 4466 section 2.5)
    """
    c.sp()
    messages = sequence_set(c)
    modifiers: tuple[Parameter, ...] = ()
    if c.text.startswith(b" (", c.position):
        c.sp()
        modifiers = parameters(c, "a modifier of STORE")
    c.sp()
    mode, silent, flags = _store_att_flags(c)
    return Store(messages, mode, flags, silent, by_uid, modifiers)


@again
def _store_att_flags(c: Cursor) -> tuple[StoreMode, bool, tuple[bytes, ...]]:
    """`silent` between the mode and the flags."""
    found = _ITEM.match(c.text, c.position)
    if found is None:
        c.fail("expected FLAGS, +FLAGS or -FLAGS, with or without .SILENT")
    c.position = found.end()
    return StoreMode(found[1]), found[2] is not None, store_flags(c)
