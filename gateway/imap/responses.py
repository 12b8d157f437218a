"""How is what the server says spelled on the wire?"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from gateway.imap.names import SEPARATOR, encode_utf7

_ATOM = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\\]]+\Z")
_ASTRING = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+\Z")
_QUOTABLE = re.compile(rb"[^\x00\r\n\x80-\xff]*\Z")
_QUOTABLE_UTF8 = re.compile(rb"[^\x00\r\n]*\Z")
_ESCAPE = re.compile(rb"([\"\\])")
_UNSAFE = re.compile(rb"[\x00-\x1f\x7f-\xff]+")
_NO_URL = re.compile(rb"[^\x21-\x5c\x5e-\x7e]")
_NIL: Final = b"NIL"
# A longer quoted string would burst the line buffers of old clients; as a literal it is announced.
MAX_QUOTED = 1000
MAX_TEXT = 900
# RFC 7162 section 4: lines of up to 8,192 octets are what clients are sure to take; a run has at most 22.
MAX_RUNS = 360


class Response(Protocol):
    """Something the server says. An extension brings a class of its own."""

    def spell(self, *, utf8: bool = False) -> bytes:
        """The octets, CRLF included. `utf8`: the client enabled UTF8=ACCEPT or IMAP4rev2, names are in UTF-8."""
        ...


def spell_string(octets: bytes, *, utf8: bool = False) -> bytes:
    """`string`: quoted where that is possible, else a literal (RFC 3501 section 4.3). No NUL can be spelled: it becomes `?`."""
    if len(octets) <= MAX_QUOTED and (_QUOTABLE_UTF8 if utf8 else _QUOTABLE).match(octets):
        if b'"' in octets or b"\\" in octets:
            octets = _ESCAPE.sub(rb"\\\1", octets)
        return b'"%b"' % octets
    return spell_literal(octets.replace(b"\0", b"?"))


def spell_astring(octets: bytes, *, utf8: bool = False) -> bytes:
    """`astring`: an atom where that is possible. NIL is quoted, since some clients take it for the absence of a string."""
    if _ASTRING.match(octets) and len(octets) <= MAX_QUOTED and octets.upper() != _NIL:
        return octets
    return spell_string(octets, utf8=utf8)


def spell_nstring(octets: bytes | None) -> bytes:
    """`nstring`: NIL for None."""
    return _NIL if octets is None else spell_string(octets)


def spell_literal(octets: bytes) -> bytes:
    """`literal`, for octets that have no NUL or that the client asked for as they are stored."""
    return b"{%d}\r\n%b" % (len(octets), octets)


def spell_binary(octets: bytes) -> bytes:
    """`nstring / literal8`: a literal8 only where there is a NUL, so that clients need not look for one (RFC 3516 section 4.3)."""
    return (b"~{%d}\r\n%b" if b"\0" in octets else b"{%d}\r\n%b") % (len(octets), octets)


def spell_mailbox(name: str, *, utf8: bool = False) -> bytes:
    """`mailbox`: always quoted where possible, as every server clients know does it; modified UTF-7 unless `utf8`."""
    return spell_string(name.encode("utf-8") if utf8 else encode_utf7(name), utf8=utf8)


def spell_text(text: str) -> bytes:
    """`text = 1*TEXT-CHAR`: never a line end or control, never empty, ASCII only, bounded."""
    octets = _UNSAFE.sub(b"?", text.encode("ascii", "replace"))[:MAX_TEXT]
    # RFC 3501: text that begins with [ would be read as a response code.
    return octets.lstrip(b"[ ") or b"-"


def spell_list(items: Iterable[bytes]) -> bytes:
    """`"(" [item *(SP item)] ")"`"""
    return b"(" + b" ".join(items) + b")"


def spell_set(numbers: Sequence[int]) -> bytes:
    """`sequence-set` / `uid-set` of numbers in any order, kept in that order; neighbours become ranges. Not empty."""
    pieces: list[bytes] = []
    first = last = numbers[0]
    for number in numbers[1:]:
        if number == last + 1:
            last = number
            continue
        pieces.append(b"%d" % first if first == last else b"%d:%d" % (first, last))
        first = last = number
    pieces.append(b"%d" % first if first == last else b"%d:%d" % (first, last))
    return b",".join(pieces)


class Condition(Enum):
    """The status of RFC 3501 section 7.1."""

    OK = b"OK"
    NO = b"NO"
    BAD = b"BAD"
    BYE = b"BYE"
    PREAUTH = b"PREAUTH"


@dataclass(frozen=True, slots=True)
class Code:
    """A response code: its name, and what stands behind it, already spelled."""

    name: bytes
    argument: bytes | None = None

    def spell(self) -> bytes:
        """With brackets."""
        return b"[%b]" % self.name if self.argument is None else b"[%b %b]" % (self.name, self.argument)


# RFC 3501 section 7.1.
READ_ONLY: Final = Code(b"READ-ONLY")
ALERT: Final = Code(b"ALERT")
READ_WRITE: Final = Code(b"READ-WRITE")
TRYCREATE: Final = Code(b"TRYCREATE")
# RFC 5530 section 3.
UNAVAILABLE: Final = Code(b"UNAVAILABLE")
PRIVACYREQUIRED: Final = Code(b"PRIVACYREQUIRED")
NOPERM: Final = Code(b"NOPERM")
EXPUNGEISSUED: Final = Code(b"EXPUNGEISSUED")
SERVERBUG: Final = Code(b"SERVERBUG")
CANNOT: Final = Code(b"CANNOT")
LIMIT: Final = Code(b"LIMIT")
NONEXISTENT: Final = Code(b"NONEXISTENT")
# RFC 3691 and RFC 7162 (CLOSED), RFC 4315 (UIDNOTSTICKY), RFC 7889 and RFC 4469 (TOOBIG).
CLOSED: Final = Code(b"CLOSED")
UIDNOTSTICKY: Final = Code(b"UIDNOTSTICKY")
TOOBIG: Final = Code(b"TOOBIG")
# RFC 5465 section 5.8.
NOTIFICATIONOVERFLOW: Final = Code(b"NOTIFICATIONOVERFLOW")
# RFC 9586 section 3.
UIDREQUIRED: Final = Code(b"UIDREQUIRED")
# RFC 3516 section 4.3.
UNKNOWN_CTE: Final = Code(b"UNKNOWN-CTE")
# RFC 4978 section 3.
COMPRESSIONACTIVE: Final = Code(b"COMPRESSIONACTIVE")
# RFC 9051 section 7.1.
HASCHILDREN: Final = Code(b"HASCHILDREN")


def badurl(url: bytes) -> Code:
    """`"BADURL" SP url-resp-text` (RFC 4469 section 5): the URL as sent, but for octets that no URL has, which are spelled as URLs
    spell them. It may not be empty."""
    return Code(b"BADURL", _NO_URL.sub(lambda octet: b"%%%02X" % octet[0][0], url) or b'""')


def badcharset(charsets: Iterable[bytes]) -> Code:
    """`"BADCHARSET" [SP "(" astring *(SP astring) ")" ]`"""
    return Code(b"BADCHARSET", spell_list(map(spell_astring, charsets)))


def capability_code(names: Iterable[bytes]) -> Code:
    """`capability-data` in the greeting and the tagged OK of a login (clients.md 5)."""
    return Code(b"CAPABILITY", b" ".join(names))


def permanentflags(flags: Iterable[bytes]) -> Code:
    """`"PERMANENTFLAGS" SP "(" [flag-perm *(SP flag-perm)] ")"`; `\\*` among them where keywords may be made."""
    return Code(b"PERMANENTFLAGS", spell_list(flags))


def uidnext(uid: int) -> Code:
    """`"UIDNEXT" SP nz-number`"""
    return Code(b"UIDNEXT", b"%d" % uid)


def uidvalidity(number: int) -> Code:
    """`"UIDVALIDITY" SP nz-number`"""
    return Code(b"UIDVALIDITY", b"%d" % number)


def unseen(number: int) -> Code:
    """`"UNSEEN" SP nz-number`: the message number of the first one without \\Seen."""
    return Code(b"UNSEEN", b"%d" % number)


def appenduid(validity: int, uids: Sequence[int]) -> Code:
    """`"APPENDUID" SP nz-number SP append-uid` (RFC 4315 section 4)"""
    return Code(b"APPENDUID", b"%d %b" % (validity, spell_set(uids)))


def copyuid(validity: int, source: Sequence[int], target: Sequence[int]) -> Code:
    """`"COPYUID" SP nz-number SP uid-set SP uid-set` (RFC 4315 section 4): UIDs in the source, and as many in the target."""
    return Code(b"COPYUID", b"%d %b %b" % (validity, spell_set(source), spell_set(target)))


def highestmodseq(modseq: int) -> Code:
    """`"HIGHESTMODSEQ" SP mod-sequence-value` (RFC 7162 section 3.1.2)"""
    return Code(b"HIGHESTMODSEQ", b"%d" % modseq)


def messagelimit(limit: int, lowest: int | None = None) -> Code:
    """`"MESSAGELIMIT" SP message-limit [SP uniqueid]` (RFC 9738 section 5): the lowest UID that was worked on."""
    return Code(b"MESSAGELIMIT", b"%d" % limit if lowest is None else b"%d %d" % (limit, lowest))


def badevent(events: Iterable[bytes]) -> Code:
    """`"BADEVENT" SP "(" event-name *(SP event-name) ")"`: all that can be told (RFC 5465 sections 3.1 and 8)."""
    return Code(b"BADEVENT", spell_list(events))


def inprogress(tag: bytes, done: int | None, goal: int | None) -> Code:
    """`"INPROGRESS" [SP "(" (quoted / nil) SP (number / nil) SP (nz-number / nil) ")"]` (RFC 9585 section 4): of the command with
    this tag so much is done, always less than the goal. A tag with a bracket would end the code too early.
    """
    name = _NIL if b"]" in tag else spell_string(tag)
    if done is None:
        return Code(b"INPROGRESS", b"(%b NIL NIL)" % name)
    if goal is None:
        return Code(b"INPROGRESS", b"(%b %d NIL)" % (name, done))
    return Code(b"INPROGRESS", b"(%b %d %d)" % (name, min(done, max(goal, 1) - 1), max(goal, 1)))


def mailboxid(mailbox: bytes) -> Code:
    """`"MAILBOXID" SP "(" objectid ")"` (RFC 8474 section 4), the id with its parentheses."""
    return Code(b"MAILBOXID", mailbox)


def noupdate(tag: bytes) -> Code:
    """`"NOUPDATE" SP quoted` (RFC 5267 section 5): the tag of the search that is not followed."""
    return Code(b"NOUPDATE", spell_string(tag))


def modified(numbers: Sequence[int]) -> Code:
    """`"MODIFIED" SP sequence-set` (RFC 7162 section 3.1.3): what changed since UNCHANGEDSINCE, by UID where the command named UIDs."""
    return Code(b"MODIFIED", spell_set(numbers))


@dataclass(frozen=True, slots=True)
class Status:
    """`response-tagged`, or with no tag `resp-cond-state`, `resp-cond-bye`, greeting."""

    condition: Condition
    text: str
    code: Code | None = None
    tag: bytes | None = None

    def spell(self, *, utf8: bool = False) -> bytes:
        """`(tag / "*") SP ("OK" / "NO" / "BAD" / "BYE" / "PREAUTH") SP ["[" resp-text-code "]" SP] text CRLF`"""
        code = b"" if self.code is None else self.code.spell() + b" "
        return b"%b %b %b%b\r\n" % (self.tag or b"*", self.condition.value, code, spell_text(self.text))


@dataclass(frozen=True, slots=True)
class Continuation:
    """`continue-req = "+" SP (resp-text / base64) CRLF`; an empty text keeps its space (clients.md 2)."""

    text: bytes = b""

    def spell(self, *, utf8: bool = False) -> bytes:
        """The text has to be one line: base64, or words of ours."""
        return b"+ %b\r\n" % _UNSAFE.sub(b"?", self.text)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`capability-data = "CAPABILITY" *(SP capability) SP "IMAP4rev1" *(SP capability)`"""

    names: tuple[bytes, ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* CAPABILITY ...`"""
        return b"* CAPABILITY %b\r\n" % b" ".join(self.names)


@dataclass(frozen=True, slots=True)
class Enabled:
    """`enable-data = "ENABLED" *(SP capability)` (RFC 5161 section 4)"""

    names: tuple[bytes, ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* ENABLED ...`"""
        return b" ".join((b"* ENABLED", *self.names)) + b"\r\n"


@dataclass(frozen=True, slots=True)
class Extended:
    """`mbox-list-extended-item = mbox-list-extended-item-tag SP tagged-ext-val` (RFC 5258): CHILDINFO, OLDNAME, ...; the value is
    already spelled.
    """

    tag: bytes
    value: bytes


def childinfo(options: Iterable[bytes]) -> Extended:
    """`childinfo-extended-item = "CHILDINFO" SP "(" list-select-base-opt-quoted *(SP ...) ")"` (RFC 5258 section 6)"""
    return Extended(b'"CHILDINFO"', spell_list(b'"%b"' % option for option in options))


def oldname(mailbox: str, *, utf8: bool = True) -> Extended:
    """`oldname-extended-item = "OLDNAME" SP "(" mailbox ")"` (RFC 5465 section 8, RFC 9051 section 6.3.9.7); who enabled IMAP4rev2 has
    enabled UTF-8 with it.
    """
    return Extended(b'"OLDNAME"', b"(%b)" % spell_mailbox(mailbox, utf8=utf8))


@dataclass(frozen=True, slots=True)
class Listed:
    """`"LIST" SP mailbox-list`; attributes with their backslash (`\\Noselect`, `\\HasChildren`, `\\Sent`)."""

    attributes: tuple[bytes, ...]
    mailbox: str
    extended: tuple[Extended, ...] = ()
    separator: str | None = SEPARATOR
    lsub: bool = False

    def spell(self, *, utf8: bool = False) -> bytes:
        """`"(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox [SP mbox-list-extended]`"""
        separator = (
            _NIL if self.separator is None else b'"/"' if self.separator == SEPARATOR else spell_string(self.separator.encode("ascii"))
        )
        more = b" " + spell_list(b"%b %b" % (item.tag, item.value) for item in self.extended) if self.extended else b""
        name = b"LSUB" if self.lsub else b"LIST"
        return b"* %b (%b) %b %b%b\r\n" % (name, b" ".join(self.attributes), separator, spell_mailbox(self.mailbox, utf8=utf8), more)


def status_of(mailbox: str, utf8: bool) -> bytes:
    """`* STATUS ...` up to before the figures."""
    return b"* STATUS %b " % spell_mailbox(mailbox, utf8=utf8)


@dataclass(frozen=True, slots=True)
class StatusOf:
    """`"STATUS" SP mailbox SP "(" [status-att-list] ")"`: items and figures, or what else an extension's item has, spelled."""

    mailbox: str
    items: tuple[tuple[bytes, int | bytes], ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* STATUS ...`"""
        items = spell_list(b"%b %b" % (name, value if isinstance(value, bytes) else b"%d" % value) for name, value in self.items)
        return b"* STATUS %b %b\r\n" % (spell_mailbox(self.mailbox, utf8=utf8), items)


@dataclass(frozen=True, slots=True)
class Found:
    """`"SEARCH" *(SP nz-number)`: message numbers or UIDs. `modseq`: the highest of them (RFC 7162 section 3.1.5)."""

    numbers: Sequence[int]
    modseq: int | None = None

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* SEARCH ...`"""
        more = b"" if self.modseq is None or not self.numbers else b" (MODSEQ %d)" % self.modseq
        # One conversion for all numbers.
        numbers = (b" %d" * len(self.numbers)) % tuple(self.numbers)
        return b"* SEARCH%b%b\r\n" % (numbers, more)


@dataclass(frozen=True, slots=True)
class FoundExtended:
    """`esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)` (RFC 4466 section 2.6.2, RFC 4731).

    `data`: names and what they have, spelled, in order; build it with `search_data`. `mailbox`: whose they are, with its UIDVALIDITY,
    in answer to ESEARCH (RFC 7377 section 2.1).
    """

    tag: bytes | None
    by_uid: bool
    data: tuple[tuple[bytes, bytes], ...]
    mailbox: tuple[str, int] | None = None

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* ESEARCH ...`"""
        pieces = [b"* ESEARCH"]
        correlators = [] if self.tag is None else [b"TAG %b" % spell_string(self.tag)]
        if self.mailbox is not None:
            name, validity = self.mailbox
            correlators.append(b"MAILBOX %b UIDVALIDITY %d" % (spell_mailbox(name, utf8=utf8), validity))
        if correlators:
            pieces.append(spell_list(correlators))
        if self.by_uid:
            pieces.append(b"UID")
        pieces.extend(b"%b %b" % item for item in self.data)
        return b" ".join(pieces) + b"\r\n"


def search_data(numbers: Sequence[int], options: Iterable[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    """What MIN, MAX, ALL, COUNT make of ascending numbers: nothing but COUNT when there are none (RFC 4731 section 3.1)."""
    wanted = frozenset(options)
    found: list[tuple[bytes, bytes]] = []
    if numbers:
        if b"MIN" in wanted:
            found.append((b"MIN", b"%d" % numbers[0]))
        if b"MAX" in wanted:
            found.append((b"MAX", b"%d" % numbers[-1]))
        if b"ALL" in wanted:
            found.append((b"ALL", spell_set(numbers)))
    if b"COUNT" in wanted:
        found.append((b"COUNT", b"%d" % len(numbers)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Flags:
    """`"FLAGS" SP flag-list`: what the folder knows."""

    flags: tuple[bytes, ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* FLAGS (...)`"""
        return b"* FLAGS %b\r\n" % spell_list(self.flags)


@dataclass(frozen=True, slots=True)
class Exists:
    """`number SP "EXISTS"`"""

    count: int

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* n EXISTS`"""
        return b"* %d EXISTS\r\n" % self.count


@dataclass(frozen=True, slots=True)
class Recent:
    """`number SP "RECENT"`"""

    count: int

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* n RECENT`"""
        return b"* %d RECENT\r\n" % self.count


@dataclass(frozen=True, slots=True)
class Expunged:
    """`nz-number SP "EXPUNGE"`, one after the other: each number is right when those before it are gone. Not empty."""

    numbers: tuple[int, ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* n EXPUNGE ...`"""
        return b"".join([b"* %d EXPUNGE\r\n" % number for number in self.numbers])


def expunged(numbers: Sequence[int]) -> list[Expunged]:
    """As many responses as leave time for others between them."""
    return [Expunged(tuple(numbers[at : at + MAX_RUNS])) for at in range(0, len(numbers), MAX_RUNS)]


@dataclass(frozen=True, slots=True)
class Vanished:
    """`expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids` (RFC 7162 section 7): runs of UIDs, both ends included; not empty.

    `earlier`: gone before the client was told of the folder, so that no message number moves.
    """

    runs: tuple[tuple[int, int], ...]
    earlier: bool = False

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* VANISHED ...`"""
        runs = b",".join([b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in self.runs])
        return b"* VANISHED %b%b\r\n" % (b"(EARLIER) " if self.earlier else b"", runs)


def vanished(runs: Sequence[tuple[int, int]], *, earlier: bool = False) -> list[Vanished]:
    """As many responses as lines of a bearable length need; none for no runs."""
    return [Vanished(tuple(runs[at : at + MAX_RUNS]), earlier) for at in range(0, len(runs), MAX_RUNS)]


@dataclass(frozen=True, slots=True)
class FetchData:
    """`nz-number SP "FETCH" SP msg-att`: items already spelled, `FLAGS (\\Seen)`, `BODY[] {5}...`."""

    number: int
    items: tuple[bytes, ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* n FETCH (...)`"""
        return b"* %d FETCH (%b)\r\n" % (self.number, b" ".join(self.items))


@dataclass(frozen=True, slots=True)
class UidFetchData:
    """`uidfetch-resp = uniqueid SP "UIDFETCH" SP msg-att` (RFC 9586 section 4): what FetchData is once UIDONLY is on."""

    uid: int
    items: tuple[bytes, ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* uid UIDFETCH (...)`"""
        return b"* %d UIDFETCH (%b)\r\n" % (self.uid, b" ".join(self.items))


@dataclass(frozen=True, slots=True)
class Namespaces:
    """`namespace-response = "NAMESPACE" SP personal SP other users SP shared` (RFC 2342 section 6): prefixes with their separator;
    empty means NIL.
    """

    personal: tuple[tuple[str, str], ...]
    others: tuple[tuple[str, str], ...]
    shared: tuple[tuple[str, str], ...] = ()

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL`"""

        def group(prefixes: tuple[tuple[str, str], ...]) -> bytes:
            pairs = [b"(%b %b)" % (spell_mailbox(prefix, utf8=utf8), spell_string(mark.encode("ascii"))) for prefix, mark in prefixes]
            return b"(%b)" % b"".join(pairs) if pairs else _NIL

        return b"* NAMESPACE %b %b %b\r\n" % (group(self.personal), group(self.others), group(self.shared))


@dataclass(frozen=True, slots=True)
class Identification:
    """`id-response = "ID" SP id-params-list` (RFC 2971 section 4)"""

    fields: tuple[tuple[str, str | None], ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* ID ("name" "procura")`"""
        if not self.fields:
            return b"* ID NIL\r\n"
        pairs = (
            b"%b %b" % (spell_string(name.encode("utf-8")), spell_nstring(None if value is None else value.encode("utf-8")))
            for name, value in self.fields
        )
        return b"* ID %b\r\n" % spell_list(pairs)


@dataclass(frozen=True, slots=True)
class Acl:
    """`acl-data = "ACL" SP mailbox *(SP identifier SP rights)` (RFC 4314 section 6)"""

    mailbox: str
    entries: tuple[tuple[str, str], ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* ACL ...`"""
        pieces = [b"* ACL", spell_mailbox(self.mailbox, utf8=utf8)]
        for identifier, rights in self.entries:
            pieces.append(spell_astring(identifier.encode("utf-8"), utf8=utf8))
            pieces.append(spell_astring(rights.encode("ascii")))
        return b" ".join(pieces) + b"\r\n"


@dataclass(frozen=True, slots=True)
class RightsList:
    """`listrights-data = "LISTRIGHTS" SP mailbox SP identifier SP rights *(SP rights)`: what the identifier always has, then what
    can be given, rights that go together in one string.
    """

    mailbox: str
    identifier: str
    always: str
    optional: tuple[str, ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* LISTRIGHTS ...`"""
        pieces = [b"* LISTRIGHTS", spell_mailbox(self.mailbox, utf8=utf8), spell_astring(self.identifier.encode("utf-8"), utf8=utf8)]
        pieces.extend(spell_astring(rights.encode("ascii")) for rights in (self.always, *self.optional))
        return b" ".join(pieces) + b"\r\n"


@dataclass(frozen=True, slots=True)
class OwnRights:
    """`myrights-data = "MYRIGHTS" SP mailbox SP rights`"""

    mailbox: str
    rights: str

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* MYRIGHTS ...`"""
        return b"* MYRIGHTS %b %b\r\n" % (spell_mailbox(self.mailbox, utf8=utf8), spell_astring(self.rights.encode("ascii")))
