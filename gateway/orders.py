"""What the supervisor and a process that it started say to each other: a word, a number, sometimes a descriptor."""

import asyncio
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

_MOST: Final = 4096


@dataclass(frozen=True, slots=True)
class Order:
    """`text`: the rest of the line; `descriptor`: to be closed by whoever gets it, -1: none."""

    word: str
    text: str = ""
    descriptor: int = -1

    @property
    def number(self) -> int:
        """The rest of the line, where that is a number."""
        return int(self.text)


def pair() -> tuple[socket.socket, socket.socket]:
    """The supervisor's end, which never blocks, and the process's. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    theirs.setblocking(False)
    return ours, theirs


def say(end: socket.socket, word: str, text: str = "", descriptor: int = -1) -> None:
    """Raises OSError where the other end is gone or does not listen."""
    line = f"{word} {text}".encode()[:_MOST]
    if descriptor < 0:
        end.send(line)
    else:
        socket.send_fds(end, [line], [descriptor])


def hear(end: socket.socket) -> Order | None:
    """The next one; None: the other end is gone. Raises BlockingIOError where there is none yet."""
    try:
        line, descriptors, _, _ = socket.recv_fds(end, _MOST, 1)
    except ConnectionError:
        return None
    if not line:
        return None
    word, _, text = line.decode("utf-8", "replace").partition(" ")
    return Order(word, text, descriptors[0] if descriptors else -1)


class Orders:
    """The process's end. `obey` gets each order on the loop. Without its supervisor a process ends at once: nobody would replace it,
    nobody hold the lock for it."""

    def __init__(self, end: socket.socket, obey: Callable[[Order], None]) -> None:
        self._end = end
        self._obey = obey
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(end.fileno(), self._heard)

    def say(self, word: str, text: str = "") -> None:
        """To the supervisor."""
        with suppress(OSError):
            say(self._end, word, text)

    def close(self) -> None:
        """Hears no more."""
        self._loop.remove_reader(self._end.fileno())

    def _heard(self) -> None:
        try:
            order = hear(self._end)
        except BlockingIOError:
            return
        if order is None:
            os._exit(1)
        self._obey(order)
