"""The directory as a naive model keeps it: what each administrative line changes, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field

from tests.vectors import model

Grantee = tuple[str, int | str]
"""("account", number), ("group", number), ("domain", name), ("all", "")."""
PRESETS = {"read": ("r", ()), "send": ("", ("sendAs",)), "manage": ("rwidxa", ("sendAs",))}


@dataclass
class Thing:
    """An account or list. `members`: numbers, and addresses that are kept as they were written."""

    number: int
    kind: str
    name: str
    aliases: set[str] = field(default_factory=set)
    status: str = "active"
    members: set[int | str] = field(default_factory=set)
    frozen: set[str] = field(default_factory=set)


@dataclass
class Grant:
    """`what`: letters, or a right with `-` for a denial. `until`: microseconds."""

    what: str
    until: int | None = None
    share: int | None = None

    @property
    def takes(self) -> bool:
        return self.what == "none" or self.what.startswith("-")

    def counts(self, now: int) -> bool:
        """Does it hold, or is it to?"""
        return self.until is None or self.until > now


RightKey = tuple[int, str, Grantee]
EntryKey = tuple[int, str, Grantee]


@dataclass
class Share:
    owner: int
    preset: str
    members: set[Grantee]
    made: bool


@dataclass
class Kept:
    """What was put away with an account."""

    thing: Thing
    lists: set[int]
    rights: dict[RightKey, Grant]
    entries: dict[EntryKey, Grant]
    shares: dict[int, Share]
    joined: set[int]


@dataclass
class World:
    things: dict[int, Thing] = field(default_factory=dict)
    gone: dict[int, Kept] = field(default_factory=dict)
    rights: dict[RightKey, Grant] = field(default_factory=dict)
    entries: dict[EntryKey, Grant] = field(default_factory=dict)
    shares: dict[int, Share] = field(default_factory=dict)

    # --- asking

    def of(self, address: str) -> Thing | None:
        return next((one for one in self.things.values() if address == one.name or address in one.aliases), None)

    def some(self, kind: str) -> list[Thing]:
        return [one for one in self.things.values() if one.kind == kind]

    def there(self, to: Grantee) -> bool:
        return to[0] not in ("account", "group") or to[1] in self.things

    def denied(self, number: int, now: int) -> bool:
        return any(key[2] == ("group", number) and one.takes and one.counts(now) for key, one in self.rights.items())

    def directory(self, now: int) -> model.Data:
        """As tests/vectors/model.py reads it."""
        called = {number: one.name for number, one in self.things.items()}

        def to(one: Grantee) -> list[str]:
            return [one[0], called[one[1]] if isinstance(one[1], int) else one[1]]

        def times(one: Grant) -> dict[str, float]:
            return {} if one.until is None else {"until": (one.until - now) / 1_000_000}

        folders: model.Data = {}
        for (owner, path, grantee), one in self.entries.items():
            said = {"to": to(grantee), "rights": one.what, **times(one)}
            folders.setdefault(called[owner], {}).setdefault(path, {}).setdefault("entries", []).append(said)
        return {
            "domains": {"acme.test": {}, "other.test": {}},
            "classes": {"default": {}},
            "accounts": {one.name: {"status": one.status, "aliases": sorted(one.aliases)} for one in self.some("account")},
            "lists": {
                one.name: {"members": [called[member] for member in one.members if isinstance(member, int)], "aliases": sorted(one.aliases)}
                for one in self.some("list")
            },
            "rights": [
                {"on": called[on], "to": to(grantee), "right": right, "deny": one.takes, **times(one)}
                for (on, right, grantee), one in self.rights.items()
            ],
            "folders": folders,
        }

    # --- changing

    def forget(self, number: int) -> None:
        """Everything that names it."""
        for one in self.things.values():
            one.members.discard(number)
        for grants in (self.rights, self.entries):
            for key in [key for key in grants if number in (key[0], key[2][1])]:
                del grants[key]  # type: ignore[attr-defined]
        for share in [one for one, row in self.shares.items() if row.owner == number]:
            del self.shares[share]
        for row in self.shares.values():
            row.members = {one for one in row.members if one[1] != number}
        del self.things[number]

    def delete(self, number: int) -> None:
        """An account, which is kept."""
        self.gone[number] = deepcopy(
            Kept(
                self.things[number],
                {one.number for one in self.some("list") if number in one.members},
                {key: one for key, one in self.rights.items() if number in (key[0], key[2][1])},
                {key: one for key, one in self.entries.items() if number in (key[0], key[2][1])},
                {share: row for share, row in self.shares.items() if row.owner == number},
                {share for share, row in self.shares.items() if ("account", number) in row.members},
            )
        )
        self.forget(number)

    def restore(self, number: int, name: str, rebind: bool) -> None:
        kept = self.gone.pop(number)
        thing = kept.thing
        wanted, thing.name, thing.aliases = thing.aliases, name, set()
        self.things[number] = thing
        thing.aliases = {one for one in wanted if self.of(one) is None}
        for one in kept.lists & self.things.keys():
            self.things[one].members.add(number)
        if rebind:
            for share, row in kept.shares.items():
                self.shares[share] = row
                row.members = {one for one in row.members if self.there(one)}
            for share in kept.joined & self.shares.keys():
                self.shares[share].members.add(("account", number))
        for found, grants in ((kept.rights, self.rights), (kept.entries, self.entries)):
            for key, one in found.items():
                if key[0] in self.things and self.there(key[2]) and (rebind or one.takes):
                    held = one.share in self.shares and self.shares[one.share].owner == key[0]  # type: ignore[index]
                    grants[key] = Grant(one.what, one.until, one.share if held else None)

    def taken_from(self, other: World) -> None:
        """As a document leaves it that makes this world the other one: it says of which share a grant is part."""
        for mine, theirs in ((self.rights, other.rights), (self.entries, other.entries)):
            mine.clear()
            mine.update({key: Grant(one.what, one.until, one.share) for key, one in theirs.items()})
        for number, thing in other.things.items():
            self.things[number].status, self.things[number].members = thing.status, set(thing.members)

    def in_the_way(self, owner: int, members: set[Grantee], preset: str, now: int) -> bool:
        letters, sends = PRESETS[preset]
        return any(one is not None and one.counts(now) for one in self._of_share(owner, members, letters, sends))

    def _of_share(self, owner: int, members: set[Grantee], letters: str, sends: tuple[str, ...]) -> Iterator[Grant | None]:
        for member in members:
            yield self.entries.get((owner, "/", member)) if letters else None
            for right in sends:
                yield self.rights.get((owner, right, member))

    def share(self, number: int, owner: int, members: set[Grantee], preset: str, made: bool) -> None:
        letters, sends = PRESETS[preset]
        self.shares[number] = Share(owner, preset, set(members), made)
        for member in members:
            if letters:
                self.entries[owner, "/", member] = Grant(letters, None, number)
            for right in sends:
                self.rights[owner, right, member] = Grant(right, None, number)

    def end(self, number: int) -> None:
        for grants in (self.rights, self.entries):
            for key in [key for key, one in grants.items() if one.share == number]:
                del grants[key]  # type: ignore[attr-defined]
        del self.shares[number]
