"""Which addresses a received address field shows: the lenient reading for ENVELOPE, which never refuses.

Nothing here decides who may do what; that reading is originators.py, which is strict.
"""

import re
from typing import Final, NamedTuple

from gateway.message.lexis import comment_end, unquoted

# An ENVELOPE with more is of no use to a client; 10,000 recipients are 300 KB of header.
MAX_ADDRESSES: Final = 10_000


class Mailbox(NamedTuple):
    """One address as ENVELOPE shows it (RFC 3501 7.4.2); None where the part is missing."""

    display: bytes | None
    route: bytes | None
    local: bytes | None
    domain: bytes | None


class GroupStart(NamedTuple):
    """`name:` (RFC 5322 3.4)."""

    name: bytes


class GroupEnd(NamedTuple):
    """The `;` that ends a group."""


Entry = Mailbox | GroupStart | GroupEnd

_COMMON = re.compile(
    rb"[ \t\r\n]*+(?:\"([^\"\\\r\n]*+)\"[ \t\r\n]*+<|((?:[^\x00-\x20()<>@,;:\\\"\[\]]++[ \t]?)*+)(?:\r?\n[ \t])?<|)"
    rb"([^\x00-\x20()<>@,;:\\\"\[\]]++)@([^\x00-\x20()<>@,;:\\\"\[\]]++)(>?)[ \t\r\n]*+(?:,|\Z)"
)
_TOKEN = re.compile(
    rb"([ \t\r\n]++)"
    rb"|\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)(?:\"|\\?\Z)"
    rb"|([^ \t\r\n()<>@,;:\\\"\[\]]++)"
    rb"|(\[[^\[\]\\]*+\])"
    rb"|(.)",
    re.DOTALL,
)
_BLANKS = re.compile(rb"[ \t\r\n]++")


def addresses(value: bytes, limit: int = MAX_ADDRESSES) -> tuple[Entry, ...]:
    """Read an address list (RFC 5322 3.4 with its obsolete forms) as far as it can be read; never raises.

    `value` may be folded. At most `limit` entries; a group that does not close is closed at the end.
    """
    found: list[Entry] = []
    position = 0
    in_group = False
    size = len(value)
    while position < size and len(found) < limit:
        if not in_group:
            common = _COMMON.match(value, position)
            if common is not None:
                quoted, phrase, local, domain, closed = common.groups()
                if (quoted is not None or phrase is not None) == (closed == b">"):
                    found.append(Mailbox(_display(quoted, phrase), None, local, domain))
                    position = common.end()
                    continue
        element = _Element(value, position)
        position = element.end
        if element.opens_group:
            # Groups do not nest: the name of one inside another names nobody.
            if not in_group:
                found.append(GroupStart(element.phrase()))
                in_group = True
            continue
        mailbox = element.mailbox()
        if mailbox is not None:
            found.append(mailbox)
        if element.closes_group and in_group:
            found.append(GroupEnd())
            in_group = False
    if in_group:
        found.append(GroupEnd())
    return tuple(found)


def _display(quoted: bytes | None, phrase: bytes | None) -> bytes | None:
    if quoted is not None:
        return quoted
    return phrase.rstrip(b" \t") or None if phrase else None


class _Element:
    """One element of the list: from `position` to the comma, colon or semicolon that ends it."""

    __slots__ = ("adjacent", "angle", "at", "closes_group", "comment", "domain", "end", "opens_group", "words")

    def __init__(self, value: bytes, position: int) -> None:
        self.words: list[bytes] = []
        # For each word: does it touch the word before it (`a.b` in pieces), so that both are one local part?
        self.adjacent: list[bool] = []
        self.at = -1
        self.domain: list[bytes] = []
        self.angle: tuple[bytes | None, bytes | None, bytes | None] | None = None
        self.comment: bytes | None = None
        self.opens_group = False
        self.closes_group = False
        self.end = self._read(value, position)

    def _read(self, value: bytes, position: int) -> int:
        touching = False
        size = len(value)
        while position < size:
            match = _TOKEN.match(value, position)
            if match is None:
                return size
            start, position = position, match.end()
            kind = match.lastindex
            if kind == 1:
                touching = False
            elif kind in (2, 3, 4):
                text = unquoted(match[2]) if kind == 2 else match[kind]
                if self._continues_domain(text, touching):
                    self.domain.append(text)
                else:
                    self.words.append(text)
                    self.adjacent.append(touching)
                touching = True
            else:
                match match[0]:
                    case b"(":
                        end = comment_end(value, start)
                        position = size if end < 0 else end
                        self.comment = self.comment or value[start + 1 : position].removesuffix(b")")
                        # White space and comments may stand around the dots of an obsolete local part or domain.
                        touching = False
                    case b"<":
                        end = _angle_end(value, position)
                        if self.angle is None:
                            self.angle = _angle(value[position:end])
                        position = min(end + 1, size)
                        touching = False
                    case b"@" if self.angle is None and self.at < 0:
                        self.at = len(self.words)
                    case b",":
                        return position
                    case b":" if self.angle is None and self.at < 0:
                        self.opens_group = True
                        return position
                    case b";":
                        self.closes_group = True
                        return position
                    case _:
                        touching = False
        return size

    def _continues_domain(self, text: bytes, touching: bool) -> bool:
        if self.at < 0 or self.angle is not None:
            return False
        return not self.domain or touching or text[:1] == b"." or self.domain[-1][-1:] == b"."

    def phrase(self) -> bytes:
        return b" ".join(self.words)

    def mailbox(self) -> Mailbox | None:
        comment = None if self.comment is None else _BLANKS.sub(b" ", self.comment).strip() or None
        if self.angle is not None:
            route, local, domain = self.angle
            words = self.words
            if self.at >= 0:
                # `alice@example.org <bob@example.org>`: what stands before the angle is a name, whatever it looks like.
                words = [b" ".join(self.words[: self.at]) + b"@" + b"".join(self.domain), *self.words[self.at :]]
            return Mailbox(b" ".join(words) or comment, route, local, domain)
        if self.at >= 0:
            first = self.at - 1
            while first > 0 and (self.adjacent[first] or self.words[first][:1] == b"." or self.words[first - 1][-1:] == b"."):
                first -= 1
            first = max(first, 0)
            local = b"".join(self.words[first : self.at]) or None
            display = b" ".join([*self.words[:first], *self.words[self.at :]]) or comment
            return Mailbox(display, None, local, b"".join(self.domain) or None)
        if self.words:
            return Mailbox(comment, None, b" ".join(self.words), None)
        return None


def _angle_end(value: bytes, position: int) -> int:
    """The offset of the `>` that closes the angle whose content starts at `position` (or the end of the value)."""
    size = len(value)
    while position < size:
        match = _TOKEN.match(value, position)
        if match is None:
            return size
        if match[0] == b">":
            return position
        if match[0] == b"(":
            end = comment_end(value, position)
            position = size if end < 0 else end
            continue
        position = match.end()
    return size


def _angle(content: bytes) -> tuple[bytes | None, bytes | None, bytes | None]:
    """(route, local, domain) of what stands between `<` and `>`."""
    pieces: list[bytes] = []
    ats: list[int] = []
    colon = -1
    position = 0
    while position < len(content):
        match = _TOKEN.match(content, position)
        if match is None:
            break
        start, position = position, match.end()
        if match.lastindex == 1:
            continue
        if match[0] == b"(":
            end = comment_end(content, start)
            position = len(content) if end < 0 else end
            continue
        if match[0] == b"@":
            ats.append(len(pieces))
        elif match[0] == b":" and colon < 0 and ats and ats[0] == 0:
            colon = len(pieces)
            ats.clear()
        pieces.append(unquoted(match[2]) if match.lastindex == 2 else match[0])
    route = b"".join(pieces[:colon]) if colon >= 0 else None
    first = colon + 1
    if not ats:
        return route or None, b"".join(pieces[first:]) or None, None
    # The last `@` parts the domain from the local part, as in every MTA.
    at = ats[-1]
    return route or None, b"".join(pieces[first:at]) or None, b"".join(pieces[at + 1 :]) or None
