"""Policy as data: what decides as one document, what another would change for whom, and putting it in force whole or not at all."""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.directory import values
from gateway.directory.authority import Matter, Ruling
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy import domain_limits
from policy.cos import ATTRIBUTES, BY_NAME
from policy.decision import Decision
from policy.document import (
    BadDocument,
    Change,
    Document,
    Key,
    Value,
    brought_up,
    changed,
    check,
    read_format,
    read_rights,
    read_time,
    spell_time,
    split_grantee,
    write,
)
from policy.domain_limits import COS_MAX_ACCOUNTS, LIMITS, cos_limit
from policy.filters import compared, matches
from policy.grantees import Grantee, GranteeKind
from policy.grants import FolderEntry, SendGrant, SendRight
from policy.identity import AccountId, Address, CosId, DomainId, FolderId, ListId
from policy.lists import POSTING_RESTRICTED, list_rules
from policy.plan import Plan, Site, compare
from policy.reasons import Reason, Refuse
from policy.rights import spell_letters
from policy.roles import Operation, Role, RoleGrant
from policy.status import AccountStatus, DomainStatus
from store import accounts, addresses, applied, cos, domains, dynamic, folders, freezes, grants, lists, people, roles, shares
from store.accounts import ModifyAccount, SetAccountCos, SetAccountStatus, SetGlobalAdministrator
from store.applied import AppliedRow, Apply, Mark
from store.cos import ModifyCos
from store.deeds import Audited
from store.domains import ModifyDomain, SetDomainCos
from store.dynamic import SetFilter
from store.errors import Busy, Stale, StoreError
from store.folders import SwitchFolder
from store.freezes import Freeze, Side, Thaw
from store.grants import RemoveFolderEntry, RemoveSendGrant, SetFolderEntry, SetSendGrant
from store.lists import AddMembers, ModifyList, RemoveMembers
from store.model import ListRow
from store.port import Deed, Store, Tx
from store.roles import InitialiseDomain, MarkAdministrator, RemoveRole, SetRole, UninitialiseDomain

_MANAGING: Final = Matter(Operation.MANAGE_POLICY)
MOST_CHANGES: Final = 20_000
"""Of one document: they are one transaction, and one record each."""
TRIES: Final = 5
"""Times that a state is read again because something that the document does not speak of was changed meanwhile."""
PAGE: Final = 200

_LAST: Final = "it would leave no global administrator: only the operator of the machine may do that"

_NAMES: Final = {attribute.field: attribute.name for attribute in ATTRIBUTES}


@dataclass(frozen=True, slots=True)
class Planned:
    """`state`: a digest of the state it was planned on; `apply` takes it back to be sure that nothing has changed since."""

    plan: Plan
    state: str


@dataclass(slots=True)
class _Read:
    """The document, and which ids its names have. `shares`: whose each is; `meant`: the members of dynamic
    lists, which no document names."""

    mark: Mark
    now: int
    document: dict[Key, Value] = field(default_factory=dict)
    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    names: dict[tuple[str, int], str] = field(default_factory=dict)
    shares: dict[int, str] = field(default_factory=dict)
    meant: dict[Key, Value] = field(default_factory=dict)

    @property
    def state(self) -> str:
        return hashlib.sha256(write(self.document).encode()).hexdigest()[:16]

    @property
    def whole(self) -> Document:
        """With the members of dynamic lists: what is judged by."""
        return {**self.document, **self.meant}

    def name(self, kind: str, name: str, number: int) -> None:
        self.ids[kind, name] = number
        self.names[kind, number] = name
        self.document[kind, name] = ""

    def say(self, kind: str, name: str, what: str, value: Value) -> None:
        if value:
            self.document[kind, name, what] = value

    def spell(self, grantee: Grantee) -> str | None:
        """None: whoever it was is gone."""
        if grantee.kind is GranteeKind.ALL:
            return "all"
        name = self.names.get(("list" if grantee.kind is GranteeKind.GROUP else str(grantee.kind), grantee.id))
        return None if name is None else f"{grantee.kind} {name}"

    def numbers(self, one: Change) -> list[tuple[str, str, int | None]]:
        """Whom and what the names in a change mean, None: nobody. A name may be somebody else's later."""
        kind, name = one.key[:2]
        some: list[tuple[str, str]] = []
        if kind == "send":
            some += [("account", name), ("list", name)]
        elif kind in ("entry", "folder"):
            some += [("account", name), (f"folder of {name}", one.key[2])]
        else:
            some.append((kind, name))
        if kind in ("send", "entry") and (to := one.key[2 if kind == "send" else 3]) != "all":
            grantee_kind, called = split_grantee(to)
            some.append(("list" if grantee_kind is GranteeKind.GROUP else str(grantee_kind), called))
        if one.key[2:] in (("members",), ("owners",)):
            before, after = ({*(value if isinstance(value, tuple) else ())} for value in (one.before, one.after))
            some += [(section, called) for called in sorted(before ^ after) for section in ("account", "list")]
        elif one.key[2:] == (COS_MAX_ACCOUNTS,):
            both = [text for value in (one.before, one.after) for text in value or ()]
            some += [("cos", cos_limit(text)[0]) for text in both]
        elif one.key[2:] == ("cos",):
            some += [("cos", str(value)) for value in (one.before, one.after) if value]
        return [(section, called, self.ids.get((section, called))) for section, called in dict.fromkeys(some)]

    def grantee(self, to: str) -> Grantee:
        kind, name = split_grantee(to)
        section = "list" if kind is GranteeKind.GROUP else str(kind)
        return Grantee(kind) if kind is GranteeKind.ALL else Grantee(kind, self.ids[section, name])


class PolicyData:
    """Every method raises Fault, and nothing else that is expected. The operator's, and that of whose role manages everything."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def export(self) -> str:
        """The canonical text of what decides now. No secrets are in it."""
        return write((await self._read()).document)

    async def plan(self, text: str) -> Planned:
        """Who would gain and who would lose what."""
        now = await self._read()
        wanted, _ = await self._wanted(now, text)
        return Planned(await self._compared(now, wanted), now.state)

    async def apply(self, text: str, state: str | None = None) -> Planned:
        """In one transaction, and only if nothing it speaks of has changed since it was looked at. `state`: what `plan` told."""
        return await self._put_in_force(state, lambda now: self._wanted(now, text), None)

    async def rollback(self) -> Planned:
        """Takes back what the last `apply` that still stands has changed. What has been changed otherwise since stays; where that is
        the same fact nothing is done."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, _MANAGING)
            row = await snapshot.ask(applied.last)
        if row is None:
            raise Fault(Code.INVALID_REQUEST, "there is nothing to take back: no document was applied")

        async def wanted(now: _Read) -> tuple[Document, tuple[Change, ...]]:
            after, made, meant = _taken_back(now.document, row)
            _shares_are_there(now, made)
            await self._folders_are_there(now, made)
            for section, called, number in meant:
                if now.ids.get((section, called)) != number:
                    raise Fault(
                        Code.INVALID_REQUEST, f"{called} is not what it was when that was applied [{row.decision}]; nothing was changed"
                    )
            return after, made

        return await self._put_in_force(None, wanted, row.id)

    async def _put_in_force(self, state: str | None, wanted: Callable[..., Any], undoes: int | None) -> Planned:
        first = ""
        for _ in range(TRIES):
            now = await self._read()
            first = first or now.state
            if now.state != (state or first):
                raise Fault(Code.INVALID_REQUEST, f"the directory has changed since it was planned on {state or first}: plan it again")
            after, made = await wanted(now)
            plan = await self._compared(now, after)
            if not made and undoes is None:
                return Planned(plan, now.state)
            try:
                await self._do(now, after, made, undoes)
            except Stale:
                continue  # something was changed; the document is compared again, and where it is the same this goes on
            return Planned(plan, now.state)
        raise Fault(Code.TEMPORARILY_UNAVAILABLE, "the directory is being changed all the time")

    async def _compared(self, now: _Read, after: Document) -> Plan:
        """Who is in a dynamic list follows from the filter and from what is said of accounts: that is part of what changes."""
        async with self._store.snapshot() as snapshot:
            meant = await snapshot.work(_meant, now, after)
        return await asyncio.to_thread(compare, now.whole, {**after, **meant}, now.now)

    async def _do(self, now: _Read, after: Document, made: Sequence[Change], undoes: int | None) -> None:
        """Raises Stale, Fault."""
        authority = self._records.authority
        event = "policy applied" if undoes is None else "policy rolled back"
        async with self._store.snapshot() as snapshot:
            ruling = await authority.judge(snapshot, _MANAGING)
        if not ruling.decision.allowed:
            raise await authority.refused(ruling, _MANAGING, event, "")
        if not authority.is_operator and await asyncio.to_thread(_loses_administrator, now, after):
            last = Ruling(Decision(Refuse(Reason.ADMIN_NOT_PERMITTED, _LAST)), _LAST, ruling.witness)
            raise await authority.refused(last, _MANAGING, event, "")
        whole = authority.entry(ruling, _MANAGING, event, "", detail=f"{len(made)} changes")
        entries = [whole]
        for one in made:
            kind, name = one.key[0], one.key[1]
            places = () if kind in ("domain", "cos") else (("account", name), ("list", name))
            principal = next((now.ids[place] for place in places if place in now.ids), None)
            right = one.key[3] if kind == "send" else one.key[2] if kind == "role" else ""
            entry = authority.entry(ruling, _MANAGING, "policy changed", name, principal=principal, right=right, detail=str(one))
            entries.append(replace(entry, decision=whole.decision))
        kept = json.dumps([[one.key, one.before, one.after, now.numbers(one)] for one in made], ensure_ascii=False)
        deed = Apply(tuple(_deeds(now, made)), now.mark, whole.decision, kept, undoes)
        try:
            await self._store.do(Audited(deed, tuple(entries)), ruling.witness)
        except Stale:
            raise
        except Busy as error:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, f"{error}; nothing was changed") from None
        except StoreError as error:
            raise Fault(Code.INVALID_REQUEST, f"{error}; nothing was changed") from None

    async def _read(self) -> _Read:
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, _MANAGING)
            return await snapshot.work(read_store)

    async def _wanted(self, now: _Read, text: str) -> tuple[Document, tuple[Change, ...]]:
        try:
            said, written = await asyncio.to_thread(read_format, text)
            after = brought_up(now.document, said, written)
            made = await asyncio.to_thread(check, now.document, after, text)
        except BadDocument as error:
            raise Fault(Code.INVALID_REQUEST, f"{error}; nothing was changed") from None
        if len(made) > MOST_CHANGES:
            raise Fault(Code.INVALID_REQUEST, f"{len(made)} changes, {MOST_CHANGES} are the most at once; nothing was changed")
        made = tuple([await self._checked(now, one) for one in made])
        _shares_are_there(now, made)
        await self._folders_are_there(now, made)
        return changed(after, made), tuple(one for one in made if one.before != one.after)

    async def _checked(self, now: _Read, one: Change) -> Change:
        """With a value of a class of service as `procura prov` would keep it. Raises Fault."""
        attribute = BY_NAME.get(one.key[2].lower()) if one.key[0] in ("account", "cos") else None
        if attribute is None or not isinstance(one.after, str):
            return one
        own = now.ids[one.key[0], one.key[1]] if one.key[0] == "account" else None
        async with self._store.snapshot() as snapshot:
            found = await values.checked(snapshot, {attribute.field: one.after}, own)
        return Change(one.key, one.before, found[attribute.field])

    async def _folders_are_there(self, now: _Read, made: Sequence[Change]) -> None:
        """Raises Fault."""
        asked = [one.key for one in made if one.key[0] in ("entry", "folder")]
        async with self._store.snapshot() as snapshot:
            there = await snapshot.work(_folder_ids, [(AccountId(now.ids["account", key[1]]), key[2]) for key in asked])
        for key in asked:
            found = there[AccountId(now.ids["account", key[1]]), key[2]]
            if found is None:
                raise Fault(Code.NO_SUCH_FOLDER, f"{key[0]} {', '.join(key[1:])}: {key[1]} has no folder {key[2]}; nothing was changed")
            now.ids[f"folder of {key[1]}", key[2]] = found


def _loses_administrator(now: _Read, after: Document) -> bool:
    """Whatever does it: a status (its own; the domain's does not touch global administrators), or the attribute."""
    numbers: dict[tuple[str, str], int] = {}
    return Site(now.document, numbers).has_administrator(now.now) and not Site(after, numbers).has_administrator(now.now)


def _shares_are_there(now: _Read, made: Sequence[Change]) -> None:
    """Raises Fault."""
    for one in made:
        share = one.after[-1] if one.key[0] in ("send", "entry") and isinstance(one.after, tuple) else ""
        if share and now.shares.get(int(share)) != one.key[1]:
            raise Fault(Code.INVALID_REQUEST, f"{', '.join(one.key)}: {one.key[1]} has no share {share}; nothing was changed")


def _meant(tx: Tx, now: _Read, after: Document) -> dict[Key, Value]:
    """The members of dynamic lists as they would be. Raises nothing: the filters were read."""
    wanted = {key[1]: str(value) for key, value in after.items() if key[0] == "list" and key[2:] == ("filter",)}
    asked = ("status", "cos", "administrator", "filter")
    if all(now.document.get(key) == after.get(key) for key in now.document.keys() | after.keys() if len(key) == 3 and key[2] in asked):
        return now.meant
    site = Site(after, {})
    found: dict[Key, Value] = {}
    for domain in {name.rpartition("@")[2] for name in wanted}:
        filters = {name: people.read_filter(text) for name, text in wanted.items() if name.rpartition("@")[2] == domain}
        inside: dict[str, list[str]] = {name: [] for name in filters}
        number: AccountId | None = None
        while rows := people.entries(tx, DomainId(now.ids["domain", domain]), number):
            for one in rows:
                name = now.names.get(("account", one.account))
                if name is None:
                    continue
                own = {
                    "status": [site.text("account", name, "status") or "active"],
                    "cos": [compared(site.class_of(name))],
                    "isGlobalAdministrator": ["true" if site.text("account", name, "administrator") else "false"],
                }
                for group, wants in filters.items():
                    if matches(wants, {**one.values, **own}):
                        inside[group].append(name)
            number = rows[-1].account
        found |= {("list", group, "members"): tuple(sorted(some)) for group, some in inside.items() if some}
    return found


def _folder_ids(tx: Tx, asked: Sequence[tuple[AccountId, str]]) -> dict[tuple[AccountId, str], int | None]:
    found = {(owner, path): folders.by_path(tx, owner, path) for owner, path in asked}
    return {place: None if row is None else row.id for place, row in found.items()}


def _taken_back(now: Document, row: AppliedRow) -> tuple[Document, tuple[Change, ...], list[tuple[str, str, int | None]]]:
    """With whom the names meant then. Raises Fault where what was applied has been changed since."""
    found = json.loads(row.changes)
    if any(len(one) != 4 for one in found):
        raise Fault(Code.INVALID_REQUEST, f"an earlier version applied that [{row.decision}], and nobody knows whom its names meant")
    made = [Change(tuple(key), _value(before), _value(after)) for key, before, after, _ in found]
    meant = [(section, called, number) for *_, numbers in found for section, called, number in numbers]
    for one in made:
        if now.get(one.key) != one.after:
            fact = " ".join(one.key)
            raise Fault(Code.INVALID_REQUEST, f"{fact} has been changed since it was applied [{row.decision}]; nothing was changed")
    back = changed(now, [Change(one.key, one.after, one.before) for one in made])
    try:
        return back, check(now, back), meant
    except BadDocument as error:
        raise Fault(Code.INVALID_REQUEST, f"{error}; nothing was changed") from None


def _value(found: Any) -> Value | None:
    return tuple(found) if isinstance(found, list) else found


# --- from the store


def read_store(tx: Tx) -> _Read:
    """The whole directory, folders' entries included. Ask by `work`."""
    found = _Read(applied.mark(tx), tx.now)
    classes = cos.all_of_them(tx)
    for row in classes:
        found.name("cos", row.name, row.id)
        _say_values(found, "cos", row.name, row.values)
    for domain in domains.all_of_them(tx):
        if domain.alias_of is None:
            found.name("domain", domain.name, domain.id)
            found.say("domain", domain.name, "status", str(domain.status))
            found.say("domain", domain.name, "cos", "" if domain.cos is None else found.names["cos", domain.cos])
            found.say("domain", domain.name, "delimiter", domain.delimiter)
            found.say("domain", domain.name, "aliases", tuple(sorted(domains.aliases_of(tx, domain.id))))
            found.say("domain", domain.name, "initialised", "" if roles.initialised(tx, domain.id) is None else "true")
            found.say("domain", domain.name, "maxAccounts", str(domain.max_accounts or ""))
            classes_of = [f"{name}:{most}" for _, name, most in domains.cos_limits(tx, domain.id)]
            found.say("domain", domain.name, COS_MAX_ACCOUNTS, tuple(sorted(classes_of)))
            for what, value in domain_limits.said(domain.limits).items():
                found.say("domain", domain.name, what, value)
    owners = [*_accounts(tx, found)]
    groups = [*_lists(tx, found)]
    _administrators(tx, found)
    _freezes(tx, found)
    _shares(tx, found)
    part_of = {place: str(share) for place, share in shares.parts(tx).items()}
    for number, name in [*owners, *groups]:
        for grant in grants.send_grants_on(tx, number):
            to = found.spell(grant.grantee)
            if to is not None:
                waits = "" if grant.undo_window is None else str(grant.undo_window)
                times = (spell_time(grant.not_before), spell_time(grant.expires))
                share = part_of.get((number, grant.grantee, str(grant.right)), "")
                said = ("true" if grant.deny else "", *times, waits, grant.note, spell_time(grant.review), share)
                found.document["send", name, to, str(grant.right)] = said
    for number, name in owners:
        for path, level in grants.mailbox_levels(tx, AccountId(number)).items():
            if level.no_inherit:
                found.document["folder", name, path] = "true"
            for one in level.entries:
                to = found.spell(one.grantee)
                if to is not None:
                    times = (spell_time(one.not_before), spell_time(one.expires))
                    share = part_of.get((number, one.grantee, path), "")
                    found.document["entry", name, path, to] = (spell_letters(one.rights), *times, one.note, spell_time(one.review), share)
    return found


def _administrators(tx: Tx, found: _Read) -> None:
    after = 0
    while page := roles.administrators(tx, after, PAGE):
        for one in page:
            name = found.names["account", one.account]
            found.say("account", name, "delegatedAdministrator", "true" if one.marked else "")
            for grant in one.grants:
                times = (spell_time(grant.not_before), spell_time(grant.expires))
                found.document["role", name, str(grant.role)] = (found.names["domain", grant.domain], *times, grant.note)
        after = page[-1].account


def _freezes(tx: Tx, found: _Read) -> None:
    for side in Side:
        for one in freezes.all_of_them(tx, side):
            name = found.names.get(("account", one.object)) or found.names.get(("list", one.object))
            if name is not None:
                found.document["freeze", name, str(side)] = (one.note,)


def _shares(tx: Tx, found: _Read) -> None:
    after = 0
    while page := shares.page(tx, after, PAGE):
        found.shares |= {int(one.id): found.names["account", one.owner] for one in page}
        after = page[-1].id


def _say_values(found: _Read, kind: str, name: str, said: Mapping[str, str]) -> None:
    for one, text in said.items():
        if one in _NAMES:
            found.say(kind, name, _NAMES[one], text)


def _accounts(tx: Tx, found: _Read) -> Iterator[tuple[int, str]]:
    after: AccountId | None = None
    while rows := accounts.of_domain(tx, None, after, PAGE):
        for row in rows:
            name = str(row.address)
            found.name("account", name, row.id)
            found.say("account", name, "status", str(row.own_status))
            found.say("account", name, "cos", "" if row.own_cos is None else found.names["cos", row.own_cos])
            found.say("account", name, "administrator", "true" if row.is_global_administrator else "")
            found.say("account", name, "aliases", _aliases(tx, row.id))
            _say_values(found, "account", name, row.own_values)
            yield row.id, name
        after = rows[-1].id


def _lists(tx: Tx, found: _Read) -> Iterator[tuple[int, str]]:
    after: ListId | None = None
    rows_of_all: list[ListRow] = []
    while rows := lists.of_domain(tx, None, after, PAGE):
        rows_of_all += rows
        after = rows[-1].id
    for row in rows_of_all:
        name = str(row.address)
        found.name("list", name, row.id)
        found.say("list", name, "aliases", _aliases(tx, row.id))
        # One that was kept as it was written may have become an account since: one name is one member.
        members = tuple(sorted({str(one.address) for one in lists.members(tx, row.id)}))
        wanted = dynamic.filter_of(tx, row.id)
        if wanted is None:
            found.say("list", name, "members", members)
        else:
            found.say("list", name, "filter", wanted)
            if members:
                found.meant["list", name, "members"] = members
        found.say("list", name, "owners", tuple(sorted(found.names["account", one] for one in row.owners)))
        rules = list_rules(row.attributes)
        said = (row.attributes.get("moderation"), row.attributes.get("subscriptionPolicy"), row.attributes.get("unsubscriptionPolicy"))
        read = (rules.moderation, rules.subscription, rules.unsubscription)
        for attribute, text, rule in zip(_LIST_ATTRIBUTES, said, read, strict=True):
            found.say("list", name, attribute, str(rule) if text else "")
        found.say("list", name, "postingRestricted", "true" if rules.restricted else "")
        yield row.id, name


_LIST_ATTRIBUTES: Final = ("moderation", "subscriptionPolicy", "unsubscriptionPolicy")


def _aliases(tx: Tx, holder: int) -> tuple[str, ...]:
    return tuple(sorted(map(str, addresses.aliases(tx, holder))))


# --- to the store


_LIMITS: Final = frozenset(one.name for one in LIMITS)


def _deeds(now: _Read, made: Sequence[Change]) -> Iterator[Deed[Any]]:
    # What a domain gives room for is changed before its accounts are.
    yield from _limit_deeds(now, [one for one in made if one.key[0] == "domain"])
    for one in made:
        kind, name = one.key[0], one.key[1]
        if kind == "domain" and one.key[2] in _ROOM:
            continue
        if kind == "send":
            yield from _send_deeds(now, one)
        elif kind == "role":
            yield _role_deed(now, one)
        elif kind == "freeze":
            target, side = now.ids.get(("account", name)) or now.ids["list", name], Side(one.key[2])
            yield Freeze(target, side, one.after[0]) if isinstance(one.after, tuple) else Thaw(target, side)
        elif kind in ("entry", "folder"):
            yield from _folder_deeds(now, one)
        else:
            yield from _object_deeds(now, one, now.ids[kind, name], one.key[2], one.after)


_ROOM: Final = _LIMITS | {COS_MAX_ACCOUNTS, "maxAccounts"}


def _limit_deeds(now: _Read, made: Sequence[Change]) -> Iterator[Deed[Any]]:
    limited: dict[str, dict[str, Value]] = {}
    for one in made:
        domain = DomainId(now.ids["domain", one.key[1]])
        if one.key[2] == "maxAccounts":
            yield ModifyDomain(domain, max_accounts=int(str(one.after or "0")))
        elif one.key[2] == COS_MAX_ACCOUNTS:
            classes = [cos_limit(text) for text in one.after or ()]
            yield ModifyDomain(domain, cos_limits=[(CosId(now.ids["cos", called]), most) for called, most in classes])
        elif one.key[2] in _LIMITS:
            there = {what: value for what in _LIMITS if (value := now.document.get(("domain", one.key[1], what)))}
            limited.setdefault(one.key[1], there)[one.key[2]] = one.after or ""
    for name, texts in limited.items():
        yield ModifyDomain(DomainId(now.ids["domain", name]), limits=domain_limits.meant(texts))


def _object_deeds(now: _Read, one: Change, number: int, what: str, value: Value | None) -> Iterator[Deed[Any]]:
    text = "" if value is None else str(value)
    match one.key[0], what:
        case "domain", "status":
            yield ModifyDomain(DomainId(number), status=DomainStatus(text or "active"))
        case "domain", "cos":
            yield SetDomainCos(DomainId(number), CosId(now.ids["cos", text]) if text else None)
        case "domain", "initialised":
            yield InitialiseDomain(DomainId(number)) if text else UninitialiseDomain(DomainId(number))
        case "account", "delegatedAdministrator":
            yield MarkAdministrator(AccountId(number), bool(text))
        case "list", "filter":
            yield SetFilter(ListId(number), text)
        case "list", "postingRestricted":
            yield ModifyList(ListId(number), attributes={POSTING_RESTRICTED: "TRUE" if text else ""})
        case "cos", _:
            yield ModifyCos(CosId(number), values={BY_NAME[what.lower()].field: text})
        case "account", "status":
            yield SetAccountStatus(AccountId(number), AccountStatus(text or "active"))
        case "account", "cos":
            yield SetAccountCos(AccountId(number), CosId(now.ids["cos", text]) if text else None)
        case "account", "administrator":
            yield SetGlobalAdministrator(AccountId(number), bool(text))
        case "account", _:
            yield ModifyAccount(AccountId(number), values={BY_NAME[what.lower()].field: text})
        case "list", "members":
            was, is_ = ({*(some if isinstance(some, tuple) else ())} for some in (one.before, value))
            if was - is_:
                yield RemoveMembers(ListId(number), [*map(_address, sorted(was - is_))])
            if is_ - was:
                yield AddMembers(ListId(number), [*map(_address, sorted(is_ - was))])
        case "list", "owners":
            yield ModifyList(ListId(number), owners=[AccountId(now.ids["account", owner]) for owner in value or ()])
        case "list", _:
            yield ModifyList(ListId(number), attributes={what: text})
        case _:
            raise AssertionError(one.key)


def _address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    try:
        return Address(local, domain)
    except ValueError as error:
        raise Fault(Code.INVALID_REQUEST, f"{text}: {error}; nothing was changed") from None


def _role_deed(now: _Read, one: Change) -> Deed[Any]:
    account, role = AccountId(now.ids["account", one.key[1]]), Role(one.key[2])
    if not isinstance(one.after, tuple):
        return RemoveRole(account, role)
    domain, begins, ends, note = one.after
    return SetRole(account, RoleGrant(role, DomainId(now.ids["domain", domain]), read_time(begins), read_time(ends), note))


def _send_deeds(now: _Read, one: Change) -> Iterator[Deed[Any]]:
    _, on, to, right = one.key
    target = now.ids.get(("account", on)) or now.ids["list", on]
    if isinstance(one.after, tuple):
        deny, begins, ends, waits, note, review, share = one.after
        undo = BY_NAME["undowindow"].parse(waits) if waits else None
        times = (read_time(begins), read_time(ends))
        grant = SendGrant(target, now.grantee(to), SendRight(right), bool(deny), *times, note, undo, read_time(review))
        yield SetSendGrant(grant, int(share) if share else None)
    else:
        assert one.before is not None
        yield RemoveSendGrant(target, now.grantee(to), SendRight(right), bool(one.before[0]))


def _folder_deeds(now: _Read, one: Change) -> Iterator[Deed[Any]]:
    folder = FolderId(now.ids[f"folder of {one.key[1]}", one.key[2]])
    if one.key[0] == "folder":
        yield SwitchFolder(folder, no_inherit=one.after is not None)
    elif isinstance(one.after, tuple):
        rights, begins, ends, note, review, share = one.after
        times = (read_time(begins), read_time(ends))
        entry = FolderEntry(now.grantee(one.key[3]), read_rights(rights), *times, note, read_time(review))
        yield SetFolderEntry(folder, entry, int(share) if share else None)
    else:
        yield RemoveFolderEntry(folder, now.grantee(one.key[3]))
