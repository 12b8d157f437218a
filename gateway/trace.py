"""How a decision came about, on its way into the record and back out of it."""

import json
from typing import Final

from policy.decision import Decision, Step
from policy.grantees import Grantee, GranteeKind

STEPS: Final = 64
"""Kept of one decision; the steps that decided are kept before all others."""
TEXT: Final = 2000
"""Characters kept of one piece of a step: details may quote what a stranger wrote."""


def spell_trace(decision: Decision) -> str:
    """JSON: for each step whether it decided, and its pieces; a grantee is its kind and number, so that it can be called by its name."""
    steps = decision.trace
    if len(steps) > STEPS:
        kept = {id(one) for one in [*(one for one in steps if one.decided), *steps][:STEPS]}
        steps = tuple(one for one in steps if id(one) in kept)
    return json.dumps([[int(one.decided), _pieces(one)] for one in steps], ensure_ascii=False, separators=(",", ":")) if steps else ""


def _pieces(one: Step) -> list[object]:
    parts = one.parts or (one.text,)
    return [part[:TEXT] if isinstance(part, str) else [part.kind.value, part.id] for part in parts]


def read_trace(text: str) -> tuple[Step, ...]:
    """What was kept; nothing for what was never spelled so."""
    try:
        found = json.loads(text) if text else []
        return tuple(_step(one) for one in found)
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()


def _step(said: object) -> Step:
    if not isinstance(said, list) or len(said) != 2 or not isinstance(said[1], list):
        raise ValueError
    parts: list[str | Grantee] = []
    for part in said[1]:
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, list) and len(part) == 2 and type(part[1]) is int:
            parts.append(Grantee(GranteeKind(part[0]), part[1]))
        else:
            raise ValueError
    return Step("".join(map(str, parts)), said[0] == 1, parts=tuple(parts))
