"""The verbs of `selectMailbox`: somebody's folders, and who was given what on them."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.mailboxes import EntryView, FolderView, Removed, read_rights
from gateway.prov.answer import Answer, Usage, lines, stamp, table
from gateway.prov.arguments import moment as read_moment
from gateway.prov.arguments import options
from gateway.prov.right_verbs import remarks
from gateway.prov.verb import Desk, Verb
from policy.folders import SpecialUse
from policy.grantees import GranteeKind
from policy.rights import spell_letters

_NOBODY: Final = ("", "all", "everybody", "anyone")


async def _modify_grant(desk: Desk, arguments: Sequence[str]) -> Answer:
    owner, *rest = arguments
    read = options(rest, ("--block",), ("--from", "--until", "--note", "--review"))
    if len(read.rest) < 3:
        raise Usage("a folder, a grantee and the letters are needed")
    path, word, *named = read.rest
    try:
        kind = GranteeKind(word.lower())
    except ValueError:
        raise Usage(f"no grantee type {word}: " + ", ".join(GranteeKind)) from None
    *grantee, letters = named
    if kind is GranteeKind.ALL:
        if len(grantee) > 1 or (grantee and grantee[0].lower() not in _NOBODY):
            raise Usage("all has no name")
        grantee = [""]
    if len(grantee) != 1:
        raise Usage(f"which {word}?" if not grantee else "too many arguments")
    now = await desk.directory.now()
    times = {name: read_moment(read.values[name], now) for name in ("--from", "--until", "--review") if name in read.values}
    rights = read_rights(letters)
    block = "--block" in read.flags
    if block and rights:
        raise Usage("--block goes with none")
    if not rights and (times or (read.values.get("--note") and not block)):
        raise Usage("none carries no time" if times else "none carries no note")
    if not rights and not block:
        removed = await desk.directory.mailboxes.revoke(owner, path, kind, grantee[0])
        who = "everybody" if kind is GranteeKind.ALL else f"{kind} {grantee[0]}"
        return Answer(_removed(removed, path, who), _removed_data(removed))
    await desk.directory.mailboxes.grant(
        owner,
        path,
        kind,
        grantee[0],
        rights,
        not_before=times.get("--from"),
        expires=times.get("--until"),
        note=read.values.get("--note", ""),
        review=times.get("--review"),
    )
    return Answer()


def _removed(removed: Removed, path: str, who: str) -> str:
    told = [] if removed.entry_removed else [f"there was no entry for {who} on {path}"]
    if removed.inherited is not None:
        letters = spell_letters(removed.inherited.entry.rights)
        told.append(f"{who} still has {letters} on {path}, inherited from {removed.inherited.path}; --block ends that here")
    for name, one in removed.others:
        told.append(f"{who} still has {spell_letters(one.entry.rights)} on {path} as one of {name}, granted on {one.path}")
    return lines(told)


def _removed_data(removed: Removed) -> dict[str, Any]:
    inherited = removed.inherited
    return {
        "removed": removed.entry_removed,
        "inherited": None if inherited is None else {"rights": spell_letters(inherited.entry.rights), "from": inherited.path},
        "others": [{"grantee": name, "rights": spell_letters(one.entry.rights), "folder": one.path} for name, one in removed.others],
    }


async def _get_grant(desk: Desk, arguments: Sequence[str]) -> Answer:
    found = await desk.directory.mailboxes.entries(arguments[0], arguments[1])
    rows: list[Sequence[object]] = [("Permissions", "Type", "Display"), ("-----------", "--------", "-------")]
    rows += [(spell_letters(one.entry.rights), one.entry.grantee.kind, _display(one)) for one in found]
    return Answer(table((-11, -8, 0), rows), [_entry_data(one) for one in found])


def _display(one: EntryView) -> str:
    inherited = f" (inherited from {one.inherited_from})" if one.inherited_from else ""
    over = "" if one.in_force else " (not now)"
    return f"{one.name}{remarks(one.entry.not_before, one.entry.expires, one.entry.note, one.entry.review)}{inherited}{over}"


def _entry_data(one: EntryView) -> dict[str, Any]:
    return {
        "rights": spell_letters(one.entry.rights),
        "type": str(one.entry.grantee.kind),
        "id": one.entry.grantee.id or None,
        "name": one.name,
        "from": stamp(one.entry.not_before),
        "until": stamp(one.entry.expires),
        "note": one.entry.note,
        "review": stamp(one.entry.review),
        "inheritedFrom": one.inherited_from or None,
        "inForce": one.in_force,
    }


async def _all_folders(desk: Desk, arguments: Sequence[str]) -> Answer:
    found = await desk.directory.mailboxes.folders(arguments[0])
    rows: list[Sequence[object]] = [
        ("Id", "View", "Unread", "Msg Count", "Path"),
        ("----------", "----", "----------", "----------", "----------"),
    ]
    rows += [(one.row.id, _view(one), one.unread, one.row.exists, _path(one)) for one in found]
    return Answer(table((-10, -4, -10, -10, 0), rows), [_folder_data(one) for one in found])


def _view(one: FolderView) -> str:
    return "appo" if one.row.special_use is SpecialUse.CALENDAR else "mess"


def _path(one: FolderView) -> str:
    return f"{one.owner}:{one.row.path} ({one.rights})" if one.owner else one.row.path


def _folder_data(one: FolderView) -> dict[str, Any]:
    return {
        "id": one.row.id,
        "view": "appointment" if one.row.special_use is SpecialUse.CALENDAR else "message",
        "unread": one.unread,
        "messages": one.row.exists,
        "size": one.row.size,
        "path": one.row.path,
        "owner": one.owner or None,
        "rights": one.rights or None,
        "specialUse": None if one.row.special_use is None else str(one.row.special_use),
        "inherit": not one.row.no_inherit,
        "seen": "private" if one.row.seen_private else "shared",
        "subscribe": "auto" if one.row.subscribe_auto else "manual",
    }


async def _create(desk: Desk, arguments: Sequence[str]) -> Answer:
    made = await desk.directory.mailboxes.create(arguments[0], arguments[1])
    return Answer(f"{made.id}\n", {"id": made.id, "path": made.path})


async def _delete(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.mailboxes.delete(arguments[0], arguments[1])
    return Answer()


async def _rename(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.mailboxes.rename(arguments[0], arguments[1], arguments[2])
    return Answer()


_SWITCHES: Final[dict[str, tuple[str, dict[str, bool]]]] = {
    "inherit": ("inherit", {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}),
    "seen": ("seen_private", {"shared": False, "private": True}),
    "subscribe": ("subscribe_auto", {"auto": True, "manual": False}),
}


async def _modify(desk: Desk, arguments: Sequence[str]) -> Answer:
    owner, path, *rest = arguments
    if len(rest) % 2:
        raise Usage(f"no value for {rest[-1]}")
    changes: dict[str, bool] = {}
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        switch = _SWITCHES.get(name.lower())
        if switch is None:
            raise Usage(f"no switch {name}: " + ", ".join(_SWITCHES))
        wanted = switch[1].get(value.lower())
        if wanted is None:
            raise Usage(f"{name} is {' or '.join(list(switch[1])[:2] if name.lower() != 'inherit' else ['true', 'false'])}, not {value}")
        changes[switch[0]] = wanted
    await desk.directory.mailboxes.switch(
        owner,
        path,
        inherit=changes.get("inherit"),
        seen_private=changes.get("seen_private"),
        subscribe_auto=changes.get("subscribe_auto"),
    )
    return Answer()


_GRANTEE: Final = "account|group|domain|cos|all NAME"

# The account stands first in the arguments: `selectMailbox` puts it there.
VERBS = (
    Verb(
        "modifyFolderGrant",
        "mfg",
        f"PATH {_GRANTEE} LETTERS|none [--from T] [--until T] [--note TEXT] [--review T] [--block]",
        "letters of rwixda; none takes the entry away, --block keeps out what is inherited",
        4,
        None,
        _modify_grant,
    ),
    Verb("getFolderGrant", "gfg", "PATH", "who has which rights there, inherited ones too", 2, 2, _get_grant),
    Verb("getAllFolders", "gaf", "", "own folders, and those of others that may be seen", 1, 1, _all_folders),
    Verb("createFolder", "cf", "PATH", "with the parents that are missing", 2, 2, _create),
    Verb("deleteFolder", "df", "PATH", "with its messages", 2, 2, _delete),
    Verb("renameFolder", "rf", "PATH NEW-PATH", "with everything below it", 3, 3, _rename),
    Verb("modifyFolder", "mf", "PATH inherit|seen|subscribe VALUE", "true|false, shared|private, auto|manual", 4, None, _modify),
)
