"""How much of all messages that are arriving may this process hold at a time?"""


class Intake:
    """The octets of all messages that are arriving or being accepted in this process; bounded, whatever a thousand peers send."""

    __slots__ = ("_held", "_limit")

    def __init__(self, limit: int = 512 << 20) -> None:
        self._limit = limit
        self._held = 0

    @property
    def held(self) -> int:
        """Octets now."""
        return self._held

    @property
    def free(self) -> int:
        """Octets for which there is room now."""
        return self._limit - self._held

    def take(self, octets: int) -> bool:
        """Whether there was room for so many more; they are counted only then."""
        if self._held + octets > self._limit:
            return False
        self._held += octets
        return True

    def give(self, octets: int) -> None:
        """So many fewer."""
        self._held -= octets
