"""Accounts: who they are, what they inherit, whether they may come in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from policy.grants import Grantee, GranteeKind
from policy.identity import AccountId, Address, CosId, DomainId, ListId
from policy.quota import UNLIMITED_ROOM, AggregatePolicy, DomainRoom
from policy.status import AccountStatus, DomainStatus, effective
from store import addresses, cos, deleted, folders, grants, login, passwords, people, queue
from store.errors import Conflict, LimitReached, NotFound, Stale
from store.model import AccountRow, ScramKeys
from store.port import DIRECTORY, Deed, Tx


@dataclass(frozen=True, slots=True)
class CreateAccount(Deed[AccountId]):
    """With its standard folders. Raises Conflict when the address is taken or a value cannot be, NotFound for domain or class
    of service, LimitReached when the domain may have no more accounts (of this class). `verifier` "": nobody logs in; `scram`: of the
    same password."""

    address: Address
    display_name: str = ""
    verifier: str = field(default="", repr=False)
    status: AccountStatus = AccountStatus.ACTIVE
    cos: CosId | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    must_change_password: bool = False
    is_global_administrator: bool = False
    note: str = ""
    scram: ScramKeys | None = None
    personal: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModifyAccount(Deed[None]):
    """None leaves as it is; `values` are merged, an empty text restores the inherited value; so is `personal`, where it takes the value
    away. `were`: fields and the own texts that `values` were made from, "" for none. Raises NotFound, Conflict; Stale when they are others
    by now."""

    account: AccountId
    display_name: str | None = None
    note: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    personal: Mapping[str, str] = field(default_factory=dict)
    were: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SetAccountCos(Deed[None]):
    """None: by its domain, else `default`. Raises NotFound, LimitReached."""

    account: AccountId
    cos: CosId | None


@dataclass(frozen=True, slots=True)
class SetAccountStatus(Deed[None]):
    """`active` clears failures and lockout besides (delegation.md section 8). Raises NotFound."""

    account: AccountId
    status: AccountStatus


@dataclass(frozen=True, slots=True)
class SetVerifier(Deed[None]):
    """A new password, `scram` of the same: clears failures and lockout, and open sessions learn of it. Raises NotFound."""

    account: AccountId
    verifier: str = field(repr=False)
    must_change_password: bool = False
    scram: ScramKeys | None = None


@dataclass(frozen=True, slots=True)
class SetMustChangePassword(Deed[None]):
    """Raises NotFound."""

    account: AccountId
    must_change_password: bool


@dataclass(frozen=True, slots=True)
class SetGlobalAdministrator(Deed[None]):
    """Raises NotFound."""

    account: AccountId
    is_global_administrator: bool


@dataclass(frozen=True, slots=True)
class RenameAccount(Deed[None]):
    """To a free address, in any domain; everything else stays, the old address is gone. An alias of its own may become the
    primary address. Raises NotFound for account or domain, Conflict when the address is taken, LimitReached."""

    account: AccountId
    address: Address


@dataclass(frozen=True, slots=True)
class WarnedOfQuota(Deed[None]):
    """The owner is being told that the mailbox is nearly full: now. Raises NotFound."""

    account: AccountId


@dataclass(frozen=True, slots=True)
class DeleteAccount(Deed[bool]):
    """With its folders, messages, memberships, and every grant to it or on it. False: there was none (any more). `keep_for`:
    microseconds for which it can be restored (store/deleted.py)."""

    account: AccountId
    keep_for: int = 0


def by_id(tx: Tx, account: AccountId) -> AccountRow | None:
    """None where there is none (any more)."""
    return _row(tx.one("accounts.by_id", id=account))


def by_address(tx: Tx, address: Address) -> AccountRow | None:
    """The account that has this address, as `addresses.resolve` finds it; None when there is none, or it is a list."""
    found = addresses.resolve(tx, address)
    return None if found is None or found.kind is not addresses.ObjectKind.ACCOUNT else by_id(tx, AccountId(found.id))


def named(tx: Tx, address: Address) -> AccountRow | None:
    """The account of which this is the primary address or an alias, an alias domain's among them: what `by_address` finds without cutting
    anything off, in one statement."""
    asked = address.folded()
    return _row(tx.one("accounts.named", local=asked.local, name=asked.domain))


def of_domain(tx: Tx, domain: DomainId | None = None, after: AccountId | None = None, limit: int = 200) -> Sequence[AccountRow]:
    """Accounts by ascending id, of one domain or of all, those behind `after`: pages of `limit`."""
    # 0 stands for "all" and "from the start": ids begin at 1.
    found = tx.all("accounts.of_domain", domain=domain or 0, after=after or 0, limit=limit)
    return [row for one in found if (row := _row(one)) is not None]


def of_list(tx: Tx, list_id: ListId) -> Sequence[AccountRow]:
    """The accounts that are direct members of a list, by address, in one statement. Ask by `work`."""
    return [row for one in tx.all("accounts.of_list", list=list_id) if (row := _row(one)) is not None]


def global_administrators(tx: Tx) -> list[AccountId]:
    """By id, the first fifty of them."""
    return [AccountId(one) for (one,) in tx.all("accounts.global_administrators", limit=50)]


def quota_warned(tx: Tx, account: AccountId) -> int | None:
    """When the owner was warned last of a mailbox that is nearly full; None: never."""
    found = tx.one("accounts.quota_warned", id=account)
    return None if found is None else int(found[0])


def with_mail(tx: Tx, after: int, limit: int) -> list[AccountId]:
    """Accounts above this id that use room at all, by id, so many at most."""
    return [AccountId(one) for (one,) in tx.all("accounts.with_mail", after=after, limit=limit)]


def _row(found: Any) -> AccountRow | None:
    return None if found is None else _made(found)


@lru_cache(maxsize=1000)  # a row has two dozen fields, most accounts are asked for again before it changes
def _made(found: tuple[Any, ...]) -> AccountRow:
    (
        number,
        local,
        domain_name,
        display_name,
        domain,
        own_status,
        domain_status,
        own_cos,
        cos_id,
        own_values,
        cos_values,
        verifier,
        must_change_password,
        is_global_administrator,
        used,
        note,
        created,
        last_login,
        max_quota,
        aggregate_quota,
        aggregate_used,
        aggregate_policy,
    ) = found
    own = AccountStatus(own_status)
    return AccountRow(
        id=AccountId(number),
        address=Address(local, domain_name),
        display_name=display_name,
        domain=DomainId(domain),
        own_status=own,
        status=effective(own, DomainStatus(domain_status), bool(is_global_administrator)),
        own_cos=None if own_cos is None else CosId(own_cos),
        cos=CosId(cos_id),
        own_values=cos.unpack(own_values),
        values=cos.values_in_force(own_values, cos_values, max_quota),
        verifier=verifier,
        must_change_password=bool(must_change_password),
        is_global_administrator=bool(is_global_administrator),
        used=used,
        note=note,
        created=created,
        last_login=last_login,
        domain_room=DomainRoom(aggregate_quota, aggregate_used, AggregatePolicy(aggregate_policy)) if aggregate_quota else UNLIMITED_ROOM,
    )


def allowed_from(tx: Tx, address: Address, limit: int) -> Sequence[AccountId]:
    """At most `limit` accounts that `allowFromAddresses` or `allowAnyFrom` of their own or of their class of service could let send
    from this address of a foreign domain; policy knows which of them may. Ask by `work`."""
    text = str(address).lower()
    found = [AccountId(number) for (number,) in tx.all("accounts.allowed_from", text=text, limit=limit)]
    for (number,) in tx.all("accounts.classes_allowing", text=text):
        found += grants.accounts_matching(tx, Grantee(GranteeKind.COS, number), limit)
    return list(dict.fromkeys(found))[:limit]


def _there(tx: Tx, account: AccountId) -> None:
    if tx.one("accounts.exists", id=account) is None:
        raise NotFound(f"account {account}")


def _check_room(tx: Tx, domain: DomainId) -> None:
    found = tx.one("accounts.room_in_domain", domain=domain)
    if found is not None:
        max_accounts, count = found
        if 0 < max_accounts <= count:
            raise LimitReached(f"the domain may have {max_accounts} accounts")


def _check_room_in_cos(tx: Tx, domain: DomainId, wanted: CosId | None, besides: int = 0) -> None:
    found = tx.one("accounts.room_in_cos", domain=domain, cos=wanted, besides=besides)
    if found is not None:
        max_accounts, count = found
        if max_accounts <= count:
            raise LimitReached(f"the domain may have {max_accounts} accounts of this class of service")


def _check_cos(tx: Tx, wanted: CosId | None) -> None:
    if wanted is not None and tx.one("cos.by_id", id=wanted) is None:
        raise NotFound(f"class of service {wanted}")


def create(tx: Tx, deed: CreateAccount) -> AccountId:
    """Does it, for a deed that makes more of it."""
    domain = addresses.place(tx, deed.address)
    _check_room(tx, domain)
    _check_cos(tx, deed.cos)
    _check_room_in_cos(tx, domain, deed.cos)
    account = AccountId(tx.insert("accounts.insert_object", domain=domain))
    addresses.claim(tx, account, deed.address, is_primary=True)
    tx.run(
        "accounts.insert",
        id=account,
        display_name=deed.display_name,
        status=deed.status,
        cos=deed.cos,
        values=cos.merge("{}", deed.values),
        verifier=deed.verifier,
        must_change_password=int(deed.must_change_password),
        is_global_administrator=int(deed.is_global_administrator),
        note=deed.note,
        now=tx.now,
    )
    passwords.mark(tx, account, deed.verifier)
    if deed.scram is not None:
        login.set_scram_keys(tx, account, deed.scram)
    people.set_personal(tx, account, deed.personal)
    folders.make_standard_folders(tx, account)
    tx.touch(DIRECTORY, account)
    return account


def _modify(tx: Tx, deed: ModifyAccount) -> None:
    found = tx.one("accounts.stored", id=deed.account)
    if found is None:
        raise NotFound(f"account {deed.account}")
    display_name, note, values = found
    now = cos.unpack(values)
    if any(now.get(name, "") != text for name, text in deed.were.items()):
        raise Stale(f"account {deed.account} was changed in between")
    tx.run(
        "accounts.update",
        id=deed.account,
        display_name=display_name if deed.display_name is None else deed.display_name,
        note=note if deed.note is None else deed.note,
        values=cos.merge(values, deed.values),
    )
    people.set_personal(tx, deed.account, deed.personal)
    tx.touch(deed.account)


def _set_cos(tx: Tx, deed: SetAccountCos) -> None:
    _there(tx, deed.account)
    _check_cos(tx, deed.cos)
    (domain,) = tx.one("accounts.domain_of", id=deed.account) or (DomainId(0),)
    _check_room_in_cos(tx, domain, deed.cos, deed.account)
    tx.run("accounts.set_cos", id=deed.account, cos=deed.cos)
    tx.touch(deed.account)


def _set_status(tx: Tx, deed: SetAccountStatus) -> None:
    _there(tx, deed.account)
    tx.run("accounts.set_status", id=deed.account, status=deed.status)
    if deed.status is AccountStatus.ACTIVE:
        login.forget(tx, deed.account)
    # What waited for the old status is judged again, whatever the new one is.
    queue.due_now(tx, deed.account)
    tx.touch(deed.account)


def set_verifier(tx: Tx, deed: SetVerifier) -> None:
    """Does it, for a deed that makes more of it. A code for the first access is good for nothing after that."""
    _there(tx, deed.account)
    passwords.replacing(tx, deed.account, deed.verifier)
    tx.run("accounts.set_verifier", id=deed.account, verifier=deed.verifier, must_change=int(deed.must_change_password))
    login.set_scram_keys(tx, deed.account, deed.scram)
    login.forget(tx, deed.account)
    tx.run("first_access.forget", account=deed.account)
    tx.touch(deed.account)


def _set_must_change(tx: Tx, deed: SetMustChangePassword) -> None:
    _there(tx, deed.account)
    tx.run("accounts.set_must_change", id=deed.account, must_change=int(deed.must_change_password))
    tx.touch(deed.account)


def _set_global_administrator(tx: Tx, deed: SetGlobalAdministrator) -> None:
    _there(tx, deed.account)
    tx.run("accounts.set_global_administrator", id=deed.account, value=int(deed.is_global_administrator))
    tx.touch(deed.account)


def _check_rooms(tx: Tx, domain: DomainId, account: int) -> None:
    _check_room(tx, domain)
    row = by_id(tx, AccountId(account))
    _check_room_in_cos(tx, domain, None if row is None else row.own_cos, account)


def _rename(tx: Tx, deed: RenameAccount) -> None:
    _there(tx, deed.account)
    rename_object(tx, deed.account, deed.address, _check_rooms)


def rename_object(tx: Tx, holder: int, address: Address, check_room: Callable[[Tx, DomainId, int], None] | None = None) -> None:
    """Gives an account or list another primary address. Raises NotFound for the domain, Conflict, LimitReached."""
    folded = address.folded()
    domain = addresses.place(tx, folded)
    taken = tx.one("addresses.at", domain=domain, local=folded.local)
    if taken is not None and taken[0] != holder:
        raise Conflict(f"{folded} exists")
    current = tx.one("accounts.domain_of", id=holder)
    if check_room is not None and current is not None and current[0] != domain:
        check_room(tx, domain, holder)
    tx.run("accounts.drop_primary", object=holder)
    if taken is not None:
        tx.run("addresses.delete", name=folded.domain, local=folded.local)
    tx.run("addresses.insert", domain=domain, local=folded.local, object=holder, is_primary=1)
    tx.run("accounts.move_object", id=holder, domain=domain)
    tx.touch(DIRECTORY, holder)


def _warned(tx: Tx, deed: WarnedOfQuota) -> None:
    _there(tx, deed.account)
    tx.run("accounts.set_quota_warned", id=deed.account, now=tx.now)


def _delete(tx: Tx, deed: DeleteAccount) -> bool:
    if tx.one("accounts.exists", id=deed.account) is None:
        return False
    if deed.keep_for:
        deleted.put_away(tx, deed.account, tx.now + deed.keep_for)
    else:
        folders.delete_everything(tx, deed.account)
    grants.forget_grantee(tx, (GranteeKind.ACCOUNT,), deed.account)
    tx.run("accounts.delete_object", id=deed.account)
    tx.touch(DIRECTORY, deed.account)
    return True


DEEDS = (
    (CreateAccount, create),
    (ModifyAccount, _modify),
    (SetAccountCos, _set_cos),
    (SetAccountStatus, _set_status),
    (SetVerifier, set_verifier),
    (SetMustChangePassword, _set_must_change),
    (SetGlobalAdministrator, _set_global_administrator),
    (RenameAccount, _rename),
    (WarnedOfQuota, _warned),
    (DeleteAccount, _delete),
)
