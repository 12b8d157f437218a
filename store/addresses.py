"""Whose address is this? Primary addresses and aliases of accounts and lists, unique across both."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from policy.identity import Address, DomainId
from store.errors import Conflict, NotFound
from store.port import DIRECTORY, Deed, Tx


class ObjectKind(StrEnum):
    """What an address can lead to."""

    ACCOUNT = "account"
    LIST = "list"


@dataclass(frozen=True, slots=True)
class Resolved:
    """What an address leads to.

    `address` is the object's primary address; `matched` the address of it that was asked for, under its real domain and
    without the tag. `tag_cut`: nothing had the address as it was written.
    """

    kind: ObjectKind
    id: int
    address: Address
    matched: Address
    tag_cut: bool


@dataclass(frozen=True, slots=True)
class AddAlias(Deed[None]):
    """To an account or list. Raises NotFound for the object or the domain, Conflict when the address is taken."""

    object: int
    address: Address


@dataclass(frozen=True, slots=True)
class RemoveAlias(Deed[None]):
    """Raises NotFound when the object has no such alias, Conflict for the primary address."""

    object: int
    address: Address


def resolve(tx: Tx, address: Address) -> Resolved | None:
    """delegation.md section 1: as it is written (an alias domain's addresses are its target's), else cut at the delimiter."""
    asked = address.folded()
    found = tx.one("addresses.serving_domain", name=asked.domain)
    if found is None:
        return None
    domain, name, delimiter = found
    asked = asked if name == asked.domain else Address(asked.local, name)
    exact = _at(tx, domain, asked, tag_cut=False)
    if exact is not None:
        return exact
    cut = asked.without_tag(delimiter)
    return None if cut is None else _at(tx, domain, cut, tag_cut=True)


def of(tx: Tx, holder: int) -> Sequence[Address]:
    """Every address of an account or list, the primary one first; alias domains' are not spelled out."""
    return [Address(local, domain) for local, domain, _ in tx.all("addresses.of", object=holder)]


def aliases(tx: Tx, holder: int) -> Sequence[Address]:
    """Every address but the primary one."""
    return [Address(local, domain) for local, domain, is_primary in tx.all("addresses.of", object=holder) if not is_primary]


def primary(tx: Tx, holder: int) -> Resolved | None:
    """An account or list by its id."""
    found = tx.one("addresses.primary", object=holder)
    if found is None:
        return None
    kind, local, domain = found
    address = Address(local, domain)
    return Resolved(ObjectKind(kind), holder, address, address, False)


def claim(tx: Tx, holder: int, address: Address, *, is_primary: bool) -> None:
    """Gives the address to an account or list. Raises NotFound for the domain, Conflict when it is taken or an alias domain's."""
    domain = place(tx, address)
    folded = address.folded()
    if tx.one("addresses.at", domain=domain, local=folded.local) is not None:
        raise Conflict(f"{folded} exists")
    tx.run("addresses.insert", domain=domain, local=folded.local, object=holder, is_primary=int(is_primary))


def place(tx: Tx, address: Address) -> DomainId:
    """The domain in which such an address may be made. Raises NotFound, Conflict."""
    found = tx.one("addresses.own_domain", name=address.domain)
    if found is None:
        raise NotFound(f"domain {address.domain}")
    domain, alias_of = found
    if alias_of is not None:
        raise Conflict(f"{address.domain} is an alias domain: its addresses are those of its target")
    return DomainId(domain)


def _at(tx: Tx, domain: int, address: Address, *, tag_cut: bool) -> Resolved | None:
    found = tx.one("addresses.at", domain=domain, local=address.local)
    if found is None:
        return None
    holder, kind, is_primary = found
    if is_primary:
        return Resolved(ObjectKind(kind), holder, address, address, tag_cut)
    main = primary(tx, holder)
    return None if main is None else Resolved(ObjectKind(kind), holder, main.address, address, tag_cut)


def _add(tx: Tx, deed: AddAlias) -> None:
    if tx.one("addresses.primary", object=deed.object) is None:
        raise NotFound(f"object {deed.object}")
    claim(tx, deed.object, deed.address, is_primary=False)
    tx.touch(DIRECTORY, deed.object)


def _remove(tx: Tx, deed: RemoveAlias) -> None:
    address = deed.address.folded()
    found = tx.one("addresses.at_name", name=address.domain, local=address.local)
    if found is None or found[0] != deed.object:
        raise NotFound(f"alias {address}")
    if found[1]:
        raise Conflict(f"{address} is the primary address")
    tx.run("addresses.delete", name=address.domain, local=address.local)
    tx.touch(DIRECTORY, deed.object)


DEEDS = ((AddAlias, _add), (RemoveAlias, _remove))
