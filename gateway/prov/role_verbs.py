"""The command about admin roles: who holds which, what each may do, giving and taking them."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.admin_roles import AdministratorView, HeldRole
from gateway.directory.names import shown_domain
from gateway.prov.answer import Answer, Usage, lines, moment, stamp, table
from gateway.prov.arguments import moment as read_moment
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb
from policy.roles import ACCOUNT_ATTRIBUTES, DOMAIN_ATTRIBUTES, INCLUDED, MATRIX, Role

_WORDS: Final = "list [DOMAIN] | show ACCOUNT|ROLE | grant ACCOUNT ROLE [--from T] [--until T] [--note TEXT] | revoke ACCOUNT ROLE"


async def _roles(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments or ("list",)
    match word.lower(), rest:
        case "list", [] | [_]:
            views = await desk.directory.roles.all(*rest)
            return Answer(_table(views), [_data(view) for view in views])
        case "show", [name]:
            role = _read(name)
            if role is not None:
                return _explained(role)
            view = await desk.directory.roles.of(name)
            return Answer(_table([view]), _data(view))
        case "grant", [_, _, *_]:
            return await _grant(desk, rest)
        case "revoke", [account, name]:
            await desk.directory.roles.revoke(account, _wanted(name))
            return Answer()
        case _:
            raise Usage(_WORDS)


async def _grant(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, valued=("--from", "--until", "--note"))
    if len(read.rest) != 2:
        raise Usage(_WORDS)
    account, name = read.rest
    role = _wanted(name)
    now = await desk.directory.now()
    times = {option: read_moment(read.values[option], now) for option in ("--from", "--until") if option in read.values}
    view = await desk.directory.roles.grant(
        account, role, not_before=times.get("--from"), expires=times.get("--until"), note=read.values.get("--note", "")
    )
    said = [f"it does not count yet: {one.obstacle}" for one in view.held if one.role is role and one.obstacle]
    return Answer(lines(said), _data(view))


def _read(name: str) -> Role | None:
    try:
        return Role(name.lower())
    except ValueError:
        return None


def _wanted(name: str) -> Role:
    role = _read(name)
    if role is None:
        raise Usage(f"no role {name}: " + ", ".join(Role))
    return role


def _explained(role: Role) -> Answer:
    """What the role may do: its own list, then what it has from others."""
    own = {"own": [role], "included": sorted(INCLUDED[role] - {role}, key=[*Role].index)}
    told = [f"{role}: " + ("everywhere" if role is Role.GLOBAL else "in the own domain, on whom no higher role protects")]
    data: dict[str, Any] = {"role": str(role), "includes": [str(one) for one in own["included"]], "may": {}}
    for one in (role, *own["included"]):
        listed = [str(operation) for operation, row in MATRIX.items() if one in row.listed]
        attributes = [
            f"{kind} {name}"
            for kind, known in (("account", ACCOUNT_ATTRIBUTES), ("domain", DOMAIN_ATTRIBUTES))
            for name, row in known.items()
            if one in row.listed
        ]
        told += [f"  {'' if one is role else 'as '}{one}", *(f"    {text}" for text in listed)]
        told += [f"    set {text}" for text in attributes]
        data["may"][str(one)] = {"operations": listed, "attributes": attributes}
    return Answer(lines(told), data)


def _remark(one: HeldRole) -> str:
    said = [f"from {moment(one.not_before)}"] if one.not_before is not None else []
    said += [f"until {moment(one.expires)}"] if one.expires is not None else []
    said += [one.note] if one.note else []
    said += [f"does not count: {one.obstacle}"] if one.obstacle else []
    return "; ".join(said)


def _table(views: Sequence[AdministratorView]) -> str:
    rows: list[Sequence[object]] = [("Account", "Role", "Domain", "Remark")]
    for view in views:
        rows += [(view.name, one.role, one.domain or "(all)", _remark(one)) for one in view.held]
        if not view.held:
            rows.append((view.name, "-", "", "marked as delegated administrator, without a role" if view.marked else "no administrator"))
    return table((30, 16, 24, 0), rows) if len(rows) > 1 else "no administrators\n"


def _data(view: AdministratorView) -> dict[str, Any]:
    return {
        "id": view.account,
        "name": view.name,
        "isDelegatedAdminAccount": view.marked,
        "roles": [
            {
                "role": str(one.role),
                "domain": shown_domain(one.domain) or None,
                "from": stamp(one.not_before),
                "until": stamp(one.expires),
                "note": one.note,
                "counts": not one.obstacle,
                "obstacle": one.obstacle or None,
            }
            for one in view.held
        ],
    }


ROLES: Final = Verb("roles", "", f"[{_WORDS}]", "admin roles: who holds them, what they may do, giving and taking them", 0, None, _roles)
