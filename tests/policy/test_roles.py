"""Role x target role x operation x same or other domain, against a table that was written by hand from the issue's list."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from policy.identity import AccountId, DomainId
from policy.reasons import Reason
from policy.roles import (
    ACCOUNT_ATTRIBUTES,
    DOMAIN_ATTRIBUTES,
    MATRIX,
    AdminStanding,
    Asked,
    Operation,
    Role,
    RoleGrant,
    Target,
    beyond,
    judge_admin,
)
from policy.status import AccountStatus

HOME, AWAY = DomainId(1), DomainId(2)
NOW = 1_000

# One column for each role: Global, Domain, Delegated Domain, User Management, Group Management, Help Desk. What the operation may be done
# on in the own domain: `n` a normal account, list or the domain itself, `a` administrators up to the own role besides (Global: all).
# `-`: not at all. Everything that Global has holds in other domains too, of the others nothing.
OPERATIONS = """
                                        G D E U M H
create a domain                         a - - - - -
create an alias domain                  a - - - - -
delete a domain                         a - - - - -
rename a domain                         a - - - - -
initialise a domain for delegation      a - - - - -
view a domain                           a * * - - -
modify a domain                         a a - - - -
create a class of service               a - - - - -
view classes of service                 a - - - - -
modify a class of service               a - - - - -
delete a class of service               a - - - - -
view roles                              a * - - - -
grant a role                            a a - - - -
revoke a role                           a a - - - -
create an account                       a a n n - -
view an account                         a * * * - *
modify an account                       a a n n - n
rename an account                       a a n n - -
delete an account                       a a n n - -
restore an account                      a a n n - -
add an alias to an account              a a n n - -
remove an alias from an account         a a n n - -
log in as a user                        a n n n - -
set a password                          a n n n - n
manage app passwords                    a n n n - n
manage one-time codes                   a n n n - n
end a lockout                           a n n n - n
view sessions                           a * * * - *
end sessions                            a a n n - n
view the login history                  a * * * - *
freeze sending                          a a n n - -
undelete messages                       a n n n - n
create a list                           a a n n n -
view a list                             a * * * * -
modify a list                           a a n n n -
rename a list                           a a n n n -
delete a list                           a a n n n -
add members to a list                   a a n n n -
remove members from a list              a a n n n -
add an alias to a list                  a a n n n -
remove an alias from a list             a a n n n -
manage a dynamic list                   a - - - - -
view grants on an account               a * * * - -
grant rights on an account              a n n n - -
revoke rights on an account             a n n n - -
view grants on a list                   a * * * * -
grant rights on a list                  a a n n n -
revoke rights on a list                 a a n n n -
explain decisions                       a * * * - -
view folders                            a n n n - -
manage folders                          a n n n - -
view the queue                          a - - - - -
manage the queue                        a - - - - -
view the audit                          a - - - - -
manage signing keys                     a - - - - -
manage policy as data                   a - - - - -
back up and verify                      a - - - - -
open a mailbox by break-glass           a - - - - -
"""
# `*` above: only looked at, so of anybody in the domain.

# Who may set which attribute, on whom.
ACCOUNT = """
                                        G D E U M H
displayName                             a a n n - n
givenName                               a a n n - n
initials                                a a n n - n
sn                                      a a n n - n
cn                                      a a n n - n
title                                   a a n n - n
department                              a a n n - n
company                                 a a n n - n
office                                  a a n n - n
employeeNumber                          a a n n - n
telephoneNumber                         a a n n - n
homePhone                               a a n n - n
mobile                                  a a n n - n
facsimileTelephoneNumber                a a n n - n
pager                                   a a n n - n
street                                  a a n n - n
l                                       a a n n - n
st                                      a a n n - n
postalCode                              a a n n - n
co                                      a a n n - n
delegatedSent                           a a n n - n
delegatedTrash                          a a n n - n
delegatedSenderAddresses                a a n n - n
undoWindow                              a a n n - n
mustChangePassword                      a n n n - n
note                                    a a n n - -
status                                  a a n n - -
delegationDigest                        a a n n - -
lockoutEnabled                          a a n n - -
lockoutMaxFailures                      a a n n - -
lockoutFailureLifetime                  a a n n - -
lockoutDuration                         a a n n - -
lockoutSpareKnownSources                a a n n - -
passwordMinLength                       a a n n - -
passwordMinUpperCaseChars               a a n n - -
passwordMinLowerCaseChars               a a n n - -
passwordMinNumericChars                 a a n n - -
passwordMinPunctuationChars             a a n n - -
passwordMinDigitsOrPuncs                a a n n - -
passwordMaxAge                          a a n n - -
passwordMinAge                          a a n n - -
passwordEnforceHistory                  a a n n - -
passwordBlockCommonEnabled              a a n n - -
delegationWhenLocked                    a a n n - -
unauthorisedFrom                        a a n n - -
allowResend                             a a n n - -
quotaWarnPercent                        a a n n - -
quotaWarnInterval                       a a n n - -
quotaWarnMessage                        a a n n - -
grantWarnBefore                         a a n n - -
totpRequired                            a a n n - -
isDelegatedAdminAccount                 a a - - - -
isGlobalAdministrator                   a - - - - -
cos                                     a - - - - -
quota                                   a - - - - -
sendRate                                a - - - - -
sendRecipientRate                       a - - - - -
delegatedSendRate                       a - - - - -
delegatedSendRecipientRate              a - - - - -
allowAnyFrom                            a - - - - -
allowFromAddresses                      a - - - - -
"""
DOMAIN = """
                                        G D E U M H
status                                  a a - - - -
delimiter                               a a - - - -
note                                    a a - - - -
cos                                     a - - - - -
maxAccounts                             a - - - - -
cosMaxAccounts                          a - - - - -
maxQuota                                a - - - - -
aggregateQuota                          a - - - - -
aggregateQuotaPolicy                    a - - - - -
aggregateQuotaWarnPercent               a a - - - -
aggregateQuotaWarnEmailRecipient        a a - - - -
"""

COLUMNS = (Role.GLOBAL, Role.DOMAIN, Role.DELEGATED_DOMAIN, Role.USER_MANAGEMENT, Role.GROUP_MANAGEMENT, Role.HELP_DESK)
HEIGHT = {
    None: 0,
    Role.HELP_DESK: 1,
    Role.GROUP_MANAGEMENT: 1,
    Role.USER_MANAGEMENT: 2,
    Role.DELEGATED_DOMAIN: 3,
    Role.DOMAIN: 4,
    Role.GLOBAL: 5,
}


def read(table: str) -> dict[str, dict[Role, str]]:
    rows = {}
    for line in table.strip("\n").splitlines()[1:]:
        name, cells = line[:40].strip(), line[40:].split()
        assert len(cells) == len(COLUMNS), line
        rows[name] = dict(zip(COLUMNS, cells, strict=True))
    return rows


def administrator(role: Role | None, domain: DomainId = HOME, number: int = 7) -> AdminStanding:
    if role is None:
        return AdminStanding(AccountId(number), domain, AccountStatus.ACTIVE)
    if role is Role.GLOBAL:
        return AdminStanding(AccountId(number), domain, AccountStatus.ACTIVE, is_global=True)
    return AdminStanding(AccountId(number), domain, AccountStatus.ACTIVE, False, True, True, (RoleGrant(role, domain),))


def expected(cell: str, role: Role, target: Role | None, same: bool) -> bool:
    if cell == "-":
        return False
    if role is Role.GLOBAL:
        return True
    if not same:
        return False
    if target is None or cell == "*":
        return True
    return cell == "a" and HEIGHT[target] <= HEIGHT[role]


def grid(table: str) -> Iterator[tuple[str, Role, Role | None, bool, bool]]:
    for name, row in read(table).items():
        for role in COLUMNS:
            for target in (None, *COLUMNS):
                for same in (True, False):
                    yield name, role, target, same, expected(row[role], role, target, same)


def on(target: Role | None, same: bool) -> tuple[Target, ...]:
    domain = HOME if same else AWAY
    return (Target(domain, administrator(target, domain, 8)),)


def test_every_operation_role_target_and_domain_as_written() -> None:
    wrong = []
    for name, role, target, same, allowed in grid(OPERATIONS):
        decision = judge_admin(administrator(role), Asked(Operation(name), on(target, same)), NOW)
        if decision.allowed != allowed:
            wrong.append((name, role, target, same, allowed))
        assert decision.allowed or (decision.refusal is not None and decision.refusal.reason is Reason.ADMIN_NOT_PERMITTED)
    assert not wrong


@pytest.mark.parametrize(
    ("operation", "table"), [(Operation.MODIFY_ACCOUNT, ACCOUNT), (Operation.CREATE_ACCOUNT, ACCOUNT), (Operation.MODIFY_DOMAIN, DOMAIN)]
)
def test_every_attribute_role_target_and_domain_as_written(operation: Operation, table: str) -> None:
    allows = read(OPERATIONS)[str(operation)]
    for name, role, target, same, allowed in grid(table):
        decision = judge_admin(administrator(role), Asked(operation, on(target, same), frozenset({name})), NOW)
        assert decision.allowed == (allowed and allows[role] != "-"), (name, role, target, same)


def test_the_tables_name_everything_there_is() -> None:
    assert read(OPERATIONS).keys() == set(Operation) == set(MATRIX)
    assert read(ACCOUNT).keys() == ACCOUNT_ATTRIBUTES.keys()
    assert read(DOMAIN).keys() == DOMAIN_ATTRIBUTES.keys()


def test_what_has_no_row_is_the_operators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policy.roles.MATRIX", {one: row for one, row in MATRIX.items() if one is not Operation.SET_PASSWORD})
    decision = judge_admin(administrator(Role.GLOBAL), Asked(Operation.SET_PASSWORD, on(None, True)), NOW)
    assert decision.because == "only the operator of the machine may set a password"
    decision = judge_admin(administrator(Role.GLOBAL), Asked(Operation.MODIFY_ACCOUNT, on(None, True), frozenset({"shoeSize"})), NOW)
    assert decision.because == "only the operator of the machine may set shoeSize"


@pytest.mark.parametrize("operation", Operation)
def test_who_holds_nothing_may_nothing(operation: Operation) -> None:
    assert not judge_admin(administrator(None), Asked(operation, on(None, True)), NOW).allowed


@pytest.mark.parametrize(
    ("change", "obstacle"),
    [
        ({"marked": False}, "isDelegatedAdminAccount"),
        ({"initialised": False}, "initDomainForDelegation"),
        ({"status": AccountStatus.LOCKED}, "the account is locked"),
        ({"status": AccountStatus.CLOSED}, "the account is closed"),
        ({"domain": AWAY}, "has left the domain"),
        ({"grants": ()}, "no role was granted"),
        ({"grants": (RoleGrant(Role.HELP_DESK, HOME, not_before=NOW + 1),)}, "outside its time"),
        ({"grants": (RoleGrant(Role.HELP_DESK, HOME, expires=NOW),)}, "outside its time"),
    ],
)
def test_before_a_role_counts(change: dict[str, object], obstacle: str) -> None:
    who = replace(administrator(Role.HELP_DESK), **change)  # type: ignore[arg-type]
    decision = judge_admin(who, Asked(Operation.VIEW_ACCOUNT, (Target(who.domain),)), NOW)
    assert not decision.allowed
    assert obstacle in decision.because
    assert obstacle in who.obstacle(NOW)


def test_a_locked_global_administrator_administers_nothing() -> None:
    who = replace(administrator(Role.GLOBAL), status=AccountStatus.LOCKED)
    assert not judge_admin(who, Asked(Operation.VIEW_QUEUE), NOW).allowed


def test_a_role_holds_until_the_moment_it_ends() -> None:
    who = replace(administrator(Role.HELP_DESK), grants=(RoleGrant(Role.HELP_DESK, HOME, NOW, NOW + 5),))
    asked = Asked(Operation.VIEW_ACCOUNT, on(None, True))
    assert [judge_admin(who, asked, at).allowed for at in (NOW - 1, NOW, NOW + 4, NOW + 5)] == [False, True, True, False]
    assert [judge_admin(who, asked, at).valid_until for at in (NOW - 1, NOW, NOW + 5)] == [NOW, NOW + 5, None]


GIVEN = """
                                        G D E U M H
global                                  a - - - - -
domain                                  a a - - - -
delegated-domain                        a a - - - -
user-management                         a a - - - -
group-management                        a a - - - -
help-desk                               a a - - - -
"""


@pytest.mark.parametrize("operation", [Operation.GRANT_ROLE, Operation.REVOKE_ROLE])
def test_no_role_gives_what_it_lacks(operation: Operation) -> None:
    for name, row in read(GIVEN).items():
        for role in COLUMNS:
            asked = Asked(operation, on(None, True), roles=frozenset({Role(name)}))
            assert judge_admin(administrator(role), asked, NOW).allowed == (row[role] == "a"), (name, role)


def test_two_roles_side_by_side_do_what_either_does() -> None:
    both = replace(administrator(Role.HELP_DESK), grants=(RoleGrant(Role.HELP_DESK, HOME), RoleGrant(Role.GROUP_MANAGEMENT, HOME)))
    allowed = {one for one in Operation if judge_admin(both, Asked(one, on(None, True)), NOW).allowed}
    assert {Operation.SET_PASSWORD, Operation.ADD_MEMBERS} <= allowed
    assert Operation.CREATE_ACCOUNT not in allowed


def test_one_target_out_of_reach_is_enough() -> None:
    who = administrator(Role.USER_MANAGEMENT)
    for target in (Target(AWAY), Target(None), Target(HOME, administrator(Role.HELP_DESK))):
        assert not judge_admin(who, Asked(Operation.RENAME_ACCOUNT, (*on(None, True), target)), NOW).allowed
    assert not judge_admin(who, Asked(Operation.RENAME_ACCOUNT), NOW).allowed


def test_an_account_that_is_only_marked_is_an_administrator() -> None:
    marked = (Target(HOME, replace(administrator(None), marked=True)),)
    assert not judge_admin(administrator(Role.USER_MANAGEMENT), Asked(Operation.MODIFY_ACCOUNT, marked), NOW).allowed
    assert judge_admin(administrator(Role.DOMAIN), Asked(Operation.MODIFY_ACCOUNT, marked), NOW).allowed
    assert not judge_admin(administrator(Role.DOMAIN), Asked(Operation.SET_PASSWORD, marked), NOW).allowed


def test_where_one_may_log_in_as_an_administrator_only_global_ones_put_people_in() -> None:
    member = Target(HOME, None, (administrator(Role.HELP_DESK),))
    friend = Target(HOME, administrator(None), (administrator(Role.DOMAIN),))
    for role in COLUMNS[1:]:
        assert not judge_admin(administrator(role), Asked(Operation.ADD_MEMBERS, (member,)), NOW).allowed
        assert not judge_admin(administrator(role), Asked(Operation.SET_PASSWORD, (friend,)), NOW).allowed
    assert judge_admin(administrator(Role.GLOBAL), Asked(Operation.ADD_MEMBERS, (member,)), NOW).allowed
    assert judge_admin(administrator(Role.HELP_DESK), Asked(Operation.MODIFY_ACCOUNT, (friend,), frozenset({"displayName"})), NOW).allowed
    assert judge_admin(administrator(Role.GROUP_MANAGEMENT), Asked(Operation.VIEW_LIST, (member,)), NOW).allowed


def test_dynamic_lists_are_beyond_group_management() -> None:
    dynamic = (Target(HOME, is_dynamic=True),)
    for role in COLUMNS[1:]:
        assert not judge_admin(administrator(role), Asked(Operation.MODIFY_LIST, dynamic), NOW).allowed
    assert judge_admin(administrator(Role.GLOBAL), Asked(Operation.MODIFY_LIST, dynamic), NOW).allowed


def test_the_last_global_administrator_stays() -> None:
    decision = judge_admin(administrator(Role.GLOBAL), Asked(Operation.DELETE_ACCOUNT, on(Role.GLOBAL, True), is_last_global=True), NOW)
    assert not decision.allowed
    assert "no global administrator" in decision.because


def test_what_is_elsewhere_is_refused_in_the_same_words_whatever_is_asked() -> None:
    who = administrator(Role.HELP_DESK)
    told = {judge_admin(who, Asked(one, on(target, False)), NOW).because for one in Operation for target in (None, *COLUMNS)}
    assert told == {beyond(who, NOW)}
    assert beyond(administrator(Role.GLOBAL), NOW) == beyond(administrator(None), NOW) == ""


def test_a_refusal_names_the_role_that_is_needed() -> None:
    def because(role: Role, operation: Operation, *attributes: str, target: Role | None = None) -> str:
        return judge_admin(administrator(role), Asked(operation, on(target, True), frozenset(attributes)), NOW).because

    assert because(Role.HELP_DESK, Operation.DELETE_ACCOUNT) == "to delete an account needs the role user-management, not help-desk"
    assert because(Role.DOMAIN, Operation.MODIFY_DOMAIN, "maxAccounts") == "to set maxAccounts needs the role global, not domain"
    assert "needs the role global" in because(Role.HELP_DESK, Operation.SET_PASSWORD, target=Role.HELP_DESK)
    assert "needs the role domain" in because(Role.USER_MANAGEMENT, Operation.RENAME_ACCOUNT, target=Role.HELP_DESK)
