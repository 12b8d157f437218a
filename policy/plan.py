"""Who gains and who loses what when one document takes the place of another: decisions of both, compared."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from policy.cos import BY_NAME, ServiceValues, resolve, window
from policy.document import Change, Document, changes, read_rights, read_time, split_grantee
from policy.grantees import Grantee, GranteeKind
from policy.grants import FolderEntry, Level, SendGrant, SendRight, Standing, judge_send_right, rights_of
from policy.identity import AccountId, CosId, DomainId, ListId
from policy.rights import READ_ONLY_RIGHTS, Right, spell_letters
from policy.status import Access, AccountStatus, DomainStatus, effective, login_after_password, owner_access, owner_sending

MOST: Final = 100_000
"""Decisions of one plan, each made twice; some seconds."""
MOST_TOLD: Final = 10_000
"""Effects of one plan; whoever changes more than that looks at the changes."""


@dataclass(frozen=True, slots=True)
class Effect:
    """`actor` gains or loses `what` (a send right, folder letters, "log in") on `target`, in `folder` where it is about one."""

    actor: str
    gains: bool
    what: str
    target: str = ""
    folder: str = ""

    def __str__(self) -> str:
        where = f" on {self.target}" if self.target else ""
        return f"{self.actor} {'gains' if self.gains else 'loses'} {self.what}{where}{' ' + self.folder if self.folder else ''}"


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
        self._document = document
        self._numbers = numbers
        self.accounts = [key[1] for key in sorted(document) if len(key) == 2 and key[0] == "account"]
        self.lists = [key[1] for key in sorted(document) if len(key) == 2 and key[0] == "list"]
        self._containing: dict[str, list[str]] = {}
        self._values: dict[tuple[str, str], dict[str, str]] = {}
        self.send: dict[str, list[SendGrant]] = {}
        self.tree: dict[str, dict[str, list[FolderEntry]]] = {}
        self._stops: set[tuple[str, str]] = set()
        for key, value in document.items():
            said = value if isinstance(value, tuple) else ()
            if key[2:] == ("members",):
                for member in said:
                    self._containing.setdefault(member, []).append(key[1])
            elif len(key) == 3 and key[0] in ("cos", "account") and key[2].lower() in BY_NAME:
                self._values.setdefault((key[0], key[1]), {})[BY_NAME[key[2].lower()].field] = str(value)
            elif key[0] == "send":
                deny, begins, ends, waits, _ = said
                right, undo = SendRight(key[3]), window(waits) if waits else None
                number = self._number("object", key[1])
                one = SendGrant(number, self._grantee(key[2]), right, bool(deny), read_time(begins), read_time(ends), "", undo)
                self.send.setdefault(key[1], []).append(one)
            elif key[0] == "entry":
                rights, begins, ends, _ = said
                entry = FolderEntry(self._grantee(key[3]), read_rights(rights), read_time(begins), read_time(ends))
                self.tree.setdefault(key[1], {}).setdefault(key[2], []).append(entry)
            elif key[0] == "folder":
                self._stops.add((key[1], key[2]))
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
        return str(self._document.get(key, ""))

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

    def values(self, account: str) -> ServiceValues:
        """Own, then its class of service's, then the defaults."""
        return resolve(self._values.get(("account", account), {}), self._values.get(("cos", self.class_of(account)), {}))

    def may_log_in(self, account: str) -> bool:
        """As far as the status is concerned."""
        return login_after_password(self.status(account)) is None

    def owner_lets_send(self, name: str) -> bool:
        """Of a list: always."""
        if ("account", name) not in self._document:
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
            or not judge_send_right(self.standing(actor), number, right, self.send.get(principal, ()), now).allowed
        ):
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
    ordered = sorted(dict.fromkeys(found), key=lambda one: (one.actor, one.target, one.folder, one.what, one.gains))
    return Plan(changes(before, after), tuple(ordered), judged, complete)


def _effects(old: Site, new: Site, now: int) -> Iterator[list[Effect]]:
    """What each decision adds, one after the other."""
    accounts = old.accounts
    moved = [one for one in accounts if old.standing(one) != new.standing(one) or old.may_log_in(one) != new.may_log_in(one)]
    for one in accounts:
        if old.may_log_in(one) != new.may_log_in(one):
            yield [Effect(one, new.may_log_in(one), "log in")]
    for principal in [*accounts, *old.lists]:
        granted, now_granted = old.send.get(principal, []), new.send.get(principal, [])
        if granted != now_granted or old.owner_lets_send(principal) != new.owner_lets_send(principal) or principal in moved:
            actors = accounts
        else:
            actors = moved
        if not granted and not now_granted:
            continue
        for actor in actors:
            for right in SendRight:
                if actor != principal and any(one.right is right for one in (*granted, *now_granted)):
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


def _folder_effects(actor: str, owner: str, path: str, was: Right, now_held: Right) -> list[Effect]:
    parts = ((True, now_held & ~was), (False, was & ~now_held))
    return [Effect(actor, gains, spell_letters(rights), owner, path) for gains, rights in parts if rights]
