"""Attributes by name: which object has which, under which names, how they are read and how they are shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar

from gateway.directory import names
from gateway.directory.accounts import AccountChanges, AccountView
from gateway.directory.domains import DomainChanges, DomainView
from gateway.directory.faults import Code, Fault
from gateway.directory.mailing_lists import ListChanges, ListView
from gateway.prov.answer import clock, stamp
from policy.cos import ATTRIBUTES, BY_NAME, ServiceValues, resolve
from policy.domain_limits import COS_MAX_ACCOUNTS, LIMIT_NAMES, LIMITS, spelled
from policy.identity import AccountId
from policy.lists import POSTING_RESTRICTED, Joining, Moderation, list_rules
from policy.login import FOREVER
from policy.people import PERSONAL, PERSONAL_NAMES
from policy.rates import Rate
from policy.status import AccountStatus, DomainStatus
from store.model import CosRow, DomainRow

S = TypeVar("S", bound=StrEnum)

_ACCOUNT: Final[Mapping[str, tuple[str, ...]]] = {
    "displayName": (),
    "note": ("zimbraNotes", "description"),
    "status": ("zimbraAccountStatus",),
    "cos": ("zimbraCOSId",),
    "mustChangePassword": ("zimbraPasswordMustChange",),
    "isGlobalAdministrator": ("isAdminAccount", "zimbraIsAdminAccount"),
    "isDelegatedAdminAccount": ("zimbraIsDelegatedAdminAccount", "zimbraIsDelegationAdminAccount"),
}
_ACCOUNT_SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("zimbraId",),
    "mail": ("zimbraMailDeliveryAddress",),
    "alias": ("zimbraMailAlias",),
    "effectiveStatus": (),
    "effectiveQuota": (),
    "used": (),
    "created": ("zimbraCreateTimestamp",),
    "lastLogin": ("zimbraLastLogonTimestamp",),
    "adminRole": (),
}
_DOMAIN: Final[Mapping[str, tuple[str, ...]]] = {
    "status": ("zimbraDomainStatus",),
    "cos": ("zimbraDomainDefaultCOSId",),
    "delimiter": ("recipientDelimiter",),
    "note": ("zimbraNotes", "description"),
    "maxAccounts": ("zimbraDomainMaxAccounts",),
    COS_MAX_ACCOUNTS: ("zimbraDomainCOSMaxAccounts",),
}
_DOMAIN_SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("zimbraId",),
    "name": ("zimbraDomainName",),
    "created": ("zimbraCreateTimestamp",),
    "aggregateQuotaUsed": ("zimbraAggregateQuotaLastUsage",),
    "accounts": (),
    "aliasDomain": (),
    "aliasOf": ("zimbraDomainAliasTargetId",),
    "delegationInitialised": (),
}
_LIST: Final[Mapping[str, tuple[str, ...]]] = {
    "displayName": (),
    "note": ("zimbraNotes", "description"),
    "owner": ("owners",),
    "subscriptionPolicy": ("zimbraDistributionListSubscriptionPolicy",),
    "unsubscriptionPolicy": ("zimbraDistributionListUnsubscriptionPolicy",),
    "moderation": (),
    "filter": ("memberURL",),
    POSTING_RESTRICTED: (),
}
_LIST_SHOWN: Final[Mapping[str, tuple[str, ...]]] = {
    "id": ("zimbraId",),
    "mail": ("zimbraMailDeliveryAddress",),
    "alias": ("zimbraMailAlias",),
    "created": ("zimbraCreateTimestamp",),
}
_COS: Final[Mapping[str, tuple[str, ...]]] = {"note": ("zimbraNotes", "description")}
_LIST_CHOICES: Final[Mapping[str, Sequence[str]]] = {
    "subscriptionPolicy": tuple(Joining),
    "unsubscriptionPolicy": tuple(Joining),
    "moderation": tuple(Moderation),
}
_TEXT_LIMIT: Final = 4096


def _known(table: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    return {name.lower(): plain for plain, others in table.items() for name in (plain, *others)}


_ACCOUNT_NAMES: Final = {**PERSONAL_NAMES, **_known(_ACCOUNT)}
_ACCOUNT_READ: Final = {**_ACCOUNT_NAMES, **_known(_ACCOUNT_SHOWN), **{name: row.name for name, row in BY_NAME.items()}}
_DOMAIN_NAMES: Final = {**_known(_DOMAIN), **{name: row.name for name, row in LIMIT_NAMES.items()}}
_DOMAIN_READ: Final = {**_known(_DOMAIN_SHOWN), **_DOMAIN_NAMES}
_LIST_NAMES: Final = _known(_LIST)
_LIST_READ: Final = {**_known(_LIST), **_known(_LIST_SHOWN)}
_COS_NAMES: Final = _known(_COS)

NAMES: Final[Mapping[str, frozenset[str]]] = {
    "account": frozenset(_ACCOUNT_NAMES.values()) | {row.name for row in ATTRIBUTES},
    "cos": frozenset(_COS) | {row.name for row in ATTRIBUTES},
    "domain": frozenset(_DOMAIN) | {row.name for row in LIMITS},
    "list": frozenset(_LIST),
}
"""What can be set, by its plain name."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One attribute as it is shown. `origin`: where the value comes from, "" where that goes without saying."""

    name: str
    texts: tuple[str, ...]
    data: Any
    origin: str = ""


# --- reading


class _Edits:
    """`attr value` sets; said again, a list gets another item; `+attr value` and `-attr value` add to and take from what there is."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._set: set[str] = set()

    def item(self, key: str, sign: str, text: str, current: Sequence[str]) -> None:
        before = self._parts(self.texts[key]) if key in self.texts else []
        if sign == "":
            items = [*before, *self._parts(text)] if key in self._set and text else self._parts(text)
            self._set.add(key)
        else:
            there = before if key in self.texts else list(current)
            changed = {one.lower() for one in self._parts(text)}
            items = [one for one in there if one.lower() not in changed] + (self._parts(text) if sign == "+" else [])
        self.texts[key] = ", ".join(items)

    @staticmethod
    def _parts(text: str) -> list[str]:
        return [part for part in text.replace(",", " ").split() if part]


def _signed(name: str) -> tuple[str, str]:
    return (name[0], name[1:]) if name[:1] in ("+", "-") else ("", name)


def account_changes(pairs: Sequence[tuple[str, str]], now: Mapping[str, str] | None = None) -> AccountChanges:
    """`now`: the account's own values, for `+attr` and `-attr`. Raises Fault that names the attribute."""
    plain: dict[str, str] = {}
    values = _values(pairs, _ACCOUNT_NAMES, plain, now or {})
    status = _member("status", plain["status"], AccountStatus) if "status" in plain else None
    return AccountChanges(
        display_name=_text("displayName", plain.get("displayName")),
        note=_text("note", plain.get("note")),
        status=status,
        cos=plain.get("cos"),
        must_change_password=_boolean("mustChangePassword", plain.get("mustChangePassword")),
        is_global_administrator=_boolean("isGlobalAdministrator", plain.get("isGlobalAdministrator")),
        values=values,
        is_delegated_administrator=_boolean("isDelegatedAdminAccount", plain.get("isDelegatedAdminAccount")),
        personal={name: text for name, text in plain.items() if name in PERSONAL},
        were={} if now is None else {field: now.get(field, "") for field in values},
    )


def cos_changes(pairs: Sequence[tuple[str, str]], now: Mapping[str, str] | None = None) -> tuple[dict[str, str], str | None]:
    """Values by field, and the note. Raises Fault that names the attribute."""
    plain: dict[str, str] = {}
    values = _values(pairs, _COS_NAMES, plain, now or {})
    return values, _text("note", plain.get("note"))


def _values(pairs: Sequence[tuple[str, str]], others: Mapping[str, str], plain: dict[str, str], now: Mapping[str, str]) -> dict[str, str]:
    edits = _Edits()
    for name, text in pairs:
        sign, bare = _signed(name)
        row = BY_NAME.get(bare.lower())
        known = others.get(bare.lower())
        if known is not None and not sign:
            plain[known] = text
        elif row is None:
            raise Fault(Code.INVALID_ATTR_NAME, name)
        elif isinstance(getattr(ServiceValues(), row.field), tuple):
            edits.item(row.field, sign, text, [one for one in now.get(row.field, "").replace(",", " ").split() if one])
        elif sign:
            raise Fault(Code.INVALID_ATTR_NAME, f"{name} ({row.name} has one value: write it without the {sign})")
        else:
            edits.texts[row.field] = text
    return edits.texts


def domain_changes(pairs: Sequence[tuple[str, str]], classes: Sequence[str] = ()) -> DomainChanges:
    """`classes`: those of `cosMaxAccounts` that there are, for `+` and `-`. Raises Fault that names the attribute."""
    plain: dict[str, str] = {}
    edits = _Edits()
    for name, text in pairs:
        sign, bare = _signed(name)
        known = _DOMAIN_NAMES.get(bare.lower())
        if known == COS_MAX_ACCOUNTS:
            edits.item(known, sign, text, classes)
        elif known is None or sign:
            raise Fault(Code.INVALID_ATTR_NAME, name)
        else:
            plain[known] = text
    wanted = edits.texts.get(COS_MAX_ACCOUNTS)
    return DomainChanges(
        status=_member("status", plain["status"], DomainStatus) if "status" in plain else None,
        cos=plain.get("cos"),
        delimiter=plain.get("delimiter"),
        note=_text("note", plain.get("note")),
        max_accounts=_count("maxAccounts", plain.get("maxAccounts")),
        limits={name: text for name, text in plain.items() if name.lower() in LIMIT_NAMES},
        cos_max_accounts=None if wanted is None else [one for one in wanted.split(", ") if one],
    )


def list_changes(
    pairs: Sequence[tuple[str, str]], owners: Sequence[str] = (), owners_were: Sequence[AccountId] | None = None
) -> ListChanges:
    """`owners`: those there are, for `+owner` and `-owner`; `owners_were`: their ids. Raises Fault that names the attribute."""
    plain: dict[str, str] = {}
    edits = _Edits()
    for name, text in pairs:
        sign, bare = _signed(name)
        known = _LIST_NAMES.get(bare.lower())
        if known == "owner":
            edits.item(known, sign, text, owners)
        elif known is None or sign:
            raise Fault(Code.INVALID_ATTR_NAME, name)
        else:
            plain[known] = text
    attributes: dict[str, str] = {name: _choice(name, plain[name], some) for name, some in _LIST_CHOICES.items() if name in plain}
    restricted = _boolean(POSTING_RESTRICTED, plain.get(POSTING_RESTRICTED))
    if restricted is not None:
        attributes[POSTING_RESTRICTED] = "TRUE" if restricted else ""
    wanted = edits.texts.get("owner")
    return ListChanges(
        display_name=_text("displayName", plain.get("displayName")),
        note=_text("note", plain.get("note")),
        owners=None if wanted is None else [one for one in wanted.split(", ") if one],
        attributes=attributes,
        owners_were=owners_were,
        filter=plain.get("filter"),
    )


def _invalid(name: str, text: str, wanted: str) -> Fault:
    return Fault(Code.INVALID_ATTR_VALUE, f"{name} - {text} (must be {wanted})")


def _member(name: str, text: str, kind: type[S]) -> S:
    try:
        return kind(text.strip().lower())
    except ValueError:
        raise _invalid(name, text, "one of " + ", ".join(kind)) from None


def _choice(name: str, text: str, wanted: Sequence[str]) -> str:
    if text and text.lower() not in wanted:
        raise _invalid(name, text, "one of " + ", ".join(wanted))
    return text.lower()


def _boolean(name: str, text: str | None) -> bool | None:
    match None if text is None else text.strip().lower():
        case None:
            return None
        case "true" | "yes" | "on" | "1":
            return True
        case "false" | "no" | "off" | "0" | "":
            return False
        case _:
            raise _invalid(name, text or "", "TRUE or FALSE")


def _count(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if text == "":
        return 0
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _invalid(name, text, "a number of 0 or more")
    return int(text)


def _text(name: str, text: str | None) -> str | None:
    if text is None:
        return None
    if len(text) > _TEXT_LIMIT or any(
        ord(character) < 32 or ord(character) == 127 or 0xD800 <= ord(character) < 0xE000 for character in text
    ):
        raise _invalid(name, ascii(text[:40]), f"text of at most {_TEXT_LIMIT} characters without control characters")
    return text


# --- showing


def account(view: AccountView) -> list[Shown]:
    """Everything that is known about an account, sorted by name; inherited values with their origin."""
    row = view.row
    locked_out = view.lockout_until is not None and row.own_status is AccountStatus.ACTIVE
    status = _lockout(view) if locked_out else str(row.own_status)
    found = [
        Shown("id", (str(row.id),), int(row.id)),
        Shown("mail", (names.shown(row.address),), names.shown(row.address)),
        Shown("alias", tuple(map(names.shown, view.aliases)), [*map(names.shown, view.aliases)]),
        Shown("displayName", _some(row.display_name), row.display_name),
        Shown("note", _some(row.note), row.note),
        Shown("status", (status,), "lockout" if locked_out else str(row.own_status)),
        Shown(
            "effectiveStatus",
            (str(row.status),) if row.status != row.own_status else (),
            str(row.status),
            f"domain is {view.domain_status}",
        ),
        Shown("lockoutUntil", (), stamp(view.lockout_until)),
        Shown("cos", (view.cos,), view.cos, "" if row.own_cos is not None else "the domain's or the default one"),
        Shown("mustChangePassword", (_truth(row.must_change_password),), row.must_change_password),
        Shown("isGlobalAdministrator", (_truth(row.is_global_administrator),), row.is_global_administrator),
        *_administration(view),
        Shown("hasPassword", (), bool(row.verifier)),
        Shown("used", (str(row.used),), row.used),
        Shown("created", (stamp(row.created) or "",), stamp(row.created)),
        *(Shown(name, (text,), text) for name, text in view.personal.items()),
        Shown("lastLogin", _some(stamp(row.last_login) or ""), stamp(row.last_login)),
        *_service_values(resolve(row.own_values, view.cos_values), row.own_values, view.cos_values, view.cos),
        *_effective_quota(view),
    ]
    return sorted(found, key=lambda shown: shown.name.lower())


def _effective_quota(view: AccountView) -> list[Shown]:
    """Where the domain gives less than the account or its class of service says."""
    row = view.row
    wanted = resolve(row.own_values, view.cos_values).quota
    if wanted == row.values.quota:
        return []
    return [Shown("effectiveQuota", (str(row.values.quota),), row.values.quota, "maxQuota of the domain")]


def _administration(view: AccountView) -> list[Shown]:
    one = view.administration
    if one is None:
        return []
    given = [str(grant.role) for grant in one.grants]
    return [
        Shown("isDelegatedAdminAccount", (_truth(one.marked),), one.marked),
        Shown("adminRole", tuple(given), given),
    ]


def is_account_attribute(name: str) -> bool:
    """May `getAccount NAME attr` ask for it?"""
    return name.lower() in _ACCOUNT_READ


def plain_account_name(name: str) -> str:
    """The plain name of an attribute that is shown of an account; what is none stays as it is."""
    return _ACCOUNT_READ.get(name.lower(), name)


def plain_list_name(name: str) -> str:
    """The same for a list."""
    return _LIST_READ.get(name.lower(), name)


def plain_cos_name(name: str) -> str:
    """The same for a class of service."""
    row = BY_NAME.get(name.lower())
    return row.name if row is not None else {"note": "note", "id": "id", "zimbraid": "id"}.get(name.lower(), name)


def _lockout(view: AccountView) -> str:
    assert view.lockout_until is not None
    if view.lockout_until >= FOREVER:
        return "lockout until an administrator ends it"
    return f"lockout until {clock(view.lockout_until, view.now)}"


def service_class(row: CosRow) -> list[Shown]:
    """Every value of a class of service, those it leaves at their default with that as origin."""
    found = [
        Shown("id", (str(row.id),), int(row.id)),
        Shown("note", _some(row.note), row.note),
        *_service_values(resolve(row.values), row.values, {}, ""),
    ]
    return sorted(found, key=lambda shown: shown.name.lower())


def _service_values(values: ServiceValues, own: Mapping[str, str], inherited: Mapping[str, str], cos: str) -> list[Shown]:
    found = []
    for attribute in ATTRIBUTES:
        value = getattr(values, attribute.field)
        origin = ""
        if own.get(attribute.field):
            text = own[attribute.field]
        elif inherited.get(attribute.field):
            text, origin = inherited[attribute.field], f"class of service {cos}"
        else:
            text, origin = attribute.spell(value), "default"
        if isinstance(value, tuple):
            found.append(Shown(attribute.name, value, [*value], origin))
        else:
            spelled = attribute.spell(value) if isinstance(value, bool) else text
            found.append(Shown(attribute.name, _some(spelled), str(value) if isinstance(value, StrEnum | Rate) else value, origin))
    return found


def domain(view: DomainView) -> list[Shown]:
    """Everything that is known about a domain, sorted by name."""
    row = view.row
    if view.target:
        return [
            Shown("aliasOf", (names.shown_domain(view.target),), names.shown_domain(view.target)),
            Shown("id", (str(row.id),), int(row.id)),
            Shown("note", _some(row.note), row.note),
        ]
    classes = [f"{name}:{most}" for name, most in view.cos_limits]
    return [
        Shown("accounts", (str(view.accounts),), view.accounts),
        *_room(row),
        Shown("aliasDomain", tuple(map(names.shown_domain, view.aliases)), [*map(names.shown_domain, view.aliases)]),
        Shown("cos", _some(view.cos), view.cos),
        Shown(COS_MAX_ACCOUNTS, tuple(classes), classes),
        Shown("created", (stamp(row.created) or "",), stamp(row.created)),
        Shown("delegationInitialised", _some(stamp(view.delegation_since) or ""), stamp(view.delegation_since)),
        Shown("delimiter", _some(row.delimiter), row.delimiter),
        Shown("id", (str(row.id),), int(row.id)),
        Shown("maxAccounts", (str(row.max_accounts),), row.max_accounts),
        Shown("maxQuota", (str(row.limits.max_quota),), row.limits.max_quota),
        Shown("note", _some(row.note), row.note),
        Shown("status", (str(row.status),), str(row.status)),
    ]


def _room(row: DomainRow) -> list[Shown]:
    """About all accounts together; silent where nothing is set."""
    limits = row.limits
    if not limits.aggregate_quota:
        return []
    texts = spelled(limits)
    return [
        Shown("aggregateQuota", texts["aggregateQuota"], limits.aggregate_quota),
        Shown("aggregateQuotaPolicy", texts["aggregateQuotaPolicy"], limits.policy.upper()),
        Shown("aggregateQuotaUsed", (str(row.used),), row.used),
        Shown("aggregateQuotaWarnEmailRecipient", limits.warn_recipients, [*limits.warn_recipients]),
        Shown("aggregateQuotaWarnPercent", texts["aggregateQuotaWarnPercent"], limits.warn_percent),
    ]


def plain_domain_name(name: str) -> str:
    """The plain name of an attribute that is shown of a domain; what is none stays as it is."""
    return _DOMAIN_READ.get(name.lower(), name)


def mailing_list(view: ListView) -> list[Shown]:
    """Everything that is known about a list but its members, sorted by name."""
    row = view.row
    rules = list_rules(row.attributes)
    in_force = {"moderation": rules.moderation, "subscriptionPolicy": rules.subscription, "unsubscriptionPolicy": rules.unsubscription}
    found = [
        Shown("alias", tuple(map(names.shown, view.aliases)), [*map(names.shown, view.aliases)]),
        Shown("created", (stamp(row.created) or "",), stamp(row.created)),
        Shown("displayName", _some(row.display_name), row.display_name),
        *((Shown("filter", (view.filter,), view.filter),) if view.filter else ()),
        Shown("id", (str(row.id),), int(row.id)),
        Shown("mail", (names.shown(row.address),), names.shown(row.address)),
        Shown("note", _some(row.note), row.note),
        Shown("owner", tuple(view.owners), [*view.owners]),
        Shown(POSTING_RESTRICTED, (_truth(rules.restricted),), rules.restricted),
        *(Shown(name, (str(value),), str(value)) for name, value in in_force.items()),
    ]
    return sorted(found, key=lambda one: one.name.lower())


def _some(text: str) -> tuple[str, ...]:
    return (text,) if text else ()


def _truth(value: bool) -> str:
    return "TRUE" if value else "FALSE"


def block(
    head: str, shown: Sequence[Shown], *, own_only: bool = False, wanted: Sequence[str] = (), plain: Callable[[str], str] = str
) -> str:
    """As Carbonio prints an object: `# name anna@acme.test`, a line per value, an empty line.

    `own_only`: what is inherited is told as a comment with its origin. `wanted`: attribute names as they were typed, and so they are
    printed; `plain` gives the name under which it is known here.
    """
    told = [f"# {head}"]
    by_name = {one.name: one for one in shown}
    rows = [(name, by_name.get(plain(name))) for name in wanted] if wanted else [(one.name, one) for one in shown]
    for name, one in rows:
        if one is None:
            continue
        if own_only and one.origin:
            told += [f"# {name}: {text} ({one.origin})" for text in one.texts]
        else:
            told += [f"{name}: {text}" for text in one.texts]
    return "\n".join(told) + "\n\n"


def data(
    name: str, shown: Sequence[Shown], *, own_only: bool = False, wanted: Sequence[str] = (), plain: Callable[[str], str] = str
) -> dict[str, Any]:
    """The same for programs; with `own_only` also where each value that is inherited comes from."""
    by_name = {one.name: one for one in shown}
    rows = [(asked, by_name.get(plain(asked))) for asked in wanted] if wanted else [(one.name, one) for one in shown]
    found: dict[str, Any] = {"name": name, "attributes": {asked: one.data for asked, one in rows if one is not None}}
    if own_only:
        found["inherited"] = {asked: one.origin for asked, one in rows if one is not None and one.origin}
    return found
