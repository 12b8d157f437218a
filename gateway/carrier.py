"""How do octets travel between a peer and its dialogue, in bounded memory and time?

One slotted protocol object per connection and no task. All deadlines hang on one timer wheel; reading shares one buffer among all
connections of a process (asyncio fills it and hands it over in one synchronous step); output for a peer that does not read is
bounded, and such a peer is cut off.
"""

import asyncio
import contextlib
import math
import ssl
from asyncio import sslproto
from collections.abc import Callable, Sequence
from typing import Protocol, cast

TICK = 0.25
"""Seconds: how exactly a deadline is kept. A grant that expires has to act "to the second"."""
COARSE = 16.0
"""Seconds: far deadlines share slots this wide and are sorted anew when the slot comes up."""
READ_SIZE = 65_536
TLS_BUFFER = 16_384
"""Octets: one TLS record. asyncio keeps a buffer of this size per connection, 256 KiB unless told otherwise."""
APART = 1024
"""Octets that pieces have on the average, from which they are not copied together before they are sent."""
OUTPUT_BACKLOG = 1 << 20
OUTPUT_TIMEOUT = 60.0


class Timed(Protocol):
    """Something with a deadline. `deadline` is loop time in seconds, infinite for none; it may be moved later at no cost.

    `slot` is the wheel's own; it begins as 0.
    """

    deadline: float
    slot: int

    def late(self) -> None:
        """The deadline has passed."""


class Wheel:
    """Every deadline of a process on one timer.

    An item is put on with `watch`; moving its `deadline` later needs no call, moving it earlier needs another `watch`. An item whose
    deadline is infinite when its slot comes up falls off.
    """

    __slots__ = ("_loop", "_next", "_slots", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._slots: dict[int, set[Timed]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._next = math.inf

    def watch(self, item: Timed) -> None:
        """See to it that `item.late()` is called at its deadline, at most one tick after it."""
        if item.deadline == math.inf:
            return
        now = self._loop.time()
        when = item.deadline
        if when - now > 2 * COARSE:
            when = when // COARSE * COARSE
        slot = max(math.ceil(when / TICK), math.floor(now / TICK) + 1)
        if item.slot:
            if item.slot <= slot:
                return
            self._slots[item.slot].discard(item)
        item.slot = slot
        self._slots.setdefault(slot, set()).add(item)
        if slot < self._next:
            self._arm(slot)

    def forget(self, item: Timed) -> None:
        """Let go of an item that is over; it would be kept until its slot comes up, for half an hour perhaps."""
        item.deadline = math.inf
        there = self._slots.get(item.slot)
        if there is not None:
            there.discard(item)
            if not there:
                del self._slots[item.slot]
        item.slot = 0

    def close(self) -> None:
        """Forget every deadline."""
        for items in self._slots.values():
            for item in items:
                item.slot = 0
        self._slots.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._next = math.inf

    def __len__(self) -> int:
        return sum(map(len, self._slots.values()))

    def _arm(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._next = slot
        self._timer = self._loop.call_at(slot * TICK, self._turn)

    def _turn(self) -> None:
        now = self._loop.time()
        current = math.floor(now / TICK + 1e-6)
        due = [slot for slot in self._slots if slot <= current]
        self._timer = None
        self._next = math.inf
        items = [item for slot in sorted(due) for item in self._slots.pop(slot)]
        for item in items:
            item.slot = 0
        for item in items:
            if item.deadline <= now:
                item.deadline = math.inf
                item.late()
            else:
                self.watch(item)
        if self._slots and (first := min(self._slots)) < self._next:
            self._arm(first)


class Dialogue(Protocol):
    """What talks over a carrier. All calls come from the loop, none after `ended`."""

    def connected(self) -> None:
        """The peer is there; with implicit TLS the handshake is done."""

    def received(self, octets: memoryview) -> None:
        """Octets came. The memory is used again when this returns."""

    def late(self) -> None:
        """The deadline set by `Carrier.expect` has passed."""

    def ended(self) -> None:
        """The connection is gone."""


class Reading:
    """The one buffer into which every connection of a process is read."""

    __slots__ = ("octets", "view")

    def __init__(self, size: int = READ_SIZE) -> None:
        self.octets = bytearray(size)
        self.view = memoryview(self.octets)


def use_small_tls_buffers() -> None:
    """asyncio then keeps one TLS record per connection instead of 256 KiB (uvloop has its own, small ones)."""
    sslproto.SSLProtocol.max_size = TLS_BUFFER


class Carrier(asyncio.BufferedProtocol):
    """One connection. `output_backlog` octets, `output_timeout` seconds: how much and how long a peer may leave unread."""

    __slots__ = (
        "_backlog",
        "_dialogue",
        "_drained",
        "_early",
        "_expected",
        "_held",
        "_output_timeout",
        "_reading",
        "_stalled",
        "_transport",
        "_wheel",
        "deadline",
        "secured",
        "slot",
    )

    def __init__(
        self,
        wheel: Wheel,
        reading: Reading,
        dialogue: "Callable[[Carrier], Dialogue]",
        *,
        output_backlog: int = OUTPUT_BACKLOG,
        output_timeout: float = OUTPUT_TIMEOUT,
    ) -> None:
        self._wheel = wheel
        self._reading = reading
        self._transport: asyncio.Transport | None = None
        self._drained: asyncio.Future[None] | None = None
        self._stalled = math.inf  # when the output has to be read at last
        self._expected = math.inf
        self._held = False
        self._early: bytearray | None = None  # what came for a handshake that has not begun
        self._backlog = output_backlog
        self._output_timeout = output_timeout
        self.deadline = math.inf
        self.slot = 0
        self.secured = False
        self._dialogue: Dialogue | None = dialogue(self)

    # what the dialogue calls

    @property
    def lost(self) -> bool:
        """The connection is gone or going: nothing that is written arrives."""
        return self._transport is None or self._transport.is_closing()

    @property
    def stalled(self) -> bool:
        """More output is waiting than the peer may leave unread: nothing more should be made for it now."""
        return self._stalled != math.inf

    @property
    def peer(self) -> str:
        """The peer's address as text; empty for a Unix socket or when it is gone already."""
        name = None if self._transport is None else self._transport.get_extra_info("peername")
        return str(name[0]) if isinstance(name, tuple) and name else ""

    def write(self, octets: bytes | bytearray | memoryview) -> None:
        """Send; when `stalled` is true afterwards, `drain` before making more."""
        # uvloop refuses to write to what is closed; asyncio says nothing.
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def write_all(self, pieces: Sequence[bytes | bytearray | memoryview]) -> None:
        """As `write`, of all of them in one go. Large ones are not copied for that, but TLS would make a record of each."""
        if self._transport is None or self._transport.is_closing():
            return
        if self.secured or sum(map(len, pieces)) < APART * len(pieces):
            self._transport.write(b"".join(pieces))
        else:
            self._transport.writelines(pieces)

    async def drain(self) -> None:
        """Wait until the peer has read enough. Raises ConnectionError when the connection is gone."""
        if self.lost:
            raise ConnectionResetError("the peer is gone")
        if self._stalled == math.inf:
            return
        if self._drained is None:
            self._drained = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._drained)

    def expect(self, seconds: float | None) -> None:
        """The peer has to do its part within this time, else `Dialogue.late` is called; None: no hurry."""
        if self._transport is None:
            return
        self._expected = math.inf if seconds is None else asyncio.get_running_loop().time() + seconds
        self._schedule()

    def hold(self) -> None:
        """Stop reading, so that the peer's octets wait in its own buffers."""
        if not self._held and self._transport is not None and not self._transport.is_closing():
            self._held = True
            self._transport.pause_reading()

    def listen(self) -> None:
        """Read again."""
        if self._held and self._transport is not None and not self._transport.is_closing():
            self._held = False
            self._transport.resume_reading()

    def await_tls(self) -> None:
        """Implicit TLS: what comes from now on is for the handshake, which `secure` begins at once, and never for the dialogue.

        Reading cannot be held back instead: uvloop begins to read after `connection_made`, whatever was asked for there.
        """
        self._early = bytearray()

    async def secure(self, context: ssl.SSLContext, seconds: float) -> None:
        """Go over to TLS (RFC 3501 section 6.2.1, RFC 3207). The dialogue makes sure that it holds no octets that came in the clear.

        Raises OSError (ssl.SSLError and ConnectionError are) when the handshake fails or takes longer than `seconds`.
        """
        if self._transport is None:
            raise ConnectionResetError("the peer is gone")
        loop = asyncio.get_running_loop()
        self._held = False
        if self._early is None:
            self._early = bytearray()
        handshake = loop.create_task(
            loop.start_tls(self._transport, self, context, server_side=True, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=TICK * 4)
        )
        try:
            # After one turn the transport belongs to TLS, which takes what came before that first.
            await asyncio.sleep(0)
            early, self._early = self._early, None
            if early and self._transport is not None:
                loop.call_soon(feed_tls, self._transport.get_protocol(), early)
            secured = await handshake
        except (TimeoutError, OSError) as error:
            self.abort()
            raise ConnectionResetError("the TLS handshake failed") from error
        finally:
            handshake.cancel()
        if secured is None or self._transport is None:
            raise ConnectionResetError("the peer is gone")
        self._transport = secured
        self.secured = True
        self._limit_output()

    def close(self) -> None:
        """Send what is waiting, then end; a peer that does not read it in time is cut off."""
        if self._transport is not None and not self._transport.is_closing():
            self._expected = asyncio.get_running_loop().time() + self._output_timeout
            self._schedule()
            self._transport.close()

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The peer is there."""
        self._transport = cast(asyncio.Transport, transport)
        self._limit_output()
        if self._dialogue is not None:
            self._dialogue.connected()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where to put what comes; taken away before anybody else reads."""
        return self._reading.view

    def buffer_updated(self, nbytes: int) -> None:
        """So many octets came."""
        if self._early is not None:
            self._early += self._reading.view[:nbytes]
        elif self._dialogue is not None:
            self._dialogue.received(self._reading.view[:nbytes])

    def eof_received(self) -> bool:
        """Who says nothing more is no longer answered either."""
        return False

    def pause_writing(self) -> None:
        """The peer has more waiting than it may leave unread."""
        self._stalled = asyncio.get_running_loop().time() + self._output_timeout
        self._schedule()

    def resume_writing(self) -> None:
        """It has read enough."""
        self._stalled = math.inf
        self._schedule()
        self._release(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._transport = None
        self._expected = self._stalled = math.inf
        self._wheel.forget(self)
        self._release(ConnectionResetError("the peer is gone"))
        dialogue, self._dialogue = self._dialogue, None
        if dialogue is not None:
            dialogue.ended()

    # the wheel

    def late(self) -> None:
        """The wheel's turn: what was not done in time?"""
        now = asyncio.get_running_loop().time()
        if self._transport is None:
            return
        if self._stalled <= now or (self._expected <= now and self._transport.is_closing()):
            self._transport.abort()
            return
        if self._expected <= now:
            self._expected = math.inf
            if self._dialogue is not None:
                self._dialogue.late()
        self._schedule()

    def _schedule(self) -> None:
        due = min(self._expected, self._stalled)
        if due == math.inf:
            return  # what hangs on the wheel stays there, for the next time; `late` finds that nothing is due
        earlier = due < self.deadline
        self.deadline = due
        if earlier:
            self._wheel.watch(self)

    def _limit_output(self) -> None:
        if self._transport is not None:
            with contextlib.suppress(AttributeError, NotImplementedError):
                self._transport.set_write_buffer_limits(high=self._backlog, low=self._backlog // 4)

    def _release(self, error: Exception | None) -> None:
        waiting, self._drained = self._drained, None
        if waiting is not None and not waiting.done():
            if error is None:
                waiting.set_result(None)
            else:
                waiting.set_exception(error)
                waiting.exception()  # whoever waits still gets it; nobody waiting is no news for the log


def feed_tls(protocol: asyncio.BaseProtocol, octets: bytes | bytearray) -> None:
    """What arrived before TLS had the transport, into TLS; both asyncio's and uvloop's are buffered protocols."""
    secure = cast(asyncio.BufferedProtocol, protocol)
    view = memoryview(octets)
    while view:
        buffer = memoryview(secure.get_buffer(len(view)))
        size = min(len(buffer), len(view))
        buffer[:size] = view[:size]
        secure.buffer_updated(size)
        view = view[size:]
