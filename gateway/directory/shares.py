"""Mailboxes that are shared by one word: what is going to be granted, granting all of it at once, and taking exactly that back."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.directory import names
from gateway.directory.accounts import free
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.mailboxes import read_path
from gateway.directory.records import Records
from policy.cos import DelegatedSent
from policy.grantees import Grantee, GranteeKind
from policy.grants import FolderEntry, SendGrant, entries_that_count, in_force
from policy.identity import AccountId, Address, ListId
from policy.presets import NoPreset, Preset, letters_in_words, preset_named, send_in_words
from policy.rights import spell_letters
from policy.roles import Operation
from policy.status import AccountStatus
from store import accounts, folders, grants, lists, shares
from store.accounts import CreateAccount, DeleteAccount
from store.addresses import ObjectKind
from store.deeds import Several
from store.errors import Conflict, GrantsFull, LimitReached, NotFound
from store.folders import ROOT, STANDARD
from store.grants import SharedFolder
from store.model import AccountRow
from store.port import Snapshot, Store
from store.shares import CreateShare, EndShare, Given, ShareId, ShareRow, in_the_way

PAGE: Final = 200
COUNTED: Final = 1000
"""Accounts of a member that are counted; from there on it is "more than"."""
MOST_MEMBERS: Final = 200
MOST_FOLDERS: Final = 200
_UNREACHABLE: Final = frozenset({AccountStatus.CLOSED, AccountStatus.PENDING})


@dataclass(frozen=True, slots=True)
class ShareOrder:
    """What is asked for. `members`: addresses of accounts and lists, `domain:NAME`, `cos:NAME`, `all`. `folders`: none for all of them.

    `sent`, `display_name`: of a mailbox that is made. Times in microseconds since 1970 UTC. `replace`: what a member was granted there
    otherwise becomes part of the share.
    """

    address: str
    members: Sequence[str]
    preset: str
    on_behalf: bool = False
    folders: Sequence[str] = ()
    not_before: int | None = None
    expires: int | None = None
    review: int | None = None
    note: str = ""
    sent: DelegatedSent | None = None
    display_name: str = ""
    replace: bool = False


@dataclass(frozen=True, slots=True)
class MemberView:
    """`accounts`: how many it is now, COUNTED + 1 for more than can be counted; only a plan counts."""

    grantee: Grantee
    name: str
    accounts: int


@dataclass(frozen=True, slots=True)
class SharePlan:
    """What an order comes to, in words besides, line by line. `is_new`: the mailbox is made with it."""

    address: str
    is_new: bool
    preset: Preset
    members: Sequence[MemberView]
    paths: Sequence[str]
    words: Sequence[str]
    deed: CreateShare = field(repr=False)


@dataclass(frozen=True, slots=True)
class ShareView:
    """A share with names for ids. `entries`, `sends`: what stands of it, with the grantee's name."""

    row: ShareRow
    owner: str
    members: Sequence[MemberView]
    entries: Sequence[tuple[SharedFolder, str]]
    sends: Sequence[tuple[SendGrant, str]]
    now: int


@dataclass(frozen=True, slots=True)
class EndedShare:
    """`taken`: what it took away; `left`: what its members may still do there, granted otherwise; both in words."""

    number: ShareId
    owner: str
    taken: Sequence[str]
    left: Sequence[str]
    mailbox_deleted: bool


class Shares:
    """Every method raises Fault, and nothing else that is expected. `keep_deleted`: as in Accounts."""

    def __init__(self, store: Store, records: Records, *, keep_deleted: int = 0) -> None:
        self._store = store
        self._records = records
        self._keep_deleted = keep_deleted

    async def plan(self, order: ShareOrder) -> SharePlan:
        """Nothing is changed. Who may not do it is not told what it comes to."""
        async with self._store.snapshot() as snapshot:
            return await _plan(snapshot, order, await self._owner(snapshot, order.address), self._records)

    async def create(self, order: ShareOrder) -> tuple[ShareId, SharePlan]:
        """All of it, or nothing."""
        plan = await self.plan(order)
        members = ", ".join(called(one) for one in plan.members)
        where = ", ".join(plan.paths)
        said = [f"{plan.preset.name} for {members}"]
        said += [f"{plan.preset.letters} on {where}"] if plan.preset.letters else []
        said += [*plan.preset.sends]
        said += ["with a new mailbox"] if plan.is_new else []
        words = {
            NotFound: Fault(Code.INVALID_REQUEST, "an account, a list or a folder of it went away meanwhile; nothing was changed"),
            Conflict: Fault(Code.INVALID_REQUEST, "somebody granted something there meanwhile; nothing was changed"),
            GrantsFull: Fault(Code.INVALID_REQUEST, f"a folder has at most {grants.MOST_ENTRIES} grants: share with a list"),
            LimitReached: Fault(Code.TOO_MANY_ACCOUNTS, plan.address.rpartition("@")[2]),
        }
        number = await self._records.do(
            plan.deed,
            "share created",
            plan.address,
            matter=_making(plan.deed),
            principal=None if plan.is_new else _account_of(plan.deed),
            right=plan.preset.letters,
            detail="; ".join(said),
            words=words,
        )
        return number, plan

    async def all(self, owner: str | None = None, member: str | None = None) -> Sequence[ShareView]:
        """By number; on one mailbox, with one member, or all."""
        async with self._store.snapshot() as snapshot:
            if owner is not None:
                kept = await names.account(snapshot, owner)
                await self._records.allow(snapshot, _viewing(kept.id), owner)
                rows = await snapshot.ask(shares.of_owner, kept.id)
            else:
                await self._records.browse(snapshot, Operation.VIEW_ACCOUNT_GRANTS)
                rows = []
                while page := await snapshot.work(shares.page, rows[-1].id if rows else 0, PAGE):
                    rows = [*rows, *page]
            if member is not None:
                grantee = await read_member(snapshot, member)
                await self._records.allow(snapshot, Matter(Operation.VIEW_ACCOUNT_GRANTS, grantees=(grantee,)), member)
                wanted = await snapshot.work(shares.with_member, grantee)
                rows = [row for row in rows if row.id in wanted]
            return [await _view(snapshot, row) for row in rows if await self._records.sees(snapshot, _viewing(row.owner))]

    async def get(self, which: str) -> ShareView:
        """By number, or by the mailbox where it has only one share."""
        async with self._store.snapshot() as snapshot:
            return await _view(snapshot, await found_share(snapshot, self._records, which))

    async def end(self, which: str, *, delete_mailbox: bool = False) -> EndedShare:
        """Takes away what the share gave and nobody changed since. `delete_mailbox`: one that was made with it goes too, with its mail."""
        async with self._store.snapshot() as snapshot:
            row = await found_share(snapshot, self._records, which)
            await self._records.allow(snapshot, Matter(Operation.MANAGE_FOLDERS, accounts=(row.owner,)), which)
            if delete_mailbox:
                await self._records.allow(snapshot, Matter(Operation.DELETE_ACCOUNT, accounts=(row.owner,), ends=row.owner), which)
            owner = await snapshot.ask(accounts.by_id, row.owner)
            if owner is None:
                raise Fault(Code.NO_SUCH_SHARE, which)
            others = [one.id for one in await snapshot.ask(shares.of_owner, row.owner) if one.id != row.id]
            members = await snapshot.ask(shares.members, row.id)
        about = names.shown(owner.address)
        if delete_mailbox and not row.made_mailbox:
            raise Fault(Code.INVALID_REQUEST, f"{about} was there before the share and stays (deleteAccount deletes it)")
        if delete_mailbox and others:
            raise Fault(Code.INVALID_REQUEST, f"{about} is shared otherwise too: share {', '.join(map(str, others))}")
        ending = EndShare(row.id)
        words = {NotFound: Fault(Code.NO_SUCH_SHARE, which)}
        said = f"share {row.id}, {row.preset}{', with its mailbox' if delete_mailbox else ''}"
        deed = Several((ending, DeleteAccount(row.owner, self._keep_deleted))) if delete_mailbox else Several((ending,))
        matter = Matter(Operation.REVOKE_ON_ACCOUNT, accounts=(row.owner,), ends=row.owner if delete_mailbox else None)
        given, *_ = await self._records.do(
            deed, "share ended", str(owner.address), matter=matter, principal=row.owner, detail=said, words=words
        )
        async with self._store.snapshot() as snapshot:
            called = await snapshot.ask(
                names.names_of,
                frozenset([*(one.entry.grantee for one in given.entries), *(one.grantee for one in given.sends), *members]),
            )
            call = names.caller(called)
            taken = [f"{call(one.entry.grantee)}: {spell_letters(one.entry.rights)} on {one.path}" for one in given.entries]
            taken += [f"{call(one.grantee)}: {one.right}" for one in given.sends]
            kept = [] if delete_mailbox else await left(snapshot, row.owner, members)
        return EndedShare(row.id, about, taken, kept, delete_mailbox)

    async def _owner(self, snapshot: Snapshot, text: str) -> AccountRow | None:
        """None: it is to be made."""
        found = await names.resolved(snapshot, text)
        if found is None:
            await may_make(snapshot, self._records, None, text)
            return None
        if found.kind is ObjectKind.LIST:
            await self._records.allow(snapshot, Matter(Operation.GRANT_ON_LIST, lists=(ListId(found.id),)), text)
            raise Fault(
                Code.INVALID_REQUEST, f"{text} is a distribution list and has no mailbox: grantRight dl lets others send in its name"
            )
        row = await snapshot.ask(accounts.by_id, AccountId(found.id))
        await may_make(snapshot, self._records, row, text)
        return row


async def found_share(snapshot: Snapshot, records: Records, which: str) -> ShareRow:
    """By number, or by the mailbox where it has only one. Raises Fault, where it may not be seen too."""
    if which.isascii() and which.isdigit() and len(which) < 18:
        row = await snapshot.ask(shares.by_id, ShareId(int(which)))
        if row is None:
            await records.browse(snapshot, Operation.VIEW_ACCOUNT_GRANTS)
            raise Fault(Code.NO_SUCH_SHARE, which)
        await records.allow(snapshot, _viewing(row.owner), which)
        return row
    owner = await names.account(snapshot, which)
    await records.allow(snapshot, _viewing(owner.id), which)
    rows = await snapshot.ask(shares.of_owner, owner.id)
    if not rows:
        raise Fault(Code.NO_SUCH_SHARE, which)
    if len(rows) > 1:
        numbers = ", ".join(str(row.id) for row in rows)
        raise Fault(Code.INVALID_REQUEST, f"{which} has {len(rows)} shares: say which, by number: {numbers}")
    return rows[0]


def _account_of(deed: CreateShare) -> AccountId | None:
    return None if isinstance(deed.account, CreateAccount) else deed.account


def called(member: MemberView) -> str:
    """ "group team@acme.test"."""
    return "everybody" if member.grantee.kind is GranteeKind.ALL else f"{member.grantee.kind} {member.name}"


def _viewing(owner: AccountId) -> Matter:
    return Matter(Operation.VIEW_ACCOUNT_GRANTS, accounts=(owner,))


def _making(deed: CreateShare) -> Matter:
    """What is judged with the transaction; `may_make` asks besides."""
    if isinstance(deed.account, CreateAccount):
        attributes = ["displayName"] * bool(deed.account.display_name) + ["note"] * bool(deed.account.note) + ["delegatedSent"]
        return Matter(Operation.CREATE_ACCOUNT, made=(deed.account.address,), grantees=deed.grantees, attributes=attributes)
    return Matter(Operation.GRANT_ON_ACCOUNT, accounts=(deed.account,), grantees=deed.grantees)


async def may_make(snapshot: Snapshot, records: Records, owner: AccountRow | None, address: str, *grantees: Grantee) -> None:
    """Raises Fault. Before anything is told of the mailbox or of a member."""
    for operation in (Operation.GRANT_ON_ACCOUNT, Operation.MANAGE_FOLDERS):
        if owner is None:
            matter = Matter(operation, made=(names.new_address(address),), grantees=grantees)
        else:
            matter = Matter(operation, accounts=(owner.id,), grantees=grantees)
        await records.allow(snapshot, matter, address)


async def read_member(snapshot: Snapshot, text: str) -> Grantee:
    """`all`, `domain:NAME`, `cos:NAME`, or the address of an account or list. Raises Fault."""
    kind, colon, name = text.partition(":")
    if text.lower() in ("all", "anyone", "everybody"):
        return Grantee(GranteeKind.ALL)
    if colon and kind in (GranteeKind.DOMAIN, GranteeKind.COS, GranteeKind.GROUP, GranteeKind.ACCOUNT):
        return await names.grantee(snapshot, GranteeKind(kind), name)
    found = await names.resolved(snapshot, text)
    if found is None:
        raise Fault(Code.NO_SUCH_ACCOUNT, text)
    return Grantee(GranteeKind.ACCOUNT if found.kind is ObjectKind.ACCOUNT else GranteeKind.GROUP, found.id)


async def member_view(snapshot: Snapshot, grantee: Grantee) -> MemberView:
    """With its name, and how many accounts it is."""
    count = 1 if grantee.kind is GranteeKind.ACCOUNT else len(await snapshot.work(grants.accounts_matching, grantee, COUNTED + 1))
    return MemberView(grantee, await snapshot.ask(names.name_of, grantee), count)


async def _view(snapshot: Snapshot, row: ShareRow) -> ShareView:
    owner = await snapshot.ask(accounts.by_id, row.owner)
    given = await snapshot.work(shares.given, row.id)
    some = frozenset([*(one.entry.grantee for one in given.entries), *(one.grantee for one in given.sends)])
    called = await snapshot.ask(names.names_of, some)
    call = names.caller(called)
    return ShareView(
        row,
        f"#{row.owner}" if owner is None else names.shown(owner.address),
        [MemberView(one, await snapshot.ask(names.name_of, one), 0) for one in await snapshot.ask(shares.members, row.id)],
        [(one, call(one.entry.grantee)) for one in given.entries],
        [(one, call(one.grantee)) for one in given.sends],
        snapshot.now,
    )


# --- what an order comes to


async def _plan(snapshot: Snapshot, order: ShareOrder, owner: AccountRow | None, records: Records) -> SharePlan:
    try:
        preset = preset_named(order.preset)
    except NoPreset as error:
        raise Fault(Code.INVALID_REQUEST, f"no preset {order.preset}: {error}") from None
    if order.on_behalf and not preset.bends:
        raise Fault(Code.INVALID_REQUEST, f"the preset {preset.name} says by itself how its members send, or that they do not")
    preset = preset.on_behalf() if order.on_behalf else preset
    check_times(order.not_before, order.expires, order.review, snapshot.now)
    members = await read_members(snapshot, order.members, order.address, owner, records)
    if owner is None:
        account: AccountId | CreateAccount = await _new_mailbox(snapshot, order)
        address = names.shown(names.new_address(order.address))
    else:
        _check_existing(owner, order, preset)
        account, address = owner.id, names.shown(owner.address)
    paths = await read_paths(snapshot, order.folders, owner, preset)
    if owner is not None and not order.replace:
        await _check_free(snapshot, owner, members, paths, preset)
    deed = CreateShare(
        account,
        preset.name,
        tuple(one.grantee for one in members),
        tuple(paths),
        preset.rights,
        preset.sends,
        order.not_before,
        order.expires,
        order.review,
        order.note,
        order.replace,
    )
    sent = (order.sent or DelegatedSent.OWNER) if owner is None else owner.values.delegated_sent
    words = _words(address, owner, preset, members, paths, sent)
    words += await lessened(snapshot, owner, members, paths, preset)
    words += await unsubscribed(snapshot, owner, paths)
    return SharePlan(address, owner is None, preset, members, paths, words, deed)


def check_times(not_before: int | None, expires: int | None, review: int | None, now: int) -> None:
    """Raises Fault."""
    if not_before is not None and expires is not None and expires <= not_before:
        raise Fault(Code.INVALID_REQUEST, "the share would end before it starts")
    if expires is not None and expires <= now:
        raise Fault(Code.INVALID_REQUEST, "the share would be over already")
    if review is not None and expires is not None and review >= expires:
        raise Fault(Code.INVALID_REQUEST, "the share would have ended before it is reviewed")


async def read_members(
    snapshot: Snapshot, some: Sequence[str], address: str, owner: AccountRow | None, records: Records
) -> list[MemberView]:
    """With whom a mailbox is to be shared (more): who may do that, and can use it. Raises Fault."""
    if not some:
        raise Fault(Code.INVALID_REQUEST, "a share needs members")
    found: dict[Grantee, MemberView] = {}
    own = None if owner is not None else names.new_address(address)
    for text in some:
        if own is not None and _same(text, own):
            raise Fault(Code.INVALID_REQUEST, f"{text} would be shared with itself")
        grantee = await read_member(snapshot, text)
        await may_make(snapshot, records, owner, address, grantee)
        one = await member_view(snapshot, grantee)
        if owner is not None and one.grantee == Grantee(GranteeKind.ACCOUNT, owner.id):
            raise Fault(Code.INVALID_REQUEST, f"{names.shown(owner.address)} would be shared with itself: it holds every right already")
        if one.grantee.kind is GranteeKind.ACCOUNT:
            row = await snapshot.ask(accounts.by_id, AccountId(one.grantee.id))
            if row is None or row.status in _UNREACHABLE:
                raise Fault(Code.INVALID_REQUEST, f"{one.name} is {'gone' if row is None else row.status}: nobody can use what it is given")
        found.setdefault(one.grantee, one)
    check_number(len(found))
    return [*found.values()]


def check_number(members: int) -> None:
    """Raises Fault."""
    if members > MOST_MEMBERS:
        raise Fault(Code.INVALID_REQUEST, f"a share has at most {MOST_MEMBERS} members: put them into a list")


def _same(text: str, own: Address) -> bool:
    try:
        return names.new_address(text) == own
    except Fault:
        return False


async def _new_mailbox(snapshot: Snapshot, order: ShareOrder) -> CreateAccount:
    address = names.new_address(order.address)
    await free(snapshot, address, Code.ACCOUNT_EXISTS)
    values = {"delegated_sent": str(order.sent or DelegatedSent.OWNER)}
    return CreateAccount(address, order.display_name, values=values, note=order.note)


def _check_existing(owner: AccountRow, order: ShareOrder, preset: Preset) -> None:
    shown = names.shown(owner.address)
    check_reachable(owner)
    if order.sent is not None or order.display_name:
        raise Fault(Code.INVALID_REQUEST, f"{shown} exists: modifyAccount changes its displayName and delegatedSent")
    check_folders(preset, order.folders, shown)


def check_reachable(owner: AccountRow) -> None:
    """Raises Fault."""
    if owner.status in _UNREACHABLE:
        raise Fault(Code.INVALID_REQUEST, f"{names.shown(owner.address)} is {owner.status}: nobody could open it or send in its name")


def check_folders(preset: Preset, some: Sequence[str], address: str) -> None:
    """Raises Fault."""
    if preset.needs_folders and not some:
        raise Fault(Code.INVALID_REQUEST, f"{preset.name} needs the folders of {address} to share (/ for all of them)")


async def read_paths(snapshot: Snapshot, some: Sequence[str], owner: AccountRow | None, preset: Preset) -> list[str]:
    """Of the folders that are to be shared: all of them where none is named. Raises Fault."""
    if not preset.letters:
        if some:
            raise Fault(Code.INVALID_REQUEST, f"the preset {preset.name} shares no folders")
        return []
    wanted = list(dict.fromkeys(read_path(one) for one in some)) or [ROOT]
    if len(wanted) > MOST_FOLDERS:
        raise Fault(Code.INVALID_REQUEST, f"at most {MOST_FOLDERS} folders at once: share one above them")
    standard = {ROOT, *(path for path, _ in STANDARD)}
    for path in wanted:
        there = path in standard if owner is None else await snapshot.ask(folders.by_path, owner.id, path) is not None
        if not there:
            raise Fault(Code.NO_SUCH_FOLDER, path)
    return wanted


async def _check_free(snapshot: Snapshot, owner: AccountRow, members: Sequence[MemberView], paths: Sequence[str], preset: Preset) -> None:
    """Otherwise ending the share would take away what was granted before, or leave what the share gave."""
    by_grantee = {one.grantee: one for one in members}
    found: list[str] = []
    for path in paths:
        folder = await snapshot.ask(folders.by_path, owner.id, path)
        entries = [] if folder is None else await snapshot.ask(grants.entries, folder.id)
        found += [
            f"{called(by_grantee[entry.grantee])} has {spell_letters(entry.rights)} on {path}"
            for entry in entries
            if entry.grantee in by_grantee and in_the_way(entry, snapshot.now)
        ]
    for right in preset.sends:
        found += [
            f"{called(by_grantee[grant.grantee])} has {'-' if grant.deny else ''}{right}"
            for grant in await snapshot.ask(grants.send_grants_on, owner.id, right)
            if grant.grantee in by_grantee and in_the_way(grant, snapshot.now)
        ]
    if found:
        raise Fault(
            Code.INVALID_REQUEST,
            f"{'; '.join(found)} already: take that away first, or say --replace to make it part of the share",
        )


# --- in words


def _words(
    address: str, owner: AccountRow | None, preset: Preset, members: Sequence[MemberView], paths: Sequence[str], sent: DelegatedSent
) -> list[str]:
    told = []
    if owner is None:
        told.append(f"a new mailbox {address} without a password: nobody logs in to it, its members open it from their own accounts")
    elif owner.status is not AccountStatus.ACTIVE:
        told.append(f"{address} is {owner.status}: its members can do only what that leaves to delegates")
    for one in members:
        who = f"{called(one)}{counted(one)}"
        told += [f"{who} may{in_folders(preset, paths)}"] if preset.letters else []
        told += [f"{who} may {send_in_words(right, address)} ({right})" for right in preset.sends]
    return told + ([copies(address, sent)] if preset.sends else [])


def in_folders(preset: Preset, paths: Sequence[str]) -> str:
    """What somebody may do in these folders, behind "may"."""
    where = "every folder" if list(paths) == [ROOT] else ", ".join("every folder" if path == ROOT else path for path in paths)
    below = "" if ROOT in paths else ", and what is below"
    return f", in {where}{below}: {letters_in_words(preset.letters)} ({preset.letters})"


def copies(address: str, sent: DelegatedSent) -> str:
    """Where what delegates send is filed."""
    return f"a copy of what they send so is filed {_COPIES[sent].format(address)} (delegatedSent {sent})"


_COPIES: Final = {
    DelegatedSent.OWNER: "in the Sent of {}",
    DelegatedSent.SENDER: "in the sender's own Sent",
    DelegatedSent.BOTH: "in the Sent of {} and in the sender's own",
    DelegatedSent.NONE: "nowhere",
}


def counted(member: MemberView) -> str:
    """ " (2 accounts now)" behind its name; "" of an account."""
    if member.grantee.kind is GranteeKind.ACCOUNT:
        return ""
    if member.accounts > COUNTED:
        return f" (more than {COUNTED} accounts)"
    return f" ({member.accounts} account{'' if member.accounts == 1 else 's'} now)"


async def unsubscribed(snapshot: Snapshot, owner: AccountRow | None, paths: Sequence[str]) -> list[str]:
    """Which of them mail programs show."""
    if not paths:
        return []
    manual = []
    if owner is not None:
        within = [one for one in await snapshot.work(folders.of_owner, owner.id) if not one.subscribe_auto]
        manual = [one.path for one in within if any(path == ROOT or one.path == path or one.path.startswith(path + "/") for path in paths)]
    told = ["mail programs show these folders without being asked: members are subscribed to them"]
    return told + ([f"but not to {', '.join(manual[:5])}{' ...' if len(manual) > 5 else ''} (subscribe manual)"] if manual else [])


async def lessened(
    snapshot: Snapshot, owner: AccountRow | None, members: Sequence[MemberView], paths: Sequence[str], preset: Preset
) -> list[str]:
    """An entry replaces what is inherited: that may have been more."""
    told: list[str] = []
    if owner is None:
        return told
    for path in paths:
        counting, _ = entries_that_count(await snapshot.ask(grants.levels, owner.id, path), snapshot.now)
        for one in counting:
            member = next((member for member in members if member.grantee == one.entry.grantee), None)
            if member is not None and one.entry.rights & ~preset.rights:
                told.append(
                    f"that is less than the {spell_letters(one.entry.rights)} that {called(member)} has on {path} now, from {one.path}"
                )
    return told


async def left(snapshot: Snapshot, owner: AccountId, members: Sequence[Grantee], going: Given | None = None) -> list[str]:
    """What the members may still do there without what is `going`: by grants to themselves, to groups they are in, to their domain, class,
    or everybody."""
    gone = () if going is None else (*((one.path, one.entry) for one in going.entries), *((one.right, one) for one in going.sends))
    mailbox = await snapshot.work(grants.mailbox_levels, owner)
    sends = await snapshot.ask(grants.send_grants_on, owner)
    told = []
    for member in members:
        matching = {member, Grantee(GranteeKind.ALL)}
        if member.kind is GranteeKind.ACCOUNT:
            standing = await snapshot.work(lists.standing, AccountId(member.id))
            matching |= set() if standing is None else set(grants.grantees_of(standing))
        elif member.kind is GranteeKind.GROUP:
            within = await snapshot.work(lists.memberships, member.id)
            matching |= {Grantee(GranteeKind.GROUP, one.list) for one in within}
        some: list[tuple[FolderEntry | SendGrant, str]] = []
        for path in sorted(mailbox):
            some += [
                (one, f"{spell_letters(one.rights)} on {path}")
                for one in mailbox[path].entries
                if one.grantee in matching and one.rights and (path, one) not in gone
            ]
        some += [(one, str(one.right)) for one in sends if one.grantee in matching and not one.deny and (one.right, one) not in gone]
        call = names.caller(await snapshot.ask(names.names_of, frozenset([member, *(one.grantee for one, _ in some)])))
        for one, what in some:
            via = "" if one.grantee == member else f" as one of {call(one.grantee)}"
            if in_the_way(one, snapshot.now):
                later = "" if in_force(one, snapshot.now) else " later"
                told.append(f"{call(member)} still has {what}{later}{via}")
    return told
