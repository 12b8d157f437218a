"""How much may be sent in how much time?"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 31 * 86400
"""Seconds: what was sent is remembered no longer."""
MOST: Final = 10_000_000

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RATE: Final = re.compile(r"([0-9]{1,8})\s*/\s*([0-9]{0,7})([smhd]?)")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `count` within any `seconds` in a row. `count` 0: no limit."""

    count: int = 0
    seconds: int = 0

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        if not self:
            return "0"
        number, unit = next((self.seconds // size, unit) for unit, size in reversed(_UNITS.items()) if self.seconds % size == 0)
        return f"{self.count}/{number}{unit}"

    def fits(self, used: int, asked: int) -> bool:
        """May so many more be sent where so many were within the time?"""
        return not self or used + asked <= self.count


UNLIMITED: Final = Rate()


def read_rate(text: str) -> Rate:
    """`200/1h`, `20/m`, `5000/7d`; `0` is no limit. Raises ValueError with what it has to look like."""
    text = text.strip().lower()
    if text == "0":
        return UNLIMITED
    found = _RATE.fullmatch(text) if text.isascii() else None
    if found is not None and (found[2] or found[3]):
        count, seconds = int(found[1]), int(found[2] or "1") * _UNITS[found[3] or "s"]
        if count == 0:
            return UNLIMITED
        if count <= MOST and 0 < seconds <= LONGEST:
            return Rate(count, seconds)
    raise ValueError("how many in how much time: 200/1h, 20/30m or 5000/7d (31d at most); 0 is no limit")


@dataclass(frozen=True, slots=True)
class RateLimit:
    """What an actor may send in the name of this principal (0: in whoever's, the own included)."""

    actor: int
    principal: int = 0
    messages: Rate = UNLIMITED
    recipients: Rate = UNLIMITED

    def __bool__(self) -> bool:
        return bool(self.messages) or bool(self.recipients)


def limits(actor: int, own: tuple[Rate, Rate], names: Iterable[tuple[int, Rate, Rate]]) -> tuple[RateLimit, ...]:
    """Every limit that a message counts for: the actor's own (messages, recipients), and that of each principal in whose `names` it goes
    out (id, messages, recipients)."""
    found = [RateLimit(actor, 0, *own), *(RateLimit(actor, principal, *rates) for principal, *rates in dict.fromkeys(names))]
    return tuple(one for one in found if one)
