"""Which right suffices for which operation: delegation.md section 2's table, written out by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.decision import Decision
from policy.folders import (
    NEEDS,
    FlagChange,
    FolderFacts,
    FolderOp,
    SpecialUse,
    judge_folder,
    judge_grant_change,
    permitted_flags,
    rights_on,
    selectable_for_writing,
)
from policy.grants import FolderEntry, Grantee, GranteeKind, Level, Standing
from policy.identity import AccountId, CosId, DomainId
from policy.reasons import Defer, Reason, Refuse
from policy.rights import ALL_RIGHTS, Right, parse_letters, parse_rfc
from policy.status import Access

OWNER, DELEGATE = AccountId(1), AccountId(2)
STANDING = Standing(DELEGATE, DomainId(21), CosId(31), {})
HIM = Grantee(GranteeKind.ACCOUNT, DELEGATE)
NOON = 1_800_000_000_000_000


def facts(rights: Right, **more: object) -> FolderFacts:
    base = FolderFacts(
        STANDING, OWNER, "owner@acme.test", Access.BY_GRANT, False, [Level("/a", [FolderEntry(HIM, rights)]), Level("/", [])]
    )
    return replace(base, **more)  # type: ignore[arg-type]


def judged(op: str, rights: Right, **more: object) -> Decision:
    return judge_folder(FolderOp(op), facts(rights, **more), NOON)


GRID = {
    # operation: the sets of RFC letters that are just enough ("!" is the right to accept, which has none)
    "see": ["l"],
    "read": ["lr"],
    "mark seen": ["ls"],
    "mark deleted": ["lt"],
    "mark": ["lw"],
    "change flags": ["ls", "lt", "lw"],
    "insert": ["li"],
    "take out": ["lrte"],
    "replace draft": ["lirte"],
    "expunge": ["le"],
    "create": ["lk"],
    "rename": ["lx"],
    "delete": ["lx"],
    "administer": ["la"],
    "quota": ["lr"],
    "get metadata": ["lr"],
    "set metadata": ["lw"],
    "accept invitations": ["!"],
}
EACH = "lrswikxtea!"


def rights(letters: str) -> Right:
    return parse_rfc(letters.replace("!", "")) | (Right.ACTION if "!" in letters else Right.NONE)


def test_every_operation_has_a_row() -> None:
    assert set(NEEDS) == set(FolderOp)
    assert set(GRID) == {str(op) for op in FolderOp}


@pytest.mark.parametrize(("op", "enough"), [(op, one) for op, sets in GRID.items() for one in sets])
def test_just_enough_is_enough_and_one_right_less_is_not(op: str, enough: str) -> None:
    assert judged(op, rights(enough)).allowed
    for letter in enough:
        assert not judged(op, rights(enough.replace(letter, ""))).allowed


@pytest.mark.parametrize("op", GRID)
def test_everything_else_together_is_not_enough(op: str) -> None:
    for enough in GRID[op]:
        for letter in enough:
            less = EACH.replace(letter, "") if len(GRID[op]) == 1 else "".join(one for one in EACH if one not in "stw")
            assert not judged(op, rights(less)).allowed


@pytest.mark.parametrize("op", [op for op in GRID if op != "accept invitations"])
@pytest.mark.parametrize("access", [Access.BY_GRANT, Access.UNAVAILABLE, Access.HIDDEN])
def test_without_lookup_a_folder_is_not_there_whatever_was_asked(op: str, access: Access) -> None:
    refusal = Refuse(Reason.FOLDER_UNKNOWN)
    assert judged(op, rights("rswikxtea!"), access=access).refusal == refusal
    assert judged(op, rights("rswikxtea!"), access=access, special_use=SpecialUse.INBOX).refusal == refusal


@pytest.mark.parametrize(
    ("op", "held", "detail"),
    [
        ("insert", "lr", "you need 'i' (insert) on this folder; ask owner@acme.test"),
        ("take out", "lr", "you need 't' (delete messages) and 'e' (expunge) on this folder; ask owner@acme.test"),
        ("rename", "lr", "you need 'x' (delete the folder) on this folder; ask owner@acme.test"),
        (
            "change flags",
            "lr",
            "you need one of 's' (mark as seen), 'w' (write) and 't' (delete messages) on this folder; ask owner@acme.test",
        ),
        ("accept invitations", "lrswikxtea", "you need 'x' (accept invitations) on this folder; ask owner@acme.test"),
    ],
)
def test_a_refusal_names_the_right_and_whom_to_ask(op: str, held: str, detail: str) -> None:
    assert judged(op, rights(held)).refusal == Refuse(Reason.RIGHT_MISSING, detail)


LETTERS = {
    # Carbonio's letters alone and together: what they let a delegate do
    "r": {"see", "read", "quota", "get metadata"},
    "rw": {"see", "read", "quota", "get metadata", "mark seen", "mark", "change flags", "set metadata"},
    "ri": {"see", "read", "quota", "get metadata", "insert", "create"},
    "rd": {"see", "read", "quota", "get metadata", "mark deleted", "change flags", "take out", "expunge", "rename", "delete"},
    "rx": {"see", "read", "quota", "get metadata", "accept invitations"},
    "ra": {"see", "read", "quota", "get metadata", "administer"},
    "rwixd": set(GRID) - {"administer"},
    "rwixda": set(GRID),
    "x": {"accept invitations"},
    "w": set(),
    "i": set(),
    "d": set(),
    "a": set(),
    "none": set(),
}


@pytest.mark.parametrize("letters", LETTERS)
def test_what_each_letter_allows(letters: str) -> None:
    allowed = {op for op in GRID if judged(op, parse_letters(letters)).allowed}
    assert allowed == LETTERS[letters]


@pytest.mark.parametrize(
    ("special_use", "held", "allowed"),
    [
        (SpecialUse.DRAFTS, "lrw", True),
        (SpecialUse.DRAFTS, "lirte", True),
        (SpecialUse.DRAFTS, "lr", False),
        (SpecialUse.DRAFTS, "lw", False),
        (None, "lrw", False),
        (SpecialUse.SENT, "lrw", False),
        (None, "lirte", True),
    ],
)
def test_replacing_a_draft_needs_less_in_a_drafts_folder(special_use: SpecialUse | None, held: str, allowed: bool) -> None:
    assert judged("replace draft", rights(held), special_use=special_use).allowed is allowed


PROTECTED = [
    # special use, is root, operation: delegate with every right, owner
    (None, False, "rename", True, True),
    (None, False, "delete", True, True),
    (SpecialUse.INBOX, False, "rename", False, True),
    (SpecialUse.INBOX, False, "delete", False, False),
    (SpecialUse.SENT, False, "rename", False, True),
    (SpecialUse.SENT, False, "delete", False, True),
    (SpecialUse.TRASH, False, "delete", False, True),
    (SpecialUse.JUNK, False, "delete", False, True),
    (SpecialUse.ARCHIVE, False, "rename", False, True),
    (SpecialUse.CALENDAR, False, "delete", False, True),
    (None, True, "rename", False, False),
    (None, True, "delete", False, False),
    (None, True, "create", True, True),
    (SpecialUse.INBOX, False, "insert", True, True),
]


@pytest.mark.parametrize(("special_use", "is_root", "op", "delegate", "owner"), PROTECTED)
def test_inbox_root_and_special_folders_are_protected(
    special_use: SpecialUse | None, is_root: bool, op: str, delegate: bool, owner: bool
) -> None:
    for standing, allowed in ((STANDING, delegate), (replace(STANDING, account=OWNER), owner)):
        decision = judged(op, ALL_RIGHTS, special_use=special_use, is_root=is_root, actor=standing)
        assert decision.allowed is allowed
        if not allowed:
            assert decision.refusal is not None
            assert decision.refusal.reason is Reason.NOT_ALLOWED_ON_THIS_FOLDER


def test_who_lacks_the_right_is_not_told_of_the_protection() -> None:
    refusal = judged("delete", rights("lr"), special_use=SpecialUse.INBOX).refusal
    assert refusal is not None
    assert refusal.reason is Reason.RIGHT_MISSING


@pytest.mark.parametrize("op", GRID)
def test_maintenance_leaves_the_folder_listed_and_nothing_else(op: str) -> None:
    refusal = judged(op, ALL_RIGHTS, access=Access.UNAVAILABLE).refusal
    assert refusal == (None if op == "see" else Defer(Reason.OWNER_MAINTENANCE, "the owner's account is in maintenance"))


def test_rights_are_judged_before_status() -> None:
    for access in (Access.BY_GRANT, Access.UNAVAILABLE):
        refusal = judged("insert", rights("lr"), access=access).refusal
        assert refusal == Refuse(Reason.RIGHT_MISSING, "you need 'i' (insert) on this folder; ask owner@acme.test")
    readonly = judged("insert", rights("lr"), read_only=True).refusal
    assert readonly == Refuse(Reason.RIGHT_MISSING, "you need 'i' (insert) on this folder; ask owner@acme.test")


@pytest.mark.parametrize("op", GRID)
def test_a_hidden_owner_is_as_if_not_there(op: str) -> None:
    assert judged(op, ALL_RIGHTS, access=Access.HIDDEN).refusal == Refuse(Reason.FOLDER_UNKNOWN)


@pytest.mark.parametrize("op", GRID)
def test_a_locked_owner_may_leave_reading(op: str) -> None:
    assert judged(op, ALL_RIGHTS, read_only=True).allowed is (op in {"see", "read", "quota", "get metadata"})


def test_who_holds_the_right_is_told_that_the_owner_is_locked() -> None:
    refusal = judged("insert", ALL_RIGHTS, read_only=True).refusal
    assert refusal == Refuse(Reason.RIGHT_MISSING, "'i' (insert) does not count while the owner's account is locked; ask owner@acme.test")


@pytest.mark.parametrize("access", Access)
@pytest.mark.parametrize("op", GRID)
def test_nothing_stops_the_owner(access: Access, op: str) -> None:
    assert judged(op, Right.NONE, actor=replace(STANDING, account=OWNER), access=access, read_only=True).allowed


def test_rights_on_counts_the_status_in() -> None:
    assert rights_on(facts(ALL_RIGHTS), NOON) == ALL_RIGHTS
    assert rights_on(facts(ALL_RIGHTS, read_only=True), NOON) == Right.LOOKUP | Right.READ
    assert rights_on(facts(ALL_RIGHTS, access=Access.HIDDEN), NOON) == Right.NONE
    assert rights_on(facts(rights("lrs"), access=Access.UNAVAILABLE), NOON) == rights("lrs")
    assert rights_on(facts(Right.NONE, actor=replace(STANDING, account=OWNER), access=Access.HIDDEN), NOON) == ALL_RIGHTS


def test_the_trace_marks_what_decided() -> None:
    assert judged("read", rights("lr")).because == "account #2 on /a: r"
    assert judged("insert", rights("lr")).because == "missing: 'i' (insert); held: r"
    assert (
        judged("read", ALL_RIGHTS, access=Access.HIDDEN).because
        == "granted, but the status of the owner's account leaves nothing to delegates"
    )
    assert judged("read", Right.NONE, actor=replace(STANDING, account=OWNER)).because == "the actor owns the mailbox and holds every right"


def test_a_decision_lasts_until_the_grant_ends() -> None:
    ending = [Level("/", [FolderEntry(HIM, ALL_RIGHTS, None, NOON + 7)])]
    assert judged("read", ALL_RIGHTS, levels=ending).valid_until == NOON + 7
    assert judge_folder(FolderOp.READ, facts(ALL_RIGHTS, levels=ending), NOON + 7).refusal == Refuse(Reason.FOLDER_UNKNOWN)


FLAGS = [
    # asked: seen, deleted, others; held; left
    ((True, True, True), "lrstw", (True, True, True)),
    ((True, True, True), "lrs", (True, False, False)),
    ((True, True, True), "lrt", (False, True, False)),
    ((True, True, True), "lrw", (False, False, True)),
    ((True, False, False), "lrtw", (False, False, False)),
    ((False, False, False), "lrstw", (False, False, False)),
]


@pytest.mark.parametrize(("asked", "held", "left"), FLAGS)
def test_of_a_flag_change_what_is_allowed_is_left(asked: tuple[bool, bool, bool], held: str, left: tuple[bool, bool, bool]) -> None:
    found = permitted_flags(FlagChange(*asked), rights(held))
    assert (found.seen, found.deleted, found.others) == left
    assert bool(found) is any(left)


any_rights = st.integers(0, int(ALL_RIGHTS)).map(Right)


@given(st.builds(FlagChange, st.booleans(), st.booleans(), st.booleans()), any_rights, any_rights)
def test_permitted_flags_are_a_subset_and_grow_with_rights(asked: FlagChange, held: Right, more: Right) -> None:
    less, full = permitted_flags(asked, held), permitted_flags(asked, held | more)
    for name in ("seen", "deleted", "others"):
        assert getattr(less, name) <= getattr(full, name) <= getattr(asked, name)


@pytest.mark.parametrize(
    ("held", "shared", "private"),
    [
        ("lr", False, False),
        ("lrs", True, False),
        ("lrw", True, True),
        ("lri", True, True),
        ("lrt", True, True),
        ("lre", True, True),
        ("lrkxa", False, False),
    ],
)
def test_select_is_read_write_with_any_right_to_change(held: str, shared: bool, private: bool) -> None:
    assert selectable_for_writing(rights(held), seen_private=False) is shared
    assert selectable_for_writing(rights(held), seen_private=True) is private


GIVING = [
    # held, given, taken → reason
    ("lra", "lr", "", None),
    ("lra", "", "a", None),
    ("lra", "li", "", Reason.GRANT_NOT_POSSIBLE),
    ("lra", "", "t", Reason.GRANT_NOT_POSSIBLE),
    ("lra", "!", "", Reason.GRANT_NOT_POSSIBLE),
    ("lrswikxte!", "r", "", Reason.RIGHT_MISSING),
    ("ra", "r", "", Reason.FOLDER_UNKNOWN),
]


@pytest.mark.parametrize(("held", "given", "taken", "reason"), GIVING)
def test_a_holder_of_a_passes_on_only_what_it_holds(held: str, given: str, taken: str, reason: Reason | None) -> None:
    decision = judge_grant_change(facts(rights(held)), rights(given), rights(taken), NOON)
    assert (decision.refusal.reason if decision.refusal else None) == reason
    assert sum(one.decided for one in decision.trace) == 1


def test_the_owner_gives_and_takes_everything() -> None:
    assert judge_grant_change(facts(Right.NONE, actor=replace(STANDING, account=OWNER)), ALL_RIGHTS, ALL_RIGHTS, NOON).allowed


def test_grants_of_an_owner_in_maintenance_wait() -> None:
    assert isinstance(judge_grant_change(facts(ALL_RIGHTS, access=Access.UNAVAILABLE), Right.READ, Right.NONE, NOON).refusal, Defer)


@given(
    st.sampled_from(FolderOp), any_rights, any_rights, st.sampled_from([Access.BY_GRANT, Access.UNAVAILABLE, Access.HIDDEN]), st.booleans()
)
def test_fewer_rights_never_allow_more(op: FolderOp, held: Right, more: Right, access: Access, read_only: bool) -> None:
    if judge_folder(op, facts(held, access=access, read_only=read_only), NOON).allowed:
        assert judge_folder(op, facts(held | more, access=access, read_only=read_only), NOON).allowed
        assert judge_folder(op, facts(held), NOON).allowed
