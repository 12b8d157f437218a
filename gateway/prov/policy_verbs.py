"""`procura policy`: what decides as a file, what another file would change for whom, putting it in force, taking that back."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.policy_data import Planned
from gateway.prov.answer import Answer, Usage, lines
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb
from policy.document import Change
from policy.plan import Effect

_USAGE: Final = "export | plan FILE | apply FILE [--state STATE] | rollback"


async def _policy(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments
    match word.lower():
        case "export":
            if rest:
                raise Usage("export takes nothing more")
            text = await desk.directory.policy.export()
            return Answer(text, {"policy": text})
        case "plan":
            if len(rest) != 1:
                raise Usage("plan FILE (- is standard input)")
            return _told(await desk.directory.policy.plan(rest[0]), "would")
        case "apply":
            *typed, text = rest or [""]
            read = options(typed, valued=("--state",))
            if not rest or read.rest:
                raise Usage("apply FILE [--state STATE] (- is standard input; the state is what plan told)")
            return _told(await desk.directory.policy.apply(text, read.values.get("--state")), "")
        case "rollback":
            if rest:
                raise Usage("rollback takes nothing more")
            return _told(await desk.directory.policy.rollback(), "")
        case _:
            raise Usage(f"there is no {word}: {_USAGE}")


def _told(planned: Planned, would: str) -> Answer:
    plan = planned.plan
    told = [f"state {planned.state}", f"{len(plan.changes)} changes{':' if plan.changes else ''}"]
    told += [f"  {one}" for one in plan.changes]
    told.append("nobody gains or loses anything now" if not plan.effects else f"who {would + ' ' if would else ''}gain or lose:")
    told += [f"  {one}" for one in plan.effects]
    if not plan.complete:
        told.append(f"and more: only the first {plan.judged} decisions were compared")
    data: dict[str, Any] = {
        "state": planned.state,
        "changes": [_change(one) for one in plan.changes],
        "effects": [_effect(one) for one in plan.effects],
        "judged": plan.judged,
        "complete": plan.complete,
    }
    return Answer(lines(told), data)


def _change(one: Change) -> dict[str, Any]:
    return {"key": [*one.key], "before": one.before, "after": one.after}


def _effect(one: Effect) -> dict[str, Any]:
    return {"actor": one.actor, "gains": one.gains, "what": one.what, "target": one.target, "folder": one.folder}


VERB: Final = Verb(
    "policy",
    "",
    _USAGE,
    "everything that decides as one TOML file, without secrets: see it, see who would gain or lose what, put a changed one in force whole "
    "or not at all, take the last one back",
    1,
    None,
    _policy,
)
