"""Dynamic lists: their members are the accounts of their domain that an attribute filter means, in every state that anybody can see.

The members are rows like any other list's, so that rights, nesting and mail take no notice of where they come from and no decision
evaluates a filter. They follow in the transaction of the change: triggers note which accounts changed (migration `people`), `settle`
judges these, and only these, before the deed is done. Filters see accounts and no memberships, so there are no cycles.
"""

from dataclasses import dataclass
from typing import Final

from policy.filters import BadFilter, Filter, matches, names_in, spell
from policy.identity import AccountId, DomainId, ListId
from store import lists, people
from store.errors import Conflict, LimitReached, NotFound
from store.lists import CreateList
from store.port import DIRECTORY, Deed, Tx

MOST: Final = 500
"""Dynamic lists: each filter is looked at when an account changes."""


@dataclass(frozen=True, slots=True)
class CreateDynamicList(Deed[ListId]):
    """Raises what CreateList does, Conflict for a filter that cannot be read, LimitReached."""

    list: CreateList
    filter: str


@dataclass(frozen=True, slots=True)
class SetFilter(Deed[None]):
    """Raises NotFound for the list, Conflict when it is not dynamic or the filter cannot be read."""

    list: ListId
    filter: str


def filter_of(tx: Tx, list_id: ListId) -> str | None:
    """None: its members are those that were put in."""
    found = tx.one("dynamic.filter", list=list_id)
    return None if found is None else str(found[0])


def asking(tx: Tx, domain: DomainId, attributes: frozenset[str] | None) -> list[ListId]:
    """Dynamic lists of this domain whose filter asks for one of these attributes; None: for any."""
    found = [(ListId(number), text) for number, place, text in tx.all("dynamic.filters") if place == domain]
    return [number for number, text in found if attributes is None or attributes & names_in(people.read_filter(text))]


def settle(tx: Tx) -> None:
    """Judges the accounts that changed. Writer only; nothing to do costs one question."""
    changed = [AccountId(number) for (number,) in tx.all("dynamic.unjudged")]
    if not changed:
        return
    tx.run("dynamic.all_judged")
    filters = [(ListId(number), DomainId(domain), people.read_filter(text)) for number, domain, text in tx.all("dynamic.filters")]
    touched: set[int] = set()
    for account in changed:
        entry = people.entry(tx, account)
        if entry is None:
            continue
        inside = {ListId(number) for (number,) in tx.all("dynamic.of_account", account=account)}
        wanted = {number for number, domain, one in filters if domain == entry.domain and matches(one, entry.values)}
        for number in wanted - inside:
            tx.run("members.add_member", list=number, member=account)
        for number in inside - wanted:
            tx.run("members.remove_member", list=number, member=account)
        if wanted != inside:
            touched |= {account, *(wanted ^ inside)}
    if touched:
        tx.touch(DIRECTORY, *touched)


def _read(text: str) -> Filter:
    try:
        return people.read_filter(text)
    except BadFilter as error:
        raise Conflict(f"no filter: {error}") from None


def _create(tx: Tx, deed: CreateDynamicList) -> ListId:
    wanted = _read(deed.filter)
    (count,) = tx.one("dynamic.count") or (0,)
    if count >= MOST:
        raise LimitReached(f"there are at most {MOST} dynamic lists")
    lists.check_dynamic(deed.list.attributes)
    created = lists.create(tx, deed.list)
    tx.run("dynamic.insert", list=created, filter=spell(wanted), of_cos=int(people.asks_for_cos(wanted)))
    _fill(tx, created, wanted)
    return created


def _set_filter(tx: Tx, deed: SetFilter) -> None:
    wanted = _read(deed.filter)
    if tx.one("lists.exists", id=deed.list) is None:
        raise NotFound(f"list {deed.list}")
    if not tx.run("dynamic.update", list=deed.list, filter=spell(wanted), of_cos=int(people.asks_for_cos(wanted))):
        raise Conflict("the list is not dynamic: its members are put in and taken out")
    _fill(tx, deed.list, wanted)


def _fill(tx: Tx, list_id: ListId, wanted: Filter) -> None:
    (domain,) = tx.one("dynamic.domain", list=list_id) or (0,)
    before = {number for (number,) in tx.all("dynamic.members", list=list_id)}
    after = set(people.meant(tx, wanted, DomainId(domain)))
    tx.many("members.add_member", [{"list": list_id, "member": one} for one in sorted(after - before)])
    tx.many("members.remove_member", [{"list": list_id, "member": one} for one in sorted(before - after)])
    tx.touch(DIRECTORY, list_id)


DEEDS: Final = ((CreateDynamicList, _create), (SetFilter, _set_filter))
