"""Keys of DKIM and ARC, for administrators: made, published by them, checked against the DNS, in use, retired, removed."""

import asyncio
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from gateway.message.dkim import BadSignature, tags, without_white
from gateway.resolver import Silent
from gateway.signatures import ED25519, LEAST_BITS, MOST_BITS, RSA, fingerprint, new_key, read_key, read_record, record
from gateway.textrecords import TextRecords
from policy.roles import Operation
from store import dkim, domains
from store.deeds import Several
from store.dkim import ActivateKey, KeepKey, KeyRow, RemoveKey, RetireKey
from store.errors import Conflict
from store.port import Deed, Store

DEFAULT_BITS: Final = 2048
"""RFC 8301 section 3.2 asks for at least that; larger records do not fit into one datagram everywhere."""
MOST_KEYS: Final = 100
"""Of one domain."""
_SELECTOR: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*")
_LONGEST_NAME: Final = 253
_MANAGING: Final = Matter(Operation.MANAGE_KEYS)


class Published(StrEnum):
    """What the DNS says of a key."""

    SAME = "published"
    MISSING = "not published"
    DIFFERENT = "another record"
    SEVERAL = "several records"
    UNKNOWN = "no answer"


@dataclass(frozen=True, slots=True)
class Checked:
    """`detail`: what is wrong, or worth knowing; often empty."""

    key: KeyRow
    published: Published
    detail: str = ""


def record_name(key: KeyRow) -> str:
    """Where its record belongs (RFC 6376 section 3.6.2.1)."""
    return f"{key.selector}._domainkey.{key.domain}"


class SigningKeys:
    """`others`: names besides our domains in which this server writes or seals. Every method raises Fault, and nothing else that is
    expected. Private keys leave the store for the signer only."""

    def __init__(self, store: Store, records: Records, texts: TextRecords, others: Collection[str] = ()) -> None:
        self._store = store
        self._records = records
        self._texts = texts
        self._others = others

    async def create(
        self,
        domain: str,
        algorithms: Sequence[str] = (RSA,),
        selector: str | None = None,
        bits: int = DEFAULT_BITS,
        *,
        activate: bool = False,
        foreign: bool = False,
    ) -> list[KeyRow]:
        """One key for each algorithm, with a selector of its own: a record holds one key. They do not sign yet, unless `activate`.
        `foreign`: the domain need not be ours."""
        if not LEAST_BITS <= bits <= MOST_BITS:
            raise Fault(Code.INVALID_REQUEST, f"an RSA key has {LEAST_BITS} to {MOST_BITS} bits")
        label = names.new_domain(domain)
        async with self._store.snapshot() as snapshot:
            if not (foreign or label in self._others or await snapshot.ask(domains.by_name, label) is not None):
                raise Fault(Code.NO_SUCH_DOMAIN, f"{domain} (--foreign, if it is meant)")
            there = {key.selector for key in await snapshot.work(dkim.of_domain, label)}
            day = datetime.fromtimestamp(snapshot.now / 1_000_000, UTC).strftime("%Y%m%d")
        if len(there) + len(algorithms) > MOST_KEYS:
            raise Fault(Code.INVALID_REQUEST, f"{domain} has {len(there)} keys: remove some first")
        deeds: list[Deed[object]] = []
        made: list[str] = []
        for algorithm in algorithms:
            chosen = _free(f"{day}-{algorithm}", there) if selector is None else selector.lower()
            if selector is not None and len(algorithms) > 1:
                chosen = f"{chosen}-{algorithm}"
            _check_selector(chosen, label)
            key = await asyncio.to_thread(new_key, algorithm, bits)
            deeds.append(KeepKey(label, chosen, algorithm, key.private, key.public))
            made.append(f"{chosen} ({algorithm}, {fingerprint(key.public)})")
            there.add(chosen)
            if activate:
                deeds.append(ActivateKey(label, chosen))
        words = {Conflict: Fault(Code.INVALID_REQUEST, f"{domain} has a key with this selector: {selector}")}
        event = "signing key created and activated" if activate else "signing key created"
        await self._records.do(Several(tuple(deeds)), event, label, matter=_MANAGING, detail=", ".join(made), words=words)
        return (await self._of(label))[-len(algorithms) :]

    async def all(self) -> Sequence[KeyRow]:
        """By domain, the oldest first."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, _MANAGING)
            return await snapshot.work(dkim.all_of_them)

    async def of(self, domain: str) -> list[KeyRow]:
        """The oldest first, never none."""
        found = await self._of(names.new_domain(domain))
        if not found:
            raise Fault(Code.INVALID_REQUEST, f"{domain} has no keys")
        return found

    async def check(self, domain: str) -> list[Checked]:
        """What the DNS says now of each key that signs or is to sign."""
        keys = [key for key in await self.of(domain) if key.retired is None]
        return list(await asyncio.gather(*map(self._checked, keys)))

    async def activate(self, domain: str, selectors: Sequence[str] = (), *, unchecked: bool = False) -> list[KeyRow]:
        """They sign from now on, and those that did with the same algorithm do no more. Only published ones, unless `unchecked`. None
        named: all that never signed."""
        keys = await self._named(domain, selectors)
        if not selectors:
            keys = [key for key in keys if key.activated is None]
            if not keys:
                raise Fault(Code.INVALID_REQUEST, f"{domain} has no key that waits: name the selector")
            latest = {key.algorithm: key for key in keys}
            keys = [key for key in keys if latest[key.algorithm] is key]
        elif len({key.algorithm for key in keys}) < len(keys):
            raise Fault(Code.INVALID_REQUEST, "of each algorithm one key can sign")
        if not unchecked:
            for one in await asyncio.gather(*map(self._checked, keys)):
                if one.published is not Published.SAME:
                    why = f"{record_name(one.key)}: {one.published}" + (f" ({one.detail})" if one.detail else "")
                    raise Fault(Code.INVALID_REQUEST, f"{why}; publish it first, or say --unchecked")
        deeds = tuple(ActivateKey(key.domain, key.selector) for key in keys)
        await self._do(Several(deeds), "signing key activated", keys)
        return keys

    async def retire(self, domain: str, selectors: Sequence[str]) -> list[KeyRow]:
        """They sign no more; their records have to stay until the last mail that they signed has arrived."""
        keys = await self._named(domain, selectors)
        await self._do(Several(tuple(RetireKey(key.domain, key.selector) for key in keys)), "signing key retired", keys)
        return keys

    async def remove(self, domain: str, selectors: Sequence[str]) -> list[KeyRow]:
        """Gone for good; not while they sign."""
        keys = await self._named(domain, selectors)
        await self._do(Several(tuple(RemoveKey(key.domain, key.selector) for key in keys)), "signing key removed", keys)
        return keys

    async def _do(self, deed: Deed[tuple[object, ...]], event: str, keys: Sequence[KeyRow]) -> None:
        selectors = ", ".join(key.selector for key in keys)
        await self._records.do(deed, event, keys[0].domain, matter=_MANAGING, detail=selectors)

    async def _of(self, label: str) -> list[KeyRow]:
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, _MANAGING, label)
            return [*await snapshot.work(dkim.of_domain, label)]

    async def _named(self, domain: str, selectors: Sequence[str]) -> list[KeyRow]:
        keys = {key.selector: key for key in await self.of(domain)}
        missing = [one for one in selectors if one.lower() not in keys]
        if missing:
            raise Fault(Code.INVALID_REQUEST, f"{domain} has no key {', '.join(missing)}")
        return [keys[one] for one in dict.fromkeys(one.lower() for one in selectors)] if selectors else [*keys.values()]

    async def _checked(self, key: KeyRow) -> Checked:
        try:
            found = await self._texts.of(record_name(key))
        except Silent as fault:
            return Checked(key, Published.UNKNOWN, str(fault))
        if not found:
            return Checked(key, Published.MISSING)
        if len(found) > 1:
            return Checked(key, Published.SEVERAL, "receivers may take either")
        try:
            if read_record(found[0]).key != read_key(key.algorithm.encode(), key.public).key:
                return Checked(key, Published.DIFFERENT, "its key is another one")
            flags = without_white(tags(found[0]).get(b"t", b"")).split(b":")
        except BadSignature as fault:
            return Checked(key, Published.DIFFERENT, str(fault))
        return Checked(key, Published.SAME, "t=y: receivers take it for a test" if b"y" in flags else "")


def text_of(key: KeyRow) -> str:
    """What its record says."""
    return record(key.algorithm, key.public)


def algorithms(word: str) -> tuple[str, ...]:
    """rsa, ed25519 or both. Raises Fault."""
    try:
        return {RSA: (RSA,), ED25519: (ED25519,), "both": (RSA, ED25519)}[word.lower()]
    except KeyError:
        raise Fault(Code.INVALID_REQUEST, f"{word} is none of rsa, ed25519, both") from None


def _free(wanted: str, there: Collection[str]) -> str:
    """The same, or with a number behind it."""
    number = 1
    chosen = wanted
    while chosen in there:
        number += 1
        chosen = f"{wanted}-{number}"
    return chosen


def _check_selector(selector: str, domain: str) -> None:
    if _SELECTOR.fullmatch(selector) is None or len(f"{selector}._domainkey.{domain}") > _LONGEST_NAME:
        raise Fault(Code.INVALID_REQUEST, f"no selector: {selector} (letters, digits and hyphens, parted by dots)")
