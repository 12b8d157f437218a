"""Signs what leaves: DKIM for mail that people here submitted or this server wrote, ARC for what a list sends on."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.message.arc import MOST_INSTANCES, Validation, read_chain, to_be_sealed
from gateway.message.canonical import read_domain
from gateway.message.dkim import Form, body_digest, names_to_sign, signed, signed_octets, unsigned
from gateway.message.originators import originators
from gateway.message.results import spelled
from gateway.message.split import Header, MalformedHeader, read_header
from gateway.origin import Seal, origin_of
from gateway.outgoing import on_the_wire
from gateway.signatures import RSA, PrivateKey
from policy.identity import BadAddress
from store import dkim
from store.dkim import KeyRow
from store.model import QueueRow
from store.port import Snapshot, Store

log = logging.getLogger(__name__)

REMEMBERED: Final = 1_000
"""Messages whose signatures are kept for their other destinations, some 2 KiB each."""
FRESH: Final = 300
"""Seconds for which they are: what is tried again later is signed again, with its own time."""
AT_ONCE: Final = 4
"""Messages that are computed with; the threads are everybody's."""
MOST_DOMAINS: Final = 3
"""Domains of one From in whose name a message is signed."""

_SIGNATURE: Final = b"DKIM-Signature"
_FORMS: Final = (Form.RELAXED, Form.RELAXED)
_SPELLED_FORMS: Final = b"relaxed/relaxed"


@dataclass(frozen=True, slots=True)
class SigningRules:
    """`expires`: seconds for which a signature is good, 0 without an end. `parents`: a key of a domain above will do. `sealer`: the
    domain that seals, "": the list's."""

    hostname: str
    expires: int = 0
    parents: bool = False
    sealer: str = ""


class Signing:
    """Reads the keys anew for each message, so that a change of them counts at once, on every node; what they made is remembered."""

    def __init__(self, store: Store, rules: SigningRules) -> None:
        self._store = store
        self._rules = rules
        self._made: OrderedDict[tuple[object, ...], tuple[int, asyncio.Future[bytes]]] = OrderedDict()
        self._room = asyncio.Semaphore(AT_ONCE)

    async def seals(self, snapshot: Snapshot, domain: str) -> bool:
        """Is there a key with which mail of a list in this domain can be sealed?"""
        return await self._sealer(snapshot, domain) is not None

    async def signed(self, row: QueueRow, octets: bytes) -> bytes:
        """The message as it leaves: with our fields on top, or as it is. Raises StoreError; a fault of a key is logged, and the message
        goes out unsigned.

        Mail from outside is never signed with the key of its From, whatever that says: nobody has judged it (delegation.md section 5).
        """
        origin = origin_of(row.parameters)
        if row.sender is None and not origin.ours and origin.seal is None:
            return octets
        signs = row.sender is not None or origin.ours
        names = _domains(octets) if signs else []
        async with self._store.snapshot() as snapshot:
            now = snapshot.now // 1_000_000
            keys = [key for name in names for key in await self._keys(snapshot, name)]
            sealer = None if origin.seal is None else await self._sealer(snapshot, origin.seal.domain)
        if not keys and sealer is None:
            return octets
        keys = list({key.id: key for key in keys}.values())
        seal = origin.seal if sealer is not None else None
        work = (row.accepted, row.blob, *(key.id for key in keys), None if sealer is None else sealer.id)
        try:
            return await self._fields(work, now, octets, keys, sealer, seal) + octets
        except ValueError as fault:
            log.error("dkim", extra={"fields": {"queue_id": row.accepted, "outcome": "not signed", "reason": str(fault)}})
            return octets

    async def _fields(
        self, work: tuple[object, ...], now: int, octets: bytes, keys: Sequence[KeyRow], sealer: KeyRow | None, seal: Seal | None
    ) -> bytes:
        """Made once for all destinations that are tried about now. Raises ValueError."""
        there = self._made.get(work)
        if there is not None and abs(now - there[0]) < FRESH and not there[1].cancelled():
            return await asyncio.shield(there[1])
        making = asyncio.ensure_future(self._computed(octets, keys, sealer, seal, now))
        if work[0]:  # what has no id of its own cannot be told from another message with the same number
            self._made[work] = now, making
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        return await asyncio.shield(making)

    async def _computed(self, octets: bytes, keys: Sequence[KeyRow], sealer: KeyRow | None, seal: Seal | None, now: int) -> bytes:
        async with self._room:
            return await asyncio.to_thread(_made, octets, keys, sealer, seal, now, self._rules)

    async def _keys(self, snapshot: Snapshot, domain: str) -> Sequence[KeyRow]:
        found = await snapshot.ask(dkim.active, domain)
        while not found and self._rules.parents and domain.count(".") > 1:
            domain = domain.partition(".")[2]
            found = await snapshot.ask(dkim.active, domain)
        return found

    async def _sealer(self, snapshot: Snapshot, domain: str) -> KeyRow | None:
        """RSA: it is all that those who validate chains know (RFC 8617 section 4.1.2)."""
        found = await snapshot.ask(dkim.active, self._rules.sealer or domain)
        return next((key for key in found if key.algorithm == RSA), None)


def _domains(octets: bytes) -> list[str]:
    """In whose name it is signed: those of From, or, of what somebody resends, of the newest Resent-From, for then it is that which was
    judged (delegation.md section 5.5). Empty where that cannot be read, which no submitted message is."""
    try:
        found = originators(octets, read_header(octets), smtputf8=True)
        resent = found.resent[0] if found.resent else None
        authors = found.from_ if resent is None else resent.from_ or ((resent.sender,) if resent.sender else ())
        return list(dict.fromkeys(read_domain(one.domain) for one in authors))[:MOST_DOMAINS]
    except (MalformedHeader, BadAddress):
        return []


@lru_cache(maxsize=256)
def _private(number: int, private: bytes) -> PrivateKey:
    """Reading a key takes as long as signing with it."""
    return PrivateKey(private)


def _made(octets: bytes, keys: Sequence[KeyRow], sealer: KeyRow | None, seal: Seal | None, now: int, rules: SigningRules) -> bytes:
    """Our fields, in a thread. Raises ValueError."""
    octets = on_the_wire(octets)
    header = read_header(octets)
    digest, _ = body_digest(octets, header.body, Form.RELAXED)
    fields = b"".join(_signature(octets, header, digest, key, now, rules.expires) for key in keys)
    if sealer is None or seal is None:
        return fields
    return _sealed(octets, header, digest, sealer, seal, now, rules.hostname) + fields


def _signature(octets: bytes, header: Header, digest: bytes, row: KeyRow, now: int, expires: int) -> bytes:
    """No `i=`: it would say no more than `d=`, or name somebody (delegation.md section 5.8). No `l=`: what is added is not ours."""
    key = _private(row.id, row.private)
    said = [(b"v", b"1"), (b"a", key.spelled), (b"c", _SPELLED_FORMS), (b"d", row.domain.encode()), (b"s", row.selector.encode())]
    said.append((b"t", b"%d" % now))
    if expires:
        said.append((b"x", b"%d" % (now + expires)))
    names = names_to_sign(header)
    field = unsigned(_SIGNATURE, said, names, digest)
    value = field[len(_SIGNATURE) + 1 :]
    return signed(field, key.sign(signed_octets(octets, header, names, Form.RELAXED, _SIGNATURE, value)))


def _sealed(octets: bytes, header: Header, digest: bytes, row: KeyRow, seal: Seal, now: int, hostname: str) -> bytes:
    """One ARC set, newest field first; nothing where the chain has ended, or is as long as it may be (RFC 8617 sections 5.1, 4.2.1)."""
    chain = read_chain(octets, header)
    instance = chain.last + 1
    if chain.ended or instance > MOST_INSTANCES:
        return b""
    validation = Validation.FAIL if chain.fault else seal.findings.chain
    if (validation is Validation.NONE) != (not chain.last):
        validation = Validation.FAIL  # it is another chain than the one that was looked at
    key = _private(row.id, row.private)
    who = [(b"a", key.spelled), (b"d", row.domain.encode()), (b"s", row.selector.encode()), (b"t", b"%d" % now)]
    number = (b"i", b"%d" % instance)
    results = b" i=%d; " % instance + spelled(hostname, seal.findings.results) + b"\r\n"
    names = (*names_to_sign(header), *[b"dkim-signature"] * len(header.find(b"dkim-signature")))
    message_signature = unsigned(b"ARC-Message-Signature", [number, who[0], (b"c", _SPELLED_FORMS), *who[1:]], names, digest)
    value = message_signature.partition(b":")[2]
    message_signature = signed(
        message_signature, key.sign(signed_octets(octets, header, names, Form.RELAXED, b"arc-message-signature", value))
    )
    own = unsigned(b"ARC-Seal", [number, (b"cv", validation.encode()), *who])
    # Section 5.1.2: the seal of a chain that failed covers the newest set alone.
    covered = () if validation is Validation.FAIL else chain.sets
    value = own.partition(b":")[2]
    octets_sealed = to_be_sealed(octets, covered, results, message_signature.partition(b":")[2], value)
    return signed(own, key.sign(octets_sealed)) + message_signature + b"ARC-Authentication-Results:" + results
