"""What can be known of a message that came from outside: do its DKIM signatures hold (RFC 6376 section 6), does its ARC chain
(RFC 8617 section 5.2)? Asked only of mail that goes out again changed, and sealed."""

import asyncio
import re
import time
from base64 import b64decode
from binascii import Error as NoBase64
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

import idna

from gateway.message.arc import ArcSet, Chain, Validation, read_chain, sealed_octets
from gateway.message.canonical import read_domain
from gateway.message.dkim import (
    BadSignature,
    Form,
    body_digest,
    forms,
    read_names,
    signed_octets,
    tags,
    without_white,
)
from gateway.message.results import trusted_results, word
from gateway.message.split import Field, Header, read_header
from gateway.origin import Findings
from gateway.resolver import Silent
from gateway.signatures import PublicKey, read_record
from gateway.textrecords import TextRecords
from policy.identity import BadAddress

MOST_SIGNATURES: Final = 10
"""DKIM signatures looked at, the topmost ones; honest mail has up to four."""
PATIENCE: Final = 10.0
"""Seconds for all keys of a message: its sender waits so long."""
AT_ONCE: Final = 2
"""Messages that are computed with; those that wait for the DNS are not counted."""
MOST_DIGESTS: Final = 4
"""Forms of a body that are hashed: both canonical ones, and two that `l=` cuts off."""
CLOCKS: Final = 300
"""Seconds by which another's clock may be ahead."""

_SELECTOR: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")

Records = Mapping[str, list[bytes] | None]
"""By name; None: the DNS had no answer."""


class NoVerdict(BadSignature):
    """Its key could not be had: it may hold."""


class Doubtful(BadSignature):
    """It holds, but not for the whole message."""


class Unusable(BadSignature):
    """There is no key with which it could hold."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One signature as its field has it. `algorithm`: `a=`; `record`: where its key is; `name` and `value`: of the field."""

    name: bytes
    value: bytes
    said: Mapping[bytes, bytes]
    domain: str
    record: str
    algorithm: bytes
    signature: bytes


@dataclass(slots=True)
class _Message:
    """One message, its header read once, each form of its body hashed once."""

    octets: bytes
    header: Header
    digests: dict[tuple[Form, int | None], tuple[bytes, bool]] = field(default_factory=dict)

    def digest(self, form: Form, length: int | None) -> tuple[bytes, bool]:
        """Raises BadSignature."""
        if (form, length) not in self.digests:
            if len(self.digests) == MOST_DIGESTS:
                raise BadSignature("too many forms of the body")
            self.digests[form, length] = body_digest(self.octets, self.header.body, form, length)
        return self.digests[form, length]


class Authenticating:
    """`trusted`: servers in front of this one whose Authentication-Results are believed."""

    def __init__(self, records: TextRecords, trusted: Collection[str] = (), clock: Callable[[], float] = time.time) -> None:
        self._records = records
        self._trusted = trusted
        self._clock = clock
        self._room = asyncio.Semaphore(AT_ONCE)

    async def findings(self, octets: bytes, *, from_neighbour: bool) -> Findings | None:
        """None: keys of its ARC chain cannot be had now, so that nothing can be said about it. `from_neighbour`: who handed it in is
        trusted to have removed results that others made up."""
        message = _Message(octets, read_header(octets))
        async with self._room:
            chain = await asyncio.to_thread(read_chain, octets, message.header)
            names = await asyncio.to_thread(_key_names, message, chain)
        records = await self._ask(names)
        believed = self._trusted if from_neighbour else ()
        async with self._room:
            return await asyncio.to_thread(_judged, message, chain, records, believed, self._clock())

    async def _ask(self, names: Collection[str]) -> Records:
        found: dict[str, list[bytes] | None] = dict.fromkeys(names)

        async def ask(name: str) -> None:
            try:
                found[name] = await self._records.of(name)
            except Silent:
                pass

        try:
            async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as asking:
                for name in names:
                    asking.create_task(ask(name))
        except TimeoutError:
            pass
        return found


def _key_names(message: _Message, chain: Chain) -> set[str]:
    fields = [*message.header.find(b"dkim-signature")[:MOST_SIGNATURES]]
    if chain.sets:
        fields += [chain.sets[-1].message_signature, *(one.seal for one in chain.sets)]
    names = set()
    for one in fields:
        try:
            names.add(read_claim(message.octets, one).record)
        except BadSignature:
            continue
    return names


def _judged(message: _Message, chain: Chain, records: Records, trusted: Collection[str], now: float) -> Findings | None:
    results = trusted_results(message.octets, message.header, trusted)
    if not any(one.lower().startswith("dkim") for one in results):
        found = message.header.find(b"dkim-signature")[:MOST_SIGNATURES]
        results += [_dkim_result(message, one, records, now) for one in found] or ["dkim=none"]
    try:
        validation = _validated(message, chain, records, now)
    except NoVerdict:
        return None
    return Findings((*results, f"arc={validation}"), validation)


def _dkim_result(message: _Message, one: Field, records: Records, now: float) -> str:
    try:
        claim = read_claim(message.octets, one)
    except BadSignature:
        return "dkim=neutral"
    try:
        verify(message.octets, message.header, claim, records, now, message.digest)
        result = "pass"
    except NoVerdict:
        result = "temperror"
    except Unusable:
        result = "permerror"
    except Doubtful:
        result = "policy"
    except BadSignature:
        result = "fail"
    properties = [f"header.d={word(claim.domain)}", f"header.s={word(_text(claim.said[b's']))}", f"header.a={word(_text(claim.algorithm))}"]
    return " ".join([f"dkim={result}", *properties, f"header.b={word(_text(without_white(claim.said[b'b'])[:8]))}"])


def _validated(message: _Message, chain: Chain, records: Records, now: float) -> Validation:
    """RFC 8617 section 5.2. Raises NoVerdict."""
    if chain.fault or chain.ended:
        return Validation.FAIL
    if not chain.sets:
        return Validation.NONE
    try:
        newest = read_claim(message.octets, chain.sets[-1].message_signature)
        if b"arc-seal" in read_names(newest.said.get(b"h", b"")):
            raise BadSignature("ARC-Seal is signed by ARC-Message-Signature")
        verify(message.octets, message.header, newest, records, now, message.digest)
        for number in range(len(chain.sets), 0, -1):
            _verify_seal(message.octets, chain.sets[:number], records)
    except NoVerdict:
        raise
    except BadSignature:
        return Validation.FAIL
    return Validation.PASS


def _verify_seal(octets: bytes, sets: tuple[ArcSet, ...], records: Records) -> None:
    claim = read_claim(octets, sets[-1].seal)
    _key(claim, records).verify(claim.algorithm, sealed_octets(octets, sets), claim.signature)


def read_claim(octets: bytes, one: Field) -> Claim:
    """What a signature's field says, of DKIM or ARC. Raises BadSignature where it is none."""
    value = octets[one.value : one.end]
    said = tags(value)
    is_seal = one.name == b"arc-seal"
    needed = {b"a", b"b", b"d", b"s"} | (set() if is_seal else {b"bh", b"h"}) | ({b"v"} if one.name == b"dkim-signature" else set())
    if needed - said.keys():
        raise BadSignature("a tag is missing")
    if said.get(b"v", b"1") != b"1" or (b"q" in said and b"dns/txt" not in without_white(said[b"q"]).lower().split(b":")):
        raise BadSignature("another version")
    try:
        signature = b64decode(without_white(said[b"b"]), validate=True)
        domain = read_domain(said[b"d"].decode())
        selector = _selector(said[b"s"].decode())
    except (NoBase64, BadAddress, UnicodeError):
        raise BadSignature("a tag cannot be read") from None
    raw = octets[one.start : one.value - 1]
    return Claim(raw, value, said, domain, f"{selector}._domainkey.{domain}", said[b"a"].lower(), signature)


def _selector(text: str) -> str:
    """As A-labels. Raises UnicodeError."""
    if _SELECTOR.fullmatch(text) is None:
        return idna.encode(text, uts46=True).decode("ascii").lower()
    return text.lower()


def verify(
    octets: bytes,
    header: Header,
    claim: Claim,
    records: Records,
    now: float,
    digest: Callable[[Form, int | None], tuple[bytes, bool]],
) -> None:
    """A DKIM-Signature or ARC-Message-Signature (RFC 6376 section 6.1). `now`: seconds since 1970; `digest`: of the body in this form,
    up to this length. Raises BadSignature."""
    said = claim.said
    head, body = forms(said.get(b"c", b"simple/simple"))
    names = read_names(said[b"h"])
    if b"from" not in names:
        raise Unusable("From is not signed")
    when = {name: _number(said[name]) for name in (b"t", b"x") if name in said}
    if b"x" in when and when[b"x"] < max(now - CLOCKS, when.get(b"t", 0)):
        raise BadSignature("signature expired")
    if when.get(b"t", 0) > now + CLOCKS:
        raise BadSignature("signature is from the future")
    key = _key(claim, records)
    if claim.name.strip().lower() == b"dkim-signature":
        _check_identity(claim, strict=key.strict)
    hashed, more = digest(body, _number(said[b"l"]) if b"l" in said else None)
    try:
        claimed = b64decode(without_white(said[b"bh"]), validate=True)
    except NoBase64:
        raise BadSignature("bh= is no base64") from None
    if claimed != hashed:
        raise BadSignature("body hash did not verify")
    name = claim.name if head is Form.SIMPLE else claim.name.strip()
    key.verify(claim.algorithm, signed_octets(octets, header, names, head, name, claim.value), claim.signature)
    if more:
        raise Doubtful("only a part of the body is signed")


def _key(claim: Claim, records: Records) -> PublicKey:
    """Raises NoVerdict, Unusable."""
    found = records.get(claim.record)
    if found is None:
        raise NoVerdict("the key could not be had")
    if len(found) != 1:
        raise Unusable("no key" if not found else "more than one key")
    try:
        return read_record(found[0])
    except BadSignature as fault:
        raise Unusable(str(fault)) from None


def _check_identity(claim: Claim, *, strict: bool) -> None:
    """`i=` is at `d=` or below it (RFC 6376 section 3.5)."""
    said = claim.said.get(b"i")
    if said is None:
        return
    where = said.rpartition(b"@")[2].lower()
    domain = claim.said[b"d"].lower()
    if where != domain and (strict or not where.endswith(b"." + domain)):
        raise Unusable("i= is not within d=")


def _number(said: bytes) -> int:
    """Raises BadSignature."""
    if not said.isdigit() or len(said) > 12:
        raise BadSignature("no number")
    return int(said)


def _text(octets: bytes) -> str:
    return octets.decode("ascii", "replace")
