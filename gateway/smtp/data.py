"""Where does a message end, and is what came before its end well formed? (RFC 5321 sections 2.3.8 and 4.5.2, RFC 3030)"""

import re
from enum import Enum
from typing import Final

from gateway.message.occurrences import occurrences

_END: Final = b"\r\n.\r\n"
# What the end of a block may be the beginning of; the longest first.
_UNDECIDED: Final = ((b"\r\n.\r", 4), (b"\r\n.", 3), (b"\r\n", 2), (b"\r", 1))
_NUL: Final = 0
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Fault(Enum):
    """Why a message cannot be taken. Its end is still looked for, so that the dialogue goes on after it."""

    BARE_NEWLINE = "a CR or LF stands alone"
    NUL = "a NUL stands in it"
    TOO_BIG = "too big"
    NO_ROOM = "too big for the room that is left"


class DataReader:
    """The octets after 354, in blocks as they come; the cost is linear, and the memory that of the message.

    Only CRLF.CRLF ends a message. A bare CR or LF is a fault, or with `fix` becomes CRLF; a boundary it never is. Lines may have
    any length: senders write longer ones than the 998 octets of RFC 5321 section 4.5.3.1.6, and nothing here depends on it.
    `limit`: octets without the dots of transparency (RFC 1870 section 5).
    """

    __slots__ = ("_body", "_fix", "_limit", "_pending", "fault")

    def __init__(self, limit: int, *, fix: bool = False) -> None:
        self._limit = limit
        self._fix = fix
        self._body = bytearray()
        # The CRLF that ended DATA counts for a dot on the first line; it is cut off in `take`.
        self._pending = b"\r\n"
        self.fault: Fault | None = None

    @property
    def size(self) -> int:
        """Octets kept."""
        return len(self._body)

    def feed(self, octets: bytes) -> bytes | None:
        """None: the message goes on. Otherwise it has ended, and this is what came after its end."""
        pending = self._pending + octets
        dot = pending.find(b"\r\n.")  # what ends a message or hides a dot begins so
        end = -1 if dot < 0 else pending.find(_END, dot)
        if end >= 0:
            if self.fault is None:
                self._keep(pending[: end + 2], dotted=dot < end)
            self._pending = b""
            return pending[end + 5 :]
        for start, size in _UNDECIDED:
            if pending.endswith(start):
                self._pending = pending[-size:]
                pending = pending[:-size]
                break
        else:
            self._pending = b""
        if self.fault is None and pending:
            self._keep(pending, dotted=dot >= 0)
        return None

    def take(self) -> bytes:
        """The message without its transparency, every line ended by CRLF. Asked once, after the end."""
        with memoryview(self._body) as body:
            octets = bytes(body[2:])
        self._body = bytearray()
        return octets

    def refuse(self, fault: Fault) -> None:
        """Keep nothing more."""
        self.fault = fault
        self._body = bytearray()

    def _keep(self, block: bytes, *, dotted: bool) -> None:
        """A block neither begins nor ends within a CRLF or within a line's leading dot; `dotted`: there may be such a dot in it."""
        fault = _fault_of(block)
        if fault is not None and not (fault is Fault.BARE_NEWLINE and self._fix):
            self.refuse(fault)
            return
        if dotted:
            block = block.replace(b"\r\n.", b"\r\n")
        if fault is not None:
            block = _BARE.sub(b"\r\n", block)
        if len(self._body) + len(block) > self._limit + 2:
            self.refuse(Fault.TOO_BIG)
            return
        self._body += block


class ChunkReader:
    """A message that comes in chunks of known size (RFC 3030 section 2): nothing is looked for in it, no dot means anything.

    `limit`: octets of all chunks together.
    """

    __slots__ = ("_body", "_limit", "fault")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._body = bytearray()
        self.fault: Fault | None = None

    @property
    def size(self) -> int:
        """Octets kept."""
        return len(self._body)

    def announce(self, octets: int) -> None:
        """So many come next; whether they are too many is known before the first of them."""
        if self.fault is None and len(self._body) + octets > self._limit:
            self.refuse(Fault.TOO_BIG)

    def feed(self, octets: bytes) -> None:
        """Kept, unless there is a fault."""
        if self.fault is None:
            self._body += octets

    def end(self, *, binary: bool, fix: bool = False) -> None:
        """The last chunk is there. `binary` (BODY=BINARYMIME): bodies may hold any octets, the header may not (RFC 3030 section 3).
        Other messages are lines as after DATA, `fix` as there, and the last of them is ended."""
        if self.fault is not None:
            return
        body = self._body
        if binary:
            end = body.find(b"\r\n\r\n")
            head = body[: end + 2] if end >= 0 else b"" if body.startswith(b"\r\n") else body
            fault = _fault_of(head)
            if fault is not None:
                self.refuse(fault)
            return
        fault = _fault_of(body)
        if fault is Fault.BARE_NEWLINE and fix:
            self._body = body = bytearray(_BARE.sub(b"\r\n", body))
        elif fault is not None:
            self.refuse(fault)
            return
        if body and not body.endswith(b"\r\n"):
            body += b"\r\n"

    def take(self) -> bytes:
        """The message. Asked once, after `end`."""
        octets = bytes(self._body)
        self._body = bytearray()
        return octets

    def refuse(self, fault: Fault) -> None:
        """Keep nothing more."""
        self.fault = fault
        self._body = bytearray()


def _fault_of(octets: bytes | bytearray) -> Fault | None:
    if _NUL in octets:
        return Fault.NUL
    ends = octets.count(b"\r\n")
    return None if ends == occurrences(octets, b"\r") == occurrences(octets, b"\n") else Fault.BARE_NEWLINE
