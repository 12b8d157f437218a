"""Vectors put on a server's stage: each with an owner, a list and a third of its own, so that many fit beside each other."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.live.server import PASSWORD
from tests.vectors import generate
from tests.vectors.cast import CAST, entry, granted
from tests.vectors.generate import Vector

Data = dict[str, Any]

_ROLES = {"owner": "o", "boss": "b", "team": "t", "crew": "c", "third": "x", "inner": "i", "deep": "d"}
_NAMED = re.compile(rf"\b({'|'.join(_ROLES)})(?=[@+]|-bounces@)", re.IGNORECASE)
_WORDS = {"account": "usr", "group": "grp", "cos": "cos", "domain": "dom", "all": "all"}
_ATTRIBUTES = {
    "delegation_when_locked": "delegationWhenLocked",
    "delegated_sender_addresses": "delegatedSenderAddresses",
    "allow_any_from": "allowAnyFrom",
    "allow_from_addresses": "allowFromAddresses",
    "unauthorised_from": "unauthorisedFrom",
}


def renamed(vector: Vector, number: int) -> Vector:
    """`owner@acme.test` becomes `o17@acme.test`; BOSS becomes B17."""

    def name(found: re.Match[str]) -> str:
        short = f"{_ROLES[found[1].lower()]}{number}"
        return short.upper() if found[1].isupper() else short

    state, request, verdict = json.loads(_NAMED.sub(name, json.dumps(vector)))
    return state, request, verdict


def sample(base: int, name: str, count: int, playable: Callable[[Data, Data, Data], bool] = lambda *_: True) -> list[tuple[int, Vector]]:
    """Evenly through the file, of those that can be played here; no times that are this very second. Numbers from `base` on."""
    found = [
        (number, vector)
        for number, vector in enumerate(generate.load(name))
        if playable(*vector) and not re.search(r'(from|until) 0[ "]', json.dumps(vector[0]))
    ]
    step = max(1, len(found) // count)
    return [(base + number, renamed(vector, base + number)) for number, vector in found[::step][:count]]


def cast() -> list[str]:
    """The prov lines for those whom every vector knows, but for the three of whom each has its own."""
    lines = [
        f"createCos {name}" + "".join(f" {_ATTRIBUTES[key]} {value}" for key, value in facts.items())
        for name, facts in CAST["classes"].items()
        if name != "default"
    ]
    for name, facts in CAST["domains"].items():
        lines.append(f"createDomain {name}")
        lines += [f"createAliasDomain {alias} {name}" for alias in facts.get("aliases", [])]
        lines += [f"modifyDomain {name} cos {facts['class']}"] if "class" in facts else []
    for name, facts in CAST["accounts"].items():
        if name.split("@")[0] != "owner":
            lines += account(name, facts)
    lines += [f"createDistributionList {name}" for name in CAST["lists"] if name.split("@")[0] != "team"]
    for name, facts in CAST["lists"].items():
        lines += [f"addDistributionListMember {name} {' '.join(facts['members'])}"] if facts["members"] else []
    return lines


def overlays() -> list[str]:
    """The domains' statuses: last of all, as nothing can be made in some of them."""
    return [f"modifyDomain {name} status {facts['status']}" for name, facts in CAST["domains"].items() if "status" in facts]


def account(name: str, facts: Data) -> list[str]:
    lines = [f"createAccount {name} '{PASSWORD}' displayName '{facts.get('name', '')}'"]
    lines += [f"addAccountAlias {name} {alias}" for alias in facts.get("aliases", [])]
    lines += [f"setAccountCos {name} {facts['class']}"] if "class" in facts else []
    for key, value in facts.get("values", {}).items():
        text = ",".join(value) if isinstance(value, list) else str(value).upper() if isinstance(value, bool) else value
        lines.append(f"modifyAccount {name} {_ATTRIBUTES[key]} '{text}'")
    return lines


def set_up(vectors: Sequence[tuple[int, Vector]], folders: bool = False) -> Iterator[str]:
    """The prov lines for the vectors' own people, grants and folders; `statuses` comes after what needs them active."""
    for number, (state, request, verdict) in vectors:
        mentioned = json.dumps([state, request, verdict])
        given = {**{name: {} for name in (f"o{number}@acme.test",)}, **state.get("accounts", {})}
        for name, facts in given.items():
            aliases = {"aliases": [f"b{number}@acme.test"]} if name == f"o{number}@acme.test" else {}
            yield from account(name, {**aliases, **facts})
        if f"x{number}@" in mentioned.lower():
            yield from account(f"x{number}@acme.test", {"name": "Third"})
        team: dict[str, Data] = (
            {f"t{number}@acme.test": {"members": []}} if re.search(rf"[tc]{number}(@|-bounces)", mentioned.lower()) else {}
        )
        lists = {**team, **state.get("lists", {})}
        for name in lists:
            yield f"createDistributionList {name}"
        if team:
            yield f"addDistributionListAlias t{number}@acme.test c{number}@acme.test"
        for name, facts in lists.items():
            if facts["members"]:
                yield f"addDistributionListMember {name} {' '.join(facts['members'])}"
        for text in state.get("rights", []):
            one = granted(text)
            kind = "account" if one["on"][0] in "ox" else "dl"
            right = ("-" if one["deny"] else "") + one["right"]
            yield f"grantRight {kind} {one['on']} {_WORDS[one['to'][0]]} {one['to'][1]} {right}{_times(one)}"
        for owner, tree in state.get("folders", {}).items():
            if folders:
                for path in ("/Post", "/Post/2026", "/Post/2026/May"):
                    yield f"selectMailbox {owner} createFolder {path}"
            for path, folder in tree.items():
                for text in folder.get("entries", []):
                    one = entry(text)
                    block = " --block" if one["rights"] == "none" else ""
                    kind, name = one["to"]
                    yield f"selectMailbox {owner} modifyFolderGrant {path} {kind} {name} {one['rights']}{_times(one)}{block}"


def statuses(vectors: Sequence[tuple[int, Vector]]) -> Iterator[str]:
    for _, (state, _, _) in vectors:
        for name, facts in state.get("accounts", {}).items():
            if facts.get("global_administrator"):
                yield f"modifyAccount {name} isGlobalAdministrator TRUE"
            if facts.get("status", "active") != "active":
                yield f"modifyAccount {name} status {facts['status']}"


def _times(one: Data) -> str:
    now = datetime.now(UTC)
    return "".join(f" --{word} {now + timedelta(seconds=one[word]):%Y-%m-%dT%H:%M:%SZ}" for word in ("from", "until") if word in one)
