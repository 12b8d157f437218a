"""Under which number a decision is on record and is quoted to the person whom it refused."""

import secrets
from typing import Final

OCTETS: Final = 6
"""Each process draws them for itself: of a million two are the same in one installation of 500; of four octets it would be a hundred pairs
in each."""


def new_decision() -> str:
    """One that no process on no node has given."""
    return f"d-{secrets.token_hex(OCTETS)}"
