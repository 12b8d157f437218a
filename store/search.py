"""Criteria to a plan: the SQL that narrows, and what is left to check in the octets. The only place where SQL is composed."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from policy.identity import AccountId, FolderId
from store import messages
from store.blobs import Files
from store.criteria import (
    MAX_DEPTH,
    MAX_LEAVES,
    All,
    And,
    BodyContains,
    Criterion,
    Field,
    FieldContains,
    FlagIs,
    HeaderContains,
    InOctets,
    KeywordIs,
    ModseqAtLeast,
    Not,
    OctetsAre,
    Or,
    Received,
    Saved,
    Sent,
    SizeLarger,
    SizeSmaller,
    TextContains,
    Uids,
    measure,
)
from store.errors import LimitReached
from store.model import Flag
from store.port import Tx
from store.runs import key, merged, span

ROWS_AT_ONCE: Final = 1000
RUNS_IN_SQL: Final = 16
"""Sets of UIDs with more runs are looked up outside SQL, where that is not linear in their number."""

HEIGHT_IN_SQL: Final = 10
"""Levels of parentheses that are left to SQL, whose parser has room for 100 open pieces; what is above is decided outside."""

_LARGEST: Final = (1 << 63) - 1

_COLUMNS: Final = {
    Field.FROM: "head.sender",
    Field.TO: "head.recipient",
    Field.CC: "head.copied",
    Field.SUBJECT: "head.subject",
    Field.MESSAGE_ID: "head.message_id",
}

_DAY: Final = 86_400_000_000


class Decoder(Protocol):
    """What the caller knows of MIME. `text` is as the criterion has it; each compares in whatever form it is in."""

    def header(self, octets: bytes, name: str, text: str) -> bool:
        """Is there a field of this name whose text contains it? "": is there one at all?"""

    def body(self, octets: bytes, text: str) -> bool:
        """Does the decoded body contain it?"""

    def text(self, octets: bytes, text: str) -> bool:
        """Does the decoded header or body contain it?"""


@dataclass(frozen=True, slots=True)
class Found:
    """UIDs in ascending order; `after`: go on from there in a new snapshot; None: that was all."""

    uids: list[int]
    after: int | None


def search(
    tx: Tx,
    folder: FolderId,
    criterion: Criterion,
    decoder: Decoder,
    files: Files,
    seen_of: AccountId | None = None,
    after: int = 0,
    octets: int = 8 << 20,
) -> Found:
    """The messages that match, exactly. Through `work`. Stops after it read about so many octets of messages: call again with
    `after`, in a new snapshot. `seen_of`: the actor, where folder.seen_private.
    Raises LimitReached (more than MAX_DEPTH levels or MAX_LEAVES criteria)."""
    depth, leaves = measure(criterion)
    if depth > MAX_DEPTH:
        raise LimitReached(f"{MAX_DEPTH} levels of search criteria")
    if leaves > MAX_LEAVES:
        raise LimitReached(f"{MAX_LEAVES} search criteria")
    plan = _Plan(tx, folder, seen_of)
    whole = plan.part(criterion)
    _, last = span(folder)
    first = key(folder, after) + 1
    if whole.judge is None:
        sql = plan.select(("message.key & 4294967295",), whole.may) + " ORDER BY message.key"
        return Found([uid for (uid,) in tx.composed(sql, **plan.parameters, first=first, last=last)], None)
    columns = ("message.key & 4294967295", whole.must, "message.size", *plan.columns)
    sql = plan.select(columns, whole.may) + f" ORDER BY message.key LIMIT {ROWS_AT_ONCE}"
    found: list[int] = []
    spent = 0
    while True:
        rows = tx.composed(sql, **plan.parameters, first=first, last=last)
        for uid, certain, size, *truths in rows:
            if certain:
                found.append(uid)
                continue
            one = _Message(tx, folder, uid, files, truths)
            if whole.judge(one, decoder):
                found.append(uid)
            if one.was_read:
                spent += size
                if spent >= octets:
                    return Found(found, uid)
        if len(rows) < ROWS_AT_ONCE:
            return Found(found, None)
        first = key(folder, rows[-1][0]) + 1


class _Message:
    """One candidate: what SQL said of it, and its octets once somebody asks."""

    __slots__ = ("_files", "_folder", "_octets", "_tx", "truths", "uid", "was_read")

    def __init__(self, tx: Tx, folder: FolderId, uid: int, files: Files, truths: Sequence[Any]) -> None:
        self._tx = tx
        self._folder = folder
        self._files = files
        self._octets: bytes | None = None
        self.uid = uid
        self.truths = truths
        self.was_read = False

    @property
    def octets(self) -> bytes:
        if self._octets is None:
            self.was_read = True
            self._octets = messages.octets(self._tx, self._folder, self.uid, self._files) or b""
        return self._octets


_Judge = Callable[[_Message, Decoder], bool]


@dataclass(frozen=True, slots=True)
class _Part:
    """A criterion in SQL: true wherever it `may` match, true only where it `must`. `judge` decides in between; None: there is
    nothing in between, both are the same text. `reads`: judging may need the octets. `height`: levels of parentheses."""

    may: str
    must: str
    judge: _Judge | None = None
    reads: bool = False
    height: int = 1


_TRUE: Final = _Part("1", "1")
_FALSE: Final = _Part("0", "0")


class _Plan:
    """Composes. Whatever comes from outside becomes a parameter; the texts joined here are our own."""

    def __init__(self, tx: Tx, folder: FolderId, seen_of: AccountId | None) -> None:
        self._folder = folder
        self._bits = {name.lower(): 1 << bit for bit, name in messages.keywords(tx, folder)}
        self._own = seen_of is not None
        self._head = False
        self.parameters: dict[str, Any] = {} if seen_of is None else {"actor": seen_of}
        self.columns: list[str] = []

    def select(self, columns: Sequence[str], where: str) -> str:
        tables = "message"
        if self._head:
            tables += " JOIN head ON head.key = message.key"
        if self._own:
            tables += " LEFT JOIN seen AS own ON own.actor = :actor AND own.key = message.key"
        # Every piece is text of this file, values are parameters.
        return f"SELECT {', '.join(columns)} FROM {tables} WHERE message.key BETWEEN :first AND :last AND ({where})"

    def part(self, criterion: Criterion) -> _Part:
        match criterion:
            case And(parts):
                return self._joined([self.part(one) for one in parts], " AND ", _TRUE, all)
            case Or(parts):
                return self._joined([self.part(one) for one in parts], " OR ", _FALSE, any)
            case Not(inner):
                return self._not(self.part(inner))
            case All():
                return _TRUE
            case Uids(runs):
                return self._uids(merged(runs))
            case FlagIs(bit, is_set):
                return self._flag(bit, is_set)
            case KeywordIs(name, is_set):
                known = self._bits.get(name.lower())
                return self._flag(known, is_set) if known is not None else _FALSE if is_set else _TRUE
            case SizeLarger(octets):
                return _exact(f"message.size > {self._bound(octets)}")
            case SizeSmaller(octets):
                return _exact(f"message.size < {self._bound(octets)}")
            case Received(since, before):
                return self._between("message.received", since, before)
            case Saved(since, before):
                return self._between("message.saved", since, before)
            case Sent(since, before):
                self._head = True
                return self._between(f"coalesce(head.sent_day, message.received / {_DAY})", since, before)
            case FieldContains(field, text):
                self._head = True
                return _exact(f"instr({_COLUMNS[field]}, {self._bound(messages.storable(text))}) > 0")
            case OctetsAre(email_id):
                owner = "SELECT owner FROM folder WHERE id = " + self._bound(self._folder)
                wanted = self._bound(messages.octets_hash(email_id))
                return _exact(f"message.blob IN (SELECT id FROM blob WHERE owner = ({owner}) AND hash = {wanted})")
            case ModseqAtLeast(modseq):
                own = "coalesce(own.modseq, 0)" if self._own else "0"
                bound = self._bound(modseq)
                return _exact(f"(message.modseq >= {bound} OR {own} >= {bound})" if modseq > 0 else "1")
            case HeaderContains() | BodyContains() | TextContains():
                return _Part("1", "0", _in_octets(criterion), reads=True)

    def _bound(self, value: int | str | bytes) -> str:
        if isinstance(value, int):
            value = max(-_LARGEST, min(value, _LARGEST))
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"

    def _between(self, column: str, since: int | None, before: int | None) -> _Part:
        texts = [] if since is None else [f"{column} >= {self._bound(since)}"]
        if before is not None:
            texts.append(f"{column} < {self._bound(before)}")
        return _exact("(" + " AND ".join(texts) + ")") if texts else _TRUE

    def _flag(self, bit: int, is_set: bool) -> _Part:
        flags = "message.flags"
        if self._own and bit & Flag.SEEN:
            flags = "(CASE WHEN own.is_seen IS NULL THEN message.flags ELSE (message.flags & ~1) | own.is_seen END)"
        return _exact(f"({flags} & {self._bound(bit)}) {'<>' if is_set else '='} 0")

    def _uids(self, runs: Sequence[tuple[int, int]]) -> _Part:
        if not runs:
            return _FALSE
        if len(runs) <= RUNS_IN_SQL:
            texts = [self._within(low, high) for low, high in runs]
            return _exact("(" + " OR ".join(texts) + ")")
        lows = [low for low, _ in runs]

        def among(one: _Message, decoder: Decoder) -> bool:
            number = bisect_right(lows, one.uid) - 1
            return number >= 0 and one.uid <= runs[number][1]

        return _Part(self._within(runs[0][0], runs[-1][1]), "0", among)

    def _within(self, low: int, high: int) -> str:
        return f"message.key BETWEEN {self._bound(key(self._folder, low))} AND {self._bound(key(self._folder, high))}"

    def _low(self, part: _Part) -> _Part:
        """The same, low enough to be built upon: what has become too high is a result column, or judged whole."""
        if part.height < HEIGHT_IN_SQL:
            return part
        judge = part.judge
        if judge is None:
            judge = self._truth(part.may)
        return _Part("1", "0", judge, part.reads)

    def _truth(self, text: str) -> _Judge:
        number = len(self.columns)
        self.columns.append(text)
        return lambda one, decoder: bool(one.truths[number])

    def _not(self, part: _Part) -> _Part:
        part = self._low(part)
        judge = part.judge
        if judge is None:
            return _exact(f"NOT ({part.may})", part.height + 1)

        def otherwise(one: _Message, decoder: Decoder) -> bool:
            return not judge(one, decoder)

        return _Part(f"NOT ({part.must})", f"NOT ({part.may})", otherwise, part.reads, part.height + 1)

    def _joined(self, parts: Sequence[_Part], word: str, empty: _Part, combined: Callable[[Any], bool]) -> _Part:
        if not parts:
            return empty
        if len(parts) == 1:
            return parts[0]
        parts = [self._low(part) for part in parts]
        height = 1 + max(part.height for part in parts)
        exact = [part for part in parts if part.judge is None]
        others = [part for part in parts if part.judge is not None]
        if not others:
            return _exact("(" + word.join(part.may for part in exact) + ")", height)
        judges: list[_Judge] = []
        if exact:
            judges.append(self._truth("(" + word.join(part.may for part in exact) + ")"))
        # What needs no octets first: often the octets are then not needed at all.
        judges += [part.judge for part in sorted(others, key=lambda part: part.reads) if part.judge is not None]

        def judge(one: _Message, decoder: Decoder) -> bool:
            return combined(decide(one, decoder) for decide in judges)

        return _Part(
            "(" + word.join(part.may for part in parts) + ")",
            "(" + word.join(part.must for part in parts) + ")",
            judge,
            any(part.reads for part in others),
            height,
        )


def _exact(text: str, height: int = 1) -> _Part:
    return _Part(text, text, height=height)


def _in_octets(criterion: InOctets) -> _Judge:
    match criterion:
        case HeaderContains(name, text):
            return lambda one, decoder: decoder.header(one.octets, name, text)
        case BodyContains(text):
            return lambda one, decoder: decoder.body(one.octets, text)
        case TextContains(text):
            return lambda one, decoder: decoder.text(one.octets, text)
