"""How are the octets of one connection deflated and inflated (RFC 4978), in bounded memory? Sans-IO.

Level 1, a window of 4 KiB and memLevel 5: 32 KiB for the compressor where zlib's defaults take 256 KiB, and the answers of FETCH shrink
to 24 % instead of 21 %, since what repeats in them repeats at once. A client may use a window of 32 KiB; that is its to choose.
A session costs some 80 KiB while it works and 40 while it idles.
"""

import zlib
from typing import Final

LEVEL: Final = 1
WINDOW: Final = 12
MEMORY: Final = 5
INFLATED: Final = 65_536
"""Octets that one turn of the loop may make of what came: a bomb of 64 KiB could make 64 MiB."""
LEAST: Final = 64
"""What a piece counts for that is smaller, or empty: flushes of nothing are work too."""
DEFLATED: Final = 65_536
"""Octets deflated in one turn of the loop: some two milliseconds."""

_FLUSHED: Final = b"\0\0\xff\xff"
# The octets of which a flush and the last block after one consist: 00 00 FF FF, 03 00 (RFC 1951 sections 3.2.4 and 3.2.6).
_END: Final = b"\0\xff\3"


class BrokenStream(Exception):
    """What came cannot be inflated, or it ended where it may not end."""


class Deflater:
    """The server's direction. Whatever it is given is whole on the wire at once."""

    __slots__ = ("_deflate",)

    def __init__(self) -> None:
        self._deflate: zlib._Compress | None = None

    def deflate(self, octets: bytes | bytearray | memoryview) -> bytes:
        """Deflated, and flushed so that the peer can inflate all of it."""
        if self._deflate is None:
            self._deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW, MEMORY)
        return self._deflate.compress(octets) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def rest(self) -> None:
        """Nothing will be said for a while: 32 KiB less. What comes then refers to nothing that was said before."""
        self._deflate = None

    def finish(self) -> bytes:
        """The end of the stream, by which the peer knows where the octets in the clear begin."""
        deflate = self._deflate or zlib.compressobj(LEVEL, zlib.DEFLATED, -WINDOW, MEMORY)
        self._deflate = None
        return deflate.flush(zlib.Z_FINISH)


class Inflater:
    """The client's direction. Nothing is inflated before it is asked for."""

    __slots__ = ("_at", "_came", "_ended", "_full", "_inflate", "_over")

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self._came = b""
        self._at = 0  # octets of it that were inflated; the last three stay
        self._full = False  # more may be to come of octets that are used up
        self._ended = False  # by the client's last block
        self._over = False  # by UNAUTHENTICATE

    def feed(self, octets: bytes | bytearray | memoryview) -> None:
        """Add what came from the client."""
        used = max(0, self._at - 3)
        self._came = self._came[used:] + octets
        self._at -= used
        if self._over and not self._ended:
            self._drop_the_end()

    @property
    def waiting(self) -> int:
        """Octets that came and are not inflated yet; above zero also where they are used up and not all was taken."""
        return len(self._came) - self._at + self._full

    def take(self, count: int) -> bytes:
        """At most `count` inflated octets, from as far as the client flushed at once; perhaps none. Raises BrokenStream."""
        at = self._at
        if self._over:
            octets = self._came[at : at + count]
            self._at += len(octets)
            return octets
        if self._ended:
            raise BrokenStream("the compressed stream has ended")
        # Up to the next flush only: what the client says in the clear after UNAUTHENTICATE must not be inflated.
        flushed = self._came.find(_FLUSHED, max(0, at - 3))
        end = len(self._came) if flushed < 0 else flushed + len(_FLUSHED)
        try:
            octets = self._inflate.decompress(memoryview(self._came)[at:end], count)
        except zlib.error:
            raise BrokenStream("this cannot be inflated") from None
        self._ended = self._inflate.eof
        self._at = end - len(self._inflate.unused_data if self._ended else self._inflate.unconsumed_tail)
        self._full = len(octets) == count and not self._ended
        if self._at == len(self._came) > 3:
            self._came, self._at = self._came[-3:], 3
        return octets

    def clear(self) -> None:
        """Forget what came."""
        self._came = b""
        self._at = 0
        self._full = False

    def finish(self) -> None:
        """The client's stream is over; what comes from here on is in the clear (RFC 8437 section 4.1)."""
        self._over = True
        self._full = False
        if not self._ended:
            self._drop_the_end()

    def _drop_the_end(self) -> None:
        """The command was whole before its flush or its last block had come: these may follow, and no command begins like them."""
        self._came = self._came[self._at :].lstrip(_END)
        self._at = 0
        self._ended = bool(self._came)
