"""Sockets that are bound before anybody accepts from them, so that several processes can."""

import errno
import os
import socket
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from config.addresses import ListenAddress, TcpAddress, UnixAddress

BACKLOG: Final = 1_024
"""Connections that the kernel keeps for us; a burst of clients after a restart should not meet a refusal."""
UNIX_MODE: Final = 0o660
"""The socket's owner and group: whoever may connect may hand mail in."""

Sockets = Mapping[str, Sequence[socket.socket]]
"""Listener's name → what it listens on."""


class Binding:
    """The sockets of all listeners, by their names; listening, so that what comes waits for the first process that accepts."""

    def __init__(self) -> None:
        self.sockets: dict[str, list[socket.socket]] = {}
        self._paths: list[tuple[Path, int]] = []

    def bind(self, name: str, addresses: Sequence[ListenAddress]) -> None:
        """Raises OSError, which names the address."""
        bound = self.sockets.setdefault(name, [])
        for address in addresses:
            try:
                match address:
                    case TcpAddress(host, port):
                        bound += _tcp(host, port)
                    case UnixAddress(path):
                        bound.append(self._unix(Path(path)))
            except OSError as error:
                raise OSError(error.errno or errno.EADDRNOTAVAIL, error.strerror or str(error), f"listen.{name} {address}") from None

    @property
    def spelled(self) -> dict[str, list[str]]:
        """Where everything listens, as the ready file has it."""
        return {name: [spelled(one) for one in some] for name, some in self.sockets.items()}

    def close(self) -> None:
        """Nobody connects any more, once those that inherited the sockets have closed them too."""
        for some in self.sockets.values():
            for one in some:
                one.close()
        for path, inode in self._paths:
            with suppress(OSError):
                if path.stat().st_ino == inode:  # not the socket of a server that came after us
                    path.unlink()
        self._paths.clear()

    def _unix(self, path: Path) -> socket.socket:
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.stat().st_mode):
                path.unlink()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.bind(str(path))
            path.chmod(UNIX_MODE)
            self._paths.append((path, path.stat().st_ino))
            made.listen(BACKLOG)
        except BaseException:
            made.close()
            raise
        return made


def spelled(bound: socket.socket) -> str:
    """`127.0.0.1:1587`, `[::1]:1587`, `unix:/path`."""
    name = bound.getsockname()
    if not isinstance(name, tuple):
        return f"unix:{os.fsdecode(name)}"
    return str(TcpAddress(name[0], name[1]))


def _tcp(host: str, port: int) -> list[socket.socket]:
    made: list[socket.socket] = []
    try:
        for family, kind, protocol, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE):
            one = socket.socket(family, kind, protocol)
            made.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind(where)
            one.listen(BACKLOG)
    except BaseException:
        for one in made:
            one.close()
        raise
    return made
