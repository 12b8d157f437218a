"""How often an octet stands in others: line ends are counted in all that comes."""

from typing import Final

_SHORT: Final = 64 * 1024


def occurrences(octets: bytes | bytearray, octet: bytes, start: int = 0, end: int | None = None) -> int:
    """As `count`, which looks at every octet; `replace` jumps from one to the next, in a third of the time where lines are as people
    write them, and in more where they are empty: so not in what is long."""
    if (len(octets) if end is None else end) - start > _SHORT:
        return octets.count(octet, start, end)
    text = octets[start:end]
    return len(text) - len(text.replace(octet, b""))
