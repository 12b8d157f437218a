"""Keys with which mail is signed: whose they are, and which of them are in use."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NewType

from store.errors import Conflict, NotFound
from store.port import Deed, Tx

KeyId = NewType("KeyId", int)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """`algorithm`: rsa or ed25519; `private`: PKCS #8 in DER; `public`: as the record's `p=` has it, before base64. It signs from
    `activated` until `retired`."""

    id: KeyId
    domain: str  # A-label
    selector: str
    algorithm: str
    private: bytes = field(repr=False)
    public: bytes = field(repr=False)
    created: int
    activated: int | None
    retired: int | None

    @property
    def is_active(self) -> bool:
        """Does it sign?"""
        return self.activated is not None and self.retired is None


@dataclass(frozen=True, slots=True)
class KeepKey(Deed[KeyId]):
    """A key that does not sign yet. Raises Conflict where the domain has one with this selector."""

    domain: str
    selector: str
    algorithm: str
    private: bytes = field(repr=False)
    public: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ActivateKey(Deed[None]):
    """It signs from now on, also if it had been retired; another one of the same algorithm is retired. Raises NotFound."""

    domain: str
    selector: str


@dataclass(frozen=True, slots=True)
class RetireKey(Deed[None]):
    """It signs no more. Raises NotFound, and Conflict where it does not sign."""

    domain: str
    selector: str


@dataclass(frozen=True, slots=True)
class RemoveKey(Deed[None]):
    """It is gone for good. Raises NotFound, and Conflict while it signs."""

    domain: str
    selector: str


def of_domain(tx: Tx, domain: str) -> Sequence[KeyRow]:
    """The oldest first."""
    return [_row(found) for found in tx.all("dkim.of_domain", domain=domain)]


def active(tx: Tx, domain: str) -> Sequence[KeyRow]:
    """Those that sign: at most one of each algorithm, RSA first."""
    return [_row(found) for found in tx.all("dkim.active", domain=domain)]


def all_of_them(tx: Tx) -> Sequence[KeyRow]:
    """By domain, the oldest first."""
    return [_row(found) for found in tx.all("dkim.all_of_them")]


def _row(found: Any) -> KeyRow:
    number, domain, selector, algorithm, private, public, created, activated, retired = found
    return KeyRow(KeyId(number), domain, selector, algorithm, private, public, created, activated, retired)


def _existing(tx: Tx, domain: str, selector: str) -> KeyRow:
    found = tx.one("dkim.one", domain=domain, selector=selector)
    if found is None:
        raise NotFound(f"key {selector} of {domain}")
    return _row(found)


def _keep(tx: Tx, deed: KeepKey) -> KeyId:
    if tx.one("dkim.one", domain=deed.domain, selector=deed.selector) is not None:
        raise Conflict(f"{deed.domain} has a key {deed.selector}")
    return KeyId(
        tx.insert(
            "dkim.insert",
            domain=deed.domain,
            selector=deed.selector,
            algorithm=deed.algorithm,
            private=deed.private,
            public=deed.public,
            now=tx.now,
        )
    )


def _activate(tx: Tx, deed: ActivateKey) -> None:
    row = _existing(tx, deed.domain, deed.selector)
    if row.is_active:
        return
    tx.run("dkim.retire_others", domain=row.domain, algorithm=row.algorithm, id=row.id, now=tx.now)
    tx.run("dkim.activate", id=row.id, now=tx.now)


def _retire(tx: Tx, deed: RetireKey) -> None:
    row = _existing(tx, deed.domain, deed.selector)
    if not row.is_active:
        raise Conflict(f"the key {row.selector} of {row.domain} does not sign")
    tx.run("dkim.retire", id=row.id, now=tx.now)


def _remove(tx: Tx, deed: RemoveKey) -> None:
    row = _existing(tx, deed.domain, deed.selector)
    if row.is_active:
        raise Conflict(f"the key {row.selector} of {row.domain} signs: retire it first")
    tx.run("dkim.delete", id=row.id)


DEEDS = ((KeepKey, _keep), (ActivateKey, _activate), (RetireKey, _retire), (RemoveKey, _remove))
