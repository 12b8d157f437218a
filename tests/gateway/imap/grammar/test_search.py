"""SEARCH: every key, charsets, depth and count."""

import time
from datetime import date
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadCharset, Cursor
from gateway.imap.grammar.numbers import SAVED, SequenceSet
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.search import (
    MAX_DEPTH,
    MAX_KEYS,
    SEARCH_KEYS,
    Aged,
    Among,
    And,
    Contains,
    Dated,
    Everything,
    HasFlag,
    HasObjectId,
    HeaderContains,
    ModseqAtLeast,
    Not,
    Or,
    SearchKey,
    Sized,
    search,
)
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused

plain = partial(search, by_uid=False)
SEEN, UNSEEN = HasFlag(b"\\Seen", True), HasFlag(b"\\Seen", False)


@pytest.mark.parametrize(
    ("program", "key"),
    [
        (b"ALL", Everything()),
        (b"all", Everything()),
        (b"ANSWERED", HasFlag(b"\\Answered", True)),
        (b"DELETED", HasFlag(b"\\Deleted", True)),
        (b"DRAFT", HasFlag(b"\\Draft", True)),
        (b"FLAGGED", HasFlag(b"\\Flagged", True)),
        (b"NEW", And((HasFlag(b"\\Recent", True), UNSEEN))),
        (b"OLD", HasFlag(b"\\Recent", False)),
        (b"RECENT", HasFlag(b"\\Recent", True)),
        (b"SEEN", SEEN),
        (b"UNANSWERED", HasFlag(b"\\Answered", False)),
        (b"UNDELETED", HasFlag(b"\\Deleted", False)),
        (b"UNDRAFT", HasFlag(b"\\Draft", False)),
        (b"UNFLAGGED", HasFlag(b"\\Flagged", False)),
        (b"UNSEEN", UNSEEN),
        (b"KEYWORD $W", HasFlag(b"$W", True)),
        (b"UNKEYWORD $W UNSEEN", And((HasFlag(b"$W", False), UNSEEN))),
        (b"BCC x", Contains(b"BCC", "x")),
        (b"BODY x", Contains(b"BODY", "x")),
        (b"CC x", Contains(b"CC", "x")),
        (b"FROM x", Contains(b"FROM", "x")),
        (b'SUBJECT "a b"', Contains(b"SUBJECT", "a b")),
        (b"TEXT {3}\r\na\r\n", Contains(b"TEXT", "a\r\n")),
        (b'TO ""', Contains(b"TO", "")),
        (b'HEADER X-OfflineIMAP "1-2"', HeaderContains(b"X-OFFLINEIMAP", "1-2")),
        (b'header Message-Id ""', HeaderContains(b"MESSAGE-ID", "")),
        (b"BEFORE 1-Feb-2024", Dated(b"BEFORE", date(2024, 2, 1))),
        (b"ON 1-Feb-2024", Dated(b"ON", date(2024, 2, 1))),
        (b'SINCE "1-Feb-2024"', Dated(b"SINCE", date(2024, 2, 1))),
        (b"SENTBEFORE 1-Feb-2024", Dated(b"SENTBEFORE", date(2024, 2, 1))),
        (b"SENTON 1-Feb-2024", Dated(b"SENTON", date(2024, 2, 1))),
        (b"SENTSINCE 1-Feb-2024", Dated(b"SENTSINCE", date(2024, 2, 1))),
        (b"LARGER 100", Sized(b"LARGER", 100)),
        (b"SMALLER 100", Sized(b"SMALLER", 100)),
        (b"$", Among(SAVED, False)),
        (b"UID $", Among(SAVED, True)),
        (b"OR $ 1,3000:3021", Or(Among(SAVED, False), Among(SequenceSet(((1, 1), (3000, 3021))), False))),
        (b"OLDER 60", Aged(b"OLDER", 60)),
        (b"younger 4294967295", Aged(b"YOUNGER", 4294967295)),
        (b"SAVEDON 2-Feb-2024", Dated(b"SAVEDON", date(2024, 2, 2))),
        (b"SAVEDBEFORE 2-Feb-2024", Dated(b"SAVEDBEFORE", date(2024, 2, 2))),
        (b"SAVEDSINCE 2-Feb-2024", Dated(b"SAVEDSINCE", date(2024, 2, 2))),
        (b"SAVEDATESUPPORTED", Everything()),
        (b"EMAILID M6d99ac3275bb4e", HasObjectId(b"EMAILID", b"M6d99ac3275bb4e")),
        (b"THREADID T-_1", HasObjectId(b"THREADID", b"T-_1")),
        (b"2,4:*", Among(SequenceSet(((2, 2), (4, 0))), False)),
        (b"*", Among(SequenceSet(((0, 0),)), False)),
        (b"UID 4:*", Among(SequenceSet(((4, 0),)), True)),
        (b"MODSEQ 620162338", ModseqAtLeast(620162338)),
        (b'MODSEQ "/flags/\\\\draft" all 7', ModseqAtLeast(7)),
        (b"MODSEQ /flags/x priv 0", ModseqAtLeast(0)),
        (b"NOT SEEN", Not(SEEN)),
        (b"NOT NOT SEEN", Not(Not(SEEN))),
        (b"OR SEEN ALL", Or(SEEN, Everything())),
        (b"OR SUBJECT a TEXT b", Or(Contains(b"SUBJECT", "a"), Contains(b"TEXT", "b"))),
        (b"OR OR SEEN ALL NOT ALL UNSEEN", And((Or(Or(SEEN, Everything()), Not(Everything())), UNSEEN))),
        (b"(SEEN)", SEEN),
        (b"(SEEN ALL) UNSEEN", And((And((SEEN, Everything())), UNSEEN))),
        (b"((SEEN))", SEEN),
        (b"NOT (SEEN ALL)", Not(And((SEEN, Everything())))),
        (b"OR (SEEN) (NOT ALL)", Or(SEEN, Not(Everything()))),
        (b"SEEN UNSEEN ALL", And((SEEN, UNSEEN, Everything()))),
    ],
)
def test_search_is_read(program: bytes, key: SearchKey) -> None:
    assert read(plain, b" " + program).key == key


@pytest.mark.parametrize(
    "arguments",
    [
        b' CHARSET utf8 (SUBJECT "\xe6\x97\xa5\xe6\x9c\xac")',
        b' CHARSET UTF-8 SUBJECT "\xe6\x97\xa5\xe6\x9c\xac"',
        b' CHARSET "UTF-8" SUBJECT {6}\r\n\xe6\x97\xa5\xe6\x9c\xac',
        b' SUBJECT "\xe6\x97\xa5\xe6\x9c\xac"',
        b' CHARSET us-ascii SUBJECT "\xe6\x97\xa5\xe6\x9c\xac"',
        b' RETURN (ALL) CHARSET UTF-8 SUBJECT "\xe6\x97\xa5\xe6\x9c\xac"',
    ],
)
def test_charsets_are_spelled_as_clients_spell_them(arguments: bytes) -> None:
    assert read(plain, arguments).key == Contains(b"SUBJECT", "日本")


def test_latin1_is_decoded_and_what_is_not_known_named() -> None:
    assert read(plain, b' CHARSET ISO-8859-1 SUBJECT "\xe4"').key == Contains(b"SUBJECT", "ä")
    assert isinstance(refused(plain, b" CHARSET KOI8-R ALL"), BadCharset)
    assert not isinstance(refused(plain, b' CHARSET UTF-8 SUBJECT "\xe4"'), BadCharset)


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (b" ALL", None),
        (b" RETURN () ALL", [b"ALL"]),
        (b" return (min MAX) ALL", [b"MIN", b"MAX"]),
        (b" RETURN (COUNT ALL) ALL", [b"COUNT", b"ALL"]),
        (b" RETURN (SAVE) ALL", [b"SAVE"]),
    ],
)
def test_return_options_are_read(arguments: bytes, options: list[bytes] | None) -> None:
    found = read(plain, arguments)
    assert found.returning == (None if options is None else tuple(map(Parameter, options)))
    assert found.returns(b"ALL") == (options is not None and b"ALL" in options)


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" ",
        b" FOO",
        b" ALL ",
        b" ALL  ALL",
        b" NOT",
        b" NOT ",
        b" OR SEEN",
        b" OR SEEN ",
        b" ()",
        b" (",
        b" (SEEN",
        b" SEEN)",
        b" (SEEN ALL))",
        b" (SEEN )",
        b" ( SEEN)",
        b" NOT(SEEN)",
        b" SUBJECT",
        b" SUBJECT \xff",
        b' SUBJECT "\xff"',
        b" HEADER x",
        b' HEADER "a b" x',
        b" KEYWORD \\Seen",
        b" SINCE 32-Jan-2024",
        b" LARGER -1",
        b" LARGER 9223372036854775808",
        b" UID x",
        b" $,1",
        b" OLDER 0",
        b" YOUNGER x",
        b" SAVEDON x",
        b" EMAILID",
        b" EMAILID a+b",
        b" THREADID " + b"x" * 256,
        b" MODSEQ",
        b" MODSEQ x",
        b' MODSEQ "/flags/x" 7',
        b' MODSEQ "/flags/x" some 7',
        b" MODSEQ 9223372036854775808",
        b" 0",
        b" CHARSET UTF-8",
        b" RETURN (FOO) ALL",
        b" RETURN (MIN MIN) ALL",
        b" RETURN ALL",
        b" RETURN (MIN)",
        b" CHARSET UTF-8 RETURN (MIN) ALL",
        b" NEWEST 5",
    ],
)
def test_search_that_is_none_is_refused(arguments: bytes) -> None:
    refused(plain, arguments)


def test_bombs_are_refused_at_once() -> None:
    started = time.process_time()
    for bomb in (b"(" * 150000, b"NOT " * 40000, b"OR " * 50000, b"(NOT OR " * 20000, b"SEEN " * 30000, b"(" * 50 + b"SEEN" + b")" * 60000):
        refused(plain, b" " + bomb)
    assert time.process_time() - started < 1


def test_depth_and_count_are_allowed_up_to_their_limits() -> None:
    read(plain, b" " + b"(" * MAX_DEPTH + b"SEEN" + b")" * MAX_DEPTH)
    assert "deep" in refused(plain, b" " + b"(" * (MAX_DEPTH + 1) + b"SEEN" + b")" * (MAX_DEPTH + 1)).message
    assert isinstance(read(plain, b" " + b" ".join([b"SEEN"] * MAX_KEYS)).key, And)
    assert "search keys" in refused(plain, b" " + b" ".join([b"SEEN"] * (MAX_KEYS + 1))).message
    read(plain, b" " + b"OR FROM a " * 40 + b"FROM b")


def test_an_extension_adds_a_key() -> None:
    def older(c: Cursor, name: bytes, charset: str) -> SearchKey:
        return Sized(name, 0)

    assert read(lambda c: search(c, by_uid=True, keys={**SEARCH_KEYS, b"OLDER": older}), b" NOT OLDER").key == Not(Sized(b"OLDER", 0))


def spelled(key: SearchKey) -> bytes:
    match key:
        case HasFlag(flag, present):
            return (b"" if present else b"UN") + b"KEYWORD " + flag
        case Contains(place, text):
            return place + b' "' + text.encode() + b'"'
        case Sized(relation, octets):
            return relation + b" %d" % octets
        case Not(inner):
            return b"NOT " + spelled(inner)
        case Or(first, second):
            return b"OR " + spelled(first) + b" " + spelled(second)
        case And(keys):
            return b"(" + b" ".join(map(spelled, keys)) + b")"
        case _:
            return b"ALL"


trees = st.recursive(
    st.one_of(
        st.just(Everything()),
        st.builds(HasFlag, st.sampled_from([b"x", b"$Todo"]), st.booleans()),
        st.builds(Contains, st.sampled_from([b"FROM", b"TEXT"]), st.text("aä ()", max_size=3)),
        st.builds(Sized, st.just(b"LARGER"), st.integers(0, 2**32 - 1)),
    ),
    lambda inner: st.one_of(
        st.builds(Not, inner), st.builds(Or, inner, inner), st.builds(And, st.lists(inner, min_size=2, max_size=4).map(tuple))
    ),
    max_leaves=20,
)


@given(trees)
def test_a_tree_that_is_spelled_is_read_back(key: SearchKey) -> None:
    assert read(plain, b" " + spelled(key)).key == key


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(plain, found)


def test_after_utf8_accept_no_charset_is_named() -> None:
    """RFC 6855 section 3: BAD, whether it is known or not."""
    for arguments in (b" CHARSET UTF-8 ALL", b" CHARSET X ALL", b" RETURN (COUNT) CHARSET UTF-8 ALL"):
        assert not isinstance(refused(plain, arguments, charset_is_utf8=True), BadCharset)
    assert read(plain, b" ALL", charset_is_utf8=True).key == Everything()


@pytest.mark.parametrize(
    ("options", "saves"), [(b"", False), (b" RETURN (COUNT)", False), (b" RETURN (SAVE)", True), (b" RETURN (MIN SAVE)", True)]
)
def test_a_charset_that_is_not_known_says_whether_a_result_was_to_be_saved(options: bytes, saves: bool) -> None:
    error = refused(plain, options + b" CHARSET X ALL")
    assert isinstance(error, BadCharset)
    assert error.saves is saves


def test_sizes_may_have_63_bits() -> None:
    assert read(plain, b" LARGER 9223372036854775807").key == Sized(b"LARGER", 9223372036854775807)
