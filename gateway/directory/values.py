"""Are these values that an account or a class of service can have? They are kept as they are meant, not as they were typed."""

from collections.abc import Mapping
from typing import Final

from gateway.directory.faults import Code, Fault
from gateway.message.canonical import read_address
from policy.cos import ATTRIBUTES, Attribute
from policy.identity import BadAddress
from store import addresses
from store.port import Snapshot

BY_FIELD: Final[Mapping[str, Attribute]] = {attribute.field: attribute for attribute in ATTRIBUTES}


async def checked(snapshot: Snapshot, values: Mapping[str, str], own: int | None = None) -> dict[str, str]:
    """By field; an empty text restores what is inherited. `own`: the account whose values they become. Raises Fault."""
    return {field: await _one(snapshot, BY_FIELD[field], text, own) if text.strip() else "" for field, text in values.items()}


def require_room(values: Mapping[str, str], max_quota: int) -> None:
    """May an account have these, in a domain that gives none more than `max_quota` octets (0: any)? Raises Fault."""
    text = values.get("quota", "")
    if text and max_quota and BY_FIELD["quota"].parse(text) > max_quota:
        raise Fault(Code.INVALID_ATTR_VALUE, f"quota - {text} (must be at most {max_quota}: maxQuota of the domain)")


async def _one(snapshot: Snapshot, attribute: Attribute, text: str, own: int | None) -> str:
    try:
        value = attribute.parse(text)
    except ValueError as error:
        raise Fault(Code.INVALID_ATTR_VALUE, f"{attribute.name} - {text} (must be {error})") from None
    if not isinstance(value, tuple):
        return text.strip()
    read = []
    for one in value:
        try:
            address = read_address(one)
        except BadAddress as error:
            raise Fault(Code.INVALID_ATTR_VALUE, f"{attribute.name} - {one} ({error})") from None
        found = await snapshot.ask(addresses.resolve, address)
        if attribute.field == "allow_from_addresses" and found is not None and found.id != own:
            raise Fault(Code.INVALID_ATTR_VALUE, f"{attribute.name} - {one} (it is an address of {found.address})")
        if attribute.field == "delegated_sender_addresses":
            if own is not None and (found is None or found.id != own):
                raise Fault(Code.INVALID_ATTR_VALUE, f"{attribute.name} - {one} (it is no address of the account)")
            address = address if found is None else found.matched
        read.append(str(address))
    return ", ".join(dict.fromkeys(read))
