"""Why was this refused, which was no delegated act: the rule, whether it still holds, what would change it, and who may do that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.delivery import takes_now
from gateway.directory import names
from gateway.message.canonical import read_address
from gateway.suggestion import Suggestion, line
from policy.delivery import Door
from policy.identity import AccountId, BadAddress, ListId
from policy.lists import list_rules
from policy.login import lockout_end
from policy.reasons import Defer, Reason, Refuse
from policy.status import AccountStatus, DomainStatus, login_after_password
from store import accounts, addresses, domains, lists, login
from store.addresses import ObjectKind
from store.model import AccountRow
from store.port import Tx
from store.refusals import RefusalRow

RULES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.BAD_CREDENTIALS: "the password, code or token was not taken; the peer is told the same whatever the cause",
        Reason.ACCOUNT_STATUS: "the password was right, but only an active account logs in",
        Reason.ACCOUNT_MAINTENANCE: "the password was right, but the account or its domain is in maintenance",
        Reason.PASSWORD_EXPIRED: "the password was right, but has to be changed first",
        Reason.CREDENTIAL_NOT_PERMITTED: "the app password was right, but it is limited",
        Reason.APP_PASSWORD_NEEDED: "the password was right, but accounts with a second factor use app passwords in mail clients",
        Reason.TOO_MANY_FAILURES: "too many failed logins from this network: nothing is looked at for a while",
        Reason.RECIPIENT_UNKNOWN: "nobody has this address, or it takes nothing from this sender",
        Reason.RECIPIENT_CLOSED: "closed and pending accounts take no mail",
        Reason.RECIPIENT_MAINTENANCE: "an account in maintenance takes no mail for now",
        Reason.RECIPIENT_OVER_QUOTA: "the mailbox is full",
        Reason.POSTING_NOT_PERMITTED: "only who holds sendToDistList posts to this list, known by a login or a trusted neighbour",
        Reason.RELAY_NOT_PERMITTED: "mail for other places is taken from who logs in only, and where a relay is set",
        Reason.MAIL_LOOP: "the message has been here before",
        Reason.OVER_QUOTA: "the owner's mailbox is full; what a delegate puts there is charged to the owner",
        Reason.LIMIT: "a limit of the server was reached",
        Reason.FOLDER_UNKNOWN: "there is no such folder, or this account may not see it",
        Reason.FOLDER_EXISTS: "there is a folder of this name",
        Reason.NOT_ALLOWED_ON_THIS_FOLDER: "INBOX, the root and special folders are protected",
        Reason.SPECIAL_USE: "a folder serves one purpose, and one folder each",
        Reason.RIGHT_MISSING: "a right on the folder was missing",
        Reason.GRANT_NOT_POSSIBLE: "such a grant cannot be",
        Reason.MALFORMED_MESSAGE: "a message that can be read in two ways is not taken",
    }
)
_RECIPIENTS: Final = frozenset(
    {
        Reason.RECIPIENT_UNKNOWN,
        Reason.RECIPIENT_CLOSED,
        Reason.RECIPIENT_MAINTENANCE,
        Reason.RECIPIENT_OVER_QUOTA,
        Reason.POSTING_NOT_PERMITTED,
        Reason.MAIL_LOOP,
    }
)
_LOGINS: Final = frozenset({Reason.BAD_CREDENTIALS, Reason.ACCOUNT_STATUS, Reason.ACCOUNT_MAINTENANCE, Reason.PASSWORD_EXPIRED})
_DOORS: Final = MappingProxyType({"smtp": Door.SUBMISSION, "mx": Door.MX, "lmtp": Door.LMTP, "policy": Door.LMTP})


@dataclass(frozen=True, slots=True)
class WhyRefused:
    """One row, explained. `now`: how it stands now, "" where that cannot be told; `suggestions`: lines for `procura prov` each of which
    takes away what stands in the way; `otherwise`: what to do where none does."""

    row: RefusalRow
    then: Sequence[str]
    account: str
    now: str
    suggestions: Sequence[Suggestion]
    otherwise: str


def why_refused(tx: Tx, row: RefusalRow) -> WhyRefused:
    """Ask by `work`."""
    reason = Reason(row.reason)
    then = [RULES.get(reason, row.reason)]
    then += [f"it was: {row.because}"] if row.because else []
    then += [row.detail] if row.detail and row.detail != row.because else []
    principal = None if row.principal is None else accounts.by_id(tx, AccountId(row.principal))
    account = "" if principal is None else str(principal.address)
    if reason in _LOGINS:
        now, suggestions, otherwise = _login(tx, row, principal)
    elif reason in _RECIPIENTS:
        now, suggestions, otherwise = _recipient(tx, row)
    elif reason is Reason.OVER_QUOTA and row.actor is not None:
        owner = principal or accounts.by_id(tx, AccountId(row.actor))
        now, suggestions, otherwise = _room(tx, owner)
    else:
        now, suggestions, otherwise = "", (), _OTHERWISE.get(reason, "no grant would change it")
    return WhyRefused(row, then, account, now, suggestions, otherwise)


_OTHERWISE: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.CREDENTIAL_NOT_PERMITTED: "another app password, with other limits: procura app-password create",
        Reason.APP_PASSWORD_NEEDED: "an app password: procura app-password create",
        Reason.TOO_MANY_FAILURES: "time, or the setting limits.failed_logins_per_source",
        Reason.RELAY_NOT_PERMITTED: "no grant would change it: the setting relay, and a login",
        Reason.LIMIT: "no grant would change it: the settings under limits",
    }
)


def _login(tx: Tx, row: RefusalRow, account: AccountRow | None) -> tuple[str, Sequence[Suggestion], str]:
    if account is None:
        return "", (), "nobody can say who was meant: what is typed at a login is not kept"
    if login_after_password(account.status) is not None:
        return f"{account.address} is {account.status}", *_by_status(tx, account, AccountStatus.ACTIVE)
    if lockout_end(login.history(tx, account.id), account.values, tx.now) is not None:
        name = str(account.address)
        ends = Suggestion(
            [line("modifyAccount", name, "status", "active")], [], "", [f"{_administrator(account)} (also: procura unlock {name})"]
        )
        return f"{name} is locked out", (ends,), ""
    if row.reason == Reason.PASSWORD_EXPIRED:
        new = f"a new password for {account.address}, set by its owner or by {_administrator(account)}"
        return "the password has to be changed" if account.must_change_password else "", (), new
    return f"{account.address} is {account.status}: a right password is taken", (), "the right password"


def _recipient(tx: Tx, row: RefusalRow) -> tuple[str, Sequence[Suggestion], str]:
    try:
        found = addresses.resolve(tx, read_address(row.about))
    except BadAddress:
        return "", (), "the address cannot be read"
    if found is None:
        return f"nobody has the address {row.about}", (), "an account, an alias or a list with this address"
    if found.kind is ObjectKind.LIST:
        return _list(tx, row, found.id, str(found.address))
    account = accounts.by_id(tx, AccountId(found.id))
    if account is None:
        return "nobody has this address any more", (), ""
    verdict = takes_now(account, _DOORS.get(row.protocol, Door.LMTP))
    if not isinstance(verdict, Refuse | Defer):
        return f"{account.address} is {account.status} and takes mail", (), "nothing now: it can be sent again"
    if verdict.reason is Reason.RECIPIENT_OVER_QUOTA:
        return _room(tx, account)
    suggested, _ = _by_status(tx, account, AccountStatus.ACTIVE)
    full, more, _ = _room(tx, account)
    if more:
        # Active alone it would be refused again.
        suggested = [_together(suggested[0], more[0])]
    return f"{account.address} is {account.status}{f'; {full}' if more else ''}", suggested, ""


def _together(first: Suggestion, then: Suggestion) -> Suggestion:
    """Both at once, and taken back in the other order."""
    givers = tuple(dict.fromkeys([*then.givers, *first.givers]))
    return Suggestion([*first.apply, *then.apply], [*then.undo, *first.undo], "", givers[:1])


def _list(tx: Tx, row: RefusalRow, number: int, name: str) -> tuple[str, Sequence[Suggestion], str]:
    found = lists.by_id(tx, ListId(number))
    if found is None:
        return "the list is gone", (), ""
    if row.reason != Reason.POSTING_NOT_PERMITTED:
        return f"{name} is a list", (), "a sender: a list takes nothing from <>"
    restricted = list_rules(found.attributes).restricted
    words = "is restricted, and nobody was granted sendToDistList" if restricted else "takes posts from who was granted sendToDistList"
    otherwise = "a login by one who holds sendToDistList: no grant holds for who is not known"
    return f"{name} {words}", (), otherwise


def _by_status(tx: Tx, account: AccountRow, wanted: AccountStatus) -> tuple[Sequence[Suggestion], str]:
    """What makes the effective status that one: of the account, of the domain, or of both."""
    name = str(account.address)
    apply, undo = [], []
    domain = domains.by_id(tx, account.domain)
    if account.own_status is not wanted:
        apply.append(line("modifyAccount", name, "status", str(wanted)))
        undo.append(line("modifyAccount", name, "status", str(account.own_status)))
    givers = _administrator(account)
    if domain is not None and domain.status is not DomainStatus.ACTIVE and not account.is_global_administrator:
        apply.append(line("modifyDomain", domain.name, "status", "active"))
        undo.append(line("modifyDomain", domain.name, "status", str(domain.status)))
    return (Suggestion(apply, undo, "", [givers]),), ""


def _room(tx: Tx, account: AccountRow | None) -> tuple[str, Sequence[Suggestion], str]:
    """Its own room, the most that its domain gives one account, and that of all accounts of the domain together."""
    domain = None if account is None else domains.by_id(tx, account.domain)
    if account is None or domain is None:
        return "", (), "nobody can say whose mailbox it was"
    name, quota, shared = str(account.address), account.values.quota, account.domain_room
    now = f"{name} uses {account.used} of {quota or 'any number of'} octets"
    apply, undo = [], []
    if quota and account.used >= quota:
        apply.append(line("modifyAccount", name, "quota", "0"))
        undo.append(line("modifyAccount", name, "quota", account.own_values.get("quota", "")))
        largest = domain.limits.max_quota
        if largest and account.used >= largest:
            # What the domain gives goes first and comes back last: no account is given more than it.
            apply.insert(0, line("modifyDomain", domain.name, "maxQuota", "0"))
            undo.append(line("modifyDomain", domain.name, "maxQuota", str(largest)))
    if not shared.takes(1):
        now += f", all of {domain.name} together {shared.used} of {shared.limit}"
        apply.append(line("modifyDomain", domain.name, "aggregateQuota", "0"))
        undo.insert(0, line("modifyDomain", domain.name, "aggregateQuota", str(shared.limit)))
    if not apply:
        return now, (), "nothing now, unless the message was larger than the room that is left"
    return now, (Suggestion(apply, undo, "", ["a global administrator"]),), ""


def _administrator(account: AccountRow) -> str:
    return f"an administrator of {names.shown_domain(account.address.domain)}"
