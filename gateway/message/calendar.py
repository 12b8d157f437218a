"""Which invitations a message answers, and for whom, so that `x` can be judged (delegation.md 7; RFC 6047).

The reading is strict where an answer is possible: what two programs could read differently is malformed. A calendar that is an
answer in nobody's reading is nobody's business here, however it is written.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.message.canonical import read_address
from gateway.message.insertion import Undecodable, decoded, ill_formed, inserted
from gateway.message.itip import ANSWERS, Attendee, MalformedCalendar, plain_address, read
from gateway.message.lexis import without_comments
from gateway.message.opaque import signed_content
from gateway.message.structure import Part, parse
from gateway.message.text import charset_codec, decode_header, joined_parameters
from policy.identity import Address, BadAddress

__all__ = ["Answer", "MalformedCalendar", "Speaker", "add_sent_by", "answers", "mentions_calendar"]

# A REPLY is some kilobytes, with the whole description of a large meeting in HTML a few hundred.
MAX_ANSWER_OCTETS: Final = 1024 * 1024
MAX_CALENDARS: Final = 20
_MAX_MULTIPARTS: Final = 50
# Triple wrapping (RFC 2634 section 1.1) has two.
_MAX_SIGNATURES: Final = 3
# RFC 5545 3.1: lines should have at most 75 octets.
_LINE_OCTETS: Final = 75

_SEALED: Final = frozenset(((b"multipart", b"signed"), (b"multipart", b"encrypted")))


@dataclass(frozen=True, slots=True)
class Speaker:
    """In whose name an answer speaks."""

    address: Address | None
    """None: the ATTENDEE has no mail address, and is nobody of ours."""
    sent_by: Address | None
    places: tuple[int, ...]
    """Where the content of its ATTENDEE properties can take a parameter."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One REPLY or COUNTER, in a leaf part outside message/rfc822."""

    part: Part
    """Of the message; of what a signature holds, where it is inside one."""
    method: str
    components: tuple[tuple[Attendee, ...], ...]
    """The attendees of each event, at least one in each."""
    sealed: bool
    """Inside a signed or encrypted structure: not to be changed."""

    def speaker(self, author: Address) -> Speaker:
        """The one ATTENDEE for whom all of it speaks. `author`: the From, canonical.

        A COUNTER may list the other guests too (RFC 5546 section 3.2.7), and real ones do; it then speaks for the one with SENT-BY,
        or where none has, for the one who is the From: so the programs that receive it choose. Raises MalformedCalendar.
        """
        chosen = [self._chosen(attendees, author) for attendees in self.components]
        first, *others = [_canonical(one) for one in chosen]
        if any(_folded(other) != _folded(first) for other in others):
            raise MalformedCalendar(f"{self.method} needs the same ATTENDEE and SENT-BY in every event")
        return Speaker(*first, tuple([one.place for one in chosen]))

    def _chosen(self, attendees: Sequence[Attendee], author: Address) -> Attendee:
        if len(attendees) > 1 and self.method == "COUNTER":
            sent = [one for one in attendees if one.sent_by is not None]
            chosen = sent or [one for one in attendees if _is(one, author)]
            if len(chosen) == 1:
                return chosen[0]
            raise MalformedCalendar("COUNTER lists several ATTENDEEs, and not exactly one with SENT-BY, or who is the From")
        if len(attendees) != 1:
            raise MalformedCalendar(f"{self.method} needs exactly one ATTENDEE")
        return attendees[0]


def _canonical(attendee: Attendee) -> tuple[Address | None, Address | None]:
    try:
        address = None if attendee.address is None else read_address(attendee.address)
        sent_by = None if attendee.sent_by is None else read_address(attendee.sent_by)
    except BadAddress as bad:
        raise MalformedCalendar(f"ATTENDEE: {bad}") from None
    return address, sent_by


def _folded(pair: tuple[Address | None, Address | None]) -> tuple[Address | None, ...]:
    return tuple([None if one is None else one.folded() for one in pair])


def _is(attendee: Attendee, author: Address) -> bool:
    try:
        return attendee.address is not None and read_address(attendee.address).folded() == author.folded()
    except BadAddress:
        return False


_MIME_FIELD = re.compile(rb"content-(?:type|disposition)[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+")
_WORD = re.compile(rb"calendar|[/.](?:x-)?ics|[/.](?:x-)?ical|\.(?:vcs|ifb|p7m)|pkcs7-mime")


def mentions_calendar(octets: bytes) -> bool:
    """Can any part of the message be a calendar, or hold one inside its signature?"""
    # Looked for in what may be a Content-Type or Content-Disposition field.
    # RFC 2231 pieces and folding cannot stand inside a media type, so that the word stands in one piece.
    lower = octets.lower()
    at = lower.find(b"content-")
    while at >= 0:
        field = _MIME_FIELD.match(lower, at)
        if field is not None and _WORD.search(field[0]) is not None:
            return True
        at = lower.find(b"content-", at + 8 if field is None else field.end())
    return False


def answers(octets: bytes, root: Part) -> tuple[Answer, ...]:
    """The answers in a submitted message. `root` is `structure.parse(octets)`.

    Raises MalformedCalendar: what may be an answer is unreadable or ambiguous, METHOD differs from the `method=` parameter, too many
    or too big, or the message has more structure than was looked into. Call it where `mentions_calendar`.
    """
    found: list[Answer] = []
    looked_at = 0
    entities = [(octets, root, 0)]
    for entity, top, signatures in entities:
        # Some programs end a line there. The doors let none through; what a signature holds comes through no door.
        if entity.count(b"\r") != entity.count(b"\r\n"):
            raise MalformedCalendar("bare carriage return")
        _refuse_unclear_delimiters(entity, top)
        waiting: list[tuple[Part, bool]] = [(top, signatures > 0)]
        while waiting:
            part, sealed = waiting.pop()
            if part.cut:
                raise MalformedCalendar("more MIME structure than is looked into")
            _refuse_two_readings(entity, part)
            if part.is_multipart:
                sealed = sealed or (part.type, part.subtype) in _SEALED
                waiting.extend([(child, sealed) for child in reversed(part.children)])
                continue
            opaque = _serves_as_signed(part)
            if not opaque and not _serves_as_calendar(part):
                continue
            looked_at += 1
            if looked_at > MAX_CALENDARS:
                raise MalformedCalendar("too many calendars")
            if opaque:
                content = _signed(entity, part)
                if content is not None and mentions_calendar(content):
                    if signatures == _MAX_SIGNATURES:
                        raise MalformedCalendar("signatures inside signatures")
                    entities.append((content, parse(content), signatures + 1))
            elif (answer := _answer(entity, part, sealed)) is not None:
                found.append(answer)
    return tuple(found)


def _serves_as_signed(part: Part) -> bool:
    """S/MIME with the content inside, which mail programs show and act on like any other."""
    return part.subtype in (b"pkcs7-mime", b"x-pkcs7-mime") or any(name.endswith(".p7m") for name in _names(part))


def _signed(octets: bytes, part: Part) -> bytes | None:
    try:
        return signed_content(decoded(octets[part.body : part.end], part.encoding))
    except Undecodable:
        return None


# What programs take for invitations besides text/calendar: Google attaches application/ics, Evolution and Roundcube act on it,
# the latter on a name too.
_NAMES: Final = (".ics", ".ical", ".icalendar", ".ifb", ".vcs")
_SUBTYPES: Final = frozenset((b"ics", b"x-ics", b"ical", b"x-ical"))


def _serves_as_calendar(part: Part) -> bool:
    if b"calendar" in part.subtype or part.subtype in _SUBTYPES:
        return not part.children
    return any(name.endswith(_NAMES) for name in _names(part))


def _names(part: Part) -> list[str]:
    """What the part is called as an attachment, in lower case."""
    given = (*joined_parameters(part.parameters), *joined_parameters(part.disposition_parameters))
    names = [value for name, value in given if name.startswith((b"name", b"filename"))]
    return [decode_header(name).strip(" \t\"'.").lower() for name in names if len(name) < 1000]


_ONE_VALUE: Final = (b"content-type", b"content-transfer-encoding")
# Readers disagree about the RFC 2231 form of these, and nobody needs it.
_PLAIN_PARAMETERS: Final = (b"boundary", b"charset", b"method")


def _refuse_two_readings(octets: bytes, part: Part) -> None:
    if not part.header.complete:
        raise MalformedCalendar("part header is too large")
    position = part.start
    for field in part.header.fields:
        if field.start != position:
            break
        position = field.end
    if position != part.header.end:
        # Some programs pass such a line over, to others the body begins with it.
        raise MalformedCalendar("part header with a line that is no field")
    for name in _ONE_VALUE:
        if len(part.header.find(name)) > 1:
            raise MalformedCalendar(f"{name.decode('ascii')} occurs more than once")
    names = [name for name, _ in part.parameters]
    if len(names) != len(set(names)):
        raise MalformedCalendar("Content-Type parameter occurs more than once")
    if any(name.partition(b"*")[0] in _PLAIN_PARAMETERS and b"*" in name for name in names):
        raise MalformedCalendar("Content-Type parameter in pieces")
    written = part.header.first(b"content-type")
    if written is None:
        return
    kind = octets[written.value : written.end].partition(b";")[0].lower()
    if b"calendar" in kind and b"calendar" not in part.subtype:
        raise MalformedCalendar("Content-Type can be read as a calendar's")
    if (b"multipart" in kind and not part.is_multipart) or (b"message" in kind and part.type != b"message"):
        raise MalformedCalendar("Content-Type can be read as that of several parts")


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


def _answer(octets: bytes, part: Part, sealed: bool) -> Answer | None:
    body = octets[part.body : part.end]
    written = part.header.first(b"content-transfer-encoding")
    if written is not None and without_comments(octets[written.value : written.end]).strip().lower() != part.encoding:
        raise MalformedCalendar("Content-Transfer-Encoding says more than one thing")
    try:
        content = decoded(body, part.encoding)
    except Undecodable as offence:
        raise MalformedCalendar(f"the calendar cannot be decoded: {offence}") from None
    parameter = part.parameter(b"method")
    claimed = "" if parameter is None else parameter.strip().decode("utf-8", "replace").upper()
    charset = (part.parameter(b"charset") or b"utf-8").strip().lower()
    codec = "utf-8" if charset in (b"utf-8", b"us-ascii") else charset_codec(charset)
    if claimed not in ANSWERS and not _may_answer(content, codec):
        _refuse_another_method(content, claimed)
        return None
    if len(content) > MAX_ANSWER_OCTETS:
        raise MalformedCalendar("the answer is too large")
    if ill_formed(body, part.encoding):
        raise MalformedCalendar("the calendar cannot be decoded with certainty: ill-formed quoted-printable")
    if codec is None:
        raise MalformedCalendar("unknown charset")
    reading = read(content) if codec == "utf-8" else read(content, "latin-1")
    if codec != "utf-8":
        _refuse_another_reading(content, codec, reading.method, reading.components)
    if parameter is not None and claimed != reading.method:
        raise MalformedCalendar("METHOD differs from the method parameter of Content-Type")
    if reading.method not in ANSWERS:
        return None
    return Answer(part, reading.method, reading.components, sealed)


# What some program might skip or strip before it looks at a line: blanks and marks of every kind, the equals sign of a soft line
# break that is not quite one.
_SKIPPED: Final = bytes([*range(0x21), *range(0x7F, 0x100), *b"\"'\\="])
_ANSWERING = re.compile(rb"METHOD(?:;|:(?:%s))" % b"|".join([one.encode("ascii") for one in sorted(ANSWERS)]))
_METHOD = re.compile(rb"^METHOD:([A-Z-]{1,40}+)[ \t]*+\r?$", re.IGNORECASE | re.MULTILINE)


def _may_answer(content: bytes, codec: str | None) -> bool:
    """Could somebody's program find METHOD REPLY or COUNTER in it, however leniently it reads?"""
    if _ANSWERING.search(content.translate(None, _SKIPPED).upper()) is not None:
        return True
    if codec is None or codec == "utf-8":
        return False
    try:
        text = content.decode(codec, "replace").encode("utf-8", "replace")
    except (LookupError, ValueError):
        return False
    return _ANSWERING.search(text.translate(None, _SKIPPED).upper()) is not None


def _refuse_another_method(content: bytes, claimed: str) -> None:
    methods = {one[1].decode("ascii").upper() for one in _METHOD.finditer(content)} if claimed else ()
    if methods and claimed not in methods:
        raise MalformedCalendar("METHOD differs from the method parameter of Content-Type")


def _refuse_another_reading(content: bytes, codec: str, method: str, components: Sequence[Sequence[Attendee]]) -> None:
    """A charset other than UTF-8 may change texts, but nothing that matters: some programs pay no heed to it.

    This refuses UTF-16 and its like, which text parts cannot have anyway (RFC 2046 section 4.1.1).
    """
    try:
        same = read(content.decode(codec).encode("utf-8"))
    except (UnicodeError, LookupError):
        raise MalformedCalendar("the calendar is not of its charset") from None
    if any(not (one.address or "").isascii() or not (one.sent_by or "").isascii() for each in components for one in each):
        raise MalformedCalendar("an address beyond ASCII in a charset other than UTF-8")
    ours, theirs = ([[(one.address, one.sent_by) for one in each] for each in pair] for pair in (components, same.components))
    if method != same.method or ours != theirs:
        raise MalformedCalendar("its charset makes another calendar of it")


def add_sent_by(octets: bytes, answer: Answer, speaker: Speaker, sent_by: str) -> bytes:
    """The message with `SENT-BY="mailto:<sent_by>"` in each ATTENDEE for whom `answer` speaks.

    Every other octet stays, but that base64 is encoded anew from there on. Raises MalformedCalendar where that cannot be: a sealed
    part, or an address that its encoding cannot hold.
    """
    part = answer.part
    if answer.sealed:
        raise MalformedCalendar("a signed or encrypted answer lacks SENT-BY")
    utf8 = (part.parameter(b"charset") or b"utf-8").strip().lower() == b"utf-8" and part.encoding != b"7bit"
    if not plain_address(sent_by) or not (utf8 or sent_by.isascii()):
        raise MalformedCalendar("the actor's address cannot stand in SENT-BY")
    body = octets[part.body : part.end]
    content = decoded(body, part.encoding)
    line_end = "\n" if b"\n" in content and b"\r\n" not in content else "\r\n"
    parameter = _wrapped(f';SENT-BY="mailto:{sent_by}"', len("ATTENDEE"), line_end)
    # What follows begins a line of its own, so that none grows; if it does so already, nothing else is needed.
    after = [(place, parameter + ("" if content[place : place + 1] in (b"\r", b"\n") else f"{line_end} ")) for place in speaker.places]
    changed = inserted(body, part.encoding, [(place, text.encode("utf-8")) for place, text in after])
    return octets[: part.body] + changed + octets[part.end :]


def _wrapped(text: str, column: int, line_end: str) -> str:
    """Folded (RFC 5545 section 3.1), where it begins in that column."""
    pieces: list[str] = []
    for character in text:
        size = len(character.encode("utf-8"))
        if column + size > _LINE_OCTETS:
            pieces.append(line_end + " ")
            column = 1
        pieces.append(character)
        column += size
    return "".join(pieces)
