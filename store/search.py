"""Criteria to a plan: the SQL that narrows, and what is left to check in the texts or octets. The only place where SQL is composed.

A criterion on texts is decided by the texts that the index keeps (store/fulltext.py); where it keeps none, by the octets. Its trigrams
narrow, when the search may use them: they say in which of the owner's messages the text may be, in whatever folder, and the time that
takes depends on folders that a delegate may not know of. A delegate's search looks at its folder's own texts, one after the other.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from json import dumps
from typing import Any, Final, Protocol

from policy.identity import AccountId, FolderId
from store import messages
from store.away import Wanting
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
from store.fulltext import FullText, Kind, Reading, Unreadable, has_room
from store.model import Flag
from store.port import Tx
from store.runs import key, merged, span

ROWS_AT_ONCE: Final = 1000
RUNS_IN_SQL: Final = 16
"""Sets of UIDs with more runs are looked up outside SQL, where that is not linear in their number."""

HEIGHT_IN_SQL: Final = 10
"""Levels of parentheses that are left to SQL, whose parser has room for 100 open pieces; what is above is decided outside."""

NARROWED_FROM: Final = 128
"""Messages in a folder from which the trigrams are asked; fewer texts are looked at as quickly."""

NARROWING_LEAVES: Final = 16
"""Criteria on texts that narrow in one search; further ones only decide."""

_KEPT_SHARE: Final = 8
"""Looking into kept texts costs about so many times less than into octets: they count for less where a search stops."""

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
    """What the caller knows of MIME, and of the form in which texts are kept. `text` is as the criterion has it."""

    def header(self, octets: bytes, name: str, text: str) -> bool:
        """Is there a field of this name whose text contains it? "": is there one at all?"""

    def body(self, octets: bytes, text: str) -> bool:
        """Does the decoded body contain it?"""

    def text(self, octets: bytes, text: str) -> bool:
        """Does the decoded header or body contain it?"""

    def needle(self, text: str, *, in_header: bool) -> bytes | None:
        """What to look for in kept texts instead; None: they cannot tell, the octets decide."""

    def field(self, header: bytes, name: str, needle: bytes) -> bool:
        """As `header`, of a kept header."""


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
    *,
    index: FullText | None = None,
    narrow: bool = True,
) -> Found:
    """The messages that match, exactly. Through `work`. Stops after it read about so many octets of messages: call again with
    `after`, in a new snapshot. `seen_of`: the actor, where folder.seen_private. `narrow`: the search is the owner's own, or of one
    who may know of all the owner's folders.
    Raises LimitReached (more than MAX_DEPTH levels or MAX_LEAVES criteria)."""
    depth, leaves = measure(criterion)
    if depth > MAX_DEPTH:
        raise LimitReached(f"{MAX_DEPTH} levels of search criteria")
    if leaves > MAX_LEAVES:
        raise LimitReached(f"{MAX_LEAVES} search criteria")
    if index is not None and asks_texts(criterion):
        with index.reading() as reading:
            try:
                if reading is not None:
                    plan = _Plan(tx, folder, seen_of, decoder, _Kept(tx, folder, reading, narrow=narrow))
                    return _found(plan, criterion, files, after, octets)
            except Unreadable:
                pass  # the octets have everything
    return _found(_Plan(tx, folder, seen_of, decoder, None), criterion, files, after, octets)


def _found(plan: "_Plan", criterion: Criterion, files: Files, after: int, octets: int) -> Found:
    tx, folder, decoder = plan.tx, plan.folder, plan.decoder
    whole = plan.part(criterion)
    _, last = span(folder)
    first = key(folder, after) + 1
    if whole.judge is None:
        sql = plan.select(("message.key & 4294967295",), whole.may) + " ORDER BY message.key"
        return Found([uid for (uid,) in tx.composed(sql, **plan.parameters, first=first, last=last)], None)
    columns = ("message.key & 4294967295", whole.must, "message.size", "message.blob", *plan.columns)
    sql = plan.select(columns, whole.may) + f" ORDER BY message.key LIMIT {ROWS_AT_ONCE}"
    # One criterion on texts and nothing else: most of what it finds is known without looking at one message after the other.
    leaf = whole.judge if isinstance(whole.judge, _Leaf) else None
    found: list[int] = []
    spent = 0
    wanting = Wanting()
    while True:
        rows = tx.composed(sql, **plan.parameters, first=first, last=last)
        page = _Page([row[3] for row in rows if not row[1]])
        answers = leaf.answers(page) if leaf is not None else {}
        for uid, certain, size, blob, *truths in rows:
            if certain or (answer := answers.get(blob)):
                found.append(uid)
                continue
            if answer is False:
                continue
            one = _Message(tx, folder, uid, blob, page, files, truths)
            with wanting.noted():
                if whole.judge(one, decoder):
                    found.append(uid)
            if one.was_read:
                spent += size
                if spent >= octets:
                    wanting.settle()
                    return Found(found, uid)
        if len(rows) < ROWS_AT_ONCE:
            wanting.settle()
            return Found(found, None)
        spent += page.octets // _KEPT_SHARE
        if spent >= octets:
            return Found(found, rows[-1][0])
        first = key(folder, rows[-1][0]) + 1


def asks_texts(criterion: Criterion) -> bool:
    """Is a criterion on texts among it?"""
    waiting = [criterion]
    while waiting:
        match waiting.pop():
            case And(parts) | Or(parts):
                waiting.extend(parts)
            case Not(part):
                waiting.append(part)
            case HeaderContains() | BodyContains() | TextContains():
                return True
            case _:
                pass
    return False


class _Page:
    """Messages that are looked at together: their blobs, and how many octets of kept texts were looked at."""

    __slots__ = ("blobs", "octets")

    def __init__(self, blobs: list[int]) -> None:
        self.blobs = blobs
        self.octets = 0


class _Message:
    """One candidate: what SQL said of it, and its octets once somebody asks."""

    __slots__ = ("_files", "_folder", "_octets", "_tx", "blob", "page", "truths", "uid", "was_read")

    def __init__(self, tx: Tx, folder: FolderId, uid: int, blob: int, page: _Page, files: Files, truths: Sequence[Any]) -> None:
        self._tx = tx
        self._folder = folder
        self._files = files
        self._octets: bytes | None = None
        self.uid = uid
        self.blob = blob
        self.page = page
        self.truths = truths
        self.was_read = False

    @property
    def octets(self) -> bytes:
        if self._octets is None:
            self.was_read = True
            self._octets = messages.octets(self._tx, self._folder, self.uid, self._files) or b""
        return self._octets


class _Kept:
    """The index as one search in one folder asks it."""

    __slots__ = ("_most", "_narrowed", "aside", "narrows", "owner", "reading")

    def __init__(self, tx: Tx, folder: FolderId, reading: Reading, *, narrow: bool) -> None:
        asked = "SELECT owner, messages FROM folder WHERE [owner = :owner AND] id = :folder"
        found = tx.composed(asked, owner=tx.owner_of(folder), folder=folder)
        self.owner: int
        self._most: int
        self.owner, self._most = found[0] if found else (0, 0)
        self.reading = reading
        self.narrows = narrow and self._most >= NARROWED_FROM and has_room(self.owner, 1)
        self.aside = reading.aside(self.owner) if self.narrows else []
        self._narrowed = 0

    def candidates(self, kind: Kind | None, text: str) -> list[int] | None:
        """None: nothing is gained by asking."""
        # More than half of what the folder has: looking at all of them is as quick.
        most = self._most // 2 - len(self.aside)
        if not self.narrows or self._narrowed == NARROWING_LEAVES or most < 0:
            return None
        self._narrowed += 1
        return self.reading.candidates(self.owner, kind, text, most)


class _Leaf:
    """A criterion on texts: what the kept texts of a page say, and for what is not kept the octets."""

    __slots__ = ("_answers", "_in_octets", "_kept", "_page", "_tests")

    def __init__(self, kept: _Kept, tests: "Sequence[tuple[Kind, _Test]]", in_octets: "_Judge") -> None:
        self._kept = kept
        self._tests = tests
        self._in_octets = in_octets
        self._page: _Page | None = None
        self._answers: dict[int, bool] = {}

    def __call__(self, one: _Message, decoder: Decoder) -> bool:
        answer = self.answers(one.page).get(one.blob)
        return self._in_octets(one, decoder) if answer is None else answer

    def answers(self, page: _Page) -> dict[int, bool]:
        """By blob: True: a kept text has it; False: all texts are kept, and none has it; none: the octets decide."""
        if page is not self._page:
            self._page = page
            self._answers = self._asked(page)
        return self._answers

    def _asked(self, page: _Page) -> dict[int, bool]:
        kept = self._kept
        mark = kept.reading.mark
        asked = [blob for blob in dict.fromkeys(page.blobs) if blob <= mark]
        if asked and not has_room(kept.owner, max(asked)):
            return {}
        answers: dict[int, bool] = {}
        sure = frozenset(asked)
        for kind, test in self._tests:
            without = []
            octets = 0
            for blob, text in kept.reading.texts(kept.owner, kind, asked) if asked else ():
                octets += len(text)
                if test(text):
                    answers[blob] = True
                else:
                    without.append(blob)
            page.octets += octets
            sure = sure.intersection(without)
            asked = [blob for blob in asked if blob not in answers]
        answers.update(dict.fromkeys(sure, False))
        return answers


_Judge = Callable[[_Message, Decoder], bool]
_Test = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class _Part:
    """A criterion in SQL: true wherever it `may` match, true only where it `must`. `judge` decides in between; None: there is
    nothing in between, both are the same text. `reads`: judging may need the octets. `height`: levels of parentheses."""

    may: str
    must: str
    judge: _Judge | None = None
    reads: bool = False
    height: int = 1


_TRUE: Final = _Part("TRUE", "TRUE")
_FALSE: Final = _Part("FALSE", "FALSE")


class _Plan:
    """Composes. Whatever comes from outside becomes a parameter; the texts joined here are our own."""

    def __init__(self, tx: Tx, folder: FolderId, seen_of: AccountId | None, decoder: Decoder, kept: _Kept | None) -> None:
        self.tx = tx
        self.folder = folder
        self.decoder = decoder
        self._kept = kept
        self._bits = {name.lower(): 1 << bit for bit, name in messages.keywords(tx, folder)}
        self._own = seen_of is not None
        self._head = False
        self.parameters: dict[str, Any] = {"owner": tx.owner_of(folder)}
        if seen_of is not None:
            self.parameters["actor"] = seen_of
        self.columns: list[str] = []

    def select(self, columns: Sequence[str], where: str) -> str:
        tables = "message"
        if self._head:
            tables += " JOIN head ON [head.owner = message.owner AND] head.blob = message.blob"
        if self._own:
            tables += " LEFT JOIN seen AS own ON [own.owner = message.owner AND] own.actor = :actor AND own.key = message.key"
        within = "[message.owner = :owner AND] message.key BETWEEN :first AND :last"
        # Every piece is text of this file, values are parameters.
        return f"SELECT {', '.join(columns)} FROM {tables} WHERE {within} AND ({where})"

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
                owner = "SELECT owner FROM folder WHERE [owner = :owner AND] id = " + self._bound(self.folder)
                wanted = self._bound(messages.octets_hash(email_id))
                return _exact(f"message.blob IN (SELECT id FROM blob WHERE [owner = :owner AND] owner = ({owner}) AND hash = {wanted})")
            case ModseqAtLeast(modseq):
                own = "coalesce(own.modseq, 0)" if self._own else "0"
                bound = self._bound(modseq)
                return _exact(f"(message.modseq >= {bound} OR {own} >= {bound})" if modseq > 0 else "TRUE")
            case BodyContains("") | TextContains(""):
                return _TRUE
            case HeaderContains() | BodyContains() | TextContains():
                return self._texts(criterion)

    def _texts(self, criterion: InOctets) -> _Part:
        """Decided by kept texts where there are some, and narrowed by their trigrams."""
        in_octets = _in_octets(criterion)
        whole = _Part("TRUE", "FALSE", in_octets, reads=True)
        kept = self._kept
        needle = None if kept is None else self.decoder.needle(criterion.text, in_header=not isinstance(criterion, BodyContains))
        if kept is None or needle is None:
            return whole
        kind, text, tests = self._looked_for(criterion, needle)
        may = "TRUE"
        candidates = kept.candidates(kind, text)
        if candidates is not None:
            listed = self._bound(dumps([*candidates, *kept.aside]))
            among = f"SELECT value FROM json_each(CAST({listed} AS TEXT))"
            may = f"(message.blob > {self._bound(kept.reading.mark)} OR message.blob IN ({among}))"
        return _Part(may, "FALSE", _Leaf(kept, tests, in_octets), reads=True)

    def _looked_for(self, criterion: InOctets, needle: bytes) -> tuple[Kind | None, str, Sequence[tuple[Kind, _Test]]]:
        """The kind of text it is in, what that text surely contains, and what decides for each text."""
        field = self.decoder.field

        def contained(text: bytes) -> bool:
            return needle in text

        match criterion:
            case HeaderContains(name, text):
                # A field's name alone is looked for as it begins the line.
                return Kind.HEADER, text or f"{name.lower()}: ", ((Kind.HEADER, lambda header: field(header, name, needle)),)
            case BodyContains(text):
                return Kind.BODY, text, ((Kind.BODY, contained),)
            case TextContains(text):
                return None, text, ((Kind.HEADER, contained), (Kind.BODY, contained))

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

        return _Part(self._within(runs[0][0], runs[-1][1]), "FALSE", among)

    def _within(self, low: int, high: int) -> str:
        return f"message.key BETWEEN {self._bound(key(self.folder, low))} AND {self._bound(key(self.folder, high))}"

    def _low(self, part: _Part) -> _Part:
        """The same, low enough to be built upon: what has become too high is a result column, or judged whole."""
        if part.height < HEIGHT_IN_SQL:
            return part
        judge = part.judge
        if judge is None:
            judge = self._truth(part.may)
        return _Part("TRUE", "FALSE", judge, part.reads)

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
