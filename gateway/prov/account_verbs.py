"""The verbs about accounts."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

from gateway.directory.accounts import AccountView, MembershipView
from gateway.directory.faults import Code, Fault
from gateway.directory.names import shown
from gateway.prov import attributes
from gateway.prov.answer import Answer, Usage, lines
from gateway.prov.arguments import options, pairs
from gateway.prov.verb import Desk, Verb

TRIES: Final = 30


async def _create(desk: Desk, arguments: Sequence[str]) -> Answer:
    name, password, *rest = arguments
    force, rest = rest[:1] == ["--force"], rest[1:] if rest[:1] == ["--force"] else rest
    changes = attributes.account_changes(pairs(rest))
    if name.startswith("@"):
        made, address = await desk.directory.people.create(name[1:], password, changes, force=force, hashed=desk.verifiers)
        return Answer(f"{made} {shown(address)}\n", {"id": made, "name": shown(address)})
    account = await desk.directory.password_rules.create(name, password, changes, force=force, hashed=desk.verifiers)
    return Answer(f"{account}\n", {"id": account, "name": name})


async def _get(desk: Desk, arguments: Sequence[str]) -> Answer:
    own_only = arguments[0] == "-e"
    if own_only:
        arguments = arguments[1:]
    if not arguments:
        raise Usage("which account?")
    view = await desk.directory.accounts.get(arguments[0])
    wanted = arguments[1:]
    for name in wanted:
        if not attributes.is_account_attribute(name):
            raise Fault(Code.INVALID_ATTR_NAME, name)
    name, found, plain = shown(view.row.address), attributes.account(view), attributes.plain_account_name
    return Answer(
        attributes.block(f"name {name}", found, own_only=own_only, wanted=wanted, plain=plain),
        attributes.data(name, found, own_only=own_only, wanted=wanted, plain=plain),
    )


async def _all(desk: Desk, arguments: Sequence[str]) -> Answer:
    own_only = "-e" in arguments
    verbose, domain = _listing([one for one in arguments if one != "-e"])
    if own_only and not verbose:
        raise Usage("-e goes with -v")
    return await _accounts(desk.directory.accounts.all(domain), verbose=verbose, own_only=own_only)


async def _all_administrators(desk: Desk, arguments: Sequence[str]) -> Answer:
    if set(arguments) - {"-v", "-e"}:
        raise Usage("-v or -e")
    own_only = "-e" in arguments
    views = (view async for view in desk.directory.accounts.all() if _administers(view))
    return await _accounts(views, verbose="-v" in arguments, own_only=own_only)


def _administers(view: AccountView) -> bool:
    return view.row.is_global_administrator or (view.administration is not None and view.administration.marked)


async def _accounts(views: AsyncIterator[AccountView], *, verbose: bool, own_only: bool) -> Answer:
    names: list[str] = []
    blocks: list[str] = []
    data = []
    async for view in views:
        name = shown(view.row.address)
        names.append(name)
        if verbose:
            found = attributes.account(view)
            blocks.append(attributes.block(f"name {name}", found, own_only=own_only))
            data.append(attributes.data(name, found, own_only=own_only))
    return Answer("".join(blocks), data) if verbose else Answer(lines(names), names)


def _listing(arguments: Sequence[str]) -> tuple[bool, str | None]:
    """`[-v] [DOMAIN]`."""
    rest = [one for one in arguments if one != "-v"]
    if len(rest) > 1:
        raise Usage("one domain at most")
    return "-v" in arguments, rest[0] if rest else None


async def _modify(desk: Desk, arguments: Sequence[str]) -> Answer:
    name, *rest = arguments
    edits = pairs(rest)
    if not signed(edits):
        await desk.directory.accounts.modify(name, attributes.account_changes(edits))
        return Answer()

    async def change() -> None:
        now = (await desk.directory.accounts.get(name)).row.own_values
        await desk.directory.accounts.modify(name, attributes.account_changes(edits, now))

    await again(change)
    return Answer()


def signed(edits: Sequence[tuple[str, str]]) -> bool:
    """Is one of them `+attr` or `-attr`, which rests on what is there?"""
    return any(attribute[:1] in ("+", "-") for attribute, _ in edits)


async def again(change: Callable[[], Awaitable[None]]) -> None:
    """Reads and writes anew when another administrator wrote in between: what both added is there then."""
    for tried in range(TRIES - 1):
        try:
            await change()
        except Fault as fault:
            if fault.code is not Code.TEMPORARILY_UNAVAILABLE:
                raise
            # By chance, or two that go in step stay so, and the second never comes to write.
            await asyncio.sleep(random.uniform(0, 0.005 * 2 ** min(tried, 6)))  # noqa: S311
        else:
            return
    await change()


async def _rename(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.accounts.rename(arguments[0], arguments[1])
    return Answer()


async def _delete(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, flags=("--if-exists",))
    if len(read.rest) != 1:
        raise Usage("which account?")
    try:
        await desk.directory.accounts.delete(read.rest[0])
    except Fault as fault:
        if not ("--if-exists" in read.flags and fault.code is Code.NO_SUCH_ACCOUNT):
            raise
    return Answer()


async def _add_alias(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.accounts.add_alias(arguments[0], arguments[1])
    return Answer()


async def _remove_alias(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.accounts.remove_alias(arguments[0], arguments[1])
    return Answer()


async def _set_password(desk: Desk, arguments: Sequence[str]) -> Answer:
    name, password, *flags = arguments
    if set(flags) - {"--force", "--must-change"}:
        raise Usage("--force or --must-change")
    force, must_change = "--force" in flags, "--must-change" in flags
    await desk.directory.password_rules.set(name, password, force=force, must_change=must_change, hashed=desk.verifiers)
    return Answer()


async def _check_strength(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.password_rules.check(arguments[0], arguments[1])
    return Answer("Password passed strength check.\n", {"passed": True})


async def _set_cos(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.accounts.modify(arguments[0], attributes.account_changes([("cos", arguments[1])]))
    return Answer()


async def _membership(desk: Desk, arguments: Sequence[str]) -> Answer:
    ids_only = arguments[0] == "-i"
    if ids_only and len(arguments) < 2:
        raise Usage("which account?")
    return memberships(await desk.directory.accounts.memberships(arguments[-1]), ids_only=ids_only)


def memberships(found: Sequence[MembershipView], *, ids_only: bool = False) -> Answer:
    """A line per list; `(via ...)` where others lead to it."""
    told = [str(one.id) if ids_only else one.name + (f" (via {' in '.join(one.via)})" if one.via else "") for one in found]
    return Answer(lines(told), [{"id": one.id, "name": one.name, "via": [*one.via]} for one in found])


async def _quota_usage(desk: Desk, arguments: Sequence[str]) -> Answer:
    told = []
    data = []
    async for view in desk.directory.accounts.all(arguments[0] if arguments else None):
        name, quota, used = shown(view.row.address), view.row.values.quota, view.row.used
        told.append(f"{name} {quota} {used}")
        data.append({"name": name, "quota": quota, "used": used})
    return Answer(lines(told), data)


_SEEN = "others see what is typed after a command: give passwords by -f -"

VERBS = (
    Verb(
        "createAccount",
        "ca",
        "NAME PASSWORD [--force] [attr value ...]",
        f"an account; @DOMAIN for NAME: the first that is free of those made of givenName, initials and sn, printed behind the id; "
        f"PASSWORD '': nobody logs in; --force: whatever the password rules say; {_SEEN}",
        2,
        None,
        _create,
        password=1,
    ),
    Verb(
        "getAccount",
        "ga",
        "[-e] NAME [attr ...]",
        "the values of an account; with -e inherited ones are comments that say from where",
        1,
        None,
        _get,
    ),
    Verb("getAllAccounts", "gaa", "[-v [-e]] [DOMAIN]", "every account; -v, -e as getAccount shows them", 0, 3, _all),
    Verb(
        "modifyAccount",
        "ma",
        "NAME attr value [attr value ...]",
        "change values, which getAccount shows; '' restores what is inherited, and clears personal data",
        3,
        None,
        _modify,
    ),
    Verb("renameAccount", "ra", "NAME NEW-NAME", "another address; everything else stays", 2, 2, _rename),
    Verb("deleteAccount", "da", "[--if-exists] NAME", "with its mail and every grant to it and on it", 1, 2, _delete),
    Verb("addAccountAlias", "aaa", "NAME ALIAS", "one more address", 2, 2, _add_alias),
    Verb("removeAccountAlias", "raa", "NAME ALIAS", "one address less", 2, 2, _remove_alias),
    Verb(
        "setPassword",
        "sp",
        "NAME PASSWORD [--force] [--must-change]",
        f"open sessions end, failures are forgotten; --must-change: another has to be set before anything else; {_SEEN}",
        2,
        4,
        _set_password,
        password=1,
    ),
    Verb(
        "checkPasswordStrength",
        "cps",
        "NAME PASSWORD",
        f"would it be taken as the account's new password? {_SEEN}",
        2,
        2,
        _check_strength,
    ),
    Verb("getAllAdminAccounts", "gaaa", "[-v] [-e]", "every global and every delegated administrator", 0, 2, _all_administrators),
    Verb("setAccountCos", "sac", "NAME COS", "COS '': by its domain, else default", 2, 2, _set_cos),
    Verb("getAccountMembership", "gam", "[-i] NAME", "the lists it is in, directly or through others", 1, 2, _membership),
    Verb("getQuotaUsage", "gqu", "[DOMAIN]", "name, quota in force (0: unlimited) and octets used of every account", 0, 1, _quota_usage),
)
