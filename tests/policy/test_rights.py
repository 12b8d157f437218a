"""Letters and rights, as delegation.md section 2 and RFC 4314 have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.rights import (
    ALL_RIGHTS,
    Change,
    Right,
    UnknownLetter,
    UnsupportedRight,
    changed,
    list_rights,
    parse_letters,
    parse_rfc,
    spell_letters,
    spell_rfc,
    spell_right,
)

L, R, S, W, I, K = Right.LOOKUP, Right.READ, Right.SEEN, Right.WRITE, Right.INSERT, Right.CREATE  # noqa: E741
X, T, E, A, ACTION = Right.DELETE_FOLDER, Right.DELETE_MESSAGES, Right.EXPUNGE, Right.ADMIN, Right.ACTION

any_rights = st.integers(0, int(ALL_RIGHTS)).map(Right)

WRITTEN = [
    # letters, rights, as they are shown again
    ("r", L | R, "r"),
    ("w", S | W, "w"),
    ("i", I, "i"),
    ("x", ACTION, "x"),
    ("d", X | T | E, "d"),
    ("a", A, "a"),
    ("ri", L | R | I | K, "ri"),
    ("ir", L | R | I | K, "ri"),
    ("rw", L | R | S | W, "rw"),
    ("rd", L | R | X | T | E, "rd"),
    ("wid", S | W | I | X | T | E, "wid"),
    ("rwixd", L | R | S | W | I | K | X | T | E | ACTION, "rwixd"),
    ("adxiwr", ALL_RIGHTS, "rwixda"),
    ("rr", L | R, "r"),
    ("none", Right.NONE, "none"),
]


@pytest.mark.parametrize(("letters", "rights", "shown"), WRITTEN)
def test_letters_expand_when_written_and_are_shown_in_order(letters: str, rights: Right, shown: str) -> None:
    assert parse_letters(letters) == rights
    assert spell_letters(rights) == shown


@pytest.mark.parametrize(("text", "named"), [("rq", "q"), ("R", "R"), ("r w", " "), ("k", "k"), ("rwc", "c"), ("r[s]", "["), ("nonr", "n")])
def test_an_unknown_letter_is_named(text: str, named: str) -> None:
    with pytest.raises(UnknownLetter, match="unknown right") as caught:
        parse_letters(text)
    assert repr(named) in str(caught.value)


def test_no_letters_at_all_is_not_none() -> None:
    with pytest.raises(UnknownLetter):
        parse_letters("")


@pytest.mark.parametrize(
    ("rights", "shown"),
    [
        (L | R | S, "r[s]"),
        (L, "[l]"),
        (R, "[r]"),
        (L | R | W | T, "r[wt]"),
        (L | R | I, "r[i]"),  # granted as lri over IMAP: not what the letters ri mean
        (L | R | K, "r[k]"),
        (I | K, "i[k]"),
        (L | R | S | W | X | T, "rw[xt]"),
        (ACTION | S, "x[s]"),
    ],
)
def test_what_letters_cannot_say_follows_in_brackets(rights: Right, shown: str) -> None:
    assert spell_letters(rights) == shown


@given(any_rights)
def test_what_is_shown_without_brackets_reads_back_the_same(rights: Right) -> None:
    shown = spell_letters(rights)
    if "[" not in shown:
        assert parse_letters(shown) == rights
    else:
        plain, _, rest = shown.rstrip("]").partition("[")
        assert (parse_letters(plain) if plain else Right.NONE) | parse_rfc(rest) == rights


@given(st.text(alphabet="rwixda", min_size=1, max_size=8), st.text(alphabet="rwixda", min_size=1, max_size=8))
def test_more_letters_never_mean_less(some: str, more: str) -> None:
    assert parse_letters(some) & parse_letters(some + more) == parse_letters(some)


@given(st.text(max_size=20))
def test_any_text_is_rights_or_the_documented_error(text: str) -> None:
    for parse in (parse_letters, parse_rfc):
        try:
            assert parse(text) & ~ALL_RIGHTS == 0
        except (UnknownLetter, UnsupportedRight):
            pass


@pytest.mark.parametrize(
    ("text", "rights"),
    [
        ("", Right.NONE),
        ("l", L),
        ("lrs", L | R | S),
        ("lrswikxtea", ALL_RIGHTS & ~ACTION),
        ("c", K),
        ("d", X | T | E),
        ("lrswicda", ALL_RIGHTS & ~ACTION),
        ("x", X),
        ("t", T),
        ("e", E),
        ("i", I),  # SETACL expands nothing but the obsolete letters
        ("ri", R | I),
    ],
)
def test_setacl_takes_every_letter_on_its_own(text: str, rights: Right) -> None:
    assert parse_rfc(text) == rights


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("p", UnsupportedRight),
        ("lrp", UnsupportedRight),
        ("q", UnknownLetter),
        ("pq", UnknownLetter),
        ("L", UnknownLetter),
        ("0", UnknownLetter),
    ],
)
def test_post_is_refused_and_unknown_letters_are_an_error(text: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_rfc(text)


@pytest.mark.parametrize(
    ("rights", "shown"),
    [
        (Right.NONE, ""),
        (L | R, "lr"),
        (L | R | S | W | I | K | X | T | E | A, "lrswikxteacd"),
        (ALL_RIGHTS, "lrswikxteacd"),
        (K, "kc"),
        (X, "xd"),
        (T, "td"),
        (E, "ed"),
        (ACTION, ""),
    ],
)
def test_myrights_shows_the_obsolete_letters_too(rights: Right, shown: str) -> None:
    assert spell_rfc(rights) == shown


@given(any_rights)
def test_what_myrights_shows_covers_what_is_held(rights: Right) -> None:
    shown = spell_rfc(rights).rstrip("cd")
    assert parse_rfc(shown) == rights & ~ACTION


@pytest.mark.parametrize(
    ("current", "change", "named", "result"),
    [
        (L | R, Change.ADD, I, L | R | I),
        (L | R | ACTION, Change.ADD, I, L | R | I | ACTION),
        (L | R | ACTION, Change.REMOVE, R, L | ACTION),
        (L | R | ACTION, Change.REPLACE, L | R, L | R),
        (L | R, Change.REPLACE, Right.NONE, Right.NONE),
    ],
)
def test_plus_and_minus_keep_the_right_imap_cannot_name(current: Right, change: Change, named: Right, result: Right) -> None:
    assert changed(current, change, named) == result


@pytest.mark.parametrize(
    ("right", "words"),
    [
        (I, "'i' (insert)"),
        (T | E, "'t' (delete messages) and 'e' (expunge)"),
        (R | T | E, "'r' (read), 't' (delete messages) and 'e' (expunge)"),
        (ACTION, "'x' (accept invitations)"),
        (Right.NONE, "no right"),
    ],
)
def test_refusals_have_words_for_rights(right: Right, words: str) -> None:
    assert spell_right(right) == words


def test_every_right_alone_has_words() -> None:
    assert len({spell_right(one) for one in ALL_RIGHTS}) == 11


def test_listrights_of_the_owner_leaves_nothing_to_choose() -> None:
    assert list_rights(ALL_RIGHTS, ALL_RIGHTS, owner=True) == ("lrswikxteacd", ())


def test_the_owner_may_give_every_right_alone() -> None:
    assert list_rights(ALL_RIGHTS, Right.NONE) == ("", ("l", "r", "s", "w", "i", "k", "x", "t", "e", "a", "c", "d"))


def test_a_right_the_asker_lacks_is_fixed_where_held_and_absent_where_not() -> None:
    required, optional = list_rights(L | R | A, L | I | ACTION)
    assert (required, optional) == ("i", ("l", "r", "a"))
    assert list_rights(L | R | A | X, Right.NONE) == ("", ("l", "r", "x", "a"))
