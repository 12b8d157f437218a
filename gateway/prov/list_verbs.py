"""The verbs about mailing lists."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.directory.mailing_lists import ListView
from gateway.directory.names import shown
from gateway.prov import attributes
from gateway.prov.account_verbs import again, memberships, signed
from gateway.prov.answer import Answer, Usage, lines
from gateway.prov.arguments import pairs
from gateway.prov.verb import Desk, Verb


async def _create(desk: Desk, arguments: Sequence[str]) -> Answer:
    name, *rest = arguments
    made = await desk.directory.lists.create(name, attributes.list_changes(pairs(rest)))
    return Answer(f"{made}\n", {"id": made, "name": name})


def _block(view: ListView, wanted: Sequence[str] = ()) -> str:
    members = [shown(member.address) for member in view.members]
    head = attributes.block(
        f"distributionList {shown(view.row.address)} memberCount={len(members)}",
        attributes.mailing_list(view),
        wanted=wanted,
        plain=attributes.plain_list_name,
    )
    return head if wanted else head + lines(["members", *members, ""])


def _data(view: ListView, wanted: Sequence[str] = ()) -> dict[str, Any]:
    found = attributes.data(shown(view.row.address), attributes.mailing_list(view), wanted=wanted, plain=attributes.plain_list_name)
    return found if wanted else {**found, "members": [shown(member.address) for member in view.members]}


async def _get(desk: Desk, arguments: Sequence[str]) -> Answer:
    view = await desk.directory.lists.get(arguments[0])
    return Answer(_block(view, arguments[1:]), _data(view, arguments[1:]))


async def _all(desk: Desk, arguments: Sequence[str]) -> Answer:
    rest = [one for one in arguments if one != "-v"]
    if len(rest) > 1:
        raise Usage("one domain at most")
    views = [view async for view in desk.directory.lists.all(rest[0] if rest else None)]
    if "-v" in arguments:
        return Answer("".join(map(_block, views)), [*map(_data, views)])
    names = [shown(view.row.address) for view in views]
    return Answer(lines(names), names)


async def _modify(desk: Desk, arguments: Sequence[str]) -> Answer:
    name, *rest = arguments
    edits = pairs(rest)
    if not signed(edits):
        await desk.directory.lists.modify(name, attributes.list_changes(edits))
        return Answer()

    async def change() -> None:
        view = await desk.directory.lists.get(name)
        await desk.directory.lists.modify(name, attributes.list_changes(edits, view.owners, view.row.owners))

    await again(change)
    return Answer()


async def _create_dynamic(desk: Desk, arguments: Sequence[str]) -> Answer:
    """The filter on its own, or as an attribute among the others as Carbonio has it."""
    name, *rest = arguments
    edits = pairs(rest if len(rest) % 2 == 0 else ["filter", *rest])
    changes = attributes.list_changes([one for one in edits if one[0].lower() not in _IGNORED])
    if changes.filter is None:
        raise Usage("a filter")
    made = await desk.directory.dynamic_groups.create(name, changes.filter, replace(changes, filter=None))
    return Answer(f"{made}\n", {"id": made, "name": name})


async def _rename(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.lists.rename(arguments[0], arguments[1])
    return Answer()


async def _delete(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.lists.delete(arguments[0])
    return Answer()


async def _add_members(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.lists.add_members(arguments[0], arguments[1:])
    return Answer()


async def _remove_members(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.lists.remove_members(arguments[0], arguments[1:])
    return Answer()


async def _add_alias(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.lists.add_alias(arguments[0], arguments[1])
    return Answer()


async def _remove_alias(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.lists.remove_alias(arguments[0], arguments[1])
    return Answer()


async def _membership(desk: Desk, arguments: Sequence[str]) -> Answer:
    return memberships(await desk.directory.lists.memberships(arguments[0]))


_IGNORED: Final = frozenset(("zimbraisaclgroup", "zimbramailstatus"))
"""Every list is a group here and gets mail."""

VERBS = (
    Verb(
        "createDynamicDistributionList",
        "cddl",
        "LIST FILTER [attr value ...]",
        "a list and group of those accounts of its domain that a filter means at any time, such as (department=sales)",
        2,
        None,
        _create_dynamic,
    ),
    Verb("createDistributionList", "cdl", "LIST [attr value ...]", "a mailing list, which is a group too", 1, None, _create),
    Verb("getDistributionList", "gdl", "LIST [attr ...]", "what is set on a list, and its members", 1, None, _get),
    Verb("getAllDistributionLists", "gadl", "[-v] [DOMAIN]", "every list", 0, 2, _all),
    Verb(
        "modifyDistributionList",
        "mdl",
        "LIST attr value [attr value ...]",
        "displayName, note, owner (+owner, -owner), subscriptionPolicy, unsubscriptionPolicy (accept, approval, reject), moderation (none, "
        "non-members, all), postingRestricted (TRUE: nobody posts without a grant), filter (of a dynamic list)",
        3,
        None,
        _modify,
    ),
    Verb("renameDistributionList", "rdl", "LIST NEW-NAME", "another address; everything else stays", 2, 2, _rename),
    Verb("deleteDistributionList", "ddl", "LIST", "with every grant to it and on it", 1, 1, _delete),
    Verb("addDistributionListMember", "adlm", "LIST MEMBER ...", "accounts, lists, addresses elsewhere", 2, None, _add_members),
    Verb("removeDistributionListMember", "rdlm", "LIST MEMBER ...", "members no more", 2, None, _remove_members),
    Verb("addDistributionListAlias", "adla", "LIST ALIAS", "one more address", 2, 2, _add_alias),
    Verb("removeDistributionListAlias", "rdla", "LIST ALIAS", "one address less", 2, 2, _remove_alias),
    Verb("getDistributionListMembership", "gdlm", "LIST", "the lists it is in, directly or through others", 1, 1, _membership),
)
