"""The verbs about rights on accounts and lists: grant, revoke, check, tell."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.names import SEND_KINDS
from gateway.directory.send_rights import GrantView, ObjectKind
from gateway.explain import Explained
from gateway.prov.answer import Answer, Usage, lines, moment, stamp, table
from gateway.prov.arguments import moment as read_moment
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb
from policy.cos import window
from policy.grantees import GranteeKind
from policy.grants import SendRight
from policy.roles import Operation, Role

_TARGETS: Final = {"account": ObjectKind.ACCOUNT, "dl": ObjectKind.LIST}
_SPELLED: Final = {kind: word for word, kind in SEND_KINDS.items()}
_RIGHTS: Final = {
    **{right.lower(): right for right in SendRight},
    "sendasdistlist": SendRight.SEND_AS,
    "sendonbehalfofdistlist": SendRight.SEND_ON_BEHALF_OF,
}


def _target(word: str) -> ObjectKind:
    found = _TARGETS.get(word.lower())
    if found is None:
        raise Usage(f"no target type {word}: account or dl")
    return found


def _kind(word: str) -> GranteeKind:
    found = SEND_KINDS.get(word.lower())
    if found is None:
        raise Usage(f"no grantee type {word}: " + ", ".join(SEND_KINDS))
    return found


def _right(word: str) -> tuple[SendRight, bool]:
    """The right, and whether it is denied."""
    found = _RIGHTS.get(word.removeprefix("-").lower())
    if found is None:
        raise Usage(f"no right {word}: " + ", ".join(SendRight))
    return found, word.startswith("-")


def _grant(arguments: Sequence[str]) -> tuple[ObjectKind, str, GranteeKind, str, SendRight, bool]:
    """TARGET-TYPE TARGET GRANTEE-TYPE [GRANTEE] RIGHT; `all` has no grantee, though one may be written."""
    if len(arguments) not in (4, 5):
        raise Usage("a target, a grantee and a right are needed")
    kind = _kind(arguments[2])
    if kind is not GranteeKind.ALL and len(arguments) == 4:
        raise Usage(f"which {arguments[2]}?")
    right, deny = _right(arguments[-1])
    return _target(arguments[0]), arguments[1], kind, "" if kind is GranteeKind.ALL else arguments[3], right, deny


_ROLES: Final = {
    "domainadminrights": Role.DOMAIN,
    **{role.lower(): role for role in Role if role is not Role.GLOBAL},
}


def _role(arguments: Sequence[str]) -> tuple[str, str, Role] | None:
    """`domain DOMAIN usr ACCOUNT domainAdminRights`: a role of the account in the domain; None: something else was written."""
    if not arguments or arguments[0].lower() != "domain":
        return None
    if len(arguments) != 5 or arguments[2].lower() != "usr":
        raise Usage("on a domain: domain DOMAIN usr ACCOUNT ROLE")
    role = _ROLES.get(arguments[4].lower())
    if role is None:
        raise Usage(f"no role {arguments[4]}: domainAdminRights, " + ", ".join(one for one in Role if one is not Role.GLOBAL))
    return arguments[1], arguments[3], role


async def _grant_right(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, valued=("--from", "--until", "--note", "--review", "--undo-window"))
    role = _role(read.rest)
    now = await desk.directory.now()
    times = {name: read_moment(read.values[name], now) for name in ("--from", "--until", "--review") if name in read.values}
    if role is not None:
        if "--review" in times:
            raise Usage("a role has no --review")
        domain, account, which = role
        await desk.directory.roles.grant(
            account,
            which,
            domain,
            not_before=times.get("--from"),
            expires=times.get("--until"),
            note=read.values.get("--note", ""),
        )
        return Answer()
    target_kind, target, kind, grantee, right, deny = _grant(read.rest)
    await desk.directory.send_rights.grant(
        target_kind,
        target,
        kind,
        grantee,
        right,
        deny=deny,
        not_before=times.get("--from"),
        expires=times.get("--until"),
        note=read.values.get("--note", ""),
        undo_window=_window(read.values.get("--undo-window")),
        review=times.get("--review"),
    )
    return Answer()


def _window(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return window(text)
    except ValueError as error:
        raise Usage(f"--undo-window {text}: {error}") from None


async def _revoke_right(desk: Desk, arguments: Sequence[str]) -> Answer:
    rest = options(arguments).rest
    role = _role(rest)
    if role is not None:
        await desk.directory.roles.revoke(role[1], role[2])
        return Answer()
    target_kind, target, kind, grantee, right, deny = _grant(rest)
    await desk.directory.send_rights.revoke(target_kind, target, kind, grantee, right, deny=deny)
    return Answer()


async def _check_right(desk: Desk, arguments: Sequence[str]) -> Answer:
    rest = [*arguments]
    if len(rest) == 5 and rest[2].lower() == "usr":  # as it was granted
        del rest[2]
    if len(rest) != 4:
        raise Usage("a target, an account and a right are needed")
    right, deny = _right(rest[3])
    if deny:
        raise Usage(f"no right {rest[3]}: a check asks whether it is held")
    await desk.allow(await desk.directory.concerning(Operation.EXPLAIN, rest[2], rest[1]), rest[1])
    found = await desk.explain.holds(rest[2], right, _target(rest[0]), rest[1])
    return Answer(_verdict(found, rest[0].lower(), rest[1], right), verdict_data(found))


def _verdict(found: Explained, target_kind: str, target: str, right: SendRight) -> str:
    told = ["ALLOWED" if found.allowed else "DENIED", "Via:"]
    if found.grantee_kind is not None:
        told += [
            f"    target type  : {target_kind}",
            f"    target       : {target}",
            f"    grantee type : {_SPELLED[found.grantee_kind]}",
            f"    grantee      : {found.grantee or 'everybody'}",
            f"    right        : {'' if found.allowed else 'DENY '}{right}",
        ]
        told += [f"    group path   : {' in '.join(found.through)}"] if len(found.through) > 1 else []
    else:
        told.append(f"    {'because      ' if found.allowed else 'missing      '}: {found.because}")
    return lines([*told, ""])


def verdict_data(found: Explained) -> dict[str, Any]:
    """A decision for programs."""
    return {
        "allowed": found.allowed,
        "refusal": found.refusal,
        "because": found.because,
        "right": found.right,
        "folder": found.folder,
        "granteeType": None if found.grantee_kind is None else str(found.grantee_kind),
        "grantee": found.grantee,
        "groupPath": [*found.through],
        "trace": [{"text": text, "decided": decided} for text, decided in found.trace],
    }


async def _get_grants(desk: Desk, arguments: Sequence[str]) -> Answer:
    target: tuple[ObjectKind, str] | None = None
    grantee: tuple[GranteeKind, str] | None = None
    through_groups = True
    waiting = list(arguments)
    while waiting:
        option = waiting.pop(0)
        if option == "-t" and len(waiting) >= 2:
            target = (_target(waiting.pop(0)), waiting.pop(0))
        elif option == "-g" and waiting and (waiting[0].lower() == "all" or len(waiting) >= 2):
            kind = _kind(waiting.pop(0))
            grantee = (kind, "" if kind is GranteeKind.ALL else waiting.pop(0))
            if waiting and waiting[0] in ("0", "1"):
                through_groups = waiting.pop(0) == "1"
        else:
            raise Usage(f"{option} was not understood")
    rights = desk.directory.send_rights
    if target is not None:
        found = await rights.on(*target)
        if grantee is not None:
            wanted = {(one.target.id, one.grantee, one.grant.right) for one in await rights.to(*grantee, through_groups=through_groups)}
            found = [one for one in found if (one.target.id, one.grantee, one.grant.right) in wanted]
    elif grantee is not None:
        found = await rights.to(*grantee, through_groups=through_groups)
    else:
        raise Usage("a target or a grantee is needed")
    return Answer(_grants_table(found), [_grant_data(one) for one in found])


_WIDTHS: Final = (12, 10, 30, 12, 10, 30, 0)


def _grants_table(found: Sequence[GrantView]) -> str:
    head = ("target type", "target id", "target name", "grantee type", "grantee id", "grantee name", "right")
    rows = [head, tuple("-" * (width or 20) for width in _WIDTHS), *map(_grant_row, found)]
    return table(_WIDTHS, rows) + "\n"


def _grant_row(one: GrantView) -> tuple[str, ...]:
    grant = one.grant
    right = f"{'-' if grant.deny else ''}{grant.right}{remarks(grant.not_before, grant.expires, _noted(one), grant.review)}"
    grantee = (_SPELLED[one.grantee.kind], str(one.grantee.id or ""), one.grantee_name)
    return (_target_word(one.target.kind), str(one.target.id), one.target.name, *grantee, right)


def _noted(one: GrantView) -> str:
    waits = one.grant.undo_window
    return "; ".join(said for said in ("" if waits is None else f"waits {waits} s", one.grant.note) if said)


def _target_word(kind: ObjectKind) -> str:
    return next(word for word, one in _TARGETS.items() if one is kind)


def remarks(not_before: int | None, expires: int | None, note: str, review: int | None = None) -> str:
    """When a grant holds, and what was noted on it: ` (until 2026-12-24T00:00:00+01:00; holiday)`."""
    said = [f"from {moment(not_before)}"] if not_before is not None else []
    said += [f"until {moment(expires)}"] if expires is not None else []
    said += [f"review {moment(review)}"] if review is not None else []
    said += [note] if note else []
    return f" ({'; '.join(said)})" if said else ""


def _grant_data(one: GrantView) -> dict[str, Any]:
    return {
        "targetType": _target_word(one.target.kind),
        "targetId": one.target.id,
        "target": one.target.name,
        "granteeType": _SPELLED[one.grantee.kind],
        "granteeId": one.grantee.id or None,
        "grantee": one.grantee_name,
        "right": str(one.grant.right),
        "deny": one.grant.deny,
        "from": stamp(one.grant.not_before),
        "until": stamp(one.grant.expires),
        "note": one.grant.note,
        "undoWindow": one.grant.undo_window,
        "review": stamp(one.grant.review),
    }


_GRANT_USAGE: Final = "account|dl TARGET usr|grp|dom|cos|all [GRANTEE] [-]RIGHT"

VERBS = (
    Verb(
        "grantRight",
        "grr",
        f"{_GRANT_USAGE} [--from T] [--until T] [--note TEXT] [--review T] [--undo-window D]",
        "sendAs, sendOnBehalfOf, sendToDistList, loginAs; a leading - denies; what is sent by it waits for D (30s, 0) and can be recalled; "
        "`domain DOMAIN usr ACCOUNT ROLE`: an admin role",
        4,
        None,
        _grant_right,
    ),
    Verb("revokeRight", "rvr", _GRANT_USAGE, "takes back what was granted (with - what was denied)", 4, None, _revoke_right),
    Verb("checkRight", "ckr", "account|dl TARGET ACCOUNT RIGHT", "ALLOWED or DENIED, and through which grant", 4, 5, _check_right),
    Verb(
        "getGrants",
        "gg",
        "[-t account|dl TARGET] [-g usr|grp|dom|cos|all [GRANTEE] [0|1]]",
        "what was granted on a target, or to a grantee (0: without its groups')",
        1,
        None,
        _get_grants,
    ),
)
