"""How much memory may messages that are arriving take here: the system, or a control group, ends whoever asks for more than there is."""

import ctypes
import os
import re
import resource
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

COPIES: Final = 4
"""A message that is being accepted is there so many times at once at most: as it came, without its stuffing, with a field added, and in
pieces on the way to that."""

BESIDES: Final = 1
"""As much again as one of them: pages of the database, caches, and what else grows while the server works."""

LARGE: Final = 1 << 20
"""Octets from which a piece of memory is the system's own, and goes back to it at once."""

_MMAP_THRESHOLD: Final = -3
"""mallopt(3)"""

PROC: Final = Path("/proc/self")
GROUPS: Final = Path("/sys/fs/cgroup")


def bounded(wanted: int, at_least: int, processes: int = 1, free: int | None = None) -> int:
    """Octets of messages that so many processes let in together, `wanted` where there is memory enough; `at_least`, one message, where
    there is none. `free`: None asks the system."""
    left = _free(processes) if free is None else free
    return wanted if left is None else min(wanted, max(at_least, left // (COPIES + BESIDES)))


def give_back_what_is_large() -> None:
    """By itself the C library keeps what large messages needed once they are many, up to 32 MiB each, between smaller pieces."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, LARGE)


def _free(processes: int) -> int | None:
    """Octets that so many processes like this one can still get, also where one of them gets it all; None: nothing is known."""
    used = _used()
    bounds = [*_of_groups(PROC / "cgroup", GROUPS), *_of_the_machine()]
    found = [bound - processes * used["VmRSS"] for bound in bounds]
    space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if space != resource.RLIM_INFINITY:
        found.append(space - used["VmSize"])
    return max(0, min(found)) if found else None


def _used() -> dict[str, int]:
    try:
        said = (PROC / "status").read_text()
    except OSError:
        said = ""
    return {
        "VmRSS": 0,
        "VmSize": 0,
        **{name: int(number) * 1024 for name, number in re.findall(r"^(VmRSS|VmSize):\s+(\d+) kB", said, re.MULTILINE)},
    }


def _of_the_machine() -> Sequence[int]:
    try:
        return [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (ValueError, OSError):
        return []


def _of_groups(mine: Path, groups: Path) -> Iterator[int]:
    """The bounds of the control group that this process is in, and of those above it (cgroups(7), both versions)."""
    try:
        lines = mine.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            top, file = groups, "memory.max"
        elif "memory" in controllers.split(","):
            top, file = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        place = top / path.strip("/")
        # In a container the path may be the host's: then its own group is mounted at the top.
        for one in (place, *place.parents):
            if one == top or top in one.parents:
                yield from _number(one / file)


def _number(file: Path) -> Iterator[int]:
    try:
        said = file.read_text().strip()
    except OSError:
        return
    if said.isdecimal():
        yield int(said)
