"""Finding people by what is known of them, and proposing user names from their names."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Final

from gateway.directory import names
from gateway.directory.accounts import AccountChanges, Accounts, AccountView
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.password_rules import Hashed, PasswordRules
from gateway.directory.records import Records
from policy.filters import BadFilter, Filter
from policy.identity import AccountId, Address
from policy.people import numbered
from policy.roles import Operation
from store import addresses, people
from store.port import Snapshot, Store

PROPOSED: Final = 5


@dataclass(frozen=True, slots=True)
class PersonName:
    """What user names are proposed from."""

    given_name: str = ""
    initials: str = ""
    surname: str = ""


def wanted_filter(text: str) -> Filter:
    """Raises Fault that says what is wrong with it."""
    try:
        return people.read_filter(text)
    except BadFilter as error:
        raise Fault(Code.INVALID_REQUEST, f"no filter: {error}") from None


class People:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records, accounts: Accounts, rules: PasswordRules) -> None:
        self._store = store
        self._records = records
        self._accounts = accounts
        self._rules = rules

    async def propose(self, domain: str, person: PersonName, most: int = PROPOSED) -> list[Address]:
        """Addresses that nobody has, the best one first. Not for an alias domain."""
        async with self._store.snapshot() as snapshot:
            found = []
            place = await self._place(snapshot, domain)
            await self._records.allow(snapshot, Matter(Operation.CREATE_ACCOUNT, made=(Address("x", place),)), domain)
            for address in _candidates(place, person):
                if await snapshot.ask(addresses.resolve, address) is None:
                    found.append(address)
                if len(found) == most:
                    break
            return found

    async def create(
        self, domain: str, password: str, changes: AccountChanges, *, force: bool = False, hashed: Hashed | None = None
    ) -> tuple[AccountId, Address]:
        """An account under the first proposal that is free, from the givenName, initials and sn among the changes; `password`, `force`
        and `hashed` as PasswordRules has them."""
        known = changes.personal
        person = PersonName(known.get("givenName", ""), known.get("initials", ""), known.get("sn", ""))
        async with self._store.snapshot() as snapshot:
            place = await self._place(snapshot, domain)
            await self._records.allow(snapshot, Matter(Operation.CREATE_ACCOUNT, made=(Address("x", place),)), domain)
            free = [one for one in _candidates(place, person) if await snapshot.ask(addresses.resolve, one) is None]
        display_name = changes.display_name
        if display_name is None:
            display_name = " ".join(part for part in (person.given_name.strip(), person.surname.strip()) if part)
        for address in free:
            try:
                named = replace(changes, display_name=display_name)
                made = await self._rules.create(str(address), password, named, force=force, hashed=hashed)
            except Fault as fault:
                # Somebody else was given this one a moment ago.
                if fault.code is not Code.ACCOUNT_EXISTS:
                    raise
            else:
                return made, address
        raise Fault(Code.INVALID_REQUEST, f"every name that could be proposed is taken in {domain}")

    async def search(self, text: str, domain: str | None = None, offset: int = 0, limit: int | None = None) -> AsyncIterator[AccountView]:
        """Accounts that the filter means, in the order in which they were made; a page per snapshot, all of them looked at."""
        wanted = wanted_filter(text)
        async with self._store.snapshot() as snapshot:
            within = None
            if domain is None:
                await self._records.browse(snapshot, Operation.VIEW_ACCOUNT)
            else:
                within = (await names.domain(snapshot, domain)).id
                await self._records.allow(snapshot, Matter(Operation.VIEW_ACCOUNT, domains=(within,)), domain)
        after: AccountId | None = None
        left = limit
        while left is None or left > 0:
            async with self._store.snapshot() as snapshot:
                found, after = await snapshot.work(people.found_by, wanted, within, after, people.PAGE)
            for account in found:
                if left == 0:
                    return
                view = await self._seen(account)
                if view is None:
                    continue
                if offset > 0:
                    offset -= 1
                    continue
                left = None if left is None else left - 1
                yield view
            if after is None:
                return

    async def _seen(self, account: AccountId) -> AccountView | None:
        """None: it is gone, or not for whoever asks."""
        try:
            return await self._accounts.get(str(account))
        except Fault as fault:
            if fault.code not in (Code.NO_SUCH_ACCOUNT, Code.PERM_DENIED):
                raise
            return None

    async def _place(self, snapshot: Snapshot, domain: str) -> str:
        row = await names.domain(snapshot, domain)
        if row.alias_of is None:
            return row.name
        raise Fault(Code.INVALID_REQUEST, f"{domain} is an alias domain: make the address in the domain it leads to")


def _candidates(domain: str, person: PersonName) -> Iterator[Address]:
    locals_ = [*numbered(person.given_name, person.initials, person.surname)]
    if not locals_:
        raise Fault(Code.INVALID_REQUEST, "no name can be proposed: givenName, initials and sn have no Latin spelling")
    return (Address(local, domain) for local in locals_)
