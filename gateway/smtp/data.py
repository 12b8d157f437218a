"""Where does a message end, and is what came before its end well formed? (RFC 5321 sections 2.3.8 and 4.5.2)"""

import re
from enum import Enum
from typing import Final

_END: Final = b"\r\n.\r\n"
# What the end of a block may be the beginning of; the longest first.
_UNDECIDED: Final = ((b"\r\n.\r", 4), (b"\r\n.", 3), (b"\r\n", 2), (b"\r", 1))
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
        end = pending.find(_END)
        if end >= 0:
            if self.fault is None:
                self._keep(pending[: end + 2])
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
            self._keep(pending)
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

    def _keep(self, block: bytes) -> None:
        """A block neither begins nor ends within a CRLF or within a line's leading dot."""
        lines = block.count(b"\r\n")
        clean = block.count(b"\r") == lines and block.count(b"\n") == lines
        if b"\0" in block:
            self.refuse(Fault.NUL)
            return
        if not clean and not self._fix:
            self.refuse(Fault.BARE_NEWLINE)
            return
        if b"\r\n." in block:
            block = block.replace(b"\r\n.", b"\r\n")
        if not clean:
            block = _BARE.sub(b"\r\n", block)
        if len(self._body) + len(block) > self._limit + 2:
            self.refuse(Fault.TOO_BIG)
            return
        self._body += block
