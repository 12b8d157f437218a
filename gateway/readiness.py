"""Who is told that everything listens, and that the end has begun: a file, and the manager of services that started us."""

import json
import logging
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Readiness:
    """`file`: where the bound addresses are written. `manager`: the datagram socket of sd_notify(3), @ for one without a name in the file
    system; None where nobody waits for it."""

    file: Path | None = None
    manager: str | None = None

    def serving(self, bound: Mapping[str, Sequence[str]]) -> None:
        """Everything listens there. Raises OSError where the file cannot be written."""
        if self.file is not None:
            # Whole by rename: who sees the file may connect.
            draft = self.file.with_name(self.file.name + ".new")
            draft.write_text(json.dumps(bound) + "\n")
            draft.rename(self.file)
        self._tell("READY=1")

    def stopping(self) -> None:
        """No connection is accepted from now on."""
        self._tell("STOPPING=1")

    def _tell(self, words: str) -> None:
        if not self.manager:
            return
        address = "\0" + self.manager[1:] if self.manager.startswith("@") else self.manager
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as told:
                told.sendto(words.encode(), address)
        except OSError as fault:
            # It serves all the same; the manager has a deadline of its own.
            log.warning("service manager not told", extra={"fields": {"reason": str(fault), "outcome": words}})
