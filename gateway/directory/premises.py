"""Where everything lies that an installation keeps, for whoever looks after it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gateway.delivery import Delivery
from store.blobs import Files

Told = Callable[[str, int, int], None]
"""What is being done, how much of it is done, out of how much (0: nobody knows). Called on the loop."""


@dataclass(frozen=True, slots=True)
class Premises:
    """`data`: the directory of settings.data; `index_faults`: what is wrong with search.db (blocks); `keep_deleted`: for how long deleted
    accounts can be restored, microseconds. `delivery` None: nobody is told anything by mail."""

    data: Path
    files: Files
    index_faults: Callable[[], Sequence[str]]
    keep_deleted: int = 0
    delivery: Delivery | None = None
