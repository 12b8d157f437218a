"""A domain gets another name: everything that spells the old one says the new one, in one transaction."""

import json
from dataclasses import dataclass
from typing import Final

from policy.filters import BadFilter, spell, with_domain
from policy.identity import Address, BadAddress, DomainId
from store import cos, domains, people
from store.errors import Conflict, NotFound
from store.model import DomainRow
from store.port import DIRECTORY, Deed, Tx

_LISTS_OF_ADDRESSES: Final = ("allow_from_addresses", "delegated_sender_addresses")


@dataclass(frozen=True, slots=True)
class RenameDomain(Deed[None]):
    """`name`: lower-case A-label. Accounts, lists, aliases, grants, roles, freezes and sessions know it by its number, and keep it; what
    spells it (own and inherited values, filters of dynamic lists, members and requests of lists, what waits in the queue) is changed.

    An alias domain of its own may become its name. `keep`: the old name becomes an alias domain. Keys of DKIM stay with the name that
    their records in the DNS have. Raises NotFound; Conflict when the name is taken, or none.
    """

    domain: DomainId
    name: str
    keep: bool = False


def _rename(tx: Tx, deed: RenameDomain) -> None:
    row = domains.by_id(tx, deed.domain)
    if row is None:
        raise NotFound(f"domain {deed.domain}")
    if row.name == deed.name:
        return
    try:
        Address("x", deed.name)
    except BadAddress as error:
        raise Conflict(f"{deed.name!r} is no domain name: {error}") from None
    taken = domains.by_name(tx, deed.name)
    if taken is not None:
        if taken.alias_of != row.id:
            raise Conflict(f"domain {deed.name} exists")
        tx.run("domains.delete", id=taken.id)
    tx.run("domains.rename", id=row.id, name=deed.name)
    if row.alias_of is None:
        _respell(tx, row, deed.name)
    if deed.keep:
        domains.make_alias(tx, row.name, row.id if row.alias_of is None else row.alias_of)
    for (number,) in tx.all("renaming.objects", domain=row.id):
        tx.touch(number)
    tx.touch(DIRECTORY)


def _respell(tx: Tx, row: DomainRow, name: str) -> None:
    old, new = f"@{row.name}", f"@{name}"
    for number, stored in tx.all("renaming.account_values", old=old):
        tx.run("renaming.set_account_values", id=number, values=_values(stored, old, new))
    for number, stored in tx.all("renaming.cos_values", old=old):
        tx.run("renaming.set_cos_values", id=number, values=_values(stored, old, new))
    for number, _, text in tx.all("dynamic.filters"):
        try:
            wanted = people.read_filter(text)
        except BadFilter:
            continue
        changed = with_domain(wanted, row.name, name)
        if changed != wanted:
            tx.run("renaming.set_filter", list=number, filter=spell(changed))
    tx.run("renaming.judge_again", domain=row.id)
    for statement in ("requests", "deleted", "recipients", "reverse_paths"):
        tx.run(f"renaming.{statement}", old=row.name, new=name)


def _values(stored: str, old: str, new: str) -> str:
    values = {
        field: ", ".join(_address(one, old, new) for one in text.split(", ")) if field in _LISTS_OF_ADDRESSES else text
        for field, text in cos.unpack(stored).items()
    }
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _address(text: str, old: str, new: str) -> str:
    return text[: -len(old)] + new if text.lower().endswith(old) else text


DEEDS = ((RenameDomain, _rename),)
