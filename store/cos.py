"""Classes of service: named sets of values that accounts inherit; `default` always exists."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from policy.cos import ATTRIBUTES, ServiceValues, resolve
from policy.grants import GranteeKind
from policy.identity import CosId
from policy.quota import effective_quota
from store import grants
from store.errors import Conflict, NotFound, Stale
from store.model import CosRow
from store.port import DIRECTORY, Deed, Tx

DEFAULT: Final = CosId(1)
"""The class of service `default`, made by the first migration; it can be neither renamed nor deleted."""

_ATTRIBUTES: Final = MappingProxyType({attribute.field: attribute for attribute in ATTRIBUTES})


@dataclass(frozen=True, slots=True)
class CreateCos(Deed[CosId]):
    """Raises Conflict when the name is taken or a value cannot be."""

    name: str
    values: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class ModifyCos(Deed[None]):
    """None leaves as it is; `values` are merged, an empty text restores the default. `were`: texts that `values` were made from, ""
    for none. Raises NotFound, Conflict; Stale when they are others by now."""

    cos: CosId
    name: str | None = None
    note: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    were: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeleteCos(Deed[None]):
    """Raises Conflict for `default` and for one that accounts or domains name, except with `reassign`: these then inherit.

    Folder and send grants to it go with it. Raises NotFound.
    """

    cos: CosId
    reassign: bool = False


def by_id(tx: Tx, cos: CosId) -> CosRow | None:
    """None where there is none (any more)."""
    return _row(tx.one("cos.by_id", id=cos))


def by_name(tx: Tx, name: str) -> CosRow | None:
    """Names are compared as they are written."""
    return _row(tx.one("cos.by_name", name=name))


def all_of_them(tx: Tx) -> Sequence[CosRow]:
    """By name."""
    return [row for found in tx.all("cos.all_of_them") if (row := _row(found)) is not None]


def pack(values: Mapping[str, str]) -> str:
    """As stored. Raises Conflict where a field does not exist or its text does not read."""
    for name, text in values.items():
        if name not in _ATTRIBUTES:
            raise Conflict(f"no such value: {name}")
        try:
            _ATTRIBUTES[name].parse(text)
        except ValueError as error:
            raise Conflict(f"{_ATTRIBUTES[name].name}: {error}") from None
    return json.dumps(dict(values), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def merge(stored: str, changes: Mapping[str, str]) -> str:
    """The stored values with these changes; an empty text takes a value away. Raises Conflict as `pack` does."""
    merged = {**unpack(stored), **changes}
    return pack({name: text for name, text in merged.items() if text != "" or name not in _ATTRIBUTES})


@lru_cache(maxsize=4096)
def unpack(stored: str) -> Mapping[str, str]:
    """Fields and their texts, from what `pack` made."""
    return MappingProxyType(json.loads(stored))


@lru_cache(maxsize=4096)
def values_in_force(own: str, inherited: str, max_quota: int = 0) -> ServiceValues:
    """An account's resolved values from the stored texts: its own, those of its class of service. `max_quota`: the largest that its
    domain gives, 0: any."""
    found = resolve(unpack(own), unpack(inherited))
    return replace(found, quota=effective_quota(found.quota, max_quota)) if max_quota else found


def _row(found: Any) -> CosRow | None:
    if found is None:
        return None
    number, name, note, values, created = found
    return CosRow(CosId(number), name, note, unpack(values), created)


def _create(tx: Tx, deed: CreateCos) -> CosId:
    if not deed.name:
        raise Conflict("a class of service needs a name")
    if tx.one("cos.by_name", name=deed.name) is not None:
        raise Conflict(f"class of service {deed.name} exists")
    created = tx.insert("cos.insert", name=deed.name, note=deed.note, values=merge("{}", deed.values), now=tx.now)
    tx.touch(DIRECTORY)
    return CosId(created)


def _modify(tx: Tx, deed: ModifyCos) -> None:
    found = tx.one("cos.by_id", id=deed.cos)
    if found is None:
        raise NotFound(f"class of service {deed.cos}")
    _, name, note, values, _ = found
    now = unpack(values)
    if any(now.get(one, "") != text for one, text in deed.were.items()):
        raise Stale(f"class of service {name} was changed in between")
    if deed.name is not None and deed.name != name:
        if deed.cos == DEFAULT:
            raise Conflict("the class of service default keeps its name")
        if not deed.name or tx.one("cos.by_name", name=deed.name) is not None:
            raise Conflict(f"class of service {deed.name} exists" if deed.name else "a class of service needs a name")
        name = deed.name
    tx.run(
        "cos.update",
        id=deed.cos,
        name=name,
        note=note if deed.note is None else deed.note,
        values=merge(values, deed.values),
    )
    tx.touch(DIRECTORY)


def _delete(tx: Tx, deed: DeleteCos) -> None:
    if tx.one("cos.by_id", id=deed.cos) is None:
        raise NotFound(f"class of service {deed.cos}")
    if deed.cos == DEFAULT:
        raise Conflict("the class of service default cannot be deleted")
    if not deed.reassign and tx.one("cos.in_use", id=deed.cos) is not None:
        raise Conflict("the class of service is in use by accounts or domains")
    # Accounts that fall back to another class of service change their standing.
    accounts = [account for (account,) in tx.all("cos.accounts_of", id=deed.cos)]
    tx.run("cos.release_accounts", id=deed.cos)
    tx.run("cos.release_domains", id=deed.cos)
    grants.forget_grantee(tx, (GranteeKind.COS,), deed.cos)
    tx.run("cos.delete", id=deed.cos)
    tx.touch(DIRECTORY, *accounts)


DEEDS = ((CreateCos, _create), (ModifyCos, _modify), (DeleteCos, _delete))
