"""The command `share`: mailboxes that others use too, by presets instead of letters."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.share_changes import TIMES, ChangedShare, ShareChange
from gateway.directory.shares import EndedShare, ShareOrder, SharePlan, ShareView
from gateway.prov.answer import Answer, Usage, lines, moment, stamp, table
from gateway.prov.arguments import moment as read_moment
from gateway.prov.arguments import options
from gateway.prov.right_verbs import remarks
from gateway.prov.verb import Desk, Verb
from policy.cos import DelegatedSent
from policy.grantees import GranteeKind
from policy.grants import in_force
from policy.presets import ADVANCED, NAMES, SIMPLIFIED, letters_in_words, send_in_words
from policy.rights import spell_letters

_LISTS: Final = ("--members", "--folders", "--folder")
_CHANGED_LISTS: Final = ("--add", "--remove", "--folders", "--folder")
_TIMES: Final = ("--from", "--until", "--review")
_VALUED: Final = ("--preset", *_TIMES, "--note", "--sent", "--name")
_FLAGS: Final = ("--on-behalf", "--replace", "--dry-run", "--yes")


async def _share(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments
    match word.lower():
        case "create":
            return await _create(desk, rest)
        case "modify":
            return await _modify(desk, rest)
        case "list":
            return await _list(desk, rest)
        case "show" if len(rest) == 1:
            view = await desk.directory.shares.get(rest[0])
            return Answer(_shown(view), _data(view))
        case "end":
            return await _end(desk, rest)
        case "presets" if not rest:
            return _presets()
        case _:
            raise Usage("create, modify, list, show, end or presets")


def _several(arguments: Sequence[str], lists: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Takes out the options that may be given more than once. `--folder` is one path as it is; the others part at commas."""
    found: dict[str, list[str]] = {name: [] for name in lists}
    rest: list[str] = []
    waiting = list(arguments)
    while waiting:
        one = waiting.pop(0)
        name, equals, value = one.partition("=")
        if name not in found:
            rest.append(one)
            continue
        if not equals and not waiting:
            raise Usage(f"{name} needs a value")
        text = value if equals else waiting.pop(0)
        found[name] += [text] if name == "--folder" else [piece.strip() for piece in text.split(",") if piece.strip()]
    return found, rest


async def _create(desk: Desk, arguments: Sequence[str]) -> Answer:
    several, remaining = _several(arguments, _LISTS)
    read = options(remaining, _FLAGS, _VALUED)
    if len(read.rest) != 1:
        raise Usage("which mailbox?" if not read.rest else f"{read.rest[1]} was not understood")
    if "--preset" not in read.values or not several["--members"]:
        raise Usage("--members and --preset are needed")
    now = await desk.directory.now()
    times = {name: read_moment(read.values[name], now) for name in _TIMES if name in read.values}
    sent = read.values.get("--sent")
    try:
        filed = None if sent is None else DelegatedSent(sent.lower())
    except ValueError:
        raise Usage("--sent is one of " + ", ".join(DelegatedSent)) from None
    order = ShareOrder(
        read.rest[0],
        several["--members"],
        read.values["--preset"],
        "--on-behalf" in read.flags,
        [*several["--folders"], *several["--folder"]],
        times.get("--from"),
        times.get("--until"),
        times.get("--review"),
        read.values.get("--note", ""),
        filed,
        read.values.get("--name", ""),
        "--replace" in read.flags,
    )
    if "--dry-run" in read.flags:
        plan = await desk.directory.shares.plan(order)
        return Answer(lines([*_planned(plan), "nothing was changed yet"]), _plan_data(plan, None))
    number, plan = await desk.directory.shares.create(order)
    return Answer(lines([*_planned(plan), f"share {number}"]), _plan_data(plan, number))


def _planned(plan: SharePlan) -> list[str]:
    deed = plan.deed
    told = [f"{plan.address}: {plan.preset.title} ({plan.preset.name})", *(f"  {one}" for one in plan.words)]
    if deed.not_before is not None:
        told.append(f"  from {moment(deed.not_before)}")
    if deed.expires is not None:
        told.append(f"  until {moment(deed.expires)}, when it ends by itself, in open sessions too")
    if deed.review is not None:
        told.append(f"  to be reviewed by {moment(deed.review)}")
    return told


def _plan_data(plan: SharePlan, number: int | None) -> dict[str, Any]:
    return {
        "share": number,
        "mailbox": plan.address,
        "newMailbox": plan.is_new,
        "preset": plan.preset.name,
        "letters": plan.preset.letters,
        "rights": [*plan.preset.sends],
        "members": [_member(one.grantee.kind, one.name) for one in plan.members],
        "folders": [*plan.paths],
        "from": stamp(plan.deed.not_before),
        "until": stamp(plan.deed.expires),
        "review": stamp(plan.deed.review),
        "note": plan.deed.note,
        "words": [*plan.words],
    }


def _member(kind: GranteeKind, name: str) -> dict[str, str | None]:
    return {"type": str(kind), "name": name or None}


async def _modify(desk: Desk, arguments: Sequence[str]) -> Answer:
    several, remaining = _several(arguments, _CHANGED_LISTS)
    read = options(remaining, _FLAGS, ("--preset", *_TIMES, "--note"))
    if len(read.rest) != 1:
        raise Usage("which share? its number, or its mailbox" if not read.rest else f"{read.rest[1]} was not understood")
    if not any(several.values()) and not read.values and "--on-behalf" not in read.flags:
        raise Usage("what is to be otherwise?")
    now = await desk.directory.now()
    times = {
        field: None if read.values[name].lower() in ("", "none") else read_moment(read.values[name], now)
        for name, field in zip(_TIMES, TIMES, strict=True)
        if name in read.values
    }
    change = ShareChange(
        read.rest[0],
        several["--add"],
        several["--remove"],
        read.values.get("--preset"),
        "--on-behalf" in read.flags,
        [*several["--folders"], *several["--folder"]],
        times,
        read.values.get("--note"),
        "--replace" in read.flags,
    )
    if "--dry-run" in read.flags:
        plan = await desk.directory.share_changes.plan(change)
        return Answer(lines([*_changed(plan), "nothing was changed yet"]), _changed_data(plan))
    plan = await desk.directory.share_changes.modify(change)
    return Answer(lines(_changed(plan)), _changed_data(plan))


def _changed(plan: ChangedShare) -> list[str]:
    before, after = plan.before, plan.after
    told = [f"share {before.id} of {plan.address}: {plan.preset.title} ({plan.preset.name})"]
    if before.preset != after.preset:
        told[0] += f", until now {before.preset}"
    told += [f"  {one}" for one in plan.words]
    for word, old, new, none in (
        ("from", before.not_before, after.not_before, "from now on"),
        ("until", before.expires, after.expires, "without an end"),
        ("to be reviewed by", before.review, after.review, "without a review"),
    ):
        if old != new:
            until_now = "" if old is None else f"; until now {word} {moment(old)}"
            ends = ", when it ends by itself, in open sessions too" if word == "until" else ""
            told.append((f"  {none}" if new is None else f"  {word} {moment(new)}{ends}") + until_now)
    if before.note != after.note:
        told.append(f"  note: {after.note}" if after.note else "  without a note")
    return told if plan.deed is not None else [*told, "  nothing is otherwise than it was"]


def _changed_data(plan: ChangedShare) -> dict[str, Any]:
    after, deed = plan.after, plan.deed
    joining, leaving = ((), ()) if deed is None else (deed.joining, deed.leaving)
    by_grantee = {one.grantee: _member(one.grantee.kind, one.name) for one in plan.members}
    return {
        "share": after.id,
        "mailbox": plan.address,
        "changed": deed is not None,
        "preset": plan.preset.name,
        "letters": plan.preset.letters,
        "rights": [*plan.preset.sends],
        "members": [one for grantee, one in by_grantee.items() if grantee not in leaving],
        "added": [by_grantee[one] for one in joining],
        "removed": [by_grantee[one] for one in leaving],
        "from": stamp(after.not_before),
        "until": stamp(after.expires),
        "review": stamp(after.review),
        "note": after.note,
        "words": [*plan.words],
    }


async def _list(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, valued=("--owner", "--member"))
    if read.rest:
        raise Usage("list [--owner ADDRESS] [--member MEMBER]")
    views = await desk.directory.shares.all(read.values.get("--owner"), read.values.get("--member"))
    if not views:
        return Answer("nothing is shared by presets\n", [])
    told: list[Sequence[object]] = [("Share", "Mailbox", "Preset", "Until", "Members")]
    for view in views:
        until = "-" if view.row.expires is None else moment(view.row.expires)
        told.append(
            (
                view.row.id,
                view.owner,
                view.row.preset,
                f"{until}{_remark(view)}",
                ", ".join(one.name or "everybody" for one in view.members),
            )
        )
    return Answer(table((-5, 30, 14, 25, 0), told), [_data(view) for view in views])


def _remark(view: ShareView) -> str:
    if view.row.expires is not None and view.row.expires <= view.now:
        return " (over)"
    if view.row.review is not None and view.row.review <= view.now:
        return " (review is due)"
    return "" if view.entries or view.sends else " (nothing stands of it)"


def _shown(view: ShareView) -> str:
    row = view.row
    told = [
        f"share {row.id}{_remark(view)}",
        f"mailbox: {view.owner}{' (made with it)' if row.made_mailbox else ''}",
        f"preset: {row.preset}",
    ]
    told += [f"member: {_who(one.grantee.kind, one.name)}" for one in view.members]
    told += [f"created: {moment(row.created)}"]
    told += [
        f"{name}: {moment(at)}" for name, at in (("from", row.not_before), ("until", row.expires), ("review", row.review)) if at is not None
    ]
    told += [f"note: {row.note}"] if row.note else []
    for shared, who in view.entries:
        entry = shared.entry
        letters = spell_letters(entry.rights)
        times = remarks(entry.not_before, entry.expires, "")
        told.append(f"gives: {who} {letters} on {shared.path}: {letters_in_words(letters)}{times}{_now(in_force(entry, view.now))}")
    for grant, who in view.sends:
        times = remarks(grant.not_before, grant.expires, "")
        told.append(f"gives: {who} {grant.right}: {send_in_words(grant.right, view.owner)}{times}{_now(in_force(grant, view.now))}")
    if not view.entries and not view.sends:
        told.append("gives: nothing any more: everything it gave was changed or taken away by hand")
    return lines(told)


def _now(holds: bool) -> str:
    return "" if holds else " (not now)"


def _who(kind: GranteeKind, name: str) -> str:
    return "everybody" if kind is GranteeKind.ALL else f"{kind} {name}"


def _data(view: ShareView) -> dict[str, Any]:
    row = view.row
    return {
        "share": row.id,
        "mailbox": view.owner,
        "madeMailbox": row.made_mailbox,
        "preset": row.preset,
        "members": [_member(one.grantee.kind, one.name) for one in view.members],
        "from": stamp(row.not_before),
        "until": stamp(row.expires),
        "review": stamp(row.review),
        "note": row.note,
        "created": stamp(row.created),
        "folders": [
            {
                "path": one.path,
                "grantee": who,
                "letters": spell_letters(one.entry.rights),
                "until": stamp(one.entry.expires),
                "inForce": in_force(one.entry, view.now),
            }
            for one, who in view.entries
        ],
        "rights": [
            {"right": str(one.right), "grantee": who, "until": stamp(one.expires), "inForce": in_force(one, view.now)}
            for one, who in view.sends
        ],
    }


async def _end(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, ("--delete-mailbox", "--dry-run", "--yes"))
    if len(read.rest) != 1:
        raise Usage("which share? its number, or its mailbox")
    if "--dry-run" in read.flags:
        view = await desk.directory.shares.get(read.rest[0])
        mailbox = f"{view.owner} would be deleted with its mail\n" if "--delete-mailbox" in read.flags else ""
        return Answer(f"{_shown(view)}{mailbox}nothing was changed yet\n", _data(view))
    ended = await desk.directory.shares.end(read.rest[0], delete_mailbox="--delete-mailbox" in read.flags)
    return Answer(_ended(ended), _ended_data(ended))


def _ended(ended: EndedShare) -> str:
    told = [f"share {ended.number} of {ended.owner} has ended"]
    told += [f"  taken away: {one}" for one in ended.taken] or ["  nothing stood of it any more"]
    told += [f"  {one}, which the share did not give" for one in ended.left]
    told.append(f"  {ended.owner} is deleted" if ended.mailbox_deleted else f"  {ended.owner} stays, with its mail")
    return lines(told)


def _ended_data(ended: EndedShare) -> dict[str, Any]:
    return {
        "share": ended.number,
        "mailbox": ended.owner,
        "taken": [*ended.taken],
        "left": [*ended.left],
        "mailboxDeleted": ended.mailbox_deleted,
    }


def _presets() -> Answer:
    told = []
    for title, group in (("simplified", SIMPLIFIED), ("advanced", ADVANCED)):
        told.append(title)
        for one in group:
            does = [letters_in_words(one.letters)] if one.letters else []
            does += [send_in_words(right, "the mailbox") for right in one.sends]
            gives = ", ".join([*([one.letters] if one.letters else []), *one.sends])
            told.append(f"  {one.name:<15} {one.title}: {gives}")
            told += [f"  {'':<15}   {words}" for words in does]
            told += [f"  {'':<15}   --on-behalf gives sendOnBehalfOf for sendAs"] if one.bends else []
            told += [f"  {'':<15}   an existing mailbox needs --folders"] if one.needs_folders else []
    data = [{"name": one.name, "title": one.title, "letters": one.letters, "rights": [*one.sends]} for one in (*SIMPLIFIED, *ADVANCED)]
    return Answer(lines(told), data)


VERB: Final = Verb(
    "share",
    "",
    "create ADDRESS --members M[,M...] --preset "
    + "|".join(NAMES)
    + "\n      [--on-behalf] [--folders PATH[,PATH...]] [--folder PATH] [--from T] [--until T] [--review T] [--note TEXT]"
    + "\n      [--sent owner|sender|both|none] [--name DISPLAY-NAME] [--replace] [--dry-run] [--yes]"
    + "\n    | modify SHARE [--add M[,M...]] [--remove M[,M...]] [--preset P] [--on-behalf] [--folders PATH[,PATH...]] [--folder PATH]"
    + "\n      [--from T] [--until T|none] [--review T|none] [--note TEXT] [--replace] [--dry-run] [--yes]"
    + "\n    | list [--owner A] [--member M] | show SHARE | end SHARE [--delete-mailbox] [--dry-run] [--yes] | presets",
    "a mailbox for several people: one that is there, or a new one without a password; said in words, and asked about at a terminal, before"
    " it is done; M: an account, a list, domain:NAME, cos:NAME, all; SHARE: its number, or its mailbox; modify leaves alone what somebody"
    " changed by hand, unless it is asked to give it again; end takes away what it gave",
    1,
    None,
    _share,
    shows=("create", "modify", "end"),
)
