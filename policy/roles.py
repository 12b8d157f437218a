"""The pre-built admin roles: which role may do which operation on whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from policy.decision import Decision, step
from policy.grantees import Grantee, GranteeKind
from policy.identity import AccountId, DomainId
from policy.people import PERSONAL
from policy.reasons import Reason, Refuse
from policy.status import AccountStatus, login_after_password


class Role(StrEnum):
    """Carbonio's pre-built roles. All but `global` are held in one domain, the one that the account is in."""

    GLOBAL = "global"
    DOMAIN = "domain"
    DELEGATED_DOMAIN = "delegated-domain"
    USER_MANAGEMENT = "user-management"
    GROUP_MANAGEMENT = "group-management"
    HELP_DESK = "help-desk"


_PLUS: Mapping[Role, tuple[Role, ...]] = MappingProxyType(
    {
        Role.GLOBAL: (Role.DOMAIN,),
        Role.DOMAIN: (Role.DELEGATED_DOMAIN,),
        Role.DELEGATED_DOMAIN: (Role.USER_MANAGEMENT,),
        Role.USER_MANAGEMENT: (Role.GROUP_MANAGEMENT, Role.HELP_DESK),
        Role.GROUP_MANAGEMENT: (),
        Role.HELP_DESK: (),
    }
)


def _closure(role: Role) -> frozenset[Role]:
    return frozenset({role}).union(*(_closure(one) for one in _PLUS[role]))


INCLUDED: Mapping[Role, frozenset[Role]] = MappingProxyType({role: _closure(role) for role in Role})
"""The role itself and all whose rights it has besides its own."""


class Operation(StrEnum):
    """Everything that can be done to the directory, under the name that an administrator knows. What has no row in MATRIX only the
    operator of the machine does."""

    # domains
    CREATE_DOMAIN = "create a domain"
    CREATE_ALIAS_DOMAIN = "create an alias domain"
    DELETE_DOMAIN = "delete a domain"
    INITIALISE_DELEGATION = "initialise a domain for delegation"
    VIEW_DOMAIN = "view a domain"
    MODIFY_DOMAIN = "modify a domain"
    RENAME_DOMAIN = "rename a domain"
    # classes of service
    CREATE_COS = "create a class of service"
    VIEW_COS = "view classes of service"
    MODIFY_COS = "modify a class of service"
    DELETE_COS = "delete a class of service"
    # administrators
    VIEW_ROLES = "view roles"
    GRANT_ROLE = "grant a role"
    REVOKE_ROLE = "revoke a role"
    # accounts
    CREATE_ACCOUNT = "create an account"
    VIEW_ACCOUNT = "view an account"
    MODIFY_ACCOUNT = "modify an account"
    RENAME_ACCOUNT = "rename an account"
    DELETE_ACCOUNT = "delete an account"
    RESTORE_ACCOUNT = "restore an account"
    ADD_ACCOUNT_ALIAS = "add an alias to an account"
    REMOVE_ACCOUNT_ALIAS = "remove an alias from an account"
    LOG_IN_AS = "log in as a user"
    # what people call the help desk for
    SET_PASSWORD = "set a password"  # noqa: S105 — the name of an operation
    MANAGE_APP_PASSWORDS = "manage app passwords"
    MANAGE_ONE_TIME_CODES = "manage one-time codes"
    UNLOCK = "end a lockout"
    VIEW_SESSIONS = "view sessions"
    END_SESSIONS = "end sessions"
    VIEW_LOGINS = "view the login history"
    FREEZE = "freeze sending"
    UNDELETE = "undelete messages"
    # lists
    CREATE_LIST = "create a list"
    VIEW_LIST = "view a list"
    MODIFY_LIST = "modify a list"
    RENAME_LIST = "rename a list"
    DELETE_LIST = "delete a list"
    ADD_MEMBERS = "add members to a list"
    REMOVE_MEMBERS = "remove members from a list"
    ADD_LIST_ALIAS = "add an alias to a list"
    REMOVE_LIST_ALIAS = "remove an alias from a list"
    MANAGE_DYNAMIC_LIST = "manage a dynamic list"
    # what is granted on accounts and lists
    VIEW_ACCOUNT_GRANTS = "view grants on an account"
    GRANT_ON_ACCOUNT = "grant rights on an account"
    REVOKE_ON_ACCOUNT = "revoke rights on an account"
    VIEW_LIST_GRANTS = "view grants on a list"
    GRANT_ON_LIST = "grant rights on a list"
    REVOKE_ON_LIST = "revoke rights on a list"
    EXPLAIN = "explain decisions"
    # mailboxes
    VIEW_FOLDERS = "view folders"
    MANAGE_FOLDERS = "manage folders"
    # the gateway itself
    VIEW_QUEUE = "view the queue"
    MANAGE_QUEUE = "manage the queue"
    VIEW_AUDIT = "view the audit"
    MANAGE_KEYS = "manage signing keys"
    MANAGE_POLICY = "manage policy as data"
    BACK_UP = "back up and verify"
    BREAK_GLASS = "open a mailbox by break-glass"


class On(StrEnum):
    """On whom an operation may be done, besides that it is in the domain."""

    NORMAL = "normal"  # never on an administrator, by nobody but global administrators
    MANAGED = "managed"  # on an administrator by those who manage administrators, up to their own role
    ANYBODY = "anybody"  # it only looks


@dataclass(frozen=True, slots=True)
class Row:
    """`listed`: the roles in whose own list it stands; whoever includes one of them may do it too."""

    listed: tuple[Role, ...]
    on: On = On.MANAGED

    def admits(self, roles: frozenset[Role]) -> bool:
        """Does one of these roles, with all that it includes, have it?"""
        return any(one in INCLUDED[role] for role in roles for one in self.listed)


_G, _D, _E = (Role.GLOBAL,), (Role.DOMAIN,), (Role.DELEGATED_DOMAIN,)
_U, _M, _H = (Role.USER_MANAGEMENT,), (Role.GROUP_MANAGEMENT,), (Role.HELP_DESK,)

MATRIX: Mapping[Operation, Row] = MappingProxyType(
    {
        Operation.CREATE_DOMAIN: Row(_G),
        Operation.CREATE_ALIAS_DOMAIN: Row(_G),
        Operation.DELETE_DOMAIN: Row(_G),
        Operation.RENAME_DOMAIN: Row(_G),
        Operation.INITIALISE_DELEGATION: Row(_G),
        Operation.VIEW_DOMAIN: Row(_E, On.ANYBODY),
        Operation.MODIFY_DOMAIN: Row(_D),
        Operation.CREATE_COS: Row(_G),
        Operation.VIEW_COS: Row(_G, On.ANYBODY),
        Operation.MODIFY_COS: Row(_G),
        Operation.DELETE_COS: Row(_G),
        Operation.VIEW_ROLES: Row(_D, On.ANYBODY),
        Operation.GRANT_ROLE: Row(_D),
        Operation.REVOKE_ROLE: Row(_D),
        Operation.CREATE_ACCOUNT: Row(_U),
        Operation.VIEW_ACCOUNT: Row(_H, On.ANYBODY),
        Operation.MODIFY_ACCOUNT: Row(_H),  # which of its attributes: ACCOUNT_ATTRIBUTES
        Operation.RENAME_ACCOUNT: Row(_U),
        Operation.DELETE_ACCOUNT: Row(_U),
        Operation.RESTORE_ACCOUNT: Row(_U),
        Operation.ADD_ACCOUNT_ALIAS: Row(_U),
        Operation.REMOVE_ACCOUNT_ALIAS: Row(_U),
        Operation.LOG_IN_AS: Row(_U, On.NORMAL),
        Operation.SET_PASSWORD: Row(_H, On.NORMAL),
        Operation.MANAGE_APP_PASSWORDS: Row(_H, On.NORMAL),
        Operation.MANAGE_ONE_TIME_CODES: Row(_H, On.NORMAL),
        Operation.UNLOCK: Row(_H, On.NORMAL),
        Operation.VIEW_SESSIONS: Row(_H, On.ANYBODY),
        Operation.END_SESSIONS: Row(_H),
        Operation.VIEW_LOGINS: Row(_H, On.ANYBODY),
        Operation.FREEZE: Row(_U),
        Operation.UNDELETE: Row(_H, On.NORMAL),
        Operation.CREATE_LIST: Row(_M),
        Operation.VIEW_LIST: Row(_M, On.ANYBODY),
        Operation.MODIFY_LIST: Row(_M),
        Operation.RENAME_LIST: Row(_M),
        Operation.DELETE_LIST: Row(_M),
        Operation.ADD_MEMBERS: Row(_M),
        Operation.REMOVE_MEMBERS: Row(_M),
        Operation.ADD_LIST_ALIAS: Row(_M),
        Operation.REMOVE_LIST_ALIAS: Row(_M),
        Operation.MANAGE_DYNAMIC_LIST: Row(_G),
        Operation.VIEW_ACCOUNT_GRANTS: Row(_U, On.ANYBODY),
        Operation.GRANT_ON_ACCOUNT: Row(_U, On.NORMAL),
        Operation.REVOKE_ON_ACCOUNT: Row(_U, On.NORMAL),
        Operation.VIEW_LIST_GRANTS: Row(_M, On.ANYBODY),
        Operation.GRANT_ON_LIST: Row(_M),
        Operation.REVOKE_ON_LIST: Row(_M),
        Operation.EXPLAIN: Row(_U, On.ANYBODY),
        Operation.VIEW_FOLDERS: Row(_U, On.NORMAL),
        Operation.MANAGE_FOLDERS: Row(_U, On.NORMAL),
        Operation.VIEW_QUEUE: Row(_G, On.ANYBODY),
        Operation.MANAGE_QUEUE: Row(_G),
        Operation.VIEW_AUDIT: Row(_G, On.ANYBODY),
        Operation.MANAGE_KEYS: Row(_G),
        Operation.MANAGE_POLICY: Row(_G),
        Operation.BACK_UP: Row(_G),
        Operation.BREAK_GLASS: Row(_G),
    }
)

ACCOUNT_ATTRIBUTES: Mapping[str, Row] = MappingProxyType(
    {
        # personal data and preferences
        "displayName": Row(_H),
        **dict.fromkeys(PERSONAL, Row(_H)),
        "delegatedSent": Row(_H),
        "delegatedTrash": Row(_H),
        "delegatedSenderAddresses": Row(_H),
        "undoWindow": Row(_H),
        # passwords
        "mustChangePassword": Row(_H, On.NORMAL),
        # the account, its password policy, what it may do in the own name
        "note": Row(_U),
        "status": Row(_U),
        "delegationDigest": Row(_U),
        "lockoutEnabled": Row(_U),
        "lockoutMaxFailures": Row(_U),
        "lockoutFailureLifetime": Row(_U),
        "lockoutDuration": Row(_U),
        "lockoutSpareKnownSources": Row(_U),
        "passwordMinLength": Row(_U),
        "passwordMinUpperCaseChars": Row(_U),
        "passwordMinLowerCaseChars": Row(_U),
        "passwordMinNumericChars": Row(_U),
        "passwordMinPunctuationChars": Row(_U),
        "passwordMinDigitsOrPuncs": Row(_U),
        "passwordMaxAge": Row(_U),
        "passwordMinAge": Row(_U),
        "passwordEnforceHistory": Row(_U),
        "passwordBlockCommonEnabled": Row(_U),
        "delegationWhenLocked": Row(_U),
        "unauthorisedFrom": Row(_U),
        "allowResend": Row(_U),
        "quotaWarnPercent": Row(_U),
        "quotaWarnInterval": Row(_U),
        "quotaWarnMessage": Row(_U),
        "grantWarnBefore": Row(_U),
        "totpRequired": Row(_U),
        # who is an administrator
        "isDelegatedAdminAccount": Row(_D),
        "isGlobalAdministrator": Row(_G),
        # what is assigned to a domain, and what reaches beyond it
        "cos": Row(_G),
        "quota": Row(_G),
        "sendRate": Row(_G),
        "sendRecipientRate": Row(_G),
        "delegatedSendRate": Row(_G),
        "delegatedSendRecipientRate": Row(_G),
        "allowAnyFrom": Row(_G),
        "allowFromAddresses": Row(_G),
    }
)
"""By plain name, for MODIFY_ACCOUNT and CREATE_ACCOUNT."""

DOMAIN_ATTRIBUTES: Mapping[str, Row] = MappingProxyType(
    {
        "status": Row(_D),
        "delimiter": Row(_D),
        "note": Row(_D),
        "cos": Row(_G),
        "maxAccounts": Row(_G),
        "cosMaxAccounts": Row(_G),
        "maxQuota": Row(_G),
        "aggregateQuota": Row(_G),
        "aggregateQuotaPolicy": Row(_G),
        "aggregateQuotaWarnPercent": Row(_D),
        "aggregateQuotaWarnEmailRecipient": Row(_D),
    }
)
"""By plain name, for MODIFY_DOMAIN."""

_ATTRIBUTES: Mapping[Operation, Mapping[str, Row]] = MappingProxyType(
    {
        Operation.CREATE_ACCOUNT: ACCOUNT_ATTRIBUTES,
        Operation.MODIFY_ACCOUNT: ACCOUNT_ATTRIBUTES,
        Operation.MODIFY_DOMAIN: DOMAIN_ATTRIBUTES,
    }
)


@dataclass(frozen=True, slots=True)
class RoleGrant:
    """A role as it was given. It counts in `domain`, as long as the account is in that domain; times in microseconds."""

    role: Role
    domain: DomainId
    not_before: int | None = None
    expires: int | None = None
    note: str = ""

    def in_time(self, now: int) -> bool:
        """Has it begun, and not ended?"""
        return (self.not_before is None or self.not_before <= now) and (self.expires is None or now < self.expires)


@dataclass(frozen=True, slots=True)
class AdminStanding:
    """What an account is to administration. `initialised`: its domain is, for delegation; `marked`: isDelegatedAdminAccount."""

    account: AccountId
    domain: DomainId
    status: AccountStatus
    is_global: bool = False
    marked: bool = False
    initialised: bool = False
    grants: tuple[RoleGrant, ...] = ()

    @property
    def is_administrator(self) -> bool:
        """Of any kind, whether its roles count just now or not."""
        return self.is_global or self.marked or bool(self.grants)

    def above(self, roles: frozenset[Role]) -> bool:
        """Was it given a role that these roles do not include?"""
        given = {Role.GLOBAL} if self.is_global else {one.role for one in self.grants}
        return any(not any(one in INCLUDED[role] for role in roles) for one in given)

    def counting(self, now: int) -> frozenset[Role]:
        """The roles that count now."""
        if login_after_password(self.status) is not None:
            return frozenset()
        if self.is_global:
            return frozenset({Role.GLOBAL})
        if not (self.marked and self.initialised):
            return frozenset()
        return frozenset(one.role for one in self.grants if one.domain == self.domain and one.in_time(now))

    def obstacle(self, now: int) -> str:
        """Why no role counts, in words; "" where one does."""
        if self.counting(now):
            return ""
        if login_after_password(self.status) is not None:
            return f"the account is {self.status}"
        if not self.grants:
            return "no role was granted"
        if not self.marked:
            return "the account is not marked as delegated administrator (isDelegatedAdminAccount)"
        if not self.initialised:
            return "the domain is not initialised for delegation (initDomainForDelegation)"
        if not any(one.domain == self.domain for one in self.grants):
            return "the account has left the domain of its role"
        return "the role is outside its time"

    def changes_at(self, now: int) -> int | None:
        """When a grant of a role starts or ends next; None: never."""
        times = [time for one in self.grants for time in (one.not_before, one.expires) if time is not None and time > now]
        return min(times, default=None)


@dataclass(frozen=True, slots=True)
class Target:
    """Something that an operation concerns: an object in a domain, or an address to be made there.

    `domain` None: it is in none of ours that could be administered by itself (everybody, a class of service, the gateway).
    `account`: what it is to administration, where it is an account. `reached`: the administrators as whom this account, or whoever is
    in this list, may log in.
    """

    domain: DomainId | None
    account: AdminStanding | None = None
    reached: tuple[AdminStanding, ...] = ()
    is_dynamic: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """An operation with all that it concerns. `attributes`: plain names of those it sets; `roles`: those it gives or takes.

    `is_last_global`: it would leave no global administrator who can log in.
    """

    operation: Operation
    targets: tuple[Target, ...] = ()
    attributes: frozenset[str] = frozenset()
    roles: frozenset[Role] = frozenset()
    is_last_global: bool = False


def judge_admin(who: AdminStanding, asked: Asked, now: int) -> Decision:
    """May this administrator do that? The deciding step names the role that did, or the one that would be needed."""
    roles = who.counting(now)
    valid_until = who.changes_at(now)

    def no(text: str) -> Decision:
        return Decision(Refuse(Reason.ADMIN_NOT_PERMITTED, text), (step(text, decided=True),), valid_until)

    if not roles:
        return no(f"no admin role counts: {who.obstacle(now)}")
    held = _spelled(roles)
    if Role.GLOBAL not in roles and any(target.domain != who.domain for target in asked.targets):
        # Told before all else: what is in other domains, and whether it is there, shows in no other words.
        return no(_beyond(roles))
    row = MATRIX.get(asked.operation)
    if row is None:
        return no(f"only the operator of the machine may {asked.operation}")
    if not row.admits(roles):
        return no(f"to {asked.operation} needs the role {_spelled(row.listed)}, not {held}")
    rows = [row]
    if asked.operation in _ATTRIBUTES or asked.attributes:
        known = _ATTRIBUTES.get(asked.operation, {})
        for name in sorted(asked.attributes):
            one = known.get(name)
            if one is None:
                return no(f"only the operator of the machine may set {name}")
            if not one.admits(roles):
                return no(f"to set {name} needs the role {_spelled(one.listed)}, not {held}")
            rows.append(one)
    if asked.is_last_global:
        return no("it would leave no global administrator: only the operator of the machine may do that")
    if Role.GLOBAL in roles:
        return _yes(roles, asked, who, valid_until)
    for role in sorted(asked.roles):
        if not any(role in INCLUDED[one] for one in roles):
            return no(f"to {asked.operation} {role} needs a role that includes it, not {held}")
    if not asked.targets:
        return no(_beyond(roles))
    for target in asked.targets:
        refusal = _on(asked.operation, target, rows, roles)
        if refusal:
            return no(refusal)
    return _yes(roles, asked, who, valid_until)


def _on(operation: Operation, target: Target, rows: Sequence[Row], roles: frozenset[Role]) -> str:
    """Why not on this very target; "" where nothing is in the way."""
    manages = MATRIX[Operation.GRANT_ROLE].admits(roles)
    on = {row.on for row in rows}
    if on == {On.ANYBODY}:
        return ""
    if target.is_dynamic and not MATRIX[Operation.MANAGE_DYNAMIC_LIST].admits(roles):
        return f"a dynamic list needs the role {Role.GLOBAL}"
    account = target.account
    if any(one.is_administrator for one in target.reached) and (account is None or On.NORMAL in on):
        return f"to {operation} where one may log in as an administrator needs the role {Role.GLOBAL}"
    if account is None or not account.is_administrator:
        return ""
    if On.NORMAL in on or account.above(roles):
        return f"to {operation} on this administrator needs the role {Role.GLOBAL}, not {_spelled(roles)}"
    if not manages:
        return f"to {operation} on an administrator needs the role {Role.DOMAIN}, not {_spelled(roles)}"
    return ""


def _yes(roles: frozenset[Role], asked: Asked, who: AdminStanding, valid_until: int | None) -> Decision:
    text = f"role {_spelled(roles)}"
    if Role.GLOBAL in roles:
        return Decision(None, (step(text, decided=True),), valid_until)
    return Decision(None, (step(text, " of ", Grantee(GranteeKind.DOMAIN, who.domain), decided=True),), valid_until)


def _spelled(roles: Sequence[Role] | frozenset[Role]) -> str:
    """Those that no other one of them includes, in the order of the hierarchy."""
    given = set(roles)
    top = [role for role in Role if role in given and not any(role is not other and role in INCLUDED[other] for other in given)]
    return " or ".join(top) if isinstance(roles, tuple) else " and ".join(top)


def _beyond(roles: frozenset[Role]) -> str:
    return f"the role {_spelled(roles)} is for the own domain: beyond it needs the role {Role.GLOBAL}"


def beyond(who: AdminStanding, now: int) -> str:
    """What is said of everything outside the own domain, whether it is there or not; "" where all of it is administered, or nothing."""
    roles = who.counting(now)
    return "" if not roles or Role.GLOBAL in roles else _beyond(roles)
