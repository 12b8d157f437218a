"""SEARCH and UID SEARCH: which messages does the client look for?"""

import datetime
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gateway.imap.grammar.cursor import BadCharset, Cursor, atom
from gateway.imap.grammar.dates import date
from gateway.imap.grammar.fetch import FETCH_ITEMS, FetchItem, fetch_att
from gateway.imap.grammar.flags import MAX_KEYWORD
from gateway.imap.grammar.numbers import HIGHEST_UID, SequenceSet, number64, nz_number, sequence_set
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.partial import option as partial_option
from gateway.imap.grammar.strings import astring, string

_WORD = re.compile(rb"[A-Za-z][A-Za-z0-9.-]{0,40}")
_ENTRY_TYPE = re.compile(rb"(?i:priv|shared|all)(?= )")
_OBJECT_ID = re.compile(rb"[A-Za-z0-9_-]{1,255}(?![A-Za-z0-9_-])")
_SET_BEGINS = frozenset(b"0123456789*$")
_FIELD = re.compile(rb"[\x21-\x39\x3b-\x7e]{1,998}\Z")
# Deep enough for clients that write a long "or" as OR a OR b OR c ...; far from Python's own limit for who walks the tree.
MAX_DEPTH = 50
MAX_KEYS = 1000
MAX_ATTRIBUTES = 64

CHARSETS: Mapping[bytes, str] = MappingProxyType(
    {
        b"US-ASCII": "utf-8",  # ASCII is UTF-8; who says ASCII and sends more, means this
        b"ASCII": "utf-8",
        b"UTF-8": "utf-8",
        b"UTF8": "utf-8",
        b"ISO-8859-1": "iso-8859-1",
        b"ISO-8859-15": "iso-8859-15",
        b"WINDOWS-1252": "cp1252",
    }
)
"""Spelling in upper case to Python's name."""


@dataclass(frozen=True, slots=True)
class SearchKey:
    """A condition on a message."""


@dataclass(frozen=True, slots=True)
class Everything(SearchKey):
    """ALL"""


@dataclass(frozen=True, slots=True)
class HasFlag(SearchKey):
    """The message has, or has not, this flag: system flags in the RFC's spelling (`\\Recent` among them), keywords as sent."""

    flag: bytes
    present: bool


@dataclass(frozen=True, slots=True)
class Contains(SearchKey):
    """The text is in this place: BCC, BODY, CC, FROM, SUBJECT, TEXT, TO. An empty text is in every message that has the place."""

    place: bytes
    text: str


@dataclass(frozen=True, slots=True)
class HeaderContains(SearchKey):
    """The header field (upper case) has this text; with an empty text: the field is there."""

    field: bytes
    text: str


@dataclass(frozen=True, slots=True)
class Dated(SearchKey):
    """BEFORE, ON, SINCE (internal date), SENTBEFORE, SENTON, SENTSINCE (Date field), SAVEDBEFORE, SAVEDON, SAVEDSINCE (when it came
    into the folder); time and zone disregarded.
    """

    relation: bytes
    date: datetime.date


@dataclass(frozen=True, slots=True)
class Sized(SearchKey):
    """LARGER or SMALLER than so many octets."""

    relation: bytes
    octets: int


@dataclass(frozen=True, slots=True)
class Aged(SearchKey):
    """YOUNGER: its internal date is within so many seconds before now; OLDER: it is not."""

    relation: bytes
    seconds: int


@dataclass(frozen=True, slots=True)
class HasObjectId(SearchKey):
    """EMAILID or THREADID is this one."""

    kind: bytes
    object_id: bytes


@dataclass(frozen=True, slots=True)
class ModseqAtLeast(SearchKey):
    """The message's mod-sequence is this or higher."""

    modseq: int


@dataclass(frozen=True, slots=True)
class Among(SearchKey):
    """The message is one of these."""

    messages: SequenceSet
    by_uid: bool


@dataclass(frozen=True, slots=True)
class Not(SearchKey):
    """The key is not true."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class Or(SearchKey):
    """One of the two is true."""

    first: SearchKey
    second: SearchKey


@dataclass(frozen=True, slots=True)
class And(SearchKey):
    """All are true; at least two."""

    keys: tuple[SearchKey, ...]


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for. `returning` is None for a plain SEARCH, else the options of ESEARCH (`RETURN ()` is ALL)."""

    key: SearchKey
    by_uid: bool
    returning: tuple[Parameter, ...] | None = None

    def returns(self, option: bytes) -> bool:
        """Is this return option wanted?"""
        return self.returning is not None and any(given.name == option for given in self.returning)


@dataclass(frozen=True, slots=True)
class Update(Parameter):
    """UPDATE, and what is to be fetched of new messages that match (RFC 5465 section 7)."""

    attributes: tuple[FetchItem, ...] = ()


SearchKeys = Mapping[bytes, Callable[[Cursor, bytes, str], SearchKey]]
"""Name in upper case to the rule for what follows it (cursor behind the name, the name, Python's name of the charset)."""
SearchOptions = Mapping[bytes, Callable[[Cursor], bytes] | None]
"""Return option in upper case to the rule for its value, None where it has none."""

RETURN_OPTIONS: SearchOptions = MappingProxyType(
    {
        b"MIN": None,
        b"MAX": None,
        b"ALL": None,
        b"COUNT": None,
        b"SAVE": None,
        b"PARTIAL": partial_option,
        b"CONTEXT": None,
        b"UPDATE": None,
    }
)
"""RFC 4731 section 3.1, RFC 5182 section 2.1, RFC 9394 section 3.1, RFC 5267 section 4. An extension adds a row."""


def search(c: Cursor, *, by_uid: bool, keys: SearchKeys | None = None, options: SearchOptions = RETURN_OPTIONS) -> Search:
    """`search = "SEARCH" [search-return-opts] SP search-program`,
    `search-program = ["CHARSET" SP astring SP] search-key *(SP search-key)`,
    `search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"` (RFC 3501, RFC 4466 section 2.6).

    Raises BadSyntax, BadCharset for a charset that is not known.
    """
    c.sp()
    returning: tuple[Parameter, ...] | None = None
    if _skip_word(c, b"RETURN"):
        c.sp()
        returning = _search_return_opts(c, options)
        c.sp()
    charset = "utf-8"
    if _skip_word(c, b"CHARSET"):
        if c.charset_is_utf8:
            c.fail("expected no CHARSET after ENABLE UTF8=ACCEPT (RFC 6855 section 3), before this place")
        c.sp()
        try:
            charset = charset_name(c)
        except BadCharset as error:
            error.saves = returning is not None and any(option.name == b"SAVE" for option in returning)
            raise
        c.sp()
    return Search(search_keys(c, charset, keys), by_uid, returning)


def returning(c: Cursor, options: SearchOptions = RETURN_OPTIONS) -> tuple[Parameter, ...] | None:
    """`["RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" SP]`, as SORT has it too (RFC 5267 section 3)."""
    if not _skip_word(c, b"RETURN"):
        return None
    c.sp()
    found = _search_return_opts(c, options)
    c.sp()
    return found


def _skip_word(c: Cursor, word: bytes) -> bool:
    start = c.position
    if (c.match(_WORD) or b"").upper() == word:
        return True
    c.position = start
    return False


def _search_return_opts(c: Cursor, options: SearchOptions) -> tuple[Parameter, ...]:
    c.need(b"(", "return options")
    found: dict[bytes, Parameter] = {}
    read = 0
    while not c.skip(b")"):
        if read:
            c.sp()
        read += 1
        name = atom(c, "a return option").upper()
        if name not in options or name in found:
            c.fail("expected a return option that this server has, each once, before this place")
        rule = options[name]
        if name == b"UPDATE":
            found[name] = _update(c)
            continue
        found[name] = Parameter(name, None if rule is None else rule(c))
    if b"PARTIAL" in found and b"ALL" in found:
        c.fail("expected PARTIAL or ALL, not both")
    return tuple(found.values()) or (Parameter(b"ALL"),)


def _update(c: Cursor) -> Update:
    """`modifier-update = "UPDATE" ["(" fetch-att *(SP fetch-att) ")"]` (RFC 5465 section 8), with the space that its examples have."""
    if not c.skip(b" (") and not c.skip(b"("):
        return Update(b"UPDATE")
    found: dict[FetchItem, None] = {}
    while True:
        found[fetch_att(c, FETCH_ITEMS)] = None
        if c.skip(b")"):
            return Update(b"UPDATE", None, tuple(found))
        if len(found) == MAX_ATTRIBUTES:
            c.fail(f"expected at most {MAX_ATTRIBUTES} things to fetch")
        c.sp()


def charset_name(c: Cursor) -> str:
    """`charset = atom / quoted`: Python's name of it. Raises BadCharset for one that is not known.

    After ENABLE UTF8=ACCEPT any but UTF-8 contradicts what was enabled: BAD (RFC 6855, erratum 4029, of SORT and THREAD).
    """
    found = CHARSETS.get(astring(c, "a charset").upper())
    if c.charset_is_utf8 and found != "utf-8":
        c.fail("expected UTF-8 as the charset before this place")
    if found is None:
        raise BadCharset("that charset is not known here", c.tag)
    return found


class _Open:
    """A key that waits for others: `kind` is `(`, NOT, OR, or empty for the whole program."""

    __slots__ = ("keys", "kind")

    def __init__(self, kind: bytes) -> None:
        self.kind = kind
        self.keys: list[SearchKey] = []


def search_keys(c: Cursor, charset: str, keys: SearchKeys | None = None) -> SearchKey:
    """`search-key *(SP search-key)` to the end of the command, with
    `search-key = ... / "NOT" SP search-key / "OR" SP search-key SP search-key / sequence-set / "(" search-key *(SP search-key) ")"`.

    A stack of its own instead of Python's: depth and count are bounded.
    """
    known = SEARCH_KEYS if keys is None else keys
    opened = [_Open(b"")]
    read = 0
    while True:
        if read == MAX_KEYS:
            c.fail(f"expected at most {MAX_KEYS} search keys")
        read += 1
        found = _leaf_or_open(c, known, charset, opened)
        if found is None:
            continue
        while True:
            top = opened[-1]
            top.keys.append(found)
            if top.kind == b"NOT":
                found = Not(found)
            elif top.kind == b"OR" and len(top.keys) == 2:
                found = Or(top.keys[0], top.keys[1])
            elif top.kind == b"(" and c.skip(b")"):
                found = _all_of(top.keys)
            elif not top.kind and c.at_end():
                return _all_of(top.keys)
            else:
                c.sp()
                break
            opened.pop()


def _all_of(keys: list[SearchKey]) -> SearchKey:
    return keys[0] if len(keys) == 1 else And(tuple(keys))


def _leaf_or_open(c: Cursor, known: SearchKeys, charset: str, opened: list[_Open]) -> SearchKey | None:
    """The next key if it is whole, or None when one was opened that needs others."""
    following = c.peek()
    kind = b""
    if following == b"(":
        c.skip(b"(")
        kind = b"("
    elif following and following[0] in _SET_BEGINS:
        return Among(sequence_set(c), by_uid=False)
    else:
        name = c.expect(_WORD, "a search key").upper()
        if name not in (b"NOT", b"OR"):
            rule = known.get(name)
            if rule is None:
                c.fail("expected a search key that this server has before this place")
            return rule(c, name, charset)
        c.sp()
        kind = name
    if len(opened) > MAX_DEPTH:
        c.fail(f"expected search keys at most {MAX_DEPTH} deep within each other")
    opened.append(_Open(kind))
    return None


def everything(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"ALL"`; `"SAVEDATESUPPORTED"`, which holds in every folder (RFC 8514 section 4.3)"""
    return Everything()


def flag_key(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"ANSWERED" / "DELETED" / "DRAFT" / "FLAGGED" / "NEW" / "OLD" / "RECENT" / "SEEN" / "UNANSWERED" / ...`"""
    return _FLAG_KEYS[name]


def keyword(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"KEYWORD" SP flag-keyword / "UNKEYWORD" SP flag-keyword`"""
    c.sp()
    found = atom(c, "a keyword")
    if len(found) > MAX_KEYWORD:
        c.fail(f"expected a keyword of at most {MAX_KEYWORD} octets before this place")
    return HasFlag(found, name == b"KEYWORD")


def contains(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"BCC" SP astring / "BODY" SP astring / "CC" SP astring / "FROM" SP astring / "SUBJECT" SP astring / ...`"""
    c.sp()
    return Contains(name, _search_text(c, charset))


def header(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"HEADER" SP header-fld-name SP astring`"""
    c.sp()
    field = astring(c, "the name of a header field").upper()
    if not _FIELD.match(field):
        c.fail("expected the name of a header field before this place")
    c.sp()
    return HeaderContains(field, _search_text(c, charset))


def dated(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"BEFORE" SP date / "ON" SP date / "SINCE" SP date / "SENTBEFORE" SP date / "SENTON" SP date / "SENTSINCE" SP date`, and
    `"SAVEDBEFORE" SP date / "SAVEDON" SP date / "SAVEDSINCE" SP date` (RFC 8514 section 6)
    """
    c.sp()
    return Dated(name, date(c))


def aged(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"OLDER" SP nz-number / "YOUNGER" SP nz-number` (RFC 5032 section 3)"""
    c.sp()
    return Aged(name, nz_number(c))


def object_id(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"EMAILID" SP objectid / "THREADID" SP objectid` (RFC 8474 section 7)"""
    c.sp()
    return HasObjectId(name, c.expect(_OBJECT_ID, "the id of an object"))


def sized(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"LARGER" SP number64 / "SMALLER" SP number64` (RFC 9051)"""
    c.sp()
    return Sized(name, number64(c))


def uid(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"UID" SP sequence-set`"""
    c.sp()
    return Among(sequence_set(c), by_uid=True)


def beside(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`"UIDAFTER" SP uniqueid / "UIDBEFORE" SP uniqueid` (RFC 9738 section 3.2): above it and below it, the last message or not."""
    c.sp()
    one = nz_number(c)
    low, high = (one + 1, HIGHEST_UID) if name == b"UIDAFTER" else (1, one - 1)
    return Among(SequenceSet(((low, high),)), by_uid=True) if low <= high else Not(Everything())


def modseq_key(c: Cursor, name: bytes, charset: str) -> SearchKey:
    """`search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer`, `search-modseq-ext = SP entry-name SP entry-type-req`.

    One mod-sequence is kept for all flags of a message, so the entry is read and says nothing (section 3.1.5 lets it be ignored).
    """
    c.sp()
    if not c.peek().isdigit():
        if c.peek() == b'"' or c.at_literal():
            string(c, "the name of an entry")
        else:
            atom(c, "the name of an entry")
        c.sp()
        c.expect(_ENTRY_TYPE, "priv, shared or all")
        c.sp()
    return ModseqAtLeast(number64(c))


def _search_text(c: Cursor, charset: str) -> str:
    octets = astring(c, "a text to search for")
    try:
        return octets.decode(charset)
    except UnicodeDecodeError:
        c.fail("expected text in the charset that was named (UTF-8 if none was) before this place")


_FLAG_KEYS: Mapping[bytes, SearchKey] = MappingProxyType(
    {
        b"ANSWERED": HasFlag(b"\\Answered", True),
        b"DELETED": HasFlag(b"\\Deleted", True),
        b"DRAFT": HasFlag(b"\\Draft", True),
        b"FLAGGED": HasFlag(b"\\Flagged", True),
        b"SEEN": HasFlag(b"\\Seen", True),
        b"RECENT": HasFlag(b"\\Recent", True),
        b"UNANSWERED": HasFlag(b"\\Answered", False),
        b"UNDELETED": HasFlag(b"\\Deleted", False),
        b"UNDRAFT": HasFlag(b"\\Draft", False),
        b"UNFLAGGED": HasFlag(b"\\Flagged", False),
        b"UNSEEN": HasFlag(b"\\Seen", False),
        b"OLD": HasFlag(b"\\Recent", False),
        # RFC 3501 section 6.4.4: "functionally equivalent to (RECENT UNSEEN)".
        b"NEW": And((HasFlag(b"\\Recent", True), HasFlag(b"\\Seen", False))),
    }
)

SEARCH_KEYS: SearchKeys = MappingProxyType(
    {
        b"ALL": everything,
        **dict.fromkeys(_FLAG_KEYS, flag_key),
        **dict.fromkeys((b"KEYWORD", b"UNKEYWORD"), keyword),
        **dict.fromkeys((b"BCC", b"BODY", b"CC", b"FROM", b"SUBJECT", b"TEXT", b"TO"), contains),
        b"HEADER": header,
        **dict.fromkeys((b"BEFORE", b"ON", b"SINCE", b"SENTBEFORE", b"SENTON", b"SENTSINCE"), dated),
        **dict.fromkeys((b"LARGER", b"SMALLER"), sized),
        **dict.fromkeys((b"OLDER", b"YOUNGER"), aged),
        **dict.fromkeys((b"SAVEDBEFORE", b"SAVEDON", b"SAVEDSINCE"), dated),
        b"SAVEDATESUPPORTED": everything,
        **dict.fromkeys((b"EMAILID", b"THREADID"), object_id),
        b"UID": uid,
        **dict.fromkeys((b"UIDAFTER", b"UIDBEFORE"), beside),
        b"MODSEQ": modseq_key,
    }
)
"""What can be looked for, but for NOT, OR, parentheses and message numbers. An extension adds a row."""
