"""Every vector through policy/: the product's judgement against the naive model's."""

from __future__ import annotations

from typing import Any

import pytest

from policy.delivery import Deliver, Door, judge_recipient
from policy.folders import FolderOp, judge_folder, rights_on
from policy.grants import GranteeKind, SendRight, judge_send_right
from policy.reasons import Defer, Reason, Refuse
from policy.rights import RFC_LETTERS, Right
from policy.status import Access, Hold, login_after_password, owner_access, owner_sending
from policy.submission import (
    EnvelopeVerdict,
    Invitation,
    Originators,
    ResentBlock,
    SenderFacts,
    SenderVerdict,
    judge_envelope,
    judge_invitation,
    judge_originators,
    judge_reverse_path,
    may_answer,
)
from tests.vectors import generate, model
from tests.vectors.cast import joined
from tests.vectors.facts import NOW, Facts, address

Data = dict[str, Any]

CODES = {
    Reason.SENDER_NOT_PERMITTED: "550 5.7.1",
    Reason.REVERSE_PATH_NOT_PERMITTED: "553 5.7.1",
    Reason.PRINCIPAL_STATUS: "550 5.7.1",
    Reason.PRINCIPAL_MAINTENANCE: "450 4.2.1",
    Reason.INVITATION_NOT_PERMITTED: "550 5.7.1",
    Reason.RECIPIENT_CLOSED: "550 5.2.1",
    Reason.RECIPIENT_MAINTENANCE: "450 4.2.1",
    Reason.POSTING_NOT_PERMITTED: "550 5.7.1",
}
"""delegation.md's codes for each reason."""


def play(name: str) -> list[str]:
    """What differs, vector by vector, in words."""
    wrong = []
    for number, (state, request, verdict) in enumerate(generate.load(name)):
        got = PLAYERS[name](Facts(joined(state)), request)
        expected = {key: verdict[key] for key in got} if name == "postings" else verdict
        if got != expected:
            wrong.append(f"{name} {number}: {state} {request}\n  model   {expected}\n  product {got}")
    return wrong


def send_rights(facts: Facts, request: Data) -> Data:
    standing = facts.standing(request["actor"])
    right = SendRight(request["right"])
    decision = judge_send_right(standing, facts.id(request["principal"]), right, facts.send_grants(), NOW)
    deciding = next((one for one in decision.trace if one.decided), None)
    kind = deciding.grantee.kind if deciding is not None and deciding.grantee is not None else None
    level = "self" if request["actor"] == request["principal"] else "none" if kind is None else GranteeKind(kind).value
    return {"allowed": decision.allowed, "level": level}


def submission(facts: Facts, request: Data) -> Data:
    sender = facts.sender(request["actor"], _named(request))
    path = address(request["path"]) if request.get("path") else None
    used = judge_reverse_path(path, sender)
    if isinstance(used, Refuse | Defer):
        return {"reply": CODES[used.reason], "at": "MAIL"}
    return _data(facts, request, sender, used)


def _named(request: Data) -> list[str]:
    resent = request.get("resent", {})
    named = [*(request.get("from") or []), *resent.get("from", []), request.get("sender"), resent.get("sender"), request.get("path")]
    named += [request.get("attendee"), request.get("sent_by")]
    return [one for one in named if one]


def _data(facts: Facts, request: Data, sender: SenderFacts, path: Any) -> Data:
    resent = request.get("resent")
    blocks = (ResentBlock(tuple(map(address, resent["from"])), _maybe(resent.get("sender"))),) if resent else ()
    claimed = Originators(tuple(map(address, request.get("from") or [])), _maybe(request.get("sender")), blocks)
    verdict = judge_originators(claimed, path, sender)
    if not isinstance(verdict, SenderVerdict):
        return {"reply": CODES[verdict.reason], "at": "DATA"}
    return _goes_out(facts, request, sender, verdict)


def _maybe(text: str | None) -> Any:
    return address(text) if text else None


def _goes_out(facts: Facts, request: Data, sender: SenderFacts, verdict: SenderVerdict) -> Data:
    actor = request["actor"]

    def written(new: Any, keep: bool, client: str | None) -> str | None:
        return client if keep else None if new is None else model.mailbox(facts.directory, actor, str(new))

    principals = [facts.names[one] for one in verdict.principals] or [""]
    answer: Data = {
        "reply": "250",
        "at": "DATA",
        "as": [[str(kind), principal] for kind, principal in zip(verdict.kinds, principals, strict=True)],
        "from": written(verdict.new_from, False, None),
        "sender": written(verdict.new_sender, verdict.keep_sender, request.get("sender")),
        "path": None if verdict.reverse_path is None else str(verdict.reverse_path),
    }
    if verdict.bounce_list is not None:
        local, _, domain = facts.names[verdict.bounce_list].rpartition("@")
        answer["path"] = f"{local}-bounces@{domain}"
    if "resent" in request:
        client = request["resent"].get("sender")
        answer["resent_sender"] = written(verdict.new_resent_sender, verdict.keep_resent_sender, client)
    return answer


def envelopes(facts: Facts, request: Data) -> Data:
    judged = judge_envelope(address(request["path"]), facts.sender(request["actor"], [request["path"]]))
    if not isinstance(judged, EnvelopeVerdict):
        return {"reply": CODES[judged.reason]}
    return {"reply": "250", "as": [[str(judged.kind), "" if judged.principal is None else facts.names[judged.principal.id]]]}


SAYS = {
    Reason.FOLDER_UNKNOWN: "NONEXISTENT",
    Reason.RIGHT_MISSING: "NOPERM",
    Reason.NOT_ALLOWED_ON_THIS_FOLDER: "PROTECTED",
    Reason.OWNER_MAINTENANCE: "UNAVAILABLE",
}
SPELLED = {**RFC_LETTERS, "X": Right.ACTION}


def folders(facts: Facts, request: Data) -> Data:
    folder = facts.folder(request["actor"], request["owner"], request["path"])
    decision = judge_folder(FolderOp(request["operation"]), folder, NOW)
    counting = rights_on(folder, NOW)
    return {
        "says": "OK" if decision.refusal is None else SAYS[decision.refusal.reason],
        "rights": "".join(sorted(letter for letter, right in SPELLED.items() if right in counting)),
    }


LOGIN = {
    Reason.ACCOUNT_STATUS: {"imap": "NO [CONTACTADMIN] account is {}", "smtp": "525 5.7.13 account is {}"},
    Reason.ACCOUNT_MAINTENANCE: {"imap": "NO [UNAVAILABLE]", "smtp": "454 4.7.0"},
}
FINDS = {Access.BY_GRANT: "by grant", Access.UNAVAILABLE: "unavailable", Access.HIDDEN: "hidden"}


def statuses(facts: Facts, request: Data) -> Data:
    who = request["account"]
    status = facts.status(who)
    refused = login_after_password(status)
    login = {"imap": "OK", "smtp": "235 2.7.0"}
    if facts.directory["accounts"][who].get("lockout"):  # before any status, in tests/policy/test_login.py
        login = {"imap": "NO [AUTHENTICATIONFAILED]", "smtp": "535 5.7.8"}
    elif refused is not None:
        login = {door: words.format(refused.detail) for door, words in LOGIN[refused.reason].items()}
    when = facts.values(who).delegation_when_locked
    access, read_only = owner_access(status, when)
    sending = owner_sending(status, when)
    return {
        "status": str(status),
        "login": login,
        "lmtp": _reply(judge_recipient(status, Door.LMTP)),
        "smtp": _reply(judge_recipient(status, Door.MX)),
        "delegates": "read only" if read_only else FINDS[access],
        "sending": "" if sending is None else CODES[sending.reason],
    }


def _reply(judged: Deliver | Hold | Defer | Refuse) -> str:
    match judged:
        case Deliver():
            return "250"
        case Hold():
            return "250 held"
        case Defer() | Refuse():
            return CODES[judged.reason]


def invitations(facts: Facts, request: Data) -> Data:
    sender = facts.sender(request["actor"], _named(request))
    found = model.resolve(facts.directory, request["attendee"])
    account = found[0] if found is not None and found[0] in facts.directory["accounts"] else None
    invitation = Invitation(request["method"], address(request["attendee"]), _maybe(request.get("sent_by")), request["signed"])
    add = False
    if account is not None:
        accept = judge_folder(FolderOp.ACCEPT, facts.folder(request["actor"], account, "/Calendar"), NOW)
        authors = tuple(map(address, request.get("from") or []))
        judged = judge_invitation(invitation, authors, facts.id(account), accept, sender, _maybe(request.get("sender")))
        if isinstance(judged, Refuse | Defer):
            return {"reply": CODES[judged.reason], "at": "DATA"}
        if judged is not None:
            sender = may_answer(sender, address(request["attendee"]), accept)
            add = judged.add_sent_by
    answer = _data(facts, request, sender, None)
    return {**answer, "add": add} if answer["reply"] == "250" else answer


def postings(facts: Facts, request: Data) -> Data:
    """The list that was named; those inside it are played where mail really arrives."""
    who = model.poster(facts.directory, request)
    if who is None:
        refused = any(one.right is SendRight.SEND_TO_LIST and one.target == facts.id(request["list"]) for one in facts.send_grants())
        return {"reply": "550 5.7.1" if refused else "250"}
    decision = judge_send_right(facts.standing(who), facts.id(request["list"]), SendRight.SEND_TO_LIST, facts.send_grants(), NOW)
    return {"reply": "250" if decision.refusal is None else CODES[decision.refusal.reason]}


PLAYERS = {
    "send_rights": send_rights,
    "submission": submission,
    "envelopes": envelopes,
    "folders": folders,
    "statuses": statuses,
    "invitations": invitations,
    "postings": postings,
}


@pytest.mark.parametrize("name", generate.FILES)
def test_policy_says_what_the_model_says(name: str) -> None:
    wrong = play(name)
    assert not wrong, f"{len(wrong)} differ:\n" + "\n".join(wrong[:10])
