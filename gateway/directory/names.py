"""Which object does this name mean, and what is the object of this id called?"""

from collections.abc import Callable
from typing import Final

import idna

from gateway.directory.faults import Code, Fault
from gateway.message.canonical import read_address, read_domain
from policy.grantees import Grantee, GranteeKind
from policy.identity import AccountId, Address, BadAddress, CosId, DomainId, ListId
from store import accounts, addresses, cos, domains, lists
from store.addresses import ObjectKind, Resolved
from store.model import AccountRow, CosRow, DomainRow, ListRow
from store.port import Snapshot, Tx

SEND_KINDS: Final = {
    "usr": GranteeKind.ACCOUNT,
    "grp": GranteeKind.GROUP,
    "dom": GranteeKind.DOMAIN,
    "cos": GranteeKind.COS,
    "all": GranteeKind.ALL,
}
"""Grantee types as grantRight spells them."""


def new_address(text: str) -> Address:
    """The address of something to be made. Raises Fault."""
    try:
        return read_address(text).folded()
    except BadAddress as error:
        raise Fault(Code.INVALID_REQUEST, f"must be a valid email address: {text} ({error})") from None


def new_domain(text: str) -> str:
    """The name of a domain to be made, as A-label. Raises Fault."""
    try:
        name = read_domain(text)
    except BadAddress as error:
        raise Fault(Code.INVALID_REQUEST, f"must be a valid domain name: {text} ({error})") from None
    if "." not in name:
        raise Fault(Code.INVALID_REQUEST, f"must be a valid domain name: {text} (it has no dot)")
    return name


def shown_domain(name: str) -> str:
    """As U-label, where it reads back as the same name."""
    if "xn--" not in name:
        return name
    try:
        shown = idna.decode(name)
        return shown if read_domain(shown) == name else name
    except (UnicodeError, BadAddress):
        return name


def shown(address: Address) -> str:
    """An address with its domain as U-label."""
    return f"{address.local}@{shown_domain(address.domain)}"


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


async def resolved(snapshot: Snapshot, text: str) -> Resolved | None:
    """The account or list that this very address or id is; a tag is not cut."""
    number = _number(text)
    if number is not None:
        return await snapshot.ask(addresses.primary, number)
    try:
        found = await snapshot.ask(addresses.resolve, read_address(text))
    except BadAddress:
        return None
    return None if found is None or found.tag_cut else found


async def account(snapshot: Snapshot, text: str) -> AccountRow:
    """By address, alias or id. Raises Fault."""
    found = await resolved(snapshot, text)
    row = None
    if found is not None and found.kind is ObjectKind.ACCOUNT:
        row = await snapshot.ask(accounts.by_id, AccountId(found.id))
    if row is None:
        raise Fault(Code.NO_SUCH_ACCOUNT, text)
    return row


async def mailing_list(snapshot: Snapshot, text: str) -> ListRow:
    """By address, alias or id. Raises Fault."""
    found = await resolved(snapshot, text)
    row = None
    if found is not None and found.kind is ObjectKind.LIST:
        row = await snapshot.ask(lists.by_id, ListId(found.id))
    if row is None:
        raise Fault(Code.NO_SUCH_DISTRIBUTION_LIST, text)
    return row


async def domain(snapshot: Snapshot, text: str) -> DomainRow:
    """By name; an alias domain is itself. Raises Fault."""
    try:
        row = await snapshot.ask(domains.by_name, read_domain(text))
    except BadAddress:
        row = None
    if row is None:
        raise Fault(Code.NO_SUCH_DOMAIN, text)
    return row


async def service_class(snapshot: Snapshot, text: str) -> CosRow:
    """By name, else by id. Raises Fault."""
    row = await snapshot.ask(cos.by_name, text)
    number = _number(text)
    if row is None and number is not None:
        row = await snapshot.ask(cos.by_id, CosId(number))
    if row is None:
        raise Fault(Code.NO_SUCH_COS, text)
    return row


async def grantee(snapshot: Snapshot, kind: GranteeKind, text: str) -> Grantee:
    """Raises Fault that names what there is not."""
    match kind:
        case GranteeKind.ACCOUNT:
            return Grantee(kind, (await account(snapshot, text)).id)
        case GranteeKind.GROUP:
            return Grantee(kind, (await mailing_list(snapshot, text)).id)
        case GranteeKind.DOMAIN:
            row = await domain(snapshot, text)
            # No account is in an alias domain: what is granted to it is meant for those whose domain it names.
            return Grantee(kind, row.id if row.alias_of is None else row.alias_of)
        case GranteeKind.COS:
            return Grantee(kind, (await service_class(snapshot, text)).id)
        case GranteeKind.ALL:
            return Grantee(kind)


def name_of(tx: Tx, one: Grantee) -> str:
    """The name alone; empty for everybody. What is gone is called by its number."""
    match one.kind:
        case GranteeKind.ALL:
            return ""
        case GranteeKind.ACCOUNT | GranteeKind.GROUP:
            found = addresses.primary(tx, one.id)
            return f"#{one.id}" if found is None else shown(found.address)
        case GranteeKind.DOMAIN:
            row = domains.by_id(tx, DomainId(one.id))
            return f"#{one.id}" if row is None else shown_domain(row.name)
        case GranteeKind.COS:
            found_cos = cos.by_id(tx, CosId(one.id))
            return f"#{one.id}" if found_cos is None else found_cos.name


def names_of(tx: Tx, some: frozenset[Grantee]) -> dict[Grantee, str]:
    """All of them in one question."""
    return {one: name_of(tx, one) for one in some}


def caller(names: dict[Grantee, str]) -> Callable[[Grantee], str]:
    """What `policy.decision.Step.named` wants: each grantee in words."""

    def call(one: Grantee) -> str:
        return "everybody" if one.kind is GranteeKind.ALL else f"{one.kind} {names.get(one, f'#{one.id}')}"

    return call
