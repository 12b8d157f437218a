"""CATENATE: a message of new octets and of such as are stored already (RFC 4469)."""

from collections.abc import Callable
from functools import partial

from gateway.folders import IN_PLACE, OpenFolder
from gateway.imap.grammar.append import Url
from gateway.imap.grammar.url import BadUrl, MessageUrl, message_url
from gateway.imap.refusals import refusal
from gateway.imap.responses import LIMIT, TOOBIG, badurl
from gateway.imap.sections import cut, section
from gateway.imap.session import No, Session
from gateway.message.structure import Part
from gateway.refusal import Refused
from policy.reasons import Defer, Reason

# How many times the limit of a message may be read from disk for one command: a URL costs the client a few octets.
_READINGS = 4
_GONE = "there is no such message, or no such part of it"


class _Source:
    """A stored message that parts are taken of."""

    __slots__ = ("_find", "_part", "key", "octets")

    def __init__(self, key: tuple[str, int], octets: bytes, find: Callable[[bytes], Part]) -> None:
        self.key = key
        self.octets = octets
        self._find = find
        self._part: Part | None = None

    def structure(self) -> Part:
        if self._part is None:
            self._part = self._find(self.octets)
        return self._part


class Catenation:
    """The messages of one command. All together they are no larger than one message may be; one source is held at a time."""

    __slots__ = ("_folders", "_readable", "_room", "_session", "_source")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._room = session.services.append_limit
        self._readable = _READINGS * session.services.append_limit + IN_PLACE
        self._folders: dict[str, OpenFolder] = {}
        self._source: _Source | None = None

    async def octets(self, parts: tuple[bytes | Url, ...]) -> bytes:
        """The message of these parts. Reading them leaves no trace but on record. Raises No."""
        pieces: list[bytes] = []
        for part in parts:
            piece = await self._of_url(part.url) if isinstance(part, Url) else part
            self._room -= len(piece)
            if self._room < 0:
                raise No("the messages are too big together", TOOBIG)
            pieces.append(piece)
        return b"".join(pieces)

    async def _of_url(self, url: bytes) -> bytes:
        try:
            wanted = message_url(url)
        except BadUrl as bad:
            raise No(bad.message, badurl(url)) from None
        try:
            source = await self._message(wanted)
        except Refused as refused:
            if isinstance(refused.verdict, Defer):
                raise
            # A hidden folder and a missing one have the same words, and those of a missing message.
            await self._session.have_looked(refused.verdict)
            words = _GONE if refused.verdict.reason is Reason.FOLDER_UNKNOWN else refusal(refused.verdict).text
            raise No(words, badurl(url)) from None
        found = None if source is None else section(source.octets, wanted.section, source.structure)
        if found is None:
            raise No(_GONE, badurl(url))
        if wanted.partial is None:
            return found
        first, count = wanted.partial
        return cut(found, (first, len(found) if count is None else count)) or b""

    async def _message(self, wanted: MessageUrl) -> _Source | None:
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
        size = rows[0].size
        if not wanted.section.path and wanted.section.text is None and wanted.partial is None and size > self._room:
            raise No("the messages are too big together", TOOBIG)
        self._readable -= size
        if self._readable < 0:
            raise No("the URLs of one command may not mean so many large messages", LIMIT)
        if size > IN_PLACE:
            octets = await folder.large(wanted.uid)
        else:
            octets = dict(await folder.octets(((wanted.uid, size),))).get(wanted.uid)
        if octets is None:
            return None
        self._source = _Source(key, octets, partial(folder.structure, wanted.uid))
        return self._source
