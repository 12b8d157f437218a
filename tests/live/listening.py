"""A port of a next hop's, and a thread for each that connects."""

from __future__ import annotations

import socket
import threading
from abc import ABC, abstractmethod


class Listening(ABC):
    """From the beginning, until `close`. What it serves with has to be there before."""

    def __init__(self, backlog: int = 100) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=backlog)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """No more connections."""
        self._listener.close()

    @abstractmethod
    def serve(self, peer: socket.socket) -> None:
        """One connection; an OSError ends it."""

    def _listen(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._guarded, args=(peer,), daemon=True).start()

    def _guarded(self, peer: socket.socket) -> None:
        try:
            with peer:
                self.serve(peer)
        except OSError:
            pass
