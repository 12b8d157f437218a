"""What a calendar object says to other people's programs: its METHOD, and whom each of its events names (RFC 5545, 5546).

Two readers have to agree: the lines are cut and spelled out here, strictly, and icalendar reads what they mean. What only a
lenient reader takes for a METHOD or an ATTENDEE, or two readers take for different ones, is malformed. Only the lines that
matter are given to icalendar: no time is parsed, no zone is kept, no rule of recurrence is looked at.
"""

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from icalendar import Calendar as Library

ANSWERS: Final = frozenset(("REPLY", "COUNTER"))
"""The methods with which an attendee speaks to the organizer, and changes what the organizer's program shows."""

# icalendar goes through these lines character by character, about ten milliseconds for 32 KiB: 128 KiB are a thousand guests.
MAX_OCTETS_THAT_MATTER: Final = 128 * 1024
# VALARM in VEVENT in VCALENDAR is three.
_MAX_DEPTH: Final = 10
_MATTER: Final = frozenset((b"BEGIN", b"END", b"METHOD", b"ATTENDEE"))

_LINE = re.compile(rb"([A-Za-z0-9-]{1,100}+)((?:(?:\n|\r\n)[ \t])*+[;:][^\r\n]*+(?:(?:\n|\r\n)[ \t][^\r\n]*+)*+)(?:\r?\n|\Z)|\r?\n")
_BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")
_FOLD = re.compile(rb"\r?\n[ \t]")
_PLAIN_VALUE = re.compile(r":([A-Za-z0-9-]+)")
_PARAMETER = re.compile(r";([A-Za-z0-9-]{1,100}+)=((?:\"[^\"]*+\"|[^\";:,]*+)(?:,(?:\"[^\"]*+\"|[^\";:,]*+))*+)")
_ALLOWED: Final = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x7F), *range(0x80, 0x100)])
# Some readers end a line at these (Python's str.splitlines), others do not.
_OTHER_LINE_END = re.compile("[\x80-\x9f\u2028\u2029][ \t]*(?:BEGIN|END|METHOD|ATTENDEE)[:;]", re.IGNORECASE)


class MalformedCalendar(Exception):
    """A calendar that cannot be read with certainty (550 5.6.0); the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Attendee:
    """One ATTENDEE property."""

    address: str | None
    """Of its mailto URI, or else of its EMAIL parameter (RFC 7986 6.2), not canonical; None where there is neither."""
    sent_by: str | None
    """The address in SENT-BY; None where there is none."""
    place: int
    """The offset just behind the property's name, in the octets that were read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One VCALENDAR."""

    method: str
    """Upper case; empty where it names none."""
    components: tuple[tuple[Attendee, ...], ...]
    """Of REPLY and COUNTER: the attendees of each component but the time zones, at least one in each. Otherwise empty."""


def read(octets: bytes, encoding: str = "utf-8") -> Reading:
    """Read one calendar, transfer encoding undone, in linear time. `encoding` is Python's name of a charset that extends ASCII.

    Raises MalformedCalendar.
    """
    if octets.translate(None, _ALLOWED):
        raise MalformedCalendar("control character")
    if b"\r\n" in octets and _BARE_LINE_FEED.search(octets) is not None:
        raise MalformedCalendar("line breaks of two kinds")
    try:
        text = _FOLD.sub(b"", octets).decode(encoding)
    except UnicodeError:
        raise MalformedCalendar("the calendar is not of its charset") from None
    if not text.isascii() and _OTHER_LINE_END.search(text) is not None:
        raise MalformedCalendar("a line break that only some programs know")
    lines = _lines_that_matter(octets, encoding)
    method, components = _spelled(lines)
    if method not in ANSWERS:
        return Reading(method, ())
    return Reading(method, _agreed(method, components, _understood(lines)))


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    rest: str
    """From the first `;` or `:` on, unfolded."""
    place: int


def _lines_that_matter(octets: bytes, encoding: str) -> list[_Line]:
    found: list[_Line] = []
    position = len(BOM_UTF8) if octets.startswith(BOM_UTF8) else 0
    spent = 0
    while position < len(octets):
        match = _LINE.match(octets, position)
        if match is None:
            raise MalformedCalendar("not a content line: name, then a colon or semicolon")
        position = match.end()
        if match[1] is None:
            continue
        name = match[1].upper()
        if name not in _MATTER:
            continue
        spent += len(match[2])
        if spent > MAX_OCTETS_THAT_MATTER:
            raise MalformedCalendar("too many attendees")
        try:
            rest = _FOLD.sub(b"", match[2]).decode(encoding)
        except UnicodeError:
            raise MalformedCalendar("the calendar is not of its charset") from None
        if name != b"ATTENDEE" and len(rest) != len(match[2]):
            # Nobody needs that in a line of twenty characters, and who reads line by line sees another word.
            raise MalformedCalendar(f"{name.decode('ascii')} is folded")
        found.append(_Line(name.decode("ascii"), rest, match.end(1)))
    return found


@dataclass(frozen=True, slots=True)
class _Spelled:
    """An ATTENDEE as it is written: nothing unescaped, nothing decoded."""

    value: str
    sent_by: str | None
    email: str | None
    place: int


def _spelled(lines: Sequence[_Line]) -> tuple[str, list[tuple[str, list[_Spelled]]]]:
    """METHOD, and the components directly in the calendar with their attendees."""
    method = ""
    components: list[tuple[str, list[_Spelled]]] = []
    elsewhere = False
    open_components: list[str] = []
    ended = False
    for line in lines:
        if line.name == "ATTENDEE":
            if len(open_components) == 2:
                components[-1][1].append(_attendee(line))
            else:
                elsewhere = True
            continue
        value = _PLAIN_VALUE.fullmatch(line.rest)
        if value is None:
            raise MalformedCalendar(f"{line.name} has no plain value")
        word = value[1].upper()
        match line.name:
            case "BEGIN":
                open_components.append(word)
                if (len(open_components) == 1) != (word == "VCALENDAR"):
                    raise MalformedCalendar("VCALENDAR is not the outermost component")
                if ended:
                    raise MalformedCalendar("more than one VCALENDAR")
                if len(open_components) > _MAX_DEPTH:
                    raise MalformedCalendar("components are nested too deeply")
                if len(open_components) == 2:
                    components.append((word, []))
            case "END":
                if not open_components or open_components.pop() != word:
                    raise MalformedCalendar("BEGIN and END do not match")
                ended = not open_components
            case _:
                if method or len(open_components) != 1:
                    raise MalformedCalendar("METHOD occurs more than once, or in a component")
                method = word
    if open_components:
        raise MalformedCalendar("a component does not end")
    if method in ANSWERS and elsewhere:
        raise MalformedCalendar("an ATTENDEE stands elsewhere than in the event")
    return method, components


def _attendee(line: _Line) -> _Spelled:
    given: dict[str, str] = {}
    position = 0
    while True:
        parameter = _PARAMETER.match(line.rest, position)
        if parameter is None:
            break
        name = parameter[1].upper()
        if name in given:
            # Which one counts is everybody's own guess; of a method that is no answer nobody asks.
            given[name] = "\x00"
        else:
            given[name] = parameter[2]
        position = parameter.end()
    value = line.rest[position + 1 :] if line.rest[position : position + 1] == ":" else "\x00"
    return _Spelled(value, given.get("SENT-BY"), given.get("EMAIL"), line.place)


def _understood(lines: Sequence[_Line]) -> list[tuple[str, list[tuple[str, str | None, str | None]]]]:
    """The same from icalendar: components, and of each ATTENDEE its value, SENT-BY and EMAIL."""
    # As octets: it takes a text of one line for the name of a file.
    text = "".join([f"{line.name}{line.rest}\r\n" for line in lines]).encode("utf-8", "replace")
    try:
        calendars = Library.from_ical(text, multiple=True)
        (calendar,) = calendars
        return [
            (str(component.name), [_of_library(one) for one in _several(component.get("ATTENDEE"))])
            for component in calendar.subcomponents
            if not component.errors
        ]
    except Exception as offence:  # its errors are of many types, and no stranger's octets may end the session
        raise MalformedCalendar("not iCalendar (RFC 5545)") from offence


def _several(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _of_library(attendee: Any) -> tuple[str, str | None, str | None]:
    parameters = attendee.params
    sent_by, email = parameters.get("SENT-BY"), parameters.get("EMAIL")
    return str(attendee), sent_by, email


def _agreed(
    method: str,
    ours: Sequence[tuple[str, Sequence[_Spelled]]],
    theirs: Sequence[tuple[str, Sequence[tuple[str, str | None, str | None]]]],
) -> tuple[tuple[Attendee, ...], ...]:
    if [name for name, _ in ours] != [name for name, _ in theirs]:
        raise MalformedCalendar("its components can be read in two ways")
    found: list[tuple[Attendee, ...]] = []
    for (name, spelled), (_, understood) in zip(ours, theirs, strict=True):
        if name == "VTIMEZONE" and not spelled:
            continue
        if not spelled:
            raise MalformedCalendar(f"{method} needs an ATTENDEE in each {name}")
        if len(spelled) != len(understood):
            raise MalformedCalendar("its ATTENDEEs can be read in two ways")
        found.append(tuple([_same(one, other) for one, other in zip(spelled, understood, strict=True)]))
    if not found:
        raise MalformedCalendar(f"{method} without an event")
    return tuple(found)


def _same(spelled: _Spelled, understood: tuple[str, str | None, str | None]) -> Attendee:
    value, sent_by, email = understood
    if (spelled.value, _unquoted(spelled.sent_by), _unquoted(spelled.email)) != (value, sent_by, email):
        raise MalformedCalendar("an ATTENDEE can be read in two ways")
    address = _mailto(value, "ATTENDEE")
    if email is not None:
        named = email[7:] if email[:7].lower() == "mailto:" else email
        if address is not None and address.lower() != named.lower():
            raise MalformedCalendar("an ATTENDEE names two addresses")
        address = _mailto("mailto:" + named, "EMAIL of ATTENDEE")
    by = None if sent_by is None else _mailto(sent_by, "SENT-BY")
    if sent_by is not None and by is None:
        raise MalformedCalendar("SENT-BY is no mailto address")
    return Attendee(address, by, spelled.place)


def _unquoted(value: str | None) -> str | None:
    return value[1:-1] if value is not None and len(value) > 1 and value[0] == value[-1] == '"' else value


_MAILTO = re.compile(r"mailto:([^\s<>\"\\,;:?@%\x00-\x20\x7f]+@[^\s<>\"\\,;:?@%\x00-\x20\x7f]+)", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+:")
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")


def _mailto(uri: str, where: str) -> str | None:
    """The address of a mailto URI (RFC 6068), None for other schemes."""
    if uri.strip()[:6].lower() == "mailto":
        # One that is escaped has to be no address at all to a program that leaves it so.
        plain = uri if "%" not in uri or "@" in uri else _PERCENT.sub(_unescaped, uri)
        match = _MAILTO.fullmatch(plain)
        if match is not None:
            return match[1]
    elif _OTHER_SCHEME.match(uri) is not None and "mailto:" not in uri.lower():
        return None
    raise MalformedCalendar(f"{where} is no plain mailto address")


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[1], 16)) if int(match[1], 16) < 0x80 else match[0]


def plain_address(address: str) -> bool:
    """Can it stand in a mailto URI as it is?"""
    return _MAILTO.fullmatch("mailto:" + address) is not None
