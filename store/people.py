"""What is known of people beside their accounts, and accounts as attribute filters see them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from policy.filters import Filter, compared, matches, names_in, parse
from policy.identity import AccountId, DomainId
from policy.people import FILTERABLE, OBJECT_CLASSES, checked
from store.errors import Conflict
from store.port import Tx

PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Entry:
    """An account by the names of policy.people.FILTERABLE; values as policy.filters.compared makes them."""

    account: AccountId
    domain: DomainId
    values: Mapping[str, Sequence[str]]


def personal(tx: Tx, account: AccountId) -> Mapping[str, str]:
    """By plain name; what is not there is not known."""
    return dict(tx.all("people.of", account=account))


def set_personal(tx: Tx, account: AccountId, values: Mapping[str, str]) -> None:
    """Merged; an empty text takes a value away. Raises Conflict for what cannot be."""
    try:
        wanted = checked(values)
    except ValueError as error:
        raise Conflict(str(error)) from None
    for name, value in wanted.items():
        if value:
            tx.run("people.set", account=account, name=name, value=value)
        else:
            tx.run("people.clear", account=account, name=name)


@lru_cache(maxsize=1024)
def read_filter(text: str) -> Filter:
    """Raises BadFilter."""
    return parse(text, FILTERABLE)


def entries(tx: Tx, domain: DomainId | None = None, after: AccountId | None = None, limit: int = PAGE) -> list[Entry]:
    """Accounts by ascending id, of one domain or of all: three statements for a page. Ask by `work`."""
    rows = tx.all("people.accounts", domain=domain or 0, after=after or 0, limit=limit)
    return _entries(tx, rows)


def entry(tx: Tx, account: AccountId) -> Entry | None:
    """One of them."""
    found = _entries(tx, tx.all("people.account", id=account))
    return found[0] if found else None


def _entries(tx: Tx, rows: Sequence[tuple[int, int, str, str, str, str, int, str]]) -> list[Entry]:
    if not rows:
        return []
    found: dict[int, dict[str, list[str]]] = {}
    domains: dict[int, int] = {}
    for number, domain, domain_name, display_name, status, cos, is_administrator, note in rows:
        domains[number] = domain
        found[number] = {
            "domain": [domain_name],
            "status": [status],
            "cos": [compared(cos)],
            "isGlobalAdministrator": ["true" if is_administrator else "false"],
            "objectClass": [*OBJECT_CLASSES],
        }
        for name, value in (("displayName", display_name), ("note", note)):
            if shown := compared(value):
                found[number][name] = [shown]
    first, last = rows[0][0], rows[-1][0]
    for number, local, name, is_primary in tx.all("people.addresses", first=first, last=last):
        if number in found:
            found[number].setdefault("mail", []).append(f"{compared(local)}@{name}")
            if is_primary:
                found[number]["uid"] = [compared(local)]
    for number, name, value in tx.all("people.values", first=first, last=last):
        if number in found:
            found[number].setdefault(name, []).append(compared(value))
    return [Entry(AccountId(number), DomainId(domains[number]), values) for number, values in found.items()]


def found_by(
    tx: Tx, wanted: Filter, domain: DomainId | None, after: AccountId | None, most: int
) -> tuple[list[AccountId], AccountId | None]:
    """Whom the filter means, by id: at most `most` accounts behind `after` are looked at; and the last of these, None at the end. Ask by
    `work`."""
    page = entries(tx, domain, after, most)
    return [one.account for one in page if matches(wanted, one.values)], page[-1].account if len(page) == most else None


def meant(tx: Tx, wanted: Filter, domain: DomainId) -> Iterator[AccountId]:
    """Everybody in the domain whom the filter means. Looks at each of its accounts: for the writer, and for `work`."""
    after: AccountId | None = None
    while True:
        found, after = found_by(tx, wanted, domain, after, PAGE)
        yield from found
        if after is None:
            return


def asks_for_cos(wanted: Filter) -> bool:
    """Does it depend on what many accounts change at once?"""
    return "cos" in names_in(wanted)
