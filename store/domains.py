"""Domains: whose addresses are ours, under which names, and what their accounts inherit."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policy.grants import GranteeKind
from policy.identity import AccountId, Address, BadAddress, CosId, DomainId
from policy.quota import AggregatePolicy, DomainLimits
from policy.status import DomainStatus
from store import grants, queue
from store.errors import Conflict, NotFound
from store.model import DomainRow
from store.port import DIRECTORY, Deed, Tx


@dataclass(frozen=True, slots=True)
class CreateDomain(Deed[DomainId]):
    """`name`: lower-case A-label. Raises Conflict when it exists or is none, NotFound for the class of service."""

    name: str
    status: DomainStatus = DomainStatus.ACTIVE
    cos: CosId | None = None
    delimiter: str = "+"
    note: str = ""
    max_accounts: int = 0
    limits: DomainLimits | None = None
    cos_limits: Sequence[tuple[CosId, int]] = ()


@dataclass(frozen=True, slots=True)
class CreateAliasDomain(Deed[DomainId]):
    """Every address of `target` exists under `name` too. Raises Conflict when it exists or `target` is an alias itself, NotFound."""

    name: str
    target: DomainId
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModifyDomain(Deed[None]):
    """None leaves as it is. `cos_limits`: all of them, in the place of what there were. Raises NotFound."""

    domain: DomainId
    status: DomainStatus | None = None
    delimiter: str | None = None
    note: str | None = None
    max_accounts: int | None = None
    limits: DomainLimits | None = None
    cos_limits: Sequence[tuple[CosId, int]] | None = None


@dataclass(frozen=True, slots=True)
class SetDomainCos(Deed[None]):
    """None: its accounts inherit from `default`. Raises NotFound."""

    domain: DomainId
    cos: CosId | None


@dataclass(frozen=True, slots=True)
class WarnedOfRoom(Deed[None]):
    """Somebody is being told that its aggregate quota is nearly used up: now."""

    domain: DomainId


@dataclass(frozen=True, slots=True)
class DeleteDomain(Deed[None]):
    """Raises NotFound; Conflict while it has accounts, lists, aliases or alias domains. Grants to it go with it."""

    domain: DomainId


def by_id(tx: Tx, domain: DomainId) -> DomainRow | None:
    """None where there is none (any more)."""
    return _row(tx.one("domains.by_id", id=domain))


def by_name(tx: Tx, name: str) -> DomainRow | None:
    """The domain of this name itself, be it an alias domain."""
    return _row(tx.one("domains.by_name", name=name))


def serving(tx: Tx, name: str) -> DomainRow | None:
    """The domain whose addresses exist under this name: an alias domain's target."""
    return _row(tx.one("domains.serving", name=name))


def all_of_them(tx: Tx) -> Sequence[DomainRow]:
    """By name."""
    return [row for found in tx.all("domains.all_of_them") if (row := _row(found)) is not None]


def aliases_of(tx: Tx, domain: DomainId) -> Sequence[str]:
    """The names of its alias domains."""
    return [name for (name,) in tx.all("domains.aliases_of", id=domain)]


def count_accounts(tx: Tx, domain: DomainId) -> int:
    """How many accounts have their primary address in it."""
    (count,) = tx.one("domains.count_accounts", id=domain) or (0,)
    return int(count)


def cos_limits(tx: Tx, domain: DomainId) -> Sequence[tuple[CosId, str, int]]:
    """How many of its accounts may have which class of service: its id and name, the number."""
    return [(CosId(number), name, most) for number, name, most in tx.all("domains.cos_limits", id=domain)]


def _row(found: Any) -> DomainRow | None:
    if found is None:
        return None
    number, name, alias_of, status, cos, delimiter, note, max_accounts, created, *room = found
    max_quota, aggregate, policy, percent, recipients, used, warned = room
    return DomainRow(
        DomainId(number),
        name,
        None if alias_of is None else DomainId(alias_of),
        DomainStatus(status),
        None if cos is None else CosId(cos),
        delimiter,
        note,
        max_accounts,
        created,
        DomainLimits(max_quota, aggregate, AggregatePolicy(policy), percent, tuple(recipients.split())),
        used,
        warned,
    )


def _existing(tx: Tx, domain: DomainId) -> DomainRow:
    found = by_id(tx, domain)
    if found is None:
        raise NotFound(f"domain {domain}")
    return found


def _check_name(tx: Tx, name: str) -> None:
    try:
        Address("x", name)
    except BadAddress as error:
        raise Conflict(f"{name!r} is no domain name: {error}") from None
    if tx.one("domains.by_name", name=name) is not None:
        raise Conflict(f"domain {name} exists")


def _create(tx: Tx, deed: CreateDomain) -> DomainId:
    _check_name(tx, deed.name)
    if deed.cos is not None and tx.one("cos.by_id", id=deed.cos) is None:
        raise NotFound(f"class of service {deed.cos}")
    created = tx.insert(
        "domains.insert",
        name=deed.name,
        alias_of=None,
        status=deed.status,
        cos=deed.cos,
        delimiter=deed.delimiter,
        note=deed.note,
        max_accounts=deed.max_accounts,
        now=tx.now,
    )
    _limit(tx, DomainId(created), deed.limits, deed.cos_limits)
    tx.touch(DIRECTORY)
    return DomainId(created)


def _limit(tx: Tx, domain: DomainId, limits: DomainLimits | None, classes: Sequence[tuple[CosId, int]] | None) -> None:
    if limits is not None:
        tx.run(
            "domains.set_limits",
            id=domain,
            max_quota=limits.max_quota,
            aggregate_quota=limits.aggregate_quota,
            policy=limits.policy,
            warn_percent=limits.warn_percent,
            warn_recipients=" ".join(limits.warn_recipients),
        )
    if classes is not None:
        tx.run("domains.clear_cos_limits", id=domain)
        for one, most in classes:
            if tx.one("cos.by_id", id=one) is None:
                raise NotFound(f"class of service {one}")
            tx.run("domains.set_cos_limit", id=domain, cos=one, max_accounts=most)


def _create_alias(tx: Tx, deed: CreateAliasDomain) -> DomainId:
    _check_name(tx, deed.name)
    target = _existing(tx, deed.target)
    if target.alias_of is not None:
        raise Conflict(f"{target.name} is an alias domain itself")
    created = make_alias(tx, deed.name, deed.target, deed.note)
    tx.touch(DIRECTORY)
    return created


def make_alias(tx: Tx, name: str, target: DomainId, note: str = "") -> DomainId:
    """For a deed that makes more of it, and has looked whether it can be."""
    return DomainId(
        tx.insert(
            "domains.insert",
            name=name,
            alias_of=target,
            status=DomainStatus.ACTIVE,
            cos=None,
            delimiter="",
            note=note,
            max_accounts=0,
            now=tx.now,
        )
    )


def _modify(tx: Tx, deed: ModifyDomain) -> None:
    row = _existing(tx, deed.domain)
    tx.run(
        "domains.update",
        id=deed.domain,
        status=row.status if deed.status is None else deed.status,
        delimiter=row.delimiter if deed.delimiter is None else deed.delimiter,
        note=row.note if deed.note is None else deed.note,
        max_accounts=row.max_accounts if deed.max_accounts is None else deed.max_accounts,
    )
    _limit(tx, deed.domain, deed.limits, deed.cos_limits)
    if deed.status is not None and deed.status is not row.status:
        for (account,) in tx.all("domains.accounts_waiting", id=deed.domain):
            queue.due_now(tx, AccountId(account))
    tx.touch(DIRECTORY)


def _set_cos(tx: Tx, deed: SetDomainCos) -> None:
    _existing(tx, deed.domain)
    if deed.cos is not None and tx.one("cos.by_id", id=deed.cos) is None:
        raise NotFound(f"class of service {deed.cos}")
    tx.run("domains.set_cos", id=deed.domain, cos=deed.cos)
    tx.touch(DIRECTORY)


def _warned(tx: Tx, deed: WarnedOfRoom) -> None:
    tx.run("domains.set_warned", id=deed.domain, now=tx.now)


def _delete(tx: Tx, deed: DeleteDomain) -> None:
    row = _existing(tx, deed.domain)
    if tx.one("domains.in_use", id=deed.domain) is not None:
        raise Conflict(f"domain {row.name} is not empty")
    grants.forget_grantee(tx, (GranteeKind.DOMAIN,), deed.domain)
    tx.run("domains.delete", id=deed.domain)
    tx.touch(DIRECTORY)


DEEDS = (
    (CreateDomain, _create),
    (CreateAliasDomain, _create_alias),
    (ModifyDomain, _modify),
    (SetDomainCos, _set_cos),
    (WarnedOfRoom, _warned),
    (DeleteDomain, _delete),
)
