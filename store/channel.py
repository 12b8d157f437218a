"""Values in their order from one process of ours to another, over a socketpair that has no name.

Both ends are forks of one program: what travels is pickled, and nobody else can write into a socketpair.
"""

import asyncio
import pickle
import socket
from collections.abc import Callable, Mapping
from copyreg import dispatch_table
from io import BytesIO
from struct import Struct
from types import MappingProxyType
from typing import Any, Final, cast

_LENGTH: Final = Struct("!I")
LARGEST: Final = 256 << 20
"""Octets of one value: many times the largest that any deed has (large messages lie in files already, store/blobs.py)."""
BUFFER: Final = 1 << 20
"""Octets that the kernel keeps for each direction."""


def _frozen(values: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(values)


_REDUCED: Final = {**dispatch_table, MappingProxyType: lambda mapping: (_frozen, (dict(mapping),))}


def packed(value: Any) -> bytes:
    """Octets that `unpacked` makes an equal value of."""
    buffer = BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _REDUCED
    pickler.dump(value)
    return buffer.getvalue()


def unpacked(octets: bytes) -> Any:
    """What `packed` was given."""
    return pickle.loads(octets)  # noqa: S301 - our own process packed it


Fault = tuple[type[BaseException], tuple[Any, ...], Mapping[str, Any]]
"""An exception on its way: pickle would make it anew by its constructor, which may want something else than its words."""


def told(error: BaseException) -> Fault:
    """The exception as it travels."""
    return type(error), error.args, vars(error)


def raised(fault: Fault) -> BaseException:
    """The exception that `told` was given, as far as others can see it."""
    kind, arguments, state = fault
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    vars(error).update(state)
    return error


def pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a new channel. Raises OSError."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in ends:
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    return ends


class Channel(asyncio.Protocol):
    """One end. `made` gets it before anything else happens; `received` each value, in order, on the loop; `ended` is called once, when
    the other end is gone or was closed."""

    def __init__(self, made: "Callable[[Channel], None]", received: Callable[[Any], None], ended: Callable[[], None]) -> None:
        self._made = made
        self._received = received
        self._ended = ended
        self._inbox = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop has it."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class
        # What waits is bounded by those who send; the loop must not be told to pause for it.
        self._transport.set_write_buffer_limits(high=LARGEST)
        self._made(self)

    def data_received(self, data: bytes) -> None:
        """Octets came: as many whole values as there are."""
        inbox = self._inbox
        inbox += data
        at = 0
        while len(inbox) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(inbox, at)
            end = at + _LENGTH.size + length
            if len(inbox) < end:
                break
            with memoryview(inbox) as view:
                value = pickle.loads(view[at + _LENGTH.size : end])  # noqa: S301 - our own process packed it
            at = end
            self._received(value)
        if at:
            del inbox[:at]

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end is gone."""
        self._transport = None
        self._ended()

    @property
    def waiting(self) -> int:
        """Octets that the other end has not taken yet."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, value: Any) -> None:
        """To the other end, if it is still there: what is sent to one that is gone, nobody gets."""
        self.send_packed(packed(value))

    def send_packed(self, octets: bytes) -> None:
        """The same, for what is packed already."""
        if self._transport is not None:
            self._transport.write(_LENGTH.pack(len(octets)) + octets)

    def close(self) -> None:
        """Sends what waits, and ends."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends at once."""
        if self._transport is not None:
            self._transport.abort()


async def join(end: socket.socket, made: Callable[[Channel], None], received: Callable[[Any], None], ended: Callable[[], None]) -> None:
    """A channel on this end, which belongs to it from now on. Raises OSError."""
    end.setblocking(False)
    await asyncio.get_running_loop().create_unix_connection(lambda: Channel(made, received, ended), sock=end)
