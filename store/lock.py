"""Only one process writes: the lock file that says whose turn it is."""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from store.errors import InUse, Unusable


@dataclass(slots=True)
class Lock:
    """Held until `release`, or until the process ends, however it ends."""

    path: Path
    _descriptor: int = -1

    def take(self) -> None:
        """Raises InUse when another process (or another part of this one) has it, Unusable when the file cannot be made."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unusable(f"{self.path}: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            named = f" (process {holder})" if holder.isdigit() else ""
            raise InUse(f"another procura{named} has {self.path.parent}") from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        self._descriptor = descriptor

    def release(self) -> None:
        """May be called twice."""
        if self._descriptor >= 0:
            # The file stays: taking it away would let two processes lock two files of one name.
            os.close(self._descriptor)
            self._descriptor = -1
