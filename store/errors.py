"""How the store says no."""


class StoreError(Exception):
    """Any of the failures below."""


class NotFound(StoreError):
    """What was named is not there; the message names it."""


class Conflict(StoreError):
    """It is there already, or something else stands in the way; the message names it."""


class Stale(StoreError):
    """The witness no longer holds: judge again on a new snapshot."""


class Busy(StoreError):
    """Not now: the disk is full, an input/output error, the writer is overloaded or stopping. Nothing was done. Always "later"."""


class Full(Busy):
    """There is no room on the disk. Nothing was done."""


class Broken(Busy):
    """A constraint of the database forbids it: a mistake of ours, which is in the log. Nothing was done."""


class OverQuota(StoreError):
    """The owner's quota leaves no room. Nothing was done."""


class LimitReached(StoreError):
    """A bound of the store (keywords of a folder, depth of a path ...); the message names it."""


class GrantsFull(LimitReached):
    """Something has as many grants as it may have."""


class InUse(StoreError):
    """Another process has the data directory; the message names it and, where known, its process id."""


class Unusable(StoreError):
    """The store cannot be opened as it is: a newer schema, a damaged file, rights that are missing. The message says which."""
