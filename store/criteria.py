"""What can be asked of a folder's messages: an algebra of search criteria, free of any protocol."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from store.model import Run


class Field(StrEnum):
    """The fields that are kept beside the message, decoded and lowered."""

    FROM = "from"
    TO = "to"
    CC = "cc"
    SUBJECT = "subject"
    MESSAGE_ID = "message-id"


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class Uids:
    """Messages with these UIDs. Sequence numbers and \\Recent are the session's: it turns them into UIDs."""

    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class FlagIs:
    """The bit is set (`is_set` False: is not). \\Seen is the actor's own where the search says so (`seen_of`)."""

    bit: int
    is_set: bool = True


@dataclass(frozen=True, slots=True)
class KeywordIs:
    """The keyword, by name in any case, is set. A name that the folder does not know is set nowhere."""

    name: str
    is_set: bool = True


@dataclass(frozen=True, slots=True)
class SizeLarger:
    """More octets than this."""

    octets: int


@dataclass(frozen=True, slots=True)
class SizeSmaller:
    """Fewer octets than this."""

    octets: int


@dataclass(frozen=True, slots=True)
class Received:
    """INTERNALDATE at or after `since` and before `before`, microseconds; None: open. BEFORE, ON, SINCE, OLDER, YOUNGER."""

    since: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Saved:
    """When the message came into this folder (SAVEDATE); as Received."""

    since: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """The Date field's own date, zone and time left aside (RFC 3501 6.4.4): days since 1970-01-01, `before` not included.
    A message without a readable Date is judged by INTERNALDATE's UTC day."""

    since: int | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True)
class FieldContains:
    """`text` lowered as the fields were (NewMessage). Any message contains ""."""

    field: Field
    text: str


@dataclass(frozen=True, slots=True)
class HeaderContains:
    """Any other header field; text "" asks whether the field is there. Read from the octets."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class BodyContains:
    """The body, decoded by the caller; read from the octets."""

    text: str


@dataclass(frozen=True, slots=True)
class TextContains:
    """Header or body; read from the octets."""

    text: str


@dataclass(frozen=True, slots=True)
class OctetsAre:
    """The message's octets are those of this id (messages.email_ids)."""

    email_id: str


@dataclass(frozen=True, slots=True)
class ModseqAtLeast:
    """RFC 7162 3.1.5; the actor's own where \\Seen is private."""

    modseq: int


@dataclass(frozen=True, slots=True)
class And:
    """Every part; () is All."""

    parts: "tuple[Criterion, ...]"


@dataclass(frozen=True, slots=True)
class Or:
    """Some part; () is none."""

    parts: "tuple[Criterion, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """Those that the part leaves out."""

    part: "Criterion"


InOctets = HeaderContains | BodyContains | TextContains
Leaf = (
    All
    | Uids
    | FlagIs
    | KeywordIs
    | SizeLarger
    | SizeSmaller
    | Received
    | Saved
    | Sent
    | FieldContains
    | ModseqAtLeast
    | OctetsAre
    | InOctets
)
Criterion = Leaf | And | Or | Not

MAX_DEPTH = 100
"""Levels of And, Or, Not; deciding takes a few frames of Python's stack for each."""

MAX_LEAVES = 500
"""Leaves of one search; each may become a result column, of which SQLite has 2,000."""


def measure(criterion: Criterion) -> tuple[int, int]:
    """(depth, leaves), counted without recursion; stops counting past the limits."""
    deepest = leaves = 0
    waiting: list[tuple[Criterion, int]] = [(criterion, 1)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        parts = list(_parts(one))
        if not parts:
            leaves += 1
        if deepest > MAX_DEPTH or leaves > MAX_LEAVES or len(parts) > MAX_LEAVES:
            return deepest, max(leaves, len(parts))
        waiting.extend((part, depth + 1) for part in parts)
    return deepest, leaves


def _parts(criterion: Criterion) -> Iterator[Criterion]:
    match criterion:
        case And(parts) | Or(parts):
            yield from parts
        case Not(part):
            yield part
        case _:
            return
