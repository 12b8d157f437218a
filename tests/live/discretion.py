"""What holds of every server of the tests when it has ended: no password is on its log, and nobody else may read what it keeps."""

from __future__ import annotations

import base64
import re
import stat
from pathlib import Path

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def spellings(secret: str) -> list[bytes]:
    """The octets themselves, and what base64 makes of them wherever they begin in what it was given."""
    plain = secret.encode()
    found = [plain]
    for before in range(3):
        # The first and the last letters depend on the neighbours too.
        shift = base64.b64encode(b"\0" * before + plain)
        found.append(shift[-(-before * 8 // 6) : len(shift) - 4])
    return found


def betrayed(log: Path, secret: str) -> list[str]:
    """Lines of the log that have it in any spelling; a device keeps none."""
    if not log.is_file():
        return []
    pattern = re.compile(b"|".join(re.escape(spelling) for spelling in spellings(secret)))
    return [line.decode(errors="replace") for line in log.read_bytes().splitlines() if pattern.search(line)]


def legible(data: Path) -> list[str]:
    """What others than the owner could read, write or enter, if the directory itself let them in."""
    found = []
    for path in [data, *data.rglob("*")]:
        try:
            mode = path.lstat().st_mode
        except FileNotFoundError:  # gone meanwhile
            continue
        if mode & OTHERS and not stat.S_ISLNK(mode):
            found.append(f"{path.relative_to(data.parent)} {stat.filemode(mode)}")
    return found
