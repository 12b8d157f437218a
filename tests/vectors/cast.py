"""The people that every vector knows; a vector's own state is added to them."""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]

DOMAIN_STATUSES = ("active", "locked", "maintenance", "suspended", "closed")

CAST: Data = {
    "domains": {
        "acme.test": {"aliases": ["also.test"]},
        "other.test": {"class": "guests"},
        **{f"{status}.test": {"status": status} for status in DOMAIN_STATUSES[1:]},
    },
    "classes": {"default": {}, "staff": {}, "guests": {}, "open": {"delegation_when_locked": "full"}},
    "accounts": {
        "owner@acme.test": {"aliases": ["boss@acme.test"]},
        "dora@acme.test": {"name": "Dora Delegate", "aliases": ["dd@acme.test"], "class": "staff"},
        "emil@acme.test": {"name": "Emil", "class": "guests"},
        "rita@other.test": {"name": "Rita"},
        "any@acme.test": {"name": "Any", "class": "staff", "values": {"allow_any_from": True}},
        "some@acme.test": {
            "name": "Some",
            "values": {"allow_from_addresses": ["some@elsewhere.test", "third@acme.test", "free@acme.test"]},
        },
        "rewriter@acme.test": {"name": "Rewriter", "class": "staff", "values": {"unauthorised_from": "rewrite"}},
        "third@acme.test": {"name": "Third"},
    },
    "lists": {
        "team@acme.test": {"members": [], "aliases": ["crew@acme.test"]},
        "office@acme.test": {"members": ["dora@acme.test", "rewriter@acme.test"]},
        "company@acme.test": {"members": ["office@acme.test", "any@acme.test"]},
        "holding@acme.test": {"members": ["company@acme.test"]},
        "egg@acme.test": {"members": ["hen@acme.test", "dora@acme.test"]},
        "hen@acme.test": {"members": ["egg@acme.test"]},
        "strangers@acme.test": {"members": ["rita@other.test"]},
    },
    "rights": [],
    "folders": {"owner@acme.test": {"/Drafts": {"use": "drafts"}, "/INBOX": {"use": "inbox"}, "/Calendar": {"use": "calendar"}}},
}


def joined(state: Data, cast: Data = CAST) -> Data:
    """The directory in which a vector is judged: what the state says of somebody replaces what the cast says, fact by fact."""
    directory = _merged(cast, state)
    directory["rights"] = [granted(text) for text in directory["rights"]]
    directory["folders"] = {
        owner: {path: {**folder, "entries": [entry(text) for text in folder.get("entries", [])]} for path, folder in tree.items()}
        for owner, tree in directory["folders"].items()
    }
    return directory


def _merged(one: Data, other: Data) -> Data:
    both = {**one, **other}
    return {name: _merged(one[name], other[name]) if isinstance(one.get(name), dict) and name in other else both[name] for name in both}


def spell(to: list[str], what: str, times: Data) -> str:
    """`account dora@acme.test sendAs from -3600 until 3600`: grantee, what is granted (`-` denies), seconds from now."""
    return " ".join([to[0], to[1] or "-", what, *(f"{word} {times[word]}" for word in ("from", "until") if word in times)])


def entry(text: str) -> Data:
    """What `spell` wrote, on a folder."""
    kind, name, rights, *times = text.split(" ")
    return {
        "to": [kind, "" if name == "-" else name],
        "rights": rights,
        **{word: int(when) for word, when in zip(times[::2], times[1::2], strict=True)},
    }


def granted(text: str) -> Data:
    """The principal, and what `spell` wrote."""
    on, rest = text.split(" ", 1)
    read = entry(rest)
    right = read.pop("rights")
    return {"on": on, "right": right.removeprefix("-"), "deny": right.startswith("-"), **read}
