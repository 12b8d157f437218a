"""When is somebody told that a grant is going to end?"""

MOST: int = 366 * 86400
"""Seconds: nobody is told earlier than that."""
LEAST: int = 3600
"""Seconds: what is over sooner than twice that is not announced, unless the setting itself is shorter."""


def announced_at(given: int, not_before: int | None, expires: int, before: int) -> int | None:
    """`before` seconds before the end, but not before half its time is over; None: not at all.

    Times in microseconds since 1970 UTC; a grant's time begins when it was given, or later with `not_before`.
    """
    begins = given if not_before is None else max(given, not_before)
    half = max(0, expires - begins) // 2
    wanted = min(before, MOST) * 1_000_000
    lead = min(wanted, half)
    if lead <= 0 or (lead < wanted and lead < LEAST * 1_000_000):
        return None
    return expires - lead
