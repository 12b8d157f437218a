"""How much of all messages that are arriving may the processes that serve together hold at a time?"""

from gateway.tallies import Amount, OwnAmount


class Intake:
    """The octets of all messages that are arriving or being accepted; bounded, whatever a thousand peers send. `amount`: where the
    processes count them together."""

    __slots__ = ("_amount", "_limit")

    def __init__(self, limit: int = 512 << 20, amount: Amount | None = None) -> None:
        self._limit = limit
        self._amount = amount or OwnAmount()

    @property
    def held(self) -> int:
        """Octets now."""
        return self._amount.all()

    @property
    def free(self) -> int:
        """Octets for which there is room now."""
        return self._limit - self._amount.all()

    def take(self, octets: int) -> bool:
        """Whether there was room for so many more; they are counted only then."""
        if self._amount.add(octets) > self._limit:
            self._amount.take(octets)
            return False
        return True

    def give(self, octets: int) -> None:
        """So many fewer."""
        self._amount.take(octets)
