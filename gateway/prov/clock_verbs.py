"""The command about a clock that was set back: clock."""

from collections.abc import Sequence
from typing import Final

from gateway.prov.answer import Answer, Usage, lines, moment, stamp
from gateway.prov.verb import Desk, Verb


async def _clock(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments or ("show",)
    match word.lower():
        case "show" if not rest:
            found = await desk.directory.clock.shown()
            told = [f"taken to be {moment(found.now)}"]
            if found.behind:
                told.append(f"the clock is {found.behind // 1_000_000} s behind that: it was set back, or was ahead before")
                told.append("what has ended stays ended; if the clock is right now: procura clock accept")
            return Answer(lines(told), {"now": stamp(found.now), "behind": found.behind // 1_000_000})
        case "accept" if not rest:
            before = await desk.directory.clock.accept()
            return Answer("", {"behind": before.behind // 1_000_000})
        case _:
            raise Usage("show or accept")


VERB: Final = Verb(
    "clock",
    "",
    "[show | accept]",
    "is the clock behind the time that was known here (what has ended stays ended); and that it is right all the same",
    0,
    1,
    _clock,
)
