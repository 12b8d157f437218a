"""The verbs about accounts."""

from collections.abc import Sequence

from gateway.directory.accounts import MembershipView
from gateway.directory.faults import Code, Fault
from gateway.directory.names import shown
from gateway.prov import attributes
from gateway.prov.answer import Answer, Usage, lines
from gateway.prov.arguments import pairs
from gateway.prov.verb import Desk, Verb


async def _create(desk: Desk, arguments: Sequence[str]) -> Answer:
    name, password, *rest = arguments
    changes = attributes.account_changes(pairs(rest))
    account = await desk.directory.accounts.create(name, await desk.verifiers(password), changes)
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
    verbose, domain = _listing(arguments)
    names: list[str] = []
    blocks: list[str] = []
    data = []
    async for view in desk.directory.accounts.all(domain):
        name = shown(view.row.address)
        names.append(name)
        if verbose:
            found = attributes.account(view)
            blocks.append(attributes.block(f"name {name}", found))
            data.append(attributes.data(name, found))
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
    signed = any(attribute[:1] in ("+", "-") for attribute, _ in edits)
    now = (await desk.directory.accounts.get(name)).row.own_values if signed else {}
    await desk.directory.accounts.modify(name, attributes.account_changes(edits, now))
    return Answer()


async def _rename(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.accounts.rename(arguments[0], arguments[1])
    return Answer()


async def _delete(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.accounts.delete(arguments[0])
    return Answer()


async def _add_alias(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.accounts.add_alias(arguments[0], arguments[1])
    return Answer()


async def _remove_alias(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.accounts.remove_alias(arguments[0], arguments[1])
    return Answer()


async def _set_password(desk: Desk, arguments: Sequence[str]) -> Answer:
    await desk.directory.accounts.set_password(arguments[0], await desk.verifiers(arguments[1]))
    return Answer()


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
        "NAME PASSWORD [attr value ...]",
        f"an account; PASSWORD '': nobody logs in; {_SEEN}",
        2,
        None,
        _create,
        password=1,
    ),
    Verb("getAccount", "ga", "[-e] NAME [attr ...]", "what is set on an account; -e tells what is only inherited", 1, None, _get),
    Verb("getAllAccounts", "gaa", "[-v] [DOMAIN]", "every account", 0, 2, _all),
    Verb(
        "modifyAccount",
        "ma",
        "NAME attr value [attr value ...]",
        "change values, which getAccount shows; '' restores what is inherited",
        3,
        None,
        _modify,
    ),
    Verb("renameAccount", "ra", "NAME NEW-NAME", "another address; everything else stays", 2, 2, _rename),
    Verb("deleteAccount", "da", "NAME", "with its mail and every grant to it and on it", 1, 1, _delete),
    Verb("addAccountAlias", "aaa", "NAME ALIAS", "one more address", 2, 2, _add_alias),
    Verb("removeAccountAlias", "raa", "NAME ALIAS", "one address less", 2, 2, _remove_alias),
    Verb("setPassword", "sp", "NAME PASSWORD", f"open sessions end, failures are forgotten; {_SEEN}", 2, 2, _set_password, password=1),
    Verb("setAccountCos", "sac", "NAME COS", "COS '': by its domain, else default", 2, 2, _set_cos),
    Verb("getAccountMembership", "gam", "[-i] NAME", "the lists it is in, directly or through others", 1, 2, _membership),
    Verb("getQuotaUsage", "gqu", "[DOMAIN]", "name, quota (0: unlimited) and octets used of every account", 0, 1, _quota_usage),
)
