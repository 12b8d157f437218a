"""How long and how much: durations and sizes as an operator writes them."""

from __future__ import annotations

import math
import re
from typing import Final

_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
_OCTETS: Final = {"": 1, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30}
_DURATION: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([a-z]?)")
_SIZE: Final = re.compile(r"([0-9]{1,18}) ?([a-z]*)")


def read_duration(value: object) -> float:
    """Seconds from a number of seconds or a text such as ``90s``, ``15m``, ``4h`` or ``5d``.

    Raises ValueError, with a sentence for the operator, for anything else and for negative or endless durations.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value) or value < 0:
            raise ValueError("must be a duration of zero or more seconds")
        return float(value)
    found = _DURATION.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if found is None or found[2] not in _SECONDS:
        raise ValueError('must be a duration: seconds, or a number with s, m, h or d such as "15m"')
    return float(found[1]) * _SECONDS[found[2]]


def read_size(value: object) -> int:
    """Octets from a number of octets or a text such as ``64 KiB``, ``50 MiB`` or ``1 GiB``.

    Raises ValueError, with a sentence for the operator, for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 0:
            raise ValueError("must be a size of zero or more octets")
        return value
    found = _SIZE.fullmatch(value.strip().lower()) if isinstance(value, str) else None
    if found is None or found[2] not in _OCTETS:
        raise ValueError('must be a size: octets, or a number with KiB, MiB or GiB such as "50 MiB"')
    return int(found[1]) * _OCTETS[found[2]]


def write_duration(seconds: float) -> str:
    """The shortest text that `read_duration` reads back as these seconds."""
    for unit in ("d", "h", "m"):
        count, rest = divmod(seconds, _SECONDS[unit])
        if count and not rest:
            return f"{count:.0f}{unit}"
    return f"{seconds:f}".rstrip("0").rstrip(".") + "s"


def write_size(octets: int) -> str:
    """The shortest text that `read_size` reads back as these octets."""
    for unit, name in (("gib", "GiB"), ("mib", "MiB"), ("kib", "KiB")):
        count, rest = divmod(octets, _OCTETS[unit])
        if count and not rest:
            return f"{count} {name}"
    return str(octets)
