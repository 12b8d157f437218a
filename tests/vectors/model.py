"""delegation.md read aloud: a second, slow and naive model of every decision, which shares no code with the product.

A directory is plain data as JSON has it (the shape is `CAST` in cast.py); times are seconds, counted from the moment of the request.
An answer is plain data too: what the wire says and what the message looks like afterwards. Nothing is cached, nothing is clever;
sections are those of delegation.md.
"""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]

# --- section 1: directory


def split(address: str) -> tuple[str, str]:
    local, _, domain = address.rpartition("@")
    return local, domain.lower()


def fold(text: str) -> str:
    """A to Z as a to z and nothing else."""
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in text)


def home(directory: Data, domain: str) -> str | None:
    """The local domain that this one is, or is another name of."""
    for name, facts in directory["domains"].items():
        if domain == name or domain in facts.get("aliases", []):
            return str(name)
    return None


def addresses(directory: Data, primary: str) -> list[str]:
    thing = directory["accounts"].get(primary) or directory["lists"][primary]
    return [primary, *thing.get("aliases", [])]


def resolve(directory: Data, address: str) -> tuple[str, str] | None:
    """(whose it is, as which of its addresses). One that exists is itself; only one that exists nowhere is tried without its tag."""
    local, domain = split(address)
    where = home(directory, domain)
    if where is None:
        return None
    local = fold(local)
    for candidate in (local, local.split("+")[0] if "+" in local and not local.startswith("+") else local):
        for primary in [*directory["accounts"], *directory["lists"]]:
            if f"{candidate}@{where}" in addresses(directory, primary):
                return primary, f"{candidate}@{where}"
    return None


def same(directory: Data, one: str, other: str) -> bool:
    """Local parts of local domains are compared folded, others octet for octet."""
    (local, domain), (other_local, other_domain) = split(one), split(other)
    if domain != other_domain:
        return False
    return fold(local) == fold(other_local) if home(directory, domain) is not None else local == other_local


def class_of(directory: Data, account: str) -> str:
    """Own, then the domain's default, then `default`."""
    domain = directory["domains"][split(account)[1]]
    return directory["accounts"][account].get("class") or domain.get("class") or "default"


def value(directory: Data, account: str, name: str, default: Any) -> Any:
    """Own values override the class of service's, value by value."""
    own = directory["accounts"][account].get("values", {})
    return own.get(name, directory["classes"][class_of(directory, account)].get(name, default))


def groups(directory: Data, account: str) -> set[str]:
    """Every list the account is in; nested lists resolve transitively, cycles are harmless."""
    found: set[str] = set()
    while True:
        more = {
            name for name, facts in directory["lists"].items() if any(member == account or member in found for member in facts["members"])
        }
        if more <= found:
            return found
        found |= more


def matches(directory: Data, grantee: list[str], account: str) -> bool:
    kind, name = grantee
    if kind == "account":
        return name == account
    if kind == "group":
        return name in groups(directory, account)
    if kind == "cos":
        return name == class_of(directory, account)
    if kind == "domain":
        return name == split(account)[1]
    return kind == "all"


def exists(grant: Data) -> bool:
    """Outside its time it does not exist for any decision; it begins at its first second and has ended at its last."""
    begins, ends = grant.get("from"), grant.get("until")
    return (begins is None or begins <= 0) and (ends is None or ends > 0)


# --- section 2: folder rights

LETTERS = {"r": "lr", "w": "sw", "i": "i", "d": "xte", "a": "a", "x": "X"}  # X: ACTION, which no RFC 4314 letter names


def expand(letters: str) -> set[str]:
    """Letters are expanded entry by entry; `[lrs]` are RFC 4314's own, which expand to nothing else."""
    if letters.startswith("["):
        return set(letters[1:-1])
    rights = {right for letter in letters for right in LETTERS[letter]} if letters != "none" else set()
    return rights | {"k"} if "i" in letters and "r" in letters else rights


def upward(path: str) -> list[str]:
    """The folder, its parents, the root."""
    steps = []
    while path != "/":
        steps.append(path)
        path = path.rpartition("/")[0] or "/"
    return [*steps, "/"]


def held(directory: Data, actor: str, owner: str, path: str) -> set[str]:
    """What is granted, before the owner's status has a say."""
    if actor == owner:
        return set("lrswikxtea") | {"X"}
    mailbox = directory["folders"].get(owner, {})
    rights: set[str] = set()
    decided: list[list[str]] = []
    for step in upward(path):
        folder = mailbox.get(step, {})
        here = [entry for entry in folder.get("entries", []) if exists(entry) and entry["to"] not in decided]
        for entry in here:
            decided.append(entry["to"])
            if matches(directory, entry["to"], actor):
                rights |= expand(entry["rights"])
        if folder.get("no_inherit"):
            break
    return rights


NEEDS = {
    "see": "",
    "read": "r",
    "mark seen": "s",
    "mark deleted": "t",
    "mark": "w",
    "insert": "i",
    "take out": "rte",
    "expunge": "e",
    "create": "k",
    "rename": "x",
    "delete": "x",
    "administer": "a",
    "quota": "r",
    "get metadata": "r",
    "set metadata": "w",
}


def folder(directory: Data, actor: str, owner: str, path: str, operation: str) -> Data:
    """What is said to the operation, and which rights count. Rights are judged before status; without `l` a folder does not exist."""
    rights = held(directory, actor, owner, path)
    access = delegates_find(directory, owner) if actor != owner else "by grant"
    if access == "hidden":
        rights = set()
    counting = rights & set("lr") if access == "read only" else rights
    return {"says": _folder(directory, actor, owner, path, operation, rights, counting, access), "rights": "".join(sorted(counting))}


def _folder(directory: Data, actor: str, owner: str, path: str, operation: str, rights: set[str], counting: set[str], access: str) -> str:
    if operation == "accept invitations":  # asked about a message, not about a folder one would see
        if "X" not in rights:
            return "NONEXISTENT" if access == "hidden" else "NOPERM"
        return "NOPERM" if "X" not in counting else "UNAVAILABLE" if access == "unavailable" else "OK"
    if "l" not in counting:
        return "NONEXISTENT"
    use = directory["folders"].get(owner, {}).get(path, {}).get("use")
    if operation == "change flags":  # what is allowed is applied; refused only when nothing is left
        missing = not rights & set("swt")
        withheld = not counting & set("swt")
    elif operation == "replace draft" and use == "drafts":
        missing = not (set("irte") <= rights or set("rw") <= rights)
        withheld = not (set("irte") <= counting or set("rw") <= counting)
    else:
        needed = set("irte" if operation == "replace draft" else NEEDS[operation])
        missing, withheld = not needed <= rights, not needed <= counting
    if missing:
        return "NOPERM"
    if operation in ("rename", "delete") and (path == "/" or (use == "inbox" and operation == "delete") or (use and actor != owner)):
        return "PROTECTED"
    if withheld:
        return "NOPERM"
    if access == "unavailable" and operation != "see":
        return "UNAVAILABLE"
    return "OK"


# --- section 3: statuses

STRICT = ["active", "locked", "maintenance", "pending", "closed"]


def status(directory: Data, account: str) -> str:
    """The stricter of the account's own and its domain's; global administrators ignore the domain's."""
    facts = directory["accounts"][account]
    own = facts.get("status", "active")
    overlay = directory["domains"][split(account)[1]].get("status", "active")
    overlay = "maintenance" if overlay == "suspended" else overlay
    if facts.get("global_administrator"):
        return str(own)
    return own if STRICT.index(own) >= STRICT.index(overlay) else overlay


def delegates_find(directory: Data, owner: str) -> str:
    """by grant | read only | unavailable | hidden"""
    now = status(directory, owner)
    if now == "locked":
        return {"none": "hidden", "read": "read only", "full": "by grant"}[value(directory, owner, "delegation_when_locked", "none")]
    return {"active": "by grant", "maintenance": "unavailable", "closed": "hidden", "pending": "hidden"}[now]


def login(directory: Data, account: str) -> Data:
    """With the right password: what IMAP and SMTP say."""
    now = status(directory, account)
    if directory["accounts"][account].get("lockout"):
        return {"imap": "NO [AUTHENTICATIONFAILED]", "smtp": "535 5.7.8"}
    if now == "active":
        return {"imap": "OK", "smtp": "235 2.7.0"}
    if now == "maintenance":
        return {"imap": "NO [UNAVAILABLE]", "smtp": "454 4.7.0"}
    return {"imap": f"NO [CONTACTADMIN] account is {now}", "smtp": f"525 5.7.13 account is {now}"}


def recipient(directory: Data, account: str, door: str) -> str:
    """The reply to RCPT; `250 held`: it waits in our queue."""
    now = status(directory, account)
    if now in ("closed", "pending"):
        return "550 5.2.1"
    if now == "maintenance":
        return "450 4.2.1" if door == "lmtp" else "250 held"
    return "250"


def owner_sends(directory: Data, owner: str) -> str:
    """May delegates send in this owner's name now? "" is yes."""
    now = status(directory, owner)
    if now == "active" or (now == "locked" and value(directory, owner, "delegation_when_locked", "none") == "full"):
        return ""
    return "450 4.2.1" if now == "maintenance" else "550 5.7.1"


# --- section 4: send rights

LEVELS = ["account", "group", "cos", "domain", "all"]


def send_right(directory: Data, actor: str, principal: str, right: str) -> Data:
    """Self, then by level, inside a level deny before allow; nothing found: deny, but a list without any sendToDistList is open."""
    if actor == principal:
        return {"allowed": True, "level": "self"}
    asked = [grant for grant in directory["rights"] if grant["on"] == principal and grant["right"] == right]
    for level in LEVELS:
        here = [one for one in asked if one["to"][0] == level and exists(one) and matches(directory, one["to"], actor)]
        if any(one.get("deny") for one in here):
            return {"allowed": False, "level": level}
        if here:
            return {"allowed": True, "level": level}
    return {"allowed": right == "sendToDistList" and not asked, "level": "none"}


def may(directory: Data, actor: str, address: str, right: str) -> bool:
    """For one address: a grant covers the primary and all aliases, unless `delegated_sender_addresses` names fewer."""
    found = resolve(directory, address)
    if found is None or not send_right(directory, actor, found[0], right)["allowed"]:
        return False
    if found[0] in directory["lists"]:
        return True
    listed = value(directory, found[0], "delegated_sender_addresses", [])
    return not listed or any(same(directory, found[1], one) for one in listed)


# --- section 5: submission


def owns(directory: Data, actor: str, address: str) -> bool:
    """Own(U)."""
    found = resolve(directory, address)
    if found is not None:
        return found[0] == actor
    return any(same(directory, address, one) for one in value(directory, actor, "allow_from_addresses", []))


def as_own(directory: Data, actor: str, address: str) -> bool:
    """In Own(U), or of a foreign domain where the administrator allows any."""
    foreign = home(directory, split(address)[1]) is None
    return owns(directory, actor, address) or (foreign and value(directory, actor, "allow_any_from", False))


def mailbox(directory: Data, actor: str, address: str | None = None) -> str:
    name = directory["accounts"][actor].get("name", "")
    return f"{name} <{address or actor}>" if name else f"<{address or actor}>"


def mail(directory: Data, actor: str, path: str | None) -> str:
    """At MAIL: refused at once when no From could justify it. "" is fine, "rewrite" becomes U's primary."""
    if path is None or as_own(directory, actor, path):
        return ""
    found = resolve(directory, path)
    rights = ("sendAs", "sendOnBehalfOf")
    if found is not None and any(send_right(directory, actor, found[0], right)["allowed"] for right in rights):
        return ""
    return "rewrite" if value(directory, actor, "unauthorised_from", "refuse") == "rewrite" else "553 5.7.1"


def pair(directory: Data, actor: str, authors: list[str], sender: str | None) -> Data:
    """One From (or Resent-From) with its Sender: a refusal, or who speaks how, and the Sender that goes out."""
    others = [one for one in authors if not as_own(directory, actor, one)]
    for one in others:
        if not may(directory, actor, one, "sendAs") and not may(directory, actor, one, "sendOnBehalfOf"):
            return {"refused": "550 5.7.1", "right": "missing"}
    for one in others:
        principal = resolve(directory, one)
        if principal is not None and principal[0] in directory["accounts"] and owner_sends(directory, principal[0]):
            return {"refused": owner_sends(directory, principal[0]), "right": "held"}
    own_sender = sender is not None and owns(directory, actor, sender)
    named = sender if own_sender else mailbox(directory, actor)
    principals: list[str] = []
    for one in others:
        found = resolve(directory, one)
        if found is not None and found[0] not in principals:
            principals.append(found[0])
    as_self = "self" if all(owns(directory, actor, one) for one in authors) else "self (foreign)"
    if len(authors) > 1:
        return {"kinds": [["on-behalf", one] for one in principals] or [[as_self, ""]], "sender": named}
    differs = sender is not None and not same(directory, sender, authors[0])
    if not others:
        return {"kinds": [[as_self, ""]], "sender": sender if own_sender and differs else None}
    send_as, on_behalf = (may(directory, actor, others[0], right) for right in ("sendAs", "sendOnBehalfOf"))
    if send_as and not (on_behalf and differs):
        return {"kinds": [["send-as", principals[0]]], "sender": None}
    return {"kinds": [["on-behalf", principals[0]]], "sender": named}


def submission(directory: Data, actor: str, request: Data) -> Data:
    """From MAIL to the end of DATA: {"reply", "at"} for a refusal, else who is recorded as what, and From, Sender, envelope as they go out.

    `from` null in the answer: its octets are left; `request["from"]` null: there is no From field.
    """
    at_mail = mail(directory, actor, request.get("path"))
    if at_mail not in ("", "rewrite"):
        return {"reply": at_mail, "at": "MAIL"}
    path = actor if at_mail == "rewrite" else request.get("path")
    rewrites = value(directory, actor, "unauthorised_from", "refuse") == "rewrite"
    sender = request.get("sender")
    new_from = None
    authors = request.get("from")
    if not authors:
        authors = [sender if sender is not None and owns(directory, actor, sender) else actor]
        new_from = mailbox(directory, actor, authors[0])
    resent = request.get("resent")
    again = pair(directory, actor, resent["from"], resent.get("sender")) if resent else None
    if again is not None and "refused" in again:
        return {"reply": again["refused"], "at": "DATA"}
    judged = pair(directory, actor, authors, sender)
    if "refused" in judged and judged["right"] == "missing" and rewrites:
        authors = [actor]
        new_from = mailbox(directory, actor)
        judged = pair(directory, actor, authors, sender)
    if "refused" in judged:
        return {"reply": judged["refused"], "at": "DATA"}
    kinds = [one for one in judged["kinds"] if one[1]]
    for one in again["kinds"] if again else []:
        if one[1] and one[1] not in [known[1] for known in kinds]:
            kinds.append(one)
    kinds = kinds or judged["kinds"]
    first = authors[0] if any(one[1] for one in judged["kinds"]) else resent["from"][0] if resent else authors[0]
    envelope = reverse_path(directory, actor, path, first, kinds)
    if envelope == "refused":
        if not rewrites:
            return {"reply": "553 5.7.1", "at": "DATA"}
        envelope = reverse_path(directory, actor, actor, first, kinds)
    answer = {"reply": "250", "at": "DATA", "as": kinds, "from": new_from, "sender": judged["sender"], "path": envelope}
    return {**answer, "resent_sender": again["sender"]} if again else answer


def reverse_path(directory: Data, actor: str, path: str | None, first: str, kinds: list[list[str]]) -> str | None:
    """5.6: empty, in Own(U) or an address of the From's owner; a send-as message gives nobody away; a list's is its bounce address."""
    if path is None:
        return None
    if as_own(directory, actor, path):
        used = first if [one[0] for one in kinds] == ["send-as"] else path
    else:
        found = resolve(directory, path)
        if found is None or found[0] not in [one[1] for one in kinds]:
            return "refused"
        used = path
    found = resolve(directory, used)
    if found is not None and found[0] in directory["lists"]:
        local, domain = split(found[0])
        return f"{local}-bounces@{domain}"
    return used


def envelope(directory: Data, actor: str, path: str) -> Data:
    """Where a neighbour asks about the envelope alone, it is judged as a From would be; nothing can be rewritten there."""
    judged = pair(directory, actor, [path], None)
    if "refused" in judged:
        return {"reply": "553 5.7.1" if judged["right"] == "missing" else judged["refused"]}
    return {"reply": "250", "as": judged["kinds"]}


# --- section 7: invitations


def invitation(directory: Data, actor: str, request: Data) -> Data:
    """A REPLY or COUNTER with one ATTENDEE: "reply" of the whole message, and whether SENT-BY is written into it."""
    found = resolve(directory, request["attendee"])
    section5 = {**request, "path": None}
    plain = submission(directory, actor, section5)
    if request["method"] not in ("REPLY", "COUNTER") or found is None or found[0] not in directory["accounts"] or found[0] == actor:
        return added(plain, False)
    owner = found[0]
    says = folder(directory, actor, owner, "/Calendar", "accept invitations")["says"]
    if says == "UNAVAILABLE":
        return {"reply": "450 4.2.1", "at": "DATA"}
    if says != "OK":
        return {"reply": "550 5.7.1", "at": "DATA"}
    sent_by = request.get("sent_by")
    authors = request.get("from") or [actor]
    if sent_by is not None and not owns(directory, actor, sent_by):
        return {"reply": "550 5.7.1", "at": "DATA"}
    if all(owns(directory, actor, one) for one in authors):
        return added(plain, False) if sent_by is not None else {"reply": "550 5.7.1", "at": "DATA"}
    author = resolve(directory, authors[0])
    if len(authors) != 1 or author is None or author[0] != owner:
        return {"reply": "550 5.7.1", "at": "DATA"}
    if not may(directory, actor, authors[0], "sendAs") and not may(directory, actor, authors[0], "sendOnBehalfOf"):
        # x without a send right: on behalf, as far as the owner's status lets anybody send in its name.
        if owner_sends(directory, owner):
            return {"reply": owner_sends(directory, owner), "at": "DATA"}
        own_sender = request.get("sender") is not None and owns(directory, actor, request["sender"])
        named = request["sender"] if own_sender else mailbox(directory, actor)
        plain = {"reply": "250", "at": "DATA", "as": [["on-behalf", owner]], "from": None, "sender": named, "path": None}
    add = plain["reply"] == "250" and plain["as"] == [["on-behalf", owner]] and sent_by is None
    if add and request.get("signed"):
        return {"reply": "550 5.7.1", "at": "DATA"}
    return added(plain, add)


def added(answer: Data, add: bool) -> Data:
    """What is refused has nothing written into it."""
    return {**answer, "add": add} if answer["reply"] == "250" else answer


# --- section 9: lists


def poster(directory: Data, request: Data) -> str | None:
    """Who posts, as far as grants are concerned: who authenticated; at lmtp the MAIL FROM, on mx nobody."""
    if request["door"] == "submission":
        return str(request["actor"])
    path = request.get("path")
    found = resolve(directory, path) if request["door"] == "lmtp" and path else None
    return found[0] if found is not None and found[0] in directory["accounts"] else None


def may_post(directory: Data, who: str | None, target: str) -> bool:
    if who is not None:
        return bool(send_right(directory, who, target, "sendToDistList")["allowed"])
    return not any(grant["on"] == target and grant["right"] == "sendToDistList" for grant in directory["rights"])


def posting(directory: Data, request: Data) -> Data:
    """The reply to RCPT, and who gets a copy: every member once, nested; a list inside that refuses gets no copy."""
    who = poster(directory, request)
    target = request["list"]
    if not may_post(directory, who, target):
        return {"reply": "550 5.7.1", "copies": []}
    seen: list[str] = []
    copies: list[str] = []
    waiting = [target]
    while waiting:
        one = waiting.pop()
        if one in seen or not may_post(directory, who, one):
            continue
        seen.append(one)
        for member in directory["lists"][one]["members"]:
            if member in directory["lists"]:
                waiting.append(member)
            elif member not in copies and status(directory, member) not in ("closed", "pending", "maintenance"):
                copies.append(member)
    return {"reply": "250", "copies": sorted(copies)}
