"""Mailbox names in modified UTF-7, whose folder they mean, and which of them a pattern means."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.names import BadName, FolderName, Namespace, NoFolder, Pattern, decode_utf7, encode_utf7, fold_inbox, normalized

HERE = Namespace("Other Users/", "acme.test")


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"INBOX", "INBOX"),
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        (b"&-", "&"),
        (b"A&-B", "A&B"),
        (b"&AOQ-", "ä"),
        (b"&AOQ-&-", "ä&"),
        (b"&-&AOQ-", "&ä"),
        (b"&2D3eAA-", "\U0001f600"),
        (b"", ""),
        (b"a b%*", "a b%*"),
    ],
)
def test_modified_utf7_is_read_and_written(octets: bytes, text: str) -> None:
    assert decode_utf7(octets) == text
    assert encode_utf7(text) == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"&",
        b"&AOQ",
        b"&AOQ/-",
        b"&AOQ=-",
        b"&A-",
        b"&AO-",
        b"&AOR-",
        b"&AC4ALgAv-",
        b"&AGE-",
        b"&AOQ-&AOQ-",
        b"&2D0-",
        b"&3gA-",
        b"\xc3\xa4",
        b"a\x00",
        b"a\x7f",
        b"a\tb",
        b"&&-",
    ],
)
def test_what_is_not_the_one_spelling_is_refused(octets: bytes) -> None:
    with pytest.raises(BadName):
        decode_utf7(octets)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), max_size=30))
def test_every_name_comes_back_from_modified_utf7(text: str) -> None:
    assert decode_utf7(encode_utf7(text)) == text


@given(st.binary(max_size=30) | st.text("&-AOQ,/+=Z \U0001f600").map(lambda text: text.encode()))
def test_any_octets_are_a_name_with_this_one_spelling_or_refused(octets: bytes) -> None:
    try:
        text = decode_utf7(octets)
    except BadName:
        return
    assert encode_utf7(text) == octets


@pytest.mark.parametrize(
    ("mailbox", "owner", "path"),
    [
        ("INBOX", None, "INBOX"),
        ("inbox", None, "INBOX"),
        ("Inbox/x", None, "INBOX/x"),
        ("inboxes", None, "inboxes"),
        ("Posta/2026", None, "Posta/2026"),
        ("Other", None, "Other"),
        ("Other Users/anna", "anna@acme.test", ""),
        ("Other Users/anna/inbox", "anna@acme.test", "INBOX"),
        ("Other Users/Anna/Sent", "anna@acme.test", "Sent"),
        ("Other Users/ÄNNE/Sent", "Änne@acme.test", "Sent"),
        ("Other Users/anna@acme.test/Sent", "anna@acme.test", "Sent"),
        ("Other Users/b.o@other.test/A/B", "b.o@other.test", "A/B"),
    ],
)
def test_a_name_means_a_folder_of_a_mailbox(mailbox: str, owner: str | None, path: str) -> None:
    assert HERE.parse(mailbox) == FolderName(owner, path)


@pytest.mark.parametrize(
    ("name", "mailbox"),
    [
        (FolderName(None, "INBOX"), "INBOX"),
        (FolderName("anna@acme.test", "INBOX"), "Other Users/anna/INBOX"),
        (FolderName("anna@other.test", "A"), "Other Users/anna@other.test/A"),
        (FolderName("anna@acme.test", ""), "Other Users/anna"),
        (FolderName("a@b@acme.test", "A"), "Other Users/a@b@acme.test/A"),
    ],
)
def test_a_folder_is_shown_under_its_name_and_found_by_it(name: FolderName, mailbox: str) -> None:
    assert HERE.spell(name) == mailbox
    assert HERE.parse(mailbox) == name


@pytest.mark.parametrize(
    "mailbox",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        "..",
        "../x",
        "a/../b",
        "a/./b",
        "Other Users//x",
        "Other Users/../x",
        "Other Users/anna/",
        "Other Users/anna/../x",
        "a\0b",
        "a\x1fb",
        "a\x85b",
        "a\u2028b",
        "\ud800",
        "x" * 256,
        "/".join(["x"] * 31),
        "/".join(["x"] * 500),
        "/".join(["x" * 200] * 6),
    ],
)
def test_names_that_cannot_be_are_refused(mailbox: str) -> None:
    with pytest.raises(BadName):
        HERE.parse(mailbox)


def test_the_prefix_is_no_folder_and_a_separator_at_the_end_is_for_create() -> None:
    for mailbox in ("Other Users", "Other Users/"):
        with pytest.raises(NoFolder):
            HERE.parse(mailbox)
    assert HERE.parse("a/b/", to_create=True) == FolderName(None, "a/b")
    with pytest.raises(BadName):
        HERE.parse("a/b/")


@pytest.mark.parametrize(
    ("reference", "pattern", "name", "matches"),
    [
        ("", "*", "a/b", True),
        ("", "%", "a", True),
        ("", "%", "a/b", False),
        ("", "%/%", "a/b", True),
        ("", "a%", "a", True),
        ("", "a%", "abc", True),
        ("", "a%", "a/b", False),
        ("a/", "%", "a/b", True),
        ("a/", "%", "a/b/c", False),
        ("", "*b", "a/b", True),
        ("", "*b", "a/bc", False),
        ("", "%%*%", "x/y", True),
        ("", "a*c%e", "abcde", True),
        ("", "a*c%e", "a/c/e", False),
        ("", "inbox", "INBOX", True),
        ("", "In%", "INBOX", True),
        ("", "inb*", "INBOX/x", True),
        ("", "sent", "Sent", False),
        ("", "inbox", "INBOXES", False),
        ("", "", "", True),
        ("", "", "a", False),
        ("", "Other Users/%", "Other Users/anna", True),
        ("Other Users/", "*", "Other Users/anna/INBOX", True),
    ],
)
def test_patterns_mean_names(reference: str, pattern: str, name: str, matches: bool) -> None:
    assert Pattern(reference, pattern).matches(name) is matches


@given(st.text("ab/%*iI", max_size=8), st.text("ab/iI", max_size=8))
def test_a_pattern_matches_what_the_expression_with_the_same_meaning_matches(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(character, re.escape(character)) for character in pattern)
    assert Pattern("", pattern).matches(name) == (re.fullmatch(expression, name) is not None)


def test_whether_anything_below_a_parent_can_match_is_known() -> None:
    assert Pattern("", "*").reaches("Other Users")
    assert Pattern("", "%/%").reaches("Other Users")
    assert not Pattern("", "%").reaches("Other Users")
    assert not Pattern("", "INBOX/*").reaches("Other Users")
    assert Pattern("", "Other Users/anna/%").reaches("Other Users")


def test_hostile_patterns_take_no_time() -> None:
    started = time.process_time()
    for pattern in ("*a" * 900 + "b", "%a" * 900 + "b", "*%" * 1000, "*" * 100000):
        found = Pattern("", pattern)
        for _ in range(5):
            found.matches("a" * 1000)
    assert time.process_time() - started < 1


def test_inbox_has_one_spelling() -> None:
    assert [fold_inbox(name) for name in ("iNbOx", "inbox/Inbox", "inboxy")] == ["INBOX", "INBOX/Inbox", "inboxy"]


# Normalization Form C (RFC 9051 section 5.1)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Mu\u0308ller", FolderName(None, "Müller")),
        ("\u212bngstro\u0308m/\u1100\u1161", FolderName(None, "Ångström/가")),
        ("Other Users/anna/U\u0308", FolderName("anna@acme.test", "Ü")),
        ("inbox/a\u0301", FolderName(None, "INBOX/á")),
    ],
)
def test_a_name_is_the_same_in_whatever_form_it_is_written(written: str, name: FolderName) -> None:
    assert HERE.parse(written) == name
    assert HERE.parse(HERE.canonical(written)) == name
    assert HERE.canonical(HERE.canonical(written)) == HERE.canonical(written)


def test_a_prefix_beyond_ascii_is_found_in_whatever_form_it_is_written() -> None:
    there = Namespace("Utenti così/", "acme.test")
    assert there.parse("Utenti cosi\u0300/anna/x") == FolderName("anna@acme.test", "x")
    assert there.canonical("Utenti cosi\u0300/anna/inbox") == "Utenti così/anna/INBOX"
    with pytest.raises(NoFolder):
        there.parse("Utenti cosi\u0300")


@pytest.mark.parametrize("written", ["a\u2028b", "a\u2029", "\ufeffa", "a\x85b", "a\x7f", "\x9f", "a\x00", "\ud800", "a/\udfff"])
def test_what_net_unicode_has_not_is_no_name(written: str) -> None:
    with pytest.raises(BadName):
        HERE.parse(written)


def test_normalizing_a_bomb_of_combining_marks_takes_no_time() -> None:
    begun = time.monotonic()
    with pytest.raises(BadName):
        HERE.parse("a" + "\u0315\u0300" * 60_000)
    for _ in range(10):
        assert normalized("a" + "\u0315\u0300" * 1400)
    assert time.monotonic() - begun < 1


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20))
def test_canonical_names_mean_what_was_written(written: str) -> None:
    try:
        name = HERE.parse(written)
    except BadName:
        return
    assert HERE.parse(HERE.canonical(written)) == name
