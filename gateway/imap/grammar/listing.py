"""LIST and LSUB, plain and extended: which folders are there?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.imap.grammar.cursor import Cursor, atom
from gateway.imap.grammar.metadata import entries
from gateway.imap.grammar.parameters import Parameter, Value
from gateway.imap.grammar.status import status_items
from gateway.imap.grammar.strings import list_mailbox, reference

ListOptions = Mapping[bytes, Callable[[Cursor], Value] | None]
"""Option in upper case to the rule for its value, None where it has none."""

MAX_PATTERNS = 64
MAX_OPTIONS = 32


def status_option(c: Cursor) -> Value:
    """`status-return-option = "STATUS" SP "(" status-att *(SP status-att) ")"` (RFC 5819 section 4), after the name."""
    c.sp()
    return status_items(c)


def metadata_option(c: Cursor) -> Value:
    """`"METADATA" SP "(" entry *(SP entry) ")"` (RFC 9590 section 4), after the name."""
    c.sp()
    return tuple(entry.encode("ascii") for entry in entries(c))


SELECTION_OPTIONS: ListOptions = MappingProxyType({b"SUBSCRIBED": None, b"REMOTE": None, b"RECURSIVEMATCH": None, b"SPECIAL-USE": None})
"""RFC 5258 section 3, RFC 6154 section 5.2. An extension adds a row."""

RETURN_OPTIONS: ListOptions = MappingProxyType(
    {
        b"SUBSCRIBED": None,
        b"CHILDREN": None,
        b"SPECIAL-USE": None,
        b"STATUS": status_option,
        b"METADATA": metadata_option,
        b"MYRIGHTS": None,
    }
)
"""RFC 5258 section 3, RFC 6154 section 5.2, RFC 5819, RFC 8440, RFC 9590. An extension adds a row."""


@dataclass(frozen=True, slots=True)
class List:
    """Patterns below a reference; `extended` when the syntax of RFC 5258 was used, so that its answers may be given."""

    reference: str
    patterns: tuple[str, ...]
    selection: tuple[Parameter, ...] = ()
    returning: tuple[Parameter, ...] = ()
    extended: bool = False

    def selects(self, option: bytes) -> bool:
        """Was this selection option given?"""
        return any(given.name == option for given in self.selection)

    def returns(self, option: bytes) -> Parameter | None:
        """This return option, if it was given."""
        return next((given for given in self.returning if given.name == option), None)


@dataclass(frozen=True, slots=True)
class Lsub:
    """A pattern below a reference, among the subscribed names."""

    reference: str
    pattern: str


def list_command(c: Cursor, selection: ListOptions = SELECTION_OPTIONS, returning: ListOptions = RETURN_OPTIONS) -> List:
    """`list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]`,
    `mbox-or-pat = list-mailbox / patterns`, `patterns = "(" list-mailbox *(SP list-mailbox) ")"`,
    `list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"` (RFC 5258 section 6)
    """
    c.sp()
    chosen: tuple[Parameter, ...] = ()
    extended = c.peek() == b"("
    if extended:
        chosen = _options(c, selection, "a selection option of LIST")
        names = {option.name for option in chosen}
        if b"RECURSIVEMATCH" in names and names <= {b"RECURSIVEMATCH", b"REMOTE"}:
            c.fail("RECURSIVEMATCH needs another selection option beside it")
        c.sp()
    below = reference(c)
    c.sp()
    if c.peek() == b"(":
        extended = True
        patterns = _patterns(c)
    else:
        patterns = (list_mailbox(c),)
    if not c.skip(b" "):
        return List(below, patterns, chosen, (), extended)
    if atom(c, "RETURN").upper() != b"RETURN":
        c.fail("expected RETURN before this place")
    c.sp()
    return List(below, patterns, chosen, _options(c, returning, "a return option of LIST"), True)


def _patterns(c: Cursor) -> tuple[str, ...]:
    c.need(b"(", "patterns")
    found = [list_mailbox(c)]
    while not c.skip(b")"):
        if len(found) == MAX_PATTERNS:
            c.fail(f"expected at most {MAX_PATTERNS} patterns")
        c.sp()
        found.append(list_mailbox(c))
    return tuple(found)


def _options(c: Cursor, known: ListOptions, wanted: str) -> tuple[Parameter, ...]:
    c.need(b"(", wanted)
    found: dict[bytes, Parameter] = {}
    read = 0
    while not c.skip(b")"):
        if read:
            c.sp()
        read += 1
        name = atom(c, wanted).upper()
        if name not in known or read > MAX_OPTIONS:
            c.fail(f"expected {wanted} that this server has before this place")
        rule = known[name]
        found[name] = Parameter(name, None if rule is None else rule(c))
    return tuple(found.values())


def lsub(c: Cursor) -> Lsub:
    """`lsub = "LSUB" SP mailbox SP list-mailbox`"""
    c.sp()
    below = reference(c)
    c.sp()
    return Lsub(below, list_mailbox(c))
