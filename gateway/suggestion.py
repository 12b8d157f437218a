"""What would change a decision, as lines that can be typed."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Lines for `procura prov`, and those that take it back exactly. `givers`: who may do it, in words; `replaces`: the grant that it
    would take the place of, "" where there is none."""

    apply: Sequence[str]
    undo: Sequence[str]
    replaces: str
    givers: Sequence[str]


def line(*some: str) -> str:
    """As a shell and `procura prov` read it."""
    return " ".join(shlex.quote(one) for one in some)
