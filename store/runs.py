"""Sets of UIDs as runs, and the keys under which a folder's rows lie: folder * 2**32 + UID."""

from collections.abc import Iterable, Sequence

from store.model import Run

LAST_UID = (1 << 32) - 1


def key(folder: int, uid: int) -> int:
    """`uid` 0 stands before all of them."""
    return (folder << 32) + uid


def span(folder: int) -> tuple[int, int]:
    """The first and last key that the folder's rows can have."""
    return key(folder, 0), key(folder, LAST_UID)


def runs_of(uids: Iterable[int]) -> tuple[Run, ...]:
    """The runs of UIDs that come in ascending order without doubles."""
    found: list[Run] = []
    low = high = -1
    for uid in uids:
        if uid == high + 1 and low >= 0:
            high = uid
            continue
        if low >= 0:
            found.append((low, high))
        low = high = uid
    if low >= 0:
        found.append((low, high))
    return tuple(found)


def merged(runs: Sequence[Run]) -> list[Run]:
    """The same set of UIDs, ascending, without overlaps, within 1..2**32-1; empty runs are left out."""
    if len(runs) == 1 and 1 <= runs[0][0] <= runs[0][1] <= LAST_UID:
        return [*runs]
    found: list[Run] = []
    for low, high in sorted((max(1, low), min(high, LAST_UID)) for low, high in runs):
        if low > high:
            continue
        if found and low <= found[-1][1] + 1:
            if high > found[-1][1]:
                found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def common(left: Sequence[Run], right: Sequence[Run]) -> list[Run]:
    """What is in both; both as `merged` makes them, and so is what comes out."""
    found: list[Run] = []
    at = 0
    for low, high in left:
        while at < len(right) and right[at][1] < low:
            at += 1
        here = at
        while here < len(right) and right[here][0] <= high:
            found.append((max(low, right[here][0]), min(high, right[here][1])))
            here += 1
    return found


def without(runs: Sequence[Run], taken: Sequence[Run]) -> list[Run]:
    """What of `runs` is not in `taken`; both as `merged` makes them, and so is what comes out."""
    left: list[Run] = []
    number = 0
    for low, high in runs:
        while number < len(taken) and taken[number][1] < low:
            number += 1
        here = number
        while here < len(taken) and taken[here][0] <= high:
            if taken[here][0] > low:
                left.append((low, taken[here][0] - 1))
            low = taken[here][1] + 1
            here += 1
        if low <= high:
            left.append((low, high))
    return left
