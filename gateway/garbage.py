"""How often does the collector look for cycles, and at what?"""

import gc
from typing import Final

YOUNG: Final = 10_000
"""Objects made and not gone before it looks at the new ones. Python's 700 are made by one mail and a half; a look then costs a twentieth of
what the mail does, and finds next to nothing: connections, tasks and messages are taken apart as they end."""


def look_seldom() -> None:
    """Once everything is up: what is there by now stays, and is looked at no more."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
