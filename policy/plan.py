"""Who gains and who loses what when one document takes the place of another: decisions of both, compared."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from policy.cos import ATTRIBUTES, BY_NAME, ServiceValues, resolve, window
from policy.document import Change, Document, changes, read_rights, read_time, split_grantee
from policy.domain_limits import COS_MAX_ACCOUNTS, spelled
from policy.grantees import Grantee, GranteeKind
from policy.grants import FolderEntry, Level, SendGrant, SendRight, Standing, judge_send_right, rights_of
from policy.identity import AccountId, CosId, DomainId, ListId
from policy.quota import NO_LIMITS, effective_quota
from policy.rights import READ_ONLY_RIGHTS, Right, spell_letters
from policy.status import Access, AccountStatus, DomainStatus, effective, login_after_password, owner_access, owner_sending

MOST: Final = 100_000
"""Decisions of one plan, each made twice; some seconds."""
_MAIL: Final = "the mail"
_OWNERSHIP: Final = "ownership"
_IN_A_NAME: Final = (SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF)
MOST_TOLD: Final = 10_000
"""Effects of one plan; whoever changes more than that looks at the changes."""


@dataclass(frozen=True, slots=True)
class Effect:
    """`actor` gains or loses `what` (a send right, folder letters, "log in") on `target`, in `folder` where it is about one. `gains` None:
    neither; `what` is a value that it has from then on, and the one it had."""

    actor: str
    gains: bool | None
    what: str
    target: str = ""
    folder: str = ""

    def __str__(self) -> str:
        where = f" {'of' if self.what in (_MAIL, _OWNERSHIP) else 'on'} {self.target}" if self.target else ""
        verb = "gets" if self.gains is None else "gains" if self.gains else "loses"
        return f"{self.actor} {verb} {self.what}{where}{' ' + self.folder if self.folder else ''}"


@dataclass(frozen=True, slots=True)
class Plan:
    """`judged`: how many decisions were compared; `complete` False: there were more than MOST, or more effects than MOST_TOLD."""

    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]
    judged: int
    complete: bool


class Site:
    """A document as the values that policy judges. Numbers are the places of names in `names`, the same for both documents."""

    def __init__(self, document: Document, numbers: dict[tuple[str, str], int]) -> None:
        self.document = document
        self._numbers = numbers
        self.accounts = [key[1] for key in sorted(document) if len(key) == 2 and key[0] == "account"]
        self.domains = [key[1] for key in sorted(document) if len(key) == 2 and key[0] == "domain"]
        self.lists = [key[1] for key in sorted(document) if len(key) == 2 and key[0] == "list"]
        self._containing: dict[str, list[str]] = {}
        self._values: dict[tuple[str, str], dict[str, str]] = {}
        self.send: dict[str, list[SendGrant]] = {}
        self.tree: dict[str, dict[str, list[FolderEntry]]] = {}
        self._stops: set[tuple[str, str]] = set()
        self.roles: dict[str, list[tuple[str, str, int | None, int | None]]] = {}
        for key, value in document.items():
            said = value if isinstance(value, tuple) else ()
            if key[2:] == ("members",):
                for member in said:
                    self._containing.setdefault(member, []).append(key[1])
            elif len(key) == 3 and key[0] in ("cos", "account") and key[2].lower() in BY_NAME:
                self._values.setdefault((key[0], key[1]), {})[BY_NAME[key[2].lower()].field] = str(value)
            elif key[0] == "send":
                deny, begins, ends, waits, *_ = said
                right, undo = SendRight(key[3]), window(waits) if waits else None
                number = self._number("object", key[1])
                one = SendGrant(number, self._grantee(key[2]), right, bool(deny), read_time(begins), read_time(ends), "", undo)
                self.send.setdefault(key[1], []).append(one)
            elif key[0] == "entry":
                rights, begins, ends, *_ = said
                entry = FolderEntry(self._grantee(key[3]), read_rights(rights), read_time(begins), read_time(ends))
                self.tree.setdefault(key[1], {}).setdefault(key[2], []).append(entry)
            elif key[0] == "folder":
                self._stops.add((key[1], key[2]))
            elif key[0] == "role":
                domain, begins, ends, _ = said
                self.roles.setdefault(key[1], []).append((key[2], domain, read_time(begins), read_time(ends)))
        self._standings: dict[str, Standing] = {}

    def _number(self, kind: str, name: str) -> int:
        return self._numbers.setdefault((kind, name), len(self._numbers) + 1)

    def _grantee(self, to: str) -> Grantee:
        kind, name = split_grantee(to)
        if kind is GranteeKind.ALL:
            return Grantee(kind)
        return Grantee(kind, self._number("object" if kind in (GranteeKind.ACCOUNT, GranteeKind.GROUP) else kind, name))

    def text(self, *key: str) -> str:
        """What is said; "" where nothing is."""
        return str(self.document.get(key, ""))

    def class_of(self, account: str) -> str:
        """Own, then its domain's, then `default`."""
        domain = account.rpartition("@")[2]
        return self.text("account", account, "cos") or self.text("domain", domain, "cos") or "default"

    def standing(self, account: str) -> Standing:
        """Everything by which a grant can match the account."""
        found = self._standings.get(account)
        if found is None:
            paths: dict[ListId, tuple[ListId, ...]] = {}
            reached: dict[str, tuple[ListId, ...]] = {account: ()}
            while reached:
                further: dict[str, tuple[ListId, ...]] = {}
                for member, path in reached.items():
                    for name in self._containing.get(member, ()):
                        number = ListId(self._number("object", name))
                        if number not in paths:
                            paths[number] = further[name] = (*path, number)
                reached = further
            domain = DomainId(self._number("domain", account.rpartition("@")[2]))
            cos = CosId(self._number("cos", self.class_of(account)))
            found = self._standings[account] = Standing(AccountId(self._number("object", account)), domain, cos, paths)
        return found

    def status(self, account: str) -> AccountStatus:
        """The effective one."""
        own = AccountStatus(self.text("account", account, "status") or "active")
        domain = DomainStatus(self.text("domain", account.rpartition("@")[2], "status") or "active")
        return effective(own, domain, bool(self.text("account", account, "administrator")))

    def is_open(self, group: str) -> bool:
        """May everybody post to this list, since nobody was granted to?"""
        granted = any(one.right is SendRight.SEND_TO_LIST for one in self.send.get(group, ()))
        return not granted and not self.text("list", group, "postingRestricted")

    def frozen(self, name: str, side: str) -> bool:
        """`principal`: nobody sends in its name; `actor`: it sends in no other."""
        return ("freeze", name, side) in self.document

    def administers(self, account: str, now: int) -> frozenset[str]:
        """The roles that count now, `global` or with their domain; only who can log in has any (policy.roles.AdminStanding)."""
        if not self.may_log_in(account):
            return frozenset()
        if self.text("account", account, "administrator"):
            return frozenset({"global"})
        domain = account.rpartition("@")[2]
        if not (self.text("account", account, "delegatedAdministrator") and self.text("domain", domain, "initialised")):
            return frozenset()
        return frozenset(
            f"{role} of {domain}"
            for role, where, begins, ends in self.roles.get(account, ())
            if where == domain and (begins is None or begins <= now) and (ends is None or now < ends)
        )

    def has_administrator(self, now: int) -> bool:
        """Is there a global administrator who can log in?"""
        return any("global" in self.administers(one, now) for one in self.accounts)

    def directly_in(self, group: str) -> tuple[str, ...]:
        """Its members, as they stand there."""
        found = self.document.get(("list", group, "members"), ())
        return found if isinstance(found, tuple) else ()

    def owners_of(self, group: str) -> frozenset[str]:
        """Of a list."""
        found = self.document.get(("list", group, "owners"), ())
        return frozenset(found if isinstance(found, tuple) else ())

    def mailed(self, group: str) -> frozenset[str]:
        """Who gets what is sent to the list, members elsewhere too."""
        seen = {group}
        waiting, found = [group], set()
        while waiting:
            for one in self.directly_in(waiting.pop()):
                if ("list", one) not in self.document:
                    found.add(one)
                elif one not in seen:
                    seen.add(one)
                    waiting.append(one)
        return frozenset(found)

    def values(self, account: str) -> ServiceValues:
        """Own, then its class of service's, then the defaults; no more room than its domain gives."""
        found = resolve(self._values.get(("account", account), {}), self._values.get(("cos", self.class_of(account)), {}))
        largest = int(self.text("domain", account.rpartition("@")[2], "maxQuota") or 0)
        return replace(found, quota=effective_quota(found.quota, largest)) if largest else found

    def may_log_in(self, account: str) -> bool:
        """As far as the status is concerned."""
        return login_after_password(self.status(account)) is None

    def owner_lets_send(self, name: str) -> bool:
        """Of a list: always."""
        if ("account", name) not in self.document:
            return True
        return owner_sending(self.status(name), self.values(name).delegation_when_locked) is None

    def owner_access(self, owner: str) -> tuple[Access, bool]:
        """What delegates find there."""
        return owner_access(self.status(owner), self.values(owner).delegation_when_locked)

    def may_send(self, actor: str, principal: str, right: SendRight, now: int) -> bool:
        """The right, and the statuses of both."""
        number = self._number("object", principal)
        if (
            not self.may_log_in(actor)
            or not judge_send_right(
                self.standing(actor),
                number,
                right,
                self.send.get(principal, ()),
                now,
                restricted=right is SendRight.SEND_TO_LIST and bool(self.text("list", principal, "postingRestricted")),
            ).allowed
        ):
            return False
        if right in _IN_A_NAME and (self.frozen(principal, "principal") or self.frozen(actor, "actor")):
            return False
        if right is SendRight.LOGIN_AS:
            return self.may_log_in(principal)
        return right is SendRight.SEND_TO_LIST or self.owner_lets_send(principal)

    def rights(self, actor: str, owner: str, path: str, now: int) -> Right:
        """As they count, the statuses of both included."""
        access, read_only = self.owner_access(owner)
        if access is not Access.BY_GRANT or not self.may_log_in(actor):
            return Right.NONE
        levels = []
        step = path
        while True:
            levels.append(Level(step, self.tree.get(owner, {}).get(step, ()), (owner, step) in self._stops))
            if step == "/":
                break
            step = step.rpartition("/")[0] or "/"
        held = rights_of(self.standing(actor), AccountId(self._number("object", owner)), levels, now).rights
        return held & READ_ONLY_RIGHTS if read_only else held

    def paths(self, owner: str) -> set[str]:
        """Where something is granted or cut off."""
        return {*self.tree.get(owner, ()), *(path for name, path in self._stops if name == owner)}


def compare(before: Document, after: Document, now: int) -> Plan:
    """`now`: microseconds since 1970 UTC; what starts or ends later is among the changes, not among the effects."""
    numbers: dict[tuple[str, str], int] = {}
    old, new = Site(before, numbers), Site(after, numbers)
    found: list[Effect] = []
    judged = 0
    complete = True
    for some in _effects(old, new, now):
        judged += 1
        found += some
        if judged >= MOST or len(found) >= MOST_TOLD:
            complete = False
            break
    ordered = sorted(dict.fromkeys(found), key=lambda one: (one.actor, one.target, one.folder, one.what, bool(one.gains)))
    return Plan(changes(before, after), tuple(ordered), judged, complete)


def _effects(old: Site, new: Site, now: int) -> Iterator[list[Effect]]:
    """What each decision adds, one after the other."""
    accounts = old.accounts
    moved = [
        one
        for one in accounts
        if old.standing(one) != new.standing(one)
        or old.may_log_in(one) != new.may_log_in(one)
        or old.frozen(one, "actor") != new.frozen(one, "actor")
    ]
    yield from _administration(old, new, now)
    yield from _settings(old, new)
    yield from _lists(old, new)
    for one in accounts:
        if old.may_log_in(one) != new.may_log_in(one):
            yield [Effect(one, new.may_log_in(one), "log in")]
    for principal in [*accounts, *old.lists]:
        granted, now_granted = old.send.get(principal, []), new.send.get(principal, [])
        opened = ("list", principal) in old.document and old.is_open(principal) != new.is_open(principal)
        frozen = old.frozen(principal, "principal") != new.frozen(principal, "principal")
        if (
            opened
            or frozen
            or granted != now_granted
            or old.owner_lets_send(principal) != new.owner_lets_send(principal)
            or principal in moved
        ):
            actors = accounts
        else:
            actors = moved
        if not granted and not now_granted and not opened:
            continue
        for actor in actors:
            for right in SendRight:
                asked = any(one.right is right for one in (*granted, *now_granted)) or (opened and right is SendRight.SEND_TO_LIST)
                if actor != principal and asked:
                    was, is_ = (site.may_send(actor, principal, right, now) for site in (old, new))
                    yield [Effect(actor, is_, str(right), principal)] if was != is_ else []
    for owner in accounts:
        paths = sorted(old.paths(owner) | new.paths(owner))
        same = all(old.tree.get(owner, {}).get(path) == new.tree.get(owner, {}).get(path) for path in paths)
        same = same and old.paths(owner) == new.paths(owner) and old.owner_access(owner) == new.owner_access(owner)
        for actor in moved if same else accounts:
            for path in paths:
                if actor != owner:
                    was_held, is_held = (site.rights(actor, owner, path, now) for site in (old, new))
                    yield _folder_effects(actor, owner, path, was_held, is_held)


def _administration(old: Site, new: Site, now: int) -> Iterator[list[Effect]]:
    """Roles as they count, and domains that nobody of their own administers any more."""
    left: dict[str, list[int]] = {}
    for one in old.accounts:
        was, is_ = old.administers(one, now), new.administers(one, now)
        yield [Effect(one, role in is_, f"the role {role}") for role in sorted(was ^ is_)]
        for at, some in enumerate((was, is_)):
            if some:
                left.setdefault("the installation" if "global" in some else one.rpartition("@")[2], [0, 0])[at] += 1
    yield [Effect(where, False, "its last administrator") for where, (before, after) in sorted(left.items()) if before and not after]
    yield [Effect(where, True, "an administrator") for where, (before, after) in sorted(left.items()) if after and not before]


def _settings(old: Site, new: Site) -> Iterator[list[Effect]]:
    """What applies to each account, and to domains and lists; values that accounts inherit are told of each of them."""
    for one in old.accounts:
        was, is_ = old.values(one), new.values(one)
        if was == is_:
            yield []
            continue
        differing = [attribute for attribute in ATTRIBUTES if getattr(was, attribute.field) != getattr(is_, attribute.field)]
        yield [
            _becomes(one, attribute.name, _value_words(getattr(was, attribute.field)), _value_words(getattr(is_, attribute.field)))
            for attribute in differing
        ]
    for kind, names, fields in (("domain", old.domains, _DOMAIN), ("list", old.lists, _LIST)):
        for name in names:
            for field, otherwise in fields.items():
                before, after = (_value_words(site.document.get((kind, name, field)) or otherwise) for site in (old, new))
                yield [_becomes(f"{kind} {name}", field, before, after)] if before != after else []


_DOMAIN: Final = {
    **{name: ", ".join(texts) or "(none)" for name, texts in spelled(NO_LIMITS).items()},
    **dict.fromkeys(("maxAccounts", COS_MAX_ACCOUNTS, "maxQuota", "aggregateQuota"), "no limit"),
}
_LIST: Final = {"moderation": "none", "subscriptionPolicy": "reject", "unsubscriptionPolicy": "reject"}


def _becomes(whose: str, name: str, before: str, after: str) -> Effect:
    return Effect(whose, None, f"{name} {after} instead of {before}")


def _value_words(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "(none)"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value) if value not in ("", None) else "(none)"


def _lists(old: Site, new: Site) -> Iterator[list[Effect]]:
    """Who gets the mail of lists, and who runs them."""
    inside = {name for name in old.lists if old.directly_in(name) != new.directly_in(name)}
    for name in old.lists:
        if inside:
            was, is_ = old.mailed(name), new.mailed(name)
            yield [Effect(one, one in is_, _MAIL, name) for one in sorted(was ^ is_)]
        owned, owns = old.owners_of(name), new.owners_of(name)
        yield [Effect(one, one in owns, _OWNERSHIP, name) for one in sorted(owned ^ owns)]


def _folder_effects(actor: str, owner: str, path: str, was: Right, now_held: Right) -> list[Effect]:
    parts = ((True, now_held & ~was), (False, was & ~now_held))
    return [Effect(actor, gains, spell_letters(rights), owner, path) for gains, rights in parts if rights]
