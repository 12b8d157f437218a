"""FETCH and UID FETCH: what the client wants to know of its messages."""

import asyncio
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from typing import Final

from gateway.changes import News
from gateway.folders import BATCH, BEGINNING, IN_PLACE, Kept, OpenFolder
from gateway.imap.grammar.condstore import Since, fetch_modifiers
from gateway.imap.grammar.fetch import Attribute, BinarySection, BinarySize, BodySection, Fetch, FetchItem, Section, SectionText
from gateway.imap.grammar.numbers import SequenceSet
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.partial import PartialRange, fetch_modifier
from gateway.imap.grammar.search import Update
from gateway.imap.handlers import whole
from gateway.imap.responses import EXPUNGEISSUED, LIMIT, UNKNOWN_CTE, messagelimit, spell_binary, spell_string, vanished
from gateway.imap.sections import OF_HEADER, PartReader, Piece, Range, between, clip, cut, encoded, extent, header_cutter, header_section
from gateway.imap.session import Answer, Bad, No, Output, Selected, Session, newest
from gateway.imap.told import LARGEST, Stretch, Told
from gateway.imap.view import Span
from gateway.message.encoding import IDENTITIES, UnknownEncoding
from gateway.message.layout import Layout
from gateway.message.split import end_of_header
from store.model import Flag, MessageRow, Run

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS: Final = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_SEEN: Final = int(Flag.SEEN)
_STATE_ONLY: Final = frozenset({b"FLAGS", b"UID", b"MODSEQ"})
_PLACES: Mapping[bytes, bytes] = MappingProxyType({b"UID": b"UID %d", b"MODSEQ": b"MODSEQ (%d)"})
_BESIDE: Mapping[bytes, bytes] = MappingProxyType({**_PLACES, b"FLAGS": b"%b", b"RFC822.SIZE": b"RFC822.SIZE %d"})
"""What may be asked for beside a whole message without a look at anything but its octets and its state."""
_CHUNK: Final = 1024
"""Messages whose UID and FLAGS are spelled in one go."""
_AT_ONCE: Final = 64
"""Messages told before something else may be done: of those whose octets are needed, and of the others."""
_OF_HEADERS: Final = 128
"""Messages whose headers are read in one go."""
_HEADERS_AT_ONCE: Final = 8
"""Headers cut up before something else may be done: some may be nothing but short fields."""
_FEW_SECTIONS: Final = 4
"""Sections of a header that are cut out of those of many messages in one go."""
_STRETCH: Final = 32
"""Messages of a stretch at least, so that its responses are kept: what is asked of single ones is not asked again."""
_ROOM: Final = 1 << 20
"""Octets that one response may have beyond twice those of its message, where they are copied or decoded."""
_SHORT: Final = 256
"""Octets of items that are asked for again and again."""
_WHOLE: Final = Section()
_HEADER: Final = Section(text=SectionText.HEADER)
_TEXT: Final = Section(text=SectionText.TEXT)
_AHEAD: Final = 256 * 1024
"""Octets read at once of a part of a large message that is being decoded."""


@dataclass(slots=True)
class _Batch:
    """What was read of a few messages, by UID."""

    rows: dict[int, MessageRow] = field(default_factory=dict)
    envelopes: dict[int, bytes] = field(default_factory=dict)
    structures: dict[int, bytes] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)
    email_ids: dict[int, bytes] = field(default_factory=dict)
    previews: dict[int, bytes] = field(default_factory=dict)
    layouts: dict[int, Layout] = field(default_factory=dict)
    headers: dict[FetchItem, dict[int, bytes]] = field(default_factory=dict)
    """What is said of a section of the header."""


class _Kept:
    """The responses of a stretch, as long as they are not too many to be kept."""

    __slots__ = ("pieces", "size")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.size = 0

    def add(self, piece: Piece) -> None:
        self.size += len(piece)
        if self.size <= LARGEST:
            self.pieces.append(piece)
        else:
            self.pieces.clear()


class _Gone(Exception):
    """The message is not there any more."""


class _TooMuch(Exception):
    """A message was asked for in so many ways that the answer would be many times as long as it is."""


class _Octets:
    """What was read of one message's octets, and where its parts stand if that was asked for."""

    __slots__ = ("_head", "_layout", "_pieces", "_room", "_starts", "size")

    def __init__(self, size: int, starts: Sequence[int], pieces: Sequence[bytes], layout: Layout | None) -> None:
        self.size = size
        self._layout = layout
        self._starts = starts
        self._pieces = pieces
        self._head: int | None = None
        self._room = 2 * size + _ROOM

    def made(self, octets: int) -> None:
        """So many were copied or decoded for one response. Raises _TooMuch."""
        self._room -= octets
        if self._room < 0:
            raise _TooMuch

    @property
    def layout(self) -> Layout:
        """Read where an item needs it."""
        assert self._layout is not None
        return self._layout

    def slice(self, low: int, high: int) -> Piece | None:
        """None: that was not read."""
        if low >= high:
            return b""
        number = bisect_right(self._starts, low) - 1
        if number < 0:
            return None
        start, piece = self._starts[number], self._pieces[number]
        if low == start and high - start == len(piece):
            return piece
        return between(piece, low - start, high - start) if high - start <= len(piece) else None

    def there(self, low: int, high: int) -> Piece:
        """What was read, surely."""
        octets = self.slice(low, high)
        assert octets is not None
        return octets

    def section(self, item: BodySection) -> Piece | None:
        """None: there is no such part. Raises _TooMuch."""
        octets = self._section(item)
        if isinstance(octets, bytes) and not any(octets is piece for piece in self._pieces):
            self.made(len(octets))
        return octets

    def _section(self, item: BodySection) -> Piece | None:
        wanted = item.section
        found: Range | None
        if wanted.text is None and not wanted.path and item.partial is None:
            # It was read as one piece.
            return self._pieces[0]
        if wanted.path or (wanted.text is not None and self._layout is not None):
            found = extent(self.layout, wanted)
        elif wanted.text is None:
            found = 0, self.size
        else:
            # What concerns the message's own header needs no look at its parts.
            if self._head is None:
                end = end_of_header(self._pieces[0])
                self._head = len(self._pieces[0]) if end is None else end
            found = (self._head, self.size) if wanted.text is SectionText.TEXT else (0, self._head)
        if found is None:
            return None
        if wanted.text in OF_HEADER:
            return cut(header_section(bytes(self.there(*found)), wanted), item.partial)
        return self.there(*clip(found, item.partial))


def _whole(octets: bytes, layout: Layout | None) -> _Octets:
    return _Octets(len(octets), (0,), (octets,), layout)


def _ranges(items: Sequence[BodySection | BinarySection | BinarySize], layout: Layout | None, size: int) -> list[Range]:
    """What has to be read of a message's octets for these, in order and apart; what is in an encoding is read while it is decoded."""
    needed: list[Range] = []
    for item in items:
        if isinstance(item, BodySection):
            found = (0, size) if layout is None else extent(layout, item.section)
            if found is not None:
                needed.append(found if item.section.text in OF_HEADER else clip(found, item.partial))
        elif isinstance(item, BinarySection):
            part = (0, size, b"binary") if layout is None else encoded(layout, item.path)
            if part is not None and part[2] in IDENTITIES:
                needed.append(clip(part[:2], item.partial))
    apart: list[Range] = []
    for low, high in sorted(needed):
        if apart and low <= apart[-1][1]:
            apart[-1] = apart[-1][0], max(high, apart[-1][1])
        elif low < high:
            apart.append((low, high))
    return apart


def _flags(selected: Selected, uid: int, at: int) -> bytes:
    return selected.view.state.spell_flags(selected.view.state.flags[at], recent=selected.view.is_recent(uid))


def date_time(moment: int) -> bytes:
    """`date-time`, in UTC."""
    day, seconds = divmod(moment // 1_000_000, 86_400)
    try:
        return b'"%b %02d:%02d:%02d +0000"' % (_date(day), seconds // 3600, seconds // 60 % 60, seconds % 60)
    except OverflowError:
        return date_time(0)


@lru_cache(maxsize=4096)
def _date(day: int) -> bytes:
    """`date`, of a day counted from 1970-01-01 on. Raises OverflowError beyond the calendar."""
    at = _EPOCH + timedelta(days=day)
    return b"%2d-%b-%04d" % (at.day, _MONTHS[at.month - 1], at.year)


async def _previews(folder: OpenFolder, runs: Sequence[Run]) -> list[tuple[int, bytes]]:
    """RFC 8970: `"PREVIEW" SP nstring`, in UTF-8."""
    return [(uid, spell_string(words)) for uid, words in await folder.previews(runs)]


# What each item that is all said by its name makes of a batch. An extension adds a row.
_OF_ROW: Mapping[bytes, Callable[[MessageRow], bytes]] = MappingProxyType(
    {
        b"INTERNALDATE": lambda row: b"INTERNALDATE " + date_time(row.received),
        b"RFC822.SIZE": lambda row: b"RFC822.SIZE %d" % row.size,
        b"SAVEDATE": lambda row: b"SAVEDATE " + date_time(row.saved),
        # RFC 8474 section 5.2: a server that keeps no threads says NIL.
        b"THREADID": lambda row: b"THREADID NIL",
    }
)
_Prepared = Mapping[bytes, tuple[str, Callable[[OpenFolder, Sequence[Run]], Awaitable[list[tuple[int, bytes]]]]]]
_PREPARED: _Prepared = MappingProxyType(
    {
        b"ENVELOPE": ("envelopes", OpenFolder.envelopes),
        b"BODYSTRUCTURE": ("structures", OpenFolder.structures),
        b"BODY": ("bodies", OpenFolder.bodies),
        b"EMAILID": ("email_ids", OpenFolder.email_ids),
        b"PREVIEW": ("previews", _previews),
    }
)
_KEPT: Mapping[bytes, Kept] = MappingProxyType({b"ENVELOPE": Kept.ENVELOPE, b"BODYSTRUCTURE": Kept.STRUCTURE, b"BODY": Kept.BODY})
"""What is read together with the rows."""
# RFC 9051 section 7.5.2.
_PREPARED_REV2: _Prepared = MappingProxyType(
    {
        b"BODYSTRUCTURE": ("structures", lambda folder, runs: folder.structures(runs, rev2=True)),
        b"BODY": ("bodies", lambda folder, runs: folder.bodies(runs, rev2=True)),
    }
)
_OLD_SECTIONS: Mapping[bytes, BodySection] = MappingProxyType(
    {
        b"RFC822": BodySection(b"RFC822", _WHOLE, False),
        b"RFC822.HEADER": BodySection(b"RFC822.HEADER", _HEADER, True),
        b"RFC822.TEXT": BodySection(b"RFC822.TEXT", _TEXT, False),
    }
)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The items of a command, sorted by what they need."""

    items: tuple[FetchItem, ...]
    rows: bool
    prepared: tuple[bytes, ...]
    sections: tuple[BodySection | BinarySection | BinarySize, ...]
    """What needs the message's octets."""
    header_only: bool
    """Of the octets, the header is all that is needed."""
    parts: bool
    """Something is asked for by the number of its part."""
    rev2: bool = False
    uid_only: bool = False

    @property
    def flags(self) -> bool:
        """Are flags asked for?"""
        return any(item.label == b"FLAGS" for item in self.items)

    @property
    def modseqs(self) -> bool:
        """Are mod-sequences?"""
        return any(item.label == b"MODSEQ" for item in self.items)

    @property
    def in_pieces(self) -> bool:
        """Is more asked for of the octets than whole header fields, so that it is not worth keeping?"""
        return bool(self.sections) and not (
            self.header_only and all(isinstance(one, BodySection) and one.partial is None for one in self.sections)
        )

    @property
    def of_headers(self) -> bool:
        """Is nothing asked for of the octets but a few sections of the header?"""
        return 0 < len(self.sections) <= _FEW_SECTIONS and not self.in_pieces

    @property
    def whole(self) -> BodySection | None:
        """The one item that asks for the whole message, where all the others are said of its size and its state."""
        if len(self.sections) != 1:
            return None
        (item,) = self.sections
        if not all(one is item or one.label in _BESIDE for one in self.items):
            return None
        return item if isinstance(item, BodySection) and item.section == _WHOLE and item.partial is None else None

    @property
    def sets_seen(self) -> bool:
        return any(not isinstance(item, BinarySize) and not item.peek for item in self.sections)

    @property
    def texts(self) -> bool:
        """Is more asked for than the header, and not all in one?"""
        return not self.header_only and any(isinstance(item, BodySection) and item.section.text is not None for item in self.sections)

    def by_layout(self, row: MessageRow) -> bool:
        """Is it needed where the parts of this message stand?"""
        return self.parts or (row.size > IN_PLACE and self.texts)


@dataclass(slots=True)
class _Unsaid:
    """What could not be told: messages are gone, or (by UID) have parts whose encoding nobody knows."""

    gone: bool = False
    unknown: set[int] = field(default_factory=set)
    too_much: bool = False


def _sort_out(items: tuple[FetchItem, ...], *, by_uid: bool, modseq: bool = False, rev2: bool = False, uid_only: bool = False) -> _Wanted:
    """Once for those that are asked for again and again, which are few and short."""
    sort = _sorted_out if sum([len(item.label) for item in items]) <= _SHORT else _sorted_out.__wrapped__
    return sort(items, by_uid, modseq, rev2, uid_only)


@lru_cache(maxsize=256)
def _sorted_out(items: tuple[FetchItem, ...], by_uid: bool, modseq: bool, rev2: bool, uid_only: bool) -> _Wanted:
    found = [_OLD_SECTIONS.get(item.label, item) if isinstance(item, Attribute) else item for item in items]
    if by_uid and not uid_only and not any(item.label == b"UID" for item in found):
        found.insert(0, Attribute(b"UID"))
    if modseq and not any(item.label == b"MODSEQ" for item in found):
        found.append(Attribute(b"MODSEQ"))
    sections = tuple(item for item in found if isinstance(item, (BodySection, BinarySection, BinarySize)))
    names = {item.label for item in found if isinstance(item, Attribute)}
    header_only = all(isinstance(item, BodySection) and not item.section.path and item.section.text in OF_HEADER for item in sections)
    parts = any(item.section.path if isinstance(item, BodySection) else item.path for item in sections)
    rows = bool(names & _OF_ROW.keys())
    return _Wanted(tuple(found), rows, tuple(sorted(names & _PREPARED.keys())), sections, header_only, parts, rev2, uid_only)


async def fetch(session: Session, command: Fetch, emit: Output) -> Answer:
    """RFC 3501 section 6.4.5, RFC 3516 section 4. BODY[] and BINARY[] without PEEK set \\Seen where that is allowed, and leave no
    trace where it is not."""
    partial, modifiers = fetch_modifier(command.modifiers, by_uid=command.by_uid)
    since = fetch_modifiers(modifiers, by_uid=command.by_uid)
    if since is not None and since.vanished and b"QRESYNC" not in session.enabled:
        raise Bad("VANISHED needs ENABLE QRESYNC first")
    selected = await session.refresh()
    spans = selected.view.spans(command.messages, by_uid=command.by_uid)
    wanted = _sort_out(command.items, by_uid=command.by_uid, modseq=since is not None, rev2=session.is_rev2, uid_only=session.uid_only)
    if wanted.modseqs:
        session.use_modseqs(emit)
    if since is not None and since.vanished:
        emit.say(*vanished(await _vanished(selected, command.messages, since), earlier=True))
    if partial is not None:
        spans = _part(spans, partial)
        limit = session.services.message_limit
        if newest(selected.view, spans, limit)[1] is not None:
            # RFC 9738 section 3.1: a part was asked for, so a part of it is no answer.
            raise No("that part has too many messages", messagelimit(limit))
    if since is not None:
        # RFC 9394 section 3.4: first the part, then what changed of it, whatever was written first.
        spans = selected.view.changed(spans, since.modseq)
    spans, done = newest(selected.view, spans, session.services.message_limit)
    if all(item.label in _STATE_ONLY for item in wanted.items):
        unsaid = _Unsaid(await _from_state(selected, spans, wanted, emit, session.services.states.told))
    elif (item := wanted.whole) is not None:
        unsaid = _Unsaid(await whole.tell(selected, spans, _around(selected, wanted, item), emit))
    else:
        unsaid = await _from_store(selected, spans, wanted, emit, session.services.states.told)
    if wanted.sets_seen and not selected.examined:
        unseen = _unseen_runs(selected, spans, unsaid.unknown)
        if unseen and await selected.folder.mark_seen(unseen) is not None:
            session.news |= News.FOLDER
    if unsaid.too_much:
        raise No("a message was asked for too many times over", LIMIT)
    if unsaid.unknown:
        raise No("a part of a message has an encoding that is not known", UNKNOWN_CTE)
    # RFC 5530: what could not be told was expunged; it is announced when that is allowed.
    answer = Answer(code=EXPUNGEISSUED) if unsaid.gone else Answer()
    return answer if done is None else done.tell(answer, emit)


def of_new(items: tuple[FetchItem, ...]) -> Callable[[Session, Sequence[Span], Output], Awaitable[None]]:
    """What tells these items of new messages of the selected folder, unasked (RFC 5465 section 5.2); \\Seen stays as it is."""

    async def tell(session: Session, spans: Sequence[Span], emit: Output) -> None:
        wanted = _sort_out(items, by_uid=False, rev2=session.is_rev2, uid_only=session.uid_only)
        from_state = all(item.label in _STATE_ONLY for item in wanted.items)
        await (_from_state if from_state else _from_store)(session.here, spans, wanted, emit, session.services.states.told)

    return tell


def _part(spans: Sequence[Span], wanted: PartialRange) -> list[Span]:
    """Of these places the first, or the last, as RFC 9394 section 3.3 counts them: the cost follows the spans, not the messages."""
    low, high = wanted.within(sum(end - begin for begin, end in spans))
    found: list[Span] = []
    before = 0
    for begin, end in spans:
        first, last = max(low - before, 0), min(high - before, end - begin)
        if first < last:
            found.append((begin + first, begin + last))
        before += end - begin
    return found


def of_matching(session: Session, returning: Sequence[Parameter] | None) -> Callable[[Sequence[Span], Output], Awaitable[None]] | None:
    """The same for new messages that a followed search finds, where it asks for that (RFC 5465 section 7)."""
    items = next((one.attributes for one in returning or () if isinstance(one, Update)), ())
    if not items:
        return None
    fetch_new = of_new(items)
    return lambda spans, emit: fetch_new(session, spans, emit)


async def _vanished(selected: Selected, messages: SequenceSet, since: Since) -> list[Run]:
    """What of these UIDs is gone since, but for what the client is still to be told of. `*` is the last UID there ever was: nobody
    means to leave out the newest message because it is gone."""
    return selected.view.unknown(await selected.folder.gone_since(since.modseq, messages.slices))


def _chunks(spans: Sequence[Span], size: int) -> Iterator[Span]:
    for low, high in spans:
        for start in range(low, high, size):
            yield start, min(start + size, high)


def _stretch(selected: Selected, wanted: _Wanted, span: Span) -> Stretch | None:
    """What these messages' responses are made of; None where the next who asks would be told something else."""
    view = selected.view
    low, high = span
    if high - low < _STRETCH or not view.current or wanted.in_pieces or (wanted.flags and view.recent):
        return None
    state, folder = view.state, selected.folder
    return Stretch(
        (folder.row.id, folder.row.uidvalidity, folder.seen_of, wanted.items, wanted.uid_only, wanted.rev2),
        low,
        high,
        view.uids[low:high],
        state.flags[low:high] if wanted.flags else None,
        state.names if wanted.flags else None,
        state.modseqs[low:high] if wanted.modseqs else None,
    )


async def _from_state(selected: Selected, spans: Sequence[Span], wanted: _Wanted, emit: Output, told: Told) -> bool:
    """UID and FLAGS touch no table: one template for many messages, filled from slices of the arrays."""
    gone = False
    labels = [item.label for item in wanted.items]
    head = b"* %d UIDFETCH (" if wanted.uid_only else b"* %d FETCH ("
    template = head + b" ".join(_PLACES.get(label, b"%b") for label in labels) + b")\r\n"
    view = selected.view
    plain = not view.recent
    for low, high in _chunks(spans, _CHUNK):
        emit.say(*view.new_flags())
        stretch = _stretch(selected, wanted, (low, high))
        again = None if stretch is None else told.again(stretch)
        if again is not None:
            emit(again)
            await emit.breathe()
            continue
        state = view.state
        places: Sequence[int] = range(low, high)
        if view.current:
            uids, flags, modseqs = view.uids[low:high], state.flags[low:high], state.modseqs[low:high]
        else:
            there = [(place, at) for place in places if (at := state.index(view.uids[place])) is not None]
            gone = gone or len(there) < high - low
            places = [place for place, _ in there]
            uids = type(view.uids)("I", [view.uids[place] for place in places])
            flags = type(state.flags)("Q", [state.flags[at] for _, at in there])
            modseqs = type(state.modseqs)("Q", [state.modseqs[at] for _, at in there])
        columns: list[Sequence[object]] = [uids if wanted.uid_only else [place + 1 for place in places]]
        for label in labels:
            if label == b"UID":
                columns.append(uids)
            elif label == b"MODSEQ":
                columns.append(modseqs)
            elif plain:
                spell = {bits: state.spell_flags(bits) for bits in set(flags)}
                columns.append([spell[bits] for bits in flags])
            else:
                columns.append([state.spell_flags(bits, recent=view.is_recent(uid)) for uid, bits in zip(uids, flags, strict=True)])
        if len(uids):
            octets = (template * len(uids)) % tuple(chain.from_iterable(zip(*columns, strict=True)))
            emit(octets)
            if stretch is not None:
                told.keep(stretch, octets)
        await emit.breathe()
    return gone


async def _from_store(selected: Selected, spans: Sequence[Span], wanted: _Wanted, emit: Output, told: Told) -> _Unsaid:
    unsaid = _Unsaid()
    folder, view = selected.folder, selected.view
    # Beginnings are short, though no one knows how short: all of them are fetched in one go.
    most = _AT_ONCE * BEGINNING if wanted.header_only else _AHEAD
    cutters = {item: header_cutter(item.section) for item in wanted.sections if isinstance(item, BodySection)} if wanted.of_headers else {}
    for low, high in _chunks(spans, _OF_HEADERS if cutters else _AT_ONCE if wanted.sections else BATCH):
        emit.say(*view.new_flags())
        stretch = _stretch(selected, wanted, (low, high))
        again = None if stretch is None else told.again(stretch)
        if again is not None:
            emit(again)
            await emit.breathe()
            continue
        kept = None if stretch is None else _Kept()
        runs = [(view.uids[low], view.uids[high - 1])]
        batch = _Batch()
        prepared: list[dict[int, bytes]] = []
        short = bool(cutters) and await _cut_headers(folder, view.uids[low:high], cutters, batch, emit)
        kept_items = [name for name in wanted.prepared if name in _KEPT and not (wanted.rev2 and name in _PREPARED_REV2)]
        rows_too = wanted.rows or (bool(wanted.sections) and not short)
        if rows_too or kept_items:
            rows, items = await folder.together(runs, [_KEPT[name] for name in kept_items], rows=rows_too)
            batch.rows = {row.uid: row for row in rows}
            for name, item in zip(kept_items, items, strict=True):
                prepared.append(dict(item))
                setattr(batch, _PREPARED[name][0], prepared[-1])
        for name in wanted.prepared:
            if name in kept_items:
                continue
            place, read = (_PREPARED_REV2 if wanted.rev2 and name in _PREPARED_REV2 else _PREPARED)[name]
            found = dict(await read(folder, runs))
            setattr(batch, place, found)
            prepared.append(found)
        laid_out = _runs(uid for uid, row in batch.rows.items() if wanted.by_layout(row)) if wanted.sections and not short else []
        if laid_out:
            batch.layouts = {uid: Layout(packed) for uid, packed in await folder.layouts(laid_out)}
        if short or not wanted.sections:
            prepared.extend(batch.headers.values())
            for begin, end in _chunks(((low, high),), _AT_ONCE):
                unsaid.gone |= _spell_prepared(selected, range(begin, end), wanted, batch, prepared, emit, kept)
                await emit.breathe()
            _keep(selected, wanted, stretch, kept, unsaid, told)
            continue
        waiting: list[tuple[int, int]] = []
        size = 0
        for place_of in range(low, high):
            uid = view.uids[place_of]
            at = view.state.index(uid)
            row = batch.rows.get(uid)
            if at is None or row is None or any(uid not in one for one in prepared):
                unsaid.gone = True
                continue
            octets = min(row.size, BEGINNING) if wanted.header_only else row.size
            if waiting and size + octets > most:
                await _with_octets(selected, waiting, wanted, batch, emit, unsaid, kept)
                waiting, size = [], 0
            waiting.append((place_of, octets))
            size += octets
        if waiting:
            await _with_octets(selected, waiting, wanted, batch, emit, unsaid, kept)
        await emit.breathe()
        _keep(selected, wanted, stretch, kept, unsaid, told)
    return unsaid


def _keep(selected: Selected, wanted: _Wanted, stretch: Stretch | None, kept: _Kept | None, unsaid: _Unsaid, told: Told) -> None:
    """For the next who asks, where all was told, and nothing has changed while it was."""
    if stretch is None or kept is None or unsaid.gone or unsaid.unknown or unsaid.too_much:
        return
    if kept.size <= LARGEST and _stretch(selected, wanted, (stretch.low, stretch.high)) == stretch:
        told.keep(stretch, b"".join(kept.pieces))


async def _cut_headers(
    folder: OpenFolder, uids: Sequence[int], cutters: Mapping[BodySection, Callable[[bytes], bytes]], batch: _Batch, emit: Output
) -> bool:
    """What is said of sections of the headers of these messages, into the batch. False: one of the headers is so long that it takes a
    while, and nothing was done."""
    found = await folder.beginnings(uids)
    if any(len(octets) > BEGINNING for _, octets in found):
        return False
    for item, cut_out in cutters.items():
        label = item.label
        batch.headers[item] = said = {}
        for start in range(0, len(found), _HEADERS_AT_ONCE):
            for uid, octets in found[start : start + _HEADERS_AT_ONCE]:
                section = cut_out(octets)
                said[uid] = b"%b {%d}\r\n%b" % (label, len(section), section)
            await emit.breathe()
    return True


def _spell_prepared(
    selected: Selected,
    places: Sequence[int],
    wanted: _Wanted,
    batch: _Batch,
    prepared: Sequence[Mapping[int, bytes]],
    emit: Output,
    kept: _Kept | None,
) -> bool:
    """Messages of which no octets are needed, in one go: a template, and for each item a column. True: some of them are gone."""
    view, state = selected.view, selected.view.state
    there: list[tuple[int, int, int]] = []
    current = view.current
    for place in places:
        uid = view.uids[place]
        at = place if current else state.index(uid)
        if at is None or (wanted.rows and uid not in batch.rows) or any(uid not in one for one in prepared):
            continue
        there.append((place, at, uid))
    columns: list[Sequence[object]] = [[uid for _, _, uid in there] if wanted.uid_only else [place + 1 for place, _, _ in there]]
    template: list[bytes] = []
    for item in wanted.items:
        label = item.label
        spelled = _PLACES.get(label, b"%b")
        if label == b"UID":
            columns.append([uid for _, _, uid in there])
        elif label == b"FLAGS":
            if view.recent:
                columns.append([_flags(selected, uid, at) for _, at, uid in there])
            else:
                spell = {bits: state.spell_flags(bits) for bits in {state.flags[at] for _, at, _ in there}}
                columns.append([spell[state.flags[at]] for _, at, _ in there])
        elif label == b"MODSEQ":
            columns.append([state.modseqs[at] for _, at, _ in there])
        elif label in _OF_ROW:
            say, rows = _OF_ROW[label], batch.rows
            columns.append([say(rows[uid]) for _, _, uid in there])
        elif item in batch.headers:
            of_header = batch.headers[item]
            columns.append([of_header[uid] for _, _, uid in there])
        else:
            found: dict[int, bytes] = getattr(batch, _PREPARED[label][0])
            columns.append([found[uid] for _, _, uid in there])
            spelled = label + b" %b"
        template.append(spelled)
    if there:
        line = (b"* %d UIDFETCH (" if wanted.uid_only else b"* %d FETCH (") + b" ".join(template) + b")\r\n"
        octets = (line * len(there)) % tuple(chain.from_iterable(zip(*columns, strict=True)))
        emit(octets)
        if kept is not None:
            kept.add(octets)
    return len(there) < len(places)


def _around(selected: Selected, wanted: _Wanted, section: BodySection) -> whole.Lines:
    """What is said before and behind the octets of whole messages: what of their state, and their size, is asked for besides."""
    middle = wanted.items.index(section)
    before, after = wanted.items[:middle], wanted.items[middle + 1 :]
    number = b"* %d UIDFETCH (" if wanted.uid_only else b"* %d FETCH ("
    head = number + b"".join(_BESIDE[item.label] + b" " for item in before) + section.label + b" {%d}\r\n"
    tail = b"".join(b" " + _BESIDE[item.label] for item in after) + b")\r\n"

    def lines(places: Sequence[int], at: Sequence[int], octets: Sequence[bytes]) -> tuple[list[bytes], bytes | list[bytes]]:
        view, state = selected.view, selected.view.state
        sizes = [len(one) for one in octets]

        def column(item: FetchItem) -> Sequence[object]:
            match item.label:
                case b"UID":
                    return [view.uids[place] for place in places]
                case b"MODSEQ":
                    return [state.modseqs[index] for index in at]
                case b"RFC822.SIZE":
                    return sizes
                case _:
                    return [_flags(selected, view.uids[place], index) for place, index in zip(places, at, strict=True)]

        numbers = [view.uids[place] if wanted.uid_only else place + 1 for place in places]
        heads = [head % one for one in zip(numbers, *map(column, before), sizes, strict=True)]
        return heads, [tail % one for one in zip(*map(column, after), strict=True)] if after else tail

    return lines


async def _with_octets(
    selected: Selected,
    places: Sequence[tuple[int, int]],
    wanted: _Wanted,
    batch: _Batch,
    emit: Output,
    unsaid: _Unsaid,
    kept: _Kept | None,
) -> None:
    """Messages whose octets are needed, some 64 KiB of them or one."""
    view = selected.view
    found = await _read(selected.folder, [(view.uids[place], size) for place, size in places], wanted, batch)
    for place, _ in places:
        uid = view.uids[place]
        message = found.get(uid)
        said: list[Piece | int | None] = []
        if message is not None:
            try:
                for item in wanted.sections:
                    if not isinstance(item, BodySection):
                        said.append(await _decoded(selected, uid, message, item, emit))
                    elif message.size <= IN_PLACE or item.section == _WHOLE:
                        said.append(message.section(item))
                    else:
                        # To take a large header apart takes a while.
                        said.append(await asyncio.to_thread(message.section, item))
            except UnknownEncoding:
                unsaid.unknown.add(uid)
                continue
            except _TooMuch:
                unsaid.unknown.add(uid)
                unsaid.too_much = True
                continue
            except _Gone:
                message = None
        at = view.state.index(uid)
        if message is None or at is None:
            unsaid.gone = True
            continue
        pieces = _spell(selected, place, at, uid, wanted, batch, said)
        for piece in pieces:
            emit(piece)
            if kept is not None:
                kept.add(piece)
        await emit.breathe()


async def _read(folder: OpenFolder, sizes: Sequence[tuple[int, int]], wanted: _Wanted, batch: _Batch) -> dict[int, _Octets]:
    """So much of these messages, (UID, size), as is needed; those that are gone are left out."""
    if wanted.header_only:
        return {uid: _whole(octets, None) for uid, octets in await folder.beginnings([uid for uid, _ in sizes])}
    there = [(uid, size) for uid, size in sizes if uid in batch.layouts or not wanted.by_layout(batch.rows[uid])]
    if len(there) == 1 and there[0][1] > IN_PLACE:
        uid, size = there[0]
        layout = batch.layouts.get(uid)
        apart = _ranges(wanted.sections, layout, size)
        if apart != [(0, size)]:
            pieces = await folder.pieces(uid, apart)
            return {} if pieces is None else {uid: _Octets(size, [low for low, _ in apart], pieces, layout)}
    return {uid: _whole(octets, batch.layouts.get(uid)) for uid, octets in await folder.octets(there)}


def _runs(uids: Iterable[int]) -> list[Run]:
    """Ascending UIDs as runs."""
    found: list[Run] = []
    for uid in uids:
        if found and found[-1][1] == uid - 1:
            found[-1] = found[-1][0], uid
        else:
            found.append((uid, uid))
    return found


async def _decoded(selected: Selected, uid: int, message: _Octets, item: BinarySection | BinarySize, emit: Output) -> bytes | int | None:
    """What BINARY[...] or BINARY.SIZE[...] says of a message; None where it has no such part. Raises UnknownEncoding, _Gone."""
    key = (uid, item.path)
    partial = item.partial if isinstance(item, BinarySection) else None
    reader = selected.reader if partial is not None else None
    if partial is None or reader is None or reader.key != key or not reader.reaches(partial[0]):
        found = encoded(message.layout, item.path) if item.path else (0, message.size, b"binary")
        if found is None:
            return 0 if isinstance(item, BinarySize) else None
        reader = PartReader(key, *found)
    if reader.encoding in IDENTITIES:
        if isinstance(item, BinarySize):
            return reader.end - reader.start
        identical = message.there(*clip((reader.start, reader.end), partial))
        message.made(len(identical))
        return bytes(identical)
    if partial is not None:
        selected.reader = reader
    first, stop = (0, None) if partial is None else (partial[0], partial[0] + partial[1])
    pieces: list[bytes] = []
    size = 0
    read = message
    more = reader.goes_on(stop)
    while more:
        low, high = reader.wanted
        octets = read.slice(low, high)
        if octets is None:
            high = max(high, min(reader.likely(stop), low + _AHEAD))
            block = await selected.folder.pieces(uid, ((low, high),))
            if block is None:
                raise _Gone
            read = _Octets(message.size, (low,), block, None)
            octets = read.there(*reader.wanted)
        piece, more = reader.feed(bytes(octets), first, stop)
        size += len(piece)
        if isinstance(item, BinarySection):
            pieces.append(piece)
            message.made(len(piece))
        await emit.breathe()
    return size if isinstance(item, BinarySize) else b"".join(pieces)


def _spell(
    selected: Selected,
    place: int,
    at: int,
    uid: int,
    wanted: _Wanted,
    batch: _Batch,
    said: Sequence[Piece | int | None],
) -> list[Piece]:
    """`said`: of the sections, in their order."""
    pieces: list[Piece] = []
    before = b"* %d UIDFETCH (" % uid if wanted.uid_only else b"* %d FETCH (" % (place + 1)
    next_said = iter(said)
    for item in wanted.items:
        label = item.label
        if isinstance(item, BodySection):
            octets = next(next_said)
            if octets is None or isinstance(octets, int):
                pieces.append(b"%b%b NIL" % (before, label))
            else:
                pieces.append(b"%b%b {%d}\r\n" % (before, label, len(octets)))
                pieces.append(octets)
            before = b" "
            continue
        pieces.append(before)
        before = b" "
        if isinstance(item, (BinarySection, BinarySize)):
            found = next(next_said)
            spelled = b"NIL" if found is None else b"%d" % found if isinstance(found, int) else spell_binary(bytes(found))
            pieces.append(b"%b %b" % (label, spelled))
        elif label == b"UID":
            pieces.append(b"UID %d" % uid)
        elif label == b"FLAGS":
            pieces.append(_flags(selected, uid, at))
        elif label == b"MODSEQ":
            pieces.append(b"MODSEQ (%d)" % selected.view.state.modseqs[at])
        elif label in _OF_ROW:
            pieces.append(_OF_ROW[label](batch.rows[uid]))
        else:
            prepared: dict[int, bytes] = getattr(batch, _PREPARED[label][0])
            pieces.append(b"%b %b" % (label, prepared[uid]))
    pieces.append(b")\r\n")
    return pieces


def _unseen_runs(selected: Selected, spans: Sequence[Span], without: Container[int]) -> list[Run]:
    """Runs of UIDs that lack \\Seen, `without` those that were not told."""
    view, state = selected.view, selected.view.state
    found: list[Run] = []
    for low, high in spans:
        for place in range(low, high):
            uid = view.uids[place]
            at = state.index(uid)
            if at is None or state.flags[at] & _SEEN or uid in without:
                continue
            # Neighbours in the view with nothing stored between them: one run.
            if found and place > low and found[-1][1] == view.uids[place - 1]:
                found[-1] = found[-1][0], uid
            else:
                found.append((uid, uid))
    return found
