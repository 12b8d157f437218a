"""Domains and alias domains, for administrators."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy.domain_limits import COS_MAX_ACCOUNTS, changed, cos_limit
from policy.identity import CosId
from policy.quota import DomainLimits
from policy.roles import Operation
from policy.status import DomainStatus
from store import cos, domains, renaming, roles
from store.deeds import Several
from store.errors import Conflict
from store.model import DomainRow
from store.port import Deed, Snapshot, Store


@dataclass(frozen=True, slots=True)
class DomainView:
    """A domain with names for ids. `target`: the domain it is an alias of, "" for none; `cos` "": its accounts inherit `default`.
    `delegation_since`: when it was initialised for delegation, microseconds; None: it was not."""

    row: DomainRow
    cos: str
    target: str
    aliases: Sequence[str]
    accounts: int
    delegation_since: int | None = None
    cos_limits: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True, slots=True)
class DomainChanges:
    """None leaves as it is. `cos` "": back to `default`. `max_accounts` 0: no limit. `limits`: texts by the names of
    policy.domain_limits, "" restores the default; `cos_max_accounts`: all of them, as `CLASS:NUMBER`."""

    status: DomainStatus | None = None
    cos: str | None = None
    delimiter: str | None = None
    note: str | None = None
    max_accounts: int | None = None
    limits: Mapping[str, str] = field(default_factory=dict)
    cos_max_accounts: Sequence[str] | None = None

    @property
    def attributes(self) -> frozenset[str]:
        """The plain names of what is set."""
        named = {
            "status": self.status,
            "cos": self.cos,
            "delimiter": self.delimiter,
            "note": self.note,
            "maxAccounts": self.max_accounts,
            COS_MAX_ACCOUNTS: self.cos_max_accounts,
        }
        return frozenset(name for name, value in named.items() if value is not None) | {*self.limits}


class Domains:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def create(self, name: str, changes: DomainChanges) -> DomainView:
        """A domain whose addresses are ours from now on."""
        label = names.new_domain(name)
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.CREATE_DOMAIN), label)
            service_class = await _cos(snapshot, changes.cos)
            classes = await _cos_limits(snapshot, changes.cos_max_accounts)
        deed = domains.CreateDomain(
            label,
            changes.status or DomainStatus.ACTIVE,
            service_class,
            _delimiter(changes.delimiter if changes.delimiter is not None else "+"),
            changes.note or "",
            changes.max_accounts or 0,
            _limits(DomainLimits(), changes.limits),
            classes or (),
        )
        words = {Conflict: Fault(Code.DOMAIN_EXISTS, name)}
        await self._records.do(deed, "domain created", label, matter=Matter(Operation.CREATE_DOMAIN), words=words)
        return await self.get(label)

    async def create_alias(self, name: str, target: str, note: str = "") -> DomainView:
        """Every address of `target` exists under `name` too."""
        label = names.new_domain(name)
        async with self._store.snapshot() as snapshot:
            row = await names.domain(snapshot, target)
            matter = Matter(Operation.CREATE_ALIAS_DOMAIN, domains=(row.id,))
            await self._records.allow(snapshot, matter, label)
        if row.alias_of is not None:
            raise Fault(Code.INVALID_REQUEST, f"{target} is an alias domain itself")
        deed = domains.CreateAliasDomain(label, row.id, note)
        await self._records.do(
            deed,
            "alias domain created",
            label,
            matter=matter,
            detail=f"of {row.name}",
            words={Conflict: Fault(Code.DOMAIN_EXISTS, name)},
        )
        return await self.get(label)

    async def get(self, name: str) -> DomainView:
        """By name, an alias domain as itself."""
        async with self._store.snapshot() as snapshot:
            row = await names.domain(snapshot, name)
            await self._records.allow(snapshot, _viewing(row), row.name)
            return await _view(snapshot, row)

    async def all(self) -> Sequence[DomainView]:
        """By name, alias domains among them; those that may be seen."""
        async with self._store.snapshot() as snapshot:
            await self._records.browse(snapshot, Operation.VIEW_DOMAIN)
            rows = await snapshot.work(domains.all_of_them)
            return [await _view(snapshot, row) for row in rows if await self._records.sees(snapshot, _viewing(row))]

    async def modify(self, name: str, changes: DomainChanges) -> None:
        """A changed status reaches open sessions, and releases mail that was held because of the old one."""
        async with self._store.snapshot() as snapshot:
            row = await names.domain(snapshot, name)
            matter = Matter(Operation.MODIFY_DOMAIN, domains=(row.id,), attributes=changes.attributes)
            await self._records.allow(snapshot, matter, row.name)
            service_class = await _cos(snapshot, changes.cos)
            classes = await _cos_limits(snapshot, changes.cos_max_accounts)
        limits = _limits(row.limits, changes.limits) if changes.limits else None
        if row.alias_of is not None and changes != DomainChanges(note=changes.note):
            raise Fault(Code.INVALID_REQUEST, f"{name} is an alias domain: it has a note and nothing else")
        deeds: list[Deed[None]] = [
            domains.ModifyDomain(
                row.id,
                changes.status,
                None if changes.delimiter is None else _delimiter(changes.delimiter),
                changes.note,
                changes.max_accounts,
                limits,
                classes,
            )
        ]
        if changes.cos is not None:
            deeds.append(domains.SetDomainCos(row.id, service_class))
        said = [
            f"{label} {value}"
            for label, value in (
                ("status", changes.status),
                ("cos", changes.cos),
                ("delimiter", changes.delimiter),
                ("maxAccounts", changes.max_accounts),
                (COS_MAX_ACCOUNTS, None if changes.cos_max_accounts is None else " ".join(changes.cos_max_accounts) or "(none)"),
                *changes.limits.items(),
            )
            if value is not None
        ]
        await self._records.do(Several(tuple(deeds)), "domain changed", row.name, matter=matter, detail=", ".join(said))

    async def rename(self, name: str, to: str, *, keep: bool = False) -> None:
        """Every address and everything that spells it; who and what knows it by its number notices nothing. `keep`: the old name becomes
        an alias domain. Renaming it back undoes it."""
        label = names.new_domain(to)
        async with self._store.snapshot() as snapshot:
            row = await names.domain(snapshot, name)
            matter = Matter(Operation.RENAME_DOMAIN, domains=(row.id,))
            await self._records.allow(snapshot, matter, row.name)
            taken = await snapshot.ask(domains.by_name, label)
        if taken is not None and taken.id != row.id and taken.alias_of != row.id:
            raise Fault(Code.DOMAIN_EXISTS, to)
        await self._records.do(
            renaming.RenameDomain(row.id, label, keep),
            "domain renamed",
            row.name,
            matter=matter,
            detail=f"to {label}" + (", the old name stays as an alias domain" if keep else ""),
            words={Conflict: Fault(Code.DOMAIN_EXISTS, to)},
        )

    async def initialise_delegation(self, name: str) -> None:
        """Roles held in the domain count from now on."""
        async with self._store.snapshot() as snapshot:
            row = await names.domain(snapshot, name)
        await self._records.do(
            roles.InitialiseDomain(row.id),
            "domain initialised for delegation",
            row.name,
            matter=Matter(Operation.INITIALISE_DELEGATION, domains=(row.id,)),
            words={Conflict: Fault(Code.INVALID_REQUEST, f"{name} is an alias domain: its administrators are those of its domain")},
        )

    async def delete(self, name: str) -> None:
        """Only an empty one: no accounts, lists, aliases or alias domains."""
        async with self._store.snapshot() as snapshot:
            row = await names.domain(snapshot, name)
        words = {Conflict: Fault(Code.DOMAIN_NOT_EMPTY, name)}
        matter = Matter(Operation.DELETE_DOMAIN, domains=(row.id,))
        await self._records.do(domains.DeleteDomain(row.id), "domain deleted", row.name, matter=matter, words=words)


def _viewing(row: DomainRow) -> Matter:
    return Matter(Operation.VIEW_DOMAIN, domains=(row.id if row.alias_of is None else row.alias_of,))


def _delimiter(text: str) -> str:
    if len(text) > 1 or text in ('"', "@", ".", "\\", " ") or not text.isascii():
        raise Fault(Code.INVALID_ATTR_VALUE, f"delimiter - {text} (must be one character such as +, or empty for none)")
    return text


def _limits(now: DomainLimits, texts: Mapping[str, str]) -> DomainLimits:
    try:
        return changed(now, texts)
    except ValueError as error:
        raise Fault(Code.INVALID_ATTR_VALUE, error) from None


async def _cos_limits(snapshot: Snapshot, texts: Sequence[str] | None) -> Sequence[tuple[CosId, int]] | None:
    if texts is None:
        return None
    found: dict[CosId, int] = {}
    for text in texts:
        try:
            name, most = cos_limit(text)
        except ValueError as error:
            raise Fault(Code.INVALID_ATTR_VALUE, error) from None
        found[(await names.service_class(snapshot, name)).id] = most
    return list(found.items())


async def _cos(snapshot: Snapshot, name: str | None) -> CosId | None:
    return (await names.service_class(snapshot, name)).id if name else None


async def _view(snapshot: Snapshot, row: DomainRow) -> DomainView:
    service_class = None if row.cos is None else await snapshot.ask(cos.by_id, row.cos)
    target = None if row.alias_of is None else await snapshot.ask(domains.by_id, row.alias_of)
    return DomainView(
        row,
        "" if service_class is None else service_class.name,
        "" if target is None else target.name,
        await snapshot.ask(domains.aliases_of, row.id),
        await snapshot.ask(domains.count_accounts, row.id),
        await snapshot.ask(roles.initialised, row.id),
        [(name, most) for _, name, most in await snapshot.ask(domains.cos_limits, row.id)],
    )
