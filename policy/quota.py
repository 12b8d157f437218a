"""When is an owner to be warned that the room is nearly used up?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Octets used, and those there are; `limit` 0: no limit."""

    used: int
    limit: int

    @property
    def percent(self) -> int:
        """How much of the room is used, rounded down; 0 where there is no limit."""
        return self.used * 100 // self.limit if self.limit > 0 else 0


def is_warning_due(usage: Usage, percent: int, interval: int, warned: int | None, now: int) -> bool:
    """Carbonio's zimbraQuotaWarnPercent and zimbraQuotaWarnInterval: `percent` of the room is used (0: nobody is warned), and the last
    warning is `interval` seconds ago. `warned`: when it was, in microseconds as `now` is; None: there was none.

    A clock that was set back does not silence warnings: one from the future counts for nothing.
    """
    if not percent or usage.limit <= 0 or usage.used * 100 < usage.limit * percent:
        return False
    return warned is None or not 0 <= now - warned < interval * 1_000_000
