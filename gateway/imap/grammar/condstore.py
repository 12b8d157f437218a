"""CONDSTORE and QRESYNC: mod-sequences in the parameters and modifiers of SELECT, FETCH and STORE."""

from dataclasses import dataclass
from itertools import pairwise

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadSyntax, Cursor
from gateway.imap.grammar.numbers import STAR, SequenceSet, number64, nz_number, sequence_set
from gateway.imap.grammar.parameters import Parameter, Value

# More than any client picks; every one of them costs two numbers.
_MOST_MATCHES = 10_000


@dataclass(frozen=True, slots=True)
class Resync:
    """What a client remembers of a folder: `SELECT x (QRESYNC (uidvalidity modseq [known-uids] [(numbers uids)]))`.

    `known`: its UIDs, None: all that there may be. `matches`: message numbers and the UIDs they had, pairwise, ascending.
    """

    uidvalidity: int
    modseq: int
    known: SequenceSet | None = None
    matches: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Selecting:
    """The parameters of SELECT. Either switches mod-sequences on."""

    condstore: bool = False
    resync: Resync | None = None


@dataclass(frozen=True, slots=True)
class Since:
    """FETCH only what changed after this mod-sequence; `vanished`: and say what is gone since."""

    modseq: int
    vanished: bool = False


def select_parameters(found: tuple[Parameter, ...]) -> Selecting:
    """`select-param =/ condstore-param / "QRESYNC" SP "(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"`
    (RFC 7162 section 7). Raises BadSyntax."""
    condstore = False
    resync: Resync | None = None
    for one in found:
        if one.name == b"CONDSTORE" and one.value is None:
            condstore = True
        elif one.name == b"QRESYNC" and isinstance(one.value, tuple):
            resync = _resync(one.value)
        else:
            raise BadSyntax("expected CONDSTORE or QRESYNC (uidvalidity mod-sequence ...) as the parameter of SELECT")
    return Selecting(condstore, resync)


def _resync(values: tuple[Value, ...]) -> Resync:
    match values:
        case [bytes() as validity, bytes() as modseq, *more]:
            pass
        case _:
            raise BadSyntax("expected UIDVALIDITY and a mod-sequence in QRESYNC")
    known: SequenceSet | None = None
    matches: tuple[tuple[int, int], ...] = ()
    if more and isinstance(more[0], bytes):
        known = _known(more[0])
        more = more[1:]
    if more and isinstance(more[0], tuple):
        matches = _matches(more[0])
        more = more[1:]
    if more:
        raise BadSyntax("expected at most known UIDs and matching numbers in QRESYNC")
    return Resync(_number(validity), _modseq(modseq), known, matches)


def _matches(value: Value) -> tuple[tuple[int, int], ...]:
    """`seq-match-data = "(" known-sequence-set SP known-uid-set ")"`: both ascending and of one length, or BAD."""
    match value:
        case (bytes() as numbers, bytes() as uids):
            left, right = _known(numbers), _known(uids)
        case _:
            raise BadSyntax("expected message numbers and UIDs in the matching numbers of QRESYNC")
    lengths = [sum(high - low + 1 for low, high in side.slices) for side in (left, right)]
    if lengths[0] != lengths[1] or lengths[0] > _MOST_MATCHES:
        raise BadSyntax("expected as many UIDs as message numbers in QRESYNC")
    pairs = tuple(zip(_counted_out(left), _counted_out(right), strict=True))
    if any(low >= high for side in zip(*pairs, strict=True) for low, high in pairwise(side)):
        raise BadSyntax("expected ascending message numbers and UIDs in QRESYNC")
    return pairs


def _counted_out(members: SequenceSet) -> list[int]:
    return [number for low, high in members.slices for number in range(low, high + 1)]


def fetch_modifiers(found: tuple[Parameter, ...], *, by_uid: bool) -> Since | None:
    """`fetch-modifier =/ "CHANGEDSINCE" SP mod-sequence-value`, `rexpunges-fetch-mod = "VANISHED"`, which needs the other and UID FETCH
    (RFC 7162 sections 3.1.4.1 and 3.2.6). Raises BadSyntax."""
    modseq: int | None = None
    vanished = False
    for one in found:
        if one.name == b"CHANGEDSINCE" and isinstance(one.value, bytes):
            modseq = _modseq(one.value)
        elif one.name == b"VANISHED" and one.value is None:
            vanished = True
        else:
            raise BadSyntax("expected CHANGEDSINCE with a mod-sequence, or VANISHED, as the modifier of FETCH")
    if vanished and (modseq is None or not by_uid):
        raise BadSyntax("VANISHED is for UID FETCH with CHANGEDSINCE")
    return None if modseq is None else Since(modseq, vanished)


def store_modifiers(found: tuple[Parameter, ...]) -> int | None:
    """`store-modifier =/ "UNCHANGEDSINCE" SP mod-sequence-valzer` (RFC 7162 section 3.1.3). Raises BadSyntax."""
    modseq: int | None = None
    for one in found:
        if one.name != b"UNCHANGEDSINCE" or not isinstance(one.value, bytes):
            raise BadSyntax("expected UNCHANGEDSINCE with a mod-sequence as the modifier of STORE")
        modseq = _modseq(one.value)
    return modseq


def _inner(octets: bytes) -> Cursor:
    return Cursor(Frame((octets,)))


def _modseq(octets: bytes) -> int:
    return _inner(octets).whole(number64)


def _number(octets: bytes) -> int:
    return _inner(octets).whole(nz_number)


def _known(octets: bytes) -> SequenceSet:
    """`known-uids = sequence-set`, without `*`, `$`; each slice upwards."""
    found = _inner(octets).whole(sequence_set)
    if not found.slices or any(STAR in one for one in found.slices):
        raise BadSyntax("expected known UIDs without * or $")
    return SequenceSet(tuple((min(one), max(one)) for one in found.slices))
