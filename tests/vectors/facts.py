"""A vector's directory as the values that policy/ judges: ids for names, and nothing decided."""

from __future__ import annotations

from typing import Any

from policy.cos import DEFAULTS, DelegatedSent, ServiceValues, UnauthorisedFrom, WhenLocked
from policy.folders import FolderFacts, SpecialUse
from policy.grants import FolderEntry, Grantee, GranteeKind, Level, SendGrant, SendRight, Standing, judge_send_right
from policy.identity import AccountId, Address, CosId, DomainId, ListId
from policy.rights import RFC_LETTERS, Right, parse_letters
from policy.status import AccountStatus, DomainStatus, effective, owner_access, owner_sending
from policy.submission import Principal, SenderFacts, narrowed
from tests.vectors import model

Data = dict[str, Any]

NOW = 1_800_000_000_000_000
_KINDS = {"delegation_when_locked": WhenLocked, "unauthorised_from": UnauthorisedFrom, "delegated_sent": DelegatedSent}


class Facts:
    def __init__(self, directory: Data) -> None:
        self.directory = directory
        self._ids = {name: at for at, name in enumerate([*directory["accounts"], *directory["lists"]], 1)}
        self._domains = {name: at for at, name in enumerate(directory["domains"], 1)}
        self._classes = {name: at for at, name in enumerate(directory["classes"], 1)}
        self.names = {number: name for name, number in self._ids.items()}

    def id(self, name: str) -> int:
        return self._ids[name]

    def standing(self, account: str) -> Standing:
        """The shortest path to each group, breadth first."""
        paths: dict[ListId, tuple[ListId, ...]] = {}
        reached: dict[str, tuple[ListId, ...]] = {account: ()}
        while reached:
            further: dict[str, tuple[ListId, ...]] = {}
            for name, facts in self.directory["lists"].items():
                number = ListId(self._ids[name])
                for member in facts["members"]:
                    if member in reached and number not in paths:
                        paths[number] = further[name] = (*reached[member], number)
            reached = further
        domain = self._domains[account.rpartition("@")[2]]
        cos = self._classes[model.class_of(self.directory, account)]
        return Standing(AccountId(self._ids[account]), DomainId(domain), CosId(cos), paths)

    def grantee(self, to: list[str]) -> Grantee:
        kind = GranteeKind(to[0])
        ids = {GranteeKind.COS: self._classes, GranteeKind.DOMAIN: self._domains, GranteeKind.ALL: {"": 0}}.get(kind, self._ids)
        return Grantee(kind, ids[to[1]])

    def send_grants(self) -> list[SendGrant]:
        return [
            SendGrant(self._ids[one["on"]], self.grantee(one["to"]), SendRight(one["right"]), one["deny"], *_times(one))
            for one in self.directory["rights"]
        ]

    def values(self, account: str) -> ServiceValues:
        found = {}
        own = self.directory["accounts"][account].get("values", {})
        for name, value in {**self.directory["classes"][model.class_of(self.directory, account)], **own}.items():
            found[name] = tuple(value) if isinstance(value, list) else _KINDS[name](value) if name in _KINDS else value
        return ServiceValues(**{**{name: getattr(DEFAULTS, name) for name in DEFAULTS.__slots__}, **found})

    def status(self, account: str) -> AccountStatus:
        facts = self.directory["accounts"][account]
        of_domain = self.directory["domains"][account.rpartition("@")[2]].get("status", "active")
        return effective(AccountStatus(facts.get("status", "active")), DomainStatus(of_domain), bool(facts.get("global_administrator")))

    def sender(self, actor: str, named: list[str]) -> SenderFacts:
        """As gateway/sending.py gathers them, by the model's address book."""
        standing = self.standing(actor)
        grants = self.send_grants()
        own = {address(one) for one in model.addresses(self.directory, actor)}
        delimiters: dict[str, str] = {}
        principals: dict[Address, Principal] = {}
        exists: set[Address] = set()
        for text in [actor, *named]:
            asked = address(text)
            home = model.home(self.directory, asked.domain)
            if home is None:
                continue
            delimiters[asked.domain] = "+"
            found = model.resolve(self.directory, text)
            if found is None:
                continue
            whose, matched = found
            known = asked.folded()
            if known.local == address(matched).local:
                exists.add(known)
            else:
                known = known.without_tag("+") or known
            if whose == actor:
                own.add(known)
                continue
            as_, behalf = (
                judge_send_right(standing, self._ids[whose], right, grants, NOW)
                for right in (SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF)
            )
            holds_any = as_.allowed or behalf.allowed
            sending = None
            is_list = whose in self.directory["lists"]
            if not is_list:
                values = self.values(whose)
                sending = owner_sending(self.status(whose), values.delegation_when_locked)
                as_, behalf = (narrowed(one, address(matched), values.delegated_sender_addresses) for one in (as_, behalf))
            principals[known] = Principal(self._ids[whose], known, address(whose), is_list, as_, behalf, sending, holds_any)
        name = self.directory["accounts"][actor].get("name", "")
        return SenderFacts(standing, address(actor), name, frozenset(own), delimiters, principals, frozenset(exists), self.values(actor))

    def folder(self, actor: str, owner: str, path: str) -> FolderFacts:
        tree = self.directory["folders"].get(owner, {})
        levels = []
        for step in model.upward(path):
            folder = tree.get(step, {})
            entries = [FolderEntry(self.grantee(one["to"]), rights(one["rights"]), *_times(one)) for one in folder.get("entries", [])]
            levels.append(Level(step, entries, bool(folder.get("no_inherit"))))
        access, read_only = owner_access(self.status(owner), self.values(owner).delegation_when_locked)
        use = tree.get(path, {}).get("use")
        special = None if use is None else SpecialUse(use)
        return FolderFacts(
            self.standing(actor), AccountId(self._ids[owner]), owner, access, read_only, levels, special_use=special, is_root=path == "/"
        )


def address(text: str) -> Address:
    local, _, domain = text.rpartition("@")
    return Address(local, domain.lower())


def rights(text: str) -> Right:
    if not text.startswith("["):
        return parse_letters(text)
    found = Right.NONE
    for letter in text[1:-1]:
        found |= RFC_LETTERS[letter]
    return found


def _times(one: Data) -> tuple[int | None, int | None]:
    begins, ends = one.get("from"), one.get("until")
    return None if begins is None else NOW + begins * 1_000_000, None if ends is None else NOW + ends * 1_000_000
