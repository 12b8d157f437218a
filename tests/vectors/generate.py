"""Writes the decision vectors next to this file: `python -m tests.vectors.generate`. What it writes is always the same.

Each file: {"about", "cast", "short", "vectors"}, one vector a line: [state, request, verdict], sorted keys, no spaces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

from tests.vectors import model
from tests.vectors.cast import CAST, DOMAIN_STATUSES, granted, joined, spell

Data = dict[str, Any]
Vector = tuple[Data, Data, Data]

HOME = "@acme.test"
SHORT = "@A"
"""How the files spell HOME, to stay small."""
PLACE = Path(__file__).parent
OWNER = "owner@acme.test"
TEAM = "team@acme.test"
GRANTEES = (
    ["account", "dora@acme.test"],
    ["account", "rita@other.test"],
    ["account", "third@acme.test"],
    ["group", "office@acme.test"],
    ["group", "company@acme.test"],
    ["group", "holding@acme.test"],
    ["group", "hen@acme.test"],
    ["group", "strangers@acme.test"],
    ["cos", "staff"],
    ["cos", "guests"],
    ["cos", "default"],
    ["domain", "acme.test"],
    ["domain", "other.test"],
    ["all", ""],
)
TIMES: tuple[Data, ...] = (
    {},
    {"from": -3600, "until": 3600},
    {"from": -3600},
    {"until": 3600},
    {"from": -7200, "until": -3600},
    {"from": 3600},
    {"until": -3600},
    {"from": 0},
    {"until": 0},
)
STATUSES = ("active", "maintenance", "locked", "closed", "pending")
WHEN_LOCKED = ("none", "read", "full")
ACTORS = ("dora@acme.test", "emil@acme.test", "rita@other.test", "any@acme.test")


def grant(on: str, to: list[str], right: str, deny: bool = False, **times: int) -> str:
    return f"{on} {spell(to, ('-' if deny else '') + right, times)}"


def own(**facts: Any) -> Data:
    return {OWNER: facts} if facts else {}


def send_rights() -> Iterator[Vector]:
    """Section 4: grantee type x allow or deny x time, alone and together; accounts and lists as principals."""

    def vector(state: Data, actor: str, principal: str, right: str) -> Vector:
        request = {"actor": actor, "principal": principal, "right": right}
        return state, request, model.send_right(joined(state), actor, principal, right)

    for to, deny, times, actor in product(GRANTEES, (False, True), TIMES, ("dora@acme.test", "rita@other.test")):
        yield vector({"rights": [grant(OWNER, to, "sendAs", deny, **times)]}, actor, OWNER, "sendAs")
    random = Random(4)
    for _ in range(1100):
        principal = random.choice((OWNER, OWNER, TEAM))
        state: Data = {}
        rights = ("sendAs", "sendOnBehalfOf", "loginAs") if principal == OWNER else ("sendAs", "sendOnBehalfOf", "sendToDistList")
        chosen = random.sample([*product(GRANTEES, rights)], random.choice((0, 1, 2, 2, 3, 4, 6)))
        state["rights"] = [
            grant(principal, to, right, random.random() < 0.4, **(random.choice(TIMES) if random.random() < 0.5 else {}))
            for to, right in chosen
        ]
        # Nobody acts through somebody else: a right of the owner's on a third, and of the third's on the owner.
        if random.random() < 0.2:
            state["rights"].append(grant("third@acme.test", ["account", "dora@acme.test"], "sendAs"))
        actor = random.choice((*ACTORS, OWNER) if principal == OWNER else ACTORS)
        yield vector(state, actor, principal, random.choice(rights))


RIGHTS = {"none": (), "as": ("sendAs",), "behalf": ("sendOnBehalfOf",), "both": ("sendAs", "sendOnBehalfOf")}


def submission() -> Iterator[Vector]:
    """Section 5: the table of From and Sender, several From, no From, Resent, MAIL FROM; statuses, narrowed grants, foreign domains."""

    def vector(
        state: Data, actor: str, path: str | None, authors: list[str] | None, sender: str | None = None, resent: Data | None = None
    ) -> Vector:
        request = {"actor": actor, "path": path, "from": authors, "sender": sender, **({"resent": resent} if resent else {})}
        return state, request, model.submission(joined(state), actor, request)

    dora = "dora@acme.test"
    forms = {
        OWNER: (OWNER, "boss@acme.test", "owner@also.test", "owner+tag@acme.test"),
        TEAM: (TEAM, "crew@acme.test", "team@also.test", "TEAM@acme.test"),
    }
    for principal, kind in product(forms, RIGHTS):
        state: Data = {"rights": [grant(principal, ["account", dora], right) for right in RIGHTS[kind]]}
        for f in forms[principal]:
            for sender in (None, f, dora, "dd+x@acme.test", "x@elsewhere.test", "rita@other.test"):
                for path in (dora, f, None, "dd@acme.test") if sender in (None, dora) else (dora,):
                    yield vector(state, dora, path, [f], sender)
    random = Random(5)
    owned = (dora, "dd@acme.test", "DORA@acme.test", "dora+news@acme.test", "dora@also.test")
    others = (
        OWNER,
        "boss@acme.test",
        "BOSS+a+b@acme.test",
        "owner@also.test",
        TEAM,
        "third@acme.test",
        "nobody@acme.test",
        "rita@other.test",
        "free@acme.test",
    )
    foreign = ("x@elsewhere.test", "some@elsewhere.test", "SOME@elsewhere.test")
    for _ in range(1500):
        status = random.choice(("active", "active", "active", *STATUSES))
        values: Data = {}
        if status == "locked" or random.random() < 0.1:
            values["delegation_when_locked"] = random.choice(WHEN_LOCKED)
        if random.random() < 0.25:
            values["delegated_sender_addresses"] = random.choice(
                (["boss@acme.test"], [OWNER], [OWNER, "boss@acme.test"], ["gone@acme.test"])
            )
        state = {
            "accounts": own(**({"status": status} if status != "active" else {}), **({"values": values} if values else {})),
        }
        actor = random.choice((dora, dora, dora, "any@acme.test", "some@acme.test", "rewriter@acme.test", "rita@other.test"))
        granted = []
        for principal in (OWNER, TEAM, "third@acme.test"):
            for right in RIGHTS[random.choice(("none", "as", "behalf", "both"))] if random.random() < 0.7 else ():
                to = random.choice((["account", actor], ["account", actor], *GRANTEES))
                if to[1] == principal:
                    continue
                granted.append(
                    grant(principal, to, right, random.random() < 0.15, **(random.choice(TIMES[:7]) if random.random() < 0.2 else {}))
                )
        state["rights"] = granted
        mine = owned if actor == dora else (actor, actor.replace("@", "+t@"))
        anybody = (*mine, *others, *others, *foreign)
        authors = random.choice(([random.choice(anybody)], [random.choice(others)], random.sample([*dict.fromkeys(anybody)], 2), None))
        if authors is not None and random.random() < 0.05:
            authors = random.sample([*dict.fromkeys(anybody)], 3)
        sender = random.choice((None, None, random.choice(anybody), random.choice(mine), (authors or mine)[0]))
        path = random.choice((None, mine[0], mine[0], random.choice(anybody), (authors or mine)[0]))
        resent = None
        if random.random() < 0.15:
            resent = {"from": [random.choice(anybody)], "sender": random.choice((None, random.choice(anybody)))}
        yield vector(state, actor, path, authors, sender, resent)


def envelopes() -> Iterator[Vector]:
    """Section 5 where a neighbour asks about the envelope sender alone."""
    random = Random(6)
    paths = (
        OWNER,
        "boss@acme.test",
        "owner+tag@acme.test",
        TEAM,
        "dora@acme.test",
        "dd@acme.test",
        "nobody@acme.test",
        "x@elsewhere.test",
        "rita@other.test",
    )
    for _ in range(400):
        status = random.choice(("active", "active", *STATUSES))
        values: Data = {"delegation_when_locked": random.choice(WHEN_LOCKED)} if status == "locked" else {}
        if random.random() < 0.2:
            values["delegated_sender_addresses"] = ["boss@acme.test"]
        state: Data = {"accounts": own(status=status, values=values), "rights": []}
        actor = random.choice(("dora@acme.test", "dora@acme.test", "any@acme.test", "some@acme.test", "rewriter@acme.test"))
        for principal in (OWNER, TEAM):
            for right in RIGHTS[random.choice(("none", "as", "behalf", "both"))]:
                state["rights"].append(grant(principal, random.choice((["account", actor], *GRANTEES)), right, random.random() < 0.15))
        request = {"actor": actor, "path": random.choice(paths)}
        yield state, request, model.envelope(joined(state), actor, request["path"])


LETTERS = ("r", "rw", "rwi", "rwid", "rwidx", "rwidxa", "ra", "ri", "rd", "i", "w", "x", "a", "none")
RFC = ("[l]", "[lr]", "[lrs]", "[lrt]", "[lrte]", "[lri]", "[lrswi]", "[lrx]", "[rswite]", "[lrk]")
OPERATIONS = (*model.NEEDS, "change flags", "replace draft", "accept invitations")
PATHS = ("/", "/Post", "/Post/2026", "/Post/2026/May", "/Drafts", "/INBOX", "/Calendar")


def folders() -> Iterator[Vector]:
    """Section 2: letters x operations; inheritance, empty entries, no-inherit, combination, times; the owner's status."""

    def mailbox(entries: dict[str, list[str]], no_inherit: tuple[str, ...] = ()) -> Data:
        paths = [path for path in PATHS if path in entries or path in no_inherit]
        return {
            path: {**({"entries": entries[path]} if path in entries else {}), **({"no_inherit": True} if path in no_inherit else {})}
            for path in paths
        }

    def vector(state: Data, actor: str, path: str, operation: str) -> Vector:
        request = {"actor": actor, "owner": OWNER, "path": path, "operation": operation}
        return state, request, model.folder(joined(state), actor, OWNER, path, operation)

    for words, operation in product((*LETTERS, *RFC), OPERATIONS):
        for where in ("/Post", "/Drafts") if operation in ("replace draft", "rename") else ("/Post",):
            state = {"folders": {OWNER: mailbox({where: [spell(["account", "dora@acme.test"], words, {})]})}}
            yield vector(state, "dora@acme.test", where, operation)
    random = Random(2)
    for _ in range(1150):
        entries: dict[str, list[str]] = {}
        for _ in range(random.choice((1, 2, 3, 4, 6))):
            path = random.choice(PATHS)
            to = random.choice((*GRANTEES, *GRANTEES[:1] * 4, *GRANTEES[3:6]))
            if any(one.startswith(spell(to, "", {})) for one in entries.get(path, [])):
                continue
            rights = random.choice((*LETTERS, *RFC, "none", "none", "r", "rwid"))
            times = random.choice(TIMES) if rights != "none" and random.random() < 0.25 else {}
            entries.setdefault(path, []).append(spell(to, rights, times))
        no_inherit = tuple(path for path in PATHS[1:] if random.random() < 0.06)
        status = random.choice(("active", "active", "active", "active", "active", *STATUSES))
        values = {"values": {"delegation_when_locked": random.choice(WHEN_LOCKED)}} if status == "locked" else {}
        state = {"accounts": own(status=status, **values), "folders": {OWNER: mailbox(entries, no_inherit)}}
        if random.random() < 0.05:
            actor = OWNER
            state["accounts"] = {}
        else:
            actor = random.choice(("dora@acme.test",) * 3 + ACTORS)
        yield vector(state, actor, random.choice((*entries, *PATHS)), random.choice(OPERATIONS))


def statuses() -> Iterator[Vector]:
    """Section 3: own status x the domain's x delegation_when_locked x administrator x lockout, at every door."""
    for own_status, of_domain, when, administrator, lockout in product(
        STATUSES, DOMAIN_STATUSES, WHEN_LOCKED, (False, True), (False, True)
    ):
        domain = "acme.test" if of_domain == "active" else f"{of_domain}.test"
        who = f"owner@{domain}"
        facts: Data = {"status": own_status, "values": {"delegation_when_locked": when}}
        facts |= {name: True for name, there in (("global_administrator", administrator), ("lockout", lockout)) if there}
        state = {"accounts": {who: facts}}
        directory = joined(state)
        yield (
            state,
            {"account": who},
            {
                "status": model.status(directory, who),
                "login": model.login(directory, who),
                "lmtp": model.recipient(directory, who, "lmtp"),
                "smtp": model.recipient(directory, who, "mx"),
                "delegates": model.delegates_find(directory, who),
                "sending": model.owner_sends(directory, who),
            },
        )


def invitations() -> Iterator[Vector]:
    """Section 7: `x` x send rights x method x ATTENDEE x From x SENT-BY x signed x the owner's status."""
    random = Random(7)
    dora = "dora@acme.test"
    for _ in range(700):
        status = random.choice(("active", "active", "active", "active", "active", *STATUSES))
        values = {"values": {"delegation_when_locked": random.choice(WHEN_LOCKED)}} if status == "locked" else {}
        letters = random.choice(("x", "x", "rwidx", "rwid", "none"))
        where = random.choice(("/Calendar", "/Calendar", "/"))
        to = random.choice((["account", dora], ["account", dora], ["group", "holding@acme.test"], ["cos", "guests"]))
        tree: Data = {where: {"entries": [spell(to, letters, {})]}}
        state: Data = {"accounts": own(status=status, **values), "folders": {OWNER: tree}, "rights": []}
        for principal in (OWNER, TEAM, "third@acme.test"):
            for right in RIGHTS[random.choice(("none", "none", "as", "behalf", "both"))]:
                state["rights"].append(grant(principal, ["account", dora], right))
        request = {
            "actor": dora,
            "method": random.choice(("REPLY", "REPLY", "COUNTER", "REQUEST")),
            "attendee": random.choice(
                (OWNER, OWNER, OWNER, "boss@acme.test", "owner@also.test", TEAM, "x@elsewhere.test", dora, "third@acme.test")
            ),
            "from": random.choice(
                ([OWNER], [OWNER], ["boss@acme.test"], [dora], ["dd@acme.test"], ["third@acme.test"], [TEAM], None, [OWNER, dora])
            ),
            "sender": random.choice((None, None, dora, "dd@acme.test", "rita@other.test")),
            "sent_by": random.choice((None, None, dora, "dd@acme.test", "third@acme.test")),
            "signed": random.random() < 0.15,
        }
        yield state, request, model.invitation(joined(state), dora, request)


def postings() -> Iterator[Vector]:
    """Section 9: sendToDistList on a list and on the lists inside it, at the doors of submission, lmtp and mx."""
    random = Random(9)
    inner = ("inner@acme.test", "deep@acme.test")
    for _ in range(550):
        lists: Data = {
            TEAM: {"members": ["emil@acme.test", "inner@acme.test"]},
            "inner@acme.test": {"members": ["third@acme.test", "emil@acme.test", "deep@acme.test"]},
            "deep@acme.test": {"members": [OWNER, *([TEAM] if random.random() < 0.3 else [])]},
        }
        rights: list[str] = []
        for target in (TEAM, *inner):
            for _ in range(random.choice((0, 0, 1, 1, 2))):
                times = random.choice(TIMES[:7]) if random.random() < 0.25 else {}
                to = random.choice((*GRANTEES, ["account", "dora@acme.test"]))
                if not any(granted(one)["on"] == target and granted(one)["to"] == to for one in rights):
                    rights.append(grant(target, to, "sendToDistList", random.random() < 0.2, **times))
        status = random.choice(("active",) * 6 + ("closed", "pending", "locked"))
        state = {"accounts": own(status=status), "lists": lists, "rights": rights}
        door = random.choice(("submission", "submission", "lmtp", "mx"))
        request: Data = {"door": door, "list": random.choice((TEAM, TEAM, TEAM, *inner))}
        if door == "submission":
            request["actor"] = random.choice(ACTORS)
        else:
            request["path"] = random.choice(("dora@acme.test", "dd@acme.test", "rita@other.test", "x@elsewhere.test", "nobody@acme.test"))
        yield state, request, model.posting(joined(state), request)


FILES: dict[str, Callable[[], Iterator[Vector]]] = {
    "send_rights": send_rights,
    "submission": submission,
    "envelopes": envelopes,
    "folders": folders,
    "statuses": statuses,
    "invitations": invitations,
    "postings": postings,
}


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def text(name: str) -> str:
    """The file as it is written: every vector once, in the order in which it was thought of."""
    lines = dict.fromkeys(canonical([*_without_nulls(list(vector[:2])), vector[2]]).replace(HOME, SHORT) for vector in FILES[name]())
    about = " ".join((FILES[name].__doc__ or "").split())
    return (
        f'{{"about":{canonical(about)},"cast":{canonical(CAST)},"short":{canonical({SHORT: HOME})},"vectors":[\n'
        + ",\n".join(lines)
        + "\n]}\n"
    )


def _without_nulls(value: Any) -> Any:
    """In a request what is absent is left out."""
    if isinstance(value, dict):
        return {name: _without_nulls(one) for name, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value] if isinstance(value, list) else value


def load(name: str) -> list[Vector]:
    """What is committed; tests play this, not what the model would say now."""
    read = json.loads((PLACE / f"{name}.json").read_text(encoding="utf-8").replace(SHORT, HOME))
    return [(vector[0], vector[1], vector[2]) for vector in read["vectors"]]


if __name__ == "__main__":
    for file in FILES:
        (PLACE / f"{file}.json").write_text(text(file), encoding="utf-8")
