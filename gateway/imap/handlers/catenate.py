"""CATENATE: a message of new octets and of such as are stored already (RFC 4469)."""

import asyncio
from dataclasses import dataclass

from gateway.folders import IN_PLACE, OpenFolder
from gateway.imap.grammar.append import Url
from gateway.imap.grammar.url import BadUrl, MessageUrl, message_url
from gateway.imap.refusals import refusal
from gateway.imap.responses import LIMIT, TOOBIG, badurl
from gateway.imap.sections import OF_HEADER, clip, cut, extent, header_section
from gateway.imap.session import No, Output, Session
from gateway.message.layout import Layout
from gateway.refusal import Refused
from policy.reasons import Defer, Reason

# How many times the limit of a message may be read from disk for one command: the URL of a few fields of a header costs the client
# a few octets.
_READINGS = 4
_GONE = "there is no such message, or no such part of it"


@dataclass(frozen=True, slots=True)
class _Source:
    """A stored message that parts are taken of."""

    key: tuple[str, int]
    folder: OpenFolder
    size: int
    layout: Layout


class Catenation:
    """The messages of one command. All together they are no larger than one message may be; one source is held at a time."""

    __slots__ = ("_folders", "_readable", "_room", "_session", "_source")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._room = session.services.append_limit
        self._readable = _READINGS * session.services.append_limit + IN_PLACE
        self._folders: dict[str, OpenFolder] = {}
        self._source: _Source | None = None

    async def octets(self, parts: tuple[bytes | Url, ...], emit: Output) -> bytes:
        """The message of these parts. Reading them leaves no trace but on record. Raises No."""
        pieces: list[bytes] = []
        for part in parts:
            piece = await self._of_url(part.url) if isinstance(part, Url) else part
            self._room -= len(piece)
            if self._room < 0:
                raise No("the messages are too big together", TOOBIG)
            pieces.append(piece)
            await emit.breathe()
        return b"".join(pieces)

    async def _of_url(self, url: bytes) -> bytes:
        try:
            wanted = message_url(url)
        except BadUrl as bad:
            raise No(bad.message, badurl(url)) from None
        try:
            found = await self._section(wanted)
        except Refused as refused:
            if isinstance(refused.verdict, Defer):
                raise
            # A hidden folder and a missing one have the same words, and those of a missing message.
            await self._session.have_looked(refused.verdict)
            words = (
                _GONE if refused.verdict.reason is Reason.FOLDER_UNKNOWN else refusal(self._session.named(refused.verdict, "CATENATE")).text
            )
            raise No(words, badurl(url)) from None
        if found is None:
            raise No(_GONE, badurl(url))
        return found

    async def _section(self, wanted: MessageUrl) -> bytes | None:
        """None: there is no such message, or no such part of it. Raises No, Refused."""
        source = await self._source_of(wanted)
        place = None if source is None else extent(source.layout, wanted.section)
        if source is None or place is None:
            return None
        partial = None
        if wanted.partial is not None:
            first, count = wanted.partial
            partial = first, source.size if count is None else count
        fields = wanted.section.text in OF_HEADER
        low, high = place if fields else clip(place, partial)
        if not fields and high - low > self._room:
            raise No("the messages are too big together", TOOBIG)
        self._readable -= high - low
        if self._readable < 0:
            raise No("the URLs of one command may not mean so many large headers", LIMIT)
        pieces = await source.folder.pieces(wanted.uid, ((low, high),))
        if pieces is None:
            return None
        if not fields:
            return pieces[0]
        # To take a large header apart takes a while.
        large = len(pieces[0]) > IN_PLACE
        head = await asyncio.to_thread(header_section, pieces[0], wanted.section) if large else header_section(pieces[0], wanted.section)
        return cut(head, partial)

    async def _source_of(self, wanted: MessageUrl) -> _Source | None:
        """None: there is no such message, or no such folder name. Raises Refused."""
        key = wanted.mailbox, wanted.uid
        folder = self._folders.get(wanted.mailbox)
        if folder is None:
            try:
                place = self._session.place(wanted.mailbox)
            except No:
                return None
            folder = await self._session.services.folders.open(self._session.acting, place)
            self._folders[wanted.mailbox] = folder
        if wanted.uidvalidity is not None and wanted.uidvalidity != folder.row.uidvalidity:
            return None
        if self._source is not None and self._source.key == key:
            return self._source
        rows = await folder.rows(((wanted.uid, wanted.uid),))
        if not rows:
            return None
        layouts = await folder.layouts(((wanted.uid, wanted.uid),))
        if not layouts:
            return None
        self._source = _Source(key, folder, rows[0].size, Layout(layouts[0][1]))
        return self._source
