"""Where does one command end and the next begin, and how much of it is kept?"""

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

# RFC 3501 section 4.3, RFC 7888 ("+"), RFC 3516 ("~"). At most ten digits are looked at, so int() is never given a bomb.
_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}\Z")
TAG = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]{1,64}(?= |\Z)")
_APPENDS = re.compile(rb"[^ ]+ (?:UID )?(?:APPEND|REPLACE) +[^ ]", re.IGNORECASE)
_DIGITS = 10
# What is remembered of a line that is too long: enough to see whether a literal follows it.
_TAIL = 80
# A line this many times too long is no slip; who sends it is not listened to until it ends.
_PATIENCE = 16

NO_ROOM = "there is no room for so much now, try again later"


class Want(Enum):
    """What the framing needs before it can go on."""

    MORE = auto()
    """Octets from the client."""
    GO_AHEAD = auto()
    """A command continuation request sent to the client (`+ `); then ask again."""


class Frame(NamedTuple):
    """One whole command without its line end: text, literal, text, literal, ..., text.

    The braces of a literal are gone from the text before it; the `~` of a literal8 is still there.
    """

    parts: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many octets the next literal may have, and the whole command with it.

    `unasked`: the same for a literal sent without waiting, where LITERAL- is announced instead of LITERAL+ (4096, RFC 7888 section 5).
    `room`: so many octets more can be kept now, whatever is allowed.
    """

    literal: int
    total: int
    unasked: int | None = None
    room: int | None = None


LiteralLimit = Callable[[tuple[bytes, ...]], Allowance]
"""Asked before one octet of a literal is kept, with the parts of the command so far."""


class FramingError(Exception):
    """The octets are no command, or a bigger one than is allowed.

    `tag` is the command's tag where it can be read. `too_big` asks for the code [TOOBIG]. `ends`: what follows cannot be
    told from commands, the connection has to end with BYE; otherwise the next command is read as usual. `later`: there is only no
    room for it now.
    """

    def __init__(self, message: str, *, tag: bytes | None = None, too_big: bool = False, ends: bool = False, later: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.tag = tag
        self.too_big = too_big
        self.ends = ends
        self.later = later


def tag_of(text: bytes, *, whole: bool = True) -> bytes | None:
    """The tag a command begins with, if it has a sane one. Where the text is cut off (`whole` False), only a blank ends a tag."""
    found = TAG.match(text)
    return found[0] if found and (whole or found.end() < len(text)) else None


def carries_message(parts: tuple[bytes, ...]) -> bool:
    """Would the next literal be a message (APPEND after its mailbox name), so that the big allowance is due?"""
    return _APPENDS.match(parts[0]) is not None or (len(parts) > 1 and _APPENDS.match(parts[0] + b" x") is not None)


def alone(octets: bytes | memoryview, max_line: int) -> Frame | None:
    """The command that these octets are, as far as they are one whole command without a literal and nothing else, as mostly. None: a
    Framer has to find out."""
    text = bytes(octets)
    end = len(text) - 2
    if not 0 <= end <= max_line or text.find(b"\n") != end + 1 or text.find(b"\r") != end or text.find(b"\0") >= 0:
        return None
    line = text[:end]
    return None if line.endswith(b"}") else Frame((line,))


class Inbox:
    """The octets that came and were not yet used; holds no buffer while it is empty."""

    __slots__ = ("_octets", "_position")

    def __init__(self) -> None:
        self._octets: bytearray | None = None
        self._position = 0

    def __len__(self) -> int:
        return 0 if self._octets is None else len(self._octets) - self._position

    def feed(self, octets: bytes | bytearray | memoryview) -> None:
        """Add what came from the client."""
        if self._octets is None:
            self._octets = bytearray(octets)
            return
        if self._position > 65536:
            del self._octets[: self._position]
            self._position = 0
        self._octets += octets

    def clear(self) -> None:
        """Forget everything (after a fatal error, or before TLS)."""
        self._octets = None
        self._position = 0

    def take(self, count: int) -> bytes:
        """Remove and return the next octets, at most `count`."""
        if self._octets is None:
            return b""
        end = self._position + count
        if end < len(self._octets):
            taken = bytes(self._octets[self._position : end])
            self._position = end
        else:
            taken = bytes(self._octets[self._position :]) if self._position else bytes(self._octets)
            self.clear()
        return taken

    def find_line_end(self, searched: int) -> int:
        """Octets up to and including the next LF, or -1; the first `searched` octets are known to have none."""
        if self._octets is None:
            return -1
        found = self._octets.find(b"\n", self._position + searched)
        return found - self._position + 1 if found >= 0 else -1


def _line(inbox: Inbox, max_line: int, start: bytes) -> Generator[Want, None, bytes]:
    """The next line without its CRLF. `start` is the command's first text (empty for the first line), for the tag."""
    searched = 0
    while (count := inbox.find_line_end(searched)) < 0:
        searched = len(inbox)
        if searched > max_line + 1:
            yield from _skip_line(inbox, max_line, start)
        yield Want.MORE
    if count > max_line + 2:
        yield from _skip_line(inbox, max_line, start)
    text = inbox.take(count)
    if text[-2:] == b"\r\n" and text.find(b"\r", 0, -2) < 0 and b"\0" not in text:
        return text[:-2]
    raise _refusal(start or text, text, "a line ends with CRLF; a lone CR or LF and NUL are not allowed in a command")


def _skip_line(inbox: Inbox, max_line: int, start: bytes) -> Generator[Want, None, None]:
    """Use up a line that is too long, keeping only its tail, and raise."""
    tail = b""
    used = 0
    known = len(start) or _TAIL  # the same octets, however the line arrives
    while used < max_line * _PATIENCE:
        count = inbox.find_line_end(0)
        piece = inbox.take(count if count > 0 else len(inbox))
        start += piece[: known - len(start)]
        used += len(piece)
        tail = (tail + piece[-_TAIL:])[-_TAIL:]
        if count > 0:
            raise _refusal(start, tail, f"a line may have {max_line} octets", too_big=True, whole=False)
        yield Want.MORE
    inbox.clear()
    raise FramingError(f"a line may have {max_line} octets", tag=tag_of(start, whole=False), too_big=True, ends=True)


def _refusal(start: bytes, line: bytes, message: str, *, too_big: bool = False, whole: bool = True) -> FramingError:
    # A literal that the client sends without asking would be read as commands: then the connection cannot go on.
    marker = _LITERAL.search(line.rstrip(b"\r\n"))
    return FramingError(message, tag=tag_of(start, whole=whole), too_big=too_big, ends=marker is not None and marker[2] == b"+")


def read_line(inbox: Inbox, max_line: int) -> Generator[Want, None, bytes]:
    """A line that is no command: the answer to a SASL challenge, DONE. Raises FramingError, never with a tag."""
    try:
        return (yield from _line(inbox, max_line, b""))
    except FramingError as error:
        error.tag = None
        raise


def read_frame(inbox: Inbox, max_line: int, max_literals: int, literal_limit: LiteralLimit) -> Generator[Want, None, Frame]:
    """One whole command. Lengths in octets.

    RFC 3501 section 4.3: literals; RFC 7888: `{n+}` is sent without waiting; RFC 3516: `~{n}`. A synchronising literal that is
    too big is refused before the client sends it, and the session goes on; a non-synchronising one ends it.
    Raises FramingError.
    """
    text = yield from _line(inbox, max_line, b"")
    if not text.endswith(b"}"):
        return Frame((text,))
    first = text
    parts: tuple[bytes, ...] = ()
    total = 0
    while (marker := _LITERAL.search(text)) is not None:
        parts = (*parts, text[: marker.start()])
        total += marker.start()
        unasked = marker[2] == b"+"
        allowed = literal_limit(parts)
        largest = allowed.literal if allowed.unasked is None or not unasked else min(allowed.literal, allowed.unasked)
        digits = marker[1].lstrip(b"0") or b"0"
        size = int(digits) if len(digits) <= _DIGITS else None
        if size is None or size > largest:
            raise FramingError(f"a literal may have {largest} octets here", tag=tag_of(first), too_big=True, ends=unasked)
        if total + size > allowed.total:
            raise FramingError(f"this command may have {allowed.total} octets", tag=tag_of(first), too_big=True, ends=unasked)
        if allowed.room is not None and size > allowed.room:
            raise FramingError(NO_ROOM, tag=tag_of(first), ends=unasked, later=True)
        if len(parts) // 2 >= max_literals:
            raise FramingError(f"a command may have {max_literals} literals", tag=tag_of(first), too_big=True, ends=unasked)
        if not unasked:
            yield Want.GO_AHEAD
        while len(inbox) < size:
            yield Want.MORE
        parts = (*parts, inbox.take(size))
        total += size
        text = yield from _line(inbox, max_line, first)
        if total + len(text) > allowed.total:
            raise _refusal(first, text, f"this command may have {allowed.total} octets", too_big=True)
    return Frame((*parts, text))


class Framer:
    """Cuts one connection's octets into commands: feed it, then ask for the next until it wants more.

    max_line: octets of one line without CRLF (RFC 7162 section 4: at least 8192). max_literals: per command.
    """

    __slots__ = ("_inbox", "_literal_limit", "_max_line", "_max_literals", "_reading")

    def __init__(self, max_line: int, literal_limit: LiteralLimit, max_literals: int = 1000) -> None:
        self._inbox = Inbox()
        self._max_line = max_line
        self._max_literals = max_literals
        self._literal_limit = literal_limit
        self._reading: Generator[Want, None, Frame | bytes] | None = None

    def feed(self, octets: bytes | bytearray | memoryview) -> None:
        """Add what came from the client."""
        self._inbox.feed(octets)

    @property
    def pending(self) -> int:
        """Octets that came and are no command yet. Above zero at STARTTLS: somebody injected plaintext; end the connection."""
        return len(self._inbox)

    @property
    def between_commands(self) -> bool:
        """True when no command has been begun."""
        return self._reading is None and not self._inbox

    def clear(self) -> None:
        """Forget everything that came."""
        self._inbox.clear()
        self._reading = None

    def next_frame(self) -> Frame | Want:
        """The next command, or what is wanted first. Raises FramingError; after one that does not end, ask again."""
        found = self._go_on(lambda: read_frame(self._inbox, self._max_line, self._max_literals, self._literal_limit))
        assert not isinstance(found, bytes), "a line was asked for and not yet received"
        return found

    def next_line(self) -> bytes | Want:
        """The next line that is no command (a SASL answer, DONE), or Want.MORE. Raises FramingError."""
        found = self._go_on(lambda: read_line(self._inbox, self._max_line))
        assert not isinstance(found, Frame), "a command was asked for and not yet received"
        return found

    def _go_on(self, begin: Callable[[], Generator[Want, None, Frame | bytes]]) -> Frame | bytes | Want:
        if self._reading is None:
            if not self._inbox:
                return Want.MORE
            self._reading = begin()
        try:
            return next(self._reading)
        except StopIteration as end:
            self._reading = None
            found: Frame | bytes = end.value
            return found
        except FramingError:
            self._reading = None
            raise
