"""The ARC sets of a message (RFC 8617): found, in order, and what their seals sign; no key is known here."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.message.dkim import BadSignature, Form, canonical_field, itself, relaxed, tags
from gateway.message.split import Field, Header

MOST_INSTANCES: Final = 50
RESULTS: Final = b"arc-authentication-results"
MESSAGE_SIGNATURE: Final = b"arc-message-signature"
SEAL: Final = b"arc-seal"
_ORDER: Final = (RESULTS, MESSAGE_SIGNATURE, SEAL)
_INSTANCE: Final = re.compile(rb"[ \t\r\n]*+i[ \t\r\n]*+=[ \t\r\n]*+([0-9]{1,3})[ \t\r\n]*+(?:;|\Z)")


class Validation(StrEnum):
    """What `cv=` says of a chain."""

    NONE = "none"
    PASS = "pass"  # noqa: S105 - a word of RFC 8617
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class ArcSet:
    """What one handler added."""

    results: Field
    message_signature: Field
    seal: Field


@dataclass(frozen=True, slots=True)
class Chain:
    """`sets`: in their order, empty where `fault` says why they are no chain. `last`: the greatest instance that some field names.
    `ended`: the last seal itself says that the chain had failed, after which nothing is added (section 5.1, step 2)."""

    sets: tuple[ArcSet, ...] = ()
    last: int = 0
    fault: str = ""
    ended: bool = False


def read_chain(octets: bytes, header: Header) -> Chain:
    """Of a message. Never raises."""
    found: dict[int, dict[bytes, list[Field]]] = {}
    fault = ""
    for field in header.fields:
        if field.name in _ORDER:
            number = _instance(octets, field)
            if number is None:
                fault = fault or "a field without an instance"
                continue
            found.setdefault(number, {}).setdefault(field.name, []).append(field)
    if not found:
        return Chain(fault=fault)
    last = max(found)
    seals = [_seal_tags(octets, one) for one in found[last].get(SEAL, ())]
    ended = any(one.get(b"cv", b"").lower() == b"fail" for one in seals)
    if last > MOST_INSTANCES:
        fault = fault or "too many instances"
    sets: list[ArcSet] = []
    for number in range(1, min(last, MOST_INSTANCES) + 1):
        here = found.get(number, {})
        if any(len(here.get(name, ())) != 1 for name in _ORDER):
            fault = fault or f"instance {number} is not whole"
            break
        one = ArcSet(here[RESULTS][0], here[MESSAGE_SIGNATURE][0], here[SEAL][0])
        said = _seal_tags(octets, one.seal)
        if said.get(b"cv", b"").lower() != (b"none" if number == 1 else b"pass") or b"h" in said:
            fault = fault or f"the seal of instance {number} does not say that the chain held"
            break
        sets.append(one)
    return Chain(() if fault else tuple(sets), min(last, MOST_INSTANCES), fault, ended)


def sealed_octets(octets: bytes, sets: Sequence[ArcSet]) -> bytes:
    """What the seal of the last of these sets signs (section 5.1.1): all of them, itself with an empty `b=`."""
    pieces: list[bytes] = []
    for number, one in enumerate(sets, 1):
        pieces += [canonical_field(octets, field, Form.RELAXED) for field in (one.results, one.message_signature)]
        value = octets[one.seal.value : one.seal.end]
        pieces.append(relaxed(SEAL, value) if number < len(sets) else itself(SEAL, value))
    return b"".join(pieces)


def to_be_sealed(octets: bytes, sets: Sequence[ArcSet], results: bytes, message_signature: bytes, seal: bytes) -> bytes:
    """The same for a set that is being made, behind those that it covers: the values of its fields."""
    pieces: list[bytes] = []
    for one in sets:
        pieces += [canonical_field(octets, field, Form.RELAXED) for field in (one.results, one.message_signature, one.seal)]
    return b"".join([*pieces, relaxed(RESULTS, results), relaxed(MESSAGE_SIGNATURE, message_signature), itself(SEAL, seal)])


def _instance(octets: bytes, field: Field) -> int | None:
    value = octets[field.value : field.end]
    if field.name == RESULTS:
        first = _INSTANCE.match(value)
        said = b"" if first is None else first[1]
    else:
        try:
            said = tags(value).get(b"i", b"")
        except BadSignature:
            return None
    return int(said) if said.isdigit() and len(said) <= 3 and int(said) > 0 else None


def _seal_tags(octets: bytes, field: Field) -> dict[bytes, bytes]:
    try:
        return dict(tags(octets[field.value : field.end]))
    except BadSignature:
        return {}
