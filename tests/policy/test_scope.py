"""What an app password leaves of the account's rights: by table, and never more than there was."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.grants import FolderEntry, Grantee, GranteeKind, Level, SendGrant, SendRight, Standing, judge_send_right, rights_of
from policy.identity import AccountId, CosId, DomainId
from policy.reasons import Reason
from policy.rights import ALL_RIGHTS, Right
from policy.scope import Door, Scope, Sending, judge_credential, why_not_administer

ME, OTHER, THIRD = AccountId(1), AccountId(2), AccountId(3)
NOW = 1000
ANY = Scope(7, "phone")


def standing(scope: Scope | None) -> Standing:
    return Standing(ME, DomainId(10), CosId(11), {}, scope)


LIMITED = Scope(7, "phone", frozenset({Door.IMAP}), (ip_network("192.0.2.0/24"), ip_network("2001:db8::/48")), expires=NOW + 1)


@pytest.mark.parametrize(
    ("scope", "door", "address", "now", "why"),
    [
        (None, "smtp", "198.51.100.1", NOW, ""),
        (ANY, "smtp", "198.51.100.1", NOW, ""),
        (LIMITED, "imap", "192.0.2.77", NOW, ""),
        (LIMITED, "imap", "::ffff:192.0.2.77", NOW, ""),
        (LIMITED, "imap", "2001:db8:0:1::5", NOW, ""),
        (LIMITED, "imap", "fe80::1%eth0", NOW, "is not for this network"),
        (LIMITED, "imap", "192.0.3.1", NOW, "is not for this network"),
        (LIMITED, "imap", "", NOW, "is not for this network"),
        (LIMITED, "smtp", "192.0.2.77", NOW, "is not for smtp"),
        (LIMITED, "imap", "192.0.2.77", NOW + 1, "has expired"),
        (Scope(7, "reader", sending=frozenset(), rights=Right.READ), "smtp", "192.0.2.1", NOW, "does not allow sending"),
        (Scope(7, "answers", sending=frozenset(), rights=Right.ACTION), "smtp", "192.0.2.1", NOW, ""),
    ],
)
def test_where_it_may_be_used(scope: Scope | None, door: str, address: str, now: int, why: str) -> None:
    found = judge_credential(scope, door, address, now)
    assert (found is None) == (not why)
    if found is not None:
        assert (found.reason, found.detail) == (Reason.CREDENTIAL_NOT_PERMITTED, f"this app password {why}")


@pytest.mark.parametrize("scope", [ANY, LIMITED, Scope(1, "all", rights=ALL_RIGHTS, sending=frozenset(Sending))])
def test_it_never_administers(scope: Scope) -> None:
    refusal = why_not_administer(scope)
    assert refusal is not None
    assert refusal.reason is Reason.ADMIN_NOT_PERMITTED
    assert why_not_administer(None) is None
    assert Right.ADMIN not in rights_of(standing(scope), ME, (), NOW).rights, "nor lets others in"


@pytest.mark.parametrize(
    ("principal", "owner", "left"),
    [
        (None, ME, True),
        (None, OTHER, True),
        (ME, ME, True),
        (ME, OTHER, False),
        (OTHER, ME, False),
        (OTHER, OTHER, True),
        (THIRD, OTHER, False),
    ],
)
def test_one_principal_only(principal: int | None, owner: AccountId, left: bool) -> None:
    level = Level("/", [FolderEntry(Grantee(GranteeKind.ACCOUNT, ME), Right.LOOKUP | Right.READ)])
    scope = Scope(7, "phone", principal=principal)
    assert bool(rights_of(standing(scope), owner, [level], NOW).rights) is left
    grants = [SendGrant(OTHER, Grantee(GranteeKind.ACCOUNT, ME), SendRight.SEND_AS)]
    assert judge_send_right(standing(scope), owner, SendRight.SEND_AS, grants, NOW).allowed is left


@pytest.mark.parametrize("right", [SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF, SendRight.LOGIN_AS])
def test_a_send_right_needs_grant_and_scope(right: SendRight) -> None:
    granted = [SendGrant(OTHER, Grantee(GranteeKind.ACCOUNT, ME), right)]
    for words in (frozenset[Sending](), frozenset({Sending(right)}), frozenset(Sending) - {Sending(right)}):
        for grants in ([], granted):
            decision = judge_send_right(standing(Scope(7, "phone", sending=words)), OTHER, right, grants, NOW)
            assert decision.allowed is (bool(grants) and Sending(right) in words)
            assert [one.decided for one in decision.trace].count(True) == 1
    late = judge_send_right(standing(Scope(7, "p", sending=frozenset(Sending), expires=NOW + 5)), OTHER, right, granted, NOW)
    assert (late.allowed, late.valid_until) == (True, NOW + 5)


def test_posting_is_not_narrowed() -> None:
    assert judge_send_right(standing(Scope(7, "p", principal=THIRD, sending=frozenset())), 9, SendRight.SEND_TO_LIST, [], NOW).allowed


def test_it_ends_to_the_second() -> None:
    scope = Scope(7, "phone", expires=NOW + 1)
    held = rights_of(standing(scope), ME, (), NOW)
    assert (bool(held.rights), held.valid_until) == (True, NOW + 1)
    assert rights_of(standing(scope), ME, (), NOW + 1).rights == Right.NONE
    assert rights_of(standing(scope.limits()), ME, (), NOW + 1).rights, "what waits is judged by the limits alone"


rights = st.integers(0, int(ALL_RIGHTS)).map(Right)
scopes = st.builds(
    Scope,
    st.just(7),
    st.just("x"),
    principal=st.sampled_from([None, ME, OTHER, THIRD]),
    rights=rights,
    sending=st.frozensets(st.sampled_from(Sending)),
    expires=st.sampled_from([None, NOW, NOW + 1]),
)


@given(scope=scopes, granted=rights, owner=st.sampled_from([ME, OTHER]))
def test_never_more_than_without_it(scope: Scope, granted: Right, owner: AccountId) -> None:
    levels = [Level("/", [FolderEntry(Grantee(GranteeKind.ACCOUNT, ME), granted)])]
    narrowed = rights_of(standing(scope), owner, levels, NOW).rights
    assert narrowed & ~rights_of(standing(None), owner, levels, NOW).rights == Right.NONE
    assert narrowed & ~scope.rights == Right.NONE
    for right in (SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF, SendRight.LOGIN_AS):
        grants = [SendGrant(OTHER, Grantee(GranteeKind.ACCOUNT, ME), right)] if granted & Right.READ else []
        if judge_send_right(standing(scope), owner, right, grants, NOW).allowed:
            assert judge_send_right(standing(None), owner, right, grants, NOW).allowed
