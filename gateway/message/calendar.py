"""For whom an invitation answer in a message speaks, so that `x` can be judged (delegation.md 7; RFC 5545, 5546, 6047).

The reading is strict where the answer matters: a calendar that two programs could read differently is malformed.
It reads content lines only, not the values of an event, in linear time; hence no general iCalendar library.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp, b2a_base64, b2a_qp
from dataclasses import dataclass
from typing import Final

from gateway.message.structure import Part
from gateway.message.text import charset_codec

# An answer is a few hundred octets, an event with thousands of attendees one or two hundred thousand.
MAX_CALENDAR_OCTETS: Final = 4 * 1024 * 1024
MAX_CALENDARS: Final = 20
_MAX_MULTIPARTS: Final = 50
# Properties and components may nest; VALARM in VEVENT in VCALENDAR is three.
_MAX_COMPONENTS: Final = 20
# RFC 5545 3.1: lines should have at most 75 octets; base64 76 (RFC 2045 6.8).
_LINE_OCTETS: Final = 75
_BASE64_INPUT: Final = 57

_SPEAKING_METHODS: Final = frozenset(("REPLY", "COUNTER"))
_SEALED: Final = frozenset(((b"multipart", b"signed"), (b"multipart", b"encrypted")))


class MalformedCalendar(Exception):
    """A text/calendar part that cannot be read with certainty (550 5.6.0); the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Attendee:
    """One ATTENDEE property."""

    address: str | None
    """Of its mailto URI, or else of its EMAIL parameter (RFC 7986 6.2), not canonical; None where there is neither."""
    sent_by: str | None
    """The address in SENT-BY; None where there is none."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """One text/calendar leaf outside message/rfc822."""

    part: Part
    method: str
    """Upper case; empty where the calendar names none."""
    attendees: tuple[Attendee, ...]
    """All of them, in order; those of several events with one address and one SENT-BY once."""
    sealed: bool
    """Inside a signed or encrypted structure: not to be changed."""

    @property
    def speaks(self) -> bool:
        """REPLY or COUNTER: it speaks in the name of its attendee."""
        return self.method in _SPEAKING_METHODS

    @property
    def speaker(self) -> Attendee | None:
        """The attendee of a calendar with exactly one."""
        return self.attendees[0] if len(self.attendees) == 1 else None


def mentions_calendar(octets: bytes) -> bool:
    """Do the octets contain `calendar` in any case? Otherwise no part can be text/calendar, and none need be looked for."""
    # RFC 2231 pieces and folding cannot stand inside a media type, so that the word stands in one piece.
    return b"calendar" in octets.lower()


def calendars(octets: bytes, root: Part) -> tuple[Calendar, ...]:
    """The calendars of a submitted message. `root` is `structure.parse(octets)`.

    Raises MalformedCalendar: unreadable, ambiguous, METHOD differs from the `method=` parameter, too many or too big,
    or the message has more structure than was looked into. Call it where `mentions_calendar`.
    """
    _refuse_unclear_delimiters(octets, root)
    found: list[Calendar] = []
    waiting: list[tuple[Part, bool]] = [(root, False)]
    while waiting:
        part, sealed = waiting.pop()
        if part.cut:
            raise MalformedCalendar("more MIME structure than is looked into")
        _refuse_two_readings(octets, part)
        if part.is_multipart:
            sealed = sealed or (part.type, part.subtype) in _SEALED
            waiting.extend([(child, sealed) for child in reversed(part.children)])
        elif part.type == b"text" and part.subtype == b"calendar":
            if len(found) == MAX_CALENDARS:
                raise MalformedCalendar("too many calendars")
            found.append(_calendar(octets, part, sealed))
    return tuple(found)


_ONE_VALUE: Final = (b"content-type", b"content-transfer-encoding")
# Readers disagree about the RFC 2231 form of these, and nobody needs it.
_PLAIN_PARAMETERS: Final = (b"boundary", b"charset", b"method")


def _refuse_two_readings(octets: bytes, part: Part) -> None:
    if not part.header.complete:
        raise MalformedCalendar("part header is too large")
    for name in _ONE_VALUE:
        if len(part.header.find(name)) > 1:
            raise MalformedCalendar(f"{name.decode('ascii')} occurs more than once")
    names = [name for name, _ in part.parameters]
    if len(names) != len(set(names)):
        raise MalformedCalendar("Content-Type parameter occurs more than once")
    if any(name.partition(b"*")[0] in _PLAIN_PARAMETERS and b"*" in name for name in names):
        raise MalformedCalendar("Content-Type parameter in pieces")
    written = part.header.first(b"content-type")
    if written is not None and b"calendar" not in part.subtype:
        kind = octets[written.value : written.end].partition(b";")[0].lower()
        if b"calendar" in kind:
            raise MalformedCalendar("Content-Type can be read as a calendar's")


def _outside_messages(root: Part) -> list[Part]:
    found = [root]
    for part in found:
        if part.is_multipart:
            found.extend(part.children)
    return found


def _delimiter(part: Part) -> bytes:
    return b"--" + (part.parameter(b"boundary") or b"").rstrip(b" \t")


def _refuse_unclear_delimiters(octets: bytes, root: Part) -> None:
    """Refuse lines that are delimiters to some readers only: `--boundary` with text behind it, or after the last part.

    RFC 2046 5.1.1 lets a delimiter line go on after the boundary; many readers do not, and would find other parts.
    """
    multiparts = [part for part in _outside_messages(root) if part.is_multipart]
    if len(multiparts) > _MAX_MULTIPARTS:
        raise MalformedCalendar("too many multiparts")
    # Delimiters of embedded messages may begin with a boundary of ours.
    clear = {line for part in root.walk() if part.is_multipart for line in (_delimiter(part), _delimiter(part) + b"--")}
    for part in multiparts:
        needle = _delimiter(part)
        ours = (needle, needle + b"--")
        closed = False
        position = octets.find(b"\n" + needle, part.body - 1, part.end)
        while position >= 0:
            line_end = octets.find(b"\n", position + 1)
            line = octets[position + 1 : len(octets) if line_end < 0 else line_end].rstrip(b" \t\r")
            if line in ours:
                if closed:
                    raise MalformedCalendar("a part follows the close delimiter")
                closed = line != needle
            elif line not in clear:
                raise MalformedCalendar("text behind a MIME boundary")
            position = octets.find(b"\n" + needle, position + 1, part.end)


@dataclass(frozen=True, slots=True)
class _ContentLine:
    """One unfolded content line (RFC 5545 3.1) and where it stands in the decoded calendar."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    value: str
    start: int
    end: int
    text: str


def _calendar(octets: bytes, part: Part, sealed: bool) -> Calendar:
    text, _ = _decoded(octets, part)
    method = ""
    attendees: dict[Attendee, None] = {}
    open_components: list[str] = []
    for line in _content_lines(text):
        match line.name:
            case "BEGIN":
                open_components.append(line.value.strip().upper())
                if (len(open_components) == 1) != (open_components[-1] == "VCALENDAR"):
                    raise MalformedCalendar("VCALENDAR is not the outermost component")
                if len(open_components) > _MAX_COMPONENTS:
                    raise MalformedCalendar("components are nested too deeply")
            case "END":
                if not open_components or open_components.pop() != line.value.strip().upper():
                    raise MalformedCalendar("BEGIN and END do not match")
            case _ if not open_components:
                raise MalformedCalendar("a property stands outside the calendar")
            case "METHOD":
                if len(open_components) > 1 or (method and method != line.value.strip().upper()):
                    raise MalformedCalendar("METHOD is ambiguous")
                method = line.value.strip().upper()
                if not method:
                    raise MalformedCalendar("METHOD is empty")
            case "ATTENDEE":
                # In a VALARM it is whom the alarm writes to, not who takes part.
                if "VALARM" not in open_components:
                    attendees[_attendee(line)] = None
            case _:
                pass
    if open_components:
        raise MalformedCalendar("a component does not end")
    parameter = part.parameter(b"method")
    if parameter is not None and parameter.strip().decode("utf-8", "replace").upper() != method:
        raise MalformedCalendar("METHOD differs from the method parameter of Content-Type")
    return Calendar(part, method, tuple(attendees), sealed)


def _decoded(octets: bytes, part: Part) -> tuple[str, str]:
    """The calendar as text, and its codec."""
    raw = octets[part.body : part.end]
    if len(raw) > MAX_CALENDAR_OCTETS:
        raise MalformedCalendar("calendar is too large")
    match part.encoding:
        case b"base64":
            try:
                raw = a2b_base64(re.sub(rb"[ \t\r\n]+", b"", raw), strict_mode=True)
            except Base64Error:
                raise MalformedCalendar("calendar is no base64") from None
        case b"quoted-printable":
            raw = a2b_qp(raw)
        case b"7bit" | b"8bit" | b"binary":
            pass
        case _:
            raise MalformedCalendar("unknown Content-Transfer-Encoding")
    charset = part.parameter(b"charset") or b"utf-8"
    codec = "utf-8" if charset.strip().lower() in (b"utf-8", b"us-ascii") else charset_codec(charset)
    if codec is None:
        raise MalformedCalendar("unknown charset")
    try:
        text = raw.decode(codec)
    except (UnicodeError, LookupError):
        raise MalformedCalendar("calendar is not of its charset") from None
    return text.removeprefix("\ufeff"), codec


_FOLDED_LINE = re.compile(r"[^\r\n]*+(?:\r?\n[ \t][^\r\n]*+)*+(?:\r?\n|\Z)")
_FOLD = re.compile(r"\r?\n[ \t]")
_NAME = re.compile(r"[A-Za-z0-9-]{1,100}+")
_PARAMETER = re.compile(r";([A-Za-z0-9-]{1,100}+)[ \t]*=(\"[^\"]*+\"|[^\";:,]*+)((?:,(?:\"[^\"]*+\"|[^\";:,]*+))*+)")
# Controls but tab, CR and LF, and what str.splitlines would take for a line's end.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029]")


def _content_lines(text: str) -> list[_ContentLine]:
    if _CONTROL.search(text) is not None:
        raise MalformedCalendar("control character")
    lines: list[_ContentLine] = []
    position = 0
    while position < len(text):
        match = _FOLDED_LINE.match(text, position)
        if match is None:
            raise MalformedCalendar("carriage return without line feed")
        start, position = position, match.end()
        line = _FOLD.sub("", match[0]).rstrip("\r\n")
        if not line.strip():
            continue
        name = _NAME.match(line)
        if name is None:
            raise MalformedCalendar("content line without name")
        at = name.end()
        parameters: list[tuple[str, str]] = []
        upper = name[0].upper()
        while True:
            parameter = _PARAMETER.match(line, at)
            if parameter is None:
                break
            parameters.append((parameter[1].upper(), parameter[2] + parameter[3]))
            at = parameter.end()
        if line[at : at + 1] != ":":
            if upper in _LINES_THAT_MATTER:
                raise MalformedCalendar(f"{upper} is no content line")
            # Programs write ill parameters into properties that nobody here looks at.
            at = line.find(":", at)
            if at < 0:
                raise MalformedCalendar("content line without colon")
        lines.append(_ContentLine(upper, tuple(parameters), line[at + 1 :], start, position, line))
    return lines


_LINES_THAT_MATTER: Final = frozenset(("BEGIN", "END", "METHOD", "ATTENDEE"))


def _attendee(line: _ContentLine) -> Attendee:
    names = [name for name, _ in line.parameters]
    for name in ("SENT-BY", "EMAIL"):
        if names.count(name) > 1:
            raise MalformedCalendar(f"{name} occurs more than once")
    given = dict(line.parameters)
    address = _mailto(line.value)
    if "EMAIL" in given:
        email = given["EMAIL"].strip('"').strip()
        email = email[7:] if email[:7].lower() == "mailto:" else email
        if address is not None and address.lower() != email.lower():
            raise MalformedCalendar("ATTENDEE names two addresses")
        address = email
    sent_by: str | None = None
    if "SENT-BY" in given:
        sent_by = _mailto(given["SENT-BY"].strip('"'))
        if sent_by is None:
            raise MalformedCalendar("SENT-BY is no mailto address")
    return Attendee(address, sent_by)


_MAILTO = re.compile(r"mailto:([^\s<>\",;:?@%\x00-\x20]+@[^\s<>\",;:?@%\x00-\x20]+)", re.IGNORECASE)
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")


def _mailto(uri: str) -> str | None:
    """The address of a mailto URI (RFC 6068), None for other schemes."""
    uri = uri.strip()
    if "%" in uri:
        uri = _PERCENT.sub(lambda match: chr(int(match[1], 16)) if int(match[1], 16) < 0x80 else match[0], uri)
    match = _MAILTO.fullmatch(uri)
    if match is not None:
        return match[1]
    if uri[:7].lower() == "mailto:" or ("@" in uri and ":" not in uri):
        raise MalformedCalendar("ATTENDEE or SENT-BY is no plain mailto address")
    return None


def add_sent_by(octets: bytes, calendar: Calendar, sent_by: str) -> bytes:
    """The message with `SENT-BY="mailto:<sent_by>"` in each ATTENDEE of `calendar` that has none.

    Only this part's body changes, and only those content lines in it; transfer encoding and charset stay. Raises
    MalformedCalendar where that cannot be: a sealed part, or an address that its charset or encoding cannot hold.
    """
    if calendar.sealed:
        raise MalformedCalendar("a signed or encrypted answer lacks SENT-BY")
    if _MAILTO.fullmatch("mailto:" + sent_by) is None:
        raise MalformedCalendar("the actor's address cannot stand in SENT-BY")
    part = calendar.part
    text, codec = _decoded(octets, part)
    parameter = f';SENT-BY="mailto:{sent_by}"'
    pieces: list[str] = []
    position = 0
    alarms = 0
    for line in _content_lines(text):
        if line.name in ("BEGIN", "END") and line.value.strip().upper() == "VALARM":
            alarms += 1 if line.name == "BEGIN" else -1
        if line.name != "ATTENDEE" or alarms or any(name == "SENT-BY" for name, _ in line.parameters):
            continue
        pieces.append(text[position : line.start])
        ending = "\r\n" if text[line.start : line.end].endswith("\r\n") or not text[: line.end].endswith("\n") else "\n"
        has_ending = text[line.start : line.end].endswith("\n")
        at = len("ATTENDEE")
        pieces.append(_folded(line.text[:at] + parameter + line.text[at:], ending) + (ending if has_ending else ""))
        position = line.end
    if not pieces:
        return octets
    pieces.append(text[position:])
    return octets[: part.body] + _encoded("".join(pieces), codec, part.encoding) + octets[part.end :]


def _folded(line: str, ending: str) -> str:
    pieces: list[str] = []
    current: list[str] = []
    room = _LINE_OCTETS
    for character in line:
        size = len(character.encode("utf-8"))
        if size > room:
            pieces.append("".join(current))
            current = []
            room = _LINE_OCTETS - 1
        current.append(character)
        room -= size
    pieces.append("".join(current))
    return (ending + " ").join(pieces)


def _encoded(text: str, codec: str, encoding: bytes) -> bytes:
    try:
        raw = text.encode(codec)
    except UnicodeError:
        raise MalformedCalendar("the actor's address is not of the calendar's charset") from None
    match encoding:
        case b"base64":
            return b"\r\n".join([b2a_base64(raw[at : at + _BASE64_INPUT], newline=False) for at in range(0, len(raw), _BASE64_INPUT)])
        case b"quoted-printable":
            return b2a_qp(raw, istext=True)
        case b"7bit" if not raw.isascii():
            raise MalformedCalendar("the calendar is not 7bit")
        case _:
            return raw
