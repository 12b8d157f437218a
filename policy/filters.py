"""Whom does an attribute filter mean? A subset of RFC 4515: and, or, not, equality, presence, and `*` within a value.

`(department=sales)`, `(&(department=sales)(!(status=closed)))`, `(sn=Mc*)`, `(mobile=*)`. Values are compared without regard to case and
to how many spaces there are (caseIgnoreMatch, RFC 4517 4.2.11); an attribute that somebody does not have equals nothing (X.511 7.8).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MOST_OCTETS: Final = 2048
MOST_TERMS: Final = 64
DEEPEST: Final = 8

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_URL: Final = re.compile(r"ldap:///[^?]*\?[^?]*\?(?:sub)?\?", re.IGNORECASE)
_ESCAPE: Final = re.compile(r"((?:\\[0-9A-Fa-f]{2})+)|\\|\0")


class BadFilter(ValueError):
    """The text is no filter that is understood here; the message says why, in words for the person who wrote it."""


@dataclass(frozen=True, slots=True)
class Present:
    """`(name=*)`."""

    name: str


@dataclass(frozen=True, slots=True)
class Equal:
    """`(name=value)`, the value as it is compared."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Like:
    """`(name=head*middle*tail)`; what may be anything is empty."""

    name: str
    head: str
    middle: tuple[str, ...]
    tail: str


@dataclass(frozen=True, slots=True)
class All:
    """`(&...)`."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Any:
    """`(|...)`."""

    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """`(!...)`."""

    part: "Filter"


Filter = Present | Equal | Like | All | Any | Not


def compared(text: str) -> str:
    """A value in the form in which values are compared."""
    return " ".join(text.casefold().split())


def parse(text: str, known: Mapping[str, str]) -> Filter:
    """`known`: attribute names in lower case, and under which name each is looked for. The parentheses around a single comparison may
    be missing, and Carbonio's `ldap:///??sub?` may stand before it. Raises BadFilter."""
    if len(text.encode("utf-8", "surrogatepass")) > MOST_OCTETS:
        raise BadFilter(f"a filter has at most {MOST_OCTETS} octets")
    url = _URL.match(text.strip())
    rest = text.strip()[url.end() if url else 0 :]
    if not rest:
        raise BadFilter("it is empty")
    if not rest.startswith("("):
        rest = f"({rest})"
    reader = _Reader(rest, known)
    found = reader.filter(1)
    if reader.at != len(rest):
        raise BadFilter(f"nothing may follow its last parenthesis: {rest[reader.at :][:20]}")
    return found


class _Reader:
    """Goes through a text once; recursion ends at DEEPEST."""

    def __init__(self, text: str, known: Mapping[str, str]) -> None:
        self._text = text
        self._known = known
        self._terms = 0
        self.at = 0

    def filter(self, depth: int) -> Filter:
        if depth > DEEPEST:
            raise BadFilter(f"filters may be nested {DEEPEST} deep")
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise BadFilter(f"a filter has at most {MOST_TERMS} terms")
        self._expect("(")
        match self._text[self.at : self.at + 1]:
            case "&":
                found: Filter = All(self._parts(depth))
            case "|":
                found = Any(self._parts(depth))
            case "!":
                self.at += 1
                found = Not(self.filter(depth + 1))
            case _:
                found = self._comparison()
        self._expect(")")
        return found

    def _expect(self, character: str) -> None:
        if not self._text.startswith(character, self.at):
            raise BadFilter(f"{character} is missing at character {self.at + 1}")
        self.at += 1

    def _parts(self, depth: int) -> tuple[Filter, ...]:
        sign = self._text[self.at]
        self.at += 1
        parts = []
        while self._text.startswith("(", self.at):
            parts.append(self.filter(depth + 1))
        if not parts:
            raise BadFilter(f"({sign}) is about nothing")
        return tuple(parts)

    def _comparison(self) -> Filter:
        name = _NAME.match(self._text, self.at)
        if name is None:
            raise BadFilter(f"an attribute name is missing at character {self.at + 1}")
        plain = self._known.get(name[0].lower())
        if plain is None:
            raise BadFilter(f"no attribute to filter by: {name[0]}")
        self.at = name.end()
        self._expect("=")
        end = self.at
        while end < len(self._text) and self._text[end] not in "()":
            end += 1
        raw = self._text[self.at : end]
        self.at = end
        if raw == "*":
            return Present(plain)
        pieces = [compared(_unescaped(piece)) for piece in raw.split("*")]
        if len(pieces) == 1:
            if not pieces[0]:
                raise BadFilter(f"{name[0]} is compared with nothing; {name[0]}=* asks whether it is there")
            return Equal(plain, pieces[0])
        head, *middle, tail = pieces
        if not any(pieces):
            return Present(plain)
        return Like(plain, head, tuple(piece for piece in middle if piece), tail)


def _unescaped(piece: str) -> str:
    """RFC 4515 section 3: a backslash and two hexadecimal digits are an octet of UTF-8."""

    def octets(found: re.Match[str]) -> str:
        if found[1] is None:
            raise BadFilter("a backslash is written \\5c, and NUL not at all")
        try:
            return bytes.fromhex(found[1].replace("\\", "")).decode()
        except UnicodeDecodeError:
            raise BadFilter(f"{found[1]} is not UTF-8") from None

    return _ESCAPE.sub(octets, piece)


def matches(wanted: Filter, values: Mapping[str, Sequence[str]]) -> bool:
    """`values`: by the names that `known` gave, each value as `compared` makes it."""
    match wanted:
        case Present(name):
            return bool(values.get(name))
        case Equal(name, value):
            return value in values.get(name, ())
        case Like(name):
            return any(_is_like(wanted, value) for value in values.get(name, ()))
        case All(parts):
            return all(matches(part, values) for part in parts)
        case Any(parts):
            return any(matches(part, values) for part in parts)
        case Not(part):
            return not matches(part, values)


def _is_like(wanted: Like, value: str) -> bool:
    if len(value) < len(wanted.head) + len(wanted.tail) or not (value.startswith(wanted.head) and value.endswith(wanted.tail)):
        return False
    at, end = len(wanted.head), len(value) - len(wanted.tail)
    for piece in wanted.middle:
        at = value.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def names_in(wanted: Filter) -> frozenset[str]:
    """The attributes on which it depends."""
    match wanted:
        case Present(name) | Equal(name) | Like(name):
            return frozenset((name,))
        case Not(part):
            return names_in(part)
        case All(parts) | Any(parts):
            return frozenset().union(*map(names_in, parts))


def spell(wanted: Filter) -> str:
    """In RFC 4515's form; `parse` reads it back as the same filter."""
    match wanted:
        case Present(name):
            return f"({name}=*)"
        case Equal(name, value):
            return f"({name}={_escaped(value)})"
        case Like(name, head, middle, tail):
            return f"({name}={'*'.join(map(_escaped, (head, *middle, tail)))})"
        case Not(part):
            return f"(!{spell(part)})"
        case All(parts):
            return f"(&{''.join(map(spell, parts))})"
        case Any(parts):
            return f"(|{''.join(map(spell, parts))})"


def _escaped(value: str) -> str:
    return re.sub(r"[*()\\\0]", lambda found: f"\\{ord(found[0]):02x}", value)


def with_domain(wanted: Filter, old: str, new: str) -> Filter:
    """The same filter after a domain was renamed: `(domain=old)`, and comparisons of `mail` that end in `@old` (or `*old`)."""
    match wanted:
        case Equal("domain", value) if value == old:
            return Equal("domain", new)
        case Equal("mail", value) if value.endswith(f"@{old}"):
            return Equal("mail", value[: -len(old)] + new)
        case Like("mail", head, middle, tail) if tail == old or tail.endswith(f"@{old}"):
            return Like("mail", head, middle, tail[: -len(old)] + new)
        case Not(part):
            return Not(with_domain(part, old, new))
        case All(parts):
            return All(tuple(with_domain(part, old, new) for part in parts))
        case Any(parts):
            return Any(tuple(with_domain(part, old, new) for part in parts))
        case _:
            return wanted
