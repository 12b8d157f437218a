"""Everything that decides, as one text that people keep, compare and hand back: canonical TOML, read strictly and written in one way only.

A document is flat: a key for each fact. `("account", NAME)` says that there is one, `("account", NAME, FIELD)` what is said of it;
`("send", ON, TO, RIGHT)` and `("entry", OF, PATH, TO)` are grants, with what was granted, its times, its note, its review and its share
as their value; `("role", ACCOUNT, ROLE)` and `("freeze", OF, SIDE)` likewise.
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from policy.cos import BY_NAME, window
from policy.domain_limits import COS_MAX_ACCOUNTS, LIMITS, SEVERAL, cos_limit, meant, said
from policy.filters import parse as parse_filter
from policy.filters import spell as spell_filter
from policy.grantees import GranteeKind
from policy.grants import SendRight
from policy.lists import Joining, Moderation
from policy.people import FILTERABLE
from policy.rights import BadRights, Right, parse_letters, parse_rfc, spell_letters
from policy.roles import Role
from policy.status import AccountStatus, DomainStatus

Key = tuple[str, ...]
Value = str | tuple[str, ...]
Document = Mapping[Key, Value]

FORMAT: Final = 2
FORMATS: Final = (1, 2)
"""Those that are read: 1 knew no roles, marks, freezes, filters, limits of domains, reviews and shares, and says nothing of them."""
LARGEST: Final = 32 << 20
"""Characters of a document; some 100,000 accounts with what was granted to them."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BadDocument(ValueError):
    """The text is no such document, or cannot be what is to hold. `place`: where in it."""

    def __init__(self, place: str, words: str) -> None:
        super().__init__(f"{place}: {words}" if place else words)
        self.place = place
        self.words = words


# --- values


def _choice(some: type[StrEnum]) -> Callable[[Any], Value]:
    def read(value: Any) -> Value:
        if value not in list(some):
            raise ValueError("must be one of " + ", ".join(some))
        return str(value)

    return read


def _text(value: Any) -> Value:
    if not isinstance(value, str):
        raise TypeError("must be a text")
    return value


def _texts(value: Any) -> Value:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError("must be a list of texts")
    if len(set(value)) != len(value):
        raise ValueError(f"names {next(one for one in value if value.count(one) > 1)} twice")
    return tuple(sorted(value))


def _filter(value: Any) -> Value:
    if not isinstance(value, str) or not value:
        raise TypeError("must be a filter, as `procura prov createDynamicDistributionList` takes it")
    return spell_filter(parse_filter(value, FILTERABLE))


def _number(value: Any) -> Value:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise ValueError("must be a number from 1 on, as a text, or be left out")
    return value


_NUMBER: Final = re.compile(r"[1-9][0-9]{0,17}")


def _limit(name: str) -> Callable[[Any], Value]:
    def read(value: Any) -> Value:
        texts = _texts(value) if name in SEVERAL else value if isinstance(value, str) else None
        if texts is None:
            raise TypeError("must be a text, as `procura prov` takes it")
        return said(meant({name: texts})).get(name, "")

    return read


def _cos_limits(value: Any) -> Value:
    found = dict(map(cos_limit, _texts(value)))
    if len(found) < len(value):
        raise ValueError("names a class of service twice")
    return tuple(sorted(f"{name}:{most}" for name, most in found.items()))


def _truth(value: Any) -> Value:
    if value is not True:
        raise ValueError("must be true, or be left out")
    return "true"


def _service_value(name: str) -> Callable[[Any], Value]:
    attribute = BY_NAME[name.lower()]

    def read(value: Any) -> Value:
        if not isinstance(value, str):
            raise TypeError("must be a text, as `procura prov` takes it")
        attribute.parse(value)
        return value

    return read


_SERVICE: Final = {attribute.name: _service_value(attribute.name) for attribute in BY_NAME.values()}
_FIELDS: Final[Mapping[str, Mapping[str, Callable[[Any], Value]]]] = MappingProxyType(
    {
        "domain": {
            "status": _choice(DomainStatus),
            "cos": _text,
            "delimiter": _text,
            "aliases": _texts,
            "initialised": _truth,
            "maxAccounts": _number,
            COS_MAX_ACCOUNTS: _cos_limits,
            **{one.name: _limit(one.name) for one in LIMITS},
        },
        "cos": _SERVICE,
        "account": {
            "status": _choice(AccountStatus),
            "cos": _text,
            "administrator": _truth,
            "delegatedAdministrator": _truth,
            "aliases": _texts,
            **_SERVICE,
        },
        "list": {
            "aliases": _texts,
            "members": _texts,
            "owners": _texts,
            "filter": _filter,
            "postingRestricted": _truth,
            "moderation": _choice(Moderation),
            "subscriptionPolicy": _choice(Joining),
            "unsubscriptionPolicy": _choice(Joining),
        },
    }
)
FIXED: Final = frozenset({("domain", "aliases"), ("domain", "delimiter"), ("account", "aliases"), ("list", "aliases")})
"""What stands in the document because it decides, and is changed by its own commands only."""


def read_rights(text: str) -> Right:
    """What `spell_letters` wrote, `r[st]` too. Raises ValueError."""
    letters, bracket, rest = text.partition("[")
    if not bracket:
        return parse_letters(letters)
    if not rest.endswith("]"):
        raise BadRights(f"no rights: {text}")
    # `r[i]` is r and i of two entries, without CREATE: the brackets say exactly what goes beyond the letters.
    found = parse_letters(letters) if letters else Right.NONE
    return found | parse_rfc(rest[:-1])


def spell_time(microseconds: int | None) -> str:
    """UTC, to the microsecond where there are any; "" for none."""
    if microseconds is None:
        return ""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")


def read_time(text: str) -> int | None:
    """Microseconds since 1970 UTC. Raises ValueError."""
    if not text:
        return None
    read = datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError(f"the time {text} has no zone (write 2027-01-31T12:00:00Z)")
    return (read - _EPOCH) // timedelta(microseconds=1)


def split_grantee(to: str) -> tuple[GranteeKind, str]:
    """`group office@acme.test`, `all`. Raises ValueError."""
    kind, _, name = to.partition(" ")
    if kind not in list(GranteeKind) or (kind == GranteeKind.ALL) != (not name):
        raise ValueError(f"no grantee: {to} (account|group|domain|cos NAME, or all)")
    return GranteeKind(kind), name


# --- writing


def write(document: Document) -> str:
    """The one text of this document."""
    lines = [
        "# What decides in procura: see `procura policy --help`. Objects are made and removed by `procura prov`.",
        f"format = {FORMAT}",
    ]
    sections: dict[tuple[str, str], dict[str, Value]] = {}
    tables: list[tuple[Key, list[tuple[str, Value]]]] = []
    for key in sorted(document):
        value = document[key]
        if key[0] in _FIELDS:
            section = sections.setdefault((key[0], key[1]), {})
            if len(key) == 3:
                section[key[2]] = value
        else:
            tables.append((key, _table(key, value)))
    for (kind, name), fields in sections.items():
        lines += ["", f"[{kind}.{_string(name)}]", *(f"{field} = {_spell(field, value)}" for field, value in fields.items())]
    for key, rows in tables:
        lines += ["", f"[[{key[0]}]]", *(f"{field} = {_spell(field, value)}" for field, value in rows if value)]
    return "\n".join(lines) + "\n"


_SEND: Final = ("from", "until", "undoWindow", "note", "review", "share")
_ENTRY: Final = ("rights", "from", "until", "note", "review", "share")
_ROLE: Final = ("domain", "from", "until", "note")
TRUTHS: Final = frozenset({"administrator", "delegatedAdministrator", "initialised", "postingRestricted", "deny", "noInherit"})


def _table(key: Key, value: Value) -> list[tuple[str, Value]]:
    if key[0] == "send":
        return [*zip(("on", "to", "right"), key[1:], strict=True), ("deny", value[0]), *zip(_SEND, value[1:], strict=True)]
    if key[0] == "entry":
        return [*zip(("of", "path", "to"), key[1:], strict=True), *zip(_ENTRY, value, strict=True)]
    if key[0] == "role":
        return [*zip(("account", "role"), key[1:], strict=True), *zip(_ROLE, value, strict=True)]
    if key[0] == "freeze":
        return [*zip(("of", "side"), key[1:], strict=True), ("note", value[0])]
    return [("of", key[1]), ("path", key[2]), ("noInherit", value)]


def _spell(field: str, value: Value) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_string, value)) + "]"
    return "true" if field in TRUTHS else _string(value)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# --- reading


def read(text: str) -> Document:
    """Raises BadDocument, with the place."""
    return read_format(text)[0]


def read_format(text: str) -> tuple[Document, int]:
    """With the format in which it is written. Raises BadDocument."""
    if len(text) > LARGEST:
        raise BadDocument("", f"more than {LARGEST} characters")
    try:
        found = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadDocument("", f"this is no TOML: {error}") from None
    written = found.pop("format", None)
    if type(written) is not int or written not in FORMATS:
        raise BadDocument("format", f"must be {FORMAT} (or an older one: {', '.join(map(str, FORMATS[:-1]))})")
    document: dict[Key, Value] = {}
    places = _Places(text)
    for kind, body in found.items():
        if kind in _FIELDS:
            if not isinstance(body, dict):
                raise BadDocument(kind, "must be tables, [" + kind + '."NAME"]')
            for name, fields in body.items():
                _read_object(places, kind, name, fields, document)
        elif kind in _TABLES:
            if not isinstance(body, list):
                raise BadDocument(kind, f"must be tables, [[{kind}]]")
            for number, fields in enumerate(body):
                place = places.number(kind, number)
                key, value = _TABLES[kind](place, _Fields(place, fields))
                if key in document:
                    raise BadDocument(place, "says the same grant again: " + ", ".join(key[1:]))
                document[key] = value
        else:
            raise BadDocument(places.number(kind, 0), "unknown key: " + ", ".join(("format", *_FIELDS, *_TABLES)) + " are known")
    return document, written


_HEADER: Final = re.compile(r"^[ \t]*(\[\[?[^\n]*\])[ \t]*(?:#[^\n]*)?$", re.MULTILINE)


class _Places:
    """Where the tables of a text are: `line 12, account "dora@acme.test"`; no line where a header is written otherwise than by us."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines: dict[str, list[int]] = {}
        line, at = 1, 0
        for found in _HEADER.finditer(text):
            line, at = line + text.count("\n", at, found.start()), found.start()
            self._lines.setdefault(found[1], []).append(line)

    def of(self, kind: str, name: str) -> str:
        return self._said(f"[{kind}.{_string(name)}]", 0, f"{kind} {_string(name)}")

    def number(self, kind: str, number: int) -> str:
        return self._said(f"[[{kind}]]", number, f"{kind} number {number + 1}")

    def numbered(self, kind: str, key: Key) -> str:
        """Where this grant stands; only asked once something is wrong with it, since all of the text is read again."""
        try:
            body = tomllib.loads(self._text).get(kind, [])
            found = next(at for at, fields in enumerate(body) if _TABLES[kind]("", _Fields("", fields))[0] == key)
        except (tomllib.TOMLDecodeError, RecursionError, BadDocument, StopIteration, AttributeError):
            return f"{kind} {', '.join(key[1:])}"
        return f"{self.number(kind, found)} ({', '.join(key[1:])})"

    def _said(self, header: str, number: int, what: str) -> str:
        lines = self._lines.get(header, [])
        return f"line {lines[number]}, {what}" if number < len(lines) else what


def _read_object(places: _Places, kind: str, name: str, fields: Any, document: dict[Key, Value]) -> None:
    place = places.of(kind, name)
    if not isinstance(fields, dict):
        raise BadDocument(place, "must be a table")
    document[kind, name] = ""
    for field, value in fields.items():
        reader = _FIELDS[kind].get(field)
        if reader is None:
            raise BadDocument(place, f"unknown key {field}: " + ", ".join(sorted(_FIELDS[kind])) + " are known")
        try:
            read = reader(value)
        except (TypeError, ValueError) as error:
            raise BadDocument(f"{place}, {field}", str(error)) from None
        if read:
            document[kind, name, field] = read


class _Fields:
    """The keys of one table, each taken once."""

    def __init__(self, place: str, fields: Any) -> None:
        if not isinstance(fields, dict):
            raise BadDocument(place, "must be a table")
        self._place = place
        self._left = dict(fields)

    def text(self, name: str, check: Callable[[str], object] = str, *, needed: bool = False) -> str:
        value = self._left.pop(name, "")
        try:
            if not isinstance(value, str) or (needed and not value):
                raise ValueError("must be a text" if value or not needed else "is missing")
            if value:
                check(value)
        except (ValueError, OverflowError) as error:
            raise BadDocument(f"{self._place}, {name}", str(error)) from None
        return value

    def truth(self, name: str) -> str:
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            raise BadDocument(f"{self._place}, {name}", "must be true or false")
        return "true" if value else ""

    def time(self, name: str) -> str:
        return spell_time(read_time(self.text(name, read_time)))

    def times(self) -> tuple[str, str]:
        begins, ends = self.time("from"), self.time("until")
        if begins and ends and (read_time(ends) or 0) <= (read_time(begins) or 0):
            raise BadDocument(self._place, "would end before it starts")
        return begins, ends

    def end(self) -> None:
        if self._left:
            raise BadDocument(self._place, f"unknown key {next(iter(self._left))}")


def _read_send(_: str, fields: _Fields) -> tuple[Key, Value]:
    on, to = fields.text("on", needed=True), fields.text("to", split_grantee, needed=True)
    right = fields.text("right", SendRight, needed=True)
    deny, times = fields.truth("deny"), fields.times()
    value = (deny, *times, fields.text("undoWindow", window), fields.text("note"), fields.time("review"), fields.text("share", _number))
    fields.end()
    return ("send", on, to, right), value


def _read_entry(place: str, fields: _Fields) -> tuple[Key, Value]:
    of, path, to = fields.text("of", needed=True), fields.text("path", needed=True), fields.text("to", split_grantee, needed=True)
    rights = spell_letters(read_rights(fields.text("rights", read_rights, needed=True)))
    times, note, review, share = fields.times(), fields.text("note"), fields.time("review"), fields.text("share", _number)
    fields.end()
    if rights == "none" and any((*times, review)):
        raise BadDocument(place, "an explicit empty entry carries no time")
    return ("entry", of, path, to), (rights, *times, note, review, share)


def _read_folder(place: str, fields: _Fields) -> tuple[Key, Value]:
    of, path = fields.text("of", needed=True), fields.text("path", needed=True)
    if not fields.truth("noInherit"):
        raise BadDocument(place, "noInherit must be true, or the table be left out")
    fields.end()
    return ("folder", of, path), "true"


def _read_role(place: str, fields: _Fields) -> tuple[Key, Value]:
    account, role = fields.text("account", needed=True), fields.text("role", Role, needed=True)
    domain, times, note = fields.text("domain", needed=True), fields.times(), fields.text("note")
    fields.end()
    if role == Role.GLOBAL:
        raise BadDocument(f"{place}, role", "who manages everything is said of the account: administrator = true")
    return ("role", account, role), (domain, *times, note)


SIDES: Final = ("principal", "actor")
"""As what somebody is frozen: nobody sends in its name but itself; it sends in no other name."""


def _side(text: str) -> str:
    if text not in SIDES:
        raise ValueError("must be one of " + ", ".join(SIDES))
    return text


def _read_freeze(_: str, fields: _Fields) -> tuple[Key, Value]:
    of, side, note = fields.text("of", needed=True), fields.text("side", _side, needed=True), fields.text("note")
    fields.end()
    return ("freeze", of, side), (note,)


_TABLES: Final = {"send": _read_send, "entry": _read_entry, "folder": _read_folder, "role": _read_role, "freeze": _read_freeze}


# --- what an older document does not know

_NEW_FIELDS: Final = frozenset(
    {
        ("domain", "initialised"),
        ("domain", "maxAccounts"),
        ("domain", COS_MAX_ACCOUNTS),
        *(("domain", one.name) for one in LIMITS),
        ("account", "delegatedAdministrator"),
        ("list", "filter"),
        ("list", "postingRestricted"),
    }
)


def brought_up(before: Document, after: Document, written: int) -> Document:
    """`after`, written in an older format, as what it leaves open stands in `before`."""
    if written == FORMAT:
        return after
    new = {key for key in before if len(key) == 3 and (key[0], key[2]) in _NEW_FIELDS and key[:2] in after}
    made = {**after, **{key: value for key, value in before.items() if key in new or key[0] in ("role", "freeze")}}
    for key, value in after.items():
        if key[0] in ("send", "entry"):
            made[key] = continued(before.get(key), value)
        elif key[2:] == ("members",) and (*key[:2], "filter") in before:
            # It named those whom the filter means; whom that is, is not the document's to say.
            del made[key]
    return made


def continued(before: Value | None, value: Value) -> Value:
    """A grant as an older document said it, with the review it has now; it is no longer its share's if anything else is changed."""
    if not isinstance(value, tuple) or value[-2:] != ("", ""):
        return value
    if not isinstance(before, tuple):
        return value
    return before if before[:-2] == value[:-2] else (*value[:-2], before[-2] if value[0] != "none" else "", "")


# --- from one to another


@dataclass(frozen=True, slots=True)
class Change:
    """One fact: what it was and what it is to be; None: nothing is said."""

    key: Key
    before: Value | None
    after: Value | None

    def __str__(self) -> str:
        return f"{' '.join(self.key)}: {_words(self.before)} -> {_words(self.after)}"


def _words(value: Value | None) -> str:
    if value is None:
        return "(nothing)"
    if isinstance(value, str):
        return value
    return "[" + ", ".join(one for one in value if one) + "]"


def changes(before: Document, after: Document) -> tuple[Change, ...]:
    """In the order of the document."""
    keys = sorted(before.keys() | after.keys())
    return tuple(Change(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key))


def changed(document: Document, some: Sequence[Change]) -> Document:
    """The document with these changes made."""
    made = {**document, **{one.key: one.after for one in some if one.after is not None}}
    for one in some:
        if one.after is None:
            made.pop(one.key, None)
    return made


def check(before: Document, after: Document, text: str = "") -> tuple[Change, ...]:
    """May this be made of that? The changes, or BadDocument: an object that is not there or is left out, a name that nobody has,
    a list that would contain itself, what only its own command may change. `text`: what `after` was read from, for the places."""
    wanted = changes(before, after)
    places = _Places(text)
    for one in wanted:
        kind, name = one.key[0], one.key[1]
        place = places.of(kind, name) if kind in _FIELDS else ""
        if kind in _FIELDS and len(one.key) == 2:
            if one.before is None:
                raise BadDocument(place, "there is no such object; `procura prov` makes it")
            raise BadDocument(
                place, "is left out: a file names all there is (procura policy export), objects are removed by `procura prov`"
            )
        if kind in _FIELDS and (kind, name) not in before:
            raise BadDocument(place, "there is no such object; `procura prov` makes it")
        if kind in _FIELDS and (kind, one.key[2]) in FIXED:
            raise BadDocument(f"{place}, {one.key[2]}", "is changed by its own command only")
        if one.after is not None:
            for words in _missing(one, before, after):
                raise BadDocument(place or places.numbered(kind, one.key), words)
        elif kind == "list" and one.key[2] == "filter":
            raise BadDocument(f"{place}, filter", _STAYS_DYNAMIC)
    ring = _rings(after) - _rings(before)
    if ring:
        name = min(ring)
        raise BadDocument(f"{places.of('list', name)}, members", "the list would contain itself")
    return wanted


_STAYS_DYNAMIC: Final = "a dynamic list stays one, and another becomes none: `procura prov` makes lists of either kind"


def _missing(one: Change, there: Document, after: Document) -> Iterator[str]:
    """What the fact names and there is not."""
    kind, name = one.key[0], one.key[1]
    if kind == "freeze":
        if ("account", name) not in there and (one.key[2] == "actor" or ("list", name) not in there):
            yield f"there is no account{'' if one.key[2] == 'actor' else ' or list'} {name}"
    elif kind == "role":
        assert isinstance(one.after, tuple)
        if ("account", name) not in there:
            yield f"there is no account {name}"
        if ("domain", one.after[0]) not in there:
            yield f"there is no domain {one.after[0]}"
    elif kind in ("send", "entry", "folder"):
        if ("account", name) not in there and (kind != "send" or ("list", name) not in there):
            yield f"there is no account{' or list' if kind == 'send' else ''} {name}"
        if kind != "folder":
            grantee, whom = split_grantee(one.key[-2] if kind == "send" else one.key[-1])
            section = {GranteeKind.GROUP: "list"}.get(grantee, str(grantee))
            if grantee is not GranteeKind.ALL and (section, whom) not in there:
                yield f"there is no {section} {whom}"
            if grantee is GranteeKind.ACCOUNT and whom == name:
                yield f"{name} needs no grant on itself"
        if kind == "send" and (one.key[3] == SendRight.SEND_TO_LIST) == (("account", name) in there) and one.key[3] in _ONE_KIND:
            yield f"{one.key[3]} is not granted on this kind of object"
        if kind == "send" and one.key[3] == SendRight.LOGIN_AS and ("list", name) in there:
            yield f"{one.key[3]} is granted on an account, not on a list"
    elif one.key[2] == "cos" and ("cos", str(one.after)) not in there:
        yield f"there is no cos {one.after}"
    elif one.key[2] == COS_MAX_ACCOUNTS:
        yield from (f"there is no cos {called}" for called, _ in map(cos_limit, one.after or ()) if ("cos", called) not in there)
    elif one.key[2] == "owners":
        yield from (f"there is no account {owner}" for owner in one.after or () if ("account", owner) not in there)
    elif one.key[2] == "filter" and one.before is None:
        yield _STAYS_DYNAMIC
    elif one.key[2] in ("subscriptionPolicy", "unsubscriptionPolicy") and ("list", name, "filter") in after:
        if one.after != Joining.REJECT:
            yield "nobody joins or leaves a dynamic list: its members are those whom its filter means"
    elif one.key[2] == "members" and ("list", name, "filter") in after:
        yield "a dynamic list names no members: they are those whom its filter means"
    elif one.key[2] == "members":
        for member in one.after or ():
            local, _, domain = member.rpartition("@")
            if not local or not domain:
                yield f"{member} is no address"
            elif (
                ("domain", domain) in there
                and not {("account", member), ("list", member)} & there.keys()
                and member not in (one.before or ())
            ):
                yield f"there is no account or list {member}"


_ONE_KIND: Final = (SendRight.SEND_TO_LIST,)


def _rings(document: Document) -> set[str]:
    """Lists that are, through others, members of themselves: what is left when those that contain nothing unfinished are taken away."""
    inside = {key[1]: {one for one in value if ("list", one) in document} for key, value in document.items() if key[2:] == ("members",)}
    while True:
        finished = {name for name, some in inside.items() if not some & inside.keys()}
        if not finished:
            break
        inside = {name: some for name, some in inside.items() if name not in finished}
    # Those that only lead to a ring are left too; they are no members of themselves.
    return {name for name in inside if _reaches(name, inside)}


def _reaches(start: str, inside: Mapping[str, set[str]]) -> bool:
    seen: set[str] = set()
    waiting = [*inside[start]]
    while waiting:
        one = waiting.pop()
        if one == start:
            return True
        if one not in seen and one in inside:
            seen.add(one)
            waiting += inside[one]
    return False
