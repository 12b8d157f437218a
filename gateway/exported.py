"""The record of decisions as a file, and is such a file whole? Read without a database, whoever wrote it."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final

from gateway.seals import BadSeal, holds, key_id, read_head, read_key, spell_head, spell_key
from store.audit import GENESIS, AuditEntry, AuditRow, Broken, Head, PublicKey, SignedHead, chained

KIND: Final = "procura audit 1"
LINE: Final = 1 << 20
"""Octets of a line; a record is far below."""
KEY_CHANGED: Final = "audit key changed"
"""The event whose `detail` is the new public key: who trusts the old one may trust it, once a head of the old one covers the record."""

_NAMES: Final = tuple(one.name for one in fields(AuditEntry))


@dataclass(frozen=True, slots=True)
class Proof:
    """What a file, or the store, proves. `broken`: the first record that does not hold. `head`: its end; `sealed`: the last head that a
    trusted key signed, up to which nothing can have been changed by whoever lacks that key; `keys`: those that were trusted;
    `beyond`: a head behind `sealed` whose key is one of the chain's, but none that was given: another server's, where several share it."""

    head: Head
    sealed: SignedHead | None
    broken: Broken | None
    keys: tuple[str, ...] = ()
    beyond: SignedHead | None = None


def lines_of_keys(keys: Sequence[PublicKey]) -> Iterator[str]:
    """How a file begins."""
    yield _line({"file": KIND})
    for one in keys:
        yield _line({"key": spell_key(one.public)})


def line_of_record(row: AuditRow) -> str:
    """One line with its newline: the only spelling of this record, so that no octet of it can be another."""
    return _line({"record": row.number, "at": row.at, **{name: getattr(row.entry, name) for name in _NAMES}, "hash": row.hash.hex()})


def line_of_head(signed: SignedHead) -> str:
    """Behind the record that it is about."""
    return _line({"head": spell_head(signed)})


def _line(said: dict[str, Any]) -> str:
    return json.dumps(said, ensure_ascii=True, separators=(",", ":")) + "\n"


@dataclass(slots=True)
class Trust:
    """Which keys count, and what heads they have signed so far. None: those that the file itself names."""

    given: frozenset[bytes] | None
    known: dict[str, bytes] = field(default_factory=dict)
    introduced: list[bytes] = field(default_factory=list)
    listed: set[str] = field(default_factory=set)
    sealed: SignedHead | None = None
    beyond: SignedHead | None = None

    def __post_init__(self) -> None:
        for public in self.given or ():
            self.known[key_id(public)] = public

    def names(self, public: bytes) -> None:
        """The file says that this is a key of the chain."""
        self.listed.add(key_id(public))
        if self.given is None:
            self.known[key_id(public)] = public

    def introduces(self, row: AuditRow) -> None:
        """A record may name the next key."""
        if row.entry.event == KEY_CHANGED:
            try:
                self.introduced.append(read_key(row.entry.detail))
            except BadSeal:
                pass  # said by whoever could write records: it makes nothing trusted

    def judge(self, signed: SignedHead, at_end: Head) -> str:
        """Empty: it holds, or is of an older key than those that are trusted; else what is wrong."""
        if signed.key not in self.listed:
            return "its head is signed with a key that is nobody's"
        public = self.known.get(signed.key)
        if public is None:
            if self.sealed is None or signed.head.number > self.sealed.head.number:
                self.beyond = signed
            return ""
        if not holds(signed, public):
            return "the signature of the head does not hold"
        if signed.head != at_end:
            return "not what the signed head says"
        self.sealed = signed
        if self.beyond is not None and self.beyond.head.number <= signed.head.number:
            self.beyond = None
        for one in self.introduced:
            self.known[key_id(one)] = one
        self.introduced = []
        return ""


def prove(lines: Iterable[bytes], keys: Iterable[bytes] | None = None, kept: Iterable[Head | SignedHead] = ()) -> Proof:
    """Walks a file. `keys`: public keys that are trusted, None: whatever the file names (which proves only that it agrees with
    itself); `kept`: heads that were kept elsewhere. Memory stays bounded."""
    trust = Trust(None if keys is None else frozenset(keys))
    expected: dict[int, set[bytes]] = {}
    for one in kept:
        head = one.head if isinstance(one, SignedHead) else one
        expected.setdefault(head.number, set()).add(head.hash)
    last = Head(0, GENESIS)
    begun = False

    def ended(broken: Broken | None) -> Proof:
        return Proof(last, trust.sealed, broken, tuple(sorted(trust.known)), trust.beyond)

    for octets in lines:
        said = _read(octets)
        if said is None:
            return ended(Broken(last.number + 1, "changed: its line cannot be read"))
        if not begun:
            if said != {"file": KIND}:
                return ended(Broken(1, "changed: this is no export of the record"))
            begun = True
            continue
        match said:
            case {"key": str(text)} if len(said) == 1:
                try:
                    trust.names(read_key(text))
                except BadSeal as bad:
                    return ended(Broken(last.number + 1, f"changed: {bad}"))
            case {"head": str(text)} if len(said) == 1:
                try:
                    signed = _signed(text)
                except BadSeal as bad:
                    return ended(Broken(last.number, f"changed: {bad}"))
                wrong = trust.judge(signed, last)
                if wrong:
                    return ended(Broken(last.number, wrong))
            case _:
                row = _row(said)
                if row is None:
                    return ended(Broken(last.number + 1, "changed: its line cannot be read"))
                if row.number != last.number + 1:
                    return ended(Broken(last.number + 1, "missing"))
                if chained(last.hash, row.number, row.at, row.entry) != row.hash:
                    return ended(Broken(row.number, "changed"))
                if expected.pop(row.number, {row.hash}) != {row.hash}:
                    return ended(Broken(row.number, "not what the kept head says"))
                last = Head(row.number, row.hash)
                trust.introduces(row)
    if not begun:
        return ended(Broken(1, "missing: the file is empty"))
    beyond = [number for number in expected if number > 0]
    return ended(Broken(min(beyond), "missing: a kept head is beyond the end") if beyond else None)


def _signed(text: str) -> SignedHead:
    found = read_head(text)
    if not isinstance(found, SignedHead) or spell_head(found) != text:
        raise BadSeal("a head without its signature")
    return found


def _read(octets: bytes) -> dict[str, Any] | None:
    """None unless it is spelled in the one way there is."""
    if len(octets) > LINE:
        return None
    try:
        said = json.loads(octets)
        if isinstance(said, dict) and _line(said).encode() == octets:
            return said
    except (ValueError, RecursionError):
        pass
    return None


_TYPES: Final[dict[str, tuple[type, ...]]] = {"bool": (bool,), "int | None": (int, type(None)), "str": (str,)}
_READS: Final = {one.name: _TYPES[getattr(one.type, "__name__", str(one.type))] for one in fields(AuditEntry)}


def _row(said: dict[str, Any]) -> AuditRow | None:
    if [*said] != ["record", "at", *_NAMES, "hash"] or not isinstance(said["hash"], str):
        return None
    if any(type(said[name]) not in kinds for name, kinds in (*_READS.items(), ("record", (int,)), ("at", (int,)))):
        return None
    try:
        digest = bytes.fromhex(said["hash"])
    except ValueError:
        return None
    if digest.hex() != said["hash"]:
        return None
    return AuditRow(said["record"], said["at"], AuditEntry(**{name: said[name] for name in _NAMES}), digest)
