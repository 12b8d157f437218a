"""Strings in every spelling, and the names in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadSyntax, Cursor
from gateway.imap.grammar.strings import astring, list_mailbox, mailbox, mailbox_as_written, nstring, quoted, reference
from gateway.imap.names import BadName, Namespace, encode_utf7
from gateway.imap.responses import spell_astring, spell_mailbox, spell_string
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused, spaced


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b"abc", b"abc"),
        (b"a]b", b"a]b"),
        (b'""', b""),
        (b'"a b"', b"a b"),
        (b'"a\\"b\\\\"', b'a"b\\'),
        (b'"\xc3\xa4"', b"\xc3\xa4"),
        (b"{3+}\r\na\r\n", b"a\r\n"),
        (b"{0+}\r\n", b""),
        (b"NIL", b"NIL"),
    ],
)
def test_astrings_are_read(octets: bytes, value: bytes) -> None:
    assert read(spaced(astring), b" " + octets) == value


@pytest.mark.parametrize(
    "octets", [b"", b"(", b'"', b'"a', b'"a\\b"', b'"a\\', b"\xc3\xa4", b"{1+}\r\n\0", b"a{1+}\r\nb", b'"a"b', b"%", b"a*"]
)
def test_what_is_no_astring_is_refused(octets: bytes) -> None:
    refused(spaced(astring), b" " + octets)


def test_nil_is_no_string() -> None:
    assert read(spaced(nstring), b" nil") is None
    assert read(spaced(nstring), b' "nil"') == b"nil"
    refused(spaced(nstring), b" nils")


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"inbox", "INBOX"),
        (b'"INBOX/x"', "INBOX/x"),
        (b'"Other Users/&AOQ-"', "Other Users/ä"),
        (b"{2+}\r\n&-", "&"),
        (b"a.b@c", "a.b@c"),
        (b'"\xc3\xa4&b"', "ä&b"),
    ],
)
def test_mailbox_names_are_decoded(octets: bytes, name: str) -> None:
    assert read(spaced(mailbox), b" " + octets) == name


@pytest.mark.parametrize("octets", [b"&", b"a&b", b"&AC4ALgAv-", b"{2+}\r\na\n", b'"Other Users/&/INBOX"'])
def test_names_in_no_right_spelling_are_read_and_are_no_folders_name(octets: bytes) -> None:
    with pytest.raises(BadName):
        Namespace("acme.test", "Other Users/").parse(read(spaced(mailbox), b" " + octets), to_create=True)


@pytest.mark.parametrize("octets", [b'"\xc3"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b"{1+}\r\n\0"])
def test_names_in_no_encoding_are_refused(octets: bytes) -> None:
    refused(spaced(mailbox), b" " + octets)


def test_with_utf8_enabled_names_are_utf8() -> None:
    assert read(spaced(mailbox), b' "\xc3\xa4&"', utf8=True) == "ä&"


def test_patterns_may_have_wildcards_unquoted_and_references_may_be_empty() -> None:
    assert read(spaced(list_mailbox), b" a/%*]") == "a/%*]"
    assert read(spaced(reference), b' ""') == ""


@given(st.binary(max_size=40).filter(lambda octets: b"\0" not in octets))
def test_what_is_spelled_is_read_back(octets: bytes) -> None:
    assert read(spaced(astring), b" " + spell_string(octets).replace(b"}\r\n", b"+}\r\n", 1)) == octets
    spelled = spell_astring(octets)
    if not spelled.startswith(b"{"):
        assert read(spaced(astring), b" " + spelled) == octets


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=20))
def test_names_that_are_spelled_are_read_back(name: str) -> None:
    folded = "INBOX" + name[5:] if name[:5].upper() == "INBOX" and name[5:6] in ("", "/") else name
    assert read(spaced(mailbox), b" " + spell_mailbox(name)) == folded
    assert encode_utf7(name).isascii()
    assert read(spaced(mailbox), b" " + spell_mailbox(name, utf8=True), utf8=True) == folded


@given(frames)
def test_any_frame_is_a_string_or_refused(found: Frame) -> None:
    for rule in (quoted, astring, nstring, mailbox, list_mailbox):
        never_crashes(spaced(rule), found)


def test_a_long_string_of_escapes_takes_no_time() -> None:
    assert astring(Cursor(Frame((b'"' + b'\\"' * 30000 + b'"',)))) == b'"' * 30000


@pytest.mark.parametrize(
    "octets", [b'"\xff"', b'"a\xc0\xaf"', b'"\xed\xa0\x80"', b'"\xf8\x88\x80\x80\x80"', b'"\\"\xc3"', b'"\xf4\x90\x80\x80"']
)
def test_with_utf8_enabled_quoted_octets_are_utf8(octets: bytes) -> None:
    """RFC 6855 section 3; a literal may hold any octets."""
    with pytest.raises(BadSyntax):
        read(spaced(astring), b" " + octets, utf8=True)
    assert read(spaced(astring), b" " + octets)
    assert read(spaced(astring), b" {2+}\r\n\xff\xfe", utf8=True) == b"\xff\xfe"


def test_utf8_in_a_name_is_a_name_before_it_is_enabled() -> None:
    assert read(spaced(mailbox), b' "\xc3\xa4&-"') == "ä&-"
    assert read(spaced(mailbox), b" {3+}\r\nx\xc3\xa4") == "xä"
    assert read(spaced(mailbox), b" inbox") == "INBOX"
    assert read(spaced(mailbox_as_written), b" inbox") == "inbox"
