"""From grants to rights: inheritance, combination and times of section 2, levels and deny of section 4."""

from dataclasses import replace
from itertools import permutations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.decision import Decision
from policy.grants import (
    FolderEntry,
    Grantee,
    GranteeKind,
    Level,
    SendGrant,
    SendRight,
    Standing,
    entries_that_count,
    judge_send_right,
    rights_of,
    trace_rights,
)
from policy.identity import AccountId, CosId, DomainId, ListId
from policy.reasons import Reason
from policy.rights import ALL_RIGHTS, Right, parse_letters, spell_letters

OWNER, DELEGATE, STRANGER = AccountId(1), AccountId(2), AccountId(3)
TEAM, BOARD, STAFF, OTHERS = ListId(11), ListId(12), ListId(13), ListId(14)
ACME, FAR, DEFAULT, GOLD = DomainId(21), DomainId(22), CosId(31), CosId(32)
NOON = 1_800_000_000_000_000

STANDING = Standing(DELEGATE, ACME, DEFAULT, {TEAM: (TEAM,), BOARD: (TEAM, BOARD), STAFF: (TEAM, BOARD, STAFF)})


def to(kind: str, id: int = 0) -> Grantee:  # noqa: A002
    return Grantee(GranteeKind(kind), id)


HIM, TEAM_, BOARD_, OTHERS_ = to("account", DELEGATE), to("group", TEAM), to("group", BOARD), to("group", OTHERS)
ACME_, FAR_, DEFAULT_, GOLD_, ALL_ = to("domain", ACME), to("domain", FAR), to("cos", DEFAULT), to("cos", GOLD), to("all")


def entry(grantee: Grantee, letters: str, start: int | None = None, end: int | None = None) -> FolderEntry:
    return FolderEntry(grantee, parse_letters(letters), start, end)


def held(levels: list[tuple[str, list[FolderEntry], bool]], now: int = NOON, who: Standing = STANDING) -> str:
    return spell_letters(rights_of(who, OWNER, [Level(*level) for level in levels], now).rights)


def on_root(*entries: FolderEntry) -> list[tuple[str, list[FolderEntry], bool]]:
    return [("/", list(entries), False)]


@pytest.mark.parametrize(
    ("grantee", "matches"),
    [
        (HIM, True),
        (to("account", STRANGER), False),
        (TEAM_, True),
        (BOARD_, True),
        (to("group", STAFF), True),
        (OTHERS_, False),
        (ACME_, True),
        (FAR_, False),
        (DEFAULT_, True),
        (GOLD_, False),
        (ALL_, True),
        (to("account", TEAM), False),  # numbers are told apart by kind
        (to("domain", DELEGATE), False),
    ],
)
def test_a_grant_reaches_whom_it_names(grantee: Grantee, matches: bool) -> None:
    assert held(on_root(entry(grantee, "rw"))) == ("rw" if matches else "none")


def test_rights_are_the_union_over_every_grantee_that_matches() -> None:
    assert held(on_root(entry(HIM, "r"), entry(TEAM_, "w"), entry(BOARD_, "d"), entry(ALL_, "x"), entry(FAR_, "a"))) == "rwxd"


def test_the_union_of_entries_adds_nothing_of_its_own() -> None:
    assert held(on_root(entry(HIM, "r"), entry(TEAM_, "i"))) == "r[i]"
    assert held(on_root(entry(HIM, "ri"))) == "ri"


INHERITANCE = [
    # folder's entries, parent's, root's → rights
    ([], [], [entry(HIM, "rw")], "rw"),
    ([], [entry(HIM, "r")], [entry(HIM, "rwixda")], "r"),
    ([entry(HIM, "r")], [], [entry(HIM, "rwixda")], "r"),
    ([entry(HIM, "none")], [], [entry(HIM, "rwixda")], "none"),
    ([entry(HIM, "none")], [], [entry(HIM, "rwixda"), entry(TEAM_, "r")], "r"),  # for that grantee only
    ([entry(TEAM_, "w")], [], [entry(HIM, "r")], "rw"),
    ([], [entry(HIM, "none")], [entry(HIM, "r")], "none"),
    ([entry(HIM, "d")], [entry(HIM, "none")], [entry(HIM, "r")], "d"),
    ([], [], [], "none"),
]


@pytest.mark.parametrize(("folder", "parent", "root", "rights"), INHERITANCE)
def test_the_nearest_entry_of_each_grantee_counts(
    folder: list[FolderEntry], parent: list[FolderEntry], root: list[FolderEntry], rights: str
) -> None:
    assert held([("/a/b", folder, False), ("/a", parent, False), ("/", root, False)]) == rights


def test_a_folder_that_does_not_inherit_stops_the_walk() -> None:
    root = [entry(HIM, "rwixda")]
    assert held([("/a/b", [], False), ("/a", [entry(TEAM_, "r")], True), ("/", root, False)]) == "r"
    assert held([("/a/b", [], True), ("/a", [entry(TEAM_, "r")], False), ("/", root, False)]) == "none"


TIMES = [
    # from, until, rights at noon
    (None, None, "r"),
    (NOON, None, "r"),
    (NOON + 1, None, "w"),
    (None, NOON, "w"),
    (None, NOON + 1, "r"),
    (NOON - 5, NOON + 5, "r"),
    (NOON + 5, NOON - 5, "w"),
]


@pytest.mark.parametrize(("start", "end", "rights"), TIMES)
def test_outside_its_time_an_entry_does_not_exist_and_the_walk_goes_on(start: int | None, end: int | None, rights: str) -> None:
    assert held([("/a", [entry(HIM, "r", start, end)], False), *on_root(entry(HIM, "w"))]) == rights


def test_valid_until_is_the_next_start_or_end_that_matters() -> None:
    levels = [
        Level("/a", [entry(HIM, "r", None, NOON + 50), entry(TEAM_, "w", NOON + 20), entry(OTHERS_, "w", NOON + 1)]),
        Level("/", [entry(HIM, "w", None, NOON + 2), entry(BOARD_, "d", NOON - 9, NOON - 3)]),
    ]
    assert rights_of(STANDING, OWNER, levels, NOON).valid_until == NOON + 20
    assert rights_of(STANDING, OWNER, levels, NOON + 20).valid_until == NOON + 50
    assert rights_of(STANDING, OWNER, levels, NOON + 50).valid_until is None
    assert entries_that_count(levels, NOON)[1] == NOON + 1


def test_entries_that_count_are_shown_with_where_they_come_from() -> None:
    counting, _ = entries_that_count([Level("/a", [entry(HIM, "none")]), Level("/", [entry(HIM, "r"), entry(FAR_, "w")])], NOON)
    assert [(one.entry.grantee, one.path, one.inherited) for one in counting] == [(HIM, "/a", False), (FAR_, "/", True)]


def test_the_trace_names_grant_and_group_path() -> None:
    levels = [Level("/a", [entry(BOARD_, "r"), entry(HIM, "w", NOON + 1)]), Level("/", [entry(BOARD_, "rw"), entry(FAR_, "a")])]
    steps = trace_rights(STANDING, levels, NOON, Right.READ)
    assert [one.text for one in steps] == [
        "group #12, through group #11 on /a: r",
        "account #2 on /a: w, but only from 2027-01-15 08:00:00 UTC",
        "group #12, through group #11 on /: rw, but a nearer entry replaces it",
    ]
    assert [one.decided for one in steps] == [True, False, False]
    assert (steps[0].grantee, steps[0].group_path, steps[0].folder, steps[0].right) == (BOARD_, (TEAM, BOARD), "/a", "r")
    assert (
        steps[0]
        .named(lambda one: {TEAM: "team@acme.test", BOARD: "board@acme.test"}[ListId(one.id)])
        .startswith("board@acme.test, through team@acme.test on /a")
    )


grantees = st.sampled_from([HIM, TEAM_, BOARD_, OTHERS_, ACME_, FAR_, DEFAULT_, GOLD_, ALL_])
moments = st.none() | st.integers(NOON - 3, NOON + 3)
entries = st.builds(FolderEntry, grantees, st.integers(0, int(ALL_RIGHTS)).map(Right), moments, moments)
one_level = st.builds(Level, st.just("/a"), st.lists(entries, max_size=6, unique_by=lambda one: one.grantee), st.booleans())
walks = st.lists(one_level, min_size=1, max_size=4)


@given(walks, st.integers(0, 9))
def test_an_entry_made_empty_never_adds_rights(levels: list[Level], which: int) -> None:
    flat = [(height, number) for height, level in enumerate(levels) for number in range(len(level.entries))]
    if not flat:
        return
    height, number = flat[which % len(flat)]
    fewer = list(levels)
    kept = list(levels[height].entries)
    kept[number] = replace(kept[number], rights=Right.NONE)
    fewer[height] = replace(levels[height], entries=kept)
    before, after = (rights_of(STANDING, OWNER, one, NOON).rights for one in (levels, fewer))
    assert after & ~before == Right.NONE


@given(walks)
def test_a_revoke_on_one_level_leaves_at_most_what_stands_above(levels: list[Level]) -> None:
    for height, level in enumerate(levels):
        for gone in level.entries:
            fewer = [*levels[:height], replace(level, entries=[one for one in level.entries if one is not gone]), *levels[height + 1 :]]
            above = Right.NONE
            for upper in levels[height + 1 :]:
                for one in upper.entries:
                    if one.grantee == gone.grantee:
                        above |= one.rights
            before, after = (rights_of(STANDING, OWNER, one, NOON).rights for one in (levels, fewer))
            assert after & ~before & ~above == Right.NONE


@given(walks, st.randoms(use_true_random=False))
def test_the_order_of_entries_on_a_folder_does_not_matter(levels: list[Level], random: Random) -> None:
    shuffled = []
    for level in levels:
        mixed = list(level.entries)
        random.shuffle(mixed)
        shuffled.append(replace(level, entries=mixed))
    one, other = rights_of(STANDING, OWNER, levels, NOON), rights_of(STANDING, OWNER, shuffled, NOON)
    assert (one.rights, one.valid_until) == (other.rights, other.valid_until)


@given(walks)
def test_the_owner_always_holds_everything(levels: list[Level]) -> None:
    owner = replace(STANDING, account=OWNER)
    assert rights_of(owner, OWNER, levels, NOON).rights == ALL_RIGHTS


@given(walks)
def test_nothing_changes_before_valid_until(levels: list[Level]) -> None:
    now = rights_of(STANDING, OWNER, levels, NOON - 4)
    for moment in range(NOON - 3, NOON + 5):
        later = rights_of(STANDING, OWNER, levels, moment)
        if now.valid_until is None or moment < now.valid_until:
            assert later.rights == now.rights


# Send rights

BOSS = OWNER
AS, BEHALF, POST, LOGIN = SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF, SendRight.SEND_TO_LIST, SendRight.LOGIN_AS


def give(grantee: Grantee, right: SendRight = AS, start: int | None = None, end: int | None = None) -> SendGrant:
    return SendGrant(BOSS, grantee, right, False, start, end)


def deny(grantee: Grantee, right: SendRight = AS, start: int | None = None, end: int | None = None) -> SendGrant:
    return SendGrant(BOSS, grantee, right, True, start, end)


def asked(*grants: SendGrant, right: SendRight = AS, who: Standing = STANDING, now: int = NOON) -> Decision:
    return judge_send_right(who, BOSS, right, grants, now)


LEVELS = [
    # grants → allowed
    ((), False),
    ((give(HIM),), True),
    ((give(TEAM_),), True),
    ((give(BOARD_),), True),  # nested
    ((give(DEFAULT_),), True),
    ((give(ACME_),), True),
    ((give(ALL_),), True),
    ((give(to("account", STRANGER)),), False),
    ((give(OTHERS_),), False),
    ((give(GOLD_),), False),
    ((give(FAR_),), False),
    ((give(HIM), deny(HIM)), False),
    ((give(HIM), deny(TEAM_)), True),
    ((give(HIM), deny(DEFAULT_), deny(ACME_), deny(ALL_)), True),
    ((deny(HIM), give(TEAM_), give(DEFAULT_), give(ACME_), give(ALL_)), False),
    ((give(TEAM_), deny(BOARD_)), False),  # one level, however deep the nesting
    ((deny(TEAM_), give(BOARD_)), False),
    ((deny(OTHERS_), give(BOARD_)), True),
    ((give(TEAM_), deny(DEFAULT_)), True),
    ((deny(TEAM_), give(DEFAULT_)), False),
    ((give(DEFAULT_), deny(ACME_)), True),
    ((deny(DEFAULT_), give(ACME_)), False),
    ((give(ACME_), deny(ALL_)), True),
    ((deny(ACME_), give(ALL_)), False),
    ((deny(HIM, end=NOON), give(ALL_)), True),  # a denial that has ended
    ((deny(HIM, end=NOON + 1), give(ALL_)), False),
    ((give(HIM, start=NOON + 1),), False),
    ((give(HIM, start=NOON),), True),
    ((give(HIM, end=NOON),), False),
    ((give(HIM, BEHALF),), False),  # neither right implies the other
    ((replace(give(HIM), target=99),), False),
]


@pytest.mark.parametrize(("grants", "allowed"), LEVELS)
def test_the_first_hit_decides_level_by_level_deny_before_allow(grants: tuple[SendGrant, ...], allowed: bool) -> None:
    for order in list(permutations(grants))[:24]:
        assert asked(*order).allowed is allowed


def test_send_as_does_not_carry_on_behalf() -> None:
    assert not asked(give(HIM, AS), right=BEHALF).allowed
    assert asked(give(HIM, BEHALF), right=BEHALF).allowed


def test_everybody_may_act_as_himself_whatever_is_denied() -> None:
    himself = replace(STANDING, account=BOSS)
    for right in (AS, BEHALF, LOGIN):
        assert asked(deny(to("account", BOSS), right), deny(ALL_, right), right=right, who=himself).allowed


POSTING = [
    ((), True),
    ((give(HIM, POST),), True),
    ((give(OTHERS_, POST),), False),
    ((deny(HIM, POST),), False),
    ((deny(OTHERS_, POST),), False),
    ((give(HIM, AS),), True),
    ((replace(give(OTHERS_, POST), target=99),), True),
    ((give(OTHERS_, POST, end=NOON),), False),  # restricted is restricted: it does not open when a grant ends
    ((give(HIM, POST, end=NOON),), False),
]


@pytest.mark.parametrize(("grants", "allowed"), POSTING)
def test_a_list_is_open_to_all_only_without_any_posting_grant(grants: tuple[SendGrant, ...], allowed: bool) -> None:
    assert asked(*grants, right=POST).allowed is allowed


@pytest.mark.parametrize(
    ("right", "reason"),
    [
        (AS, Reason.SENDER_NOT_PERMITTED),
        (BEHALF, Reason.SENDER_NOT_PERMITTED),
        (POST, Reason.POSTING_NOT_PERMITTED),
        (LOGIN, Reason.AUTHORIZATION_REFUSED),
    ],
)
def test_each_right_is_refused_for_its_own_reason(right: SendRight, reason: Reason) -> None:
    refusal = asked(give(OTHERS_, right), deny(HIM, right), right=right).refusal
    assert refusal is not None
    assert refusal.reason is reason


def test_the_trace_tells_what_decided_and_what_did_not() -> None:
    decision = asked(give(ALL_), deny(HIM, end=NOON), give(BOARD_))
    assert [(one.text, one.decided) for one in decision.trace] == [
        ("account #2: -sendAs, but only until 2027-01-15 08:00:00 UTC", False),
        ("group #12, through group #11: sendAs", True),
        ("everybody: sendAs, but what decided comes first", False),
    ]
    assert decision.because == "group #12, through group #11: sendAs"
    assert decision.deciding is not None
    assert decision.deciding.group_path == (TEAM, BOARD)


def test_a_denial_tells_what_is_missing() -> None:
    assert asked(give(HIM, end=NOON)).because == "no sendAs grant counts for the actor, its groups, class of service or domain"
    assert asked(deny(HIM)).because == "account #2: -sendAs"


def test_valid_until_of_a_send_right() -> None:
    assert asked(give(HIM, end=NOON + 9), give(OTHERS_, end=NOON + 2), deny(ALL_, start=NOON + 5)).valid_until == NOON + 5
    assert asked(give(HIM)).valid_until is None


def test_a_time_beyond_the_calendar_is_told_without_a_crash() -> None:
    assert "beyond the calendar" in asked(give(HIM, start=1 << 62)).trace[0].text


send_grants = st.lists(
    st.builds(SendGrant, st.sampled_from([int(BOSS), 99]), grantees, st.sampled_from(SendRight), st.booleans(), moments, moments),
    max_size=8,
)


@given(send_grants, st.sampled_from([AS, BEHALF, LOGIN]))
def test_revoking_an_allowance_never_adds_a_send_right(grants: list[SendGrant], right: SendRight) -> None:
    if not judge_send_right(STANDING, BOSS, right, grants, NOON).allowed:
        for gone in [one for one in grants if not one.deny]:
            assert not judge_send_right(STANDING, BOSS, right, [one for one in grants if one is not gone], NOON).allowed


@given(send_grants, st.sampled_from(SendRight))
def test_order_does_not_matter_to_send_rights(grants: list[SendGrant], right: SendRight) -> None:
    one, other = (judge_send_right(STANDING, BOSS, right, order, NOON) for order in (grants, grants[::-1]))
    assert (one.refusal, one.valid_until, one.because) == (other.refusal, other.valid_until, other.because)


@given(send_grants, st.sampled_from(SendRight))
def test_no_clock_alone_changes_a_send_right_before_valid_until(grants: list[SendGrant], right: SendRight) -> None:
    first = judge_send_right(STANDING, BOSS, right, grants, NOON - 4)
    for moment in range(NOON - 3, NOON + 5):
        if first.valid_until is None or moment < first.valid_until:
            assert judge_send_right(STANDING, BOSS, right, grants, moment).allowed == first.allowed


def window(kind: str, number: int, seconds: int | None, *, deny: bool = False, expires: int | None = None) -> SendGrant:
    return SendGrant(BOSS, to(kind, number), SendRight.SEND_AS, deny, expires=expires, undo_window=seconds)


@pytest.mark.parametrize(
    ("grants", "waits"),
    [
        ([], None),
        ([window("account", DELEGATE, None)], None),
        ([window("account", DELEGATE, 0)], 0),
        ([window("account", DELEGATE, 30)], 30),
        # the level that decides, and no other
        ([window("account", DELEGATE, 5), window("group", TEAM, 30)], 5),
        ([window("account", DELEGATE, None), window("group", TEAM, 30)], None),
        # of those that decide together the longest, whoever it is granted to
        ([window("group", TEAM, 5), window("group", STAFF, 30), window("group", BOARD, 0)], 30),
        ([window("group", TEAM, None), window("group", STAFF, 0)], 0),
        ([window("group", TEAM, 5), window("group", OTHERS, 30)], 5),
        ([window("group", TEAM, 5), window("group", STAFF, 30, expires=NOON)], 5),
        # denied: nothing is sent
        ([window("group", TEAM, 5), window("group", STAFF, 30, deny=True)], None),
    ],
)
def test_the_recall_window_is_that_of_the_grants_that_decide(grants: list[SendGrant], waits: int | None) -> None:
    for order in permutations(grants):
        assert judge_send_right(STANDING, BOSS, SendRight.SEND_AS, order, NOON).undo_window == waits


@pytest.mark.parametrize("right", [AS, BEHALF, POST, LOGIN])
def test_a_restricted_list_is_open_to_nobody_without_a_grant(right: SendRight) -> None:
    assert judge_send_right(STANDING, BOSS, right, [], NOON).allowed is (right is POST)
    assert not judge_send_right(STANDING, BOSS, right, [], NOON, restricted=True).allowed
    granted = [give(Grantee(GranteeKind.ALL), right)]
    assert judge_send_right(STANDING, BOSS, right, granted, NOON, restricted=True).allowed
