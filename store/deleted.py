"""Accounts that were deleted and can come back: what is kept of them, how they come back, and how they go for good."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import partial
from typing import Any, Final

from policy.grants import FolderEntry, Grantee, GranteeKind, SendGrant, SendRight
from policy.identity import AccountId, Address, FolderId
from policy.rights import Right, spell_letters
from policy.status import AccountStatus
from store import addresses, cos, folders, grants, login, outlines, passwords, people, share_rows, totp
from store.errors import Conflict, LimitReached, NotFound, StoreError
from store.model import ScramKeys
from store.port import DIRECTORY, Deed, Tx
from store.runs import span
from store.share_rows import ShareId, ShareRow

PIECE: Final = 2000
"""Messages or octets that go in one transaction."""
PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Given:
    """An entry on one of the account's own folders; `named`: for whom it was, in words."""

    folder: int
    path: str
    entry: FolderEntry
    named: str
    share: int | None = None


@dataclass(frozen=True, slots=True)
class Received:
    """An entry for the account on somebody's folder; `named`: whose."""

    owner: int
    folder: int
    path: str
    entry: FolderEntry
    named: str
    share: int | None = None


@dataclass(frozen=True, slots=True)
class Sending:
    """A right to send that the account gave (it is the target) or has; `named`: the other one."""

    grant: SendGrant
    named: str
    share: int | None = None


@dataclass(frozen=True, slots=True)
class Shared:
    """A share that the account gave: its row (store/shares.py), and with whom it was."""

    row: ShareRow
    members: tuple[Grantee, ...]


@dataclass(frozen=True, slots=True)
class Subscribed:
    """As in store/subscriptions.py."""

    subscriber: int
    owner: int
    path: str
    wanted: bool


@dataclass(frozen=True, slots=True)
class Factor:
    """As in store/totp.py."""

    sealed: bytes = field(repr=False)
    confirmed: bool
    last_step: int


@dataclass(frozen=True, slots=True)
class AppPassword:
    """As its row was (store/app_passwords.py)."""

    id: int
    name: str
    selector: str
    verifier: bytes = field(repr=False)
    doors: str
    networks: str
    principal: int | None
    rights: int
    sending: str
    created: int
    expires: int | None
    last_used: int | None


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the account has besides its password; `since`: when that was set; `earlier`: by their numbers."""

    since: int | None = None
    earlier: tuple[tuple[int, str], ...] = field(default=(), repr=False)
    factor: Factor | None = None
    codes: tuple[bytes, ...] = field(default=(), repr=False)
    app_passwords: tuple[AppPassword, ...] = ()

    @property
    def guarded(self) -> bool:
        """Is the password not enough?"""
        return self.factor is not None and self.factor.confirmed


@dataclass(frozen=True, slots=True)
class Facts:
    """What an account was, besides its mail. Grants and members are known by the ids of those they are for, and go by them.
    `member_of` has no dynamic lists: their filters judge the account anew."""

    id: int
    address: Address
    domain: int
    display_name: str
    status: AccountStatus
    cos: int | None
    values: Mapping[str, str]
    verifier: str = field(repr=False)
    scram: ScramKeys | None = field(repr=False)
    must_change_password: bool
    is_global_administrator: bool
    note: str
    created: int
    last_login: int | None
    aliases: tuple[Address, ...]
    frozen: tuple[tuple[str, int, str], ...]
    roles: tuple[str, ...]
    member_of: tuple[tuple[int, str], ...]
    owner_of: tuple[tuple[int, str], ...]
    given: tuple[Given, ...]
    received: tuple[Received, ...]
    sending_given: tuple[Sending, ...]
    sending_received: tuple[Sending, ...]
    subscriptions: tuple[Subscribed, ...]
    personal: Mapping[str, str]
    credentials: Credentials = Credentials()
    was_marked: bool = False
    shares: tuple[Shared, ...] = ()
    shared_with: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class DeletedRow:
    """Times in microseconds since 1970; `purging`: it cannot come back any more."""

    id: AccountId
    address: Address
    deleted: int
    until: int
    used: int
    purging: bool
    facts: Facts


class Kind(StrEnum):
    """What an account is bound to others by."""

    ALIAS = "alias"
    MEMBERSHIP = "membership"
    OWNERSHIP = "ownership"
    COS = "cos"
    ADMINISTRATION = "administration"
    CREDENTIAL = "credential"
    GIVEN = "grant given"
    RECEIVED = "grant received"
    SHARE = "share"


OTHERS: Final = frozenset({Kind.MEMBERSHIP, Kind.OWNERSHIP, Kind.GIVEN, Kind.RECEIVED})
"""Those in whose words somebody else is named, last."""


@dataclass(frozen=True, slots=True)
class Binding:
    """One of the account's ties, in words. `why` "": it is as it was; else why it is not."""

    kind: Kind
    what: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class RestoreDeleted(Deed[tuple[Binding, ...]]):
    """The account as it was, under its id, with its mail as it lies there. `address`: its old one or another that is free; `left`: lists
    that it does not get into again.

    Raises NotFound (nothing is kept of it; there is no such domain), Conflict (the address is taken), LimitReached."""

    account: AccountId
    address: Address
    rebind: bool
    left: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Bind(Deed[tuple[Binding, ...]]):
    """Ties an account that was made anew as another one was. `folders`: of that one's numbers, this one's. Raises NotFound.

    Without `rebind` only what takes away is bound again: denials and explicit empty entries."""

    account: AccountId
    facts: Facts
    folders: Mapping[int, int]
    rebind: bool
    left: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class PurgeDeleted(Deed[bool]):
    """Takes a piece of it away for good; True: nothing is left (or it was never there)."""

    account: AccountId
    most: int = PIECE


# --- reading


def by_id(tx: Tx, account: AccountId) -> DeletedRow | None:
    """None: nothing is kept of it."""
    return _row(tx.one("deleted.by_id", id=account))


def by_address(tx: Tx, address: Address) -> DeletedRow | None:
    """The one that was deleted last, of those that had this address as their primary one."""
    return _row(tx.one("deleted.by_address", address=str(address.folded())))


def page(tx: Tx, after: int = 0, limit: int = PAGE) -> list[DeletedRow]:
    """By ascending id."""
    return [row for found in tx.all("deleted.page", after=after, limit=limit) if (row := _row(found)) is not None]


def overdue(tx: Tx, limit: int = PAGE) -> list[AccountId]:
    """Those whose time is over, and those that are being taken away."""
    return [AccountId(account) for (account,) in tx.all("deleted.overdue", now=tx.now, limit=limit)]


def facts_of(tx: Tx, account: AccountId) -> Facts | None:
    """Of an account that is there; through `work`. None: it is not."""
    found = tx.one("deleted.account", id=account)
    main = addresses.primary(tx, account)
    if found is None or main is None:
        return None
    domain, display_name, status, own_cos, values, verifier, must_change, is_admin, _, note, created, last_login = found
    own = grants.mailbox_entries(tx, account)
    paths: dict[int, str] = {row.id: row.path for row in folders.of_owner(tx, account)}
    this = Grantee(GranteeKind.ACCOUNT, account)
    part_of = _parts_of_shares(tx, account)
    return Facts(
        id=account,
        address=main.address,
        domain=domain,
        display_name=display_name,
        status=AccountStatus(status),
        cos=own_cos,
        values=cos.unpack(values),
        verifier=verifier,
        scram=login.scram_keys(tx, account),
        must_change_password=bool(must_change),
        is_global_administrator=bool(is_admin),
        note=note,
        created=created,
        last_login=last_login,
        aliases=tuple(addresses.aliases(tx, account)),
        roles=tuple(role for (role,) in tx.all("deleted.roles", account=account)),
        frozen=tuple((side, at, why) for side, at, why in tx.all("deleted.frozen", object=account)),
        member_of=tuple((one, _object(tx, one)) for (one,) in tx.all("deleted.lists_of", member=account)),
        owner_of=tuple((one, _object(tx, one)) for (one,) in tx.all("deleted.owned_lists", account=account)),
        given=tuple(
            Given(folder, paths.get(folder, ""), entry, _grantee(tx, entry.grantee), part_of.get((folder, entry.grantee)))
            for folder, entry in own
        ),
        received=tuple(
            Received(one.owner, one.folder, one.path, one.entry, _object(tx, one.owner), part_of.get((one.folder, this)))
            for one in grants.shared_with(tx, this)
        ),
        sending_given=tuple(
            Sending(one, _grantee(tx, one.grantee), part_of.get((account, one.right, one.grantee)))
            for one in grants.send_grants_on(tx, account)
        ),
        sending_received=tuple(
            Sending(one, _object(tx, one.target), part_of.get((one.target, one.right, this))) for one in grants.send_grants_to(tx, this)
        ),
        subscriptions=tuple(
            Subscribed(subscriber, owner, path, wanted == 1)
            for subscriber, owner, path, wanted in tx.all("deleted.subscriptions", account=account)
        ),
        personal=people.personal(tx, account),
        credentials=_credentials(tx, account),
        was_marked=tx.one("roles.marked", account=account) is not None,
        shares=tuple(Shared(one, tuple(share_rows.members(tx, one.id))) for one in share_rows.of_owner(tx, account)),
        shared_with=tuple(share_rows.with_member(tx, this)),
    )


def _parts_of_shares(tx: Tx, account: AccountId) -> dict[tuple[object, ...], int]:
    """The share that a grant is part of, by (folder, grantee) and (target, right, grantee): those that the account gave or has."""
    found: dict[tuple[object, ...], int] = {}
    this = Grantee(GranteeKind.ACCOUNT, account)
    for share in (*(one.id for one in share_rows.of_owner(tx, account)), *share_rows.with_member(tx, this)):
        standing = share_rows.given(tx, share)
        found |= {(one.folder, one.entry.grantee): share for one in standing.entries}
        found |= {(one.target, one.right, one.grantee): share for one in standing.sends}
    return found


def _credentials(tx: Tx, account: AccountId) -> Credentials:
    factor = totp.of_account(tx, account)
    return Credentials(
        since=passwords.set_at(tx, account),
        earlier=tuple((number, verifier) for number, verifier in tx.all("deleted.earlier_passwords", account=account)),
        factor=None if factor is None else Factor(factor.sealed, factor.confirmed, factor.last_step),
        codes=tuple(verifier for (verifier,) in tx.all("deleted.one_time_codes", account=account)),
        app_passwords=tuple(AppPassword(*row) for row in tx.all("deleted.app_passwords", account=account)),
    )


def _object(tx: Tx, number: int) -> str:
    found = addresses.primary(tx, number)
    return f"#{number}" if found is None else str(found.address)


def _grantee(tx: Tx, one: Grantee) -> str:
    if one.kind in (GranteeKind.ACCOUNT, GranteeKind.GROUP):
        return _object(tx, one.id)
    return "everybody" if one.kind is GranteeKind.ALL else f"{one.kind} #{one.id}"


# --- putting away


def put_away(tx: Tx, account: AccountId, until: int) -> None:
    """Before the account's row goes: everything that is to come back with it."""
    facts = facts_of(tx, account)
    found = tx.one("deleted.account", id=account)
    mailbox = tx.one("deleted.mailbox", owner=account)
    if facts is None or found is None or mailbox is None:
        raise NotFound(f"account {account}")
    tx.run(
        "deleted.insert",
        id=account,
        address=str(facts.address.folded()),
        now=tx.now,
        until=until,
        used=found[8],
        uidvalidity=mailbox[0],
        forgotten=mailbox[1],
        facts=_written(facts),
    )
    tx.run("deleted.put_folders_away", account=account)
    folders.hide_everything(tx, account)


def _restore(tx: Tx, deed: RestoreDeleted) -> tuple[Binding, ...]:
    row = by_id(tx, deed.account)
    if row is None or row.purging:
        raise NotFound(f"deleted account {deed.account}")
    facts = row.facts
    domain = addresses.place(tx, deed.address)
    room = tx.one("accounts.room_in_domain", domain=domain)
    if room is not None and 0 < room[0] <= room[1]:
        raise LimitReached(f"the domain may have {room[0]} accounts")
    tx.run("deleted.insert_object", id=row.id, domain=domain)
    addresses.claim(tx, row.id, deed.address, is_primary=True)
    kept_cos = facts.cos if facts.cos is None or tx.one("cos.by_id", id=facts.cos) is not None else None
    tx.run(
        "accounts.insert",
        id=row.id,
        display_name=facts.display_name,
        status=facts.status,
        cos=kept_cos,
        values=cos.merge("{}", facts.values),
        verifier=facts.verifier,
        must_change_password=int(facts.must_change_password),
        is_global_administrator=0,
        note=facts.note,
        now=tx.now,
    )
    tx.run("deleted.set_times", id=row.id, created=facts.created, last_login=facts.last_login, used=row.used)
    login.set_scram_keys(tx, row.id, facts.scram)
    _put_back(tx, row.id, facts.credentials)
    people.set_personal(tx, row.id, facts.personal)
    tx.run("deleted.insert_mailbox", account=row.id)
    tx.run("deleted.put_folders_back", account=row.id)
    tx.run("deleted.drop_folders", account=row.id)
    tx.run("deleted.drop", account=row.id)
    tx.touch(DIRECTORY, row.id)
    outlines.changed(tx, row.id)
    return _bind(tx, Bind(row.id, facts, {}, deed.rebind, deed.left))


def _put_back(tx: Tx, account: AccountId, kept: Credentials) -> None:
    if kept.since is not None:
        tx.run("passwords.set", account=account, now=kept.since)
    for number, earlier in kept.earlier:
        tx.run("deleted.keep_password", id=number, account=account, verifier=earlier)
    if kept.factor is not None:
        tx.run(
            "deleted.put_factor",
            account=account,
            sealed=kept.factor.sealed,
            confirmed=int(kept.factor.confirmed),
            last_step=kept.factor.last_step,
        )
    for verifier in kept.codes:
        tx.run("totp.put_code", account=account, verifier=verifier)


def _purge(tx: Tx, deed: PurgeDeleted) -> bool:
    if tx.run("deleted.condemn", account=deed.account) == 0:
        return True
    folder = tx.one("deleted.one_folder", account=deed.account)
    if folder is not None:
        low, high = span(folder[0])
        (last,) = tx.one("deleted.nth_key", account=deed.account, low=low, high=high, most=deed.most) or (None,)
        folders.drop_rows(tx, deed.account, low, high if last is None else last)
        if last is None:
            folders.drop_marks(tx, deed.account, folder[0])
            tx.run("deleted.drop_folder", account=deed.account, folder=folder[0])
        return False
    folders.give_back_held(tx, deed.account)
    # The same octets in each: what was read of them goes first.
    for statement in ("drop_wire", "drop_head"):
        tx.run(f"deleted.{statement}", account=deed.account, most=deed.most)
    if tx.run("deleted.drop_blobs", account=deed.account, most=deed.most):
        return False
    folders.forget_account(tx, deed.account)
    tx.run("deleted.drop", account=deed.account)
    return True


# --- binding


def _bind(tx: Tx, deed: Bind) -> tuple[Binding, ...]:
    if tx.one("deleted.is_account", id=deed.account) is None:
        raise NotFound(f"account {deed.account}")
    binder = _Binder(tx, deed)
    binder.bind()
    return tuple(binder.bindings)


class _Binder:
    def __init__(self, tx: Tx, deed: Bind) -> None:
        self._tx = tx
        self._deed = deed
        self._facts = deed.facts
        self._account = deed.account
        self.bindings: list[Binding] = []

    def bind(self) -> None:
        tx, facts, account = self._tx, self._facts, self._account
        if facts.is_global_administrator:
            self._say(Kind.ADMINISTRATION, "global administrator", "rights of administrators are given anew")
        if facts.was_marked:
            self._say(Kind.ADMINISTRATION, "delegated administrator", "rights of administrators are given anew")
        for role in facts.roles:
            self._say(Kind.ADMINISTRATION, f"role {role}", "rights of administrators are given anew")
        if facts.cos is not None and tx.one("cos.by_id", id=facts.cos) is None:
            self._say(Kind.COS, f"class of service #{facts.cos}", "it is gone")
        old = facts.address
        for alias in facts.aliases:
            self._try(Kind.ALIAS, str(alias), partial(addresses.claim, tx, account, alias, is_primary=False))
        main = addresses.primary(tx, account)
        if main is not None and main.address != old:
            self._say(Kind.ALIAS, str(old), f"the account is {main.address} now")
        # Whoever was stopped is stopped still, whatever else could not be bound.
        for side, at, why in facts.frozen:
            tx.run("deleted.freeze", object=account, side=side, at=at, note=why)
        self._credentials()
        for one, named in facts.member_of:
            self._joined(Kind.MEMBERSHIP, named, "deleted.add_member", one, member=account)
        for one, named in facts.owner_of:
            self._joined(Kind.OWNERSHIP, named, "deleted.add_owner", one, account=account)
        for wish in facts.subscriptions:
            self._subscribe(wish)
        tx.touch(DIRECTORY, account)
        self._grants()

    def _credentials(self) -> None:
        """Only the account itself has its own again: another one, made from a backup, must not have what was taken away since."""
        tx, kept, account = self._tx, self._facts.credentials, self._account
        itself = account == self._facts.id
        for one in kept.app_passwords:
            if not itself:
                why = "it is made anew, since it may have been revoked"
            elif one.principal is not None and tx.one("app_passwords.object", id=one.principal) is None:
                why = "what it was for is gone"
            else:
                why = ""
                tx.run("deleted.put_app_password", account=account, **{name.name: getattr(one, name.name) for name in fields(one)})
            self._say(Kind.CREDENTIAL, f"app password {one.name}", why)
        if kept.guarded and not itself:
            self._say(Kind.CREDENTIAL, "second factor", "it is set up anew, and so is the password, which it guarded")

    def _grants(self) -> None:
        facts, account = self._facts, self._account
        if self._deed.rebind:
            self._shares()
        for given in facts.given:
            folder = FolderId(self._deed.folders.get(given.folder, given.folder))
            what = f"{spell_letters(given.entry.rights)} on {given.path} for {given.named}"
            function = partial(self._entry, folder, given.entry, given.share, account)
            self._grant(Kind.GIVEN, what, function, takes=not given.entry.rights)
        this = Grantee(GranteeKind.ACCOUNT, account)
        for received in facts.received:
            entry = replace(received.entry, grantee=this)
            what = f"{spell_letters(received.entry.rights)} on {received.path} of {received.named}"
            self._grant(Kind.RECEIVED, what, partial(self._received, received, entry), takes=not entry.rights)
        for sending in facts.sending_given:
            what = f"{'not ' if sending.grant.deny else ''}{sending.grant.right} for {sending.named}"
            grant = replace(sending.grant, target=account)
            self._grant(Kind.GIVEN, what, partial(self._send_grant, grant, sending.share), takes=grant.deny)
        for sending in facts.sending_received:
            what = f"{'not ' if sending.grant.deny else ''}{sending.grant.right} on {sending.named}"
            grant = replace(sending.grant, grantee=this)
            self._grant(Kind.RECEIVED, what, partial(self._send_grant, grant, sending.share), takes=grant.deny)

    def _shares(self) -> None:
        """Those that it gave and those that it was in: before the grants that are part of them."""
        tx, facts, account = self._tx, self._facts, self._account
        if account == facts.id:
            for one in facts.shares:
                share_rows.put_back(tx, one.row)
                for member in one.members:
                    if grants.is_there(tx, member):
                        share_rows.join(tx, one.row.id, member)
                self._say(Kind.SHARE, f"share {one.row.id} ({one.row.preset})", "")
        for number in facts.shared_with:
            row = share_rows.by_id(tx, ShareId(number))
            if row is None:
                self._say(Kind.SHARE, f"member of share {number}", "it has ended")
            else:
                share_rows.join(tx, row.id, Grantee(GranteeKind.ACCOUNT, account))
                self._say(Kind.SHARE, f"member of share {number} ({row.preset})", "")

    def _part_of(self, share: int | None, owner: int) -> ShareId | None:
        """The share, where this owner has it still; a grant that was part of one that has ended is one of its own."""
        row = None if share is None else share_rows.by_id(self._tx, ShareId(share))
        return row.id if row is not None and row.owner == owner else None

    def _entry(self, folder: FolderId, entry: FolderEntry, share: int | None, owner: int) -> None:
        grants.set_entry(self._tx, grants.SetFolderEntry(folder, entry, self._part_of(share, owner)))

    def _send_grant(self, grant: SendGrant, share: int | None) -> None:
        grants.set_send_grant(self._tx, grants.SetSendGrant(grant, self._part_of(share, grant.target)))

    def _received(self, received: Received, entry: FolderEntry) -> None:
        row = folders.by_id(self._tx, FolderId(received.folder))
        if row is None or row.owner != received.owner:
            raise NotFound("the folder")
        self._entry(FolderId(received.folder), entry, received.share, received.owner)

    def _grant(self, kind: Kind, what: str, function: Callable[[], None], *, takes: bool) -> None:
        if self._deed.rebind or takes:
            self._try(kind, what, function)
        else:
            self._say(kind, what, "not asked for (--rebind-grants)")

    def _joined(self, kind: Kind, named: str, statement: str, one: int, **who: int) -> None:
        if one in self._deed.left:
            self._say(kind, named, "it takes an administrator who may put somebody in that list")
            return
        there = self._tx.run(statement, list=one, **who) or self._tx.one("lists.exists", id=one) is not None
        self._say(kind, named, "" if there else "the list is gone")

    def _subscribe(self, wish: Subscribed) -> None:
        old, new = self._facts.id, self._account
        subscriber = new if wish.subscriber == old else wish.subscriber
        owner = new if wish.owner == old else wish.owner
        for other in (subscriber, owner):
            if self._tx.one("deleted.is_account", id=other) is None:
                return
        self._tx.run("subscriptions.set", subscriber=subscriber, owner=owner, path=wish.path, wanted=wish.wanted)
        outlines.changed(self._tx, AccountId(subscriber))

    def _try(self, kind: Kind, what: str, function: Callable[[], None]) -> None:
        try:
            function()
        except (NotFound, Conflict, LimitReached) as error:
            self._say(kind, what, _why(error))
        else:
            self._say(kind, what, "")

    def _say(self, kind: Kind, what: str, why: str) -> None:
        self.bindings.append(Binding(kind, what, why))


def _why(error: StoreError) -> str:
    return f"{error} is gone" if isinstance(error, NotFound) else str(error)


# --- facts as JSON


def _written(facts: Facts) -> str:
    return json.dumps({one.name: _plain(getattr(facts, one.name)) for one in fields(facts)}, ensure_ascii=False)


def _plain(value: Any) -> Any:
    match value:
        case Address():
            return [value.local, value.domain]
        case Right():
            return int(value)
        case bytes():
            return value.hex()
        case str():
            return str(value)
        case tuple() | list():
            return [_plain(one) for one in value]
        case Mapping():
            return {name: _plain(one) for name, one in value.items()}
        case _ if hasattr(value, "__dataclass_fields__"):
            return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
        case _:
            return value


def _row(found: Sequence[Any] | None) -> DeletedRow | None:
    if found is None:
        return None
    account, address, deleted, until, used, purging, facts = found
    local, _, domain = address.rpartition("@")
    return DeletedRow(AccountId(account), Address(local, domain), deleted, until, used, purging == 1, _read(facts))


def _read(text: str) -> Facts:
    said = json.loads(text)
    scram = said["scram"]
    return Facts(
        **{
            "personal": {},
            **said,
            "credentials": _credentials_of(said.get("credentials")),
            "address": Address(*said["address"]),
            "status": AccountStatus(said["status"]),
            "scram": None if scram is None else ScramKeys(**{name: _octets(value) for name, value in scram.items()}),
            "aliases": tuple(Address(*one) for one in said["aliases"]),
            "roles": tuple(said["roles"]),
            "frozen": tuple((side, at, why) for side, at, why in said["frozen"]),
            "member_of": tuple((one, named) for one, named in said["member_of"]),
            "owner_of": tuple((one, named) for one, named in said["owner_of"]),
            "given": tuple(Given(**{**one, "entry": _entry(one["entry"])}) for one in said["given"]),
            "received": tuple(Received(**{**one, "entry": _entry(one["entry"])}) for one in said["received"]),
            "sending_given": tuple(Sending(_send_grant(one["grant"]), one["named"], one.get("share")) for one in said["sending_given"]),
            "sending_received": tuple(
                Sending(_send_grant(one["grant"]), one["named"], one.get("share")) for one in said["sending_received"]
            ),
            "subscriptions": tuple(Subscribed(**one) for one in said["subscriptions"]),
            "shares": tuple(
                Shared(ShareRow(**one["row"]), tuple(_grantee_of({"grantee": member}) for member in one["members"]))
                for one in said.get("shares", ())
            ),
            "shared_with": tuple(said.get("shared_with", ())),
        }
    )


def _credentials_of(said: Mapping[str, Any] | None) -> Credentials:
    if said is None:
        return Credentials()
    factor = said["factor"]
    return Credentials(
        since=said["since"],
        earlier=tuple((number, verifier) for number, verifier in said["earlier"]),
        factor=None if factor is None else Factor(**{**factor, "sealed": bytes.fromhex(factor["sealed"])}),
        codes=tuple(map(bytes.fromhex, said["codes"])),
        app_passwords=tuple(AppPassword(**{**one, "verifier": bytes.fromhex(one["verifier"])}) for one in said["app_passwords"]),
    )


def _octets(value: Any) -> Any:
    return bytes.fromhex(value) if isinstance(value, str) else value


def _entry(said: Mapping[str, Any]) -> FolderEntry:
    return FolderEntry(**{**said, "grantee": _grantee_of(said), "rights": Right(said["rights"])})


def _send_grant(said: Mapping[str, Any]) -> SendGrant:
    return SendGrant(**{**said, "grantee": _grantee_of(said), "right": SendRight(said["right"])})


def _grantee_of(said: Mapping[str, Any]) -> Grantee:
    return Grantee(GranteeKind(said["grantee"]["kind"]), said["grantee"]["id"])


DEEDS: Final = ((RestoreDeleted, _restore), (Bind, _bind), (PurgeDeleted, _purge))
